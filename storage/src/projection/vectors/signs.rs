//! Signs: one bit of each dimension, to tell unlikely vectors from likely ones at an eighth of the
//! memory and a twentieth of the time of comparing them.
//!
//! Not a ranking: the distance adds up, over the dimensions in which two vectors point to different
//! sides, how far the query goes there, as a level of 0 to 3. What is near in that sense is compared in
//! full by the caller. Levels find as many of the nearest among a thousand as plain differences
//! among four thousand (`docs/benchmarks.md`).
//!
//! The signs of [`BLOCK_ROWS`] vectors lie together, dimension after dimension, a bit for each vector.
//! So the distances of all of them are counted at once, bit by bit, as by adders of a processor
//! (bit slicing), and only those of vectors that are near are read off.

use pulp::{Arch, NullaryFnOnce};

use super::stored::Quantised;
use crate::prefetch::prefetch;

const WORD_BITS: usize = 64;
const WORDS: usize = 8;
/// How many vectors lie together: a dimension of theirs is what a processor fetches at once.
const BLOCK_ROWS: usize = WORDS * WORD_BITS;
/// The highest level; two bits hold it.
const LEVEL_MAX: usize = 3;
/// How many rows are kept for each that is wanted, about: the first are nearer than what was before, and
/// of each of the following less often, which makes one and the logarithm of all by the wanted.
const KEPT_FACTOR: usize = 8;
/// The bits of a distance: the most is [`LEVEL_MAX`] in each of 4,096 dimensions, or of 341, which is
/// more than the built-in model has.
const PLANES: usize = 14;
const PLANES_FEW: usize = 10;
/// How many blocks ahead of what is counted memory is asked for.
const BLOCKS_AHEAD: usize = 4;
/// What is kept free when vectors are added: one of so many parts.
const GROWTH_PART: usize = 8;

/// A bit for each vector of a block.
type Bits = [u64; WORDS];
/// A number for each vector of a block: their lowest bits, then the next.
type Numbers<const P: usize> = [Bits; P];

const NONE: Bits = [0; WORDS];
const ALL: Bits = [u64::MAX; WORDS];

/// The signs of vectors.
#[derive(Debug)]
pub(super) struct Signs {
    dimensions: usize,
    rows: usize,
    /// For each block and dimension which vectors are negative there.
    negative: Vec<Bits>,
}

impl Signs {
    pub(super) fn new(dimensions: usize) -> Self {
        Self {
            dimensions,
            rows: 0,
            negative: Vec::new(),
        }
    }

    /// Adds the signs of vectors.
    pub(super) fn append(&mut self, vectors: &Quantised) {
        for codes in vectors.codes().chunks_exact(self.dimensions.max(1)) {
            let (block, at) = (self.rows / BLOCK_ROWS, self.rows % BLOCK_ROWS);
            if at == 0 {
                let more = (self.negative.len() / GROWTH_PART).max(self.dimensions);
                if self.negative.capacity() - self.negative.len() < self.dimensions {
                    self.negative.reserve_exact(more);
                }
                self.negative.extend(codes.iter().map(|_| NONE));
            }
            let block = self.negative.get_mut(block * self.dimensions..);
            let (word, bit) = (at / WORD_BITS, at % WORD_BITS);
            for (bits, code) in block.unwrap_or_default().iter_mut().zip(codes) {
                bits[word] |= u64::from(*code < 0) << bit;
            }
            self.rows += 1;
        }
    }

    /// Returns the rows of the `count` vectors nearest to the query and of those as near as the
    /// last of them, ascending.
    pub(super) fn nearest(&self, query: &Quantised, count: usize) -> Vec<usize> {
        let query = &Leaning::of(query.codes());
        let likely = Likely::new(self.dimensions, count);
        let signs = self;
        if self.dimensions * LEVEL_MAX < 1 << PLANES_FEW {
            Arch::new().dispatch(Sieve::<PLANES_FEW> {
                signs,
                query,
                likely,
            })
        } else {
            Arch::new().dispatch(Sieve::<PLANES> {
                signs,
                query,
                likely,
            })
        }
    }
}

/// To which side a query goes, and how far.
struct Leaning {
    /// The dimensions whose level has the lower bit, and those whose level has the higher.
    by_bit: [Vec<Side>; 2],
    /// The dimensions in which it goes anywhere, ascending.
    dimensions: Vec<usize>,
}

/// A dimension, and which vectors go to the same side there if no vector is negative.
#[derive(Clone, Copy)]
struct Side {
    dimension: usize,
    flip: u64,
}

