//! Appending: the only place where the log grows.

use super::Tx;
use super::project::Prepared;
use crate::kv::Scan;
use crate::layout::{self, number_of, ordered};
use crate::store::StoreError;
use crdt::codec::{Canonical as _, Writer};
use crdt::envelope::pack::Packing;
use crdt::envelope::{ContentKey, Epoch};
use crdt::event::admit::{Holdings, Refusal, Verified};
use crdt::event::{Event, Feed, Header, Incarnation, Kind, Signed};
use crdt::grant::authority::Authority;
use crdt::grant::known::blinded;
use crdt::hash::Hash;
use crdt::id::{DeviceId, EventId, GrantId, MemoryId, PersonId};
use crdt::memory;
use std::collections::BTreeSet;
use thiserror::Error;

/// The reason why an event was not appended.
#[derive(Debug, Error)]
pub enum AppendError {
    /// Admission refused it.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The gate in front of Automerge refused it.
    #[error("the change was refused: {0}")]
    Gate(memory::Refusal),
    /// Its key is not here.
    #[error("the key of this memory and epoch is not here")]
    NoKey,
    /// It does not open, or what is inside does not read.
    #[error("the sealed content does not read: {0}")]
    Unreadable(String),
    /// The events it names as parents are not those its change builds on.
    #[error("the event's parents are not what its change builds on")]
    WrongParents,
    /// What this node keeps of the memory made Automerge fail: the memory is to be quarantined.
    #[error("the document of memory {0} is broken: {1}")]
    Broken(MemoryId, String),
    /// The memory is quarantined: nothing is written in it and nothing merged into it.
    #[error("the memory {0} is quarantined")]
    Quarantined(MemoryId),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl AppendError {
    /// Returns a stable name.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Refused(refusal) => refusal.code(),
            Self::Gate(refusal) => refusal.code(),
            Self::NoKey => "no_key",
            Self::Unreadable(_) => "unreadable",
            Self::WrongParents => "wrong_parents",
            Self::Broken(..) | Self::Quarantined(_) => "quarantined",
            Self::Store(_) => "store",
        }
    }
}

impl From<crate::kv::KvError> for AppendError {
    fn from(error: crate::kv::KvError) -> Self {
        Self::Store(error.into())
    }
}

/// Where an event of one's own goes.
pub(super) struct Draft {
    pub(super) kind: Kind,
    pub(super) owner: PersonId,
    pub(super) feed: Feed,
    pub(super) parents: Vec<EventId>,
    pub(super) epoch: Epoch,
}

