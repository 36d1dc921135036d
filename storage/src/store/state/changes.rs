//! What changed since someone last looked: so that a view is kept up to date, not made anew.
//!
//! Each commit notes the memories it touched. A change of who may see what (a grant, a policy, a
//! pairing, a cut) concerns all of them. What lies too far back counts as everything.
//!
//! Invariant: a memory that may stand differently to anyone than at a mark is named, or everything
//! is.

use super::State;
use crdt::id::MemoryId;
use std::collections::{BTreeSet, VecDeque};

/// Memories that are named; beyond that, everything changed. 40 bytes each.
const RECENT_MAX: usize = 65_536;

/// A moment in the life of a store, until it is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mark(u64);

/// What may stand differently since a mark.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Since {
    /// These memories; none, if nothing changed.
    Memories(BTreeSet<MemoryId>),
    /// Any of them.
    Everything,
}

/// The commits since the store was opened, as far as views ask.
#[derive(Debug, Clone, Default)]
pub(crate) struct Changes {
    commits: u64,
    /// The last commit that concerned everything, or that is not remembered any more.
    everything: u64,
    recent: VecDeque<(u64, MemoryId)>,
}

impl Changes {
    /// Notes a commit.
    pub(crate) fn note(&mut self, memories: impl IntoIterator<Item = MemoryId>, everything: bool) {
        self.commits += 1;
        let commit = self.commits;
        if everything {
            self.everything = commit;
            self.recent.clear();
            return;
        }
        self.recent
            .extend(memories.into_iter().map(|memory| (commit, memory)));
        while self.recent.len() > RECENT_MAX {
            if let Some((forgotten, _)) = self.recent.pop_front() {
                self.everything = forgotten;
            }
        }
    }
    /// Goes on after the state was made anew.
    pub(crate) fn restarted(&self) -> Self {
        let mut next = self.clone();
        next.note([], true);
        next
    }
    fn since(&self, mark: Mark) -> Since {
        if mark.0 < self.everything {
            return Since::Everything;
        }
        let from = self.recent.partition_point(|(commit, _)| *commit <= mark.0);
        let memories = self.recent.range(from..).map(|(_, memory)| *memory);
        Since::Memories(memories.collect())
    }
}

impl State {
    /// Returns the present moment, for a later [`State::changed_since`].
    pub fn mark(&self) -> Mark {
        Mark(self.changes.commits)
    }
    /// Returns which memories may stand differently to a peer than at a mark; expiry aside, which
    /// comes without a commit.
    pub fn changed_since(&self, mark: Mark) -> Since {
        self.changes.since(mark)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn memory(number: u64) -> MemoryId {
        let mut id = [0; 32];
        id[..8].copy_from_slice(&number.to_le_bytes());
        MemoryId(id)
    }
    fn named(numbers: &[u64]) -> Since {
        Since::Memories(numbers.iter().map(|number| memory(*number)).collect())
    }

    #[test]
    fn what_changed_is_named_until_it_is_too_much() {
        let mut changes = Changes::default();
        let start = Mark(0);
        assert_eq!(changes.since(start), named(&[]));
        changes.note([memory(1), memory(2)], false);
        let first = Mark(1);
        changes.note([memory(2), memory(3)], false);
        assert_eq!(changes.since(start), named(&[1, 2, 3]));
        assert_eq!(changes.since(first), named(&[2, 3]));
        changes.note([], true);
        assert_eq!(changes.since(first), Since::Everything);
        let second = Mark(3);
        assert_eq!(changes.since(second), named(&[]));
        assert_eq!(changes.restarted().since(second), Since::Everything);
        changes.note((0..RECENT_MAX as u64).map(memory), false);
        let third = Mark(4);
        changes.note([memory(7)], false);
        assert_eq!(changes.since(second), Since::Everything);
        assert_eq!(changes.since(third), named(&[7]));
    }
}
