//! Finds the files of a folder in path order and names what is left out before it is opened.
//!
//! No ignore file is honoured: a folder of personal notes is imported whole. No link is
//! followed; a link is only looked at to say where it leads. A hidden folder is named once and
//! not entered. Nothing is opened here, so a pipe or device can never block.

use std::ffi::OsStr;
use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use ignore::{DirEntry, WalkBuilder};

use super::skip::{Skip, SkipReason};

/// Extensions that are imported, in lower case.
pub(super) const EXTENSIONS: [&str; 4] = ["md", "markdown", "txt", "text"];

/// A regular file with an extension that is imported.
#[derive(Debug)]
pub(super) struct Candidate {
    /// The stable key.
    pub(super) source: String,
    /// The path below the root.
    pub(super) relative: PathBuf,
}

/// One thing that the walk met.
#[derive(Debug)]
pub(super) enum Step {
    File(Candidate),
    Skip(Skip),
    /// A file of another kind, as `*.ext`.
    Unsupported(String),
}

/// The walk itself; see the module.
pub(super) struct Walk {
    entries: ignore::Walk,
    root: PathBuf,
}

impl std::fmt::Debug for Walk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Walk")
            .field("root", &self.root)
            .finish_non_exhaustive()
    }
}

impl Walk {
    /// Starts at `start`, with names relative to `root`; both are already canonical.
    pub(super) fn new(start: &Path, root: &Path) -> Self {
        let entries = WalkBuilder::new(start)
            .standard_filters(false)
            .follow_links(false)
            .sort_by_file_name(OsStr::cmp)
            // The folder itself is reported; only what lies in it is passed over here.
            .filter_entry(|entry| entry.depth() < 2 || !entry.path().parent().is_some_and(hidden))
            .build();
        Self {
            entries,
            root: root.to_owned(),
        }
    }

    fn classify(&self, entry: &DirEntry) -> Option<Step> {
        let path = entry.path();
        let skip = |reason| Some(Step::Skip(Skip::one(self.key(path), reason)));
        let kind = entry.file_type()?;
        // The file or folder that the person named is taken whatever its name.
        if entry.depth() > 0 && hidden(path) {
            return skip(SkipReason::Hidden);
        }
        if kind.is_symlink() {
            return skip(self.where_to(path));
        }
        if kind.is_dir() {
            return None;
        }
        if !kind.is_file() {
            return skip(SkipReason::SpecialFile);
        }
        let extension = path.extension().map(OsStr::to_ascii_lowercase);
        if !extension.as_deref().is_some_and(supported) {
            return Some(Step::Unsupported(label(extension.as_deref())));
        }
        let relative = path.strip_prefix(&self.root).ok()?.to_owned();
        if relative.to_str().is_none() {
            return skip(SkipReason::NameNotUtf8);
        }
        Some(Step::File(Candidate {
            source: self.key(path),
            relative,
        }))
    }

    /// Says where a link leads without opening what it leads to.
    fn where_to(&self, link: &Path) -> SkipReason {
        match link.canonicalize() {
            Ok(target) if link.starts_with(&target) => SkipReason::SymlinkLoop,
            Ok(target) if target.starts_with(&self.root) => SkipReason::SymlinkInside,
            Ok(_) => SkipReason::SymlinkOutside,
            Err(error) => match error.kind() {
                ErrorKind::NotFound | ErrorKind::NotADirectory => SkipReason::SymlinkDangling,
                ErrorKind::PermissionDenied => SkipReason::SymlinkOutside,
                _ => SkipReason::SymlinkLoop,
            },
        }
    }

    fn failure(&self, error: &ignore::Error) -> Option<Step> {
        let path = error_path(error).unwrap_or(&self.root);
        // A hidden folder was named when it was met; whether it can be listed is no matter.
        if path != self.root && hidden(path) {
            return None;
        }
        let reason = match error.io_error().map(std::io::Error::kind) {
            Some(ErrorKind::PermissionDenied) => SkipReason::Unreadable,
            _ => SkipReason::ReadError,
        };
        Some(Step::Skip(Skip::one(self.key(path), reason)))
    }

    /// Makes the stable key: `file:` and the path below the root with `/` between names.
    fn key(&self, path: &Path) -> String {
        let mut key = "file:".to_owned();
        let below = path.strip_prefix(&self.root).unwrap_or(path);
        for (place, name) in below.iter().enumerate() {
            if place > 0 {
                key.push('/');
            }
            key.push_str(&name.to_string_lossy());
        }
        key
    }
}

impl Iterator for Walk {
    type Item = Step;

    fn next(&mut self) -> Option<Step> {
        loop {
            let step = match self.entries.next()? {
                Ok(entry) => self.classify(&entry),
                Err(error) => self.failure(&error),
            };
            if step.is_some() {
                return step;
            }
        }
    }
}

fn hidden(path: &Path) -> bool {
    path.file_name()
        .is_some_and(|name| name.as_bytes().starts_with(b"."))
}

fn supported(extension: &OsStr) -> bool {
    EXTENSIONS.iter().any(|known| extension == *known)
}

fn label(extension: Option<&OsStr>) -> String {
    extension.map_or_else(
        || "(no extension)".to_owned(),
        |name| format!("*.{}", name.to_string_lossy()),
    )
}

fn error_path(error: &ignore::Error) -> Option<&Path> {
    match error {
        ignore::Error::WithPath { path, .. } => Some(path),
        ignore::Error::WithDepth { err, .. } | ignore::Error::WithLineNumber { err, .. } => {
            error_path(err)
        }
        ignore::Error::Loop { child, .. } => Some(child),
        _ => None,
    }
}
