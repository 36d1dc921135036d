//! The index of a document's changes that the gate and the editor ask: who wrote what, up to where.
//!
//! It is derived from Automerge when a document is restored and grows with each change; it is
//! never stored. It does not hold operations.
//!
//! Invariant: an entry's parents are in the index, and `last` names the newest change of each
//! actor, so one number of one actor stands for one change.

use super::document::{ActorId, ChangeHash};
use automerge::{Automerge, ChangeMetadata};
use std::collections::{BTreeMap, BTreeSet};

/// What is kept of one change.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) actor: ActorId,
    pub(super) seq: u64,
    pub(super) max_op: u64,
    pub(super) deps: Vec<ChangeHash>,
    /// The change of the same actor before this one.
    pub(super) previous: Option<ChangeHash>,
}

/// The changes of one document.
#[derive(Debug, Clone, Default)]
pub(super) struct History {
    entries: BTreeMap<ChangeHash, Entry>,
    last: BTreeMap<ActorId, (u64, ChangeHash)>,
}

impl History {
    /// Reads the index out of a document of our own; `None` if an actor is not 16 bytes.
    pub(super) fn of(automerge: &Automerge) -> Option<Self> {
        let mut history = Self::default();
        for meta in automerge.get_changes_meta(&[]) {
            history.push(&meta)?;
        }
        Some(history)
    }

    fn push(&mut self, meta: &ChangeMetadata<'_>) -> Option<()> {
        let actor = ActorId::try_from(meta.actor.to_bytes()).ok()?;
        self.insert(
            ChangeHash(meta.hash.0),
            Entry {
                actor,
                seq: meta.seq,
                max_op: meta.max_op,
                deps: meta.deps.iter().map(|dep| ChangeHash(dep.0)).collect(),
                previous: self.last(&actor).map(|(_, hash)| hash),
            },
        );
        Some(())
    }

    /// Adds a change whose parents are in the index.
    pub(super) fn insert(&mut self, hash: ChangeHash, entry: Entry) {
        self.last.insert(entry.actor, (entry.seq, hash));
        self.entries.insert(hash, entry);
    }

    /// Takes back the newest change of its actor.
    pub(super) fn remove(&mut self, hash: ChangeHash) {
        let Some(entry) = self.entries.remove(&hash) else {
            return;
        };
        match entry.previous {
            Some(previous) => self
                .last
                .insert(entry.actor, (entry.seq.saturating_sub(1), previous)),
            None => self.last.remove(&entry.actor),
        };
    }

    /// Returns one change.
    pub(super) fn get(&self, hash: &ChangeHash) -> Option<&Entry> {
        self.entries.get(hash)
    }

    /// Returns the number and hash of an actor's newest change.
    pub(super) fn last(&self, actor: &ActorId) -> Option<(u64, ChangeHash)> {
        self.last.get(actor).copied()
    }

    /// Returns whether the actor has written here.
    pub(super) fn knows(&self, actor: &ActorId) -> bool {
        self.last.contains_key(actor)
    }

    /// Returns the number of actors.
    pub(super) fn actors(&self) -> usize {
        self.last.len()
    }

    /// Returns the number of changes.
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Returns whether `target` is one of `heads` or an ancestor of one.
    ///
    /// Counters grow along every path, so nothing at or below the target's is worth a look.
    pub(super) fn covers(&self, heads: &[ChangeHash], target: ChangeHash) -> bool {
        let Some(floor) = self.get(&target).map(|entry| entry.max_op) else {
            return false;
        };
        let mut seen = BTreeSet::new();
        let mut open = heads.to_vec();
        while let Some(hash) = open.pop() {
            if hash == target {
                return true;
            }
            if let Some(entry) = self.get(&hash).filter(|entry| entry.max_op > floor)
                && seen.insert(hash)
            {
                open.extend_from_slice(&entry.deps);
            }
        }
        false
    }
}
