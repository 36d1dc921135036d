//! The Merkle tree of RFC 6962 and its two proofs, as RFC 9162 checks them.
//!
//! ```text
//! Tree::push(entry) -> complete subtrees, to be kept as (level, index) -> hash
//! root, consistency, inclusion: made from kept subtrees; consistent, includes: check the answer
//! ```
//!
//! The subtree at level `l` and index `i` covers the leaves from `i * 2^l`, `2^l` of them.

use crate::codec::{Canonical, DecodeError, Reader, Writer};
use crate::hash::Hash;
use crate::id::DeviceId;
use crate::identity::{DeviceKey, SIGNATURE_BYTES, verify};

const LEAF: &str = "second-brain 2026 v1 ledger leaf";
const NODE: &str = "second-brain 2026 v1 ledger node";
const HEAD: &str = "second-brain 2026 v1 ledger head";
/// The most hashes in a proof: two a level of a tree with 2^64 leaves.
pub const PROOF_MAX: usize = 128;

/// A complete subtree: level, index, hash.
pub type Subtree = (u8, u64, Hash);

/// Returns the hash of a leaf.
pub fn leaf(entry: &[u8]) -> Hash {
    Hash::of(LEAF, &[entry])
}

fn node(left: &Hash, right: &Hash) -> Hash {
    Hash::of(NODE, &[&left.0, &right.0])
}

/// The right edge of the Merkle tree: one hash per complete subtree, largest first.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tree {
    size: u64,
    peaks: Vec<Hash>,
}

impl Tree {
    /// Appends the bytes of an entry and returns the subtrees that it completes.
    pub fn push(&mut self, entry: &[u8]) -> Vec<Subtree> {
        let mut hash = leaf(entry);
        let (mut level, mut index) = (0, self.size);
        let mut complete = vec![(level, index, hash)];
        // Each trailing one bit of the size is a complete subtree that merges with the new one.
        while index & 1 == 1 {
            if let Some(left) = self.peaks.pop() {
                hash = node(&left, &hash);
            }
            level += 1;
            index >>= 1;
            complete.push((level, index, hash));
        }
        self.peaks.push(hash);
        self.size += 1;
        complete
    }
    /// Returns the number of entries.
    pub fn size(&self) -> u64 {
        self.size
    }
    /// Returns the root over all entries.
    pub fn root(&self) -> Hash {
        let mut peaks = self.peaks.iter().rev();
        let Some(first) = peaks.next() else {
            return empty();
        };
        peaks.fold(*first, |right, left| node(left, &right))
    }
    fn head_hash(&self) -> Hash {
        Hash::of(HEAD, &[&self.size.to_le_bytes(), &self.root().0])
    }
    /// Signs the head.
    pub fn sign(&self, device: &DeviceKey) -> SignedTree {
        SignedTree {
            tree: self.clone(),
            signature: device.sign(&self.head_hash()),
        }
    }
}

impl Canonical for Tree {
    fn encode(&self, out: &mut Writer) {
        out.u64(self.size);
        out.list(&self.peaks);
    }
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let tree = Self {
            size: input.u64("size")?,
            peaks: input.list(64, "peaks")?,
        };
        if tree.peaks.len() == tree.size.count_ones() as usize {
            Ok(tree)
        } else {
            Err(DecodeError::NotCanonical("peaks"))
        }
    }
}

/// A tree with the signature of a device over its head.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedTree {
    /// The tree.
    pub tree: Tree,
    signature: [u8; SIGNATURE_BYTES],
}

impl SignedTree {
    /// Tells whether the device signed this head.
    pub fn is_signed_by(&self, device: &DeviceId) -> bool {
        verify(&device.0, &self.tree.head_hash(), &self.signature)
    }
}

impl Canonical for SignedTree {
    fn encode(&self, out: &mut Writer) {
        self.tree.encode(out);
        out.raw(&self.signature);
    }
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            tree: Tree::decode(input)?,
            signature: input.array("signature")?,
        })
    }
}

/// Returns the root of a tree without leaves.
pub fn empty() -> Hash {
    Hash::of(LEAF, &[])
}

/// Returns the size of the left part of a tree of `count` leaves, of which there are two or more.
fn left_size(count: u64) -> u64 {
    1 << (count - 1).ilog2()
}

