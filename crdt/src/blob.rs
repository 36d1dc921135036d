//! Blobs: the bytes of attachments, named by their BLAKE3 hash, and the tree that checks them in
//! chunks.
//!
//! The hash of an attachment is the plain BLAKE3 hash of its bytes (what `b3sum` prints). BLAKE3 is
//! a tree; an [`Outline`] lists the hash of every subtree of [`CHUNK_BYTES`]. The list is checked
//! once against the attachment's hash; from then on each chunk is checked by itself, in any order.
//!
//! ```text
//! bytes -> Measure -> Outline -> root = the attachment's hash
//!                     Outline::fits(index, chunk) before a chunk is kept
//! ```
//!
//! It is not where blobs are kept; that is storage's.
//!
//! Invariant: chunks that all fit an outline with a given root are the only bytes with that hash.

pub mod seal;

use crate::codec::{Canonical, DecodeError, Reader, Writer};
use crate::hash::Hash;
use blake3::hazmat::{self, HasherExt as _, Mode};

/// Bytes of a chunk, all but the last: a power of two times BLAKE3's own kilobyte, so that each is
/// a whole subtree. An outline takes 32 bytes for each.
pub const CHUNK_BYTES: usize = 256 << 10;
/// Bytes of the largest blob: its outline (512 KiB) fits into one frame.
pub const BLOB_BYTES_MAX: u64 = 4 << 30;

/// The hashes of a blob's chunks: what checks each of them alone.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Outline {
    bytes: u64,
    /// For a blob of one chunk its hash, else the chaining value of each subtree.
    chunks: Vec<[u8; 32]>,
}

/// Returns how many chunks so many bytes have.
pub fn chunks_of(bytes: u64) -> u64 {
    bytes.div_ceil(CHUNK_BYTES as u64)
}

impl Outline {
    /// Returns how many bytes the blob has.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }
    /// Returns how many chunks the blob has.
    pub fn chunks(&self) -> u32 {
        u32::try_from(self.chunks.len()).unwrap_or(u32::MAX)
    }
    /// Returns how many bytes a chunk has; none if there is no such chunk.
    pub fn chunk_bytes(&self, index: u32) -> Option<usize> {
        let start = u64::from(index) * CHUNK_BYTES as u64;
        let left = self.bytes.checked_sub(start).filter(|left| *left > 0)?;
        usize::try_from(left.min(CHUNK_BYTES as u64)).ok()
    }
    /// Returns the hash of the blob that has these chunks.
    pub fn root(&self) -> Hash {
        match self.chunks.as_slice() {
            [] => Hash(*blake3::hash(&[]).as_bytes()),
            [only] => Hash(*only),
            chunks => {
                let (left, right) = split(chunks, self.bytes);
                let (left, right) = (merge(left.0, left.1), merge(right.0, right.1));
                Hash(*hazmat::merge_subtrees_root(&left, &right, Mode::Hash).as_bytes())
            }
        }
    }
    /// Tells whether these bytes are that chunk of the blob.
    pub fn fits(&self, index: u32, chunk: &[u8]) -> bool {
        if self.chunk_bytes(index) != Some(chunk.len()) {
            return false;
        }
        let place = usize::try_from(index).unwrap_or(usize::MAX);
        let expected = self.chunks.get(place);
        let found = if self.chunks.len() == 1 {
            *blake3::hash(chunk).as_bytes()
        } else {
            subtree(index, chunk)
        };
        expected == Some(&found)
    }
}

/// Part of the list with the number of bytes below it.
type Part<'a> = (&'a [[u8; 32]], u64);

/// Splits a list where BLAKE3 splits its tree.
fn split(chunks: &[[u8; 32]], bytes: u64) -> (Part<'_>, Part<'_>) {
    let left_bytes = hazmat::left_subtree_len(bytes);
    let left = usize::try_from(chunks_of(left_bytes)).unwrap_or(usize::MAX);
    let (left, right) = chunks.split_at_checked(left).unwrap_or((chunks, &[]));
    (
        (left, left_bytes),
        (right, bytes.saturating_sub(left_bytes)),
    )
}

fn merge(chunks: &[[u8; 32]], bytes: u64) -> [u8; 32] {
    match chunks {
        [] => [0; 32],
        [only] => *only,
        chunks => {
            let (left, right) = split(chunks, bytes);
            let (left, right) = (merge(left.0, left.1), merge(right.0, right.1));
            hazmat::merge_subtrees_non_root(&left, &right, Mode::Hash)
        }
    }
}

/// Returns the chaining value of a chunk that is not empty.
fn subtree(index: u32, chunk: &[u8]) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    hasher.set_input_offset(u64::from(index) * CHUNK_BYTES as u64);
    hasher.update(chunk);
    hasher.finalize_non_root()
}

