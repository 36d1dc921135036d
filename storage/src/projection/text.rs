//! Text: finding memories by their words, with BM25 over title, body and tags together.
//!
//! This is the only module that knows tantivy; callers see slots, words and scores. It stores no
//! text, only the index of it, in sealed files, and it is not the truth: the folder may be deleted
//! at any time and is rebuilt from the log, which is also what happens to a folder that is damaged
//! or old.
//!
//! Flow of a write: [`TextIndex::apply`] (in memory) -> committed with its log position by the next
//! [`TextIndex::flush`], or by a search before it if more came than a few new documents -> saved by
//! the flush.
//! Flow of a search: [`TextQuery::parse`] -> [`TextIndex::search`] -> what is new is committed, or
//! indexed beside -> plan within the view of the asker -> [`TextFound`], which says why.
//!
//! Invariants: a search sees every `apply` that returned before it began; documents and cursor are
//! saved together, so after a crash [`TextIndex::cursor`] is exactly what the index holds; a
//! document outside `allowed` influences neither hits, nor order, nor scores. The lock on the folder
//! is held by the kernel for the process and so never outlives it.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tantivy::{IndexReader, IndexWriter, Searcher, TantivyError, Term};

use crate::cipher::Cipher;
use crate::slots::{Slot, SlotSet};

mod analysis;
mod aside;
mod columns;
mod condense;
mod directory;
mod folder;
mod forms;
mod fresh;
mod gather;
mod known;
pub(crate) mod language;
mod mask;
mod plan;
mod query;
mod schema;
mod sheet;
mod small;
mod view;

pub use analysis::{WORD_BYTES_MAX, Word, words};
pub(crate) use analysis::{word_ranges, write_exact, written};
pub use aside::TextAside;
use columns::Unpacked;
use directory::SealedDirectory;
use fresh::Fresh;
use plan::{Place, Plan};
pub use query::{QUERY_CHARS_MAX, QUERY_TERMS_MAX, TextQuery};
use schema::Fields;
use sheet::Sheets;
use small::SmallIndex;
use view::View;

/// Log positions without a change to any document that a flush does not save.
const UNSAVED_MAX: u64 = 1_024;

/// The most hits one search returns; asking for more gives this many.
pub const HITS_MAX: usize = 1000;

/// The texts of one memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TextDoc {
    /// The memory.
    pub slot: Slot,
    /// Its title; words here count more than in the body.
    pub title: String,
    /// Its text.
    pub body: String,
    /// Its tags; words here count most.
    pub tags: Vec<String>,
}

/// How surely a word was found; the least sure word decides for a hit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MatchKind {
    /// The words follow each other as quoted or written.
    Phrase,
    /// The word is there as asked for.
    Exact,
    /// A word with the same stem is there.
    Stem,
    /// A longer word that begins with it is there.
    Prefix,
    /// A word that differs by one or two letters is there, and nowhere the word itself.
    Fuzzy,
}

impl MatchKind {
    /// Writes a found word so that it says how it was found.
    fn mark(self, word: &Arc<str>) -> Arc<str> {
        match self {
            Self::Phrase | Self::Exact | Self::Stem => Arc::clone(word),
            Self::Prefix => format!("{word}*").into(),
            Self::Fuzzy => format!("{word}~").into(),
        }
    }
}

/// A memory that has words of the query.
#[derive(Debug, Clone, PartialEq)]
pub struct TextHit {
    /// The memory.
    pub slot: Slot,
    /// The BM25 score; comparable only within one search.
    pub score: f32,
    /// The parts of the query it has: `word`, `two words` of a phrase, `prefix*`, `guess~`.
    pub matched: Vec<Arc<str>>,
    /// How the least sure of them was found.
    pub kind: MatchKind,
    /// The languages its text may be in, a bit each.
    pub languages: u64,
}

/// What a search found, best first. Most of it is never shown, so it says why of those that are asked
/// for.
#[derive(Default)]
pub struct TextFound {
    plan: Plan,
    places: Vec<Place>,
}

impl TextFound {
    /// Returns the memories with their scores, best first.
    pub fn scores(&self) -> impl Iterator<Item = (Slot, f32)> {
        self.places.iter().map(|place| (place.slot, place.score))
    }

    /// Returns the hit of a memory with its reasons, if it was found.
    pub fn hit(&self, slot: Slot) -> Option<TextHit> {
        let place = self.places.iter().find(|place| place.slot == slot)?;
        Some(self.plan.explain(place))
    }
}

impl std::fmt::Debug for TextFound {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "TextFound({} hits)", self.places.len())
    }
}

