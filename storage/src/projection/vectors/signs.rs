//! Signs: one bit of each dimension, to tell unlikely vectors from likely ones at an eighth of the
//! cost of comparing them.
//!
//! Not a ranking: the distance is the number of dimensions in which two vectors point to different
//! sides, and what is near in that sense is compared in full by the caller.

use pulp::{Arch, NullaryFnOnce};

use super::stored::Quantised;

const WORD_BITS: usize = 64;

/// The signs of vectors, one after the other.
#[derive(Debug)]
pub(super) struct Signs {
    dimensions: usize,
    words: Vec<u64>,
}

impl Signs {
    pub(super) fn new(dimensions: usize) -> Self {
        Self {
            dimensions,
            words: Vec::new(),
        }
    }

    /// Adds the signs of vectors.
    pub(super) fn append(&mut self, vectors: &Quantised) {
        for codes in vectors.codes().chunks_exact(self.dimensions.max(1)) {
            let words = codes.chunks(WORD_BITS).map(|codes| {
                let bits = codes.iter().enumerate();
                bits.fold(0, |word, (at, code)| word | u64::from(*code < 0) << at)
            });
            self.words.extend(words);
        }
    }

    /// Returns the rows of the `count` vectors nearest to the query and of those as near as the
    /// last of them, ascending.
    pub(super) fn nearest(&self, query: &Quantised, count: usize) -> Vec<usize> {
        let mut signs = Self::new(self.dimensions);
        signs.append(query);
        let distances = Arch::new().dispatch(Distances {
            signs: self,
            query: &signs.words,
        });
        let mut rows_at = vec![0_usize; self.dimensions + 1];
        for distance in &distances {
            if let Some(rows) = rows_at.get_mut(usize::from(*distance)) {
                *rows += 1;
            }
        }
        let mut rows = 0;
        let within = rows_at.iter().take_while(|more| {
            let is_short = rows < count;
            rows += **more;
            is_short
        });
        let beyond = within.count();
        let rows = (0..).zip(distances);
        let near = rows.filter(|(_, distance)| usize::from(*distance) < beyond);
        near.map(|(row, _)| row).collect()
    }
}

/// The distances of all vectors to a query, as what is compiled for several kinds of processors.
struct Distances<'a> {
    signs: &'a Signs,
    query: &'a [u64],
}

impl NullaryFnOnce for Distances<'_> {
    type Output = Vec<u16>;

    #[expect(
        clippy::inline_always,
        reason = "only what is inlined is compiled for the processor"
    )]
    #[inline(always)]
    fn call(self) -> Vec<u16> {
        let width = self.query.len().max(1);
        let vectors = self.signs.words.chunks_exact(width);
        let mut distances = vec![0; vectors.len()];
        // A loop: what collects is not inlined, and so not compiled for the processor.
        for (distance, words) in distances.iter_mut().zip(vectors) {
            let mut bits = 0;
            for (one, other) in words.iter().zip(self.query) {
                bits += (one ^ other).count_ones();
            }
            *distance = u16::try_from(bits).unwrap_or(u16::MAX);
        }
        distances
    }
}
