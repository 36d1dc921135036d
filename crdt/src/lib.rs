//! What a memory is: ids, identity, signed events, grants, merging and sealing.
//!
//! No I/O, no clock, no randomness: time and entropy are arguments. See `docs/architecture.md`.

pub mod blob;
pub mod codec;
pub mod envelope;
pub mod event;
pub mod grant;
pub mod hash;
pub mod id;
pub mod identity;
pub mod ledger;
pub mod memory;
pub mod selector;
pub mod sidecar;
pub mod testing;
pub mod time;
