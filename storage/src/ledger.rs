//! The disclosure ledger: what left, to whom, under which grant, and when.
//!
//! A Merkle log in the shape of RFC 6962: leaf `H(0 || entry)`, node `H(1 || left || right)`.
//! Every append stores the tree's head signed by this device, in the same batch as the entry
//! and before the bytes are handed to the transport. A changed, removed, moved or cut-off entry
//! no longer fits the signed head.
//!
//! Who owns the disk *and* the device key can write another ledger with another head; peers that
//! keep heads as witnesses close that gap, which is the work of a later change.

use crdt::codec::{Canonical, DecodeError, Reader, Writer};
use crdt::hash::Hash;
use crdt::id::{EventId, GrantId, MemoryId, PersonId};
use crdt::identity::{DeviceKey, SIGNATURE_BYTES, verify};
use crdt::time::Timestamp;

const LEAF: &str = "second-brain 2026 v1 ledger leaf";
const NODE: &str = "second-brain 2026 v1 ledger node";
const HEAD: &str = "second-brain 2026 v1 ledger head";
const EVENTS_MAX: usize = 1 << 16;

/// One disclosure: events of one memory that went to one person under one grant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its number, from 1.
    pub number: u64,
    /// When.
    pub time: Timestamp,
    /// To whom.
    pub person: PersonId,
    /// The memory.
    pub memory: MemoryId,
    /// The events; none if only the key went.
    pub events: Vec<EventId>,
    /// Bytes of events and keys.
    pub bytes: u64,
    /// Under which grant; none if the memory is the receiver's own.
    pub grant: Option<GrantId>,
}

impl Canonical for Entry {
    fn encode(&self, out: &mut Writer) {
        out.u64(self.number);
        self.time.encode(out);
        self.person.encode(out);
        self.memory.encode(out);
        out.list(&self.events);
        out.u64(self.bytes);
        out.option(self.grant.as_ref(), |out, grant| grant.encode(out));
    }
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            number: input.u64("number")?,
            time: Timestamp::decode(input)?,
            person: PersonId::decode(input)?,
            memory: MemoryId::decode(input)?,
            events: input.list(EVENTS_MAX, "events")?,
            bytes: input.u64("bytes")?,
            grant: input.option("grant", GrantId::decode)?,
        })
    }
}

/// The right edge of the Merkle tree: one hash per complete subtree, largest first.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tree {
    size: u64,
    peaks: Vec<Hash>,
}

impl Tree {
    /// Appends the bytes of an entry.
    pub fn push(&mut self, entry: &[u8]) {
        let mut hash = Hash::of(LEAF, &[entry]);
        let mut size = self.size;
        // Each trailing one bit of the size is a complete subtree that merges with the new one.
        while size & 1 == 1 {
            if let Some(left) = self.peaks.pop() {
                hash = Hash::of(NODE, &[&left.0, &hash.0]);
            }
            size >>= 1;
        }
        self.peaks.push(hash);
        self.size += 1;
    }
    /// Returns the number of entries.
    pub fn size(&self) -> u64 {
        self.size
    }
    /// Returns the root over all entries.
    pub fn root(&self) -> Hash {
        let mut peaks = self.peaks.iter().rev();
        let Some(first) = peaks.next() else {
            return Hash::of(LEAF, &[]);
        };
        peaks.fold(*first, |right, left| Hash::of(NODE, &[&left.0, &right.0]))
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

/// A tree with the signature of this device over its head.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedTree {
    /// The tree.
    pub tree: Tree,
    signature: [u8; SIGNATURE_BYTES],
}

impl SignedTree {
    /// Tells whether the device signed this head.
    pub fn is_signed_by(&self, device: &crdt::id::DeviceId) -> bool {
        verify(&device.0, &self.tree.head_hash(), &self.signature)
    }
}

impl Canonical for SignedTree {
    fn encode(&self, out: &mut Writer) {
        out.u64(self.tree.size);
        out.list(&self.tree.peaks);
        out.raw(&self.signature);
    }
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let tree = Tree {
            size: input.u64("size")?,
            peaks: input.list(64, "peaks")?,
        };
        Ok(Self {
            tree,
            signature: input.array("signature")?,
        })
    }
}

/// What checking the ledger found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// How many entries there are.
    pub entries: u64,
    /// The first entry that does not fit, and why; none if all do.
    pub fault: Option<(u64, String)>,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The tree as RFC 6962 section 2.1 defines it, by recursion.
    fn reference(leaves: &[Hash]) -> Hash {
        match leaves {
            [] => Hash::of(LEAF, &[]),
            [leaf] => *leaf,
            leaves => {
                let half = leaves.len().next_power_of_two() / 2;
                let (left, right) = leaves.split_at(half);
                Hash::of(NODE, &[&reference(left).0, &reference(right).0])
            }
        }
    }

    #[test]
    fn the_tree_has_the_shape_of_rfc_6962() {
        let mut tree = Tree::default();
        let mut leaves = Vec::new();
        for number in 0..70_u64 {
            assert_eq!(tree.root(), reference(&leaves), "{number} entries");
            tree.push(&number.to_le_bytes());
            leaves.push(Hash::of(LEAF, &[&number.to_le_bytes()]));
        }
    }

    #[test]
    fn a_head_is_bound_to_device_size_and_root() {
        let device = DeviceKey::from_seed(&[1; 32]);
        let mut tree = Tree::default();
        tree.push(b"one");
        let signed = tree.sign(&device);
        assert!(signed.is_signed_by(&device.id()));
        assert!(!signed.is_signed_by(&DeviceKey::from_seed(&[2; 32]).id()));
        tree.push(b"two");
        let moved = SignedTree {
            tree,
            ..signed.clone()
        };
        assert!(!moved.is_signed_by(&device.id()));
        assert_eq!(SignedTree::from_bytes(&signed.to_bytes()), Ok(signed));
    }
}
