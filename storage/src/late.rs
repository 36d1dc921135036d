//! Late work: changes that a revocation cut off, on both sides.
//!
//! The owner's node keeps what it refused in a *tray*, out of the log, until the owner salvages
//! or drops it. The writer's node notes which of its own changes are late, hands them to the
//! owner, and keeps them out of the view that both compare.
//!
//! Invariant: a tray is bounded for each peer, whoever wrote what they hand over.

use crdt::codec::{Canonical, DecodeError, Reader, Writer};
use crdt::event::{Event, Incarnation, Signed};
use crdt::id::{DeviceId, EventId, GrantId, MemoryId, PersonId};
use crdt::time::{Hybrid, Timestamp};
use std::collections::BTreeMap;

/// The most events in the tray that came from one peer: a year of late edits by hand.
pub const TRAY_EVENTS_MAX: usize = 4_096;
/// The most bytes in the tray that came from one peer.
pub const TRAY_BYTES_MAX: u64 = 16 << 20;
/// How long late work is kept, in milliseconds: 30 days.
pub const TRAY_KEPT_MS: u64 = 30 * 86_400_000;
/// How often late work is handed to the owner if no answer comes.
pub const HANDED_MAX: u8 = 3;

const CODE_BYTES_MAX: usize = 64;
const EVENT_BYTES_MAX: usize = 1 << 20;

/// A row of the tray.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TrayRow {
    /// The signed bytes; the content in them is sealed.
    pub(crate) event: Vec<u8>,
    /// Who handed it over.
    pub(crate) from: PersonId,
    /// When it came.
    pub(crate) received: Timestamp,
    /// Why it was refused.
    pub(crate) code: String,
}

/// What is known of an event in the tray without its content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Kept {
    pub(crate) memory: MemoryId,
    pub(crate) person: PersonId,
    pub(crate) device: DeviceId,
    pub(crate) incarnation: Incarnation,
    pub(crate) number: u64,
    pub(crate) written: Hybrid,
    pub(crate) bytes: u64,
    pub(crate) from: PersonId,
    pub(crate) received: Timestamp,
    pub(crate) code: String,
}

/// A change of one's own that the owner's node does not accept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mine {
    pub(crate) event: EventId,
    pub(crate) memory: MemoryId,
    pub(crate) owner: PersonId,
    pub(crate) grant: GrantId,
    pub(crate) device: DeviceId,
    pub(crate) incarnation: Incarnation,
    pub(crate) number: u64,
    pub(crate) written: Hybrid,
    /// How often it was handed over.
    pub(crate) handed: u8,
    /// Whether the owner's node answered.
    pub(crate) settled: bool,
}

/// Late work as one item: the chain of one writer in one memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LateWork {
    /// Its name: the first event.
    pub id: EventId,
    /// The memory.
    pub memory: MemoryId,
    /// Who wrote it.
    pub person: PersonId,
    /// On which device.
    pub device: DeviceId,
    /// Who handed it over.
    pub from: PersonId,
    /// When the last of it was written, as its author says.
    pub written: Hybrid,
    /// When the first of it came.
    pub received: Timestamp,
    /// Why it was refused.
    pub code: String,
    /// Its events in order.
    pub events: Vec<EventId>,
    /// Its size.
    pub bytes: u64,
}

/// All late work that this node knows of.
#[derive(Debug, Clone, Default)]
pub(crate) struct Late {
    pub(crate) tray: BTreeMap<EventId, Kept>,
    pub(crate) mine: BTreeMap<EventId, Mine>,
}

impl Late {
    /// Enters a row of the tray; one that does not read is left out.
    pub(crate) fn enter(&mut self, row: &TrayRow) -> Option<EventId> {
        let event = Signed::<Event>::from_bytes(&row.event).ok()?;
        let header = event.header();
        let kept = Kept {
            memory: event.memory()?,
            person: header.person,
            device: header.author,
            incarnation: header.incarnation,
            number: header.number,
            written: header.time,
            bytes: row.event.len() as u64,
            from: row.from,
            received: row.received,
            code: row.code.clone(),
        };
        self.tray.insert(event.id(), kept);
        Some(event.id())
    }
    /// Tells whether the tray takes another event of so many bytes from a peer.
    pub(crate) fn has_room(&self, from: PersonId, bytes: u64) -> bool {
        let held = self.tray.values().filter(|kept| kept.from == from);
        let (count, sum) = held.fold((0_usize, bytes), |(count, sum), kept| {
            (count + 1, sum.saturating_add(kept.bytes))
        });
        count < TRAY_EVENTS_MAX && sum <= TRAY_BYTES_MAX
    }
    /// Returns the events that were kept for long enough.
    pub(crate) fn stale(&self, now: Timestamp) -> Vec<EventId> {
        let is_stale = |kept: &Kept| kept.received.plus_ms(TRAY_KEPT_MS) <= now;
        let stale = self.tray.iter().filter(|(_, kept)| is_stale(kept));
        stale.map(|(id, _)| *id).collect()
    }
    /// Returns the tray, one item per memory and writer, oldest first.
    pub(crate) fn work(&self, now: Timestamp) -> Vec<LateWork> {
        let stale = self.stale(now);
        let mut chains: BTreeMap<_, Vec<(&EventId, &Kept)>> = BTreeMap::new();
        for (id, kept) in self.tray.iter().filter(|(id, _)| !stale.contains(id)) {
            let chain = (kept.memory, kept.device, kept.incarnation);
            chains.entry(chain).or_default().push((id, kept));
        }
        let mut work: Vec<LateWork> = chains
            .into_values()
            .filter_map(|mut chain| {
                chain.sort_unstable_by_key(|(_, kept)| kept.number);
                let (id, first) = *chain.first()?;
                let times = chain.iter().map(|(_, kept)| kept.written);
                let came = chain.iter().map(|(_, kept)| kept.received);
                Some(LateWork {
                    id: *id,
                    memory: first.memory,
                    person: first.person,
                    device: first.device,
                    from: first.from,
                    written: times.max()?,
                    received: came.min()?,
                    code: first.code.clone(),
                    events: chain.iter().map(|(id, _)| **id).collect(),
                    bytes: chain.iter().map(|(_, kept)| kept.bytes).sum(),
                })
            })
            .collect();
        work.sort_unstable_by_key(|work| (work.received, work.id));
        work
    }
}

