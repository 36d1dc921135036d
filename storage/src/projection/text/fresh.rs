//! Fresh: the few documents that came since the last commit, searched beside what that shows.
//!
//! A commit takes the engine some threads and files, and whoever searches would wait for it. A few new
//! documents are indexed in memory instead, by the first search after them.
//!
//! Flow: [`Fresh::take_in`] -> [`Fresh::aside`] -> a commit shows them and leaves [`Fresh::default`].
//!
//! Invariant: no slot is both here and in what the last commit shows. What would be, or is too much,
//! is [`Fresh::Much`].

use std::sync::Arc;

use super::aside::TextAside;
use super::{TextDoc, TextError};
use crate::slots::Slot;

/// The most documents, and the bytes of all of them; beyond that a commit costs less.
const DOCS_MAX: usize = 64;
const BYTES_MAX: usize = 128 << 10;

/// What came since the last commit.
pub(super) enum Fresh {
    /// New documents.
    Few(Few),
    /// What only a commit shows.
    Much,
}

#[derive(Default)]
pub(super) struct Few {
    aside: Arc<TextAside>,
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
            Self::Few(few) => few.aside.len() + few.waiting.len(),
            Self::Much => 0,
        }
    }

    /// Takes changes; `is_shown` tells whether the last commit shows a slot.
    pub(super) fn take_in(
        &mut self,
        upserts: &[TextDoc],
        deletes: &[Slot],
        is_shown: impl Fn(Slot) -> Result<bool, TextError>,
    ) -> Result<(), TextError> {
        let Self::Few(few) = self else {
            return Ok(());
        };
        few.bytes += upserts.iter().map(bytes).sum::<usize>();
        let count = few.aside.added() + few.waiting.len() + upserts.len();
        let mut is_few = count.max(deletes.len()) <= DOCS_MAX && few.bytes <= BYTES_MAX;
        let upserted = upserts.iter().map(|doc| doc.slot);
        let slots: Vec<Slot> = upserted.chain(deletes.iter().copied()).collect();
        for slot in &slots {
            is_few = is_few && !is_shown(*slot)?;
        }
        if !is_few {
            *self = Self::Much;
            return Ok(());
        }
        for slot in slots {
            few.remove(slot);
        }
        few.waiting.extend_from_slice(upserts);
        Ok(())
    }

    /// Returns all of them, indexed; none if only a commit shows what came.
    pub(super) fn aside(&mut self) -> Option<Arc<TextAside>> {
        let Self::Few(few) = self else {
            return None;
        };
        for doc in few.waiting.drain(..) {
            Arc::make_mut(&mut few.aside).add(&doc);
        }
        Some(Arc::clone(&few.aside))
    }
}

impl Few {
    fn remove(&mut self, slot: Slot) {
        self.waiting.retain(|doc| doc.slot != slot);
        if self.aside.has(slot) {
            Arc::make_mut(&mut self.aside).remove(slot);
        }
    }
}

fn bytes(doc: &TextDoc) -> usize {
    let tags: usize = doc.tags.iter().map(String::len).sum();
    doc.title.len() + doc.body.len() + tags
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

    fn take_in(fresh: &mut Fresh, upserts: &[TextDoc], deletes: &[Slot]) {
        let is_shown = |slot: Slot| Ok(slot.0 < 100);
        fresh.take_in(upserts, deletes, is_shown).unwrap();
    }

    #[test]
    fn what_changed_or_is_gone_is_found_once_or_not_at_all() {
        let mut fresh = Fresh::default();
        take_in(&mut fresh, &[doc(100, 1), doc(101, 1), doc(102, 1)], &[]);
        take_in(&mut fresh, &[doc(100, 2)], &[Slot(101), Slot(900)]);
        assert_eq!(fresh.len(), 2);
        let before = fresh.aside().unwrap();
        take_in(&mut fresh, &[doc(102, 1), doc(103, 1)], &[Slot(100)]);
        assert_eq!(
            (before.len(), fresh.len()),
            (2, 2),
            "who searches is not disturbed"
        );
        let after = fresh.aside().unwrap();
        let has = [100, 101, 102, 103].map(|slot| after.has(Slot(slot)));
        assert_eq!((has, after.len()), ([false, false, true, true], 2));
    }

    #[test]
    fn what_is_shown_already_or_too_much_is_left_to_a_commit() {
        let check = |upserts: &[TextDoc], deletes: &[Slot], expect: bool| {
            let mut fresh = Fresh::default();
            take_in(&mut fresh, &[doc(100, 1)], &[]);
            take_in(&mut fresh, upserts, deletes);
            assert_eq!(fresh.aside().is_some(), expect);
        };
        check(&[doc(101, 1)], &[Slot(100)], true);
        check(&[doc(99, 1)], &[], false);
        check(&[], &[Slot(99)], false);
        check(&[doc(101, BYTES_MAX)], &[], false);
        let docs: Vec<TextDoc> = (200..).map(|slot| doc(slot, 1)).take(DOCS_MAX).collect();
        check(&docs, &[], false);
        check(&docs[1..], &[], true);
    }
}
