//! The owner's side of late work: keeping what was refused, adopting, salvaging, dropping.
//!
//! What is in the tray is not in the log. It gets there by adoption, which admission decides, or
//! not at all: salvage writes a change of the owner's own.

use super::Tx;
use super::append::AppendError;
use super::edit::{MemoryEdit, WriteError};
use crate::late::{LateWork, TrayRow};
use crate::layout;
use crate::store::{StoreError, decode};
use crdt::codec::Canonical as _;
use crdt::event::admit::Refusal;
use crdt::event::adopt::{admit_adopted, adopted_by};
use crdt::event::{Event, Feed, Kind, Signed};
use crdt::id::{EventId, MemoryId, PersonId};
use crdt::memory::{BodyEdit, Content, Edit, SourceEdit};
use std::cell::RefCell;
use thiserror::Error;

/// The reason why late work was not shown, salvaged or dropped.
#[derive(Debug, Error)]
pub enum TrayError {
    /// There is no such late work.
    #[error("there is no late work {0}")]
    Unknown(EventId),
    /// It does not apply to the memory any more.
    #[error("the late work does not apply: {0}")]
    Unusable(String),
    /// The memory was not written.
    #[error(transparent)]
    Write(#[from] WriteError),
}

impl From<StoreError> for TrayError {
    fn from(error: StoreError) -> Self {
        Self::Write(error.into())
    }
}

/// A memory as it stands and as it would be with late work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Merged {
    /// As it stands.
    pub now: Content,
    /// With the late work merged in.
    pub then: Content,
}

