//! Vectors: the nearest memories by meaning, by exact scan.
//!
//! Every memory has one vector per chunk of its text. In memory a vector is one byte per dimension
//! and a scale; the exact vectors stay with the caller, who keeps them as [`SlotVectors::encode`]d
//! bytes. There is no graph and no training: a put or remove is complete when it returns, and a
//! filter is exact, because only the allowed slots are ever compared.
//!
//! Flow: embed -> [`SlotVectors::new`] -> bytes kept by the caller, codes put into [`VectorIndex`]
//! -> [`VectorIndex::search`] -> optionally exact scores from [`VectorIndex::search_exact`].
//!
//! The codes lie one after the other, so that a scan reads memory as it comes; it is compiled for
//! several kinds of processors, and the best that this one has runs.
//!
//! Invariant: a slot that is not allowed has no influence on the result, not even on its order.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

use pulp::Arch;

use crate::slots::{Slot, SlotSet};

mod stored;

pub use stored::{CHUNKS_MAX, DIMENSIONS_MAX, DecodeError, SlotVectors};
use stored::{Quantised, normalised};

/// Rows are moved together when one of so many is dead.
const DEAD_PART: usize = 4;

/// Candidates rescored with exact vectors per wanted hit; 4 brings recall at ten to one.
const RESCORE_FACTOR: usize = 4;

/// Why vectors were refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VectorError {
    /// The vector has another number of dimensions than the index.
    #[error("vector has {found} dimensions, the index has {expected}")]
    Dimensions {
        /// The dimensions of the index.
        expected: usize,
        /// The dimensions of the vector.
        found: usize,
    },
    /// The vector contains an infinity or something that is not a number.
    #[error("vector is not finite")]
    NotFinite,
    /// The slot has no chunk, or more than [`CHUNKS_MAX`].
    #[error("a slot needs 1 to {CHUNKS_MAX} vectors, not {found}")]
    Chunks {
        /// The number of vectors given.
        found: usize,
    },
}

/// The vectors of all memories, quantised, in memory.
#[derive(Debug)]
pub struct VectorIndex {
    dimensions: usize,
    entries: Vec<Entry>,
    places: HashMap<Slot, usize>,
    rows: Quantised,
    /// Rows that belong to no entry any more.
    dead: usize,
}

/// One slot's chunks: rows that follow each other.
#[derive(Debug, Clone, Copy)]
struct Entry {
    slot: Slot,
    first: usize,
    rows: usize,
}

impl VectorIndex {
    /// Creates an empty index for vectors of `dimensions` dimensions.
    pub fn new(dimensions: usize) -> Self {
        Self {
            dimensions,
            entries: Vec::new(),
            places: HashMap::new(),
            rows: Quantised::default(),
            dead: 0,
        }
    }

    /// Returns the number of dimensions.
    pub fn dimensions(&self) -> usize {
        self.dimensions
    }

    /// Returns the number of slots that have vectors.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Returns whether no slot has vectors.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Sets a slot's vectors, one per chunk, in place of those it had.
    pub fn put(&mut self, slot: Slot, chunks: &[Vec<f32>]) -> Result<(), VectorError> {
        self.put_stored(slot, &SlotVectors::new(self.dimensions, chunks)?)
    }

    /// Sets a slot's vectors from their stored form, as read back when the node starts.
    pub fn put_stored(&mut self, slot: Slot, stored: &SlotVectors) -> Result<(), VectorError> {
        self.check_dimensions(stored.dimensions())?;
        let chunks = stored.quantised();
        let entry = Entry {
            slot,
            first: self.rows.len(),
            rows: chunks.len(),
        };
        self.rows.append(chunks);
        if let Some(&place) = self.places.get(&slot) {
            let old = std::mem::replace(&mut self.entries[place], entry);
            self.bury(old);
        } else {
            self.places.insert(slot, self.entries.len());
            self.entries.push(entry);
        }
        Ok(())
    }

    /// Notes that rows are not needed any more, and moves the others together when there are many.
    fn bury(&mut self, entry: Entry) {
        self.dead += entry.rows;
        if self.dead * DEAD_PART < self.rows.len() {
            return;
        }
        let mut together = Quantised::default();
        for entry in &mut self.entries {
            let first = together.len();
            together.append_part(&self.rows, entry.first, entry.rows, self.dimensions);
            entry.first = first;
        }
        self.rows = together;
        self.dead = 0;
    }

    /// Forgets a slot's vectors and returns whether it had any.
    pub fn remove(&mut self, slot: Slot) -> bool {
        let Some(place) = self.places.remove(&slot) else {
            return false;
        };
        let gone = self.entries.swap_remove(place);
        if let Some(moved) = self.entries.get(place) {
            self.places.insert(moved.slot, place);
        }
        self.bury(gone);
        true
    }

