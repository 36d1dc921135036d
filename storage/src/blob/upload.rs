//! Uploading: bytes from this machine, sealed chunk by chunk as they come.
//!
//! The hash is known at the end only, so the file lies under a random name until then.

use super::file::{self, Kind, Name};
use super::shelf::Pin;
use super::{BlobError, Blobs};
use crdt::blob::{BLOB_BYTES_MAX, CHUNK_BYTES, Measure, Outline};
use crdt::codec::Canonical as _;
use crdt::hash::Hash;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Bytes that are being taken in. Dropped before its end, it leaves nothing.
#[derive(Debug)]
pub struct Upload {
    blobs: Arc<Blobs>,
    file: File,
    path: PathBuf,
    id: file::Id,
    limit: u64,
    bytes: u64,
    index: u32,
    /// Bytes of the chunk that is not full.
    chunk: Vec<u8>,
    measure: Measure,
}

/// A blob that is kept.
#[derive(Debug)]
pub struct Kept {
    /// Its hash.
    pub hash: Hash,
    /// How many bytes it has.
    pub bytes: u64,
    /// Keeps it until a memory refers to it.
    pub pin: Pin,
}

impl Upload {
    pub(super) fn begin(blobs: &Arc<Blobs>, limit: u64) -> Result<Self, BlobError> {
        let path = blobs.path(Name::random()?, Kind::New);
        let (file, id) = file::create(&path)?;
        Ok(Self {
            blobs: Arc::clone(blobs),
            file,
            path,
            id,
            limit: limit.min(BLOB_BYTES_MAX),
            bytes: 0,
            index: 0,
            chunk: Vec::with_capacity(CHUNK_BYTES),
            measure: Measure::default(),
        })
    }

    /// Takes the next bytes.
    pub fn write(&mut self, mut bytes: &[u8]) -> Result<(), BlobError> {
        self.bytes += bytes.len() as u64;
        if self.bytes > self.limit {
            return Err(BlobError::TooLarge { limit: self.limit });
        }
        while !bytes.is_empty() {
            let room = CHUNK_BYTES - self.chunk.len();
            let (now, later) = bytes.split_at(room.min(bytes.len()));
            self.chunk.extend_from_slice(now);
            bytes = later;
            if self.chunk.len() == CHUNK_BYTES {
                self.write_chunk()?;
            }
        }
        Ok(())
    }

    fn write_chunk(&mut self) -> Result<(), BlobError> {
        self.measure.push(&self.chunk);
        let sealed = self.id.seal(&self.blobs.cipher, self.index, &self.chunk)?;
        self.file.write_all(&sealed)?;
        self.index += 1;
        self.chunk.clear();
        Ok(())
    }

    /// Makes what was taken durable, in its place. Equal bytes are kept once.
    pub fn finish(mut self) -> Result<Kept, BlobError> {
        if !self.chunk.is_empty() {
            self.write_chunk()?;
        }
        let outline = std::mem::take(&mut self.measure).finish();
        let hash = outline.root();
        let pin = settle(&self.blobs, &self.file, &self.path, (hash, &outline))?;
        Ok(Kept {
            hash,
            bytes: outline.bytes(),
            pin,
        })
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        // Once it is in its place, nothing is left here.
        match fs::remove_file(&self.path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                tracing::warn!(%error, "what an upload left could not be removed");
            }
            _ => {}
        }
    }
}

/// Ends a file with its outline, syncs it, and puts it into its place.
pub(super) fn settle(
    blobs: &Arc<Blobs>,
    mut file: &File,
    path: &Path,
    (hash, outline): (Hash, &Outline),
) -> Result<Pin, BlobError> {
    let sealed = blobs
        .cipher
        .seal(&file::outline_place(hash), &outline.to_bytes())?;
    let length = u32::try_from(sealed.len()).unwrap_or(u32::MAX);
    file.write_all(&sealed)?;
    file.write_all(&length.to_le_bytes())?;
    file.sync_all()?;
    let name = blobs.name(hash);
    let pin = {
        // Under the lock: a sweep must see it pinned before it sees the file.
        let mut shelf = blobs.shelf();
        let pin = Pin::under(blobs, &mut shelf, name);
        // In place of one that is there: equal bytes are kept once, and a damaged file is mended.
        fs::rename(path, blobs.path(name, Kind::Whole))?;
        shelf.enter(name);
        pin
    };
    blobs.sync_folder()?;
    Ok(pin)
}
