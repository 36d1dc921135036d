//! Quotas: how much of a peer's memories the policy takes in.

use super::Tx;
use crdt::id::{MemoryId, PersonId};
use std::collections::BTreeSet;

/// The code of a refusal because the policy takes no more from a peer.
pub const OVER_QUOTA: &str = "over_quota";

/// What may still be taken from a peer.
#[derive(Debug, Default)]
pub(super) struct Room {
    /// Memories, if the policy sets a limit.
    memories: Option<u64>,
    /// Bytes of text, if the policy sets a limit.
    bytes: Option<u64>,
    /// Memories that took some of the room already.
    let_in: BTreeSet<MemoryId>,
}

impl Room {
    /// Takes room for a memory that was not given before; false if there is none.
    pub(super) fn admit(&mut self, memory: MemoryId) -> bool {
        let Some(left) = &mut self.memories else {
            return true;
        };
        if self.let_in.contains(&memory) {
            return true;
        }
        if *left == 0 {
            return false;
        }
        *left -= 1;
        self.let_in.insert(memory)
    }
    /// Takes room for bytes of an event; false if there is too little.
    pub(super) fn take(&mut self, bytes: usize) -> bool {
        let Some(left) = &mut self.bytes else {
            return true;
        };
        let bytes = bytes as u64;
        let fits = bytes <= *left;
        if fits {
            *left -= bytes;
        }
        fits
    }
    /// Tells whether no further memory finds room.
    pub(super) fn is_full(&self) -> bool {
        self.memories == Some(0)
    }
    /// Tells whether the policy sets a limit on memories.
    pub(super) fn is_counted(&self) -> bool {
        self.memories.is_some()
    }
}

impl Tx<'_> {
    /// Returns what may still be taken from a peer.
    pub(super) fn room(&self, peer: PersonId) -> Room {
        let rules = self.state.peer_rules(peer);
        let mut room = Room::default();
        if let Some(limit) = rules.max_memories {
            let given = self.state.members.values().filter(|grants| {
                grants.keys().any(|grant| {
                    let grant = self.state.authority.grant(*grant);
                    grant.is_some_and(|grant| grant.owner == peer)
                })
            });
            room.memories = Some(limit.saturating_sub(given.count() as u64));
        }
        if let Some(limit) = rules.max_bytes {
            let theirs = self.state.memories.values().filter(|f| f.owner == peer);
            room.bytes = Some(limit.saturating_sub(theirs.map(|facts| facts.bytes).sum()));
        }
        room
    }
}
