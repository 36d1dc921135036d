//! Opening the index folder: as it is if it can be used, otherwise emptied.
//!
//! A folder is used when its schema, the format in its last commit's payload, and every page of
//! every file are right. The kernel's lock is taken before anything is deleted, so a folder that
//! another process uses is never emptied.

use std::path::Path;
use std::sync::Arc;

use tantivy::directory::error::LockError;
use tantivy::directory::{Directory as _, INDEX_WRITER_LOCK};
use tantivy::indexer::IndexWriterOptions;
use tantivy::schema::Schema;
use tantivy::{Index, IndexReader, IndexSettings, IndexWriter, ReloadPolicy, TantivyError};

use super::directory::SealedDirectory;
use super::schema::Fields;
use super::{TextError, analysis};
use crate::cipher::Cipher;

/// The format of documents and analysis; to raise it rebuilds every index.
const FORMAT: &str = "brain-text-4";

/// Memory for uncommitted documents; beyond it the engine writes a segment early.
const WRITER_BYTES: usize = 16 << 20;

pub(super) struct Opened {
    pub(super) directory: SealedDirectory,
    pub(super) writer: IndexWriter,
    pub(super) reader: IndexReader,
    pub(super) fields: Fields,
    pub(super) cursor: u64,
    pub(super) was_reset: bool,
}

/// Returns the payload that commits the cursor together with the documents.
pub(super) fn payload(cursor: u64) -> String {
    format!("{FORMAT} {cursor}")
}

pub(super) fn open(folder: &Path, cipher: &Arc<Cipher>) -> Result<Opened, TextError> {
    std::fs::create_dir_all(folder)?;
    let directory = SealedDirectory::new(folder, Arc::clone(cipher));
    // Taken and released here, then again by the writer: the check is for the emptying below.
    let lock = directory
        .acquire_lock(&INDEX_WRITER_LOCK)
        .map_err(lock_error)?;
    let (schema, fields) = Fields::build();
    let usable = if is_fresh(folder)? {
        None
    } else {
        usable(&directory, &schema)
    };
    let was_reset = usable.is_none() && !is_fresh(folder)?;
    let (directory, index, cursor) = if let Some((index, cursor)) = usable {
        directory.sweep(&index.load_metas()?.list_segment_files())?;
        (directory, index, cursor)
    } else {
        empty(folder)?;
        // A new handle: the old one remembers the files that are gone.
        let directory = SealedDirectory::new(folder, Arc::clone(cipher));
        let index = Index::create(directory.clone(), schema, IndexSettings::default())?;
        (directory, index, 0)
    };
    drop(lock);
    analysis::register(index.tokenizers());
    let options = IndexWriterOptions::builder()
        .num_worker_threads(1)
        .num_merge_threads(1)
        .memory_budget_per_thread(WRITER_BYTES)
        .build();
    let writer = index.writer_with_options(options).map_err(engine_error)?;
    // The engine would give its first change the number of the last commit. A merge takes that
    // change for part of the commit, skips it where the commit deleted something, and loses it. So
    // the number goes to a change of nothing.
    writer.run([])?;
    let reader = index
        .reader_builder()
        .reload_policy(ReloadPolicy::Manual)
        .try_into()?;
    Ok(Opened {
        directory,
        writer,
        reader,
        fields,
        cursor,
        was_reset,
    })
}

/// Returns the index and its cursor, or nothing if any part of it is not as it should be.
pub(super) fn usable(directory: &SealedDirectory, schema: &Schema) -> Option<(Index, u64)> {
    let opened = Index::open(directory.clone()).and_then(|index| {
        let meta = index.load_metas()?;
        // Seals say more than the engine's own sums, and are checked a page at a time.
        let (_, damaged) = directory.scrub(&meta.list_segment_files())?;
        let readable = index.reader().map(drop);
        readable.map(|()| (index, meta, damaged))
    });
    let (index, meta, damaged) = match opened {
        Ok(opened) => opened,
        Err(error) => {
            tracing::warn!(%error, "text index cannot be opened and will be rebuilt");
            return None;
        }
    };
    let cursor = match &meta.payload {
        Some(payload) => payload.strip_prefix(FORMAT)?.trim_start().parse().ok()?,
        None if meta.segments.is_empty() => 0,
        None => return None,
    };
    (index.schema() == *schema && damaged.is_empty()).then_some((index, cursor))
}

/// Returns whether the folder holds nothing but lock files.
fn is_fresh(folder: &Path) -> Result<bool, TextError> {
    for entry in std::fs::read_dir(folder)? {
        if !is_lock(&entry?.path()) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Deletes the files of the folder, except locks: another process must meet the same lock file.
fn empty(folder: &Path) -> Result<(), TextError> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if !is_lock(&path) && path.is_file() {
            std::fs::remove_file(path)?;
        }
    }
    Ok(())
}

fn is_lock(path: &Path) -> bool {
    path.extension()
        .is_some_and(|extension| extension == "lock")
}

fn lock_error(error: LockError) -> TextError {
    match error {
        LockError::LockBusy => TextError::Locked,
        error @ LockError::IoError(_) => TantivyError::LockFailure(error, None).into(),
    }
}

fn engine_error(error: TantivyError) -> TextError {
    match error {
        TantivyError::LockFailure(error, _) => lock_error(error),
        error => error.into(),
    }
}
