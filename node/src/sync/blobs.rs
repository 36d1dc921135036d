//! Blobs of the node: where they lie, which are missing, and who fetches and serves them.
//!
//! ```text
//! memories that are here -> Sync::missing_blobs -> fetch: a stream to whoever may have it
//!                                                  serve: parts, each through the egress guard
//! a memory gone          -> Sync::sweep_blobs
//! ```
//!
//! Start at [`Desk`], which is what both sides and the services share. Sessions know nothing of
//! blobs: equal events are one thing, attachments that are not here yet another, and both are told.

mod fetch;
mod frames;
mod pace;
mod serve;
#[cfg(test)]
mod tests;

pub(super) use fetch::run as run_fetcher;
pub(super) use serve::run as run_server;

use super::Sync;
use crate::clock;
use crate::config::Attachments;
use crdt::blob::CHUNK_BYTES;
use crdt::hash::Hash;
use crdt::id::{MemoryId, PersonId};
use crdt::memory::Attachment;
use pace::Pace;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use storage::blob::{BlobError, Blobs, Presence};
use storage::store::state::State;
use tokio::sync::watch;

/// What is shared by everyone who has to do with blobs.
#[derive(Debug)]
pub struct Desk {
    blobs: Arc<Blobs>,
    bytes_max: u64,
    pace: Pace,
    /// Blobs that somebody waits for.
    urgent: Mutex<BTreeSet<Hash>>,
    wake: watch::Sender<u64>,
}

/// An attachment of a memory in a view, whose bytes are not all here.
#[derive(Debug, Clone)]
pub struct Missing {
    /// The memory.
    pub memory: MemoryId,
    /// Who owns it.
    pub owner: PersonId,
    /// The attachment.
    pub attachment: Attachment,
    /// How many bytes of it are here.
    pub bytes_here: u64,
}

impl Desk {
    /// Puts the desk together.
    pub fn new(blobs: Arc<Blobs>, config: &Attachments) -> Self {
        Self {
            blobs,
            bytes_max: config.max_file_bytes.min(crdt::blob::BLOB_BYTES_MAX),
            pace: Pace::new(config.max_bytes_per_s),
            urgent: Mutex::default(),
            wake: watch::channel(0).0,
        }
    }
    /// Returns the blobs.
    pub fn blobs(&self) -> &Arc<Blobs> {
        &self.blobs
    }
    /// Returns how many bytes an attachment may have.
    pub fn bytes_max(&self) -> u64 {
        self.bytes_max
    }
    /// Returns how many bytes of an attachment are here.
    pub fn bytes_here(&self, attachment: &Attachment) -> u64 {
        match self.blobs.presence(attachment.hash) {
            Presence::Whole => attachment.bytes,
            Presence::Chunks(chunks) => {
                (u64::from(chunks) * CHUNK_BYTES as u64).min(attachment.bytes)
            }
        }
    }
    fn urgent(&self) -> MutexGuard<'_, BTreeSet<Hash>> {
        self.urgent.lock().unwrap_or_else(PoisonError::into_inner)
    }
    /// Has a blob fetched before all others, and at once.
    pub fn want_now(&self, blob: Hash) {
        self.urgent().insert(blob);
        self.wake.send_modify(|count| *count += 1);
    }
}

impl Sync {
    /// Returns what is shared by everyone who has to do with blobs.
    pub fn desk(&self) -> &Arc<Desk> {
        &self.0.desk
    }

    /// Returns the attachments whose bytes are not all here, of memories that are mine or that a
    /// grant gives me now.
    pub fn missing_blobs(&self) -> Vec<Missing> {
        let mut missing = Vec::new();
        self.0.store.read(|state| {
            for (memory, attachments) in state.attached() {
                let lacking = attachments
                    .iter()
                    .filter(|attachment| !self.0.desk.blobs.holds(attachment.hash));
                let Some(owner) = wanted_of(state, memory) else {
                    continue;
                };
                missing.extend(lacking.map(|attachment| Missing {
                    memory,
                    owner,
                    attachment: attachment.clone(),
                    bytes_here: self.0.desk.bytes_here(attachment),
                }));
            }
        });
        missing
    }

    /// Removes the bytes that no memory refers to.
    pub fn sweep_blobs(&self) -> Result<(), BlobError> {
        let store = &self.0.store;
        let removed = self.0.desk.blobs.sweep(|| store.read(State::blobs))?;
        if removed > 0 {
            tracing::debug!(removed, "blobs that no memory refers to were removed");
        }
        Ok(())
    }
}

/// Returns who owns a memory whose attachments belong here.
fn wanted_of(state: &State, memory: MemoryId) -> Option<PersonId> {
    let facts = state.memories.get(&memory).filter(|facts| !facts.purged)?;
    let is_given = || state.held_under(facts, clock::now()).next().is_some();
    (facts.owner == state.me || is_given()).then_some(facts.owner)
}
