//! The suite over whole nodes: real processes, real sockets, promises looked at from outside.
//!
//! ```text
//! couple   two paired nodes, ana and bob, and the ways to ask them
//! sharing  a view arrives, follows, merges, is in the ledger, and ends with its grant
//! tampered a ledger changed on the disk, also with the key of the device, is found out
//! crash    kill -9 at seeded moments loses nothing that was acknowledged
//! bijection  three nodes with sniffers between them: ledgers and wires agree both ways
//! kills    two hundred kill -9 of two nodes that write and sync
//! damaged  altered bytes are named by the real programs, and projections heal
//! first_sync  a first sync with kill -9 of either side never starts over
//! operator  the health check, and metrics that name nobody and that rules and boards can rely on
//! outage   a peer that cannot be reached is said once, and shown
//! past     what was there at a moment is found as it was, and by nobody who may not
//! flood    half-open connections and a hostile peer keep nobody out and take little memory
//! integrity  a frozen author and a quarantined memory are named by status; both are got over
//! keys     passphrases, key files and credentials open a node, and survive kill -9
//! os_keyring  a real keyring of a desktop opens a node, is waited for, and is left without a trace
//! locked   a locked node answers nothing and has nothing in its memory
//! embeddings  a chosen endpoint takes over, is away, is wrong, and is told nothing it may not know
//! onnx     a chosen model from a file takes over, and the node outlives a bad one
//! attachments  files in pieces: crashes, revocations, purges, strangers
//! traces   one trace goes through two nodes, and none says what it was about
//! verbs    every verb of every surface that changes a memory reaches the other node
//! ```
//!
//! `SCALE=n` makes n times as many crashes, `SEED=n` chooses their moments. What is not here:
//! interleavings in virtual time, which are in `tests/tests/sim`.

mod attachments;
mod between;
mod bijection;
mod couple;
mod crash;
mod damaged;
mod embeddings;
mod first_sync;
mod flood;
mod http;
mod integrity;
mod keys;
mod kills;
mod languages;
mod locked;
mod onnx;
mod operator;
mod os_keyring;
mod outage;
mod past;
mod plaintext;
mod salvaged;
mod sharing;
mod tampered;
mod traces;
mod verbs;

/// Returns a number that the environment gives to the test.
#[expect(
    clippy::disallowed_methods,
    reason = "scale and seed are given to the test, not to a program of ours"
)]
fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}
