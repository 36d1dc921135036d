//! The records in the store's rows, each with one canonical encoding.

mod history;
mod source;

pub use history::Dated;
pub(crate) use history::{History, Parts};
pub use source::{Source, SourceKey};

use crate::screen::Screening;
use crdt::codec::{Canonical, DecodeError, Reader, Writer};
use crdt::envelope::Epoch;
use crdt::event::Incarnation;
use crdt::hash::Hash;
use crdt::id::{DeviceId, EventId, GrantId, MemoryId, PersonId};
use crdt::identity::DeviceCertificate;
use crdt::memory::{MemoryKind, Status};
use crdt::sidecar::Sidecar;
use crdt::time::{Hybrid, Timestamp};
use std::sync::Arc;

const LIST_MAX: usize = 1 << 20;
const TEXT_MAX: usize = 1 << 16;
/// Stands where a row says whether its memory is purged: it is not, and its root is all its history.
const WRITTEN_ONCE: u8 = 2;
const NO_SOURCE: u8 = 0;
/// The source as a text, in rows of earlier builds.
const SOURCE_TEXT: u8 = 1;
const SOURCE: u8 = 2;

/// What is known of a memory without its text. Held in memory for every memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// Its id.
    pub id: MemoryId,
    /// Its local number: the place of its root in this node's log.
    pub slot: u64,
    /// Who owns it.
    pub owner: PersonId,
    /// What sort of thing it is.
    pub kind: MemoryKind,
    /// Whether it is in use.
    pub status: Status,
    /// Whether its keys and text were destroyed.
    pub purged: bool,
    /// Its shared tags.
    pub tags: Box<[Arc<str>]>,
    /// Where its content came from.
    pub source: Option<Source>,
    /// When it was created.
    pub created: Timestamp,
    /// The time of its last event.
    pub updated: Hybrid,
    /// The generation of its content key.
    pub epoch: Epoch,
    /// Bytes of title and body.
    pub bytes: u64,
    /// The holder's own labels.
    pub sidecar: Sidecar,
    /// What was written in it.
    pub(crate) history: History,
    /// What the egress guard says of it.
    pub screening: Screening,
}

/// The last accepted event of a writer in a memory that is not theirs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Written {
    /// The device.
    pub device: DeviceId,
    /// The writer on it.
    pub incarnation: Incarnation,
    /// The event's number.
    pub number: u64,
    /// Its id.
    pub event: EventId,
}

impl Facts {
    /// Tells whether nothing counts of the memory but its root.
    pub(crate) fn is_unedited(&self) -> bool {
        !self.purged && self.heads() == [self.root()]
    }
    /// Returns the facts without anything of the content: what a replay without keys gives.
    #[must_use]
    pub(crate) fn emptied(mut self) -> Self {
        self.purged = true;
        self.kind = MemoryKind::Note;
        self.status = Status::Active;
        self.tags = Box::default();
        self.source = None;
        self.created = Timestamp(0);
        self.bytes = 0;
        self
    }
}

/// A memory that was given under a grant, with the epochs whose keys went along.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// The grant.
    pub grant: GrantId,
    /// The memory.
    pub memory: MemoryId,
    /// The epochs, ascending.
    pub epochs: Vec<Epoch>,
}

/// How a peer stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PeerState {
    /// Paired.
    Paired = 1,
    /// Not spoken to any more.
    Blocked = 2,
}

/// A person this node is paired with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// The person.
    pub person: PersonId,
    /// My name for them.
    pub petname: String,
    /// How they stand.
    pub state: PeerState,
    /// The certificates of their devices.
    pub certificates: Vec<DeviceCertificate>,
    /// Their devices and where each was last reached.
    pub devices: Vec<(DeviceId, Vec<String>)>,
    /// When they were paired.
    pub paired: Timestamp,
    /// When a session was last open.
    pub last_contact: Option<Timestamp>,
}

/// A ticket that was given out; its secret is not kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invite {
    /// The hash of the secret.
    pub secret: Hash,
    /// When it ends.
    pub expires: Timestamp,
    /// My name for whoever accepts it.
    pub petname: Option<String>,
    /// The person who used it.
    pub used_by: Option<PersonId>,
    /// What to offer to whoever accepts it, as the API's JSON.
    pub offer: Option<String>,
    /// Whether it makes a machine one of this person's own devices.
    pub is_device: bool,
}

/// The Automerge side of a memory that has been edited.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DocumentRow {
    /// The snapshot.
    pub(crate) snapshot: Vec<u8>,
    /// Which event carries which change.
    pub(crate) changes: Vec<(EventId, [u8; 32])>,
}

fn read_option_text(
    input: &mut Reader<'_>,
    what: &'static str,
) -> Result<Option<String>, DecodeError> {
    input.option(what, |input| input.text(TEXT_MAX, what))
}

