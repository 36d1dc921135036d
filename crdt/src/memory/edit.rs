//! Edits of our own: from "what should be different" to a change for an event.
//!
//! An edit names what it changes and, if it was made against an older state, the heads of that
//! state (its *base*). It is written on a fork at the base and merged, so what others, or another
//! window of the same device, did meanwhile stays.
//!
//! Flow: check the writer's number, find the parents, write on a copy, put the result through
//! stage 1 of the gate, merge, and only then replace the document.
//!
//! Invariant: a writer's changes form one chain, and every change made here passes the gate of a
//! peer that holds the same document. A failed edit leaves the document as it was.

mod apply;

use super::content::ContentError;
use super::document::{self, ActorId, ChangeHash, Document};
use super::gate::{self, Refusal};
use super::limits::DEPENDENCIES_MAX;
use super::{Attachment, Link, MemoryKind, Status};
use crate::hash::Hash;
use crate::id::DeviceId;
use automerge::transaction::CommitOptions;
use automerge::{Automerge, AutomergeError};
use std::collections::BTreeSet;
use thiserror::Error;

/// The device that writes, and where its chain stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Writer {
    /// The device.
    pub device: DeviceId,
    /// Drawn at random when a device starts a chain; a restored backup draws a new one.
    pub incarnation: [u8; 16],
    /// The sequence number of its newest change of this memory, 0 before the first.
    pub last_seq: u64,
}

/// What should be different; empty fields leave things as they are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Edit {
    /// The new title; only the words that differ are replaced.
    pub title: Option<String>,
    /// What happens to the text.
    pub body: Option<BodyEdit>,
    /// Tags to add.
    pub add_tags: BTreeSet<String>,
    /// Tags to remove.
    pub remove_tags: BTreeSet<String>,
    /// Links to add.
    pub add_links: BTreeSet<Link>,
    /// Links to remove.
    pub remove_links: BTreeSet<Link>,
    /// Attachments to add at the end.
    pub add_attachments: Vec<Attachment>,
    /// Hashes of attachments to remove.
    pub remove_attachments: BTreeSet<Hash>,
    /// Puts the memory aside or brings it back.
    pub status: Option<Status>,
    /// The new kind.
    pub kind: Option<MemoryKind>,
    /// What happens to the source.
    pub source: Option<SourceEdit>,
}

/// A change of the text of a memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BodyEdit {
    /// The whole new text; only the words that differ are replaced.
    Replace(String),
    /// Replaces characters at a place.
    Splice {
        /// The place, in characters from the start.
        at: usize,
        /// The number of characters to delete.
        delete: usize,
        /// The text to insert.
        insert: String,
    },
}

/// A change of the source of a memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SourceEdit {
    /// Sets it.
    Set(String),
    /// Removes it.
    Clear,
}

/// One step in the history of a document, as it goes into an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The incarnation of the device that wrote it.
    pub incarnation: [u8; 16],
    /// The uncompressed chunk.
    pub bytes: Vec<u8>,
    /// The hash of the chunk.
    pub hash: ChangeHash,
    /// The changes that it builds on, ascending.
    pub deps: Vec<ChangeHash>,
    /// Its number in the chain of its writer, from 1.
    pub seq: u64,
    /// The counter of its first operation.
    pub start_op: u64,
    /// The counter of its last operation.
    pub max_op: u64,
}

