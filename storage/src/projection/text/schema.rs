//! The fields of the text index and how much each counts.

use tantivy::TantivyDocument;
use tantivy::schema::{
    FAST, Field, INDEXED, IndexRecordOption, Schema, TextFieldIndexing, TextOptions,
};

use super::TextDoc;
use super::analysis::EXACT;
use super::language::Languages;

pub(super) const SLOT: &str = "slot";
pub(super) const LANGUAGES: &str = "languages";
/// How many fields have words.
pub(super) const FIELDS: usize = 3;

/// The fields of a document.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fields {
    pub(super) slot: Field,
    languages: Field,
    title: Field,
    /// The only one in which a long text counts less than a short one with the same words. Many
    /// memories have no title or tags, so an average length would say nothing, and a longer title
    /// is no weaker sign.
    pub(super) body: Field,
    tags: Field,
}

impl Fields {
    /// Builds the schema; a change to it makes older folders incompatible, so they are rebuilt.
    pub(super) fn build() -> (Schema, Self) {
        let text = |lengths: bool| {
            let indexing = TextFieldIndexing::default().set_tokenizer(EXACT);
            let indexing = indexing.set_index_option(IndexRecordOption::WithFreqsAndPositions);
            TextOptions::default().set_indexing_options(indexing.set_fieldnorms(lengths))
        };
        let mut schema = Schema::builder();
        let fields = Self {
            slot: schema.add_u64_field(SLOT, INDEXED | FAST),
            languages: schema.add_u64_field(LANGUAGES, FAST),
            title: schema.add_text_field("title", text(false)),
            body: schema.add_text_field("body", text(true)),
            tags: schema.add_text_field("tags", text(false)),
        };
        (schema.build(), fields)
    }

    pub(super) fn document(&self, doc: &TextDoc) -> TantivyDocument {
        let mut document = TantivyDocument::new();
        document.add_u64(self.slot, doc.slot.0);
        document.add_u64(self.languages, Languages::of(&doc.body).0);
        document.add_text(self.title, &doc.title);
        document.add_text(self.body, &doc.body);
        for tag in &doc.tags {
            document.add_text(self.tags, tag);
        }
        document
    }

    /// The fields with words, and as how many in the body a word there counts. Little more: a title is
    /// often the first line of the body again, and then its words are counted twice already.
    pub(super) fn weighted(&self) -> [(Field, f32); FIELDS] {
        [(self.title, 1.5), (self.body, 1.0), (self.tags, 2.0)]
    }
}
