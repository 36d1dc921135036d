//! Forks in the store: keeping the proof, freezing its author, and what the memory is then.
//!
//! ```text
//! an event whose place is taken -> admitted beside the other -> what counts? -> the memory anew
//! ```
//!
//! Both events are in the log and among the items of the memory's view, so reconciliation carries
//! the proof to everyone who holds the memory, and each derives the same from it. A change that
//! builds on what does not count is kept without a look inside; if it counts later and does not
//! apply, it is as if it had been refused: it is not shown to anyone.

use super::Tx;
use super::append::AppendError;
use super::project::{Known, Prepared, Projected, add_event, describe, succeed};
use super::take::Taken;
use crate::fork::Forked;
use crate::layout;
use crate::records::{Facts, Parts};
use crate::store::StoreError;
use crdt::codec::Canonical as _;
use crdt::event::admit::{Holdings, Refusal, Verified, admit, admit_forked, admit_proof};
use crdt::event::adopt::ADOPTED_MAX;
use crdt::event::fork::{Counting, counting, in_order};
use crdt::event::{Event, Feed, Header, Incarnation, Kind, Signed};
use crdt::grant::authority::{Authority, Permit};
use crdt::id::{DeviceId, EventId, GrantId, MemoryId, PersonId};
use std::collections::{BTreeMap, BTreeSet};

