//! Sync: `/v1/sync`, `/v1/sync/{person}:prove`, `/v1/sync:now`.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// `GET /v1/sync`.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct SyncStatus {
    /// One entry per paired person.
    pub peers: Vec<PeerSync>,
}

/// How far this node and a peer's are.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
pub struct PeerSync {
    /// The person, as `did:key`.
    pub person: String,
    /// My name for them.
    pub alias: String,
    /// `in_sync`, `syncing`, `unreachable`, `waiting` after it broke the protocol, or `offline`.
    pub state: String,
    /// Whether a session is open.
    pub online: bool,
    /// Whether both sides proved equal counts and fingerprints of the view as it stands here.
    pub in_sync: bool,
    /// Events of the view that are here.
    pub mine: u64,
    /// Events of the view that the peer last said are there.
    pub theirs: u64,
    /// Events that the peer has and this node lacks, as far as is known.
    pub missing_here: u64,
    /// Events that this node has and the peer lacks, as far as is known.
    pub missing_there: u64,
    /// Attachments of the view whose bytes are not all here. Being in sync is about events: it
    /// says what there is, not that its files have arrived.
    #[serde(default)]
    pub attachments_missing: u64,
    /// How many bytes of them are not here.
    #[serde(default)]
    pub attachment_bytes_missing: u64,
    /// The fingerprint of the view here.
    pub fingerprint: String,
    /// When the peer was last heard.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub last_contact: Option<String>,
    /// Bytes received from the peer since this node started.
    pub bytes_in: u64,
    /// Bytes sent to the peer since this node started.
    pub bytes_out: u64,
    /// Why the last attempt to reach the peer did not work.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub last_error: Option<String>,
    /// Since when the peer cannot be reached.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub unreachable_since: Option<String>,
    /// Seconds until the peer is tried again, or may come again.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub next_try_s: Option<u64>,
    /// When both sides were last equal, since this node started.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub last_equal: Option<String>,
    /// Seconds since both sides were last equal: 0 if they are.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub stale_s: Option<u64>,
}

/// `POST /v1/sync/{person}:prove`.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Proof {
    /// How far both are.
    #[serde(flatten)]
    pub status: PeerSync,
    /// The fingerprint that the peer gave.
    pub their_fingerprint: String,
    /// The events that one side lacks.
    pub missing: Vec<Missing>,
}

/// An event that one side lacks.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Missing {
    /// The event; blinded if it is not here.
    pub event: String,
    /// `here` or `there`.
    pub side: String,
}
