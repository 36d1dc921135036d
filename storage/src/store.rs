//! The store: the one public door to everything a node keeps.
//!
//! ```text
//! write  Store::transact -> Tx (admit, seal, project) -> one durable commit -> text index
//! read   Store::read (state in memory), Store::content, Store::event, Store::search
//! ```
//!
//! The event log is the truth. Facts, contents and documents are projections that are written in
//! the same commit; the text index follows before the call returns, vectors follow when the node
//! has embedded the text. Deleting all projections and rebuilding them gives the same answers.
//!
//! Invariant: what [`Store::transact`] returned from is durable; what it failed on left no trace.

pub mod generations;
mod ledger;
pub(crate) mod open;
mod opened;
pub mod own;
pub mod past;
pub mod preview;
pub mod query;
mod rebuild;
mod related;
mod rescreen;
pub mod scrub;
mod selections;
pub mod state;
mod witness;
mod writers;

pub use writers::WriteLoad;

use crate::cipher::MasterKey;
use crate::content;
use crate::entropy::Entropy;
use crate::kv::sealed::OpaqueKey;
use crate::kv::{Batch, Durability, Health, Keyspace, Kv, KvError};
use crate::layout::{self, ordered};
use crate::projection::text::{TextDoc, TextError, TextIndex};
use crate::projection::vectors::VectorError;
use crate::records::Facts;
use crate::screen::Guard;
use crate::slots::{Slot, SlotSet};
use crate::tx::Tx;
use crdt::codec::DecodeError;
use crdt::event::{Event, Signed};
use crdt::id::{EventId, MemoryId};
use crdt::identity::{DeviceCertificate, DeviceKey, PersonKey};
use crdt::memory::Content;
use crdt::selector::Selector;
use crdt::time::Timestamp;
use generations::Generations;
use state::State;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard, TryLockError};
use thiserror::Error;

