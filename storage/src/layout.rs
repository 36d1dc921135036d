//! Every keyspace and key shape, in one table.
//!
//! | keyspace | key | value | rebuilt from the log |
//! |---|---|---|---|
//! | `log` | sequence, 8 bytes big-endian | signed event | no: it is the log |
//! | `event` | opaque(event) | sequence | yes |
//! | `feed` | opaque(author, incarnation, feed) ++ number | event id | yes |
//! | `consent` | sequence | empty: the log entry is about identity or consent | yes |
//! | `key` | opaque(memory) ++ epoch | content key | no: primary |
//! | `member` | opaque(grant) ++ opaque(memory) | [`Member`](crate::records::Member) | no: primary |
//! | `scope` | opaque(grant) ++ epoch | scope key | no: primary |
//! | `facts` | opaque(memory) | [`Facts`](crate::records::Facts) | yes |
//! | `content` | opaque(memory) | content as it was edited last, nothing once purged; see [`crate::content`] | yes |
//! | `attached` | opaque(memory) | its attachments, if it has some | yes |
//! | `document` | opaque(memory) | Automerge snapshot and its map to events | yes |
//! | `vector` | slot, 8 bytes big-endian | vectors of a memory | yes, by embedding again |
//! | `chosen vector` | slot, 8 bytes big-endian | vectors of a memory by the chosen model | yes, by embedding again |
//! | `ledger` | number, 8 bytes big-endian | [`Entry`](crate::ledger::Entry) | no: primary |
//! | `tree` | opaque(person or `all`) ++ level ++ index | hash of a complete subtree of the ledger | no: primary |
//! | `line` | opaque(person) | [`Tree`](crate::ledger::Tree) over the entries to this person | no: primary |
//! | `line` | opaque(person) ++ number in the line | number in the ledger | no: primary |
//! | `witness` | opaque(device) | [`Held`](crate::ledger::Held): a peer's ledger as it was shown | no: primary |
//! | `echo` | opaque(device) ++ number | [`Echo`](crate::ledger::Echo): this ledger as a peer saw it | no: primary |
//! | `peer` | opaque(person) | [`Peer`](crate::records::Peer) | no: primary |
//! | `invite` | hash of the secret | [`Invite`](crate::records::Invite) | no: primary |
//! | `tray` | opaque(event) | late work that was refused, see [`crate::late`] | no: primary |
//! | `late` | opaque(event) | own changes that the owner does not accept | no: primary |
//! | `fork` | opaque(memory) | a memory in which a feed forked, see [`crate::fork`] | yes |
//! | `quarantine` | opaque(memory) | [`Quarantined`](crate::quarantine::Quarantined) | yes: a rebuild tries again |
//! | `lost` | opaque(event), or its place | [`Lost`](crate::gaps::Lost): an entry that was damaged and is not back | no: primary |
//! | `apart` | opaque(event) | [`Apart`](crate::gaps::Apart): an entry that builds on a lost one | no: primary |
//! | `meta` | name | small records | no: primary |
//!
//! Opaque keys are keyed hashes: where their order does not matter, rows tell nothing about what
//! they belong to.

use crate::kv::Keyspace;

pub(crate) const LOG: Keyspace = Keyspace("log");
pub(crate) const EVENT: Keyspace = Keyspace("event");
pub(crate) const FEED: Keyspace = Keyspace("feed");
pub(crate) const CONSENT: Keyspace = Keyspace("consent");
pub(crate) const KEY: Keyspace = Keyspace("key");
pub(crate) const MEMBER: Keyspace = Keyspace("member");
pub(crate) const SCOPE: Keyspace = Keyspace("scope");
pub(crate) const FACTS: Keyspace = Keyspace("facts");
pub(crate) const CONTENT: Keyspace = Keyspace("content");
pub(crate) const ATTACHED: Keyspace = Keyspace("attached");
pub(crate) const DOCUMENT: Keyspace = Keyspace("document");
pub(crate) const VECTOR: Keyspace = Keyspace("vector");
pub(crate) const CHOSEN: Keyspace = Keyspace("chosen vector");
pub(crate) const LEDGER: Keyspace = Keyspace("ledger");
pub(crate) const TREE: Keyspace = Keyspace("tree");
pub(crate) const LINE: Keyspace = Keyspace("line");
pub(crate) const WITNESS: Keyspace = Keyspace("witness");
pub(crate) const ECHO: Keyspace = Keyspace("echo");
pub(crate) const PEER: Keyspace = Keyspace("peer");
pub(crate) const INVITE: Keyspace = Keyspace("invite");
pub(crate) const TRAY: Keyspace = Keyspace("tray");
pub(crate) const LATE: Keyspace = Keyspace("late");
pub(crate) const FORK: Keyspace = Keyspace("fork");
pub(crate) const QUARANTINE: Keyspace = Keyspace("quarantine");
pub(crate) const LOST: Keyspace = Keyspace("lost");
pub(crate) const APART: Keyspace = Keyspace("apart");
pub(crate) const META: Keyspace = Keyspace("meta");