/// Makes the outline of a blob, chunk by chunk.
#[derive(Debug, Default)]
pub struct Measure {
    bytes: u64,
    chunks: Vec<[u8; 32]>,
    /// The hash of the first chunk, in case there is no other.
    first: Option<[u8; 32]>,
}

impl Measure {
    /// Takes the next chunk: [`CHUNK_BYTES`], fewer only for the last one, never none.
    pub fn push(&mut self, chunk: &[u8]) {
        if chunk.is_empty() {
            return;
        }
        if self.chunks.is_empty() {
            self.first = Some(*blake3::hash(chunk).as_bytes());
        }
        let index = u32::try_from(self.chunks.len()).unwrap_or(u32::MAX);
        self.chunks.push(subtree(index, chunk));
        self.bytes += chunk.len() as u64;
    }
    /// Returns the outline of what was taken.
    pub fn finish(self) -> Outline {
        let chunks = match (self.first, self.chunks.len()) {
            (Some(only), 1) => vec![only],
            _ => self.chunks,
        };
        Outline {
            bytes: self.bytes,
            chunks,
        }
    }
}

/// Returns the outline of bytes that are at hand.
pub fn outline_of(bytes: &[u8]) -> Outline {
    let mut measure = Measure::default();
    for chunk in bytes.chunks(CHUNK_BYTES) {
        measure.push(chunk);
    }
    measure.finish()
}

impl Canonical for Outline {
    fn encode(&self, out: &mut Writer) {
        out.u64(self.bytes);
        for chunk in &self.chunks {
            out.raw(chunk);
        }
    }
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let bytes = input.u64("blob bytes")?;
        if bytes > BLOB_BYTES_MAX {
            return Err(DecodeError::TooLong {
                what: "blob",
                found: usize::try_from(bytes).unwrap_or(usize::MAX),
                limit: usize::try_from(BLOB_BYTES_MAX).unwrap_or(usize::MAX),
            });
        }
        let count = usize::try_from(chunks_of(bytes)).unwrap_or(usize::MAX);
        // A false length cannot make us allocate.
        let mut chunks = Vec::with_capacity(count.min(input.remaining() / 32));
        for _ in 0..count {
            chunks.push(input.array("chunk hash")?);
        }
        Ok(Self { bytes, chunks })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes that repeat nowhere within a chunk.
    fn bytes(count: usize) -> Vec<u8> {
        (0_u32..)
            .flat_map(|n| blake3::hash(&n.to_le_bytes()).as_bytes().to_owned())
            .take(count)
            .collect()
    }

    #[test]
    fn the_root_is_the_plain_hash_of_the_bytes() {
        let chunk = CHUNK_BYTES;
        let sizes = [
            0,
            1,
            1024,
            1025,
            chunk - 1,
            chunk,
            chunk + 1,
            2 * chunk,
            2 * chunk + 1,
            3 * chunk,
            3 * chunk + 77,
            4 * chunk,
            5 * chunk + 1024,
            9 * chunk + 5,
        ];
        for size in sizes {
            let data = bytes(size);
            let outline = outline_of(&data);
            assert_eq!(outline.root().0, *blake3::hash(&data).as_bytes(), "{size}");
            assert_eq!(u64::from(outline.chunks()), chunks_of(size as u64));
            assert_eq!(
                Outline::from_bytes(&outline.to_bytes()),
                Ok(outline.clone())
            );
            for (index, piece) in data.chunks(chunk).enumerate() {
                assert!(
                    outline.fits(u32::try_from(index).unwrap(), piece),
                    "{size} {index}"
                );
            }
        }
    }

    #[test]
    fn no_other_chunk_fits() {
        let data = bytes(3 * CHUNK_BYTES + 100);
        let outline = outline_of(&data);
        let pieces: Vec<&[u8]> = data.chunks(CHUNK_BYTES).collect();
        let [first, second, _, last] = pieces.as_slice() else {
            unreachable!("four pieces");
        };
        assert!(!outline.fits(0, second), "wrong order");
        assert!(!outline.fits(3, &last[..99]), "truncated");
        assert!(!outline.fits(4, last), "no such chunk");
        for at in [0, 1023, CHUNK_BYTES - 1] {
            let mut bad = first.to_vec();
            bad[at] ^= 1;
            assert!(!outline.fits(0, &bad), "byte {at}");
        }
    }

    #[test]
    fn an_outline_of_other_chunks_has_another_root() {
        let outline = outline_of(&bytes(4 * CHUNK_BYTES));
        let mut swapped = outline.clone();
        swapped.chunks.swap(1, 2);
        assert_ne!(outline.root(), swapped.root());
        let mut shorter = outline.to_bytes();
        shorter.truncate(8 + 3 * 32);
        assert!(Outline::from_bytes(&shorter).is_err());
        let huge = (BLOB_BYTES_MAX + 1).to_le_bytes();
        assert!(Outline::from_bytes(&huge).is_err());
    }
}