impl Tx<'_> {
    /// Admits an event, also as the second half of a proof or with what it builds on.
    pub(super) fn admit(&mut self, event: Signed<Event>) -> Result<Verified<Event>, AppendError> {
        let admitted = admit(event.clone(), self);
        self.check_failure()?;
        match admitted {
            Err(Refusal::Fork { .. }) => self.admit_second(event),
            Err(Refusal::MissingParent(parent)) => {
                if self.take_idle_below(&event)? {
                    Ok(self.admit_again(event)?)
                } else {
                    Err(Refusal::MissingParent(parent).into())
                }
            }
            admitted => Ok(admitted?),
        }
    }

    fn admit_again(&self, event: Signed<Event>) -> Result<Verified<Event>, AppendError> {
        let admitted = admit(event, self);
        self.check_failure()?;
        Ok(admitted?)
    }

    /// Admits an event whose place in its feed is taken.
    fn admit_second(&self, event: Signed<Event>) -> Result<Verified<Event>, AppendError> {
        let header = event.header();
        let at = |number| self.feed_event(&header.author, header.incarnation, event.feed(), number);
        let Some(first) = at(header.number) else {
            // It follows an event of the other branch, which has to come first.
            return Err(Refusal::MissingPrevious.into());
        };
        let number = header.number;
        if !matches!((header.kind, header.feed), (Kind::Change, Feed::Memory(_))) {
            self.check_failure()?;
            return Err(Refusal::Fork { number, first }.into());
        }
        let admitted = admit_forked(event, self);
        self.check_failure()?;
        Ok(admitted?)
    }

    /// Returns the event that has the place of this one in its feed.
    fn holder(&self, header: &Header) -> Result<Option<EventId>, StoreError> {
        let (author, writer) = (&header.author, header.incarnation);
        let holder = self.feed_event(author, writer, header.feed, header.number);
        self.check_failure()?;
        Ok(holder)
    }

    /// Returns the memory of a change that is to be kept beside others: its memory is forked, or
    /// forks by it.
    pub(super) fn beside(&self, event: &Verified<Event>) -> Result<Option<MemoryId>, AppendError> {
        let header = event.header();
        let Feed::Memory(memory) = header.feed else {
            return Ok(None);
        };
        let place = self.holder(header)?;
        let is_beside = self.state.forks.contains_key(&memory) || place.is_some();
        Ok(is_beside.then_some(memory))
    }

    /// Keeps an event of a forked memory, and makes the memory anew if what counts changed.
    pub(super) fn stage_beside(
        &mut self,
        memory: MemoryId,
        event: Verified<Event>,
        prepared: Option<Prepared>,
    ) -> Result<Verified<Event>, AppendError> {
        let facts = self.facts(memory)?;
        let before = self.state.forks.get(&memory).cloned();
        let was_idle: BTreeSet<EventId> = before
            .iter()
            .flat_map(|known| &known.idle)
            .copied()
            .collect();
        let known = before.map_or_else(
            || facts.events().map(|(_, id)| id).collect(),
            |known| known.events,
        );
        let header = event.header();
        let is_free = self.holder(header)?.is_none();
        if self.is_replaying || header.kind == Kind::Purge {
            // What counts is found out once, when all of them are here, or all is gone.
            let projected = match header.kind {
                Kind::Purge => self.prepare_projection(self.state.head + 1, &event, prepared)?,
                _ => Projected::Nothing,
            };
            self.put_event(&event, is_free);
            self.stage_projection(projected)?;
            self.put_fork(&facts, known, event.id());
            self.unsettled.insert(memory);
            return Ok(event);
        }
        let mut events = self.logged_all(&known)?;
        events.push(Signed::clone(&event));
        let found = self.counting(&facts, &events);
        let idle = idle(&events, &found);
        let projected = if idle == was_idle {
            self.prepare_projection(self.state.head + 1, &event, prepared)?
        } else {
            let newest = Some(event.id());
            self.contained(memory, || self.settled(&facts, &events, &found, newest))?
        };
        self.put_event(&event, is_free);
        self.stage_projection(projected)?;
        let mut known = known;
        known.push(event.id());
        self.put_forked(Forked {
            memory,
            events: known,
            idle: idle.into_iter().collect(),
            frozen: found.frozen,
        });
        self.renew_if_frozen(memory)?;
        Ok(event)
    }

    fn put_fork(&mut self, facts: &Facts, known: Vec<EventId>, event: EventId) {
        let mut events = known;
        events.push(event);
        self.put_forked(Forked {
            memory: facts.id,
            events,
            idle: Vec::new(),
            frozen: Vec::new(),
        });
    }

    fn put_forked(&mut self, forked: Forked) {
        self.save_forks();
        self.put(
            layout::FORK,
            self.memory_key(forked.memory),
            forked.to_bytes(),
        );
        self.state.forks.insert(forked.memory, forked);
    }

    /// Makes forked memories anew where what counts may have changed: after a replay, and when
    /// an owner's word about a writer came.
    pub(super) fn settle_forks(&mut self) -> Result<(), StoreError> {
        for memory in std::mem::take(&mut self.unsettled) {
            let Some(forked) = self.state.forks.get(&memory).cloned() else {
                continue;
            };
            match self.settle(forked) {
                Ok(()) => {}
                Err(AppendError::Store(error)) => return Err(error),
                Err(error) => tracing::warn!(%memory, %error, "a forked memory was left as it is"),
            }
        }
        Ok(())
    }

    fn settle(&mut self, forked: Forked) -> Result<(), AppendError> {
        let facts = self.facts(forked.memory)?;
        let events = self.logged_all(&forked.events)?;
        let found = self.counting(&facts, &events);
        let idle: Vec<EventId> = idle(&events, &found).into_iter().collect();
        if idle == forked.idle && found.frozen == forked.frozen {
            return Ok(());
        }
        let settled = self.contained(facts.id, || self.settled(&facts, &events, &found, None));
        self.stage_projection(settled?)?;
        let frozen = found.frozen;
        self.put_forked(Forked {
            idle,
            frozen,
            ..forked
        });
        Ok(())
    }

    /// An owner's word about a writer came: what counts of their forks may have changed.
    pub(super) fn unsettle(&mut self, header: &Header) {
        if matches!(header.kind, Kind::Revocation | Kind::Writer) && !self.state.forks.is_empty() {
            self.unsettled.extend(self.state.forks.keys());
        }
    }

    fn logged_all(&self, ids: &[EventId]) -> Result<Vec<Signed<Event>>, StoreError> {
        let mut events = Vec::with_capacity(ids.len());
        for id in ids {
            events.extend(self.logged(*id)?);
        }
        Ok(events)
    }

    fn counting(&self, facts: &Facts, events: &[Signed<Event>]) -> Counting {
        let delivered = self.state.delivered(facts.id);
        counting(events, &|header| {
            let writer = (header.person, header.author, header.incarnation);
            let authority = &self.state.authority;
            match authority.permit(facts.owner, writer, facts.id, &delivered) {
                Permit::UpTo(_, event) => Some(event),
                Permit::Open | Permit::Closed => None,
            }
        })
    }

    /// Makes a memory of those of its events that count; fails if the newest does not apply.
    fn settled(
        &self,
        before: &Facts,
        events: &[Signed<Event>],
        found: &Counting,
        newest: Option<EventId>,
    ) -> Result<Projected, AppendError> {
        let mut facts = before.clone();
        facts.rewrite(|parts| {
            let sidecar_events = std::mem::take(&mut parts.sidecar_events);
            *parts = Parts {
                sidecar_events,
                ..Parts::default()
            };
        });
        let mut known: Option<Known> = None;
        let mut content = None;
        let mut failed = BTreeSet::new();
        for event in in_order(events) {
            if !found.counted.contains(&event.id()) {
                continue;
            }
            let verified = Verified::from_own_log(event.clone());
            if event.header().kind == Kind::Root {
                (facts.updated, facts.epoch) = (event.header().time, event.header().epoch);
            }
            if !before.purged {
                let applied = self.apply_settled(before.id, &verified, &mut known);
                if let Err(error) = applied {
                    let waits = matches!(error, AppendError::NoKey | AppendError::Store(_));
                    if waits || newest == Some(event.id()) {
                        return Err(error);
                    }
                    // It came while what it builds on did not count, and was not looked at.
                    tracing::info!(event = %event.id(), %error, "a change does not apply");
                    failed.insert(event.id());
                    continue;
                }
            }
            facts.epoch = facts.epoch.max(event.header().epoch);
            succeed(&mut facts, &verified);
            add_event(&mut facts, &verified);
        }
        let shown = events
            .iter()
            .filter(|event| found.shown.contains(&event.id()));
        let shown = shown.map(|event| (event.header().time, event.id()));
        facts.rewrite(|parts| parts.events = shown.collect());
        if let Some(known) = &known {
            let now = known.document.content();
            describe(&mut facts, &now);
            let heads = known.events_of(&known.document.heads());
            facts.rewrite(|parts| parts.heads = heads);
            content = Some(now);
        }
        Ok(Projected::Memory {
            facts: Box::new(facts),
            content,
            document: known.map(Known::into_row),
        })
    }

    fn apply_settled(
        &self,
        memory: MemoryId,
        event: &Verified<Event>,
        known: &mut Option<Known>,
    ) -> Result<(), AppendError> {
        match (event.header().kind, known) {
            (Kind::Root, known) => {
                *known = Some(self.materialise(memory, event)?);
            }
            (Kind::Change, Some(known)) => {
                let hash = self.admit_into(memory, event, known)?;
                known.changes.push((event.id(), hash.0));
            }
            _ => {}
        }
        Ok(())
    }

    /// Takes in, out of those that wait, the changes of frozen authors that an arriving event
    /// builds on; false if something else below it is missing.
    fn take_idle_below(&mut self, event: &Signed<Event>) -> Result<bool, AppendError> {
        let Feed::Memory(memory) = event.header().feed else {
            return Ok(false);
        };
        let mut below: BTreeMap<EventId, Signed<Event>> = BTreeMap::new();
        let mut open = event.header().parents.clone();
        while let Some(id) = open.pop() {
            if below.contains_key(&id) || self.holds(id) {
                continue;
            }
            let waiting = self
                .state
                .waiting
                .idle(id)
                .filter(|one| one.memory() == Some(memory));
            let Some(one) = waiting.filter(|_| below.len() < ADOPTED_MAX) else {
                self.check_failure()?;
                return Ok(false);
            };
            open.extend(&one.header().parents);
            open.extend(one.header().previous);
            below.insert(id, one.clone());
        }
        let held = With {
            tx: self,
            below: below.keys().copied().collect(),
        };
        let admitted = admit(event.clone(), &held);
        self.check_failure()?;
        admitted?;
        let below: Vec<_> = below.into_values().collect();
        let below: Vec<_> = in_order(&below).into_iter().cloned().collect();
        for one in below {
            self.save_waiting();
            self.state.waiting.take(one.id());
            let one = admit_forked(one, self);
            self.check_failure()?;
            self.stage_beside(memory, one?, None)?;
        }
        Ok(true)
    }

    /// Takes in what the owner shows of a writer who forked and may not write any more: the two
    /// events of the proof, and what follows them. Half of a proof waits for the other half.
    ///
    /// The memory's view holds them at whoever got them before the writer lost access, so they
    /// have to reach everyone. Only the owner is believed: anybody else could fill a log with the
    /// forks of a writer without a grant.
    pub(super) fn take_proof(
        &mut self,
        peer: PersonId,
        event: &Signed<Event>,
        taken: &mut Taken,
    ) -> Result<(), StoreError> {
        let (header, feed) = (event.header(), event.feed());
        let Feed::Memory(memory) = feed else {
            return Ok(());
        };
        if Some(peer) != self.owner_of(memory) && peer != self.state.me {
            return Ok(());
        }
        let proof = admit_proof(event.clone(), self);
        self.check_failure()?;
        let Ok(half) = proof else {
            return Ok(());
        };
        let (author, writer) = (&header.author, header.incarnation);
        let is_taken = self
            .feed_event(author, writer, feed, header.number)
            .is_some();
        let next = self.feed_tip(author, writer, feed);
        let next = next.map_or(0, |(number, _)| number + 1);
        let is_frozen = self.frozen(author, writer, feed).is_some();
        self.check_failure()?;
        let mut halves = Vec::new();
        if is_taken || (is_frozen && header.number == next) {
            halves.push(half);
        } else if header.number == next {
            if let Some(other) = self.state.waiting.other_half(event, peer).cloned() {
                let other = admit_proof(other, self);
                self.check_failure()?;
                halves.extend(other);
                halves.push(half);
            } else {
                self.save_waiting();
                let waits = self.state.waiting.keep(event, peer, None, self.now);
                taken.waiting += u32::from(waits);
            }
        }
        for half in halves {
            self.save_waiting();
            self.state.waiting.take(half.id());
            self.stage_proof(memory, &half)?;
            taken.note_stored(half.id());
            taken.memories.insert(memory);
        }
        Ok(())
    }

    /// Keeps an event of a memory that forks by it; what counts is found out with the commit.
    fn stage_proof(&mut self, memory: MemoryId, half: &Verified<Event>) -> Result<(), StoreError> {
        let place = self.holder(half.header())?;
        let Some(facts) = self.state.memories.get(&memory).cloned() else {
            return Ok(());
        };
        let known = self.state.forks.get(&memory).map_or_else(
            || facts.events().map(|(_, id)| id).collect(),
            |known| known.events.clone(),
        );
        self.put_event(half, place.is_none());
        self.put_fork(&facts, known, half.id());
        self.unsettled.insert(memory);
        Ok(())
    }

    /// This device forked its own feed: it was restored from a backup, and goes on as another
    /// writer.
    fn renew_if_frozen(&mut self, memory: MemoryId) -> Result<(), StoreError> {
        let forked = self.state.forks.get(&memory);
        let (device, writer) = (self.owner.device.id(), self.state.incarnation);
        if forked.is_some_and(|forked| forked.frozen_at(&device, writer).is_some()) {
            self.renew_incarnation()?;
        }
        Ok(())
    }

    /// Goes on as another writer: what this one wrote before is not all here.
    pub(super) fn renew_incarnation(&mut self) -> Result<(), StoreError> {
        let next = crate::store::open::new_writer(self.entropy)?;
        self.saved.incarnation.get_or_insert(self.state.incarnation);
        self.state.incarnation = next;
        tracing::warn!("this store was restored from a backup: it goes on under a new name");
        Ok(())
    }
}