/// All keyspaces, for checking the store.
pub(crate) const ALL: [Keyspace; 27] = [
    LOG, EVENT, FEED, CONSENT, KEY, MEMBER, SCOPE, FACTS, CONTENT, ATTACHED, DOCUMENT, VECTOR,
    CHOSEN, LEDGER, TREE, LINE, WITNESS, ECHO, PEER, INVITE, TRAY, LATE, FORK, QUARANTINE, LOST,
    APART, META,
];
/// The projections that a rebuild makes anew from the log.
pub(crate) const REBUILT: [Keyspace; 9] = [
    EVENT, FEED, CONSENT, FACTS, CONTENT, ATTACHED, DOCUMENT, FORK, QUARANTINE,
];

/// Names of the rows in `meta`.
pub(crate) mod meta {
    pub(crate) const FORMAT: &[u8] = b"format";
    pub(crate) const ROTATION: &[u8] = b"rotation";
    pub(crate) const WALL: &[u8] = b"wall clock";
    pub(crate) const VECTOR_CURSOR: &[u8] = b"vector cursor";
    pub(crate) const VECTOR_MODEL: &[u8] = b"vector model";
    pub(crate) const CHOSEN_CURSOR: &[u8] = b"chosen vector cursor";
    pub(crate) const CHOSEN_MODEL: &[u8] = b"chosen vector model";
    /// The chosen model's vector of one known text.
    pub(crate) const CHOSEN_PROBE: &[u8] = b"chosen vector probe";
    /// Is there once the chosen generation has been complete.
    pub(crate) const CHOSEN_COMPLETE: &[u8] = b"chosen vectors complete";
    /// The lowest epoch in which changes are still written, after a device was retired.
    pub(crate) const FLOOR: &[u8] = b"floor";
    /// Begins the rows of sidecar keys by commitment.
    pub(crate) const SIDECAR_KEYS: &[u8] = b"sidecar key of ";
    /// Begins the rows of the sidecar key that is used under an own scope key.
    pub(crate) const SIDECAR_SCOPES: &[u8] = b"sidecar key under ";
    pub(crate) const SIDECAR_KEY: &[u8] = b"sidecar key";
    pub(crate) const LEDGER_TREE: &[u8] = b"ledger tree";
    /// Is there while nothing leaves because consent may be lost, see [`crate::gaps::Halt`].
    pub(crate) const HALT: &[u8] = b"halted";
}

/// The version of the store's format.
pub(crate) const FORMAT_VERSION: u8 = 1;

/// Returns a number as a key that sorts as numbers do.
pub(crate) fn ordered(number: u64) -> [u8; 8] {
    number.to_be_bytes()
}

/// Reads a number back from the end of a key.
pub(crate) fn number_of(key: &[u8]) -> Option<u64> {
    let at = key.len().checked_sub(8)?;
    key.get(at..)?.try_into().ok().map(u64::from_be_bytes)
}

/// The first part of the keys of the subtrees over the whole ledger.
pub(crate) const TREE_OF_ALL: &[u8] = b"second-brain 2026 v1 whole ledger";

/// Returns the key of a subtree; `tree` is the opaque name of its tree.
pub(crate) fn subtree(tree: &[u8], level: u8, index: u64) -> Vec<u8> {
    [tree, &[level], &ordered(index)].concat()
}