/// Returns the root over the first `size` leaves; `subtree` gives the complete ones.
pub fn root<E>(size: u64, subtree: &mut impl FnMut(u8, u64) -> Result<Hash, E>) -> Result<Hash, E> {
    if size == 0 {
        return Ok(empty());
    }
    range(0, size, subtree)
}

fn range<E>(
    from: u64,
    count: u64,
    subtree: &mut impl FnMut(u8, u64) -> Result<Hash, E>,
) -> Result<Hash, E> {
    if count.is_power_of_two() {
        let level = count.trailing_zeros();
        return subtree(u8::try_from(level).unwrap_or(u8::MAX), from >> level);
    }
    let half = left_size(count);
    let left = range(from, half, subtree)?;
    let right = range(from + half, count - half, subtree)?;
    Ok(node(&left, &right))
}

/// Returns the proof that the first `old` of `size` leaves are those of the tree of `old` leaves.
pub fn consistency<E>(
    old: u64,
    size: u64,
    subtree: &mut impl FnMut(u8, u64) -> Result<Hash, E>,
) -> Result<Vec<Hash>, E> {
    let mut path = Vec::new();
    if old == 0 || old >= size {
        return Ok(path);
    }
    let (mut from, mut count, mut left, mut is_whole) = (0, size, old, true);
    while left != count {
        let half = left_size(count);
        if left <= half {
            path.push(range(from + half, count - half, subtree)?);
            count = half;
        } else {
            path.push(range(from, half, subtree)?);
            from += half;
            count -= half;
            left -= half;
            is_whole = false;
        }
    }
    if !is_whole {
        path.push(range(from, count, subtree)?);
    }
    path.reverse();
    Ok(path)
}

/// Tells whether the proof shows that a tree of `new` leaves begins with the `old` ones.
pub fn is_consistent(old: (u64, Hash), new: (u64, Hash), proof: &[Hash]) -> bool {
    let ((old_size, old_root), (new_size, new_root)) = (old, new);
    if old_size == new_size {
        return old_root == new_root && proof.is_empty();
    }
    if old_size > new_size {
        return false;
    }
    if old_size == 0 {
        return old_root == empty() && proof.is_empty();
    }
    let mut path = proof.iter();
    let first = if old_size.is_power_of_two() {
        Some(&old_root)
    } else {
        path.next()
    };
    let Some(first) = first else { return false };
    let (mut at, mut last) = (old_size - 1, new_size - 1);
    while at & 1 == 1 {
        at >>= 1;
        last >>= 1;
    }
    let (mut before, mut after) = (*first, *first);
    for hash in path {
        if last == 0 {
            return false;
        }
        if at & 1 == 1 || at == last {
            before = node(hash, &before);
            after = node(hash, &after);
            while at & 1 == 0 && at != 0 {
                at >>= 1;
                last >>= 1;
            }
        } else {
            after = node(&after, hash);
        }
        at >>= 1;
        last >>= 1;
    }
    last == 0 && before == old_root && after == new_root
}

/// Returns the proof that a leaf, counted from 0, is in the tree of `size` leaves.
pub fn inclusion<E>(
    index: u64,
    size: u64,
    subtree: &mut impl FnMut(u8, u64) -> Result<Hash, E>,
) -> Result<Vec<Hash>, E> {
    let mut path = Vec::new();
    if index >= size {
        return Ok(path);
    }
    let (mut from, mut count) = (0, size);
    while count > 1 {
        let half = left_size(count);
        if index - from < half {
            path.push(range(from + half, count - half, subtree)?);
            count = half;
        } else {
            path.push(range(from, half, subtree)?);
            from += half;
            count -= half;
        }
    }
    path.reverse();
    Ok(path)
}

/// Tells whether the proof shows that a leaf is at an index of the tree.
pub fn includes(leaf: &Hash, index: u64, size: u64, root: &Hash, proof: &[Hash]) -> bool {
    if index >= size {
        return false;
    }
    let (mut at, mut last) = (index, size - 1);
    let mut hash = *leaf;
    for other in proof {
        if last == 0 {
            return false;
        }
        if at & 1 == 1 || at == last {
            hash = node(other, &hash);
            while at & 1 == 0 && at != 0 {
                at >>= 1;
                last >>= 1;
            }
        } else {
            hash = node(&hash, other);
        }
        at >>= 1;
        last >>= 1;
    }
    last == 0 && hash == *root
}

#[cfg(test)]
mod tests;
