//! The fields of the text index and how much each counts.

use tantivy::TantivyDocument;
use tantivy::schema::{
    FAST, Field, INDEXED, IndexRecordOption, Schema, TextFieldIndexing, TextOptions,
};

use super::TextDoc;
use super::analysis::{EXACT, STEM};

pub(super) const SLOT: &str = "slot";

/// The fields of a document.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fields {
    pub(super) slot: Field,
    title: Field,
    title_stem: Field,
    body: Field,
    body_stem: Field,
    tags: Field,
}

impl Fields {
    /// Builds the schema; a change to it makes older folders incompatible, so they are rebuilt.
    pub(super) fn build() -> (Schema, Self) {
        let text = |analyzer: &str, detail: IndexRecordOption, lengths: bool| {
            let indexing = TextFieldIndexing::default().set_tokenizer(analyzer);
            let indexing = indexing.set_index_option(detail).set_fieldnorms(lengths);
            TextOptions::default().set_indexing_options(indexing)
        };
        let exact = |lengths| text(EXACT, IndexRecordOption::WithFreqsAndPositions, lengths);
        let stem = |lengths| text(STEM, IndexRecordOption::WithFreqs, lengths);
        let mut schema = Schema::builder();
        let fields = Self {
            slot: schema.add_u64_field(SLOT, INDEXED | FAST),
            title: schema.add_text_field("title", exact(false)),
            title_stem: schema.add_text_field("title_stem", stem(false)),
            body: schema.add_text_field("body", exact(true)),
            body_stem: schema.add_text_field("body_stem", stem(true)),
            tags: schema.add_text_field("tags", exact(false)),
        };
        (schema.build(), fields)
    }

    pub(super) fn document(&self, doc: &TextDoc) -> TantivyDocument {
        let mut document = TantivyDocument::new();
        document.add_u64(self.slot, doc.slot.0);
        document.add_text(self.title, &doc.title);
        document.add_text(self.title_stem, &doc.title);
        document.add_text(self.body, &doc.body);
        document.add_text(self.body_stem, &doc.body);
        for tag in &doc.tags {
            document.add_text(self.tags, tag);
        }
        document
    }

    /// The fields with unstemmed words and their weights beside a stemmed body, which weighs 1.
    pub(super) fn exact(&self) -> [(Field, f32); 3] {
        [(self.title, 1.0), (self.body, 0.5), (self.tags, 2.0)]
    }

    /// The fields with stems and their weights.
    pub(super) fn stemmed(&self) -> [(Field, f32); 2] {
        [(self.title_stem, 1.5), (self.body_stem, 1.0)]
    }

    /// The fields in which a long text counts less than a short one with the same words.
    ///
    /// Titles and tags are not among them: many memories have none, so the average length says
    /// nothing, and a longer title is no weaker sign.
    pub(super) fn with_length(&self) -> [Field; 2] {
        [self.body, self.body_stem]
    }
}
