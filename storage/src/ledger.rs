//! The disclosure ledger as it is kept: what checking it finds, and what peers witnessed of it.
//!
//! Every append stores the tree's head signed by this device, in the same batch as the entry and
//! before the bytes are handed to the transport. A changed, removed, moved or cut-off entry no
//! longer fits the signed head. Who owns the disk *and* the device key can write another ledger
//! with another head; then it does not fit what peers witnessed, which is kept here too.
//!
//! The data itself is [`crdt::ledger`].

pub use crdt::ledger::checkpoint::{Checkpoint, Note};
pub use crdt::ledger::tree::{self, SignedTree, Tree};
pub use crdt::ledger::{Entry, KeySent};

use crdt::codec::{Canonical, DecodeError, Reader, Writer};
use crdt::hash::Hash;
use crdt::id::{DeviceId, PersonId};
use crdt::time::Timestamp;

/// What does not fit, by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum FaultKind {
    /// An entry does not read, or is not at its place.
    Misplaced = 1,
    /// The entries are not what this device signed last.
    Unsigned = 2,
    /// The line to a person, or the kept subtrees, are not what the entries give.
    Derived = 3,
    /// A peer witnessed more entries than there are.
    Cut = 4,
    /// A peer witnessed more entries than there are, and the log is older too: the whole store is
    /// an older copy of itself.
    Older = 5,
    /// A peer witnessed other entries.
    Rewritten = 6,
}

impl FaultKind {
    /// Returns the word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Misplaced => "misplaced",
            Self::Unsigned => "unsigned",
            Self::Derived => "derived",
            Self::Cut => "cut",
            Self::Older => "older",
            Self::Rewritten => "rewritten",
        }
    }
    fn read(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let found = input.u8("fault")?;
        let all = [
            Self::Misplaced,
            Self::Unsigned,
            Self::Derived,
            Self::Cut,
            Self::Older,
            Self::Rewritten,
        ];
        all.into_iter()
            .find(|kind| *kind as u8 == found)
            .ok_or(DecodeError::Unknown {
                what: "fault",
                found,
            })
    }
}

/// Something that does not fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fault {
    /// What.
    pub kind: FaultKind,
    /// The first entry that cannot be vouched for.
    pub first: u64,
    /// The last entry that it may concern; none if unknown.
    pub last: Option<u64>,
}

/// What checking the ledger found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// How many entries there are.
    pub entries: u64,
    /// The root over them.
    pub root: Hash,
    /// What does not fit in the ledger by itself, without asking anybody.
    pub fault: Option<Fault>,
    /// What peers witnessed, and how it fits.
    pub witnesses: Vec<Witness>,
}

impl Verdict {
    /// Returns the first thing that does not fit, and which witness says so.
    pub fn first_fault(&self) -> Option<(Fault, Option<&Witness>)> {
        let seen = self.witnesses.iter();
        let seen = seen.filter_map(|witness| Some((witness.fault?, Some(witness))));
        let own = self.fault.map(|fault| (fault, None));
        own.into_iter()
            .chain(seen)
            .min_by_key(|(fault, _)| fault.first)
    }
}

/// An entry with the proof that it is in the ledger as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proven {
    /// The entry.
    pub entry: Entry,
    /// The ledger's size and root.
    pub head: (u64, Hash),
    /// The hashes beside the way from the entry up to the root.
    pub proof: Vec<Hash>,
}

/// A peer who witnessed this ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Witness {
    /// What the peer showed.
    pub echo: Echo,
    /// How many entries the whole ledger had then, and their root; none if the note does not open.
    pub note: Option<Note>,
    /// What does not fit; none if all does.
    pub fault: Option<Fault>,
}

/// A checkpoint of this ledger that a peer showed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Echo {
    /// Who showed it.
    pub person: PersonId,
    /// Their device.
    pub device: DeviceId,
    /// When it was first shown.
    pub received: Timestamp,
    /// What it says.
    pub checkpoint: Checkpoint,
    /// What did not fit when it came. It stays, whatever is written afterwards.
    pub fault: Option<Fault>,
}

/// What this node witnessed of a peer's ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// The newest checkpoint that continues the ones before it.
    pub checkpoint: Checkpoint,
    /// When it came.
    pub received: Timestamp,
    /// The first one that did not continue it, and when it came: evidence.
    pub conflict: Option<(Checkpoint, Timestamp)>,
}

/// What became of a peer's checkpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Witnessed {
    /// It continues what was held and is held now.
    Kept,
    /// It is not of this peer, or not signed by it.
    Foreign,
    /// It is another history than the one that was held; both are kept.
    Conflict,
    /// What is held is not what the peer was shown any more, so its proof is for something else:
    /// nothing was compared.
    Outdated,
}

impl Canonical for Fault {
    fn encode(&self, out: &mut Writer) {
        out.u8(self.kind as u8);
        out.u64(self.first);
        out.option(self.last.as_ref(), |out, last| out.u64(*last));
    }
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            kind: FaultKind::read(input)?,
            first: input.u64("first")?,
            last: input.option("last", |input| input.u64("last"))?,
        })
    }
}

impl Canonical for Echo {
    fn encode(&self, out: &mut Writer) {
        self.person.encode(out);
        self.device.encode(out);
        self.received.encode(out);
        self.checkpoint.encode(out);
        out.option(self.fault.as_ref(), |out, fault| fault.encode(out));
    }
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            person: PersonId::decode(input)?,
            device: DeviceId::decode(input)?,
            received: Timestamp::decode(input)?,
            checkpoint: Checkpoint::decode(input)?,
            fault: input.option("fault", Fault::decode)?,
        })
    }
}

impl Canonical for Held {
    fn encode(&self, out: &mut Writer) {
        self.checkpoint.encode(out);
        self.received.encode(out);
        out.option(self.conflict.as_ref(), |out, (checkpoint, time)| {
            checkpoint.encode(out);
            time.encode(out);
        });
    }
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            checkpoint: Checkpoint::decode(input)?,
            received: Timestamp::decode(input)?,
            conflict: input.option("conflict", |input| {
                Ok((Checkpoint::decode(input)?, Timestamp::decode(input)?))
            })?,
        })
    }
}
