//! The node itself: `/v1/node`, `/v1/identity`, `/healthz`, `/readyz`, `/v1/events`.

use super::attachments::Attachments;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// `GET /v1/node`.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct NodeStatus {
    /// The person, as `did:key`.
    pub person: String,
    /// Their four safety words.
    pub words: String,
    /// This device.
    pub device: String,
    /// What peers see as its name.
    pub alias: String,
    /// The version of the program.
    pub version: String,
    /// How many memories there are.
    pub memories: u64,
    /// How many of them are forgotten.
    pub forgotten: u64,
    /// The attachments of all memories.
    #[serde(default)]
    pub attachments: Attachments,
    /// The listeners of this API.
    pub api: Vec<String>,
    /// The network.
    pub network: Network,
    /// How each peer and each own device is.
    #[serde(default)]
    pub peers: Vec<PeerGlance>,
    /// How far each projection is.
    pub projections: Vec<Projection>,
    /// What waits for a person.
    pub needs_you: Vec<String>,
    /// `ok`, or why the store takes no writes.
    pub store: String,
    /// Seconds since it started.
    pub uptime_s: u64,
    /// The data folder.
    pub home: String,
}

/// The network side of a node.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
pub struct Network {
    /// Where peers can reach it, as multiaddrs.
    pub listen: Vec<String>,
}

/// How a peer is, at a glance.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
pub struct PeerGlance {
    /// My name for them.
    pub alias: String,
    /// `in_sync`, `syncing`, `unreachable`, `waiting` after it broke the protocol, or `offline`.
    pub state: String,
    /// Since when it cannot be reached.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub since: Option<String>,
    /// Why not.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub reason: Option<String>,
    /// Events that the peer has and this node lacks, as far as is known.
    pub missing_here: u64,
    /// Events that this node has and the peer lacks, as far as is known.
    pub missing_there: u64,
}

/// A read model.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Projection {
    /// Its name.
    pub name: String,
    /// The last log entry it has taken in.
    pub cursor: u64,
    /// How many entries it is behind.
    pub lag: u64,
    /// The embedding model that makes it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub model: Option<String>,
    /// What else there is to say: whether it answers searches, or what keeps it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub note: Option<String>,
}

/// `GET /v1/identity`.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Identity {
    /// The person, as `did:key`.
    pub person: String,
    /// Their four safety words.
    pub words: String,
    /// This device.
    pub device: String,
    /// What peers see as its name.
    pub alias: String,
}

/// `GET /healthz` and `/readyz`.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Health {
    /// `ok` or `unready`.
    pub status: String,
    /// Why.
    #[serde(default)]
    pub reason: String,
}

/// `POST /v1/indexes:rebuild`.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Rebuilt {
    /// Events that were read from the log.
    pub events: u64,
    /// Memories that came out.
    pub memories: u64,
    /// How long it took, in milliseconds.
    pub took_ms: u64,
}

/// `POST /v1/node:verify`: everything was read.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct NodeVerdict {
    /// Whether all of it is what was written.
    pub ok: bool,
    /// Rows that were read.
    pub rows: u64,
    /// Log entries whose signatures were checked.
    pub events: u64,
    /// Files of the text index that were read.
    pub text_files: u64,
    /// Attachments that were read.
    pub attachments: u64,
    /// What is damaged.
    #[serde(default)]
    pub damage: Vec<Damage>,
}

/// Something that is not what was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Damage {
    /// What, in words.
    pub what: String,
    /// Whether it is made anew from the log by a rebuild.
    pub heals: bool,
    /// What to do.
    pub hint: String,
}

/// One line of the feed of `GET /v1/events`.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Notice {
    /// Its place: `<epoch>-<number>`.
    pub id: String,
    /// Its dotted name, such as `memory.created`.
    pub event: String,
    /// The memory, grant or person it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
}

/// `POST /v1/clock:accept`: the clock is right, although a later time was seen.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ClockAccepted {
    /// The time from now on.
    pub time: String,
}