impl Leaning {
    fn of(codes: &[i8]) -> Self {
        let far = || codes.iter().map(|code| usize::from(code.unsigned_abs()));
        let all: usize = far().sum();
        // A level is a mean, rounded.
        let level = |far: usize| (2 * far * codes.len() + all) / (2 * all).max(1);
        let (mut by_bit, mut dimensions) = ([Vec::new(), Vec::new()], Vec::new());
        for (dimension, (code, far)) in codes.iter().zip(far()).enumerate() {
            let level = level(far).min(LEVEL_MAX);
            if level > 0 {
                dimensions.push(dimension);
            }
            let flip = if *code < 0 { u64::MAX } else { 0 };
            for (bit, sides) in by_bit.iter_mut().enumerate() {
                if (level >> bit) & 1 == 1 {
                    sides.push(Side { dimension, flip });
                }
            }
        }
        Self { by_bit, dimensions }
    }
}

/// The nearest rows so far.
struct Likely {
    count: usize,
    /// The distance up to which rows are kept.
    most: usize,
    /// How many of those that were kept have each distance, and how many have `most` or less.
    rows_at: Vec<usize>,
    within: usize,
    /// The rows that were kept, with their distances; some are too far by now.
    kept: Vec<(usize, usize)>,
}

impl Likely {
    fn new(dimensions: usize, count: usize) -> Self {
        let most = dimensions * LEVEL_MAX;
        Self {
            count,
            most,
            rows_at: vec![0; most + 1],
            within: 0,
            kept: Vec::with_capacity(KEPT_FACTOR * count),
        }
    }

    fn offer(&mut self, row: usize, distance: usize) {
        if distance > self.most {
            return;
        }
        self.kept.push((row, distance));
        self.rows_at[distance] += 1;
        self.within += 1;
        while self.most > 0 && self.within - self.rows_at[self.most] >= self.count {
            self.within -= self.rows_at[self.most];
            self.most -= 1;
        }
    }

    fn rows(self) -> Vec<usize> {
        let near = self.kept.into_iter();
        let near = near.filter(|(_, distance)| *distance <= self.most);
        near.map(|(row, _)| row).collect()
    }
}

/// A look at all signs, as what is compiled for several kinds of processors.
struct Sieve<'a, const P: usize> {
    signs: &'a Signs,
    query: &'a Leaning,
    likely: Likely,
}

impl<const P: usize> NullaryFnOnce for Sieve<'_, P> {
    type Output = Vec<usize>;

    #[expect(
        clippy::inline_always,
        reason = "only what is inlined is compiled for the processor"
    )]
    #[inline(always)]
    fn call(self) -> Vec<usize> {
        let mut likely = self.likely;
        let [lower, higher] = &self.query.by_bit;
        let dimensions = self.signs.dimensions.max(1);
        let blocks = || self.signs.negative.chunks_exact(dimensions);
        let mut later = blocks().skip(BLOCKS_AHEAD);
        for (number, block) in blocks().enumerate() {
            let later = later.next().unwrap_or_default();
            let later = self.query.dimensions.iter().map(|at| later.get(*at));
            let later = &mut later.flatten();
            let (once, twice) = (count(block, lower, later), count(block, higher, later));
            let distances: Numbers<P> = with_twice(&once, &twice);
            let near = up_to(&distances, likely.most);
            for (word, mut near) in near.into_iter().enumerate() {
                while near != 0 {
                    let bit = near.trailing_zeros();
                    near &= near - 1;
                    let place = word * WORD_BITS + usize::try_from(bit).unwrap_or_default();
                    let row = number * BLOCK_ROWS + place;
                    // The last block may have room.
                    if row < self.signs.rows {
                        likely.offer(row, number_of(&distances, word, bit));
                    }
                }
            }
        }
        likely.rows()
    }
}

#[expect(
    clippy::inline_always,
    reason = "only what is inlined is compiled for the processor"
)]
#[inline(always)]
fn bits(word: impl Fn(usize) -> u64) -> Bits {
    // A loop: what the library would call is not inlined, and so not compiled for the processor.
    let mut bits = NONE;
    for (place, bits) in bits.iter_mut().enumerate() {
        *bits = word(place);
    }
    bits
}

/// Counts for each vector of a block the sides on which it is not. Meanwhile as many lines of memory are
/// asked for as there are sides: in the order in which they lie, and spread over the time that counting
/// takes, since a processor waits for few lines at once.
#[expect(
    clippy::inline_always,
    reason = "only what is inlined is compiled for the processor"
)]
#[inline(always)]
fn count<'a, const P: usize>(
    block: &[Bits],
    sides: &[Side],
    later: &mut impl Iterator<Item = &'a Bits>,
) -> Numbers<P> {
    let mut numbers = [NONE; P];
    // Eight at a time: seven adders give one bit that is carried as far as there can be one.
    for (number, sides) in (1_usize..).zip(sides.chunks(8)) {
        later.take(sides.len()).for_each(prefetch);
        let differ = |place: usize| {
            let side = sides.get(place);
            let of = side.and_then(|side| Some((block.get(side.dimension)?, side.flip)));
            of.map_or(NONE, |(negative, flip)| bits(|word| negative[word] ^ flip))
        };
        let [ones, twos, fours, higher @ ..] = numbers.as_mut_slice() else {
            break;
        };
        let first = sum(ones, differ(0), differ(1));
        let second = sum(ones, differ(2), differ(3));
        let early = sum(twos, first, second);
        let third = sum(ones, differ(4), differ(5));
        let fourth = sum(ones, differ(6), differ(7));
        let late = sum(twos, third, fourth);
        let mut carry = sum(fours, early, late);
        let bits_of_number = usize::try_from(usize::BITS - number.leading_zeros());
        for plane in higher.iter_mut().take(bits_of_number.unwrap_or(P)) {
            let next = bits(|word| plane[word] & carry[word]);
            *plane = bits(|word| plane[word] ^ carry[word]);
            carry = next;
        }
    }
    numbers
}