/// The reason why the store did not do something.
#[derive(Debug, Error)]
pub enum StoreError {
    /// The engine failed.
    #[error(transparent)]
    Kv(#[from] KvError),
    /// A row does not read.
    #[error("a row of {keyspace} does not read: {source}")]
    Row {
        /// The keyspace.
        keyspace: &'static str,
        /// What is wrong.
        source: DecodeError,
    },
    /// The text index failed.
    #[error(transparent)]
    Text(#[from] TextError),
    /// A vector cannot be kept.
    #[error(transparent)]
    Vector(#[from] VectorError),
    /// A newer program wrote the store.
    #[error("the store has format {0}; this program reads up to {FORMAT}", FORMAT = layout::FORMAT_VERSION)]
    Newer(u8),
    /// The log does not replay.
    #[error("log entry {0} does not replay: {1}")]
    Replay(u64, String),
}

/// Whose store it is and which device writes in it.
#[derive(Debug)]
pub struct Owner {
    /// The device's certificate, which names the person.
    pub certificate: DeviceCertificate,
    /// The device's keys.
    pub device: DeviceKey,
    /// The root key of the person, on the devices that keep it.
    pub root: Option<PersonKey>,
}

/// What a store is made of.
#[derive(Debug)]
pub struct Parts<'a> {
    /// The rows, sealed.
    pub kv: Arc<dyn Kv>,
    /// The master key of the data folder: names of rows and files of the text index depend on it.
    pub master: &'a MasterKey,
    /// Whose store it is.
    pub owner: Owner,
    /// What judges what may leave.
    pub guard: Arc<dyn Guard>,
    /// The folder of the text index.
    pub text: &'a Path,
    /// The embedding model and its number of dimensions.
    pub model: (&'a str, usize),
    /// Where keys, nonces and names of writers are drawn from. Files of the text index, which are
    /// written by threads that keep no order, draw from the system.
    pub entropy: Entropy,
}

/// Everything a node keeps.
#[derive(Debug)]
pub struct Store {
    kv: Arc<dyn Kv>,
    opaque: OpaqueKey,
    owner: Owner,
    entropy: Entropy,
    state: RwLock<State>,
    text: TextIndex,
    generations: Generations,
    selections: selections::Selections,
    opened: opened::Opened,
    writers: writers::Writers,
    /// Whether a commit failed since the rows were last read: it may turn out to be there.
    is_suspect: AtomicBool,
}

impl Store {
    /// Opens the store of a person and brings its projections up to date.
    pub fn open(parts: Parts<'_>, now: Timestamp) -> Result<Self, StoreError> {
        open::open(parts, now)
    }

    /// Runs `f` on the state as of the last commit.
    pub fn read<T>(&self, f: impl FnOnce(&State) -> T) -> T {
        f(&self.lock_state())
    }

    /// Tells whether a reader would wait: somebody writes, which ends on the disk, or the text index
    /// has yet to take in what was written.
    pub fn is_busy(&self) -> bool {
        matches!(self.state.try_read(), Err(TryLockError::WouldBlock)) || self.text.is_behind()
    }

    /// Returns the slots of the memories that are shown and that a selector without texts takes in.
    pub fn selected(&self, selector: &Selector, now: Timestamp) -> Arc<SlotSet> {
        self.selections.of(&self.lock_state(), selector, now)
    }

    fn lock_state(&self) -> RwLockReadGuard<'_, State> {
        // A panicking transaction restores the state while it unwinds, so the state is whole.
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs `f` as one transaction: all of it is durable when this returns, or none of it is.
    pub fn transact<T, E: From<StoreError>>(
        &self,
        now: Timestamp,
        f: impl FnOnce(&mut Tx<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        self.run(now, Durability::Durable, f)
    }

    /// Runs `f` as one transaction that may be lost, whole, with those after it until one is
    /// durable: for what nobody is told and the next session brings again.
    ///
    /// What appends to the log is durable all the same: the text index must not be ahead of it.
    pub fn jot<T, E: From<StoreError>>(
        &self,
        now: Timestamp,
        f: impl FnOnce(&mut Tx<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        self.run(now, Durability::Relaxed, f)
    }

    /// Reads the rows again if a commit failed: once the engine is open again, what was not
    /// acknowledged may be there, whole, and the state in memory has to say so.
    fn look_again(&self, now: Timestamp) -> Result<(), StoreError> {
        if !self.is_suspect.load(Ordering::Acquire) {
            return Ok(());
        }
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        // The engine opens itself anew at a commit, or says that it still cannot.
        self.kv.commit(Batch::new(), Durability::Durable)?;
        if !open::check_format(&*self.kv)? {
            drop(state);
            self.is_suspect.store(false, Ordering::Release);
            self.rebuild(now)?;
            return Ok(());
        }
        let changes = state.changes.restarted();
        *state = open::load(self, state.incarnation, Arc::clone(&state.guard))?;
        state.changes = changes;
        self.is_suspect.store(false, Ordering::Release);
        open::catch_up_text(self, &RwLockWriteGuard::downgrade(state))
    }

    /// Tells the text index of memories that changed, with their content where it is at hand.
    fn index_touched(
        &self,
        touched: BTreeMap<MemoryId, Option<Content>>,
        state: &State,
        cursor: u64,
    ) -> Result<(), StoreError> {
        let mut upserts = Vec::new();
        let mut deletes = Vec::new();
        for (memory, content) in touched {
            self.opened.forget(memory);
            let Some(facts) = state.memories.get(&memory) else {
                continue;
            };
            let slot = Slot(facts.slot);
            let content = match content {
                None if state::is_listed(facts) => self.content(memory)?,
                content => content,
            };
            match content.filter(|_| state::is_listed(facts)) {
                Some(content) => {
                    upserts.push(TextDoc {
                        slot,
                        title: content.title.clone(),
                        body: content.body.clone(),
                        tags: content.tags.iter().cloned().collect(),
                    });
                    // Vectors are made of it next.
                    if facts.is_unedited() {
                        self.opened.put(memory, &Arc::new(content));
                    }
                }
                None => deletes.push(slot),
            }
        }
        self.text.apply(&upserts, &deletes, cursor)?;
        // What is gone is not found by meaning either, not even until the indexer comes by.
        if !deletes.is_empty() {
            self.generations.remove(&deletes);
        }
        Ok(())
    }

    /// Returns the content of a memory as it stands; none if it is unknown or purged.
    pub fn content(&self, memory: MemoryId) -> Result<Option<Content>, StoreError> {
        match self.place_of_unedited(memory) {
            Some(number) => content::of_root(self, memory, number),
            None => content::content(self, memory),
        }
    }

    /// Returns the contents of memories as [`Store::content`] does, in the order asked; those that
    /// nobody edited are kept for those who ask again.
    pub fn contents(&self, memories: &[MemoryId]) -> Result<Vec<Option<Arc<Content>>>, StoreError> {
        let mut contents = vec![None; memories.len()];
        let (mut places, mut roots) = (Vec::new(), Vec::new());
        for (place, memory) in memories.iter().enumerate() {
            let Some(number) = self.place_of_unedited(*memory) else {
                contents[place] = content::content(self, *memory)?.map(Arc::new);
                continue;
            };
            contents[place] = self.opened.of(*memory);
            if contents[place].is_none() {
                places.push(place);
                roots.push((*memory, number));
            }
        }
        for ((place, (memory, _)), content) in places
            .into_iter()
            .zip(&roots)
            .zip(content::of_roots(self, &roots)?)
        {
            contents[place] = content.map(Arc::new);
            if let Some(content) = &contents[place] {
                self.keep_opened(*memory, content);
            }
        }
        Ok(contents)
    }

    /// Returns the content of a memory as [`Store::content`] does, or what is kept of it.
    fn content_of(&self, facts: &Facts) -> Result<Option<Arc<Content>>, StoreError> {
        let kept = self.opened.of(facts.id).filter(|_| facts.is_unedited());
        match kept {
            None => Ok(self.content(facts.id)?.map(Arc::new)),
            kept => Ok(kept),
        }
    }

    /// Keeps what the root of a memory says while that counts: who changes it waits for the state and
    /// lets go of it then.
    fn keep_opened(&self, memory: MemoryId, content: &Arc<Content>) {
        let Ok(state) = self.state.try_read() else {
            return;
        };
        let facts = state.memories.get(&memory);
        if facts.is_some_and(|facts| facts.is_unedited()) {
            self.opened.put(memory, content);
        }
    }

    /// Returns the place in the log of the root of a memory that nobody edited.
    fn place_of_unedited(&self, memory: MemoryId) -> Option<u64> {
        // The state is not waited for: the caller may hold it.
        let state = self.state.try_read().ok()?;
        let facts = state.memories.get(&memory)?;
        facts.is_unedited().then_some(facts.slot)
    }

    /// Returns an event of the log.
    pub fn event(&self, id: EventId) -> Result<Option<Signed<Event>>, StoreError> {
        let key = self.opaque.opaque(id.as_bytes());
        let Some(place) = self.kv.get(layout::EVENT, &key)? else {
            return Ok(None);
        };
        let number = layout::number_of(&place).unwrap_or_default();
        self.event_at(number)
    }

    /// Returns the event at a place of the log, from 1.
    pub fn event_at(&self, number: u64) -> Result<Option<Signed<Event>>, StoreError> {
        let Some(bytes) = self.kv.get(layout::LOG, &ordered(number))? else {
            return Ok(None);
        };
        Signed::from_bytes(&bytes)
            .map(Some)
            .map_err(|source| StoreError::Row {
                keyspace: layout::LOG.0,
                source,
            })
    }

    /// Returns the memory that the event at a place of the log is about.
    fn subject_of(&self, state: &State, number: u64) -> Result<Option<MemoryId>, StoreError> {
        match state.slots.get(&number) {
            Some(memory) => Ok(Some(*memory)),
            None => Ok(self.event_at(number)?.and_then(|event| event.memory())),
        }
    }

    /// Returns whose store it is.
    pub fn owner(&self) -> &Owner {
        &self.owner
    }
    /// Tells whether the engine takes writes.
    pub fn health(&self) -> Health {
        self.kv.health()
    }
    /// Makes the text index durable up to the last commit.
    pub fn flush(&self) -> Result<(), StoreError> {
        Ok(self.text.flush()?)
    }
    /// Makes searches faster while nobody writes; returns whether there was anything to do. It is
    /// given up once `is_enough` says so.
    pub fn condense(&self, is_enough: &dyn Fn() -> bool) -> Result<bool, StoreError> {
        Ok(self.text.condense(is_enough)?)
    }
    /// Flushes and closes everything.
    pub fn close(&self) -> Result<(), StoreError> {
        self.text.flush()?;
        Ok(self.kv.close()?)
    }
}

impl content::Rows for Store {
    fn row(&self, keyspace: Keyspace, key: &[u8]) -> Result<Option<Vec<u8>>, KvError> {
        self.kv.get(keyspace, key)
    }
    fn rows(&self, keyspace: Keyspace, keys: &[Vec<u8>]) -> Result<Vec<Option<Vec<u8>>>, KvError> {
        self.kv.get_many(keyspace, keys)
    }
    fn names(&self) -> &OpaqueKey {
        &self.opaque
    }
}

pub(crate) fn decode<T: crdt::codec::Canonical>(
    keyspace: &'static str,
    bytes: &[u8],
) -> Result<T, StoreError> {
    T::from_bytes(bytes).map_err(|source| StoreError::Row { keyspace, source })
}

#[cfg(test)]
mod tests;
