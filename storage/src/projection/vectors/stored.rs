//! One slot's vectors: normalised, one byte a dimension, as they are kept and as they are compared.
//!
//! Format, little endian: version (1 byte), dimensions (u16), chunks (u16), then for each chunk its
//! scale (f32) and its codes (one i8 per dimension): `value = code * scale`, which is off by a 254th
//! of the largest value at most. Version 2 had codes of two bytes; version 1 codes of one byte and
//! the values themselves (f32). Both are still read.
//!
//! Invariant: whatever [`SlotVectors::decode`] accepts in this version, [`SlotVectors::encode`] gives
//! back byte for byte: there is one form of every vector, and nothing follows the last chunk.

use std::ops::Range;

use super::VectorError;
use crate::prefetch::prefetch;

/// The most vectors one slot may have: 256 chunks of some 1,000 characters hold the largest text.
pub const CHUNKS_MAX: usize = 256;

/// The most dimensions a vector may have; the sum of 4,096 products of codes stays below 2^27.
pub const DIMENSIONS_MAX: usize = 4096;

/// What is kept free when vectors are added: one of so many parts.
const GROWTH_PART: usize = 8;

/// What a processor fetches from memory at once.
const LINE_BYTES: usize = 64;

const VERSION: u8 = 3;
/// The version with codes of two bytes.
const VERSION_OF_FINE: u8 = 2;
/// The version with values of four bytes.
const VERSION_OF_FLOATS: u8 = 1;
const HEADER_BYTES: usize = 5;
const SCALE_BYTES: usize = 4;
/// How far the length of a stored vector may be from one beyond what rounding its codes explains.
const LENGTH_ERROR: f32 = 0.001;
/// The greatest code.
const CODE_MAX: i8 = 127;

/// Why stored vectors could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The bytes are of another format version.
    #[error("unknown version {0} of stored vectors")]
    Version(u8),
    /// The bytes are shorter or longer than their header says.
    #[error("stored vectors have the wrong length")]
    Length,
    /// The codes or their scale are not as they are written.
    #[error("stored codes are out of range")]
    Codes,
    /// The values are not acceptable as vectors.
    #[error(transparent)]
    Vectors(#[from] VectorError),
}

/// The vectors of one slot, each as codes and their scale.
#[derive(Debug, Clone, PartialEq)]
pub struct SlotVectors {
    dimensions: usize,
    vectors: Quantised,
}

impl SlotVectors {
    /// Checks, normalises and keeps the vectors of one slot, one per chunk.
    pub fn new(dimensions: usize, chunks: &[Vec<f32>]) -> Result<Self, VectorError> {
        if chunks.is_empty() || chunks.len() > CHUNKS_MAX {
            return Err(VectorError::Chunks {
                found: chunks.len(),
            });
        }
        if let Some(odd) = chunks.iter().find(|chunk| chunk.len() != dimensions) {
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
        let values = chunks.iter().map(|chunk| normalised(chunk));
        let values = values.collect::<Result<Vec<_>, _>>()?;
        Ok(Self {
            dimensions,
            vectors: Quantised::of(&values),
        })
    }

    /// Returns the number of dimensions.
    pub fn dimensions(&self) -> usize {
        self.dimensions
    }

    /// Returns the vectors as they are compared.
    pub(super) fn vectors(&self) -> &Quantised {
        &self.vectors
    }

    /// Returns the bytes to keep.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = vec![VERSION];
        for length in [self.dimensions, self.vectors.len()] {
            // Both are bounded by constants below 2^16, so two bytes hold them.
            let [low, high, ..] = length.to_le_bytes();
            bytes.extend([low, high]);
        }
        let codes = self.vectors.codes.chunks_exact(self.dimensions.max(1));
        for (scale, codes) in self.vectors.scales.iter().zip(codes) {
            bytes.extend(scale.to_le_bytes());
            bytes.extend(codes.iter().map(|code| code.cast_unsigned()));
        }
        bytes
    }

