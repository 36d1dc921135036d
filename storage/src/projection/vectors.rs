//! Vectors: the nearest memories by meaning, by exact scan.
//!
//! Every memory has one vector per chunk of its text. A vector is one byte per dimension and a scale,
//! in memory as on the disk: measured, finer ones change no ranking. There is no graph and no
//! training: a put or remove is complete when it returns, and a filter is exact, because only the
//! allowed slots are ever compared.
//!
//! Flow: embed -> [`SlotVectors::new`] -> bytes kept by the caller, codes put into [`VectorIndex`]
//! -> [`VectorIndex::search`].
//!
//! The codes lie one after the other, so that a scan reads memory as it comes; it is compiled for
//! several kinds of processors, and the best that this one has runs. Above [`SIEVE_ROWS_MIN`] rows a
//! search without a filter looks at one bit of each dimension first and compares only the likeliest.
//!
//! Invariant: a slot that is not allowed has no influence on the result, not even on its order.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::ops::Range;

use pulp::{Arch, NullaryFnOnce};
use rustc_hash::FxHashMap;

use crate::slots::{Slot, SlotSet};

mod signs;
mod stored;

use signs::Signs;
pub use stored::{CHUNKS_MAX, DIMENSIONS_MAX, DecodeError, SlotVectors};
use stored::{Quantised, normalised};

/// Rows are moved together when one of so many is dead.
const DEAD_PART: usize = 4;

/// From so many rows on, a search without a filter sieves them by their signs first.
pub const SIEVE_ROWS_MIN: usize = 32_768;

/// Rows that pass the sieve, at least and per wanted hit.
const SIEVE_MIN: usize = 640;
const SIEVE_FACTOR: usize = 12;

/// How many rows ahead of what is compared memory is asked for: those that passed the sieve lie far
/// apart, and to wait for one after the other takes five times as long as to compare them.
const ROWS_AHEAD: usize = 16;

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
    /// Slots are numbers of this node's own, so nobody can make them collide.
    places: FxHashMap<Slot, Place>,
    rows: Quantised,
    signs: Signs,
    /// Whose each row is; nobody's, if it belongs to no slot any more.
    owners: Vec<Option<Slot>>,
    dead: usize,
}

/// Where a slot's chunks lie: rows that follow each other.
#[derive(Debug, Clone, Copy)]
struct Place {
    first: usize,
    rows: usize,
}

impl Place {
    fn rows(self) -> Range<usize> {
        self.first..self.first + self.rows
    }
}

impl VectorIndex {
    /// Creates an empty index for vectors of `dimensions` dimensions.
    pub fn new(dimensions: usize) -> Self {
        Self {
            dimensions,
            places: FxHashMap::default(),
            rows: Quantised::default(),
            signs: Signs::new(dimensions),
            owners: Vec::new(),
            dead: 0,
        }
    }

    /// Returns the number of dimensions.
    pub fn dimensions(&self) -> usize {
        self.dimensions
    }

    /// Returns the number of slots that have vectors.
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// Returns whether no slot has vectors.
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// Sets a slot's vectors, one per chunk, in place of those it had.
    pub fn put(&mut self, slot: Slot, chunks: &[Vec<f32>]) -> Result<(), VectorError> {
        self.put_stored(slot, &SlotVectors::new(self.dimensions, chunks)?)
    }

    /// Sets a slot's vectors from their stored form, as read back when the node starts.
    pub fn put_stored(&mut self, slot: Slot, stored: &SlotVectors) -> Result<(), VectorError> {
        self.check_dimensions(stored.dimensions())?;
        self.append(slot, stored.vectors());
        Ok(())
    }

    fn append(&mut self, slot: Slot, chunks: &Quantised) {
        let place = Place {
            first: self.rows.len(),
            rows: chunks.len(),
        };
        self.rows.append(chunks);
        self.signs.append(chunks);
        self.owners
            .extend(std::iter::repeat_n(Some(slot), place.rows));
        if let Some(old) = self.places.insert(slot, place) {
            self.bury(old);
        }
    }

    /// Gives up rows, and moves the others together when there are many such.
    fn bury(&mut self, place: Place) {
        for owner in self.owners.get_mut(place.rows()).unwrap_or_default() {
            *owner = None;
        }
        self.dead += place.rows;
        if self.dead * DEAD_PART < self.rows.len() {
            return;
        }
        let mut living: Vec<(Slot, Place)> = self.places.drain().collect();
        living.sort_unstable_by_key(|(_, place)| place.first);
        let old = std::mem::replace(self, Self::new(self.dimensions));
        for (slot, place) in living {
            self.append(slot, &old.rows.cut(place.rows(), self.dimensions));
        }
    }

    /// Forgets a slot's vectors and returns whether it had any.
    pub fn remove(&mut self, slot: Slot) -> bool {
        let gone = self.places.remove(&slot);
        if let Some(place) = gone {
            self.bury(place);
        }
        gone.is_some()
    }