impl Tx<'_> {
    /// Keeps a change that was refused, if it is late work in a memory of mine; tells whether
    /// it is in the tray.
    pub(super) fn keep_late(
        &mut self,
        from: PersonId,
        event: &Signed<Event>,
        error: &AppendError,
    ) -> bool {
        let header = event.header();
        let me = self.state.me;
        let (Feed::Memory(memory), Kind::Change) = (header.feed, header.kind) else {
            return false;
        };
        let is_mine = self
            .state
            .memories
            .get(&memory)
            .is_some_and(|facts| facts.owner == me && !facts.purged);
        let was_writer = self.state.authority.was_writer(me, header.person);
        if !is_mine || header.owner != me || header.person == me || !was_writer {
            return false;
        }
        let known = |id: &EventId| self.state.late.tray.contains_key(id);
        let is_late = match error {
            AppendError::Refused(Refusal::BeyondCut | Refusal::NotPermitted(_)) => true,
            // What follows late work is late too.
            AppendError::Refused(Refusal::MissingPrevious | Refusal::MissingParent(_)) => {
                header.previous.as_ref().is_some_and(known)
            }
            _ => false,
        };
        if !is_late {
            return false;
        }
        if known(&event.id()) {
            return true;
        }
        for stale in self.state.late.stale(self.now) {
            self.leave_tray(stale);
        }
        if !self.state.late.has_room(from, event.bytes().len() as u64) {
            tracing::info!("the tray is full for this peer; late work was not kept");
            return false;
        }
        let row = TrayRow {
            event: event.bytes().to_vec(),
            from,
            received: self.now,
            code: error.code().to_owned(),
        };
        self.save_late();
        let key = self.opaque.opaque(event.id().as_bytes()).to_vec();
        self.put(layout::TRAY, key, row.to_bytes());
        self.state.late.enter(&row);
        true
    }

    /// Takes an event out of the tray, if it is there.
    pub(super) fn leave_tray(&mut self, event: EventId) {
        if self.state.late.tray.contains_key(&event) {
            self.save_late();
            let key = self.opaque.opaque(event.as_bytes()).to_vec();
            self.delete(layout::TRAY, key);
            self.state.late.tray.remove(&event);
        }
    }

    fn in_tray(&self, event: EventId) -> Result<Option<Signed<Event>>, StoreError> {
        if !self.state.late.tray.contains_key(&event) {
            return Ok(None);
        }
        let Some(bytes) = self.get(layout::TRAY, &self.opaque.opaque(event.as_bytes()))? else {
            return Ok(None);
        };
        let row: TrayRow = decode(layout::TRAY.0, &bytes)?;
        Signed::from_bytes(&row.event)
            .map(Some)
            .map_err(|source| StoreError::Row {
                keyspace: layout::TRAY.0,
                source,
            })
    }

    /// Admits the late work that an arriving event adopts.
    pub(super) fn adopt(&mut self, event: &Signed<Event>) -> Result<(), AppendError> {
        let Feed::Memory(memory) = event.header().feed else {
            return Ok(());
        };
        if self.state.late.tray.is_empty() {
            return Ok(());
        }
        let failure = RefCell::new(None);
        let late = |id: EventId| {
            self.in_tray(id).unwrap_or_else(|error| {
                failure.replace(Some(error));
                None
            })
        };
        let adopted = adopted_by(event, memory, self, &late);
        self.check_failure()?;
        if let Some(error) = failure.into_inner() {
            return Err(error.into());
        }
        for late in adopted? {
            let late = admit_adopted(late, event.header().owner, self)?;
            self.stage(late, None)?;
        }
        Ok(())
    }

    fn work(&self, id: EventId) -> Result<LateWork, TrayError> {
        let all = self.state.late_work(self.now);
        let found = all.into_iter().find(|work| work.id == id);
        found.ok_or(TrayError::Unknown(id))
    }

    /// Returns the memory as it stands and as it would be with late work merged in.
    pub fn merge_late(&self, id: EventId) -> Result<Merged, TrayError> {
        let work = self.work(id)?;
        self.live_facts(work.memory)?;
        let unusable = |error: &dyn std::fmt::Display| TrayError::Unusable(error.to_string());
        let known = self.document(work.memory).map_err(|e| unusable(&e))?;
        let mut copy = known.document.clone();
        for id in &work.events {
            let event = self.in_tray(*id)?.ok_or(TrayError::Unknown(*id))?;
            let header = event.header();
            let body = self
                .open(work.memory, event.event())
                .map_err(|e| unusable(&e))?;
            copy.admit(header.author, header.incarnation.0, &body)
                .map_err(|e| unusable(&e))?;
        }
        let merged = self.contained(work.memory, || {
            Ok(Merged {
                now: known.document.content(),
                then: copy.content(),
            })
        });
        merged.map_err(|e| unusable(&e))
    }

    /// Writes late work as a change of the owner's own, merged with what happened since, and
    /// takes it out of the tray; returns the memory, and whether anything was new.
    pub fn salvage(&mut self, id: EventId) -> Result<(MemoryId, bool), TrayError> {
        let work = self.work(id)?;
        let merged = self.merge_late(id)?;
        let edit = MemoryEdit {
            content: difference(&merged.now, &merged.then),
            ..MemoryEdit::default()
        };
        let outcome = self.edit(work.memory, &edit)?;
        self.drop_late(id)?;
        Ok((work.memory, outcome.changed))
    }

    /// Takes late work out of the tray; nothing of it stays here.
    pub fn drop_late(&mut self, id: EventId) -> Result<MemoryId, TrayError> {
        let work = self.work(id)?;
        for event in work.events {
            self.leave_tray(event);
        }
        Ok(work.memory)
    }
}

/// Returns the edit that makes one content the other.
fn difference(now: &Content, then: &Content) -> Edit {
    let changed = |is: bool| is.then_some(());
    let hashes = |content: &Content| -> std::collections::BTreeSet<_> {
        let files = content.attachments.iter();
        files.map(|file| file.hash).collect()
    };
    let (before, after) = (hashes(now), hashes(then));
    let new_files = then.attachments.iter();
    Edit {
        title: changed(now.title != then.title).map(|()| then.title.clone()),
        body: changed(now.body != then.body).map(|()| BodyEdit::Replace(then.body.clone())),
        add_tags: then.tags.difference(&now.tags).cloned().collect(),
        remove_tags: now.tags.difference(&then.tags).cloned().collect(),
        add_links: then.links.difference(&now.links).cloned().collect(),
        remove_links: now.links.difference(&then.links).cloned().collect(),
        add_attachments: new_files
            .filter(|file| !before.contains(&file.hash))
            .cloned()
            .collect(),
        remove_attachments: before.difference(&after).copied().collect(),
        status: changed(now.status != then.status).map(|()| then.status),
        kind: changed(now.kind != then.kind).map(|()| then.kind),
        source: changed(now.source != then.source).map(|()| match &then.source {
            Some(source) => SourceEdit::Set(source.clone()),
            None => SourceEdit::Clear,
        }),
    }
}