    /// Reads vectors of `dimensions` dimensions back from their bytes.
    pub fn decode(dimensions: usize, bytes: &[u8]) -> Result<Self, DecodeError> {
        let (&[version, d0, d1, c0, c1], body) = bytes
            .split_first_chunk::<HEADER_BYTES>()
            .ok_or(DecodeError::Length)?;
        let value_bytes = match version {
            VERSION => 1,
            VERSION_OF_FINE => 2,
            VERSION_OF_FLOATS => 5,
            other => return Err(DecodeError::Version(other)),
        };
        let found = usize::from(u16::from_le_bytes([d0, d1]));
        if found != dimensions || found == 0 {
            return Err(VectorError::Dimensions {
                expected: dimensions,
                found,
            }
            .into());
        }
        let chunk_bytes = SCALE_BYTES + value_bytes * found;
        let count = usize::from(u16::from_le_bytes([c0, c1]));
        if body.len() != chunk_bytes * count {
            return Err(DecodeError::Length);
        }
        if count == 0 || count > CHUNKS_MAX {
            return Err(VectorError::Chunks { found: count }.into());
        }
        let chunks = body.chunks_exact(chunk_bytes);
        if version != VERSION {
            let values = chunks.map(|chunk| older(version, chunk, found));
            let values = values.collect::<Result<Vec<_>, _>>()?;
            return Ok(Self::new(dimensions, &values)?);
        }
        let mut vectors = Quantised {
            scales: Vec::with_capacity(count),
            codes: Vec::with_capacity(count * found),
        };
        for chunk in chunks {
            let (scale, codes) = split_scale(chunk)?;
            let codes = codes.iter().map(|code| code.cast_signed());
            let first = vectors.codes.len();
            vectors.scales.push(scale);
            vectors.codes.extend(codes);
            let codes = vectors.codes.get(first..).unwrap_or_default();
            if !is_written_so(scale, codes) {
                return Err(DecodeError::Codes);
            }
        }
        Ok(Self {
            dimensions,
            vectors,
        })
    }
}

fn split_scale(chunk: &[u8]) -> Result<(f32, &[u8]), DecodeError> {
    let (scale, rest) = chunk
        .split_first_chunk::<SCALE_BYTES>()
        .ok_or(DecodeError::Length)?;
    Ok((f32::from_le_bytes(*scale), rest))
}

/// Tells whether codes are those of a vector of length one, or of none, as they are written: the
/// largest is the greatest code.
fn is_written_so(scale: f32, codes: &[i8]) -> bool {
    let largest = codes.iter().map(|code| code.unsigned_abs()).max();
    if scale.to_bits() == 0 {
        return largest == Some(0);
    }
    let square = f32_of(codes.iter().map(|code| i32::from(*code).pow(2)).sum());
    let length = square.sqrt() * scale;
    let rounding = f32_of(i32::try_from(codes.len()).unwrap_or(i32::MAX)).sqrt() / 2.0 * scale;
    largest == Some(CODE_MAX.unsigned_abs()) && (length - 1.0).abs() < rounding + LENGTH_ERROR
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a rounding of 2^-24 is no matter here"
)]
fn f32_of(number: i32) -> f32 {
    number as f32
}

/// Vectors with one byte per dimension, one after the other: `value = code * scale`.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Quantised {
    scales: Vec<f32>,
    codes: Vec<i8>,
}

