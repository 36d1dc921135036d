//! Events that cannot be admitted yet: what they build on has not come.
//!
//! They wait in memory, not in rows: a peer that sends nothing but orphans costs no disk, and
//! after a restart reconciliation asks for them again, because they are in no view of this node.
//! Changes of frozen authors wait here too: they count only if somebody built on them. So does half
//! of the proof of a fork, by someone who may not write any more, until the other half comes.
//!
//! Invariant: what waits is bounded in number, bytes and time, for each peer and in all; a peer
//! that fills its share pushes out its own events only.

use crdt::event::{Event, Signed};
use crdt::id::{EventId, PersonId};
use crdt::time::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The most events of one peer that wait: several full frames.
pub const WAITING_EVENTS_MAX: usize = 1_024;
/// The most bytes of one peer's events that wait: a window of frames.
pub const WAITING_BYTES_MAX: u64 = 8 << 20;
/// The most bytes that wait in all, whoever sent them.
pub const WAITING_ALL_BYTES_MAX: u64 = 64 << 20;
/// How long an event waits, in milliseconds: 10 minutes, several retries of a session.
pub const WAITING_KEPT_MS: u64 = 600_000;

/// An event that waits.
#[derive(Debug, Clone)]
struct Entry {
    event: Arc<Signed<Event>>,
    from: PersonId,
    since: Timestamp,
    /// The event without which it cannot be admitted; none if its author is frozen, or if it is
    /// half of a proof.
    need: Option<EventId>,
}

/// How much of a peer's events waits, and what became of the rest.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Share {
    /// Events that wait.
    pub events: usize,
    /// Their bytes.
    pub bytes: u64,
    /// Events that waited for nothing, since the start: their time was over, or there was no room.
    pub dropped: u64,
}

/// All events that wait.
#[derive(Debug, Clone, Default)]
pub(crate) struct Waiting {
    entries: BTreeMap<EventId, Entry>,
    by_need: BTreeMap<EventId, BTreeSet<EventId>>,
    shares: BTreeMap<PersonId, Share>,
}

impl Waiting {
    /// Keeps an event; tells whether it waits now.
    pub(crate) fn keep(
        &mut self,
        event: &Signed<Event>,
        from: PersonId,
        need: Option<EventId>,
        now: Timestamp,
    ) -> bool {
        let bytes = event.bytes().len() as u64;
        // It may have come from another peer before, or wait for something else now.
        self.remove(event.id());
        while !self.has_room(from, bytes) {
            let Some(oldest) = self.oldest_of(from) else {
                self.note_dropped(from, event.id(), "no_room");
                return false;
            };
            self.remove(oldest);
            self.note_dropped(from, oldest, "no_room");
        }
        let share = self.shares.entry(from).or_default();
        share.events += 1;
        share.bytes += bytes;
        if let Some(need) = need {
            self.by_need.entry(need).or_default().insert(event.id());
        }
        let entry = Entry {
            event: Arc::new(event.clone()),
            from,
            since: now,
            need,
        };
        self.entries.insert(event.id(), entry);
        true
    }

    fn has_room(&self, from: PersonId, bytes: u64) -> bool {
        let share = self.share(from);
        let all: u64 = self.shares.values().map(|share| share.bytes).sum();
        share.events < WAITING_EVENTS_MAX
            && share.bytes.saturating_add(bytes) <= WAITING_BYTES_MAX
            && all.saturating_add(bytes) <= WAITING_ALL_BYTES_MAX
    }
    fn oldest_of(&self, from: PersonId) -> Option<EventId> {
        let own = self.entries.iter().filter(|(_, entry)| entry.from == from);
        own.min_by_key(|(id, entry)| (entry.since, **id))
            .map(|(id, _)| *id)
    }
    fn note_dropped(&mut self, from: PersonId, event: EventId, code: &'static str) {
        tracing::info!(%event, code, "an event that waited for another was dropped");
        self.shares.entry(from).or_default().dropped += 1;
    }