fn read_source(input: &mut Reader<'_>) -> Result<Option<Source>, DecodeError> {
    let what = "source";
    match input.u8(what)? {
        NO_SOURCE => Ok(None),
        SOURCE_TEXT => Ok(Some(Source::of(&input.text(TEXT_MAX, what)?))),
        SOURCE => Source::decode(input).map(Some),
        found => Err(DecodeError::Unknown { what, found }),
    }
}

impl Canonical for Written {
    fn encode(&self, out: &mut Writer) {
        self.device.encode(out);
        out.raw(&self.incarnation.0);
        out.u64(self.number);
        self.event.encode(out);
    }
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            device: DeviceId::decode(input)?,
            incarnation: Incarnation(input.array("incarnation")?),
            number: input.u64("number")?,
            event: EventId::decode(input)?,
        })
    }
}

fn write_events(out: &mut Writer, events: &[Dated]) {
    out.length(events.len());
    for (time, event) in events {
        time.encode(out);
        event.encode(out);
    }
}

fn read_events(input: &mut Reader<'_>) -> Result<Vec<Dated>, DecodeError> {
    let count = input.length(LIST_MAX, "events")?;
    (0..count)
        .map(|_| Ok((Hybrid::decode(input)?, EventId::decode(input)?)))
        .collect()
}

impl Canonical for Facts {
    fn encode(&self, out: &mut Writer) {
        self.id.encode(out);
        out.u64(self.slot);
        self.owner.encode(out);
        self.kind.encode(out);
        self.status.encode(out);
        let is_written_once = !self.purged && self.history.is_root();
        out.u8(if is_written_once {
            WRITTEN_ONCE
        } else {
            u8::from(self.purged)
        });
        out.length(self.tags.len());
        self.tags.iter().for_each(|tag| out.text(tag));
        match &self.source {
            None => out.u8(NO_SOURCE),
            Some(source) => {
                out.u8(SOURCE);
                source.encode(out);
            }
        }
        self.created.encode(out);
        self.updated.encode(out);
        self.epoch.encode(out);
        out.u64(self.bytes);
        self.sidecar.encode(out);
        let parts = self.history.parts(self.root());
        if is_written_once {
            parts.events.iter().for_each(|(time, _)| time.encode(out));
            self.screening.encode(out);
            return;
        }
        write_events(out, &parts.events);
        write_events(out, &parts.sidecar_events);
        out.list(&parts.heads);
        out.list(&parts.writers);
        self.screening.encode(out);
    }
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let id = MemoryId::decode(input)?;
        let slot = input.u64("slot")?;
        let owner = PersonId::decode(input)?;
        let kind = MemoryKind::decode(input)?;
        let status = Status::decode(input)?;
        let (purged, is_written_once) = match input.u8("purged")? {
            0 => (false, false),
            1 => (true, false),
            WRITTEN_ONCE => (false, true),
            found => {
                let what = "purged";
                return Err(DecodeError::Unknown { what, found });
            }
        };
        Ok(Self {
            id,
            slot,
            owner,
            kind,
            status,
            purged,
            tags: {
                let count = input.length(LIST_MAX, "tags")?;
                (0..count)
                    .map(|_| input.text(TEXT_MAX, "tag").map(Arc::from))
                    .collect::<Result<_, _>>()?
            },
            source: read_source(input)?,
            created: Timestamp::decode(input)?,
            updated: Hybrid::decode(input)?,
            epoch: Epoch::decode(input)?,
            bytes: input.u64("bytes")?,
            sidecar: Sidecar::decode(input)?,
            history: if is_written_once {
                History::begun(Hybrid::decode(input)?)
            } else {
                let parts = Parts {
                    events: read_events(input)?,
                    sidecar_events: read_events(input)?,
                    heads: input.list(LIST_MAX, "heads")?,
                    writers: input.list(LIST_MAX, "writers")?,
                };
                History::of(EventId(id.0), parts)
            },
            screening: Screening::decode(input)?,
        })
    }
}

impl Canonical for Member {
    fn encode(&self, out: &mut Writer) {
        self.grant.encode(out);
        self.memory.encode(out);
        out.list(&self.epochs);
    }
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            grant: GrantId::decode(input)?,
            memory: MemoryId::decode(input)?,
            epochs: input.list(LIST_MAX, "epochs")?,
        })
    }
}

