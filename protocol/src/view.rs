//! The view of a pair: what two nodes compare.
//!
//! An [`Item`] is an event of a memory in the view, or the membership of a memory in a grant
//! (which is what brings its key). Both sides keep theirs as the memories change; equal sets have
//! equal fingerprints, and only equal fingerprints are called "in sync". A fingerprint costs the
//! same for ten items as for a million: each item that comes or goes is added or taken away.

mod sum;

use crdt::envelope::Epoch;
use crdt::hash::Hash;
use crdt::id::{EventId, GrantId, MemoryId};
use std::collections::BTreeSet;
use sum::Sum;

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

/// All items of a pair's view as one side has them, kept up to date item by item.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct View {
    items: BTreeSet<Item>,
    events: u64,
    sum: Sum,
}

impl View {
    /// Collects items, of which `events` are events.
    pub fn new(items: impl IntoIterator<Item = Item>, events: u64) -> Self {
        let mut view = Self::default();
        for item in items {
            view.insert(item);
        }
        view.events = events;
        view
    }
    /// Adds an item; true if it was not here.
    pub fn insert(&mut self, item: Item) -> bool {
        let is_new = self.items.insert(item);
        if is_new {
            self.sum.add(&item.id);
        }
        is_new
    }
    /// Takes an item away; true if it was here.
    pub fn remove(&mut self, item: &Item) -> bool {
        let was_here = self.items.remove(item);
        if was_here {
            self.sum.remove(&item.id);
        }
        was_here
    }
    /// Says how many of the items are events.
    pub fn set_events(&mut self, events: u64) {
        self.events = events;
    }
    /// Returns the items in order of time.
    pub fn items(&self) -> impl ExactSizeIterator<Item = &Item> {
        self.items.iter()
    }
    /// Returns what both sides compare.
    pub fn summary(&self) -> Summary {
        let items = self.items.len() as u64;
        Summary {
            events: self.events,
            items,
            fingerprint: self.sum.digest(&items.to_le_bytes()),
        }
    }
    /// Returns the items that are here but not in `other`.
    pub fn without<'a>(&'a self, other: &'a Self) -> impl Iterator<Item = Item> + 'a {
        self.items.difference(&other.items).copied()
    }
    /// Returns the items from a time on.
    pub fn since(&self, time: u64) -> impl Iterator<Item = &Item> {
        let id = [0; 32];
        self.items.range(Item { time, id }..)
    }
    /// Returns the fingerprint of the items before a time; costs as much as there are later ones.
    pub fn before(&self, time: u64) -> Hash {
        let mut sum = self.sum.clone();
        let mut items = self.items.len() as u64;
        for item in self.since(time) {
            sum.remove(&item.id);
            items -= 1;
        }
        sum.digest(&items.to_le_bytes())
    }
    /// Returns the time of the newest item.
    pub fn newest(&self) -> u64 {
        self.items.last().map_or(0, |item| item.time)
    }
    /// Tells whether an item is here.
    pub fn holds(&self, item: &Item) -> bool {
        self.items.contains(item)
    }
    /// Returns what a session has to know of how this view became `next`.
    pub fn change_to(&self, next: &Self) -> Change {
        Change {
            summary: next.summary(),
            newest: next.newest(),
            new: next.without(self).collect(),
        }
    }
}

/// How a view stands, and what came into it since a session last heard of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The view as it stands.
    pub summary: Summary,
    /// The time of its newest item.
    pub newest: u64,
    /// Items that were not in it; what left it shows in the summary only.
    pub new: Vec<Item>,
}

/// Counts and fingerprint of a view.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Summary {
    /// How many events.
    pub events: u64,
    /// How many items.
    pub items: u64,
    /// The hash over the sum of all ids.
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
        let mut more = less.clone();
        assert!(more.insert(item(2)) && !more.insert(item(2)));
        more.set_events(2);
        assert_eq!(more.summary(), one.summary());
        assert_eq!(less.change_to(&more).new, [item(2)]);
        assert_eq!(more.before(2), less.summary().fingerprint);
        assert_eq!(more.before(3), more.summary().fingerprint);
        assert_eq!((more.newest(), more.since(2).count()), (2, 1));
        assert!(more.remove(&item(2)) && !more.remove(&item(2)));
        more.set_events(1);
        assert_eq!(more.summary(), less.summary());
    }
}
