//! Peers and invites: `/v1/peers`, `/v1/invites`, `/v1/invites:accept`.

use crate::api::sharing::GrantSpec;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A person this node is paired with.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Peer {
    /// The person, as `did:key`.
    pub person: String,
    /// My name for them.
    pub alias: String,
    /// Their four safety words.
    pub words: String,
    /// `paired` or `blocked`.
    pub state: String,
    /// `direct` while a session is open, else `offline`.
    pub path: String,
    /// Where their devices were last reached.
    pub addresses: Vec<String>,
    /// When a session was last open.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub last_contact: Option<String>,
}

/// `POST /v1/invites`: makes a one-use ticket.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewInvite {
    /// My name for the person who will accept it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alias: Option<String>,
    /// How long it can be used, in seconds; one hour if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_in_s: Option<u64>,
    /// A grant to offer to whoever accepts it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub share: Option<GrantSpec>,
}

/// A ticket, returned once.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Invite {
    /// The ticket.
    pub ticket: String,
    /// When it ends.
    pub expires: String,
    /// My safety words, to compare aloud.
    pub words: String,
}

/// `POST /v1/invites:accept`.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AcceptInvite {
    /// The ticket.
    pub ticket: String,
    /// My name for the inviter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alias: Option<String>,
}

/// `PATCH /v1/peers/{person}`.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PeerPatch {
    /// My new name for them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alias: Option<String>,
    /// `paired` or `blocked`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
}
