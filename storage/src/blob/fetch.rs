//! Fetching: chunks from elsewhere, each checked before it is kept, from where it was cut off.
//!
//! The file lies beside its place under its own name with an ending, so that a later fetch finds
//! it. What it holds is read and checked against the outline first: a torn end is cut off.

use super::file::{self, Kind, Name, SLOT_BYTES, chunks_in, place_of};
use super::shelf::Pin;
use super::upload::settle;
use super::{BlobError, Blobs};
use crdt::blob::Outline;
use crdt::hash::Hash;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;
use std::sync::Arc;

/// Chunks between two syncs (4 MiB): what a power cut can cost of a fetch.
const CHUNKS_PER_SYNC: u32 = 16;

/// A blob that is being fetched. Dropped before its end, it can be gone on with.
#[derive(Debug)]
pub struct Fetch {
    blobs: Arc<Blobs>,
    blob: Hash,
    name: Name,
    file: File,
    path: PathBuf,
    id: file::Id,
    outline: Outline,
    next: u32,
}

impl Fetch {
    pub(super) fn begin(
        blobs: &Arc<Blobs>,
        blob: Hash,
        outline: Outline,
    ) -> Result<Self, BlobError> {
        if outline.root() != blob {
            return Err(BlobError::WrongOutline(blob));
        }
        let name = blobs.name(blob);
        if !blobs.shelf().begin_fetch(name) {
            return Err(BlobError::Fetching(blob));
        }
        let path = blobs.path(name, Kind::Part);
        let opened = open(&path).and_then(|(file, id)| {
            let kept = check(blobs, &file, id, &outline)?;
            file.set_len(place_of(kept))?;
            (&file).seek(SeekFrom::End(0))?;
            Ok((file, id, kept))
        });
        let (file, id, next) = opened.inspect_err(|_| blobs.shelf().end_fetch(name))?;
        blobs.shelf().set_partial(name, next);
        Ok(Self {
            blobs: Arc::clone(blobs),
            blob,
            name,
            file,
            path,
            id,
            outline,
            next,
        })
    }

    /// Returns the chunk that is missing next; none if all are here.
    pub fn next(&self) -> Option<u32> {
        (self.next < self.outline.chunks()).then_some(self.next)
    }

    /// Keeps the next chunk, if it is that.
    pub fn put(&mut self, index: u32, chunk: &[u8]) -> Result<(), BlobError> {
        if index != self.next || !self.outline.fits(index, chunk) {
            return Err(BlobError::WrongChunk {
                blob: self.blob,
                chunk: self.next,
            });
        }
        let sealed = self.id.seal(&self.blobs.cipher, index, chunk)?;
        self.file.write_all(&sealed)?;
        self.next += 1;
        if self.next.is_multiple_of(CHUNKS_PER_SYNC) {
            self.file.sync_data()?;
        }
        self.blobs.shelf().set_partial(self.name, self.next);
        Ok(())
    }

    /// Makes a blob of which all chunks are here durable, in its place.
    pub fn finish(self) -> Result<Pin, BlobError> {
        if let Some(chunk) = self.next() {
            let blob = self.blob;
            return Err(BlobError::WrongChunk { blob, chunk });
        }
        settle(
            &self.blobs,
            &self.file,
            &self.path,
            (self.blob, &self.outline),
        )
    }
}

impl Drop for Fetch {
    fn drop(&mut self) {
        self.blobs.shelf().end_fetch(self.name);
    }
}

/// Opens what an earlier fetch left, or a new file.
fn open(path: &std::path::Path) -> Result<(File, file::Id), BlobError> {
    match OpenOptions::new().read(true).write(true).open(path) {
        Ok(file) => {
            if let Some(id) = file::read_head(&file)? {
                return Ok((file, id));
            }
            fs::remove_file(path)?;
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error.into()),
    }
    file::create(path)
}

/// Returns how many chunks from the beginning are what the outline says.
fn check(blobs: &Blobs, file: &File, id: file::Id, outline: &Outline) -> Result<u32, BlobError> {
    let mut sealed = vec![0; usize::try_from(SLOT_BYTES).unwrap_or_default()];
    // The last chunk may be shorter; it is fetched again rather than guessed at.
    let there = chunks_in(file.metadata()?.len()).min(outline.chunks());
    for index in 0..there {
        file.read_exact_at(&mut sealed, place_of(index))?;
        let chunk = id.open(&blobs.cipher, index, &sealed);
        if !chunk.is_some_and(|chunk| outline.fits(index, &chunk)) {
            return Ok(index);
        }
    }
    Ok(there)
}
