//! The view of a pair: what two nodes compare.
//!
//! An [`Item`] is an event of a memory in the view, or the membership of a memory in a grant
//! (which is what brings its key). Both sides list theirs, sorted; equal lists have equal
//! fingerprints, and only equal fingerprints are called "in sync".

use crdt::envelope::Epoch;
use crdt::hash::Hash;
use crdt::id::{EventId, GrantId, MemoryId};

/// Something that a peer can have or lack.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Item {
    /// Its place in time: reconciliation works best when what is new lies together.
    pub time: u64,
    /// The event's id, or the hash that stands for a membership.
    pub id: [u8; 32],
}

/// Returns the id of the membership of a memory in a grant.
pub fn membership_id(grant: GrantId, memory: MemoryId) -> [u8; 32] {
    let parts: [&[u8]; 2] = [grant.as_bytes(), memory.as_bytes()];
    Hash::of("second-brain 2026 v1 membership", &parts).0
}

/// Returns the id of the fact that a memory's key of an epoch was given under a grant: what the
/// devices of one person tell each other.
pub fn given_id(grant: GrantId, memory: MemoryId, epoch: Epoch) -> [u8; 32] {
    let epoch = epoch.0.to_le_bytes();
    let parts: [&[u8]; 3] = [grant.as_bytes(), memory.as_bytes(), &epoch];
    Hash::of("second-brain 2026 v1 given key", &parts).0
}

/// All items of a pair's view as one side has them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct View {
    items: Vec<Item>,
    events: u64,
    fingerprint: Option<Hash>,
}

impl View {
    /// Sorts the items; `events` of them are events.
    pub fn new(mut items: Vec<Item>, events: u64) -> Self {
        items.sort_unstable();
        items.dedup();
        let mut ids: Vec<&[u8; 32]> = items.iter().map(|item| &item.id).collect();
        ids.sort_unstable();
        let parts: Vec<&[u8]> = ids.iter().map(|id| id.as_slice()).collect();
        let fingerprint = Some(Hash::of("second-brain 2026 v1 view", &parts));
        Self {
            items,
            events,
            fingerprint,
        }
    }
    /// Returns the items in order of time.
    pub fn items(&self) -> &[Item] {
        &self.items
    }
    /// Returns what both sides compare.
    pub fn summary(&self) -> Summary {
        let fingerprint = self
            .fingerprint
            .unwrap_or_else(|| Hash::of("second-brain 2026 v1 view", &[]));
        Summary {
            events: self.events,
            items: self.items.len() as u64,
            fingerprint,
        }
    }
    /// Returns the items that are here but not in `other`.
    pub fn without<'a>(&'a self, other: &'a Self) -> impl Iterator<Item = Item> + 'a {
        self.items
            .iter()
            .copied()
            .filter(|item| other.items.binary_search(item).is_err())
    }
    /// Tells whether an item is here.
    pub fn holds(&self, item: &Item) -> bool {
        self.items.binary_search(item).is_ok()
    }
}

/// Counts and fingerprint of a view.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Summary {
    /// How many events.
    pub events: u64,
    /// How many items.
    pub items: u64,
    /// The hash over all ids in ascending order.
    pub fingerprint: Hash,
}

/// Keeps a mapping from event ids, for callers that offer events.
pub fn event_item(time: u64, event: EventId) -> Item {
    Item { time, id: event.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_sets_have_equal_fingerprints_in_any_order() {
        let item = |n: u8| Item {
            time: u64::from(n),
            id: [n; 32],
        };
        let one = View::new(vec![item(1), item(2)], 2);
        let other = View::new(vec![item(2), item(1), item(2)], 2);
        assert_eq!(one.summary(), other.summary());
        let less = View::new(vec![item(1)], 1);
        assert_ne!(one.summary().fingerprint, less.summary().fingerprint);
        assert_eq!(one.without(&less).collect::<Vec<_>>(), [item(2)]);
        assert_eq!(
            View::default().summary().fingerprint,
            View::new(vec![], 0).summary().fingerprint
        );
    }
}