fn idle(events: &[Signed<Event>], found: &Counting) -> BTreeSet<EventId> {
    let idle = events.iter().map(Signed::id);
    idle.filter(|id| !found.counted.contains(id)).collect()
}

/// What the store would hold with some more events.
struct With<'a, 'b> {
    tx: &'a Tx<'b>,
    below: BTreeSet<EventId>,
}

impl Holdings for With<'_, '_> {
    fn authority(&self) -> &Authority {
        self.tx.authority()
    }
    fn feed_tip(
        &self,
        author: &DeviceId,
        writer: Incarnation,
        feed: Feed,
    ) -> Option<(u64, EventId)> {
        self.tx.feed_tip(author, writer, feed)
    }
    fn feed_event(
        &self,
        author: &DeviceId,
        writer: Incarnation,
        feed: Feed,
        number: u64,
    ) -> Option<EventId> {
        self.tx.feed_event(author, writer, feed, number)
    }
    fn owner_of(&self, memory: MemoryId) -> Option<PersonId> {
        self.tx.owner_of(memory)
    }
    fn holds(&self, event: EventId) -> bool {
        self.below.contains(&event) || self.tx.holds(event)
    }
    fn frozen(&self, author: &DeviceId, writer: Incarnation, feed: Feed) -> Option<(u64, EventId)> {
        self.tx.frozen(author, writer, feed)
    }
    fn delivered_under(&self, memory: MemoryId) -> BTreeSet<GrantId> {
        self.tx.delivered_under(memory)
    }
}