impl Canonical for Peer {
    fn encode(&self, out: &mut Writer) {
        self.person.encode(out);
        out.text(&self.petname);
        out.u8(self.state as u8);
        out.list(&self.certificates);
        out.length(self.devices.len());
        for (device, addresses) in &self.devices {
            device.encode(out);
            out.length(addresses.len());
            for address in addresses {
                out.text(address);
            }
        }
        self.paired.encode(out);
        out.option(self.last_contact.as_ref(), |out, time| time.encode(out));
    }
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            person: PersonId::decode(input)?,
            petname: input.text(TEXT_MAX, "petname")?,
            state: match input.u8("peer state")? {
                1 => PeerState::Paired,
                2 => PeerState::Blocked,
                found => {
                    return Err(DecodeError::Unknown {
                        what: "peer state",
                        found,
                    });
                }
            },
            certificates: input.list(LIST_MAX, "certificates")?,
            devices: {
                let count = input.length(LIST_MAX, "devices")?;
                let mut devices = Vec::new();
                for _ in 0..count {
                    let device = DeviceId::decode(input)?;
                    let addresses = input.length(LIST_MAX, "addresses")?;
                    let addresses = (0..addresses).map(|_| input.text(TEXT_MAX, "address"));
                    devices.push((device, addresses.collect::<Result<_, _>>()?));
                }
                devices
            },
            paired: Timestamp::decode(input)?,
            last_contact: input.option("last contact", Timestamp::decode)?,
        })
    }
}

impl Canonical for Invite {
    fn encode(&self, out: &mut Writer) {
        self.secret.encode(out);
        self.expires.encode(out);
        out.option(self.petname.as_ref(), |out, name| out.text(name));
        out.option(self.used_by.as_ref(), |out, person| person.encode(out));
        out.option(self.offer.as_ref(), |out, offer| out.text(offer));
        out.bool(self.is_device);
    }
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            secret: Hash::decode(input)?,
            expires: Timestamp::decode(input)?,
            petname: read_option_text(input, "petname")?,
            used_by: input.option("used by", PersonId::decode)?,
            offer: read_option_text(input, "offer")?,
            is_device: input.bool("is device")?,
        })
    }
}

impl Canonical for DocumentRow {
    fn encode(&self, out: &mut Writer) {
        out.bytes(&self.snapshot);
        out.length(self.changes.len());
        for (event, change) in &self.changes {
            event.encode(out);
            out.raw(change);
        }
    }
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            snapshot: input.bytes(usize::MAX, "snapshot")?.to_vec(),
            changes: {
                let count = input.length(LIST_MAX, "changes")?;
                (0..count)
                    .map(|_| Ok((EventId::decode(input)?, input.array("change hash")?)))
                    .collect::<Result<_, _>>()?
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts() -> Facts {
        Facts {
            id: MemoryId([1; 32]),
            slot: 7,
            owner: PersonId([2; 32]),
            kind: MemoryKind::Note,
            status: Status::Active,
            purged: false,
            tags: ["a".into(), "b".into()].into(),
            source: Some(Source::of("file:notes/a.md#b3:x")),
            created: Timestamp(5),
            updated: Hybrid(6),
            epoch: Epoch(1),
            bytes: 9,
            sidecar: Sidecar::default(),
            history: History::begun(Hybrid(6)),
            screening: Screening::default(),
        }
    }

    /// Writes a row as builds before 2026-11-28 did.
    fn row_of_before(facts: &Facts, source: &str) -> Vec<u8> {
        let mut out = Writer::default();
        facts.id.encode(&mut out);
        out.u64(facts.slot);
        facts.owner.encode(&mut out);
        facts.kind.encode(&mut out);
        facts.status.encode(&mut out);
        out.bool(facts.purged);
        out.length(facts.tags.len());
        facts.tags.iter().for_each(|tag| out.text(tag));
        out.option(Some(&source), |out, source| out.text(source));
        facts.created.encode(&mut out);
        facts.updated.encode(&mut out);
        facts.epoch.encode(&mut out);
        out.u64(facts.bytes);
        facts.sidecar.encode(&mut out);
        let parts = facts.history.parts(facts.root());
        write_events(&mut out, &parts.events);
        write_events(&mut out, &parts.sidecar_events);
        out.list(&parts.heads);
        out.list(&parts.writers);
        facts.screening.encode(&mut out);
        out.into_bytes()
    }

    #[test]
    fn rows_read_as_they_were_written_now_and_before() {
        let once = facts();
        let mut changed = facts();
        changed.rewrite(|parts| parts.events.push((Hybrid(8), EventId([3; 32]))));
        let purged = changed.clone().emptied();
        for facts in [once, changed] {
            let before = row_of_before(&facts, "file:notes/a.md#b3:x");
            assert_eq!(Facts::from_bytes(&before).unwrap(), facts);
            let now = facts.to_bytes();
            assert_eq!(Facts::from_bytes(&now).unwrap(), facts);
        }
        let row = purged.to_bytes();
        assert_eq!(Facts::from_bytes(&row).unwrap(), purged);
    }
}
