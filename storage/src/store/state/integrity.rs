//! What the state knows of damage: forked feeds, quarantined memories, events that wait.

use super::State;
use crate::quarantine::Quarantined;
use crate::waiting::Share;
use crdt::event::fork::Frozen;
use crdt::id::{MemoryId, PersonId};

impl State {
    /// Returns the feeds that forked, each with its memory.
    pub fn frozen(&self) -> impl Iterator<Item = (MemoryId, &Frozen)> {
        let forks = self.forks.values();
        forks.flat_map(|forked| forked.frozen.iter().map(|frozen| (forked.memory, frozen)))
    }
    /// Returns the memories that are kept out of editing and merging.
    pub fn quarantined(&self) -> impl Iterator<Item = &Quarantined> {
        self.quarantined.values()
    }
    /// Returns why a memory is kept out of editing and merging, if it is.
    pub fn is_quarantined(&self, memory: MemoryId) -> Option<&Quarantined> {
        self.quarantined.get(&memory)
    }
    /// Returns how much of a peer's events waits for what it builds on.
    pub fn waiting(&self, peer: PersonId) -> Share {
        self.waiting.share(peer)
    }
}