    /// Forgets all vectors.
    pub fn clear(&mut self) {
        *self = Self::new(self.dimensions);
    }

    /// Returns the `limit` nearest slots by cosine of their best chunk, nearest first.
    ///
    /// Cosines come from codes of one byte: their error is about 0.001.
    pub fn search(
        &self,
        query: &[f32],
        allowed: Option<&SlotSet>,
        limit: usize,
    ) -> Result<Vec<(Slot, f32)>, VectorError> {
        self.check_dimensions(query.len())?;
        let query = Quantised::of(&[normalised(query)?]);
        let mut best = Best::new(limit);
        let owned = |row: &usize| matches!(self.owners.get(*row), Some(Some(_)));
        match allowed {
            None if self.rows.len() - self.dead >= SIEVE_ROWS_MIN => {
                let count = limit.saturating_mul(SIEVE_FACTOR).max(SIEVE_MIN);
                let likely = self.signs.nearest(&query, count);
                self.pick(likely.into_iter().filter(owned), &query, &mut best);
            }
            None => self.scan((0..self.rows.len()).filter(owned), &query, &mut best),
            Some(allowed) if self.is_selective(allowed) => {
                let places = allowed.iter().filter_map(|slot| self.places.get(&slot));
                self.pick(places.flat_map(|place| place.rows()), &query, &mut best);
            }
            Some(allowed) => {
                let rows = (0..).zip(&self.owners);
                let rows =
                    rows.filter(|(_, owner)| owner.is_some_and(|slot| allowed.contains(slot)));
                self.scan(rows.map(|(row, _)| row), &query, &mut best);
            }
        }
        Ok(best.into_sorted())
    }

    /// Returns the cosine of each of these slots that has vectors, as [`VectorIndex::search`] does.
    pub fn cosines(&self, query: &[f32], slots: &[Slot]) -> Result<Vec<(Slot, f32)>, VectorError> {
        self.check_dimensions(query.len())?;
        let query = Quantised::of(&[normalised(query)?]);
        let mut best = Best::new(slots.len());
        let places = slots.iter().filter_map(|slot| self.places.get(slot));
        self.pick(places.flat_map(|place| place.rows()), &query, &mut best);
        Ok(best.into_sorted())
    }

    /// Returns the mean of a slot's vectors, scaled to length one: what all of its text is about.
    pub fn mean(&self, slot: Slot) -> Option<Vec<f32>> {
        let place = self.places.get(&slot)?;
        let mut sum = vec![0.0; self.dimensions];
        for row in place.rows() {
            self.rows.add_to(row, &mut sum);
        }
        normalised(&sum).ok()
    }

    /// Offers the slots of rows to the best; the rows of a slot follow each other.
    fn scan(&self, rows: impl Iterator<Item = usize>, query: &Quantised, best: &mut Best) {
        self.compare(rows, false, query, best);
    }

    /// The same for rows that lie far apart.
    fn pick(&self, rows: impl Iterator<Item = usize>, query: &Quantised, best: &mut Best) {
        self.compare(rows, true, query, best);
    }

    fn compare(
        &self,
        rows: impl Iterator<Item = usize>,
        are_scattered: bool,
        query: &Quantised,
        best: &mut Best,
    ) {
        Arch::new().dispatch(Compare {
            index: self,
            rows,
            are_scattered,
            query,
            best,
        });
    }

    /// Says whether following the allowed slots is cheaper than scanning all with a bitmap test.
    /// Measured, they meet at about 30 % allowed.
    fn is_selective(&self, allowed: &SlotSet) -> bool {
        let all = u64::try_from(self.places.len()).unwrap_or(u64::MAX);
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

/// A scan, as what is compiled for several kinds of processors: a closure would not be.
struct Compare<'a, I> {
    index: &'a VectorIndex,
    rows: I,
    are_scattered: bool,
    query: &'a Quantised,
    best: &'a mut Best,
}

impl<I: Iterator<Item = usize>> NullaryFnOnce for Compare<'_, I> {
    type Output = ();

    #[expect(
        clippy::inline_always,
        reason = "only what is inlined is compiled for the processor"
    )]
    #[inline(always)]
    fn call(self) {
        let index = self.index;
        let mut last: Option<Ranked> = None;
        let mut rows = self.rows.inspect(|row| {
            if self.are_scattered {
                index.rows.prefetch(*row, index.dimensions);
            }
        });
        let mut waiting: VecDeque<usize> = rows.by_ref().take(ROWS_AHEAD).collect();
        while let Some(row) = waiting.pop_front() {
            waiting.extend(rows.next());
            let Some(Some(slot)) = index.owners.get(row).copied() else {
                continue;
            };
            let cosine = index.rows.cosine(row, index.dimensions, self.query);
            match &mut last {
                Some(last) if last.slot == slot => last.cosine = last.cosine.max(cosine),
                _ => {
                    if let Some(last) = last.replace(Ranked { cosine, slot }) {
                        self.best.offer(last);
                    }
                }
            }
        }
        if let Some(last) = last {
            self.best.offer(last);
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
