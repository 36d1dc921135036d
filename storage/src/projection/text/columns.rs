//! What is kept of a segment while it is searched: the numbers of every document, side by side, and
//! the forms and documents of words that were asked for.
//!
//! The engine keeps them packed, and unpacks one at a time for whoever asks; a search asks for every
//! posting. So they are unpacked once for each segment, which never changes, and kept while the
//! segment is searched: ten bytes a document.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tantivy::columnar::{Column, ColumnValues as _};
use tantivy::index::SegmentId;
use tantivy::{DocId, SegmentReader};

use super::forms::Forms;
use super::known::Known;
use super::mask::Masks;
use super::schema::{LANGUAGES, SLOT};
use super::sheet::place;
use crate::slots::Slot;

/// The numbers of a segment's documents, by their place; and what is known of words.
#[derive(Debug)]
pub(super) struct Columns {
    slots: Vec<u64>,
    languages: Vec<u16>,
    pub(super) forms: Forms,
    pub(super) known: Known,
}

/// The columns of the segments that are searched, and the masks of the views they are searched in.
#[derive(Debug, Default)]
pub(super) struct Unpacked {
    columns: Mutex<HashMap<SegmentId, Arc<Columns>>>,
    pub(super) masks: Masks,
}

impl Columns {
    fn unpack(reader: &SegmentReader) -> tantivy::Result<Self> {
        let documents = place(reader.max_doc());
        let fields = reader.fast_fields();
        let languages = unpacked(fields.u64(LANGUAGES)?, documents);
        let narrow = |set: u64| u16::try_from(set).unwrap_or(u16::MAX);
        Ok(Self {
            slots: unpacked(fields.u64(SLOT)?, documents),
            languages: languages.into_iter().map(narrow).collect(),
            forms: Forms::default(),
            known: Known::new(documents),
        })
    }

    /// Returns the slot of a document.
    pub(super) fn slot(&self, doc: DocId) -> Option<Slot> {
        self.slots.get(place(doc)).copied().map(Slot)
    }

    /// Returns the slots of all documents, by their place.
    pub(super) fn slots(&self) -> &[u64] {
        &self.slots
    }

    /// Returns the languages a document may be in.
    pub(super) fn languages(&self, doc: DocId) -> u64 {
        let languages = self.languages.get(place(doc)).copied();
        languages.map_or(0, u64::from)
    }
}

impl Unpacked {
    /// Returns the columns of these segments, in their order, and lets go of others.
    pub(super) fn of(&self, readers: &[SegmentReader]) -> tantivy::Result<Vec<Arc<Columns>>> {
        let mut known = self.columns.lock().unwrap_or_else(PoisonError::into_inner);
        let columns = readers.iter().map(|reader| {
            let id = reader.segment_id();
            let columns = match known.get(&id) {
                Some(columns) => Arc::clone(columns),
                None => Arc::new(Columns::unpack(reader)?),
            };
            Ok((id, columns))
        });
        let columns = columns.collect::<tantivy::Result<Vec<_>>>()?;
        if known.len() != columns.len() || columns.iter().any(|(id, _)| !known.contains_key(id)) {
            *known = columns.iter().cloned().collect();
        }
        Ok(columns.into_iter().map(|(_, columns)| columns).collect())
    }
}

fn unpacked(column: Column<u64>, documents: usize) -> Vec<u64> {
    let mut values = vec![0; documents];
    let column = column.first_or_default_col(u64::MAX);
    column.get_range(0, &mut values);
    values
}
