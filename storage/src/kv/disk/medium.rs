//! What a store lies on: a file on a disk, or something that plays one.
//!
//! The engine reads and writes through the backend a medium opens, and the medium can open one
//! again after the first has failed. Tests put a faulty disk in this place.

use std::fmt::Debug;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use redb::StorageBackend;
use redb::backends::FileBackend;

use crate::kv::KvError;

use super::lock::LockFile;

/// Free space in bytes below which no commit is begun, so that the engine can still close and
/// reopen in an orderly way.
pub const SPACE_RESERVE_BYTES: u64 = 4 * 1024 * 1024;

/// Is a place the engine can be opened on, again and again.
pub trait Medium: Debug + Send + Sync {
    /// What the engine reads and writes.
    type Backend: StorageBackend;

    /// Opens the bytes; the backend opened before must be gone.
    fn open(&self) -> Result<Self::Backend, KvError>;

    /// Says whether a commit may be begun.
    fn ready(&self) -> Result<(), KvError>;

    /// Returns the bytes taken.
    fn bytes(&self) -> Result<u64, KvError>;
}

/// Is one file, locked for this process by a file beside it.
#[derive(Debug)]
pub struct FileMedium {
    path: PathBuf,
    folder: PathBuf,
    _lock: LockFile,
}

impl FileMedium {
    /// Locks a file, whether it exists or not.
    pub fn lock(path: &Path) -> Result<Self, KvError> {
        let folder = match path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
            _ => PathBuf::from("."),
        };
        let mut beside = path.as_os_str().to_owned();
        beside.push(".lock");
        Ok(Self {
            _lock: LockFile::take(Path::new(&beside))?,
            path: path.to_owned(),
            folder,
        })
    }
}

impl Medium for FileMedium {
    type Backend = FileBackend;

    fn open(&self) -> Result<FileBackend, KvError> {
        let new = !self.path.try_exists()?;
        let file = open_private(&self.path)?;
        if new {
            // A file whose name is not on the disk is lost with everything synced into it.
            File::open(&self.folder)?.sync_all()?;
        }
        FileBackend::new(file).map_err(|error| KvError::from(io::Error::other(error)))
    }

    fn ready(&self) -> Result<(), KvError> {
        let space = rustix::fs::statvfs(&self.folder).map_err(io::Error::from)?;
        if space.f_bavail.saturating_mul(space.f_frsize) < SPACE_RESERVE_BYTES {
            return Err(KvError::DiskFull);
        }
        Ok(())
    }

    fn bytes(&self) -> Result<u64, KvError> {
        Ok(self.path.metadata()?.len())
    }
}

/// Opens a file for reading and writing, creating it for the owner alone.
pub(super) fn open_private(path: &Path) -> Result<File, KvError> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
        .map_err(|error| refused(path, error))
}

/// Tells a place that may not be written from one that fails.
pub(super) fn refused(path: &Path, error: io::Error) -> KvError {
    match error.kind() {
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => KvError::ReadOnly {
            path: path.to_owned(),
        },
        _ => error.into(),
    }
}
