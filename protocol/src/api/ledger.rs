//! The disclosure ledger: `/v1/ledger`, its entries, witnesses and holders.
//!
//! [`export`] is the ledger as a file, and how anyone checks one without a node.

pub mod export;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A content key that left, sealed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LedgerKey {
    /// The grant under whose scope key it was sealed.
    pub grant: String,
    /// The epoch of the content key.
    pub epoch: u32,
}

/// The part of an attachment that left.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LedgerBlob {
    /// The BLAKE3 hash of the attachment, in hexadecimal.
    pub hash: String,
    /// The first byte that left.
    pub from: u64,
    /// How many bytes left.
    pub bytes: u64,
}

/// One disclosure.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LedgerEntry {
    /// Its number, from 1.
    pub seq: u64,
    /// When.
    pub time: String,
    /// To whom, by petname.
    pub to: String,
    /// To whom, as `did:key`.
    pub person: String,
    /// What kind: `content`, or `attachment` for a part of one.
    pub kind: String,
    /// The memory.
    pub memory: String,
    /// The events that left.
    pub events: Vec<String>,
    /// The sealed keys that left.
    #[serde(default)]
    pub keys: Vec<LedgerKey>,
    /// The part of an attachment that left, if it was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blob: Option<LedgerBlob>,
    /// How many bytes left.
    pub bytes: u64,
    /// Under which grant.
    pub grant: String,
    /// The bytes that the ledger's tree is made of, in base64.
    #[serde(default)]
    pub raw: String,
}

/// The body of `POST /v1/ledger:verify`.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LedgerCheck {
    /// A checkpoint that an earlier check printed: the ledger must still begin like that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
}

/// The answer of `POST /v1/ledger:verify`.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct LedgerVerdict {
    /// How many entries there are.
    pub entries: u64,
    /// How the ledger stands, in one word to keep elsewhere: entries, a dot, the root.
    #[serde(default)]
    pub checkpoint: String,
    /// Whether all of them are what was signed and what peers witnessed.
    pub ok: bool,
    /// The first entry that nothing vouches for.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub first_bad: Option<u64>,
    /// What is wrong, by name: `misplaced`, `unsigned`, `derived`, `cut`, `older`, `rewritten`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub fault: Option<String>,
    /// What is wrong.
    #[serde(default)]
    pub reason: String,
    /// What peers witnessed of this ledger.
    #[serde(default)]
    pub witnesses: Vec<LedgerWitness>,
    /// Peers whose own ledgers are not what they showed before.
    #[serde(default)]
    pub conflicts: Vec<LedgerConflict>,
}

/// A checkpoint of this ledger that a peer held and showed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LedgerWitness {
    /// Who, by petname.
    pub who: String,
    /// Who, as `did:key`.
    pub person: String,
    /// Their device.
    pub device: String,
    /// How many entries the whole ledger had when they were shown it.
    pub entries: u64,
    /// Its root then.
    pub root: String,
    /// How many of them were to this person.
    pub line: u64,
    /// When it was made.
    pub time: String,
    /// When it was first shown back.
    pub shown: String,
    /// Whether the ledger is still what they saw.
    pub ok: bool,
    /// What is wrong, by name.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub fault: Option<String>,
    /// The signed checkpoint, in base64.
    pub checkpoint: String,
}

/// A peer's ledger that does not continue what the peer showed before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LedgerConflict {
    /// Whose ledger, by petname.
    pub who: String,
    /// Whose, as `did:key`.
    pub person: String,
    /// Their device.
    pub device: String,
    /// When the other history was first shown.
    pub since: String,
    /// How many entries to this person were held.
    pub held: u64,
    /// How many the other history has.
    pub shown: u64,
    /// The signed checkpoints, in base64: what was held, and what does not continue it.
    pub evidence: Vec<String>,
}

/// `GET /v1/ledger/head`: how the ledger stands, for an export.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct LedgerHead {
    /// Whose ledger, as `did:key`.
    pub person: String,
    /// The device that signs it.
    pub device: String,
    /// The device's certificate, in base64.
    pub certificate: String,
    /// How many entries.
    pub entries: u64,
    /// The root over them.
    pub root: String,
    /// The tree's right edge and its signature, in base64; empty if nothing ever left.
    pub signed: String,
    /// What peers witnessed.
    pub witnesses: Vec<LedgerWitness>,
}

/// `GET /v1/ledger/entries/{seq}`: an entry, and the proof that it is in the ledger.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct LedgerProof {
    /// The entry.
    pub entry: LedgerEntry,
    /// How many entries the ledger has.
    pub entries: u64,
    /// The root over them.
    pub root: String,
    /// The hashes beside the way up to the root.
    pub proof: Vec<String>,
    /// Whether they lead there.
    pub ok: bool,
    /// Who witnessed a ledger with this entry in it, by petname.
    pub witnesses: Vec<String>,
}

/// `GET /v1/ledger/holders`: who was sent a memory.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Holders {
    /// The memory.
    pub memory: String,
    /// Everyone it was sent to.
    pub items: Vec<Holder>,
    /// What this list cannot say.
    pub notice: String,
}

/// A person who was sent a memory.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Holder {
    /// Who, by petname.
    pub who: String,
    /// Who, as `did:key`.
    pub person: String,
    /// When it was first sent.
    pub first: String,
    /// When it was last sent.
    pub last: String,
    /// The numbers of the entries.
    pub entries: Vec<u64>,
    /// How many different events were sent.
    pub events: u64,
    /// How many bytes were sent, repetitions included.
    pub bytes: u64,
    /// The newest events that were sent: the version.
    pub heads: Vec<String>,
    /// Whether that is the version that stands.
    pub current: bool,
    /// Under which grants, and how each stands.
    pub grants: Vec<HolderGrant>,
    /// Whether a grant still gives it.
    pub granted: bool,
}

/// A grant under which a memory was sent.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct HolderGrant {
    /// The grant.
    pub id: String,
    /// How it stands: `active`, `revoked`, `expired`.
    pub state: String,
}
