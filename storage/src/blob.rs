//! Blobs at rest: the bytes of attachments, in sealed chunks, one file each, beside the store.
//!
//! ```text
//! upload  Blobs::upload -> Upload::write .. -> finish -> file, synced, in its place -> Pin
//! fetch   Blobs::fetch(hash, outline) -> Fetch::put(chunk) .. -> finish -> the same
//! read    Blobs::read(hash) -> Reader::chunk(index), each checked
//! sweep   what no memory refers to is removed
//! ```
//!
//! A file is named by a keyed hash of the blob's hash and holds a version byte, a random id, the
//! chunks, each sealed for its place in this file, and at its end the sealed
//! [`Outline`](crdt::blob::Outline), bound to the blob's hash. Blobs are never whole in memory.
//!
//! It is not about who may have which blob, and knows no memory: who uploads holds a [`Pin`] until
//! a memory refers to the blob, so that no sweep comes in between.
//!
//! Invariant: what lies in its place is whole and was synced before it got there; what is read is
//! what has that hash, or a named damage.

mod fetch;
mod file;
mod read;
mod shelf;
#[cfg(test)]
mod tests;
mod upload;

pub use fetch::Fetch;
pub use read::Reader;
pub use shelf::Pin;
pub use upload::{Kept, Upload};

use crate::cipher::{Cipher, CipherError, Context, MasterKey};
use crate::kv::sealed::OpaqueKey;
use crdt::hash::Hash;
use file::{Name, chunks_in};
use shelf::Shelf;
use std::collections::BTreeSet;
use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use thiserror::Error;

/// The reason why a blob was not kept, fetched or read.
#[derive(Debug, Error)]
pub enum BlobError {
    /// The disk is full.
    #[error("the disk is full")]
    DiskFull,
    /// The file system failed.
    #[error("a blob's file cannot be used: {0}")]
    Io(#[source] io::Error),
    /// It is larger than the limit.
    #[error("it has more than {limit} bytes")]
    TooLarge {
        /// The limit in bytes.
        limit: u64,
    },
    /// The file is not what was written.
    #[error("the blob {blob} is damaged{}", .chunk.map_or_else(String::new, |n| format!(" in chunk {n}")))]
    Damaged {
        /// Which blob.
        blob: Hash,
        /// Which chunk; none if it is the outline at the end.
        chunk: Option<u32>,
    },
    /// An outline is not that of the blob.
    #[error("the outline is not that of the blob {0}")]
    WrongOutline(Hash),
    /// Bytes are not the next chunk of the blob.
    #[error("these bytes are not chunk {chunk} of the blob {blob}")]
    WrongChunk {
        /// Which blob.
        blob: Hash,
        /// Which chunk was expected.
        chunk: u32,
    },
    /// Another fetch of the same blob is at work.
    #[error("the blob {0} is being fetched already")]
    Fetching(Hash),
    /// The system gave no randomness.
    #[error("no randomness from the system")]
    Entropy,
}

impl From<io::Error> for BlobError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::DiskFull,
            _ => Self::Io(error),
        }
    }
}

impl From<CipherError> for BlobError {
    fn from(error: CipherError) -> Self {
        match error {
            CipherError::Entropy(_) => Self::Entropy,
            CipherError::Refused => Self::Io(io::Error::other("sealing was refused")),
        }
    }
}

/// How much of a blob is here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    /// All of it.
    Whole,
    /// So many chunks from its beginning.
    Chunks(u32),
}

/// All blobs of a node.
#[derive(Debug)]
pub struct Blobs {
    folder: PathBuf,
    cipher: Cipher,
    names: OpaqueKey,
    shelf: Mutex<Shelf>,
    /// One sweep at a time.
    sweeping: Mutex<()>,
}

impl Blobs {
    /// Opens the folder of blobs; what an upload left that did not end is removed.
    pub fn open(folder: &Path, master: &MasterKey) -> Result<Arc<Self>, BlobError> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)?;
        let mut shelf = Shelf::default();
        for item in fs::read_dir(folder)? {
            let item = item?;
            let bytes = item.metadata()?.len();
            match Name::parse(&item.file_name()) {
                Some((name, file::Kind::Whole)) => shelf.enter(name),
                Some((name, file::Kind::Part)) => shelf.set_partial(name, chunks_in(bytes)),
                Some((_, file::Kind::New)) => fs::remove_file(item.path())?,
                None => tracing::warn!("a file in the folder of blobs is none of ours"),
            }
        }
        Ok(Arc::new(Self {
            folder: folder.to_owned(),
            cipher: Cipher::new(master, Context::Blobs),
            names: OpaqueKey::new(master),
            shelf: Mutex::new(shelf),
            sweeping: Mutex::new(()),
        }))
    }

    fn shelf(&self) -> MutexGuard<'_, Shelf> {
        self.shelf.lock().unwrap_or_else(PoisonError::into_inner)
    }
    fn name(&self, blob: Hash) -> Name {
        Name::of(&self.names, blob)
    }
    fn path(&self, name: Name, kind: file::Kind) -> PathBuf {
        self.folder.join(name.file(kind))
    }
    /// Makes a rename durable.
    fn sync_folder(&self) -> Result<(), BlobError> {
        Ok(File::open(&self.folder)?.sync_all()?)
    }

    /// Tells how much of a blob is here.
    pub fn presence(&self, blob: Hash) -> Presence {
        self.shelf().presence(self.name(blob))
    }
    /// Tells whether a blob is here, whole.
    pub fn holds(&self, blob: Hash) -> bool {
        self.presence(blob) == Presence::Whole
    }

    /// Begins to take in bytes from this machine, at most `limit`.
    pub fn upload(self: &Arc<Self>, limit: u64) -> Result<Upload, BlobError> {
        Upload::begin(self, limit)
    }
    /// Begins, or goes on, to take in a blob from elsewhere; what is here of it is checked first.
    pub fn fetch(
        self: &Arc<Self>,
        blob: Hash,
        outline: crdt::blob::Outline,
    ) -> Result<Fetch, BlobError> {
        Fetch::begin(self, blob, outline)
    }
    /// Opens a blob; none if it is not here.
    pub fn read(self: &Arc<Self>, blob: Hash) -> Result<Option<Reader>, BlobError> {
        Reader::open(self, blob)
    }

    /// Removes the files of all blobs but the `wanted` ones and those that are pinned. Returns how
    /// many were removed.
    ///
    /// `wanted` is asked after the files were listed: what is referred to between the two is kept.
    pub fn sweep(&self, wanted: impl FnOnce() -> BTreeSet<Hash>) -> Result<u32, BlobError> {
        let _one = self.sweeping.lock().unwrap_or_else(PoisonError::into_inner);
        let listed = self.shelf().begin_sweep();
        let wanted: BTreeSet<Name> = wanted().into_iter().map(|blob| self.name(blob)).collect();
        let mut removed = 0;
        for (name, kind) in listed
            .into_iter()
            .filter(|(name, _)| !wanted.contains(name))
        {
            // Under the lock, so that nobody pins it meanwhile.
            let mut shelf = self.shelf();
            if shelf.is_touched(name) {
                continue;
            }
            match fs::remove_file(self.path(name, kind)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
                _ => removed += 1,
            }
            shelf.leave(name, kind);
        }
        if removed > 0 {
            self.sync_folder()?;
        }
        Ok(removed)
    }
}
