//! A sum over a set of ids, which grows and shrinks with the set: what a fingerprint is made of.
//!
//! The homomorphic hash `LtHash16` with 1,024 lanes (Bellare and Micciancio, "A New Paradigm for
//! Collision-free Hashing", 1997; Lewi et al., "Securing Update Propagation with Homomorphic
//! Hashing", 2019): each id is stretched to 2,048 bytes, and the bytes are added up, lane by lane.
//! A plain sum of hashes would not do: whoever chooses ids could prepare sets with equal sums.
//!
//! Invariant: the sum depends on the set alone, not on the order of what was added and taken away.

use crdt::hash::Hash;

const LANES: usize = 1_024;
const BYTES: usize = 2 * LANES;
const STRETCH: &str = "second-brain 2026 v2 view element";

/// The sum of a set of ids.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Sum(Box<[u16; LANES]>);

impl Default for Sum {
    fn default() -> Self {
        Self(Box::new([0; LANES]))
    }
}

impl std::fmt::Debug for Sum {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Sum({:?})", self.digest(&[]))
    }
}

impl Sum {
    /// Adds an id that was not in the set.
    pub(super) fn add(&mut self, id: &[u8; 32]) {
        let stretched = stretch(id);
        for (lane, bytes) in self.0.iter_mut().zip(stretched.as_chunks().0) {
            *lane = lane.wrapping_add(u16::from_le_bytes(*bytes));
        }
    }
    /// Takes away an id that was in the set.
    pub(super) fn remove(&mut self, id: &[u8; 32]) {
        let stretched = stretch(id);
        for (lane, bytes) in self.0.iter_mut().zip(stretched.as_chunks().0) {
            *lane = lane.wrapping_sub(u16::from_le_bytes(*bytes));
        }
    }
    /// Returns a hash of the sum and of what else is to be compared.
    pub(super) fn digest(&self, beside: &[u8]) -> Hash {
        let mut bytes = [0; BYTES];
        for (bytes, lane) in bytes.as_chunks_mut().0.iter_mut().zip(self.0.iter()) {
            *bytes = lane.to_le_bytes();
        }
        Hash::of("second-brain 2026 v2 view", &[&bytes, beside])
    }
}

fn stretch(id: &[u8; 32]) -> [u8; BYTES] {
    let mut bytes = [0; BYTES];
    let mut hasher = blake3::Hasher::new_derive_key(STRETCH);
    hasher.update(id);
    hasher.finalize_xof().fill(&mut bytes);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_added_and_taken_away_leaves_no_trace() {
        let (mut one, mut other) = (Sum::default(), Sum::default());
        one.add(&[1; 32]);
        one.add(&[2; 32]);
        one.add(&[3; 32]);
        one.remove(&[2; 32]);
        other.add(&[3; 32]);
        assert_ne!(one, other);
        other.add(&[1; 32]);
        assert_eq!(one, other);
        assert_ne!(one.digest(&[1]), one.digest(&[2]));
        assert_ne!(one.digest(&[]), Sum::default().digest(&[]));
    }
}