/// The reason why an edit was not made.
#[derive(Debug, Error)]
pub enum EditError {
    /// The writer's number is not the document's: one of the two misses changes, and writing on
    /// would give one number to two changes.
    #[error("the writer is at {claimed}, the document at {known}")]
    OutOfStep {
        /// The number in the document.
        known: u64,
        /// The number of the writer.
        claimed: u64,
    },
    /// The base names a change that is not in the document.
    #[error("the base {0:?} is not in this document")]
    UnknownBase(ChangeHash),
    /// The base names nothing.
    #[error("the base is empty")]
    NoBase,
    /// The place of a splice is not in the text.
    #[error("characters {at} to {end} are not in the text of {length}")]
    OutOfRange {
        /// The first character.
        at: usize,
        /// The character after the last.
        end: usize,
        /// The length of the text.
        length: usize,
    },
    /// The result would be over a limit.
    #[error(transparent)]
    Content(#[from] ContentError),
    /// The edit is more than one change can carry.
    #[error("one change cannot carry the edit: {0}")]
    TooLarge(#[source] Refusal),
    /// Automerge refused.
    #[error("automerge refused the edit: {0}")]
    Automerge(String),
    /// Automerge panicked; the document is as it was.
    #[error("automerge panicked over the edit")]
    Panicked,
}

impl From<AutomergeError> for EditError {
    fn from(error: AutomergeError) -> Self {
        Self::Automerge(error.to_string())
    }
}

impl Document {
    /// Makes an edit; `None` if it changes nothing.
    ///
    /// `base` is what the editor saw; without it, the edit is against the present.
    pub fn edit(
        &mut self,
        writer: &Writer,
        base: Option<&[ChangeHash]>,
        edit: &Edit,
    ) -> Result<Option<Change>, EditError> {
        let actor = document::actor(writer.device, self.memory, &writer.incarnation);
        let last = self.history.last(&actor);
        let known = last.map_or(0, |(seq, _)| seq);
        if known != writer.last_seq {
            let claimed = writer.last_seq;
            return Err(EditError::OutOfStep { known, claimed });
        }
        let base = self.base(base)?;
        let parents = self.parents(&base, last.map(|(_, hash)| hash));
        let written = Self::guarded(|| self.write(actor, &base, &parents, edit))
            .unwrap_or(Err(EditError::Panicked))?;
        let Some((bytes, merged)) = written else {
            return Ok(None);
        };
        let examined = gate::examine(self, writer.device, writer.incarnation, &bytes)
            .map_err(EditError::TooLarge)?;
        self.automerge = merged;
        self.history.insert(examined.change.hash, examined.entry);
        Ok(Some(examined.change))
    }

    fn base(&self, base: Option<&[ChangeHash]>) -> Result<Vec<ChangeHash>, EditError> {
        let Some(base) = base else {
            return Ok(self.heads());
        };
        if let Some(unknown) = base.iter().find(|hash| !self.contains(hash)) {
            return Err(EditError::UnknownBase(*unknown));
        }
        let sorted: BTreeSet<_> = base.iter().copied().collect();
        if sorted.is_empty() {
            return Err(EditError::NoBase);
        }
        Ok(sorted.into_iter().collect())
    }

    /// Returns what to build on: the base, and always the writer's own newest change.
    fn parents(&self, base: &[ChangeHash], last: Option<ChangeHash>) -> Vec<ChangeHash> {
        let mut parents = base.to_vec();
        if let Some(last) = last.filter(|last| !self.history.covers(base, *last)) {
            parents.insert(0, last);
        } else if let Some(last) = last.filter(|_| parents.len() > DEPENDENCIES_MAX) {
            parents.insert(0, last);
        }
        // With more heads than a change may name, each edit joins as many as it can.
        parents.truncate(DEPENDENCIES_MAX);
        parents.sort_unstable();
        parents.dedup();
        parents
    }

    /// Returns the chunk of the change, and the document with it.
    fn write(
        &self,
        actor: ActorId,
        base: &[ChangeHash],
        parents: &[ChangeHash],
        edit: &Edit,
    ) -> Result<Option<(Vec<u8>, Automerge)>, EditError> {
        let present = parents == self.heads();
        let mut fork = if present {
            self.automerge.clone()
        } else {
            self.automerge.fork_at(&foreign(parents))?
        };
        fork.set_actor(automerge::ActorId::from(actor));
        let seen = apply::Seen {
            present: &self.automerge,
            base: (base != parents).then(|| foreign(base)),
        };
        let mut transaction = fork.transaction();
        apply::apply(&mut transaction, &seen, edit)?;
        transaction.commit_with(CommitOptions::default().with_time(0));
        let before = self.history.last(&actor).map_or(0, |(seq, _)| seq);
        let Some(change) = fork.get_last_local_change().filter(|it| it.seq() > before) else {
            return Ok(None);
        };
        let bytes = change.raw_bytes().to_vec();
        if present {
            return Ok(Some((bytes, fork)));
        }
        let mut merged = self.automerge.clone();
        merged.apply_changes([change])?;
        Ok(Some((bytes, merged)))
    }
}

/// Returns the hashes in Automerge's type.
pub(super) fn foreign(hashes: &[ChangeHash]) -> Vec<automerge::ChangeHash> {
    hashes
        .iter()
        .map(|hash| automerge::ChangeHash(hash.0))
        .collect()
}
