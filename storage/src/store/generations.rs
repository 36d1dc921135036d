//! Generations: all vectors that one model made, and how far they are behind the log.
//!
//! Not the models and not the scan: the caller embeds, [`VectorIndex`] compares. There are two at
//! most. The built-in model's generation is always kept up; the model of a person's choice makes
//! a second one behind it, which may take hours and may stand still while its model is away.
//!
//! ```text
//! choose(name)  its rows are loaded, or dropped if another model made them
//! agree(probe)  the model embeds one known text; another vector than before: begin anew
//! due -> (the caller embeds) -> put_vectors(span): rows and cursor in one commit
//! ```
//!
//! Invariants: a generation holds vectors of one model only; [`Store::put_vectors`] takes nothing
//! that was made for a cursor which has moved since, and nothing for a memory that is gone, so that
//! a slow model brings back neither a purged text nor a state before a rebuild; vectors are found
//! before the cursor, or the mark of being complete, says that they are.

use super::state::{State, is_listed};
use super::{Store, StoreError};
use crate::kv::{Batch, Durability, Keyspace};
use crate::layout::{self, meta, number_of, ordered};
use crate::projection::vectors::{DIMENSIONS_MAX, SlotVectors, VectorError, VectorIndex};
use crate::slots::Slot;
use crdt::id::MemoryId;
use crdt::memory::Content;
use std::collections::BTreeSet;
use std::sync::{Arc, PoisonError, RwLock};

/// The least cosine between two vectors of one text by one model: processors and batches round
/// differently, other models are far off.
const PROBE_COSINE_MIN: f32 = 0.99;

/// Which model's vectors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Generation {
    /// Those of the model in the binary.
    BuiltIn,
    /// Those of the model that the person chose.
    Chosen,
}

impl Generation {
    pub(super) fn rows(self) -> Keyspace {
        match self {
            Self::BuiltIn => layout::VECTOR,
            Self::Chosen => layout::CHOSEN,
        }
    }

    /// What a crash may cost: the built-in model makes its vectors again in no time, another one
    /// may have worked on them for hours.
    fn care(self) -> Durability {
        match self {
            Self::BuiltIn => Durability::Relaxed,
            Self::Chosen => Durability::Durable,
        }
    }

    fn cursor(self) -> &'static [u8] {
        match self {
            Self::BuiltIn => meta::VECTOR_CURSOR,
            Self::Chosen => meta::CHOSEN_CURSOR,
        }
    }
}

/// The vectors of both generations in memory; an index of no dimensions where there is none.
#[derive(Debug)]
pub(crate) struct Generations {
    built_in: RwLock<VectorIndex>,
    chosen: RwLock<VectorIndex>,
}

impl Generations {
    pub(super) fn new(dimensions: usize) -> Self {
        Self {
            built_in: RwLock::new(VectorIndex::new(dimensions)),
            chosen: RwLock::new(VectorIndex::new(0)),
        }
    }

    fn of(&self, generation: Generation) -> &RwLock<VectorIndex> {
        match generation {
            Generation::BuiltIn => &self.built_in,
            Generation::Chosen => &self.chosen,
        }
    }

    /// Runs `f` on the vectors of a generation.
    pub(super) fn read<T>(&self, generation: Generation, f: impl FnOnce(&VectorIndex) -> T) -> T {
        let index = self.of(generation).read();
        f(&index.unwrap_or_else(PoisonError::into_inner))
    }

    fn write<T>(&self, generation: Generation, f: impl FnOnce(&mut VectorIndex) -> T) -> T {
        let index = self.of(generation).write();
        f(&mut index.unwrap_or_else(PoisonError::into_inner))
    }

    /// Forgets memories in all generations.
    pub(super) fn remove(&self, slots: &[Slot]) {
        for generation in [Generation::BuiltIn, Generation::Chosen] {
            self.write(generation, |index| {
                for slot in slots {
                    index.remove(*slot);
                }
            });
        }
    }

    /// Forgets everything.
    pub(super) fn clear(&self) {
        for generation in [Generation::BuiltIn, Generation::Chosen] {
            self.write(generation, VectorIndex::clear);
        }
    }
}

/// A memory whose vectors are to be made.
#[derive(Debug, Clone)]
pub struct ToEmbed {
    /// The memory.
    pub memory: MemoryId,
    /// What it says; nothing if it is not to be found any more.
    pub content: Option<Arc<Content>>,
    /// Whether it may go to a model that is not on this device.
    pub may_leave: bool,
}

/// A stretch of the log: the cursor as it was, and as it will be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// The last entry whose memory had its vectors.
    pub from: u64,
    /// The last entry of this stretch.
    pub until: u64,
}

/// A memory and the vectors of its pieces; none takes it out.
pub type Embedded = (MemoryId, Vec<Vec<f32>>);

