//! Grants, previews and requests: `/v1/grants`, `/v1/grant-previews`, `/v1/requests`.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What to share, and on which terms.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct GrantSpec {
    /// The selector; `tag:`, `space:` and `id:` with `OR`, `-` and groups.
    pub selector: String,
    /// `read` (default) or `write`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub access: Option<String>,
    /// How long, in seconds; 90 days if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_in_s: Option<u64>,
    /// What it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub purpose: Option<String>,
    /// Whether new matches come in by themselves where the selector infers (words, kinds,
    /// dates); otherwise each waits for a yes. Labels always take matches in at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub live: Option<bool>,
}

/// `POST /v1/grant-previews`: what a person would see.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PreviewRequest {
    /// The person: petname, `did:key` or a unique prefix of it; or `circle:` and its name.
    pub with: String,
    /// What to share.
    pub grant: GrantSpec,
}

/// What a person would see under a grant.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Preview {
    /// How many memories.
    pub count: usize,
    /// How many bytes of text.
    pub bytes: u64,
    /// How many files are attached to them.
    #[serde(default)]
    pub attachments: usize,
    /// How many bytes these have.
    #[serde(default)]
    pub attachment_bytes: u64,
    /// The memories.
    pub items: Vec<PreviewItem>,
    /// What is held back, and by which rule.
    pub held: Vec<Held>,
    /// Things to think about before confirming.
    pub careful: Vec<String>,
    /// The name of exactly this set; a commit that carries it stops if the set changed.
    pub digest: String,
}

/// A memory in a preview.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct PreviewItem {
    /// The memory.
    pub id: String,
    /// Its title.
    pub title: String,
    /// Bytes of text.
    pub bytes: u64,
}

/// A memory that the egress guard holds back.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Held {
    /// The memory.
    pub id: String,
    /// The rule that holds it.
    pub rule: String,
    /// What kind of thing matched, and where.
    #[serde(default)]
    pub reason: String,
}

/// `POST /v1/grants`: offers a grant.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewGrant {
    /// The person: petname, `did:key` or a unique prefix of it.
    pub with: String,
    /// What to share.
    pub grant: GrantSpec,
    /// The digest of the preview that was confirmed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// Refuse if the selector takes in another number of memories.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expect: Option<usize>,
}

/// The answer to an offer.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Offered {
    /// The grant.
    pub grant: String,
    /// `offered`, `active`, ...
    pub state: String,
    /// How many memories it takes in now.
    pub count: usize,
    /// What is held back.
    pub held: Vec<Held>,
    /// The digest of the set.
    pub digest: String,
}

/// A grant, given or received.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Grant {
    /// Its id.
    pub id: String,
    /// `out` (I give) or `in` (I receive).
    pub direction: String,
    /// The other person's petname.
    pub with: String,
    /// The other person, as `did:key`.
    pub person: String,
    /// What it selects.
    pub selector: String,
    /// `read` or `write`.
    pub access: String,
    /// `offered`, `active`, `declined`, `expired`, `superseded`, `revoked` or `returned`.
    pub state: String,
    /// When it ends by itself.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub expires: Option<String>,
    /// Whether it is renewed by itself while both sides are alive and willing.
    #[serde(default)]
    pub lease: bool,
    /// The grant it takes the place of.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub supersedes: Option<String>,
    /// What it is for.
    pub purpose: String,
    /// How many memories it takes in now.
    pub count: usize,
    /// What the grantee's devices say, if they were asked to purge.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub receipts: Vec<Receipt>,
}

/// What a device of the grantee says that it did with its copies.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Receipt {
    /// The person's petname.
    pub person: String,
    /// The device.
    pub device: String,
    /// `complied`, `refused`, `waiting` for its person, or `unreachable`: no answer yet.
    pub state: String,
    /// How many memories it speaks of.
    pub memories: u32,
    /// How many of them it had passed on.
    pub passed_on: u32,
    /// When it said so.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub when: Option<String>,
}

/// `POST /v1/grants/{id}:renew`: moves the end of a grant.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RenewRequest {
    /// How long from now, in seconds; 90 days if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_in_s: Option<u64>,
}

/// `POST /v1/grants/{id}:replace`: puts another grant to the same person in its place.
///
/// What is absent stays as it is. A narrower grant holds at once; a wider one waits for their
/// yes, and until then the old one goes on.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ReplaceRequest {
    /// The selector.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selector: Option<String>,
    /// `read` or `write`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub access: Option<String>,
    /// How long from now, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_in_s: Option<u64>,
    /// What it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub purpose: Option<String>,
    /// The digest of the preview that was confirmed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
}

/// `POST /v1/grants/{id}:revoke`.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RevokeRequest {
    /// What to tell the grantee.
    #[serde(default)]
    pub reason: String,
    /// Whether to ask the grantee to purge what they hold under this grant only.
    #[serde(default)]
    pub purge: bool,
}

/// The answer to a revocation.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Revoked {
    /// The grant.
    pub grant: String,
    /// The key epoch from which the grantee can read nothing.
    pub epoch: u32,
    /// Who was told, and whether it arrived.
    pub told: Vec<Told>,
    /// What revoking does not do, in so many words.
    pub notice: String,
    /// What the grantee's devices say, if they were asked to purge.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub receipts: Vec<Receipt>,
}

/// The answer to giving a grant back.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct GivenBack {
    /// The grant.
    pub grant: String,
    /// `returned`.
    pub state: String,
    /// How many copies were purged here.
    pub memories: u32,
    /// How many stay because another grant covers them.
    pub kept: u32,
}

/// Whether a device of the grantee has the news.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Told {
    /// The person's petname.
    pub person: String,
    /// The device.
    pub device: String,
    /// `acknowledged`, or `waiting` until the next contact.
    pub state: String,
}

/// Something that waits for a yes or a no.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Request {
    /// Its id: the grant that was offered, or a name of exactly these additions.
    pub id: String,
    /// `grant` (someone offers me one), `addition` (new matches of a share of mine wait), or
    /// `purge` (the owner of a revoked grant asks me to purge my copies).
    pub kind: String,
    /// Who asks, by petname.
    pub from: String,
    /// What it is about, in one sentence.
    pub summary: String,
    /// When it came.
    pub created: String,
    /// The memories it is about, where they are mine to see.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub items: Vec<RequestItem>,
}

/// A memory that a request is about.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct RequestItem {
    /// The memory.
    pub id: String,
    /// Its title.
    pub title: String,
}

/// The answer to approving or denying a request.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Resolved {
    /// The request.
    pub id: String,
    /// `approved` or `denied`.
    pub state: String,
}
