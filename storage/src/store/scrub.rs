//! Scrubbing: everything that is kept is read and checked, and what is damaged is named.
//!
//! ```text
//! rows       the engine's checksums, then every seal
//! log        every entry is there, decodes, is signed
//! contents   what is listed has its text
//! ledger     entries, lines and subtrees fit the signed head
//! text       every page of every file of the index
//! vectors    every row decodes
//! ```
//!
//! It changes nothing. Attachments lie outside the store and are read by whoever owns them.
//!
//! Invariant: what it calls sound can be read whole, and is what was written.

use super::generations::Generation;
use super::state::is_listed;
use super::{Store, StoreError};
use crate::gaps::Gaps;
use crate::kv::{Keyspace, KvError};
use crate::layout;
use crate::ledger::Fault;
use crate::projection::vectors::{SlotVectors, VectorIndex};
use crdt::id::MemoryId;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// What a scrub found.
#[derive(Debug, Default)]
pub struct Scrub {
    /// Rows that were read.
    pub rows: u64,
    /// Log entries that were read.
    pub events: u64,
    /// Files of the text index that were read.
    pub text_files: u64,
    /// What is wrong with the file of the rows; nothing below was looked at then.
    pub file: Option<KvError>,
    /// Damaged rows by keyspace.
    pub damaged: BTreeMap<Keyspace, u64>,
    /// Places of the log whose entry is missing, does not decode, or is not signed.
    pub bad_events: Vec<u64>,
    /// Memories that are listed and have no text.
    pub without_text: Vec<MemoryId>,
    /// What does not fit in the ledger.
    pub ledger: Option<Fault>,
    /// Files of the text index that do not read.
    pub bad_text: Vec<PathBuf>,
    /// What a salvage could not take over and nobody brought back since.
    pub gaps: Gaps,
    /// Vectors that do not decode.
    pub bad_vectors: u64,
}

impl Scrub {
    /// Tells whether nothing is damaged.
    pub fn is_sound(&self) -> bool {
        self.file.is_none()
            && self.damaged.is_empty()
            && self.bad_events.is_empty()
            && self.without_text.is_empty()
            && self.ledger.is_none()
            && self.bad_text.is_empty()
            && self.bad_vectors == 0
            && self.gaps.is_empty()
    }
}

/// Tells whether rows of a keyspace are made anew by a rebuild.
pub fn is_projection(keyspace: Keyspace) -> bool {
    layout::REBUILT.contains(&keyspace) || [layout::VECTOR, layout::CHOSEN].contains(&keyspace)
}

impl Store {
    /// Reads everything and names what is damaged.
    pub fn scrub(&self) -> Result<Scrub, StoreError> {
        let mut found = Scrub {
            gaps: self.read(|state| state.gaps.clone()),
            ..Scrub::default()
        };
        match self.kv.verify(&layout::ALL) {
            Ok(verified) => {
                found.rows = verified.rows;
                for row in verified.damaged {
                    *found.damaged.entry(row.keyspace).or_default() += 1;
                }
            }
            Err(error @ KvError::Damaged { .. }) => {
                found.file = Some(error);
                return Ok(found);
            }
            Err(error) => return Err(error.into()),
        }
        self.scrub_log(&mut found)?;
        self.scrub_contents(&mut found)?;
        if !found.damaged.contains_key(&layout::LEDGER) {
            found.ledger = found_or(self.verify_ledger())?.and_then(|verdict| verdict.fault);
        }
        let text = self.text.scrub()?;
        (found.text_files, found.bad_text) = text;
        for generation in [Generation::BuiltIn, Generation::Chosen] {
            let dimensions = self.generations.read(generation, VectorIndex::dimensions);
            let rows = generation.rows();
            // A chosen model that has not spoken yet has no rows.
            if found.damaged.contains_key(&rows) || dimensions == 0 {
                continue;
            }
            super::open::each_row(&*self.kv, rows, None, &mut |_, value| {
                found.bad_vectors += u64::from(SlotVectors::decode(dimensions, value).is_err());
                Ok(true)
            })?;
        }
        Ok(found)
    }

    fn scrub_log(&self, found: &mut Scrub) -> Result<(), StoreError> {
        let head = self.read(|state| state.head);
        for number in 1..=head {
            let event = found_or(self.event_at(number))?.flatten();
            if event.is_some_and(|event| event.signature_holds()) {
                found.events += 1;
            } else {
                found.bad_events.push(number);
            }
        }
        Ok(())
    }

    fn scrub_contents(&self, found: &mut Scrub) -> Result<(), StoreError> {
        let listed: Vec<MemoryId> = self.read(|state| {
            let listed = state.memories.values().filter(|facts| is_listed(facts));
            listed.map(|facts| facts.id).collect()
        });
        for memory in listed {
            if found_or(self.content(memory))?.flatten().is_some() {
                continue;
            }
            // Nobody writes while it is looked at again: it may have been purged meanwhile.
            let is_missing = self.read(|state| {
                let facts = state.memories.get(&memory);
                let is_listed = facts.is_some_and(|facts| is_listed(facts));
                Ok::<_, StoreError>(
                    is_listed && found_or(self.content(memory))?.flatten().is_none(),
                )
            })?;
            if is_missing {
                found.without_text.push(memory);
            }
        }
        Ok(())
    }
}

/// Takes a row that does not read as nothing: it is what the scrub looks for.
fn found_or<T>(read: Result<T, StoreError>) -> Result<Option<T>, StoreError> {
    match read {
        Ok(read) => Ok(Some(read)),
        Err(StoreError::Row { .. } | StoreError::Kv(KvError::Corrupt { .. })) => Ok(None),
        Err(error) => Err(error),
    }
}