impl Canonical for TrayRow {
    fn encode(&self, out: &mut Writer) {
        out.bytes(&self.event);
        self.from.encode(out);
        self.received.encode(out);
        out.text(&self.code);
    }
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            event: input.bytes(EVENT_BYTES_MAX, "late event")?.to_vec(),
            from: PersonId::decode(input)?,
            received: Timestamp::decode(input)?,
            code: input.text(CODE_BYTES_MAX, "code")?,
        })
    }
}

impl Canonical for Mine {
    fn encode(&self, out: &mut Writer) {
        self.event.encode(out);
        self.memory.encode(out);
        self.owner.encode(out);
        self.grant.encode(out);
        self.device.encode(out);
        out.raw(&self.incarnation.0);
        out.u64(self.number);
        self.written.encode(out);
        out.u8(self.handed);
        out.bool(self.settled);
    }
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            event: EventId::decode(input)?,
            memory: MemoryId::decode(input)?,
            owner: PersonId::decode(input)?,
            grant: GrantId::decode(input)?,
            device: DeviceId::decode(input)?,
            incarnation: Incarnation(input.array("incarnation")?),
            number: input.u64("number")?,
            written: Hybrid::decode(input)?,
            handed: input.u8("handed")?,
            settled: input.bool("settled")?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(from: u8, number: u64, bytes: u64, received: u64) -> (EventId, Kept) {
        let kept = Kept {
            memory: MemoryId([1; 32]),
            person: PersonId([from; 32]),
            device: DeviceId([from; 32]),
            incarnation: Incarnation([1; 16]),
            number,
            written: Hybrid(number),
            bytes,
            from: PersonId([from; 32]),
            received: Timestamp(received),
            code: "beyond_cut".to_owned(),
        };
        let mut id = [from; 32];
        id[..8].copy_from_slice(&number.to_be_bytes());
        (EventId(id), kept)
    }

    #[test]
    fn rows_read_as_they_were_written() {
        let row = TrayRow {
            event: vec![1, 2, 3],
            from: PersonId([2; 32]),
            received: Timestamp(7),
            code: "beyond_cut".to_owned(),
        };
        assert_eq!(TrayRow::from_bytes(&row.to_bytes()), Ok(row));
        let mine = Mine {
            event: EventId([1; 32]),
            memory: MemoryId([2; 32]),
            owner: PersonId([3; 32]),
            grant: GrantId([4; 32]),
            device: DeviceId([8; 32]),
            incarnation: Incarnation([5; 16]),
            number: 6,
            written: Hybrid(7),
            handed: 2,
            settled: true,
        };
        assert_eq!(Mine::from_bytes(&mine.to_bytes()), Ok(mine));
    }

    #[test]
    fn a_tray_is_bounded_for_each_peer_in_events_bytes_and_time() {
        let mut late = Late::default();
        late.tray
            .extend((0..TRAY_EVENTS_MAX as u64).map(|number| kept(1, number, 10, 0)));
        let (full, other) = (PersonId([1; 32]), PersonId([2; 32]));
        assert!(!late.has_room(full, 1));
        assert!(late.has_room(other, TRAY_BYTES_MAX));
        assert!(!late.has_room(other, TRAY_BYTES_MAX + 1));
        late.tray.extend([kept(2, 1, TRAY_BYTES_MAX - 5, 0)]);
        assert!(late.has_room(other, 5) && !late.has_room(other, 6));
        assert!(late.stale(Timestamp(TRAY_KEPT_MS - 1)).is_empty());
        assert_eq!(late.work(Timestamp(TRAY_KEPT_MS - 1)).len(), 2);
        assert_eq!(
            late.stale(Timestamp(TRAY_KEPT_MS)).len(),
            TRAY_EVENTS_MAX + 1
        );
        assert!(late.work(Timestamp(TRAY_KEPT_MS)).is_empty());
    }
}
