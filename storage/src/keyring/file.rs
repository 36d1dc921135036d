//! Files with secrets: for the owner alone, and replaced whole or not at all.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::KeyringError;

/// Longest secret file in bytes.
const FILE_BYTES_MAX: u64 = 1024 * 1024;

/// Creates a folder for its owner alone, or checks that an existing one is.
pub(super) fn create_private_folder(folder: &Path) -> Result<(), KeyringError> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .map_err(at(folder))?;
    check_private(folder)
}

/// Refuses a file or folder that others than the owner may read or write.
pub(super) fn check_private(path: &Path) -> Result<(), KeyringError> {
    let metadata = path.metadata().map_err(at(path))?;
    check_mode(path, &metadata)
}

/// Refuses a place inside a folder, by whatever name it is called.
pub(super) fn check_outside(folder: &Path, place: &Path) -> Result<(), KeyringError> {
    let inner = place.parent().unwrap_or_else(|| Path::new("/"));
    let real = |path: &Path| path.canonicalize().map_err(at(path));
    if real(inner)?.starts_with(real(folder)?) {
        return Err(KeyringError::Inside {
            path: place.to_owned(),
        });
    }
    Ok(())
}

pub(super) fn exists(path: &Path) -> Result<bool, KeyringError> {
    path.try_exists().map_err(at(path))
}

/// Reads a file that only its owner may read.
pub(super) fn read_private(path: &Path) -> Result<Zeroizing<Vec<u8>>, KeyringError> {
    let file = File::open(path).map_err(at(path))?;
    // Asked of the open file, so that it cannot be exchanged in between.
    let metadata = file.metadata().map_err(at(path))?;
    check_mode(path, &metadata)?;
    let damaged = KeyringError::Damaged {
        path: path.to_owned(),
    };
    let len = metadata.len();
    if len > FILE_BYTES_MAX {
        return Err(damaged);
    }
    let capacity = usize::try_from(len).map_err(|_narrow| damaged)?;
    let mut bytes = Zeroizing::new(Vec::with_capacity(capacity + 1));
    file.take(len).read_to_end(&mut bytes).map_err(at(path))?;
    Ok(bytes)
}

/// Removes what a power cut left of an attempt to replace a file.
pub(super) fn forget_attempt(path: &Path) -> Result<(), KeyringError> {
    let beside = beside(path);
    match fs::remove_file(&beside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(at(&beside)(error)),
        _ => Ok(()),
    }
}

/// Writes a file beside its place, syncs it, renames it there, and syncs the folder.
pub(super) fn replace(path: &Path, bytes: &[u8]) -> Result<(), KeyringError> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    forget_attempt(path)?;
    let beside = beside(path);
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&beside)
        .map_err(at(&beside))?;
    file.write_all(bytes).map_err(at(&beside))?;
    file.sync_all().map_err(at(&beside))?;
    fs::rename(&beside, path).map_err(at(path))?;
    let folder_file = File::open(folder).map_err(at(folder))?;
    folder_file.sync_all().map_err(at(folder))
}

fn beside(path: &Path) -> PathBuf {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    beside.into()
}

fn check_mode(path: &Path, metadata: &fs::Metadata) -> Result<(), KeyringError> {
    let mode = metadata.permissions().mode() & 0o7777;
    if mode & 0o077 != 0 {
        return Err(KeyringError::Exposed {
            path: path.to_owned(),
            mode,
        });
    }
    Ok(())
}

fn at(path: &Path) -> impl FnOnce(io::Error) -> KeyringError {
    let path = path.to_owned();
    move |source| KeyringError::Io { path, source }
}
