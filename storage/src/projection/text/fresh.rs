//! Fresh: the few documents that came since the last commit, searched beside what that shows.
//!
//! A commit takes the engine some threads and files, and whoever searches would wait for it. A few new
//! documents are indexed in memory instead, by the first search after them.
//!
//! Flow: [`Fresh::take_in`] -> [`Fresh::index`] -> a commit shows them and leaves [`Fresh::default`].
//!
//! Invariant: no slot is both here and in what the last commit shows. If one would be, or there is too
//! much, it is [`Fresh::Much`].

use std::sync::Arc;

use super::TextDoc;
use super::small::SmallIndex;
use crate::slots::Slot;

/// The most documents, and the bytes of all of them; beyond that a commit costs less.
const DOCS_MAX: usize = 64;
const BYTES_MAX: usize = 64 << 10;

/// What came since the last commit.
pub(super) enum Fresh {
    /// New documents.
    Few(Few),
    /// What only a commit shows.
    Much,
}

#[derive(Default)]
pub(super) struct Few {
    index: Arc<SmallIndex>,
    /// Those that nobody searched yet.
    waiting: Vec<TextDoc>,
    /// Of all that came, also if they are gone.
    bytes: usize,
}

impl Default for Fresh {
    fn default() -> Self {
        Self::Few(Few::default())
    }
}

impl Fresh {
    /// Returns how many documents are here.
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Few(few) => few.index.len() + few.waiting.len(),
            Self::Much => 0,
        }
    }

    /// Tells whether there is room for changes.
    pub(super) fn has_room(&self, upserts: &[TextDoc], deletes: &[Slot]) -> bool {
        let Self::Few(few) = self else {
            return false;
        };
        let count = few.index.added() + few.waiting.len() + upserts.len();
        let bytes = few.bytes + bytes(upserts);
        count.max(deletes.len()) <= DOCS_MAX && bytes <= BYTES_MAX
    }

    /// Takes changes of slots that the last commit does not show.
    pub(super) fn take_in(&mut self, upserts: &[TextDoc], deletes: &[Slot]) {
        let Self::Few(few) = self else {
            return;
        };
        for slot in deletes {
            few.remove(*slot);
        }
        for doc in upserts {
            few.remove(doc.slot);
            few.waiting.push(doc.clone());
        }
        few.bytes += bytes(upserts);
    }

    /// Returns all of them, indexed; none if only a commit shows what came.
    pub(super) fn index(&mut self) -> Option<Arc<SmallIndex>> {
        let Self::Few(few) = self else {
            return None;
        };
        for doc in few.waiting.drain(..) {
            Arc::make_mut(&mut few.index).add(&doc);
        }
        Some(Arc::clone(&few.index))
    }
}

impl Few {
    fn remove(&mut self, slot: Slot) {
        self.waiting.retain(|doc| doc.slot != slot);
        if self.index.has(slot) {
            Arc::make_mut(&mut self.index).remove(slot);
        }
    }
}

fn bytes(docs: &[TextDoc]) -> usize {
    let parts = docs.iter().map(|doc| {
        let tags: usize = doc.tags.iter().map(String::len).sum();
        doc.title.len() + doc.body.len() + tags
    });
    parts.sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn doc(slot: u64, bytes: usize) -> TextDoc {
        TextDoc {
            slot: Slot(slot),
            title: String::new(),
            body: "a".repeat(bytes),
            tags: Vec::new(),
        }
    }

    #[test]
    fn what_changed_or_is_gone_is_found_once_or_not_at_all() {
        let mut fresh = Fresh::default();
        fresh.take_in(&[doc(100, 1), doc(101, 1), doc(102, 1)], &[]);
        fresh.take_in(&[doc(100, 2)], &[Slot(101), Slot(900)]);
        assert_eq!(fresh.len(), 2);
        let before = fresh.index().unwrap();
        fresh.take_in(&[doc(102, 1), doc(103, 1)], &[Slot(100)]);
        assert_eq!(
            (before.len(), fresh.len()),
            (2, 2),
            "who searches is not disturbed"
        );
        let after = fresh.index().unwrap();
        let has = [100, 101, 102, 103].map(|slot| after.has(Slot(slot)));
        assert_eq!((has, after.len()), ([false, false, true, true], 2));
    }

    #[test]
    fn there_is_room_for_a_few() {
        let check = |upserts: &[TextDoc], deletes: &[Slot], expect: bool| {
            let mut fresh = Fresh::default();
            fresh.take_in(&[doc(100, 1)], &[]);
            // What changed counts as well: the maps keep its words.
            for _ in 0..2 {
                assert!(fresh.index().is_some());
                fresh.take_in(&[doc(100, 1)], &[]);
            }
            assert_eq!(fresh.has_room(upserts, deletes), expect);
        };
        let docs: Vec<TextDoc> = (200..).map(|slot| doc(slot, 1)).take(DOCS_MAX).collect();
        let slots: Vec<Slot> = docs.iter().map(|doc| doc.slot).collect();
        check(&[doc(101, BYTES_MAX - 3)], &[Slot(100)], true);
        check(&[doc(101, BYTES_MAX - 2)], &[], false);
        check(&docs[3..], &[], true);
        check(&docs[2..], &[], false);
        check(&[], &slots, true);
        check(&[], &[&slots[..], &[Slot(100)]].concat(), false);
        assert!(!Fresh::Much.has_room(&[], &[]));
    }
}
