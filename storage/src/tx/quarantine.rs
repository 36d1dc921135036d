//! Quarantine: one memory's document fails, and everything else goes on.
//!
//! ```text
//! load | materialise | apply | project | save -> panic or failure -> Broken -> quarantine
//! ```
//!
//! What fails is found inside a transaction that is then given up; the store notes the memory in
//! one of its own. Only a rebuild lets it out again.
//!
//! Invariant: a panic of Automerge never leaves this crate, and never ends a rebuild or a start.

use super::Tx;
use super::append::AppendError;
use crate::layout;
use crate::quarantine::Quarantined;
use crdt::codec::Canonical as _;
use crdt::event::{Event, Kind, Signed};
use crdt::id::MemoryId;
use crdt::memory::contained;

impl Tx<'_> {
    /// Runs work on a memory's document; a panic or a broken document is noted.
    pub(super) fn contained<T>(
        &self,
        memory: MemoryId,
        work: impl FnOnce() -> Result<T, AppendError>,
    ) -> Result<T, AppendError> {
        let outcome = contained(work);
        let outcome = outcome.unwrap_or_else(|| {
            let reason = "automerge panicked".to_owned();
            Err(AppendError::Broken(memory, reason))
        });
        if let Err(AppendError::Broken(memory, reason)) = &outcome {
            self.broken.replace(Some((*memory, reason.clone())));
        }
        outcome
    }

    /// Keeps a memory out of editing and merging from now on.
    pub(crate) fn quarantine(&mut self, memory: MemoryId, reason: String) {
        if self.state.quarantined.contains_key(&memory) {
            return;
        }
        tracing::error!(%memory, reason, "a memory is quarantined");
        self.save_quarantined();
        let row = Quarantined::new(memory, self.now, reason);
        self.put(layout::QUARANTINE, self.memory_key(memory), row.to_bytes());
        self.state.quarantined.insert(memory, row);
    }

    /// Returns the memory whose document failed in this transaction.
    pub(crate) fn take_broken(&self) -> Option<(MemoryId, String)> {
        self.broken.take()
    }

    /// Refuses changes of a quarantined memory. A purge is let through: it needs no document.
    pub(super) fn check_quarantine(&self, event: &Signed<Event>) -> Result<(), AppendError> {
        match event.memory() {
            Some(memory)
                if event.header().kind == Kind::Change
                    && self.state.quarantined.contains_key(&memory) =>
            {
                Err(AppendError::Quarantined(memory))
            }
            _ => Ok(()),
        }
    }

    /// Lets a memory out of quarantine: nothing of it is left.
    pub(super) fn release_purged(&mut self, memory: MemoryId) {
        if self.state.quarantined.contains_key(&memory) {
            self.save_quarantined();
            self.delete(layout::QUARANTINE, self.memory_key(memory));
            self.state.quarantined.remove(&memory);
        }
    }

    /// Tells whether changes of a memory are taken from the log without being merged: it was
    /// quarantined while the log was replayed.
    pub(super) fn is_passed_over(&self, memory: MemoryId) -> bool {
        self.is_replaying && self.state.quarantined.contains_key(&memory)
    }
}

/// Makes work on chosen memories panic: no document is known that passes the gate and does.
#[cfg(test)]
pub(crate) mod tripwire {
    use crdt::id::MemoryId;
    use std::collections::BTreeSet;
    use std::sync::{Mutex, PoisonError};

    static LAID: Mutex<BTreeSet<MemoryId>> = Mutex::new(BTreeSet::new());

    pub(crate) fn lay(memory: MemoryId) {
        let mut laid = LAID.lock().unwrap_or_else(PoisonError::into_inner);
        laid.insert(memory);
    }
    pub(crate) fn clear(memory: MemoryId) {
        let mut laid = LAID.lock().unwrap_or_else(PoisonError::into_inner);
        laid.remove(&memory);
    }
    pub(crate) fn step_on(memory: MemoryId) {
        let is_laid = LAID
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .contains(&memory);
        assert!(!is_laid, "a tripwire of the tests");
    }
}
