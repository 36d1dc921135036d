//! One slot's vectors: normalised, quantised, and as bytes.
//!
//! Format, little endian: version (1 byte), dimensions (u16), chunks (u16), then for each chunk its
//! scale (f32), its codes (one i8 per dimension) and its exact values (one f32 per dimension).
//!
//! Invariant: whatever [`SlotVectors::decode`] accepts, [`SlotVectors::encode`] gives back byte for
//! byte: the codes are those of the exact values, and nothing follows the last chunk.

use super::VectorError;

/// The most vectors one slot may have: 256 chunks of some 1,000 characters hold the largest text.
pub const CHUNKS_MAX: usize = 256;

/// The most dimensions a vector may have; the sum of 4,096 products of codes stays below 2^27.
pub const DIMENSIONS_MAX: usize = 4096;

/// What is kept free when vectors are added: one of so many parts.
const GROWTH_PART: usize = 8;

const VERSION: u8 = 1;
const HEADER_BYTES: usize = 5;
const CODE_MAX: f32 = 127.0;

/// Why stored vectors could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The bytes are of another format version.
    #[error("unknown version {0} of stored vectors")]
    Version(u8),
    /// The bytes are shorter or longer than their header says.
    #[error("stored vectors have the wrong length")]
    Length,
    /// The codes do not belong to the exact values.
    #[error("stored codes differ from the exact vectors")]
    Codes,
    /// The values are not acceptable as vectors.
    #[error(transparent)]
    Vectors(#[from] VectorError),
}

/// The vectors of one slot, exact and quantised.
#[derive(Debug, Clone, PartialEq)]
pub struct SlotVectors {
    dimensions: usize,
    exact: Vec<Vec<f32>>,
    quantised: Quantised,
}

impl SlotVectors {
    /// Checks, normalises and quantises the vectors of one slot, one per chunk.
    pub fn new(dimensions: usize, chunks: &[Vec<f32>]) -> Result<Self, VectorError> {
        let exact: Vec<_> = chunks
            .iter()
            .map(|chunk| normalised(chunk))
            .collect::<Result<_, _>>()?;
        Self::of_normalised(dimensions, exact)
    }

    fn of_normalised(dimensions: usize, exact: Vec<Vec<f32>>) -> Result<Self, VectorError> {
        if exact.is_empty() || exact.len() > CHUNKS_MAX {
            return Err(VectorError::Chunks { found: exact.len() });
        }
        if let Some(odd) = exact.iter().find(|chunk| chunk.len() != dimensions) {
            return Err(VectorError::Dimensions {
                expected: dimensions,
                found: odd.len(),
            });
        }
        if dimensions > DIMENSIONS_MAX {
            return Err(VectorError::Dimensions {
                expected: DIMENSIONS_MAX,
                found: dimensions,
            });
        }
        let quantised = Quantised::of(&exact);
        Ok(Self {
            dimensions,
            exact,
            quantised,
        })
    }

    /// Returns the number of dimensions.
    pub fn dimensions(&self) -> usize {
        self.dimensions
    }

    /// Returns the exact vectors, of length one (or zero where a zero vector was given).
    pub fn exact(&self) -> &[Vec<f32>] {
        &self.exact
    }

    /// Returns the bytes to keep.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = vec![VERSION];
        for length in [self.dimensions, self.exact.len()] {
            // Both are bounded by constants below 2^16, so two bytes hold them.
            let [low, high, ..] = length.to_le_bytes();
            bytes.extend([low, high]);
        }
        for (chunk, (scale, codes)) in self.exact.iter().zip(self.quantised.rows()) {
            bytes.extend(scale.to_le_bytes());
            bytes.extend(codes.iter().map(|code| code.to_le_bytes()[0]));
            bytes.extend(chunk.iter().flat_map(|value| value.to_le_bytes()));
        }
        bytes
    }

    /// Reads vectors of `dimensions` dimensions back from their bytes.
    pub fn decode(dimensions: usize, bytes: &[u8]) -> Result<Self, DecodeError> {
        let (&[version, d0, d1, c0, c1], body) = bytes
            .split_first_chunk::<HEADER_BYTES>()
            .ok_or(DecodeError::Length)?;
        if version != VERSION {
            return Err(DecodeError::Version(version));
        }
        let found = usize::from(u16::from_le_bytes([d0, d1]));
        if found != dimensions || found == 0 {
            return Err(VectorError::Dimensions {
                expected: dimensions,
                found,
            }
            .into());
        }
        let chunk_bytes = 4 + 5 * found;
        if body.len() != chunk_bytes * usize::from(u16::from_le_bytes([c0, c1])) {
            return Err(DecodeError::Length);
        }
        let exact = body
            .chunks_exact(chunk_bytes)
            .map(|chunk| exact_of(chunk, found))
            .collect();
        let vectors = Self::of_exact(dimensions, exact)?;
        if vectors.encode() == bytes {
            Ok(vectors)
        } else {
            Err(DecodeError::Codes)
        }
    }

    /// Takes values that were normalised before they were stored, without touching them again.
    fn of_exact(dimensions: usize, exact: Vec<Vec<f32>>) -> Result<Self, VectorError> {
        if exact.iter().flatten().any(|value| !value.is_finite()) {
            return Err(VectorError::NotFinite);
        }
        Self::of_normalised(dimensions, exact)
    }

    pub(super) fn quantised(&self) -> &Quantised {
        &self.quantised
    }

    /// Returns the cosine of the chunk nearest to the query.
    pub(super) fn cosine(&self, query: &[f32]) -> Option<f32> {
        let cosines = self.exact.iter().map(|chunk| dot(chunk, query));
        cosines.max_by(f32::total_cmp)
    }
}