    /// Forgets all vectors.
    pub fn clear(&mut self) {
        *self = Self::new(self.dimensions);
    }

    /// Returns the `limit` nearest slots by cosine of their best chunk, nearest first.
    ///
    /// Cosines come from the quantised vectors: their error is about 0.01.
    pub fn search(
        &self,
        query: &[f32],
        allowed: Option<&SlotSet>,
        limit: usize,
    ) -> Result<Vec<(Slot, f32)>, VectorError> {
        self.check_dimensions(query.len())?;
        let query = Quantised::of(&[normalised(query)?]);
        let mut best = Best::new(limit);
        // The closure is compiled for several kinds of processors.
        Arch::new().dispatch(|| match allowed {
            None => self.scan(self.entries.iter(), &query, &mut best),
            Some(allowed) if self.is_selective(allowed) => {
                let places = allowed.iter().filter_map(|slot| self.places.get(&slot));
                let entries = places.filter_map(|place| self.entries.get(*place));
                self.scan(entries, &query, &mut best);
            }
            Some(allowed) => {
                let entries = self.entries.iter();
                let entries = entries.filter(|entry| allowed.contains(entry.slot));
                self.scan(entries, &query, &mut best);
            }
        });
        Ok(best.into_sorted())
    }

    /// Offers entries to the best.
    #[expect(
        clippy::inline_always,
        reason = "only what is inlined is compiled for the processor"
    )]
    #[inline(always)]
    fn scan<'a>(
        &self,
        entries: impl Iterator<Item = &'a Entry>,
        query: &Quantised,
        best: &mut Best,
    ) {
        for entry in entries {
            let cosine = self
                .rows
                .best_cosine(entry.first, entry.rows, self.dimensions, query);
            best.offer(Ranked {
                cosine,
                slot: entry.slot,
            });
        }
    }

    /// Returns the `limit` nearest slots, their order decided by the exact vectors `fetch` returns.
    ///
    /// A candidate for which `fetch` has nothing keeps its quantised cosine.
    pub fn search_exact(
        &self,
        query: &[f32],
        allowed: Option<&SlotSet>,
        limit: usize,
        mut fetch: impl FnMut(Slot) -> Option<SlotVectors>,
    ) -> Result<Vec<(Slot, f32)>, VectorError> {
        let mut hits = self.search(query, allowed, limit.saturating_mul(RESCORE_FACTOR))?;
        let query = normalised(query)?;
        for (slot, cosine) in &mut hits {
            if let Some(exact) = fetch(*slot).and_then(|stored| stored.cosine(&query)) {
                *cosine = exact;
            }
        }
        hits.sort_by(|left, right| right.1.total_cmp(&left.1).then(left.0.cmp(&right.0)));
        hits.truncate(limit);
        Ok(hits)
    }

    /// Says whether following the allowed slots is cheaper than scanning all with a bitmap test.
    /// Measured, they meet at about 30 % allowed.
    fn is_selective(&self, allowed: &SlotSet) -> bool {
        let all = u64::try_from(self.entries.len()).unwrap_or(u64::MAX);
        allowed.len().saturating_mul(10) < all.saturating_mul(3)
    }

    fn check_dimensions(&self, found: usize) -> Result<(), VectorError> {
        if found == self.dimensions {
            Ok(())
        } else {
            Err(VectorError::Dimensions {
                expected: self.dimensions,
                found,
            })
        }
    }
}

/// The best slots so far: a heap whose top is the worst of them.
#[derive(Debug)]
struct Best {
    limit: usize,
    heap: BinaryHeap<Reverse<Ranked>>,
}

/// A slot with its cosine; greater is better, and of equals the smaller slot.
#[derive(Debug, Clone, Copy)]
struct Ranked {
    cosine: f32,
    slot: Slot,
}

impl Best {
    fn new(limit: usize) -> Self {
        Self {
            limit,
            heap: BinaryHeap::new(),
        }
    }

    #[inline]
    fn offer(&mut self, ranked: Ranked) {
        if self.heap.len() < self.limit {
            self.heap.push(Reverse(ranked));
        } else if let Some(mut worst) = self.heap.peek_mut()
            && worst.0 < ranked
        {
            *worst = Reverse(ranked);
        }
    }

    fn into_sorted(self) -> Vec<(Slot, f32)> {
        let sorted = self.heap.into_sorted_vec();
        sorted
            .into_iter()
            .map(|Reverse(ranked)| (ranked.slot, ranked.cosine))
            .collect()
    }
}

impl Ord for Ranked {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.cosine
            .total_cmp(&other.cosine)
            .then(other.slot.cmp(&self.slot))
    }
}

impl PartialOrd for Ranked {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Ranked {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Ranked {}

#[cfg(test)]
mod tests;
