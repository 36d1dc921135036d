//! The file of a blob: its name, and where what lies in it.
//!
//! ```text
//! version (1) id (16) | sealed chunk | sealed chunk | .. | sealed outline | its length (4)
//! ```
//!
//! A file that is not whole ends after any chunk. Invariant: every chunk but the last takes
//! [`SLOT_BYTES`], so a place is a multiplication.

use super::BlobError;
use crate::cipher::{Cipher, SEAL_BYTES, fill_random};
use crate::kv::sealed::OpaqueKey;
use crdt::blob::CHUNK_BYTES;
use crdt::hash::Hash;
use std::ffi::OsStr;
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

/// The version of the format.
const VERSION: u8 = 1;
/// Bytes of the random id that binds chunks to their file.
const ID_BYTES: usize = 16;
/// Bytes in front of the chunks.
pub(super) const HEAD_BYTES: u64 = 1 + ID_BYTES as u64;
/// Bytes of a sealed chunk.
pub(super) const SLOT_BYTES: u64 = (CHUNK_BYTES + SEAL_BYTES) as u64;
/// Bytes of the length at the end.
pub(super) const LENGTH_BYTES: u64 = 4;

/// What state a file is in, which its ending tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    /// It is whole.
    Whole,
    /// It is being fetched.
    Part,
    /// It is being uploaded; its name says nothing.
    New,
}

/// The name of a file: a keyed hash, so that it does not tell what the blob is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Name([u8; 16]);

impl Name {
    pub(super) fn of(names: &OpaqueKey, blob: Hash) -> Self {
        Self(names.opaque(&[b"blob ".as_slice(), &blob.0].concat()))
    }
    pub(super) fn random() -> Result<Self, BlobError> {
        let mut name = [0; 16];
        fill_random(&mut name)?;
        Ok(Self(name))
    }
    pub(super) fn file(self, kind: Kind) -> String {
        let name = data_encoding::HEXLOWER.encode(&self.0);
        match kind {
            Kind::Whole => name,
            Kind::Part => format!("{name}.part"),
            Kind::New => format!("{name}.new"),
        }
    }
    pub(super) fn parse(file: &OsStr) -> Option<(Self, Kind)> {
        let file = file.to_str()?;
        let (name, kind) = match file.split_once('.') {
            None => (file, Kind::Whole),
            Some((name, "part")) => (name, Kind::Part),
            Some((name, "new")) => (name, Kind::New),
            Some(_) => return None,
        };
        let name = data_encoding::HEXLOWER.decode(name.as_bytes()).ok()?;
        Some((Self(name.try_into().ok()?), kind))
    }
}

/// The random id of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Id([u8; ID_BYTES]);

impl Id {
    /// Returns what a chunk is bound to.
    fn place(self, index: u32) -> Vec<u8> {
        [b"chunk".as_slice(), &self.0, &index.to_le_bytes()].concat()
    }
    pub(super) fn seal(
        self,
        cipher: &Cipher,
        index: u32,
        chunk: &[u8],
    ) -> Result<Vec<u8>, BlobError> {
        Ok(cipher.seal(&self.place(index), chunk)?)
    }
    /// Opens a sealed chunk; none if it is not what was written there.
    pub(super) fn open(self, cipher: &Cipher, index: u32, sealed: &[u8]) -> Option<Vec<u8>> {
        cipher.open(&self.place(index), sealed).ok()
    }
}

/// Returns what an outline is bound to.
pub(super) fn outline_place(blob: Hash) -> Vec<u8> {
    [b"outline".as_slice(), &blob.0].concat()
}

/// Makes a file that must not be there yet, with a new id.
pub(super) fn create(path: &Path) -> Result<(File, Id), BlobError> {
    let mut id = [0; ID_BYTES];
    fill_random(&mut id)?;
    let mut options = OpenOptions::new();
    options.read(true).write(true).create_new(true).mode(0o600);
    let mut file = options.open(path)?;
    file.write_all(&[[VERSION].as_slice(), &id].concat())?;
    Ok((file, Id(id)))
}

/// Reads the head of a file; none if it has none of ours.
pub(super) fn read_head(mut file: &File) -> io::Result<Option<Id>> {
    let mut head = [0; 1 + ID_BYTES];
    match file.read_exact(&mut head) {
        Ok(()) => {
            let [version, id @ ..] = head;
            Ok((version == VERSION).then_some(Id(id)))
        }
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
        Err(error) => Err(error),
    }
}

/// Returns where a chunk begins.
pub(super) fn place_of(index: u32) -> u64 {
    HEAD_BYTES + u64::from(index) * SLOT_BYTES
}

/// Returns how many whole slots a file of so many bytes has.
pub(super) fn chunks_in(bytes: u64) -> u32 {
    u32::try_from(bytes.saturating_sub(HEAD_BYTES) / SLOT_BYTES).unwrap_or(u32::MAX)
}
