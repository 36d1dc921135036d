//! How a node keeps what it knows: the engine, the keys, and what is built on both.
//!
//! Everything here blocks; there is no async, and callers put it on threads of their own.
//!
//! Start at [`kv`]: the narrow trait every engine and decorator meets. A node stacks them as
//! `Sealed(GroupCommit(DiskStore))`, with the master key taken from the [`keyring`].
//!
//! Invariant: no byte of content reaches the log or a row unsealed, and a commit that was
//! acknowledged as durable is there after a power cut, whole.

pub mod attached;
pub mod blob;
mod bounded;
pub mod cipher;
mod content;
pub mod entropy;
mod fork;
pub mod gaps;
pub mod keyring;
pub mod kv;
pub mod late;
mod layout;
pub mod ledger;
mod pages;
mod prefetch;
pub mod projection;
pub mod quarantine;
pub mod records;
pub mod salvage;
pub mod screen;
pub mod search;
pub mod slots;
pub mod store;
pub mod tx;
pub mod waiting;
