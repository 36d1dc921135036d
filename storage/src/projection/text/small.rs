//! A small index: a few documents in memory, their words in sorted maps.
//!
//! To make a segment of the engine takes it megabytes and milliseconds, however few the documents are. Its
//! segments take a tenth of the memory that maps take for each word, so this is for a few documents. What is
//! found here is held to what the engine finds, by tests.

use std::collections::BTreeMap;
use std::ops::Bound;

use tantivy::fieldnorm::FieldNormReader;
use tantivy::tokenizer::TextAnalyzer;
use tantivy::{DocId, TERMINATED};

use super::TextDoc;
use super::analysis::exact_analyzer;
use super::language::Languages;
use super::schema::FIELDS;
use super::sheet::place;
use crate::slots::Slot;

/// Between the last word of a tag and the first of the next, so that no phrase goes from one to the
/// other.
const GAP: u32 = 1;

/// Documents, each of another slot.
#[derive(Clone, Default)]
pub(super) struct SmallIndex {
    docs: Vec<Document>,
    /// For each field the words, and where they are.
    words: [BTreeMap<Box<str>, Vec<Posting>>; FIELDS],
    gone: usize,
}

#[derive(Debug, Clone)]
struct Document {
    slot: Slot,
    languages: u64,
    /// Which of 256 lengths its body has.
    length: u8,
    is_gone: bool,
}

/// A document that has a word.
#[derive(Debug, Clone)]
pub(super) struct Posting {
    pub(super) doc: DocId,
    /// Which words of the field they are, ascending.
    places: Vec<u32>,
}

impl Posting {
    /// Returns how often the document has the word.
    pub(super) fn times(&self) -> u32 {
        u32::try_from(self.places.len()).unwrap_or(u32::MAX)
    }
}

impl SmallIndex {
    /// Adds a document, of a slot that none has.
    pub(super) fn add(&mut self, added: &TextDoc) {
        let doc = DocId::try_from(self.docs.len()).unwrap_or(TERMINATED);
        let mut analyzer = exact_analyzer();
        let [title, body, tags] = &mut self.words;
        write(&mut analyzer, doc, [&added.title], title);
        let count = write(&mut analyzer, doc, [&added.body], body);
        write(&mut analyzer, doc, &added.tags, tags);
        self.docs.push(Document {
            slot: added.slot,
            languages: Languages::of(&added.body).0,
            length: FieldNormReader::fieldnorm_to_id(count),
            is_gone: false,
        });
    }

    /// Removes the document of a slot, if there is one.
    pub(super) fn remove(&mut self, slot: Slot) {
        let mut docs = self.docs.iter_mut();
        if let Some(doc) = docs.find(|doc| doc.slot == slot && !doc.is_gone) {
            doc.is_gone = true;
            self.gone += 1;
        }
    }

    /// Tells whether a slot has a document.
    pub(super) fn has(&self, slot: Slot) -> bool {
        self.docs.iter().any(|doc| doc.slot == slot && !doc.is_gone)
    }

    /// Returns the number of documents.
    pub(super) fn len(&self) -> usize {
        self.docs.len() - self.gone
    }

    /// Returns how many documents were added, also those that are gone.
    pub(super) fn added(&self) -> usize {
        self.docs.len()
    }

    /// Tells whether a document was not removed.
    pub(super) fn is_there(&self, doc: DocId) -> bool {
        self.document(doc).is_some_and(|doc| !doc.is_gone)
    }

    pub(super) fn slot(&self, doc: DocId) -> Option<Slot> {
        self.document(doc).map(|doc| doc.slot)
    }

    pub(super) fn languages(&self, doc: DocId) -> u64 {
        self.document(doc).map_or(0, |doc| doc.languages)
    }

    pub(super) fn length(&self, doc: DocId) -> u8 {
        self.document(doc).map_or(0, |doc| doc.length)
    }

    fn document(&self, doc: DocId) -> Option<&Document> {
        self.docs.get(place(doc))
    }

    /// Returns the documents that have a word in a field, in their order.
    pub(super) fn with(&self, field: usize, word: &str) -> &[Posting] {
        self.words[field].get(word).map_or(&[], Vec::as_slice)
    }

    /// Returns the words of a field, in order.
    pub(super) fn words(&self, field: usize) -> impl Iterator<Item = (&str, &[Posting])> {
        let words = self.words[field].iter();
        words.map(|(word, postings)| (&**word, postings.as_slice()))
    }

    /// Returns the words of a field with a beginning, in order.
    pub(super) fn beginning_with(
        &self,
        field: usize,
        beginning: &str,
    ) -> impl Iterator<Item = (&str, &[Posting])> {
        let from = (Bound::Included(beginning), Bound::Unbounded);
        let words = self.words[field].range::<str, _>(from);
        let words = words.map(|(word, postings)| (&**word, postings.as_slice()));
        words.take_while(move |(word, _)| word.starts_with(beginning))
    }

    /// Returns the documents that have words one after the other in a field.
    pub(super) fn with_row(&self, field: usize, row: &[String]) -> impl Iterator<Item = DocId> {
        let postings: Vec<&[Posting]> = row.iter().map(|word| self.with(field, word)).collect();
        let first = postings.first().copied().unwrap_or_default();
        let has_all = move |first: &&Posting| {
            let places = postings.iter().map(|postings| {
                let at = postings.binary_search_by_key(&first.doc, |posting| posting.doc);
                at.map_or(&[][..], |at| postings[at].places.as_slice())
            });
            let places: Vec<&[u32]> = places.collect();
            let follows = |start: &u32| {
                let mut next = (*start..).zip(&places);
                next.all(|(place, places)| places.binary_search(&place).is_ok())
            };
            first.places.iter().any(follows)
        };
        first.iter().filter(has_all).map(|posting| posting.doc)
    }
}

/// Adds the words of a field of a document, as the engine would, and returns how many there are.
fn write<'a>(
    analyzer: &mut TextAnalyzer,
    doc: DocId,
    texts: impl IntoIterator<Item = &'a String>,
    words: &mut BTreeMap<Box<str>, Vec<Posting>>,
) -> u32 {
    let (mut begin, mut count) = (0, 0);
    for text in texts {
        let mut end = begin;
        analyzer.token_stream(text).process(&mut |token| {
            let [at, length] = [token.position, token.position_length]
                .map(|number| u32::try_from(number).unwrap_or_default());
            let at = begin + at;
            end = end.max(at + length);
            count += 1;
            let posting = Posting {
                doc,
                places: vec![at],
            };
            match words.get_mut(token.text.as_str()) {
                None => {
                    words.insert(token.text.as_str().into(), vec![posting]);
                }
                Some(postings) => match postings.last_mut() {
                    Some(last) if last.doc == doc => last.places.push(at),
                    _ => postings.push(posting),
                },
            }
        });
        begin = end + GAP;
    }
    count
}
