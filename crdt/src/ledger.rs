//! The disclosure ledger as data: what left, to whom, under which grant, and when.
//!
//! A Merkle log in the shape of RFC 6962: leaf `H(0 || entry)`, node `H(1 || left || right)`. The
//! same shape is used twice: one tree over all entries, which only its owner sees, and one *line*
//! per person over the entries to that person, which is what that person's node witnesses.
//!
//! It is not where entries are kept; that is storage's. Start at [`Entry`], then [`Tree`] and
//! [`checkpoint::Checkpoint`].
//!
//! Invariant: two logs with the same size and root hold the same entries in the same order.

pub mod checkpoint;
pub mod tree;

pub use checkpoint::{Checkpoint, Note};
pub use tree::{SignedTree, Tree};

use crate::codec::{Canonical, DecodeError, Reader, Writer};
use crate::envelope::Epoch;
use crate::hash::Hash;
use crate::id::{EventId, GrantId, MemoryId, PersonId};
use crate::time::Timestamp;

/// The most events in one entry: what one look at a memory can let out.
const EVENTS_MAX: usize = 1 << 16;
/// The most keys in one entry: epochs times grants of one memory.
const KEYS_MAX: usize = 1 << 16;
/// Stands before the part of a blob at the end of an entry.
const BLOB_TAG: u8 = 1;

/// A content key that left, sealed for the holders of a grant's scope key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct KeySent {
    /// The grant.
    pub grant: GrantId,
    /// The epoch of the content key.
    pub epoch: Epoch,
}

/// Bytes of an attachment that left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct BlobSent {
    /// Which blob, by its hash.
    pub blob: Hash,
    /// The first byte that left.
    pub from: u64,
    /// How many bytes left.
    pub bytes: u64,
}

/// One disclosure: events and keys of one memory, or a part of one of its attachments, that went
/// to one person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its number, from 1: in the whole ledger, or in the person's line.
    pub number: u64,
    /// When.
    pub time: Timestamp,
    /// To whom.
    pub person: PersonId,
    /// The memory.
    pub memory: MemoryId,
    /// The events; none if only keys went.
    pub events: Vec<EventId>,
    /// The sealed keys; none if the memory is the receiver's own.
    pub keys: Vec<KeySent>,
    /// Bytes of events and sealed keys, or of the attachment.
    pub bytes: u64,
    /// Under which grant.
    pub grant: Option<GrantId>,
    /// The part of an attachment, if that is what left.
    pub blob: Option<BlobSent>,
}

impl Entry {
    /// Returns the same entry with its number in a person's line. The number in the whole ledger
    /// stays out of it: from that the person could tell how much goes to others.
    #[must_use]
    pub fn in_line(&self, number: u64) -> Self {
        Self {
            number,
            ..self.clone()
        }
    }
}

impl Canonical for KeySent {
    fn encode(&self, out: &mut Writer) {
        self.grant.encode(out);
        self.epoch.encode(out);
    }
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            grant: GrantId::decode(input)?,
            epoch: Epoch::decode(input)?,
        })
    }
}

impl Canonical for BlobSent {
    fn encode(&self, out: &mut Writer) {
        self.blob.encode(out);
        out.u64(self.from);
        out.u64(self.bytes);
    }
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            blob: Hash::decode(input)?,
            from: input.u64("first byte")?,
            bytes: input.u64("blob bytes")?,
        })
    }
}

/// Reads what may follow an entry: nothing, or one tagged part of a blob.
fn read_blob(input: &mut Reader<'_>) -> Result<Option<BlobSent>, DecodeError> {
    if input.remaining() == 0 {
        return Ok(None);
    }
    match input.u8("extension of an entry")? {
        BLOB_TAG => BlobSent::decode(input).map(Some),
        found => Err(DecodeError::Unknown {
            what: "extension of an entry",
            found,
        }),
    }
}

/// An entry fills the bytes it is read from: what follows the fields is its extension.
impl Canonical for Entry {
    fn encode(&self, out: &mut Writer) {
        out.u64(self.number);
        self.time.encode(out);
        self.person.encode(out);
        self.memory.encode(out);
        out.list(&self.events);
        out.list(&self.keys);
        out.u64(self.bytes);
        out.option(self.grant.as_ref(), |out, grant| grant.encode(out));
        // Entries from before there were blobs end here, and their bytes are signed.
        if let Some(blob) = &self.blob {
            out.u8(BLOB_TAG);
            blob.encode(out);
        }
    }
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            number: input.u64("number")?,
            time: Timestamp::decode(input)?,
            person: PersonId::decode(input)?,
            memory: MemoryId::decode(input)?,
            events: input.list(EVENTS_MAX, "events")?,
            keys: input.list(KEYS_MAX, "keys")?,
            bytes: input.u64("bytes")?,
            grant: input.option("grant", GrantId::decode)?,
            blob: read_blob(input)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_has_one_encoding_and_no_global_number_in_a_line() {
        let entry = Entry {
            number: 70_000,
            time: Timestamp(5),
            person: PersonId([1; 32]),
            memory: MemoryId([2; 32]),
            events: vec![EventId([3; 32])],
            keys: vec![KeySent {
                grant: GrantId([4; 32]),
                epoch: Epoch(2),
            }],
            bytes: 300,
            grant: Some(GrantId([4; 32])),
            blob: None,
        };
        assert_eq!(Entry::from_bytes(&entry.to_bytes()), Ok(entry.clone()));
        let other = Entry {
            number: 12,
            ..entry.clone()
        };
        assert_ne!(entry, other);
        assert_eq!(entry.in_line(3), other.in_line(3));
    }
    #[test]
    fn an_entry_of_before_there_were_blobs_reads_and_keeps_its_bytes() {
        // As version 0.1 wrote it: number, time, person, memory, no events, no keys, bytes, grant.
        let mut old = Vec::new();
        old.extend(7_u64.to_le_bytes());
        old.extend(5_u64.to_le_bytes());
        old.extend([1; 32]);
        old.extend([2; 32]);
        old.extend(0_u32.to_le_bytes());
        old.extend(0_u32.to_le_bytes());
        old.extend(300_u64.to_le_bytes());
        old.push(0);
        let entry = Entry::from_bytes(&old).unwrap();
        assert_eq!((entry.number, entry.blob, entry.bytes), (7, None, 300));
        assert_eq!(entry.to_bytes(), old);
        let sent = BlobSent {
            blob: Hash([9; 32]),
            from: 4,
            bytes: 300,
        };
        let new = Entry {
            blob: Some(sent),
            ..entry
        };
        let bytes = new.to_bytes();
        assert_eq!(Entry::from_bytes(&bytes), Ok(new));
        assert_eq!(bytes.get(..old.len()), Some(old.as_slice()));
        for cut in old.len() + 1..bytes.len() {
            assert!(
                Entry::from_bytes(bytes.get(..cut).unwrap()).is_err(),
                "cut to {cut}"
            );
        }
        old.push(2);
        assert!(
            Entry::from_bytes(&old).is_err(),
            "an extension that is not known"
        );
    }
}
