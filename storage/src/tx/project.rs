//! Projecting: what an event makes of a memory, before and after it is staged.
//!
//! [`Tx::prepare_projection`] opens the body and runs the gate in front of Automerge; it changes
//! nothing, so it can refuse, and a panic in it is contained: the memory is broken then, see
//! [`super::quarantine`]. [`Tx::stage_projection`] writes facts, content and document; it does not
//! touch Automerge.

use super::Tx;
use super::append::AppendError;
use crate::content;
use crate::layout::{self, ordered};
use crate::records::{DocumentRow, Facts, History, Parts, Source, Written};
use crate::screen::Screening;
use crate::store::StoreError;
use crdt::codec::Canonical as _;
use crdt::event::admit::{Refusal, Verified};
use crdt::event::{Event, Feed, Kind};
use crdt::id::{EventId, MemoryId};
use crdt::memory::{ChangeHash, Content, Document, Status};
use crdt::sidecar::{Sidecar, SidecarPatch};
use crdt::time::Timestamp;
use std::sync::Arc;

/// A memory's Automerge document and which event carries which change.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) document: Document,
    pub(super) changes: Vec<(EventId, [u8; 32])>,
}

impl Known {
    /// Wraps a document that was just materialised: its one change is the root event's.
    fn of_root(document: Document) -> Self {
        let root = EventId(document.memory().0);
        let heads = document.heads();
        let changes = heads.into_iter().map(|hash| (root, hash.0)).collect();
        Self { document, changes }
    }
    /// Returns the events that carry these changes, ascending.
    pub(super) fn events_of(&self, hashes: &[ChangeHash]) -> Vec<EventId> {
        let mut events: Vec<EventId> = hashes
            .iter()
            .filter_map(|hash| {
                self.changes
                    .iter()
                    .find(|(_, change)| *change == hash.0)
                    .map(|(event, _)| *event)
            })
            .collect();
        events.sort_unstable();
        events
    }
    /// Returns the row to keep: the snapshot is taken here, where a panic is contained.
    pub(super) fn into_row(self) -> DocumentRow {
        DocumentRow {
            snapshot: self.document.save(),
            changes: self.changes,
        }
    }
    /// Returns the change that an event carries.
    pub(super) fn change_of(&self, event: EventId) -> Option<ChangeHash> {
        self.changes
            .iter()
            .find(|(known, _)| *known == event)
            .map(|(_, hash)| ChangeHash(*hash))
    }
}

/// A document to which the change of an own edit has been applied already.
#[derive(Debug)]
pub(super) struct Prepared {
    pub(super) known: Known,
    pub(super) hash: ChangeHash,
}

/// What an event makes of its memory.
#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "one at a time, and it moves once"
)]
pub(super) enum Projected {
    /// Nothing: it is not about a memory, or the memory is gone.
    Nothing,
    /// The facts after it, and the content and document if they changed.
    Memory {
        facts: Box<Facts>,
        content: Option<Content>,
        document: Option<DocumentRow>,
    },
    /// The memory is gone.
    Purged(Box<Facts>),
}