/// Adds two bits to one of the same worth and returns what is carried: a full adder.
#[expect(
    clippy::inline_always,
    reason = "only what is inlined is compiled for the processor"
)]
#[inline(always)]
fn sum(bit: &mut Bits, one: Bits, other: Bits) -> Bits {
    let either = bits(|word| bit[word] ^ one[word]);
    let carry = bits(|word| (bit[word] & one[word]) | (either[word] & other[word]));
    *bit = bits(|word| either[word] ^ other[word]);
    carry
}

/// Adds to numbers twice others.
#[expect(
    clippy::inline_always,
    reason = "only what is inlined is compiled for the processor"
)]
#[inline(always)]
fn with_twice<const P: usize>(numbers: &Numbers<P>, others: &Numbers<P>) -> Numbers<P> {
    let mut sums = *numbers;
    let mut carry = NONE;
    for (plane, other) in sums.iter_mut().skip(1).zip(others) {
        carry = sum(plane, *other, carry);
    }
    sums
}

/// Returns which numbers are not greater than a limit.
#[expect(
    clippy::inline_always,
    reason = "only what is inlined is compiled for the processor"
)]
#[inline(always)]
fn up_to<const P: usize>(numbers: &Numbers<P>, limit: usize) -> Bits {
    // From the highest bit on: those already less, and those equal so far.
    let (mut less, mut equal) = (NONE, ALL);
    for (place, plane) in numbers.iter().enumerate().rev() {
        let has = if (limit >> place) & 1 == 1 {
            u64::MAX
        } else {
            0
        };
        less = bits(|word| less[word] | (equal[word] & has & !plane[word]));
        equal = bits(|word| equal[word] & !(plane[word] ^ has));
    }
    bits(|word| less[word] | equal[word])
}

/// Reads a number off.
fn number_of<const P: usize>(numbers: &Numbers<P>, word: usize, bit: u32) -> usize {
    let planes = numbers.iter().enumerate();
    planes.fold(0, |number, (place, plane)| {
        number | usize::from((plane[word] >> bit) & 1 == 1) << place
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The levels of the query where the signs differ, added up one by one.
    fn distance(query: &[i8], codes: &[i8]) -> usize {
        let far = |code: &i8| usize::from(code.unsigned_abs());
        let all: usize = query.iter().map(far).sum();
        let pairs = query.iter().zip(codes);
        let differ = pairs.filter(|(one, other)| (**one < 0) != (**other < 0));
        let levels = differ.map(|(code, _)| {
            let passed = |half: &usize| 2 * far(code) * query.len() >= half * all;
            [1, 3, 5].iter().filter(|half| passed(half)).count()
        });
        levels.sum()
    }

    proptest! {
        #[test]
        fn the_nearest_are_those_of_the_least_sums(
            (query, codes) in prop_oneof![9 => 1_usize..90, 1 => 335_usize..350].prop_flat_map(|dimensions| {
                let vector = proptest::collection::vec(-127_i8..=127, dimensions);
                (vector.clone(), proptest::collection::vec(vector, 0..600))
            }),
            count in 1_usize..40,
        ) {
            prop_assume!(query.iter().any(|code| *code != 0));
            let vectors = |rows: &[Vec<i8>]| Quantised::of(
                &rows.iter().map(|row| row.iter().map(|code| f32::from(*code)).collect()).collect::<Vec<_>>(),
            );
            let mut signs = Signs::new(query.len());
            signs.append(&vectors(&codes));
            let query = vectors(std::slice::from_ref(&query));
            let distances: Vec<usize> = codes.iter().map(|codes| distance(query.codes(), codes)).collect();
            let mut sorted = distances.clone();
            sorted.sort_unstable();
            let last = sorted.get(count - 1).or_else(|| sorted.last()).copied().unwrap_or_default();
            let expect = distances.iter().enumerate().filter(|(_, distance)| **distance <= last);
            let expect: Vec<usize> = expect.map(|(row, _)| row).collect();
            prop_assert_eq!(signs.nearest(&query, count), expect);
        }
    }
}
