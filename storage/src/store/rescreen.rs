//! Screening again: every memory that was screened under another policy than the one in force.
//!
//! Until its turn comes a memory is held, so a stricter policy is in force at once.

use super::{Store, StoreError};
use crate::kv::Durability;
use crate::tx::Tx;
use crdt::id::MemoryId;
use crdt::time::Timestamp;
use std::sync::PoisonError;

/// Memories screened in one commit: some milliseconds in which nobody else writes.
const BATCH: usize = 256;

impl Store {
    /// Screens what was not screened under the policy in force; returns how many.
    pub fn rescreen(&self, now: Timestamp) -> Result<usize, StoreError> {
        let stale: Vec<MemoryId> = self.read(|state| {
            let memories = state.memories.values();
            let stale = memories.filter(|facts| !state.is_screened(facts));
            stale.map(|facts| facts.id).collect()
        });
        for batch in stale.chunks(BATCH) {
            let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
            let mut tx = Tx::new(
                &mut state,
                &*self.kv,
                &self.opaque,
                (&self.owner, &self.entropy),
                now,
            );
            for memory in batch {
                tx.screen_again(*memory)?;
            }
            tx.commit(Durability::Durable)?;
        }
        Ok(stale.len())
    }
}