    /// Lets go of the events whose time is over.
    pub(crate) fn expire(&mut self, now: Timestamp) {
        for event in self.stale(now) {
            let from = self.entries.get(&event).map(|entry| entry.from);
            self.remove(event);
            if let Some(from) = from {
                self.note_dropped(from, event, "waited_too_long");
            }
        }
    }
    /// Returns the events whose time is over.
    pub(crate) fn stale(&self, now: Timestamp) -> Vec<EventId> {
        let is_stale = |entry: &Entry| entry.since.plus_ms(WAITING_KEPT_MS) <= now;
        let stale = self.entries.iter().filter(|(_, entry)| is_stale(entry));
        stale.map(|(id, _)| *id).collect()
    }

    /// Takes out the events that waited for one that came, and who sent each.
    pub(crate) fn freed_by(&mut self, came: EventId) -> Vec<(PersonId, Arc<Signed<Event>>)> {
        let freed = self.by_need.remove(&came).unwrap_or_default();
        let freed = freed.into_iter().filter_map(|id| self.remove(id));
        freed.map(|entry| (entry.from, entry.event)).collect()
    }
    /// Tells whether any event waits for this one.
    pub(crate) fn is_needed(&self, event: EventId) -> bool {
        self.by_need.contains_key(&event)
    }
    /// Tells whether an event waits.
    pub(crate) fn holds(&self, event: EventId) -> bool {
        self.entries.contains_key(&event)
    }
    /// Returns a change that waits because its author is frozen.
    pub(crate) fn idle(&self, event: EventId) -> Option<&Signed<Event>> {
        let entry = self.entries.get(&event)?;
        entry.need.is_none().then_some(&*entry.event)
    }

    /// Returns a change from the same peer that waits and has the same place in its feed: both are
    /// the proof of a fork.
    pub(crate) fn other_half(
        &self,
        half: &Signed<Event>,
        from: PersonId,
    ) -> Option<&Signed<Event>> {
        let place = |event: &Signed<Event>| {
            let header = event.header();
            let writer = (header.author, header.incarnation);
            (writer, event.feed(), header.number)
        };
        let halves = self.entries.values();
        let halves = halves.filter(|entry| entry.from == from && entry.need.is_none());
        halves
            .map(|entry| &*entry.event)
            .find(|other| other.id() != half.id() && place(other) == place(half))
    }

    /// Takes an event out.
    pub(crate) fn take(&mut self, event: EventId) {
        self.remove(event);
    }
    fn remove(&mut self, event: EventId) -> Option<Entry> {
        let entry = self.entries.remove(&event)?;
        if let Some(share) = self.shares.get_mut(&entry.from) {
            share.events = share.events.saturating_sub(1);
            share.bytes = share.bytes.saturating_sub(entry.event.bytes().len() as u64);
        }
        if let Some(need) = entry.need
            && let Some(others) = self.by_need.get_mut(&need)
        {
            others.remove(&event);
            if others.is_empty() {
                self.by_need.remove(&need);
            }
        }
        Some(entry)
    }