/// Vectors with one byte per dimension, one after the other: `value = code * scale`.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Quantised {
    scales: Vec<f32>,
    codes: Vec<i8>,
}

impl Quantised {
    pub(super) fn of(vectors: &[Vec<f32>]) -> Self {
        let scales: Vec<f32> = vectors.iter().map(|vector| scale_of(vector)).collect();
        let codes = vectors
            .iter()
            .zip(&scales)
            .flat_map(|(vector, &scale)| vector.iter().map(move |value| code_of(*value, scale)));
        Self {
            codes: codes.collect(),
            scales,
        }
    }

    /// Returns the number of vectors.
    pub(super) fn len(&self) -> usize {
        self.scales.len()
    }

    /// Adds the vectors of another, which have as many dimensions. What is kept for later ones is
    /// an eighth at most, not as much again.
    pub(super) fn append(&mut self, other: &Self) {
        if self.codes.capacity() - self.codes.len() < other.codes.len() {
            let more = (self.codes.len() / GROWTH_PART).max(other.codes.len());
            self.codes.reserve_exact(more);
        }
        self.scales.extend_from_slice(&other.scales);
        self.codes.extend_from_slice(&other.codes);
    }

    /// Adds some vectors of another.
    pub(super) fn append_part(&mut self, other: &Self, first: usize, count: usize, width: usize) {
        let (scales, codes) = other.part(first, count, width);
        self.scales.extend_from_slice(scales);
        self.codes.extend_from_slice(codes);
    }

    fn rows(&self) -> impl Iterator<Item = (f32, &[i8])> {
        let width = (self.codes.len() / self.scales.len().max(1)).max(1);
        self.scales
            .iter()
            .copied()
            .zip(self.codes.chunks_exact(width))
    }

    #[expect(
        clippy::inline_always,
        reason = "only what is inlined is compiled for the processor"
    )]
    #[inline(always)]
    fn part(&self, first: usize, count: usize, width: usize) -> (&[f32], &[i8]) {
        let end = first + count;
        let scales = self.scales.get(first..end).unwrap_or_default();
        let codes = self.codes.get(first * width..end * width);
        (scales, codes.unwrap_or_default())
    }

    /// Returns the greatest cosine of some vectors of `width` dimensions with the one of the query.
    #[expect(
        clippy::inline_always,
        reason = "only what is inlined is compiled for the processor"
    )]
    #[inline(always)]
    pub(super) fn best_cosine(
        &self,
        first: usize,
        count: usize,
        width: usize,
        query: &Self,
    ) -> f32 {
        let query_scale = query.scales.first().copied().unwrap_or(0.0);
        let (scales, codes) = self.part(first, count, width);
        let rows = scales.iter().zip(codes.chunks_exact(width.max(1)));
        let cosines = rows.map(|(scale, codes)| {
            let product = dot_codes(codes, &query.codes);
            #[expect(
                clippy::cast_precision_loss,
                reason = "a rounding of 2^-24 is no matter here"
            )]
            let product = product as f32;
            product * scale * query_scale
        });
        cosines.fold(-1.0, f32::max)
    }
}

/// Returns the vector scaled to length one; a zero vector stays zero and is like nothing.
pub(super) fn normalised(vector: &[f32]) -> Result<Vec<f32>, VectorError> {
    if vector.iter().any(|value| !value.is_finite()) {
        return Err(VectorError::NotFinite);
    }
    // Dividing by the largest value first keeps the squares of huge values finite.
    let largest = vector
        .iter()
        .fold(0.0, |largest: f32, value| largest.max(value.abs()));
    if largest == 0.0 {
        return Ok(vector.to_vec());
    }
    let scaled: Vec<f32> = vector.iter().map(|value| value / largest).collect();
    let length = dot(&scaled, &scaled).sqrt();
    Ok(scaled.iter().map(|value| value / length).collect())
}

fn exact_of(chunk: &[u8], dimensions: usize) -> Vec<f32> {
    let (values, _) = chunk
        .get(4 + dimensions..)
        .unwrap_or_default()
        .as_chunks::<4>();
    values
        .iter()
        .map(|value| f32::from_le_bytes(*value))
        .collect()
}

fn scale_of(vector: &[f32]) -> f32 {
    vector
        .iter()
        .fold(0.0, |largest: f32, value| largest.max(value.abs()))
        / CODE_MAX
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "clamped to the range of an i8 just before"
)]
fn code_of(value: f32, scale: f32) -> i8 {
    if scale > 0.0 {
        (value / scale).round().clamp(-CODE_MAX, CODE_MAX) as i8
    } else {
        0
    }
}

fn dot(left: &[f32], right: &[f32]) -> f32 {
    left.iter()
        .zip(right)
        .map(|(left, right)| left * right)
        .sum()
}

/// A plain sum is the form in which the compiler finds the vector instructions; sums in lanes by
/// hand were up to three times slower at low optimisation and equal at high.
#[expect(
    clippy::inline_always,
    reason = "only what is inlined is compiled for the processor"
)]
#[inline(always)]
fn dot_codes(left: &[i8], right: &[i8]) -> i32 {
    left.iter()
        .zip(right)
        .map(|(left, right)| i32::from(*left) * i32::from(*right))
        .sum()
}