/// Why the text index could not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum TextError {
    /// Another process, or another part of this one, has the folder open.
    #[error("text index is in use by another process")]
    Locked,
    /// The folder could not be read or written.
    #[error("text index folder is not usable")]
    Folder(#[from] std::io::Error),
    /// The engine gave an error; the folder can be deleted and rebuilt from the log.
    #[error("text index is not usable")]
    Engine(#[from] TantivyError),
}

/// A text index in a folder, open for writing by one process.
pub struct TextIndex {
    directory: SealedDirectory,
    writer: Mutex<Writer>,
    reader: IndexReader,
    /// What searches see; follows the reader under the writer's lock.
    shown: Mutex<Shown>,
    fields: Fields,
    unpacked: Unpacked,
    sheets: Sheets,
    /// Counts calls that changed something, and how many of them searches already see.
    changes: AtomicU64,
    visible: AtomicU64,
    /// Changes that are durable, and the log position that is.
    kept: AtomicU64,
    saved: AtomicU64,
    /// The log position of the last call.
    applied: AtomicU64,
    was_reset: bool,
}

/// What the last commit shows, and what came since.
struct Shown {
    searcher: Searcher,
    fresh: Fresh,
}

struct Writer {
    engine: IndexWriter,
    cursor: u64,
    /// What the last commit holds.
    committed: u64,
}

impl TextIndex {
    /// Opens the index in a folder, or makes one; one that cannot be used is emptied first.
    ///
    /// The cipher seals every file.
    pub fn open(folder: &Path, cipher: Cipher) -> Result<Self, TextError> {
        let opened = folder::open(folder, &Arc::new(cipher))?;
        Ok(Self {
            directory: opened.directory,
            writer: Mutex::new(Writer {
                engine: opened.writer,
                cursor: opened.cursor,
                committed: opened.cursor,
            }),
            shown: Mutex::new(Shown {
                searcher: opened.reader.searcher(),
                fresh: Fresh::default(),
            }),
            reader: opened.reader,
            fields: opened.fields,
            unpacked: Unpacked::default(),
            sheets: Sheets::default(),
            changes: AtomicU64::new(0),
            visible: AtomicU64::new(0),
            kept: AtomicU64::new(0),
            applied: AtomicU64::new(opened.cursor),
            saved: AtomicU64::new(opened.cursor),
            was_reset: opened.was_reset,
        })
    }

    /// Returns the log position up to which every change is durable in the index.
    pub fn cursor(&self) -> u64 {
        let applied = self.applied.load(Ordering::Acquire);
        if self.is_kept() {
            applied
        } else {
            self.saved.load(Ordering::Acquire)
        }
    }

    /// Returns whether opening found an unusable index and emptied it: rebuild it from the log.
    pub fn was_reset(&self) -> bool {
        self.was_reset
    }

    /// Returns the number of documents that searches see without a filter.
    pub fn len(&self) -> u64 {
        let shown = self.shown();
        shown.searcher.num_docs() + u64::try_from(shown.fresh.len()).unwrap_or(u64::MAX)
    }

    /// Returns whether searches see no document.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Takes changes up to the log position `cursor`; an upsert replaces what its slot had.
    ///
    /// Searches that begin afterwards see them; they are durable after the next flush.
    pub fn apply(
        &self,
        upserts: &[TextDoc],
        deletes: &[Slot],
        cursor: u64,
    ) -> Result<(), TextError> {
        let mut writer = self.lock();
        if upserts.is_empty() && deletes.is_empty() {
            writer.cursor = cursor;
            self.applied.store(cursor, Ordering::Release);
            return Ok(());
        }
        // Counted first: should the engine fail half way, what it took is committed with the old
        // cursor, and the caller's repetition replaces it.
        self.changes.fetch_add(1, Ordering::AcqRel);
        let taken = self.hand_over(&writer.engine, upserts, deletes);
        if taken.is_err() {
            self.shown().fresh = Fresh::Much;
        }
        taken?;
        writer.cursor = cursor;
        self.applied.store(cursor, Ordering::Release);
        Ok(())
    }

    /// Gives changes to the engine, and takes them in for those who search before it commits.
    fn hand_over(
        &self,
        engine: &IndexWriter,
        upserts: &[TextDoc],
        deletes: &[Slot],
    ) -> Result<(), TextError> {
        let term = |slot: Slot| Term::from_field_u64(self.fields.slot, slot.0);
        for slot in deletes {
            engine.delete_term(term(*slot));
        }
        for doc in upserts {
            engine.delete_term(term(doc.slot));
            engine.add_document(self.fields.document(doc))?;
        }
        // Nobody commits meanwhile, so what is looked up here stays so.
        let (searcher, mut is_new) = {
            let shown = self.shown();
            let has_room = shown.fresh.has_room(upserts, deletes);
            (shown.searcher.clone(), has_room)
        };
        let upserted = upserts.iter().map(|doc| doc.slot);
        for slot in upserted.chain(deletes.iter().copied()) {
            is_new = is_new && searcher.doc_freq(&term(slot))? == 0;
        }
        let fresh = &mut self.shown().fresh;
        if is_new {
            fresh.take_in(upserts, deletes);
        } else {
            *fresh = Fresh::Much;
        }
        Ok(())
    }

    /// Tells whether the next search has to commit first.
    pub fn is_behind(&self) -> bool {
        matches!(self.shown().fresh, Fresh::Much)
    }

    /// Makes all applied changes durable.
    pub fn flush(&self) -> Result<(), TextError> {
        let changes = self.changes.load(Ordering::Acquire);
        let applied = self.applied.load(Ordering::Acquire);
        let behind = applied.saturating_sub(self.saved.load(Ordering::Acquire));
        if self.is_kept() && behind < UNSAVED_MAX {
            return Ok(());
        }
        let cursor = self.commit(true)?;
        self.directory.save()?;
        self.saved.store(cursor, Ordering::Release);
        self.kept.store(changes, Ordering::Release);
        Ok(())
    }

    /// Tells whether every change is durable.
    fn is_kept(&self) -> bool {
        self.kept.load(Ordering::Acquire) == self.changes.load(Ordering::Acquire)
    }

    /// Makes all applied changes visible, without waiting for the disk, and returns up to where;
    /// if need be, even where only the position changed.
    fn commit(&self, position: bool) -> Result<u64, TextError> {
        let mut writer = self.lock();
        // Of several callers who saw the same changes, the first commits for all.
        let changes = self.changes.load(Ordering::Acquire);
        let is_new = self.visible.load(Ordering::Acquire) != changes;
        if is_new || (position && writer.committed != writer.cursor) {
            let cursor = writer.cursor;
            let mut commit = writer.engine.prepare_commit()?;
            commit.set_payload(&folder::payload(cursor));
            commit.commit()?;
            self.reader.reload()?;
            *self.shown() = Shown {
                searcher: self.reader.searcher(),
                fresh: Fresh::default(),
            };
            writer.committed = cursor;
            self.visible.store(changes, Ordering::Release);
        }
        Ok(writer.committed)
    }

    /// Forgets all documents and starts again at log position 0. Reads nothing of the old ones, so
    /// it mends a damaged index.
    pub fn clear(&self) -> Result<(), TextError> {
        let mut writer = self.lock();
        self.changes.fetch_add(1, Ordering::AcqRel);
        self.shown().fresh = Fresh::Much;
        self.directory.make_folder()?;
        writer.engine.rollback()?;
        writer.engine.delete_all_documents()?;
        writer.cursor = 0;
        self.applied.store(0, Ordering::Release);
        drop(writer);
        self.flush()
    }

    /// Returns the best hits among the allowed slots, best first; of a short query, those with all
    /// words come first.
    ///
    /// Documents that lie beside the allowed ones count as if they were in this index; no slot may be
    /// in both.
    pub fn search(
        &self,
        query: &TextQuery,
        allowed: Option<&SlotSet>,
        aside: Option<&TextAside>,
        limit: usize,
    ) -> Result<TextFound, TextError> {
        let limit = limit.min(HITS_MAX);
        if query.is_empty() || limit == 0 {
            return Ok(TextFound::default());
        }
        let (searcher, fresh) = self.up_to_date()?;
        let mut view = View::new(&searcher, allowed, self.fields.body, &self.unpacked)?;
        view.add_fresh(&fresh);
        if let Some(aside) = aside {
            view.add(aside, self.fields.body)?;
        }
        if view.count == 0 {
            return Ok(TextFound::default());
        }
        let mut sheets = self.sheets.take(&view);
        let plan = Plan::new(&view, &self.fields, &query.units, limit, &mut sheets)?;
        self.sheets.give_back(sheets);
        let places = plan.run(&view, limit);
        Ok(TextFound { plan, places })
    }

    /// Returns what searches see, with every change that was applied before.
    fn up_to_date(&self) -> Result<(Searcher, Arc<SmallIndex>), TextError> {
        let seen = |shown: &mut Shown| (shown.searcher.clone(), shown.fresh.index());
        if let (searcher, Some(fresh)) = seen(&mut self.shown()) {
            return Ok((searcher, fresh));
        }
        self.commit(false)?;
        // Should more have come meanwhile that takes a commit, it came after this search began.
        let (searcher, fresh) = seen(&mut self.shown());
        Ok((searcher, fresh.unwrap_or_default()))
    }

    /// Reads every page of the files that searches use; returns how many there are, and those that do
    /// not read.
    pub fn scrub(&self) -> Result<(u64, Vec<PathBuf>), TextError> {
        let metas = self.reader.searcher().index().load_metas()?;
        Ok(self.directory.scrub(&metas.list_segment_files())?)
    }

    /// Held for no longer than it takes to index a few documents, and no file is read meanwhile.
    fn shown(&self) -> MutexGuard<'_, Shown> {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A panic elsewhere cannot leave the writer half changed: the engine checks its own state.
    fn lock(&self) -> MutexGuard<'_, Writer> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for TextIndex {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut debug = f.debug_struct("TextIndex");
        debug
            .field("cursor", &self.cursor())
            .field("documents", &self.len());
        debug.finish_non_exhaustive()
    }
}

#[cfg(test)]
mod flips;
#[cfg(test)]
mod tests;
