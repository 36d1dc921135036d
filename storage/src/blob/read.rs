//! Reading: one chunk at a time, opened and compared with the outline.

use super::file::{self, Kind, LENGTH_BYTES, place_of};
use super::{BlobError, Blobs, Presence};
use crate::cipher::SEAL_BYTES;
use crdt::blob::{BLOB_BYTES_MAX, Outline, chunks_of};
use crdt::codec::Canonical as _;
use crdt::hash::Hash;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;

/// The longest sealed outline.
const OUTLINE_BYTES_MAX: u64 = 8 + 32 * chunks_max() + SEAL_BYTES as u64;

const fn chunks_max() -> u64 {
    BLOB_BYTES_MAX.div_ceil(crdt::blob::CHUNK_BYTES as u64)
}

/// A blob that is open. It stays readable if the file is swept meanwhile.
#[derive(Debug)]
pub struct Reader {
    blobs: Arc<Blobs>,
    blob: Hash,
    file: File,
    id: file::Id,
    outline: Outline,
}

impl Reader {
    pub(super) fn open(blobs: &Arc<Blobs>, blob: Hash) -> Result<Option<Self>, BlobError> {
        if blobs.presence(blob) != Presence::Whole {
            return Ok(None);
        }
        let file = match File::open(blobs.path(blobs.name(blob), Kind::Whole)) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let damaged = BlobError::Damaged { blob, chunk: None };
        let Some(id) = file::read_head(&file)? else {
            return Err(damaged);
        };
        match read_outline(blobs, blob, &file)? {
            Some(outline) => Ok(Some(Self {
                blobs: Arc::clone(blobs),
                blob,
                file,
                id,
                outline,
            })),
            None => Err(damaged),
        }
    }

    /// Returns the outline of the blob.
    pub fn outline(&self) -> &Outline {
        &self.outline
    }

    /// Returns a chunk; an index beyond the last is no chunk of any blob, so it is damage too.
    pub fn chunk(&self, index: u32) -> Result<Vec<u8>, BlobError> {
        let damaged = || BlobError::Damaged {
            blob: self.blob,
            chunk: Some(index),
        };
        let length = self.outline.chunk_bytes(index).ok_or_else(damaged)?;
        let mut sealed = vec![0; length + SEAL_BYTES];
        match self.file.read_exact_at(&mut sealed, place_of(index)) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Err(damaged()),
            read => read?,
        }
        let chunk = self.id.open(&self.blobs.cipher, index, &sealed);
        chunk
            .filter(|chunk| self.outline.fits(index, chunk))
            .ok_or_else(damaged)
    }
}

/// Reads the outline at the end of a file; none if it is not that of the blob.
fn read_outline(blobs: &Blobs, blob: Hash, file: &File) -> io::Result<Option<Outline>> {
    let end = file.metadata()?.len();
    let Some(at) = end.checked_sub(LENGTH_BYTES) else {
        return Ok(None);
    };
    let mut length = [0; 4];
    file.read_exact_at(&mut length, at)?;
    let length = u64::from(u32::from_le_bytes(length));
    let Some(start) = at
        .checked_sub(length)
        .filter(|_| length <= OUTLINE_BYTES_MAX)
    else {
        return Ok(None);
    };
    let mut sealed = vec![0; usize::try_from(length).unwrap_or_default()];
    file.read_exact_at(&mut sealed, start)?;
    let opened = blobs.cipher.open(&file::outline_place(blob), &sealed);
    let outline = opened
        .ok()
        .and_then(|bytes| Outline::from_bytes(&bytes).ok())
        .filter(|outline| outline.root() == blob);
    Ok(outline.filter(|outline| start == end_of_chunks(outline)))
}

/// Returns where the chunks end in a whole file.
fn end_of_chunks(outline: &Outline) -> u64 {
    let seals = chunks_of(outline.bytes()) * SEAL_BYTES as u64;
    file::HEAD_BYTES + outline.bytes() + seals
}