impl Tx<'_> {
    pub(super) fn prepare_projection(
        &self,
        number: u64,
        event: &Verified<Event>,
        prepared: Option<Prepared>,
    ) -> Result<Projected, AppendError> {
        let Some(memory) = event.memory() else {
            return Ok(Projected::Nothing);
        };
        self.contained(memory, || self.prepare(number, event, prepared))
    }

    fn prepare(
        &self,
        number: u64,
        event: &Verified<Event>,
        prepared: Option<Prepared>,
    ) -> Result<Projected, AppendError> {
        match (event.header().kind, event.header().feed) {
            (Kind::Root, _) => self.project_root(number, event),
            (Kind::Change, Feed::Memory(memory)) => self.project_change(memory, event, prepared),
            (Kind::Sidecar, Feed::Sidecar(memory)) => self.project_sidecar(memory, event),
            (Kind::Purge, Feed::Memory(memory)) => Ok(self.project_purge(memory, event)),
            _ => Ok(Projected::Nothing),
        }
    }

    pub(super) fn open(&self, memory: MemoryId, event: &Event) -> Result<Vec<u8>, AppendError> {
        let commitment = event.header.commitment.ok_or(AppendError::NoKey)?;
        let key = self.committed_key(memory, event.header.epoch, &commitment)?;
        event
            .open(&key.ok_or(AppendError::NoKey)?)
            .map_err(|error| AppendError::Unreadable(error.to_string()))
    }

    fn project_root(&self, number: u64, event: &Verified<Event>) -> Result<Projected, AppendError> {
        let memory = event.id().as_memory();
        let header = event.header();
        let content = match self.open(memory, event.event()) {
            Ok(body) => Some(
                Content::from_bytes(&body)
                    .map_err(|error| AppendError::Unreadable(error.to_string()))?,
            ),
            // While the log is replayed, the key of a purged memory is gone for good.
            Err(AppendError::NoKey) if self.is_replaying => None,
            // It was destroyed before it came, and the purge comes right after it.
            Err(AppendError::NoKey | AppendError::Unreadable(_)) if self.is_doomed(memory) => None,
            Err(error) => return Err(error),
        };
        let mut facts = Facts {
            id: memory,
            slot: number,
            owner: header.owner,
            kind: crdt::memory::MemoryKind::Note,
            status: Status::Active,
            purged: content.is_none(),
            tags: Box::default(),
            source: None,
            created: Timestamp(0),
            updated: header.time,
            epoch: header.epoch,
            bytes: 0,
            sidecar: Sidecar::default(),
            history: History::begun(header.time),
            screening: Screening::default(),
        };
        if let Some(content) = &content {
            describe(&mut facts, content);
            facts.created = content.created;
        }
        Ok(Projected::Memory {
            facts: Box::new(facts),
            content,
            document: None,
        })
    }

    pub(super) fn facts(&self, memory: MemoryId) -> Result<Facts, AppendError> {
        let facts = self
            .state
            .memories
            .get(&memory)
            .map(|facts| Facts::clone(facts));
        facts.ok_or(AppendError::Refused(Refusal::UnknownMemory(memory)))
    }

    fn project_change(
        &self,
        memory: MemoryId,
        event: &Verified<Event>,
        prepared: Option<Prepared>,
    ) -> Result<Projected, AppendError> {
        let mut facts = self.facts(memory)?;
        let header = event.header();
        add_event(&mut facts, event);
        facts.epoch = facts.epoch.max(header.epoch);
        if facts.purged || self.is_passed_over(memory) {
            succeed(&mut facts, event);
            return Ok(Projected::Memory {
                facts: Box::new(facts),
                content: None,
                document: None,
            });
        }
        let admitted = match prepared {
            Some(prepared) => Ok((prepared.known, prepared.hash)),
            None => self.admit_change(memory, event),
        };
        let (mut known, hash) = match admitted {
            // Its key was destroyed before it came, and the purge comes right after it.
            Err(AppendError::NoKey) if self.is_doomed(memory) => {
                succeed(&mut facts, event);
                return Ok(Projected::Memory {
                    facts: Box::new(facts),
                    content: None,
                    document: None,
                });
            }
            admitted => admitted?,
        };
        known.changes.push((event.id(), hash.0));
        let content = known.document.content();
        describe(&mut facts, &content);
        let heads = known.events_of(&known.document.heads());
        facts.rewrite(|parts| parts.heads = heads);
        Ok(Projected::Memory {
            facts: Box::new(facts),
            content: Some(content),
            document: Some(known.into_row()),
        })
    }

    /// Runs a foreign change through the gate in front of Automerge.
    fn admit_change(
        &self,
        memory: MemoryId,
        event: &Verified<Event>,
    ) -> Result<(Known, ChangeHash), AppendError> {
        let mut known = self.document(memory)?;
        let hash = self.admit_into(memory, event, &mut known)?;
        Ok((known, hash))
    }

    /// Lets the change of an event into a document, through the gate.
    pub(super) fn admit_into(
        &self,
        memory: MemoryId,
        event: &Verified<Event>,
        known: &mut Known,
    ) -> Result<ChangeHash, AppendError> {
        let body = self.open(memory, event.event())?;
        let header = event.header();
        let change = known
            .document
            .admit(header.author, header.incarnation.0, &body)
            .map_err(AppendError::Gate)?;
        if known.events_of(&change.deps) != header.parents {
            return Err(AppendError::WrongParents);
        }
        Ok(change.hash)
    }

    /// Makes the document of a memory from its root event.
    pub(super) fn materialise(
        &self,
        memory: MemoryId,
        root: &Verified<Event>,
    ) -> Result<Known, AppendError> {
        let unreadable = |error: String| AppendError::Unreadable(error);
        let body = self.open(memory, root.event())?;
        let content = Content::from_bytes(&body).map_err(|e| unreadable(e.to_string()))?;
        let document = Document::materialise(memory, &content);
        let document = document.map_err(|error| unreadable(error.to_string()))?;
        Ok(Known::of_root(document))
    }

    /// Returns the document of a memory, materialised from its root if it was never edited.
    pub(super) fn document(&self, memory: MemoryId) -> Result<Known, AppendError> {
        self.contained(memory, || self.load_document(memory))
    }

    fn load_document(&self, memory: MemoryId) -> Result<Known, AppendError> {
        #[cfg(test)]
        super::quarantine::tripwire::step_on(memory);
        let broken = |error: String| AppendError::Broken(memory, error);
        let key = self.memory_key(memory);
        if let Some(bytes) = self.get(layout::DOCUMENT, &key)? {
            let row = DocumentRow::from_bytes(&bytes).map_err(|error| broken(error.to_string()))?;
            let document = Document::restore(memory, &row.snapshot)
                .map_err(|error| broken(error.to_string()))?;
            return Ok(Known {
                document,
                changes: row.changes,
            });
        }
        let content = self.content(memory)?;
        let content = content
            .ok_or_else(|| AppendError::Unreadable("the memory has no content".to_owned()))?;
        let document =
            Document::materialise(memory, &content).map_err(|error| broken(error.to_string()))?;
        Ok(Known::of_root(document))
    }

    fn project_sidecar(
        &self,
        memory: MemoryId,
        event: &Verified<Event>,
    ) -> Result<Projected, AppendError> {
        let unreadable = |error: String| AppendError::Unreadable(error);
        let mut facts = self.facts(memory)?;
        let commitment = event.header().commitment.ok_or(AppendError::NoKey)?;
        let key = self.committed_sidecar_key(&commitment)?;
        let key = key.ok_or(AppendError::NoKey)?;
        let body = event
            .event()
            .open(&key)
            .map_err(|error| unreadable(error.to_string()))?;
        let patch = SidecarPatch::from_bytes(&body).map_err(|e| unreadable(e.to_string()))?;
        facts.sidecar.apply(event.header().time, event.id(), &patch);
        let dated = (event.header().time, event.id());
        facts.rewrite(|parts| parts.sidecar_events.push(dated));
        Ok(Projected::Memory {
            facts: Box::new(facts),
            content: None,
            document: None,
        })
    }

    fn project_purge(&self, memory: MemoryId, event: &Verified<Event>) -> Projected {
        let Ok(mut facts) = self.facts(memory) else {
            return Projected::Nothing;
        };
        add_event(&mut facts, event);
        succeed(&mut facts, event);
        Projected::Purged(Box::new(facts.emptied()))
    }

    pub(super) fn stage_projection(&mut self, projected: Projected) -> Result<(), StoreError> {
        match projected {
            Projected::Nothing => {}
            Projected::Memory {
                facts,
                content,
                document,
            } => {
                let key = self.memory_key(facts.id);
                let is_new = !self.state.memories.contains_key(&facts.id);
                match (&content, document) {
                    (Some(content), Some(document)) => {
                        self.put(layout::DOCUMENT, key.clone(), document.to_bytes());
                        self.put(layout::CONTENT, key, content.to_bytes());
                    }
                    // What the root says is in the log.
                    (Some(_), None) if !is_new => self.delete(layout::CONTENT, key),
                    (None, _) if facts.purged => {
                        self.put(layout::CONTENT, key, content::PURGED.to_vec());
                    }
                    _ => {}
                }
                let mut facts = *facts;
                facts.screening = self.screen(&facts, content.as_ref())?;
                self.put_facts(facts, content);
            }
            Projected::Purged(facts) => {
                let key = self.memory_key(facts.id);
                self.delete_content_keys(facts.id)?;
                self.release_purged(facts.id);
                self.put(layout::CONTENT, key.clone(), content::PURGED.to_vec());
                self.delete(layout::DOCUMENT, key);
                self.delete(layout::VECTOR, ordered(facts.slot).to_vec());
                self.delete(layout::CHOSEN, ordered(facts.slot).to_vec());
                let mut facts = *facts;
                facts.screening = self.screen(&facts, None)?;
                self.put_facts(facts, None);
            }
        }
        Ok(())
    }

    fn put_facts(&mut self, facts: Facts, content: Option<Content>) {
        if !self.state.texts.is_empty() && (content.is_some() || facts.purged) {
            self.save_texts();
            self.state.texts.note(facts.id, content.as_ref());
        }
        if content.is_some() || facts.purged {
            self.note_attached(facts.id, content.as_ref());
        }
        if content.is_some() || facts.purged {
            self.touched.insert(facts.id, content);
        } else {
            self.touched.entry(facts.id).or_default();
        }
        self.restate_facts(facts);
    }

    /// Writes facts of a memory whose text did not change.
    pub(super) fn restate_facts(&mut self, mut facts: Facts) {
        self.state.share_names(&mut facts);
        let memory = facts.id;
        self.save_facts(&facts);
        self.put(layout::FACTS, self.memory_key(memory), facts.to_bytes());
        self.state.put_facts(Arc::new(facts));
        self.note_moves(memory);
    }
}

