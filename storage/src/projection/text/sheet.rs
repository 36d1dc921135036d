//! Sheets: what is known of the documents of a segment while one part of a query is looked up.
//!
//! A sheet counts by the place of a document, in lists as long as the segment has documents. Making and
//! clearing megabytes for each search cost more than many of the searches, so sheets are kept, and
//! whoever used one leaves it clear.
//!
//! Flow: [`Sheets::take`] -> a part is counted -> [`Sheet::take`] gives its documents and clears ->
//! the next part; at the end [`Sheets::give_back`].
//!
//! Invariant: a sheet that nobody uses says nothing of any document. One whose search failed is thrown
//! away.

use std::sync::{Arc, Mutex, PoisonError};

use tantivy::postings::TermInfo;
use tantivy::schema::IndexRecordOption;
use tantivy::{DocId, DocSet, InvertedIndexReader, TERMINATED};

use super::MatchKind;
use super::language::Languages;
use super::view::{Segment, View, words_of};

/// How many searches at a time find sheets that are ready; each takes five bytes a document.
const KEPT_MAX: usize = 2;

/// The bits of a word of memory.
pub(super) const WORD_BITS: usize = 64;

/// A document that has a part of the query.
#[derive(Debug, Clone, Copy)]
pub(super) struct Found {
    pub(super) doc: DocId,
    /// How often, with its fields and forms weighed.
    pub(super) weight: f32,
    /// How most surely.
    pub(super) kind: MatchKind,
    /// Which length its text has.
    pub(super) length: u8,
}

/// The documents of a segment that have a part of the query, in their order.
#[derive(Debug)]
pub(super) struct List {
    pub(super) found: Vec<Found>,
    /// The words of all their texts, about.
    pub(super) words: u64,
}

/// The documents that have a part of the query, for each segment.
pub(super) type Lists = Vec<Arc<List>>;

impl List {
    pub(super) fn of(found: Vec<Found>) -> Self {
        let words = found.iter().map(|found| u64::from(words_of(found.length)));
        Self {
            words: words.sum(),
            found,
        }
    }
}

/// What is known of the documents of a segment.
#[derive(Default)]
pub(super) struct Sheet {
    /// Zero where a document does not have the part.
    weights: Vec<f32>,
    /// The least sure kind where a document does not have it.
    kinds: Vec<MatchKind>,
    /// A bit for every document that has it.
    has: Vec<u64>,
}

const LEAST_SURE: MatchKind = MatchKind::Fuzzy;

/// Sheets that nobody uses, for a search each.
#[derive(Default)]
pub(super) struct Sheets(Mutex<Vec<Vec<Sheet>>>);

impl Sheets {
    /// Returns a clear sheet for each segment of a view.
    pub(super) fn take(&self, view: &View<'_>) -> Vec<Sheet> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut sheets = kept.unwrap_or_default();
        sheets.resize_with(view.segments.len(), Sheet::default);
        for (sheet, segment) in sheets.iter_mut().zip(&view.segments) {
            sheet.make_room(segment.documents());
        }
        sheets
    }

    /// Takes sheets back, left clear.
    pub(super) fn give_back(&self, sheets: Vec<Sheet>) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() < KEPT_MAX {
            kept.push(sheets);
        }
    }
}

impl Sheet {
    /// Has a place for so many documents.
    fn make_room(&mut self, documents: usize) {
        let documents = documents.max(self.weights.len());
        self.weights.resize(documents, 0.0);
        self.kinds.resize(documents, LEAST_SURE);
        self.has.resize(documents.div_ceil(WORD_BITS), 0);
    }

    /// Returns how many documents have the part.
    pub(super) fn len(&self) -> usize {
        let bits = self.has.iter().map(|has| has.count_ones());
        bits.fold(0, |all, bits| {
            all + usize::try_from(bits).unwrap_or_default()
        })
    }

    /// Adds every time that visible documents of these languages have a term.
    pub(super) fn count(
        &mut self,
        segment: &Segment<'_>,
        index: &InvertedIndexReader,
        term: &TermInfo,
        languages: u64,
        (weight, kind): (f32, MatchKind),
    ) -> tantivy::Result<()> {
        let with_times = IndexRecordOption::WithFreqs;
        let mut postings = index.read_block_postings_from_terminfo(term, with_times)?;
        let in_all = languages == Languages::ALL.0;
        while !postings.docs().is_empty() {
            for (&doc, &times) in postings.docs().iter().zip(postings.freqs()) {
                if segment.shows(doc) && (in_all || segment.languages(doc) & languages != 0) {
                    self.add(doc, weighed(weight, times), kind);
                }
            }
            postings.advance();
        }
        Ok(())
    }

    /// Adds every time that a document has a word, if it is visible.
    pub(super) fn count_in(
        &mut self,
        segment: &Segment<'_>,
        doc: DocId,
        times: u32,
        (weight, kind): (f32, MatchKind),
    ) {
        if segment.shows(doc) {
            self.add(doc, weighed(weight, times), kind);
        }
    }

    /// Adds without looking at what is there: a look ahead would often be wrong.
    fn add(&mut self, doc: DocId, weight: f32, kind: MatchKind) {
        let at = place(doc);
        self.weights[at] += weight;
        self.kinds[at] = self.kinds[at].min(kind);
        self.has[at / WORD_BITS] |= 1 << (at % WORD_BITS);
    }

    /// Takes visible documents in that have nothing surer; the best field counts, once.
    pub(super) fn mark(
        &mut self,
        segment: &Segment<'_>,
        mut documents: impl DocSet,
        weight: f32,
        kind: MatchKind,
    ) {
        while documents.doc() != TERMINATED {
            self.mark_in(segment, documents.doc(), weight, kind);
            documents.advance();
        }
    }

    /// Takes a document in as [`Sheet::mark`] does.
    pub(super) fn mark_in(
        &mut self,
        segment: &Segment<'_>,
        doc: DocId,
        weight: f32,
        kind: MatchKind,
    ) {
        let at = place(doc);
        let has = self.weights[at];
        if has == 0.0 && segment.shows(doc) {
            self.add(doc, weight, kind);
        } else if has != 0.0 && self.kinds[at] == kind {
            self.weights[at] = has.max(weight);
        }
    }

    /// Puts documents on the sheet that have the part, as they were taken off.
    pub(super) fn put(&mut self, list: &List) {
        for found in &list.found {
            self.add(found.doc, found.weight, found.kind);
        }
    }

    /// Returns the documents that have the part, in their order, and clears the sheet.
    pub(super) fn take(&mut self, segment: &Segment<'_>) -> List {
        let mut found = Vec::with_capacity(self.len());
        for (word, has) in self.has.iter_mut().enumerate() {
            let mut has = std::mem::take(has);
            while has != 0 {
                let at = word * WORD_BITS + place(has.trailing_zeros());
                has &= has - 1;
                let doc = DocId::try_from(at).unwrap_or(TERMINATED);
                found.push(Found {
                    doc,
                    weight: std::mem::take(&mut self.weights[at]),
                    kind: std::mem::replace(&mut self.kinds[at], LEAST_SURE),
                    length: segment.length(doc),
                });
            }
        }
        List::of(found)
    }
}

/// Returns what it is worth to have a word so many times.
fn weighed(weight: f32, times: u32) -> f32 {
    weight * f32::from(u16::try_from(times).unwrap_or(u16::MAX))
}

/// Returns the place of a document in a list over a segment.
pub(super) fn place(doc: DocId) -> usize {
    usize::try_from(doc).unwrap_or(usize::MAX)
}
