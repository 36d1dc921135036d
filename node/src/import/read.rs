//! Reads one file beneath the root: no link followed, nothing that blocks, not a byte too many.
//!
//! The walk and the reading are two moments, and whoever can write to the folder can swap a name
//! in between. So every part of the path is opened from the folder before it with `O_NOFOLLOW`,
//! the file without blocking, and its kind is asked of the open file. Length and time of change
//! are compared before and after, so that half of a save is never taken for a note.

use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::{Component, Path};
use std::time::UNIX_EPOCH;

use rustix::fs::{Mode, OFlags, openat};
use rustix::io::Errno;

use super::limits::Limits;
use super::skip::SkipReason;

/// The folder that everything is opened from.
#[derive(Debug)]
pub(super) struct Root {
    folder: OwnedFd,
}

/// The bytes of a file, and when it last changed.
#[derive(Debug)]
pub(super) struct FileBytes {
    pub(super) bytes: Vec<u8>,
    pub(super) modified_ms: u64,
}

const FOLDER: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);
const FILE: OFlags = OFlags::RDONLY
    .union(OFlags::NONBLOCK)
    .union(OFlags::NOCTTY)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);

impl Root {
    pub(super) fn open(folder: &Path) -> io::Result<Self> {
        let folder = rustix::fs::open(folder, FOLDER, Mode::empty())?;
        Ok(Self { folder })
    }

    pub(super) fn read(&self, relative: &Path, limits: &Limits) -> Result<FileBytes, SkipReason> {
        let file = self.open_file(relative).map_err(reason_of)?;
        read_stable(&file, &file, limits.file_bytes_max)
    }

    fn open_file(&self, relative: &Path) -> Result<File, Errno> {
        let mut inside: Option<OwnedFd> = None;
        let mut parts = relative.components().peekable();
        while let Some(part) = parts.next() {
            let Component::Normal(name) = part else {
                return Err(Errno::INVAL);
            };
            let flags = if parts.peek().is_some() { FOLDER } else { FILE };
            let at = inside
                .as_ref()
                .map_or_else(|| self.folder.as_fd(), OwnedFd::as_fd);
            let opened = openat(at, name, flags, Mode::empty())?;
            inside = Some(opened);
        }
        inside.map(File::from).ok_or(Errno::INVAL)
    }
}

/// Reads all of `reader`, which reads `file`, and checks that the file stood still meanwhile.
fn read_stable(file: &File, reader: impl Read, bytes_max: u64) -> Result<FileBytes, SkipReason> {
    let before = file.metadata().map_err(|error| reason_io(&error))?;
    if !before.is_file() {
        return Err(SkipReason::SpecialFile);
    }
    if before.len() > bytes_max {
        return Err(SkipReason::TooLarge);
    }
    let mut bytes = Vec::with_capacity(usize::try_from(before.len()).unwrap_or_default());
    // One byte beyond the length shows growth without reading on for as long as it grows.
    let mut bounded = reader.take(before.len().saturating_add(1));
    bounded
        .read_to_end(&mut bytes)
        .map_err(|error| reason_io(&error))?;
    let after = file.metadata().map_err(|error| reason_io(&error))?;
    if u64::try_from(bytes.len()).ok() != Some(before.len()) || moved(&before, &after) {
        return Err(SkipReason::ChangedWhileReading);
    }
    Ok(FileBytes {
        bytes,
        modified_ms: modified_ms(&after),
    })
}

fn moved(before: &Metadata, after: &Metadata) -> bool {
    before.len() != after.len() || before.modified().ok() != after.modified().ok()
}

/// Returns the time of the last change; a time before 1970 counts as 1970.
fn modified_ms(metadata: &Metadata) -> u64 {
    metadata
        .modified()
        .ok()
        .and_then(|time| time.duration_since(UNIX_EPOCH).ok())
        .and_then(|since| u64::try_from(since.as_millis()).ok())
        .unwrap_or_default()
}

fn reason_io(error: &io::Error) -> SkipReason {
    Errno::from_io_error(error).map_or(SkipReason::ReadError, reason_of)
}

fn reason_of(error: Errno) -> SkipReason {
    match error {
        Errno::ACCESS | Errno::PERM => SkipReason::Unreadable,
        // The walk saw a file or folder here: the name has been swapped since.
        Errno::LOOP | Errno::NOTDIR | Errno::NOENT => SkipReason::ChangedWhileReading,
        Errno::NXIO | Errno::NODEV => SkipReason::SpecialFile,
        _ => SkipReason::ReadError,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    /// A reader that appends to the file it reads, as an editor does while saving.
    struct Growing<'a>(&'a File, &'a mut File);

    impl Read for Growing<'_> {
        fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
            self.1.write_all(b"more")?;
            self.0.read(buf)
        }
    }

    #[test]
    fn a_file_that_grows_while_read_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.md");
        std::fs::write(&path, "start").unwrap();
        let file = File::open(&path).unwrap();
        let mut writer = File::options().append(true).open(&path).unwrap();
        let result = read_stable(&file, Growing(&file, &mut writer), 1000);
        assert_eq!(result.unwrap_err(), SkipReason::ChangedWhileReading);
    }

    #[test]
    fn a_path_swapped_for_a_link_is_not_followed() {
        let outside = tempfile::tempdir().unwrap();
        std::fs::write(outside.path().join("secret.md"), "secret").unwrap();
        let dir = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink(outside.path(), dir.path().join("sub")).unwrap();
        std::os::unix::fs::symlink(outside.path().join("secret.md"), dir.path().join("s.md"))
            .unwrap();
        let root = Root::open(dir.path()).unwrap();
        for name in ["sub/secret.md", "s.md", "../x.md", "/etc/passwd", ""] {
            assert!(
                root.read(Path::new(name), &Limits::default()).is_err(),
                "{name}"
            );
        }
    }

    #[test]
    fn a_pipe_swapped_in_does_not_block() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("p.md");
        rustix::fs::mkfifoat(rustix::fs::CWD, &path, Mode::RUSR).unwrap();
        let root = Root::open(dir.path()).unwrap();
        let result = root.read(Path::new("p.md"), &Limits::default());
        assert_eq!(result.unwrap_err(), SkipReason::SpecialFile);
    }
}