pub(crate) fn describe(facts: &mut Facts, content: &Content) {
    facts.kind = content.kind;
    facts.status = content.status;
    facts.tags = content.tags.iter().map(|tag| Arc::from(&**tag)).collect();
    facts.source = content.source.as_deref().map(Source::of);
    facts.bytes = (content.title.len() + content.body.len()) as u64;
}

pub(super) fn add_event(facts: &mut Facts, event: &Verified<Event>) {
    let header = event.header();
    facts.updated = facts.updated.max(header.time);
    let is_owner = header.person == facts.owner;
    facts.rewrite(|parts| {
        parts.events.push((header.time, event.id()));
        if !is_owner {
            note_written(&mut parts.writers, event);
        }
    });
}

fn note_written(writers: &mut Vec<Written>, event: &Verified<Event>) {
    let header = event.header();
    let written = Written {
        device: header.author,
        incarnation: header.incarnation,
        number: header.number,
        event: event.id(),
    };
    let is_same = |known: &&mut Written| {
        (known.device, known.incarnation) == (written.device, written.incarnation)
    };
    match writers.iter_mut().find(is_same) {
        Some(known) => *known = written,
        None => writers.push(written),
    }
}

/// Makes an event one without successors, instead of those it builds on.
pub(super) fn succeed(facts: &mut Facts, event: &Verified<Event>) {
    let parents = &event.header().parents;
    facts.rewrite(|Parts { heads, .. }| {
        heads.retain(|head| !parents.contains(head));
        heads.push(event.id());
        heads.sort_unstable();
    });
}