impl Quantised {
    pub(super) fn of(vectors: &[Vec<f32>]) -> Self {
        let scales = vectors
            .iter()
            .map(|vector| largest(vector) / f32::from(CODE_MAX));
        let scales: Vec<f32> = scales.collect();
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

    /// Returns a copy of some vectors of `width` dimensions.
    pub(super) fn cut(&self, rows: Range<usize>, width: usize) -> Self {
        let codes = rows.start * width..rows.end * width;
        Self {
            scales: self.scales.get(rows).unwrap_or_default().to_vec(),
            codes: self.codes.get(codes).unwrap_or_default().to_vec(),
        }
    }

    /// Adds a vector to a sum of as many dimensions.
    pub(super) fn add_to(&self, row: usize, sum: &mut [f32]) {
        let codes = self.codes.chunks_exact(sum.len().max(1)).nth(row);
        let scale = self.scales.get(row).copied().unwrap_or_default();
        for (part, code) in sum.iter_mut().zip(codes.unwrap_or_default()) {
            *part += f32::from(*code) * scale;
        }
    }

    /// Asks for the memory that a vector of `width` dimensions lies in.
    #[expect(
        clippy::inline_always,
        reason = "only what is inlined is compiled for the processor"
    )]
    #[inline(always)]
    pub(super) fn prefetch(&self, row: usize, width: usize) {
        let codes = self.codes.get(row * width..(row + 1) * width);
        let lines = codes.unwrap_or_default().chunks(LINE_BYTES);
        lines.filter_map(<[i8]>::first).for_each(prefetch);
        self.scales.get(row).into_iter().for_each(prefetch);
    }

    /// Returns the codes, vector after vector.
    pub(super) fn codes(&self) -> &[i8] {
        &self.codes
    }

    /// Returns the cosine of a vector of `width` dimensions with the one of the query.
    #[expect(
        clippy::inline_always,
        reason = "only what is inlined is compiled for the processor"
    )]
    #[inline(always)]
    pub(super) fn cosine(&self, row: usize, width: usize, query: &Self) -> f32 {
        let codes = self.codes.get(row * width..(row + 1) * width);
        let scale = self.scales.get(row).copied().unwrap_or_default();
        let query_scale = query.scales.first().copied().unwrap_or_default();
        let product = dot_codes(codes.unwrap_or_default(), &query.codes);
        f32_of(product) * scale * query_scale
    }
}

/// Returns the vector scaled to length one; a zero vector stays zero and is like nothing.
pub(super) fn normalised(vector: &[f32]) -> Result<Vec<f32>, VectorError> {
    if vector.iter().any(|value| !value.is_finite()) {
        return Err(VectorError::NotFinite);
    }
    // Dividing by the largest value first keeps the squares of huge values finite.
    let largest = largest(vector);
    if largest == 0.0 {
        return Ok(vector.to_vec());
    }
    let scaled: Vec<f32> = vector.iter().map(|value| value / largest).collect();
    let length = dot(&scaled, &scaled).sqrt();
    Ok(scaled.iter().map(|value| value / length).collect())
}

/// Returns the values of a chunk of an older version.
fn older(version: u8, chunk: &[u8], dimensions: usize) -> Result<Vec<f32>, DecodeError> {
    let (scale, rest) = split_scale(chunk)?;
    if version == VERSION_OF_FINE {
        let codes = rest.as_chunks().0.iter();
        let values = codes.map(|code| f32::from(i16::from_le_bytes(*code)) * scale);
        return Ok(values.collect());
    }
    let values = rest.get(dimensions..).unwrap_or_default();
    let values = values.as_chunks().0.iter();
    Ok(values.map(|value| f32::from_le_bytes(*value)).collect())
}

fn largest(vector: &[f32]) -> f32 {
    let values = vector.iter();
    values.fold(0.0, |largest: f32, value| largest.max(value.abs()))
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "clamped to the range of an i8 just before"
)]
fn code_of(value: f32, scale: f32) -> i8 {
    let most = f32::from(CODE_MAX);
    if scale > 0.0 {
        (value / scale).round().clamp(-most, most) as i8
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

/// A plain sum of products of 16 bits is the form in which the compiler finds the instruction that
/// multiplies and adds pairs of them.
#[expect(
    clippy::inline_always,
    reason = "only what is inlined is compiled for the processor"
)]
#[inline(always)]
fn dot_codes(left: &[i8], right: &[i8]) -> i32 {
    left.iter()
        .zip(right)
        .map(|(left, right)| i32::from(i16::from(*left)) * i32::from(i16::from(*right)))
        .sum()
}
