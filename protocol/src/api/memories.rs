//! Memories: `/v1/memories`.

use super::attachments::Attachment;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The largest body of a request that carries a memory, in bytes of JSON: the text limit of
/// 256 KiB with room for escapes.
pub const BODY_BYTES_MAX: usize = 2 << 20;

/// A memory, whole.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Memory {
    /// Its id.
    pub id: String,
    /// `note`, `document`, `bookmark`, `task`, `conversation` or `observation`.
    pub kind: String,
    /// Its title.
    pub title: String,
    /// Its text.
    pub body: String,
    /// Its shared tags.
    pub tags: Vec<String>,
    /// Its links to other memories.
    pub links: Vec<Link>,
    /// Its files.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub attachments: Vec<Attachment>,
    /// Where its content came from.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub source: Option<String>,
    /// `active` or `forgotten`.
    pub status: String,
    /// `me`, or the petname of its owner.
    pub from: String,
    /// Its owner, as `did:key`.
    pub owner: String,
    /// When it was created.
    pub created: String,
    /// When it was last changed.
    pub updated: String,
    /// The events without successors: the version of what is shown.
    pub heads: Vec<String>,
    /// The grant under which it is here, if someone else owns it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub grant: Option<String>,
    /// Since when it is not shared with this person any more; lists and searches leave it out,
    /// unless the person's rules keep it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub withdrawn: Option<String>,
    /// Why it is quarantined: nothing is merged into it, and it is shown as it last stood.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub quarantined: Option<String>,
    /// Changes of revoked writers that count because somebody built on them.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub adopted: Vec<Adopted>,
    /// The drawer it lies in.
    pub space: String,
    /// The holder's own tags, never shared.
    pub private_tags: Vec<String>,
    /// `normal` or `secret`; secret ones never leave.
    pub sensitivity: String,
}

/// Changes beyond the cut of a revocation that count all the same.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema, PartialEq, Eq)]
pub struct Adopted {
    /// Who wrote them and is revoked, by petname.
    pub by: String,
    /// Who built on them before they had heard of the revocation, by petname.
    pub adopter: String,
    /// How many.
    pub changes: usize,
}

/// A link from one memory to another.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct Link {
    /// The memory it leads to.
    pub to: String,
    /// What it means; `mentions` if empty.
    #[serde(default)]
    pub relation: String,
}

/// A memory in a list.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Summary {
    /// Its id.
    pub id: String,
    /// Its title.
    pub title: String,
    /// Its kind.
    pub kind: String,
    /// Its shared tags.
    pub tags: Vec<String>,
    /// `me`, or the petname of its owner.
    pub from: String,
    /// When it was last changed.
    pub updated: String,
    /// `active` or `forgotten`.
    pub status: String,
}

/// `POST /v1/memories`: keeps a new memory.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewMemory {
    /// Its title; the first line of the body if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// Its text.
    #[serde(default)]
    pub body: String,
    /// `note` if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Its shared tags.
    #[serde(default)]
    pub tags: Vec<String>,
    /// Where its content came from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// The drawer it goes into.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub space: Option<String>,
}

/// `PATCH /v1/memories/{id}`: changes what is given and leaves the rest.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Patch {
    /// The heads that the change was made on; a change on older heads merges.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<Vec<String>>,
    /// A new title.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// A new text; it is compared with the base, and only the difference is written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    /// Another kind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Tags to set.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub add_tags: Vec<String>,
    /// Tags to take away.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub remove_tags: Vec<String>,
    /// Links to set.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub add_links: Vec<Link>,
    /// Links to take away.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub remove_links: Vec<Link>,
    /// Another drawer (private).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub space: Option<String>,
    /// `normal` or `secret` (private).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sensitivity: Option<String>,
    /// Private tags to set.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub add_private_tags: Vec<String>,
    /// Private tags to take away.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub remove_private_tags: Vec<String>,
}

/// The answer to every write of a memory.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Written {
    /// The memory.
    pub id: String,
    /// Its heads after the write.
    pub heads: Vec<String>,
    /// Whether the change was made on older heads and merged.
    pub merged: bool,
    /// Whether anything changed.
    pub changed: bool,
}
