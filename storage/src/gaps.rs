//! What is missing from the log after a salvage: entries that are lost, and those that build on them.
//!
//! A lost entry counts as one that this node never had, so reconciliation asks for it. What builds on
//! it is kept apart, whole and out of every projection and view, and goes back into the log when the
//! last one it needs is back.
//!
//! If consent may be among what is lost, a revocation or a stricter policy may be: then nothing leaves
//! until all of it is back or the person says so.
//!
//! Invariant: an entry is in the log or apart or lost, never two of these.

use crdt::codec::{Canonical, DecodeError, Reader, Writer};
use crdt::id::{EventId, MemoryId};
use std::collections::{BTreeMap, BTreeSet};

/// The longest title that is kept for a name.
const TITLE_BYTES_MAX: usize = 1 << 16;
/// The longest event that is kept apart.
const EVENT_BYTES_MAX: usize = 16 << 20;

/// An entry of the log that was damaged and is not back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lost {
    /// Its place in the log before it was lost; 0 if that is not known.
    pub place: u64,
    /// Its id, where something still named it.
    pub event: Option<EventId>,
    /// The memory it belongs to, if it is known to belong to one.
    pub memory: Option<MemoryId>,
    /// What the memory was called, where that still reads.
    pub title: Option<String>,
    /// Whether it was, or may have been, about consent, identity or policy.
    pub is_consent: bool,
}

/// An entry of the log that builds on one that is lost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Apart {
    /// Its place in the log before.
    pub place: u64,
    /// What it needs first; itself if its key is lost.
    pub need: EventId,
    /// The signed event.
    pub event: Vec<u8>,
}

/// What is known of an entry that is apart, without its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Waits {
    /// What it needs first; itself if its key is lost.
    pub need: EventId,
    /// The memory it belongs to; none if it is about consent.
    pub memory: Option<MemoryId>,
}

/// Whether anything may leave.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Halt {
    /// No consent is missing.
    #[default]
    None = 0,
    /// The person said that it may: what follows from that is still to be done.
    Over = 1,
    /// Nothing leaves until the lost consent is back, or the person says so.
    UntilBack = 2,
    /// Nothing leaves until the person says so: what is lost cannot be told.
    UntilTold = 3,
}

impl Halt {
    /// Reads the row; what does not read halts.
    pub(crate) fn from_row(row: &[u8]) -> Self {
        match row {
            [0] => Self::None,
            [1] => Self::Over,
            [2] => Self::UntilBack,
            _ => Self::UntilTold,
        }
    }
    /// Returns the row.
    pub(crate) fn to_row(self) -> Vec<u8> {
        vec![self as u8]
    }
}

/// All that is missing.
#[derive(Debug, Clone, Default)]
pub struct Gaps {
    pub(crate) lost: BTreeMap<Vec<u8>, Lost>,
    pub(crate) apart: BTreeMap<EventId, Waits>,
    by_need: BTreeMap<EventId, BTreeSet<EventId>>,
    pub(crate) halt: Halt,
}

impl Gaps {
    /// Tells whether nothing is missing.
    pub fn is_empty(&self) -> bool {
        self.lost.is_empty() && self.apart.is_empty() && !self.is_halted()
    }
    /// Tells whether nothing may leave.
    pub fn is_halted(&self) -> bool {
        self.halt >= Halt::UntilBack
    }
    /// Returns whether and until when nothing leaves.
    pub fn halt(&self) -> Halt {
        self.halt
    }
    /// Returns the entries that are lost, by their place.
    pub fn lost(&self) -> impl Iterator<Item = &Lost> {
        let mut lost: Vec<&Lost> = self.lost.values().collect();
        lost.sort_by_key(|lost| lost.place);
        lost.into_iter()
    }
    /// Returns the entries that are apart.
    pub fn apart(&self) -> impl Iterator<Item = (EventId, Waits)> {
        self.apart.iter().map(|(id, waits)| (*id, *waits))
    }
    /// Tells whether no consent is missing any more.
    pub(crate) fn has_all_consent(&self) -> bool {
        let lost = self.lost.values().any(|lost| lost.is_consent);
        let apart = self.apart.values().any(|waits| waits.memory.is_none());
        !lost && !apart
    }
    pub(crate) fn set_apart(&mut self, event: EventId, waits: Waits) {
        self.leave_apart(event);
        self.by_need.entry(waits.need).or_default().insert(event);
        self.apart.insert(event, waits);
    }
    pub(crate) fn leave_apart(&mut self, event: EventId) {
        let Some(waits) = self.apart.remove(&event) else {
            return;
        };
        if let Some(others) = self.by_need.get_mut(&waits.need) {
            others.remove(&event);
            if others.is_empty() {
                self.by_need.remove(&waits.need);
            }
        }
    }
    /// Returns the entries that need an event first.
    pub(crate) fn needing(&self, event: EventId) -> Vec<EventId> {
        let needing = self.by_need.get(&event).into_iter().flatten();
        needing.copied().filter(|other| *other != event).collect()
    }
}

impl Canonical for Lost {
    fn encode(&self, out: &mut Writer) {
        out.u64(self.place);
        out.option(self.event.as_ref(), |out, event| event.encode(out));
        out.option(self.memory.as_ref(), |out, memory| memory.encode(out));
        out.option(self.title.as_ref(), |out, title| out.text(title));
        out.bool(self.is_consent);
    }
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            place: input.u64("place")?,
            event: input.option("event", EventId::decode)?,
            memory: input.option("memory", MemoryId::decode)?,
            title: input.option("title", |input| input.text(TITLE_BYTES_MAX, "title"))?,
            is_consent: input.bool("consent")?,
        })
    }
}

impl Canonical for Apart {
    fn encode(&self, out: &mut Writer) {
        out.u64(self.place);
        self.need.encode(out);
        out.bytes(&self.event);
    }
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            place: input.u64("place")?,
            need: EventId::decode(input)?,
            event: input.bytes(EVENT_BYTES_MAX, "event")?.to_vec(),
        })
    }
}
