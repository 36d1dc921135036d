//! The documents one search may see.
//!
//! BM25 weighs a word by how rare it is and a text by how long texts are. Were these counted over
//! all documents, a hidden one would shift the order of visible ones. So a document is tested before
//! it is counted anywhere, and the number of documents is that of the allowed slots.
//!
//! Invariant: nothing computed here depends on a document outside the view.

use std::sync::Arc;

use tantivy::fieldnorm::FieldNormReader;
use tantivy::schema::Field;
use tantivy::{DocId, Searcher, SegmentReader};

use super::aside::TextAside;
use super::columns::{Columns, Unpacked};
use super::forms::Forms;
use super::known::Known;
use super::mask::Mask;
use super::sheet::place;
use super::small::SmallIndex;
use crate::slots::{Slot, SlotSet};

/// The searcher, narrowed to the allowed documents.
pub(super) struct View<'a> {
    pub(super) searcher: &'a Searcher,
    pub(super) segments: Vec<Segment<'a>>,
    allowed: Option<&'a SlotSet>,
    /// The number of documents that can be seen.
    pub(super) count: u64,
}

/// A part of the index, or what is not in it yet.
pub(super) struct Segment<'a> {
    pub(super) source: Source<'a>,
    allowed: Option<&'a SlotSet>,
}

/// Where the words of documents are.
pub(super) enum Source<'a> {
    Engine(Part<'a>),
    Small(&'a SmallIndex),
}

/// A segment of the engine's.
pub(super) struct Part<'a> {
    pub(super) reader: &'a SegmentReader,
    has_deletes: bool,
    /// Which documents a narrow view shows.
    mask: Option<Arc<Mask>>,
    columns: Arc<Columns>,
    lengths: FieldNormReader,
}

impl<'a> View<'a> {
    pub(super) fn new(
        searcher: &'a Searcher,
        allowed: Option<&'a SlotSet>,
        with_length: Field,
        unpacked: &Unpacked,
    ) -> tantivy::Result<Self> {
        Ok(Self {
            searcher,
            segments: segments(searcher, allowed, with_length, unpacked)?,
            allowed,
            count: allowed.map_or_else(|| searcher.num_docs(), SlotSet::len),
        })
    }

    /// Lets documents be seen that are not in the index yet, as if they were.
    pub(super) fn add_fresh(&mut self, fresh: &'a SmallIndex) {
        if fresh.len() == 0 {
            return;
        }
        if self.allowed.is_none() {
            self.count += u64::try_from(fresh.len()).unwrap_or(u64::MAX);
        }
        self.segments.push(Segment {
            source: Source::Small(fresh),
            allowed: self.allowed,
        });
    }

    /// Lets the documents of an index beside this one be seen too, all of them.
    pub(super) fn add(&mut self, aside: &'a TextAside, with_length: Field) -> tantivy::Result<()> {
        let beside = segments(&aside.searcher, None, with_length, &aside.unpacked)?;
        self.segments.extend(beside);
        self.count += aside.searcher.num_docs();
        Ok(())
    }
}

fn segments<'a>(
    searcher: &'a Searcher,
    allowed: Option<&'a SlotSet>,
    with_length: Field,
    unpacked: &Unpacked,
) -> tantivy::Result<Vec<Segment<'a>>> {
    let readers = searcher.segment_readers();
    let columns = unpacked.of(readers)?;
    let masks = allowed.map(|allowed| unpacked.masks.of(readers, &columns, allowed));
    let mut masks = masks.into_iter().flatten();
    let segments = readers.iter().zip(columns).map(|(reader, columns)| {
        let source = Source::Engine(Part {
            reader,
            has_deletes: reader.has_deletes(),
            mask: masks.next(),
            columns,
            lengths: reader.get_fieldnorms_reader(with_length)?,
        });
        Ok(Segment { source, allowed })
    });
    segments.collect()
}

impl Segment<'_> {
    /// Returns how many documents there are, also those that cannot be seen.
    pub(super) fn documents(&self) -> usize {
        match &self.source {
            Source::Engine(part) => place(part.reader.max_doc()),
            Source::Small(small) => small.added(),
        }
    }

    /// Returns whether a document can be seen.
    pub(super) fn shows(&self, doc: DocId) -> bool {
        let is_allowed = |slot: Slot| self.allowed.is_none_or(|allowed| allowed.contains(slot));
        match &self.source {
            Source::Engine(part) => match &part.mask {
                Some(mask) => mask.shows(doc),
                None => !part.has_deletes || !part.reader.is_deleted(doc),
            },
            Source::Small(small) => small.is_there(doc) && small.slot(doc).is_some_and(is_allowed),
        }
    }

    /// Returns whether all documents can be seen that were not deleted.
    pub(super) fn is_whole(&self) -> bool {
        self.allowed.is_none()
    }

    /// Returns the slot of a document.
    pub(super) fn slot(&self, doc: DocId) -> Option<Slot> {
        match &self.source {
            Source::Engine(part) => part.columns.slot(doc),
            Source::Small(small) => small.slot(doc),
        }
    }

    /// Returns the languages a document may be in.
    pub(super) fn languages(&self, doc: DocId) -> u64 {
        match &self.source {
            Source::Engine(part) => part.columns.languages(doc),
            Source::Small(small) => small.languages(doc),
        }
    }

    /// Returns which of 256 lengths the body is nearest to; see [`words_of`].
    pub(super) fn length(&self, doc: DocId) -> u8 {
        match &self.source {
            Source::Engine(part) => part.lengths.fieldnorm_id(doc),
            Source::Small(small) => small.length(doc),
        }
    }
}

impl Part<'_> {
    /// Returns the forms of words that were asked for before.
    pub(super) fn forms(&self) -> &Forms {
        &self.columns.forms
    }

    /// Returns the documents of words that were asked for before.
    pub(super) fn known(&self) -> &Known {
        &self.columns.known
    }

    /// Returns how many documents were deleted.
    pub(super) fn deleted(&self) -> u32 {
        self.reader.num_deleted_docs()
    }

    /// Returns the languages a document may be in.
    pub(super) fn languages(&self, doc: DocId) -> u64 {
        self.columns.languages(doc)
    }
}

/// Returns the words of a body of such a length.
pub(super) fn words_of(length: u8) -> u32 {
    FieldNormReader::id_to_fieldnorm(length)
}
