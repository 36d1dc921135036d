//! Masks: which documents of a segment a narrow view shows, a bit for each.
//!
//! A search asks this of every posting. The slot of a document and its bit in the allowed set are two
//! more places in memory, and whether it was deleted is a third; a mask is one, and small enough for
//! the processor's nearest cache. To make one takes as long as counting a frequent word, so those of
//! the last views are kept: who searches inside a tag searches there again.
//!
//! Invariant: a mask is used only for the set it was made of, compared member by member, and for as
//! many deleted documents of its segment.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use tantivy::index::SegmentId;
use tantivy::{DocId, SegmentReader};

use super::columns::Columns;
use super::sheet::{WORD_BITS, place};
use crate::slots::{Slot, SlotSet};

/// The views that are kept; each takes a bit for every document, and as much for its set.
const KEPT_MAX: usize = 4;

/// The documents of a segment that are shown.
#[derive(Debug)]
pub(super) struct Mask(Vec<u64>);

/// The masks of the views that were searched last, the latest first.
#[derive(Debug, Default)]
pub(super) struct Masks(Mutex<VecDeque<Kept>>);

#[derive(Debug)]
struct Kept {
    allowed: SlotSet,
    /// With how many documents were deleted then.
    masks: HashMap<SegmentId, (u32, Arc<Mask>)>,
}

impl Mask {
    fn of(reader: &SegmentReader, columns: &Columns, allowed: &SlotSet) -> Self {
        let is_shown =
            |(doc, slot): (DocId, &u64)| allowed.contains(Slot(*slot)) && !reader.is_deleted(doc);
        let mut words = vec![0_u64; columns.slots().len().div_ceil(WORD_BITS)];
        for entry in (0..).zip(columns.slots()) {
            let at = place(entry.0);
            words[at / WORD_BITS] |= u64::from(is_shown(entry)) << (at % WORD_BITS);
        }
        Self(words)
    }

    /// Tells whether a document is shown.
    pub(super) fn shows(&self, doc: DocId) -> bool {
        let at = place(doc);
        let word = self.0.get(at / WORD_BITS);
        word.is_some_and(|word| word & (1 << (at % WORD_BITS)) != 0)
    }
}

impl Masks {
    /// Returns the masks of these segments, in their order; one that is not kept is made.
    pub(super) fn of(
        &self,
        readers: &[SegmentReader],
        columns: &[Arc<Columns>],
        allowed: &SlotSet,
    ) -> Vec<Arc<Mask>> {
        let mut views = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let at = views.iter().position(|kept| kept.allowed == *allowed);
        let mut kept = at.and_then(|at| views.remove(at)).unwrap_or_else(|| Kept {
            allowed: allowed.clone(),
            masks: HashMap::new(),
        });
        let mut masks = Vec::with_capacity(readers.len());
        for (reader, columns) in readers.iter().zip(columns) {
            let (id, deleted) = (reader.segment_id(), reader.num_deleted_docs());
            let known = kept.masks.get(&id).filter(|(then, _)| *then == deleted);
            let mask = known.map_or_else(
                || Arc::new(Mask::of(reader, columns, allowed)),
                |(_, mask)| Arc::clone(mask),
            );
            masks.push((id, (deleted, mask)));
        }
        kept.masks = masks.iter().cloned().collect();
        views.push_front(kept);
        views.truncate(KEPT_MAX);
        masks.into_iter().map(|(_, (_, mask))| mask).collect()
    }
}
