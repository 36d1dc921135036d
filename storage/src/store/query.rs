//! Reading: search, vectors, consent for a peer.

use super::{Store, StoreError};
use crate::kv::{Batch, Durability};
use crate::layout::{self, meta, number_of, ordered};
use crate::projection::text::{HITS_MAX, TextQuery};
use crate::projection::vectors::{SlotVectors, VectorError};
use crate::search::{self, Hit, SearchError, SearchRequest};
use crate::slots::{Slot, SlotSet};
use crdt::event::Incarnation;
use crdt::event::adopt::standing;
use crdt::hash::Hash;
use crdt::id::{DeviceId, EventId, MemoryId, PersonId};
use crdt::time::{Hybrid, Timestamp};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::PoisonError;

/// A memory whose vectors are to be made.
#[derive(Debug, Clone)]
pub struct ToEmbed {
    /// The memory.
    pub memory: MemoryId,
    /// Its title; empty if it is not to be found any more.
    pub title: String,
    /// Its text.
    pub body: String,
    /// Whether it is to be found.
    pub listed: bool,
}

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
    /// Searches text and vectors.
    pub fn search(&self, request: &SearchRequest<'_>) -> Result<Vec<Hit>, SearchError> {
        let vectors = self.vectors.read().unwrap_or_else(PoisonError::into_inner);
        search::search(&self.text, &vectors, request)
    }

    /// Returns the memories with words of a query, the best first, up to [`HITS_MAX`].
    pub fn with_words(
        &self,
        query: &TextQuery,
        allowed: Option<&SlotSet>,
    ) -> Result<Vec<Slot>, SearchError> {
        let hits = self.text.search(query, allowed, HITS_MAX)?;
        Ok(hits.into_iter().map(|hit| hit.slot).collect())
    }

    /// Returns memories that changed since vectors were last made, and the cursor to store.
    pub fn to_embed(&self, entries_max: u64) -> Result<(Vec<ToEmbed>, u64), StoreError> {
        let from = self.vector_cursor()?;
        let head = self.read(|state| state.head);
        let until = head.min(from + entries_max);
        let mut memories = BTreeSet::new();
        for number in from + 1..=until {
            memories.extend(self.event_at(number)?.and_then(|event| event.memory()));
        }
        let mut found = Vec::new();
        for memory in memories {
            let listed = self.read(|state| {
                state
                    .memories
                    .get(&memory)
                    .is_some_and(|facts| super::state::is_listed(facts))
            });
            let content = if listed { self.content(memory)? } else { None };
            let listed = content.is_some();
            let (title, body) =
                content.map_or_else(Default::default, |content| (content.title, content.body));
            found.push(ToEmbed {
                memory,
                title,
                body,
                listed,
            });
        }
        Ok((found, until))
    }

    /// Returns the last log entry whose memory has its vectors.
    pub fn vector_cursor(&self) -> Result<u64, StoreError> {
        let cursor = self.kv.get(layout::META, meta::VECTOR_CURSOR)?;
        Ok(cursor.as_deref().and_then(number_of).unwrap_or_default())
    }

    /// Returns the last log entry in the committed text index.
    pub fn text_cursor(&self) -> u64 {
        self.text.cursor()
    }

    /// Stores vectors and moves the cursor; an empty list takes a memory out.
    pub fn put_vectors(
        &self,
        vectors: &[(MemoryId, Vec<Vec<f32>>)],
        cursor: u64,
    ) -> Result<(), StoreError> {
        let mut batch = Batch::new();
        let mut changes = Vec::new();
        for (memory, chunks) in vectors {
            let facts = self.read(|state| {
                state
                    .memories
                    .get(memory)
                    .map(|facts| (facts.slot, facts.purged))
            });
            let Some((slot, purged)) = facts else {
                continue;
            };
            let dimensions = self
                .vectors
                .read()
                .unwrap_or_else(PoisonError::into_inner)
                .dimensions();
            let stored = match SlotVectors::new(dimensions, chunks) {
                Ok(stored) if !purged => Some(stored),
                Ok(_) | Err(VectorError::Chunks { found: 0 }) => None,
                Err(error) => {
                    tracing::warn!(%error, "a memory has no usable vectors");
                    None
                }
            };
            let row = ordered(slot).to_vec();
            match &stored {
                Some(stored) => batch.put(layout::VECTOR, row, stored.encode()),
                None => batch.delete(layout::VECTOR, row),
            }
            changes.push((Slot(slot), stored));
        }
        batch.put(layout::META, meta::VECTOR_CURSOR, ordered(cursor).to_vec());
        self.kv.commit(batch, Durability::Relaxed)?;
        let mut index = self.vectors.write().unwrap_or_else(PoisonError::into_inner);
        for (slot, stored) in changes {
            match stored {
                Some(stored) => {
                    if let Err(error) = index.put_stored(slot, &stored) {
                        tracing::warn!(%error, "a vector was left out");
                    }
                }
                None => {
                    index.remove(slot);
                }
            }
        }
        Ok(())
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
        let Some(facts) = facts.filter(|facts| !facts.writers.is_empty()) else {
            return Ok(Vec::new());
        };
        let mut events = Vec::with_capacity(facts.events.len());
        for (_, id) in &facts.events {
            events.extend(self.event(*id)?);
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
