//! A sniffer: what crosses a wire, read from its bytes, and what a ledger says of it.
//!
//! The frames are taken apart here, by hand and by the description of the format, not by the code
//! that made them. [`Traffic`] is the same for both sides, so that they can be compared:
//!
//! ```text
//! frames  -- Traffic::add_frame --> what crossed  \
//!                                                  equal, both ways
//! entries -- Traffic::add_entry --> what is said  /
//! ```
//!
//! The rule that is compared: the ledger is written before the bytes are handed on. So all that
//! crossed is in the ledger, as often as it crossed and byte for byte; and what the ledger has
//! more was lost on its way, which can only be where a connection broke.

use crdt::event::Signed;
use crdt::hash::Hash;
use crdt::id::{EventId, GrantId, MemoryId};
use protocol::api::ledger::LedgerEntry;
use std::collections::BTreeMap;

/// The first byte of a message that carries content.
const CONTENT: u8 = 128;
/// The first byte of a record of a blob's stream.
const BLOB: u8 = 255;
/// The first byte of an answer that carries a chunk.
const CHUNK: u8 = 3;
/// What sealing adds to a chunk.
const SEAL_BYTES: u64 = 16;
/// Bytes of a chunk, all but the last.
const CHUNK_BYTES: u64 = 256 << 10;

/// Puts an answer on the stream of a blob into a record, after memory and blob that were asked for.
pub fn blob_record(asked: &[u8], answer: &[u8]) -> Vec<u8> {
    let length = u32::try_from(1 + asked.len() + answer.len()).expect("a frame is short");
    [&length.to_le_bytes(), [BLOB].as_slice(), asked, answer].concat()
}

/// Something that went to a person, who is named by `did:key`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Thing {
    /// An event.
    Event(String, EventId, MemoryId),
    /// A sealed key: grant, memory, epoch.
    Key(String, GrantId, MemoryId, u32),
    /// A chunk of an attachment: memory, hash of the blob in hexadecimal, number of the chunk.
    Chunk(String, MemoryId, String, u64),
}

/// How often each thing went, and how many bytes of each memory.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Things and how often they went.
    pub things: BTreeMap<Thing, u64>,
    /// Bytes by person and memory.
    pub bytes: BTreeMap<(String, MemoryId), u64>,
}

/// Reads numbers and bytes from the front; a frame that ends too early is a fault of the test.
struct Cursor<'a>(&'a [u8]);

impl<'a> Cursor<'a> {
    fn take(&mut self, length: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(length);
        self.0 = rest;
        taken
    }
    fn number(&mut self) -> usize {
        let bytes: [u8; 4] = self.take(4).try_into().expect("four bytes");
        u32::from_le_bytes(bytes) as usize
    }
    fn id(&mut self) -> [u8; 32] {
        self.take(32).try_into().expect("32 bytes")
    }
}

impl Traffic {
    fn add(&mut self, thing: Thing, to: &str, memory: MemoryId, bytes: u64) {
        *self.things.entry(thing).or_default() += 1;
        *self.bytes.entry((to.to_owned(), memory)).or_default() += bytes;
    }

    /// Takes in a frame, length first, that went to a person; tells whether it carried content.
    pub fn add_frame(&mut self, to: &str, frame: &[u8]) -> bool {
        let mut cursor = Cursor(frame);
        let length = cursor.number();
        assert_eq!(length, cursor.0.len(), "a frame is as long as it says");
        match cursor.take(1) {
            [CONTENT] => {}
            [BLOB] => return self.add_answer(to, cursor),
            _ => return false,
        }
        for _ in 0..cursor.number() {
            let length = cursor.number();
            let event = Signed::from_bytes(cursor.take(length)).expect("an event reads");
            let (id, memory) = (event.id(), event.memory().expect("it is about a memory"));
            let thing = Thing::Event(to.to_owned(), id, memory);
            self.add(thing, to, memory, length as u64);
        }
        for _ in 0..cursor.number() {
            let (grant, memory) = (GrantId(cursor.id()), MemoryId(cursor.id()));
            let epoch = u32::try_from(cursor.number()).expect("four bytes");
            let length = cursor.number();
            cursor.take(length);
            let thing = Thing::Key(to.to_owned(), grant, memory, epoch);
            self.add(thing, to, memory, length as u64);
        }
        assert!(cursor.0.is_empty(), "nothing else is in a content frame");
        true
    }

    fn add_answer(&mut self, to: &str, mut cursor: Cursor<'_>) -> bool {
        let (memory, blob) = (MemoryId(cursor.id()), Hash(cursor.id()));
        if cursor.take(1) != [CHUNK] {
            return false;
        }
        let (index, length) = (cursor.number() as u64, cursor.number() as u64);
        assert_eq!(
            length,
            cursor.0.len() as u64,
            "a chunk is as long as it says"
        );
        let thing = Thing::Chunk(to.to_owned(), memory, blob.to_string(), index);
        // What sealing adds is no byte of the file.
        self.add(thing, to, memory, length - SEAL_BYTES);
        true
    }

    /// Takes in an entry of a ledger.
    pub fn add_entry(&mut self, entry: &LedgerEntry) {
        let memory: MemoryId = entry.memory.parse().expect("an id");
        let to = &entry.person;
        for event in &entry.events {
            let thing = Thing::Event(to.clone(), event.parse().expect("an id"), memory);
            self.add(thing, to, memory, 0);
        }
        for key in &entry.keys {
            let grant = key.grant.parse().expect("an id");
            let thing = Thing::Key(to.clone(), grant, memory, key.epoch);
            self.add(thing, to, memory, 0);
        }
        if let Some(part) = &entry.blob {
            let last = (part.from + part.bytes).div_ceil(CHUNK_BYTES);
            for index in part.from / CHUNK_BYTES..last {
                let thing = Thing::Chunk(to.clone(), memory, part.hash.clone(), index);
                self.add(thing, to, memory, 0);
            }
        }
        *self.bytes.entry((to.clone(), memory)).or_default() += entry.bytes;
    }

    /// Returns what is here more often than there.
    pub fn beyond(&self, other: &Self) -> BTreeMap<Thing, u64> {
        let more = self.things.iter().map(|(thing, count)| {
            let there = other.things.get(thing).copied().unwrap_or_default();
            (thing.clone(), count.saturating_sub(there))
        });
        more.filter(|(_, count)| *count > 0).collect()
    }
}

/// Panics unless the ledger says exactly what was handed to the wire.
pub fn assert_bijection(ledger: &Traffic, wire: &Traffic) {
    let unsaid = wire.beyond(ledger);
    assert!(
        unsaid.is_empty(),
        "crossed, and not in the ledger: {unsaid:#?}"
    );
    let unsent = ledger.beyond(wire);
    assert!(
        unsent.is_empty(),
        "in the ledger, and never sent: {unsent:#?}"
    );
    assert_eq!(ledger.bytes, wire.bytes, "bytes of each memory");
}