impl Store {
    /// Returns the model whose vectors are kept as those of the person's choice.
    pub fn chosen_model(&self) -> Result<Option<String>, StoreError> {
        let known = self.kv.get(layout::META, meta::CHOSEN_MODEL)?;
        Ok(known.map(|name| String::from_utf8_lossy(&name).into_owned()))
    }

    /// Names the model that the person chose, or none; vectors of another are dropped.
    pub fn choose(&self, model: Option<&str>) -> Result<(), StoreError> {
        let known = self.kv.get(layout::META, meta::CHOSEN_MODEL)?;
        if known.is_none() && model.is_none() {
            return Ok(());
        }
        let Some(model) = model.filter(|model| known.as_deref() == Some(model.as_bytes())) else {
            // Vectors tell of the texts they were made of: none are kept that nothing needs.
            let mut batch = Batch::new();
            begin_anew(&mut batch);
            batch.delete(layout::META, meta::CHOSEN_PROBE);
            match model {
                Some(model) => batch.put(layout::META, meta::CHOSEN_MODEL, model.as_bytes()),
                None => batch.delete(layout::META, meta::CHOSEN_MODEL),
            }
            self.generations
                .write(Generation::Chosen, |index| *index = VectorIndex::new(0));
            return Ok(self.kv.commit(batch, Durability::Durable)?);
        };
        tracing::debug!(model, "the chosen model's vectors are read");
        let Some(probe) = self.probe()? else {
            return Ok(());
        };
        self.generations.write(Generation::Chosen, |index| {
            *index = VectorIndex::new(probe.len());
        });
        self.load_vectors(Generation::Chosen, probe.len())
    }

    /// Drops the vectors of the built-in model, for a node that searches by words only.
    pub fn drop_built_in(&self) -> Result<(), StoreError> {
        let mut batch = Batch::new();
        batch.delete_all(layout::VECTOR);
        batch.put(layout::META, meta::VECTOR_CURSOR, ordered(0).to_vec());
        self.generations
            .write(Generation::BuiltIn, VectorIndex::clear);
        Ok(self.kv.commit(batch, Durability::Durable)?)
    }

    /// Reads a generation's rows into memory.
    pub(super) fn load_vectors(
        &self,
        generation: Generation,
        dimensions: usize,
    ) -> Result<(), StoreError> {
        self.generations.write(generation, |index| {
            super::open::each_row(&*self.kv, generation.rows(), None, &mut |key, value| {
                let slot = Slot(number_of(key).unwrap_or_default());
                if let Ok(stored) = SlotVectors::decode(dimensions, value)
                    && let Err(error) = index.put_stored(slot, &stored)
                {
                    tracing::warn!(%error, "a stored vector was left out");
                }
                Ok(true)
            })
        })
    }

    /// Returns the chosen model's vector of the probe, once it has said it.
    fn probe(&self) -> Result<Option<Vec<f32>>, StoreError> {
        let row = self.kv.get(layout::META, meta::CHOSEN_PROBE)?;
        Ok(row.map(|row| {
            let numbers = row.as_chunks().0.iter();
            numbers.map(|number| f32::from_le_bytes(*number)).collect()
        }))
    }

    /// Tells whether a vector of the probe is the one that the chosen generation began with.
    pub fn is_agreed(&self, probe: &[f32]) -> Result<bool, StoreError> {
        Ok(self.probe()?.is_some_and(|known| is_same(&known, probe)))
    }

    /// Begins the chosen generation anew if this vector of the probe is another than it began
    /// with: the name of the model is the same, the model is not. Returns whether it goes on.
    pub fn agree(&self, probe: &[f32]) -> Result<bool, StoreError> {
        if self.is_agreed(probe)? {
            return Ok(true);
        }
        let is_usable = (1..=DIMENSIONS_MAX).contains(&probe.len())
            && probe.iter().all(|part| part.is_finite());
        if !is_usable {
            return Err(VectorError::NotFinite.into());
        }
        let mut batch = Batch::new();
        begin_anew(&mut batch);
        let row = probe.iter().flat_map(|part| part.to_le_bytes());
        batch.put(layout::META, meta::CHOSEN_PROBE, row.collect::<Vec<u8>>());
        // Under the lock of the state, as each change of a cursor.
        self.read(|_| {
            self.kv.commit(batch, Durability::Durable)?;
            let begun = VectorIndex::new(probe.len());
            self.generations
                .write(Generation::Chosen, |index| *index = begun);
            Ok(false)
        })
    }

    /// Returns the last log entry whose memory has its vectors.
    pub fn vector_cursor(&self, generation: Generation) -> Result<u64, StoreError> {
        let cursor = self.kv.get(layout::META, generation.cursor())?;
        Ok(cursor.as_deref().and_then(number_of).unwrap_or_default())
    }

    /// Tells whether the chosen generation has been complete since it began.
    pub fn is_complete(&self) -> Result<bool, StoreError> {
        Ok(self.kv.get(layout::META, meta::CHOSEN_COMPLETE)?.is_some())
    }