    /// Returns how much of a peer's events waits.
    pub(crate) fn share(&self, from: PersonId) -> Share {
        self.shares.get(&from).copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crdt::envelope::Epoch;
    use crdt::envelope::pack::Packing;
    use crdt::event::{Feed, Header, Incarnation, Kind};
    use crdt::hash::Hash;
    use crdt::id::MemoryId;
    use crdt::identity::DeviceKey;
    use crdt::time::Hybrid;

    const ONE: PersonId = PersonId([1; 32]);
    const OTHER: PersonId = PersonId([2; 32]);

    fn event(number: u64, bytes: usize) -> Signed<Event> {
        let device = DeviceKey::from_seed(&[1; 32]);
        let header = Header {
            kind: Kind::Change,
            author: device.id(),
            incarnation: Incarnation([1; 16]),
            person: ONE,
            owner: ONE,
            feed: Feed::Memory(MemoryId([3; 32])),
            number,
            previous: None,
            time: Hybrid(number),
            parents: vec![EventId([3; 32])],
            authority: Vec::new(),
            epoch: Epoch(0),
            commitment: Some(Hash([1; 32])),
            packing: Packing::Plain,
        };
        let body = vec![0; bytes];
        Event { header, body }.sign(&device)
    }

    fn kept(waiting: &mut Waiting, from: PersonId, number: u64, bytes: usize) -> EventId {
        let event = event(number, bytes);
        let since = Timestamp(number);
        assert!(waiting.keep(&event, from, Some(EventId([9; 32])), since));
        event.id()
    }

    #[test]
    fn a_full_share_pushes_out_its_own_oldest_and_nobody_elses() {
        let mut waiting = Waiting::default();
        let others = kept(&mut waiting, OTHER, 0, 10);
        let first = kept(&mut waiting, ONE, 1, 10);
        for number in 2..=WAITING_EVENTS_MAX as u64 {
            kept(&mut waiting, ONE, number, 10);
        }
        assert_eq!(waiting.share(ONE).events, WAITING_EVENTS_MAX);
        assert!(waiting.holds(first));
        kept(&mut waiting, ONE, 5_000, 10);
        let share = waiting.share(ONE);
        assert_eq!((share.events, share.dropped), (WAITING_EVENTS_MAX, 1));
        assert!(!waiting.holds(first) && waiting.holds(others));
        // Bytes are bounded as well: sixteen half megabytes fill a share.
        for number in 6_000..6_040 {
            kept(&mut waiting, ONE, number, (1 << 19) - 1_000);
        }
        assert!(waiting.share(ONE).bytes <= WAITING_BYTES_MAX);
        assert_eq!(waiting.share(OTHER).events, 1);
    }

    #[test]
    fn when_all_shares_are_full_a_newcomer_waits_outside() {
        let mut waiting = Waiting::default();
        let many = u8::try_from(WAITING_ALL_BYTES_MAX / WAITING_BYTES_MAX).unwrap();
        for peer in 0..many {
            for number in 0..16 {
                let number = u64::from(peer) * 100 + number;
                kept(
                    &mut waiting,
                    PersonId([peer + 10; 32]),
                    number,
                    (1 << 19) - 1_000,
                );
            }
        }
        let large = event(9_999, (1 << 19) - 1_000);
        assert!(!waiting.keep(&large, OTHER, None, Timestamp(1)));
        assert_eq!(waiting.share(OTHER).dropped, 1);
        assert!(waiting.keep(&event(9_998, 10), OTHER, None, Timestamp(2)));
        let all: u64 = waiting.shares.values().map(|share| share.bytes).sum();
        assert!(all <= WAITING_ALL_BYTES_MAX);
        for peer in 0..many {
            assert_eq!(waiting.share(PersonId([peer + 10; 32])).events, 16);
        }
    }

    #[test]
    fn what_waits_is_freed_by_what_came_or_by_time() {
        let mut waiting = Waiting::default();
        let first = kept(&mut waiting, ONE, 1, 10);
        let second = kept(&mut waiting, OTHER, 2, 10);
        assert!(waiting.is_needed(EventId([9; 32])));
        let freed = waiting.freed_by(EventId([9; 32]));
        let freed: BTreeSet<_> = freed
            .iter()
            .map(|(from, event)| (*from, event.id()))
            .collect();
        assert_eq!(freed, [(ONE, first), (OTHER, second)].into());
        assert!(!waiting.is_needed(EventId([9; 32])) && !waiting.holds(first));
        let third = kept(&mut waiting, ONE, 3, 10);
        waiting.expire(Timestamp(2 + WAITING_KEPT_MS));
        assert!(waiting.holds(third));
        waiting.expire(Timestamp(3 + WAITING_KEPT_MS));
        assert!(!waiting.holds(third));
        assert_eq!(
            (waiting.share(ONE).events, waiting.share(ONE).dropped),
            (0, 1)
        );
    }

    #[test]
    fn only_changes_of_frozen_authors_are_idle() {
        let mut waiting = Waiting::default();
        let first = kept(&mut waiting, ONE, 1, 10);
        let frozen = event(2, 10);
        assert!(waiting.keep(&frozen, ONE, None, Timestamp(2)));
        assert_eq!(waiting.idle(first), None);
        assert_eq!(waiting.idle(frozen.id()), Some(&frozen));
    }
}
