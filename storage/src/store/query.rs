//! Reading: search, consent for a peer.

use super::generations::Generation;
use super::{Store, StoreError};
use crate::projection::text::{HITS_MAX, TextQuery};
use crate::search::{self, Hit, SearchError, SearchRequest};
use crate::slots::{Slot, SlotSet};
use crdt::event::Incarnation;
use crdt::event::adopt::standing;
use crdt::hash::Hash;
use crdt::id::{DeviceId, EventId, MemoryId, PersonId};
use crdt::time::{Hybrid, Timestamp};
use std::collections::{BTreeMap, BTreeSet};

/// A change beyond a cut that counts all the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Adopted {
    /// The change.
    pub event: EventId,
    /// Who wrote it and was cut off.
    pub author: PersonId,
    /// Who built on it.
    pub adopter: PersonId,
}

/// A device, the writer on it, and the name of the feed it writes.
pub type FeedWriter = (DeviceId, Incarnation, Hash);

/// Consent events of a writer that a peer lacks are those from this number on.
pub type Frontier = BTreeMap<FeedWriter, u64>;

impl Store {
    /// Searches text and the vectors of one generation, whose model made the request's vector.
    pub fn search(
        &self,
        generation: Generation,
        request: &SearchRequest<'_>,
    ) -> Result<Vec<Hit>, SearchError> {
        self.generations.read(generation, |vectors| {
            search::search(&self.text, vectors, request)
        })
    }

    /// Returns the memories with words of a query, the best first, up to [`HITS_MAX`].
    pub fn with_words(
        &self,
        query: &TextQuery,
        allowed: Option<&SlotSet>,
    ) -> Result<Vec<Slot>, SearchError> {
        let found = self.text.search(query, allowed, None, HITS_MAX)?;
        Ok(found.scores().map(|(slot, _)| slot).collect())
    }

    /// Returns how many memories are in the text index, and how many have vectors.
    pub fn indexed(&self) -> (u64, u64) {
        let vectors = self
            .generations
            .read(Generation::BuiltIn, |vectors| vectors.len() as u64);
        (self.text.len(), vectors)
    }

    /// Returns the last log entry in the committed text index.
    pub fn text_cursor(&self) -> u64 {
        self.text.cursor()
    }

    /// Returns how far the consent events with a person are known; between devices of this
    /// person, those with everyone.
    pub fn consent_frontier(&self, person: PersonId) -> Frontier {
        self.read(|state| {
            let known = state.consent_of(person);
            known.flat_map(|known| known.feeds.clone()).collect()
        })
    }

    /// Returns the signed consent events with a person that lie beyond a frontier, in log order.
    pub fn consent_beyond(
        &self,
        person: PersonId,
        known: &Frontier,
    ) -> Result<Vec<Vec<u8>>, StoreError> {
        let entries = self.read(|state| {
            // A device that still counts as this person's may have been retired.
            if person == state.me && state.gaps.is_halted() {
                return BTreeSet::new();
            }
            let entries = state.consent_of(person).flat_map(|known| &known.entries);
            let lacking = entries.filter(|(_, writer, number)| {
                known.get(writer).copied().unwrap_or_default() <= *number
            });
            lacking.map(|(place, ..)| *place).collect::<BTreeSet<_>>()
        });
        let mut events = Vec::new();
        for place in entries {
            events.extend(self.event_at(place)?.map(|event| event.bytes().to_vec()));
        }
        Ok(events)
    }

    /// Returns own changes that a person's node does not accept and was not shown yet, in order.
    pub fn late_for(&self, person: PersonId) -> Vec<(Hybrid, EventId)> {
        self.read(|state| {
            let mine = state.late.mine.values();
            let open = mine.filter(|mine| {
                mine.owner == person
                    && !mine.settled
                    && mine.handed < crate::late::HANDED_MAX
                    && state.is_late(mine.event)
            });
            let mut open: Vec<_> = open
                .map(|mine| (mine.memory, mine.number, mine.written, mine.event))
                .collect();
            open.sort_unstable();
            open.into_iter()
                .map(|(_, _, written, event)| (written, event))
                .collect()
        })
    }

    /// Returns the changes of a memory that count only because somebody built on them: each with
    /// the event that adopted it.
    pub fn adopted(&self, memory: MemoryId) -> Result<Vec<Adopted>, StoreError> {
        let facts = self.read(|state| state.memories.get(&memory).cloned());
        let Some(facts) = facts.filter(|facts| !facts.writers().is_empty()) else {
            return Ok(Vec::new());
        };
        let mut events = Vec::new();
        for (_, id) in facts.events() {
            events.extend(self.event(id)?);
        }
        let standing = self
            .read(|state| standing(&events, memory, &state.authority, &state.delivered(memory)));
        let author = |id: EventId| {
            let event = events.iter().find(|event| event.id() == id);
            event.map(|event| event.header().person)
        };
        let pairs = standing.adopted.into_iter();
        Ok(pairs
            .filter_map(|(event, by)| {
                Some(Adopted {
                    event,
                    author: author(event)?,
                    adopter: author(by)?,
                })
            })
            .collect())
    }

    /// Appends this device's certificate to a new log.
    pub(super) fn introduce_device(&self, now: Timestamp) -> Result<(), StoreError> {
        if self.read(|state| state.head) > 0 {
            return Ok(());
        }
        self.transact(now, |tx| {
            tx.introduce_device()
                .map_err(|error| StoreError::Replay(0, error.to_string()))
        })
    }
}
