//! Aside: a few documents in memory that are searched together with the index in the folder.
//!
//! Not an index of its own: it has no cursor, takes no changes and is never saved. A search adds
//! its segment to those of the folder, so words are as rare and texts as long as if all documents
//! were in one index, and the scores are those of that one.

use tantivy::directory::RamDirectory;
use tantivy::indexer::SingleSegmentIndexWriter;
use tantivy::tokenizer::TokenizerManager;
use tantivy::{Index, IndexBuilder, IndexReader, ReloadPolicy, Searcher};

use super::columns::Unpacked;
use super::schema::Fields;
use super::{TextDoc, TextError, analysis};

/// Memory that the engine plans its tables for; it takes more if it needs more.
const WRITER_BYTES: usize = 16 << 20;

/// Documents beside an index, each of another slot.
pub struct TextAside {
    pub(super) searcher: Searcher,
    pub(super) unpacked: Unpacked,
}

impl TextAside {
    /// Indexes documents in memory.
    pub fn of(docs: &[TextDoc]) -> Result<Self, TextError> {
        let (schema, fields) = Fields::build();
        let tokenizers = TokenizerManager::default();
        analysis::register(&tokenizers);
        let builder = Index::builder().schema(schema).tokenizers(tokenizers);
        let index = if docs.is_empty() {
            builder.create_in_ram()?
        } else {
            write(builder, &fields, docs)?
        };
        let reader: IndexReader = index
            .reader_builder()
            .reload_policy(ReloadPolicy::Manual)
            .try_into()?;
        Ok(Self {
            searcher: reader.searcher(),
            unpacked: Unpacked::default(),
        })
    }

    /// Returns the number of documents.
    pub fn len(&self) -> u64 {
        self.searcher.num_docs()
    }

    /// Returns whether there is no document.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl std::fmt::Debug for TextAside {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "TextAside({} documents)", self.len())
    }
}

fn write(builder: IndexBuilder, fields: &Fields, docs: &[TextDoc]) -> tantivy::Result<Index> {
    let directory = RamDirectory::create();
    let mut writer: SingleSegmentIndexWriter =
        builder.single_segment_index_writer(directory, WRITER_BYTES)?;
    for doc in docs {
        writer.add_document(fields.document(doc))?;
    }
    writer.finalize()
}