impl Tx<'_> {
    /// Fills in author, number, previous event and time.
    pub(super) fn header(&self, draft: Draft) -> Result<Header, StoreError> {
        let author = self.owner.device.id();
        let incarnation = self.state.incarnation;
        let tip = match draft.feed {
            Feed::Root => None,
            feed => self.feed_tip(&author, incarnation, feed),
        };
        self.check_failure()?;
        let mut parents = draft.parents;
        parents.sort_unstable();
        parents.dedup();
        Ok(Header {
            kind: draft.kind,
            author,
            incarnation,
            person: self.owner.certificate.person,
            owner: draft.owner,
            feed: draft.feed,
            number: tip.map_or(0, |(number, _)| number + 1),
            previous: tip.map(|(_, id)| id),
            time: self.next_time(),
            parents,
            authority: self.known_consent(draft.feed, draft.owner),
            epoch: draft.epoch,
            commitment: None,
            packing: Packing::Plain,
        })
    }

    /// The consent that this node knows about a memory's owner, blinded so that it tells nothing
    /// to those who do not know it too.
    fn known_consent(&self, feed: Feed, owner: PersonId) -> Vec<Hash> {
        let Feed::Memory(memory) = feed else {
            return Vec::new();
        };
        if owner == self.state.me {
            return Vec::new();
        }
        let heads = self
            .state
            .consent
            .get(&owner)
            .into_iter()
            .flat_map(|known| &known.heads);
        let mut blinded: Vec<Hash> = heads
            .map(|head| blinded(*head, memory))
            .take(crdt::event::AUTHORITY_HEADS_MAX)
            .collect();
        blinded.sort_unstable();
        blinded
    }

    /// Signs, admits and appends an event of one's own whose body is not sealed.
    pub(super) fn write_plain(
        &mut self,
        draft: Draft,
        body: Vec<u8>,
    ) -> Result<Verified<Event>, AppendError> {
        let header = self.header(draft)?;
        let signed = Event { header, body }.sign(&self.owner.device);
        self.append(signed, None)
    }

    /// Seals and signs an event of one's own.
    pub(super) fn seal(
        &self,
        draft: Draft,
        body: &[u8],
        key: &ContentKey,
    ) -> Result<Signed<Event>, StoreError> {
        let header = self.header(draft)?;
        Ok(Event::sealed(header, body, key, &mut self.rng()).sign(&self.owner.device))
    }

    /// Admits an event and stages everything that follows from it.
    pub(super) fn append(
        &mut self,
        event: Signed<Event>,
        prepared: Option<Prepared>,
    ) -> Result<Verified<Event>, AppendError> {
        self.check_quarantine(&event)?;
        self.adopt(&event)?;
        let admitted = self.admit(event)?;
        self.stage(admitted, prepared)
    }

    pub(super) fn stage(
        &mut self,
        event: Verified<Event>,
        prepared: Option<Prepared>,
    ) -> Result<Verified<Event>, AppendError> {
        if let Some(memory) = self.beside(&event)? {
            return self.stage_beside(memory, event, prepared);
        }
        let number = self.state.head + 1;
        // Refusals end here: from the next line on, things are staged.
        let projected = self.prepare_projection(number, &event, prepared)?;
        self.put_event(&event, true);
        let header = event.header();
        match header.feed {
            Feed::Pair(_) | Feed::Own => {
                self.save_authority();
                self.put(layout::CONSENT, ordered(number).to_vec(), Vec::new());
                self.state.take_consent(number, &event);
                if header.kind == Kind::Offer && header.owner == self.state.me {
                    self.follow_texts()?;
                }
                self.follow_policy(&event)?;
                self.unsettle(header);
            }
            Feed::Root | Feed::Memory(_) | Feed::Sidecar(_) => self.stage_projection(projected)?,
        }
        Ok(event)
    }

    /// Stages an event as the next entry of the log; its place in its feed is free, or another
    /// event has it.
    pub(super) fn put_event(&mut self, event: &Verified<Event>, is_free: bool) {
        let number = self.state.head + 1;
        let header = event.header();
        self.put(
            layout::LOG,
            ordered(number).to_vec(),
            event.bytes().to_vec(),
        );
        let place = self.opaque.opaque(event.id().as_bytes()).to_vec();
        self.put(layout::EVENT, place, ordered(number).to_vec());
        if is_free {
            let row = self.feed_row(&header.author, header.incarnation, event.feed());
            let row = [row, ordered(header.number).to_vec()].concat();
            self.put(layout::FEED, row, event.id().0.to_vec());
        }
        self.leave_tray(event.id());
        self.note_back(event.id());
        self.state.head = number;
        self.state.clock = self.state.clock.max(header.time);
    }

    /// Takes an event back from the log while the projections are made anew.
    ///
    /// It was admitted when it came; who is paired and what is shared may have changed since. A
    /// memory whose events do not replay is quarantined, and the rest goes on.
    pub(crate) fn replay(&mut self, event: Signed<Event>) -> Result<(), AppendError> {
        let memory = event.memory();
        let event = Verified::from_own_log(event);
        match (self.stage(event.clone(), None), memory) {
            (Ok(_), _) => Ok(()),
            (Err(AppendError::Store(error)), _) => Err(error.into()),
            (Err(error), Some(memory)) if self.state.memories.contains_key(&memory) => {
                self.quarantine(memory, error.to_string());
                self.stage(event, None).map(|_| ())
            }
            (Err(error), _) => Err(error),
        }
    }

    fn feed_row(&self, author: &DeviceId, writer: Incarnation, feed: Feed) -> Vec<u8> {
        let mut out = Writer::default();
        author.encode(&mut out);
        out.raw(&writer.0);
        feed.encode(&mut out);
        self.opaque.opaque(&out.into_bytes()).to_vec()
    }

    fn scan_tip(&self, row: Vec<u8>) -> Result<Option<(u64, EventId)>, crate::kv::KvError> {
        let page = self
            .kv
            .scan(layout::FEED, &Scan::prefix(row.clone()).descending().max(1))?;
        let tip = page
            .items
            .first()
            .map(|item| (item.key.clone(), item.value.clone()));
        let end = [row.clone(), vec![0xff; 8]].concat();
        let staged = self
            .staged
            .range((layout::FEED, row)..=(layout::FEED, end))
            .next_back()
            .and_then(|((_, key), value)| value.clone().map(|value| (key.clone(), value)));
        Ok(tip
            .max(staged)
            .and_then(|(key, value)| Some((number_of(&key)?, EventId(value.try_into().ok()?)))))
    }
}

impl Holdings for Tx<'_> {
    fn authority(&self) -> &Authority {
        &self.state.authority
    }
    fn feed_tip(
        &self,
        author: &DeviceId,
        writer: Incarnation,
        feed: Feed,
    ) -> Option<(u64, EventId)> {
        self.scan_tip(self.feed_row(author, writer, feed))
            .unwrap_or_else(|error| {
                self.failure.replace(Some(error));
                None
            })
    }
    fn feed_event(
        &self,
        author: &DeviceId,
        writer: Incarnation,
        feed: Feed,
        number: u64,
    ) -> Option<EventId> {
        let row = [
            self.feed_row(author, writer, feed),
            ordered(number).to_vec(),
        ]
        .concat();
        self.get_or_note(layout::FEED, &row)?
            .try_into()
            .ok()
            .map(EventId)
    }
    fn owner_of(&self, memory: MemoryId) -> Option<PersonId> {
        self.state.memories.get(&memory).map(|facts| facts.owner)
    }
    fn holds(&self, event: EventId) -> bool {
        self.get_or_note(layout::EVENT, &self.opaque.opaque(event.as_bytes()))
            .is_some()
    }
    fn frozen(&self, author: &DeviceId, writer: Incarnation, feed: Feed) -> Option<(u64, EventId)> {
        let Feed::Memory(memory) = feed else {
            return None;
        };
        self.state.forks.get(&memory)?.frozen_at(author, writer)
    }
    fn delivered_under(&self, memory: MemoryId) -> BTreeSet<GrantId> {
        self.state.delivered(memory)
    }
}