    /// Returns memories that changed since vectors were last made, and the stretch of the log.
    pub fn due(
        &self,
        generation: Generation,
        entries_max: u64,
    ) -> Result<(Vec<ToEmbed>, Span), StoreError> {
        let from = self.vector_cursor(generation)?;
        let head = self.read(|state| state.head);
        let until = head.min(from.saturating_add(entries_max));
        let mut known = BTreeSet::new();
        let mut found = Vec::new();
        // In the order of the log: rows that are added at the end of a keyspace fill its pages.
        for number in from + 1..=until {
            let memory = self.read(|state| self.subject_of(state, number))?;
            let Some(memory) = memory.filter(|memory| known.insert(*memory)) else {
                continue;
            };
            // Text and verdict as of one moment: a text is not sent under the verdict of another.
            found.push(self.read(|state| self.to_embed(state, memory))?);
        }
        Ok((found, Span { from, until }))
    }

    fn to_embed(&self, state: &State, memory: MemoryId) -> Result<ToEmbed, StoreError> {
        let facts = state.memories.get(&memory);
        let content = match facts.filter(|facts| is_listed(facts)) {
            Some(facts) => self.content_of(facts)?,
            None => None,
        };
        Ok(ToEmbed {
            memory,
            content,
            may_leave: may_leave(state, memory),
        })
    }

    /// Tells whether a memory may go to a model that is not on this device.
    pub fn may_leave(&self, memory: MemoryId) -> bool {
        self.read(|state| may_leave(state, memory))
    }

    /// Stores vectors and moves the cursor; an empty list takes a memory out. Does nothing, and
    /// says so, if the cursor is not where the span begins any more.
    pub fn put_vectors(
        &self,
        generation: Generation,
        vectors: &[Embedded],
        span: Span,
    ) -> Result<bool, StoreError> {
        let dimensions = self.generations.read(generation, VectorIndex::dimensions);
        let made: Vec<_> = vectors
            .iter()
            .map(|(memory, chunks)| (*memory, usable(dimensions, chunks)))
            .collect();
        // The lock of the state keeps rebuilding, forgetting and purging out meanwhile.
        self.read(|state| {
            if self.vector_cursor(generation)? != span.from {
                return Ok(false);
            }
            let mut batch = Batch::new();
            let mut changes = Vec::new();
            for (memory, stored) in made {
                let Some(facts) = state.memories.get(&memory) else {
                    continue;
                };
                let stored = stored.filter(|_| is_listed(facts));
                let row = ordered(facts.slot).to_vec();
                match &stored {
                    Some(stored) => batch.put(generation.rows(), row, stored.encode()),
                    None => batch.delete(generation.rows(), row),
                }
                changes.push((Slot(facts.slot), stored));
            }
            let cursor = ordered(span.until).to_vec();
            batch.put(layout::META, generation.cursor(), cursor);
            if generation == Generation::Chosen && span.until >= state.head {
                batch.put(layout::META, meta::CHOSEN_COMPLETE, [1_u8]);
            }
            self.generations.write(generation, |index| {
                for (slot, stored) in changes {
                    let put = stored.map(|stored| index.put_stored(slot, &stored));
                    match put {
                        Some(Err(error)) => tracing::warn!(%error, "a vector was left out"),
                        Some(Ok(())) => {}
                        None => {
                            index.remove(slot);
                        }
                    }
                }
            });
            // Whoever reads the cursor may search at once: it says only what is found.
            self.kv.commit(batch, generation.care())?;
            Ok(true)
        })
    }
}

/// Tells whether a memory is this person's own and nothing holds it.
fn may_leave(state: &State, memory: MemoryId) -> bool {
    let facts = state.memories.get(&memory);
    facts.is_some_and(|facts| facts.owner == state.me && state.held_by(facts).is_none())
}

/// Returns what is stored of a memory's vectors; nothing if there are none that can be kept.
fn usable(dimensions: usize, chunks: &[Vec<f32>]) -> Option<SlotVectors> {
    match SlotVectors::new(dimensions, chunks) {
        Ok(stored) => Some(stored),
        Err(VectorError::Chunks { found: 0 }) => None,
        Err(error) => {
            tracing::warn!(%error, "a memory has no usable vectors");
            None
        }
    }
}

/// Takes everything of the chosen generation out but its name.
pub(super) fn begin_anew(batch: &mut Batch) {
    batch.delete_all(layout::CHOSEN);
    batch.delete(layout::META, meta::CHOSEN_CURSOR);
    batch.delete(layout::META, meta::CHOSEN_COMPLETE);
}

/// Tells whether two vectors point the same way.
fn is_same(left: &[f32], right: &[f32]) -> bool {
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
    let lengths = dot(left, left).sqrt() * dot(right, right).sqrt();
    left.len() == right.len() && dot(left, right) >= PROBE_COSINE_MIN * lengths && lengths > 0.0
}
