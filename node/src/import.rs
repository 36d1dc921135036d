//! The reading half of import: a folder (or one file) of Markdown and plain text becomes a
//! stream of parsed notes and named skips.
//!
//! It is not the storing half: nothing is written, no store and no network is touched, and
//! nothing is remembered between runs. Whether a note is new, changed or the same is decided by
//! the caller from [`ImportedNote::source`] and [`ImportedNote::content_hash`], and counted in a
//! [`Report`]. Links stay as written until the caller resolves them with a [`LinkIndex`].
//!
//! Start at [`Import::open`]. The flow: `walk` finds candidates in path order, `read` opens each
//! beneath the root without following any link and refuses what is not text, `note` parses it
//! (`front_matter`, then `markdown` with `tags` and `links`).
//!
//! Invariants: one note is in memory at a time; no file outside the root is ever opened; no
//! input makes the parser panic; everything that was not imported is named with a reason.

mod dates;
mod front_matter;
mod limits;
mod links;
mod markdown;
mod note;
mod read;
mod report;
mod resolve;
mod skip;
mod tags;
mod walk;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::collections::btree_map;
use std::path::{Path, PathBuf};

pub use self::limits::Limits;
pub use self::links::{LinkKind, LinkTarget};
pub use self::note::{ImportedNote, RawFile, Warning, parse};
pub use self::report::{Failure, Report, SkipLine, WarningLine};
pub use self::resolve::LinkIndex;
pub use self::skip::{Skip, SkipReason};

use self::read::Root;
use self::walk::{Candidate, Step, Walk};

/// One step of an import: a note, or something that was left out.
#[derive(Debug)]
pub enum Found {
    /// A file was read and parsed.
    Note(Box<ImportedNote>),
    /// A file or folder was left out, or a number of files of one kind were.
    Skip(Skip),
}

/// Why an import could not start.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The path does not exist or may not be opened.
    #[error("cannot open {path}")]
    Open {
        /// The path as the caller gave it.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The path is a device, a pipe or a socket.
    #[error("{path} is neither a folder nor a file")]
    Special {
        /// The path as the caller gave it.
        path: PathBuf,
    },
}

/// A running import: an iterator of [`Found`], in path order.
///
/// Files with an extension that is not imported are counted while walking and come last, one
/// [`Skip`] per extension.
#[derive(Debug)]
pub struct Import {
    root: Root,
    walk: Walk,
    limits: Limits,
    totals: Totals,
}

/// The counts by extension: growing while the walk runs, then handed out.
#[derive(Debug)]
enum Totals {
    Counting(BTreeMap<String, u64>),
    Draining(btree_map::IntoIter<String, u64>),
}

impl Import {
    /// Opens a folder, or a single file, for import.
    ///
    /// A link given as `path` itself is followed, since the person named it.
    pub fn open(path: &Path, limits: Limits) -> Result<Self, OpenError> {
        let failed = |source| OpenError::Open {
            path: path.to_owned(),
            source,
        };
        let real = path.canonicalize().map_err(failed)?;
        let kind = real.metadata().map_err(failed)?.file_type();
        if !kind.is_dir() && !kind.is_file() {
            return Err(OpenError::Special {
                path: path.to_owned(),
            });
        }
        let folder = if kind.is_dir() {
            real.as_path()
        } else {
            real.parent().unwrap_or(&real)
        };
        Ok(Self {
            root: Root::open(folder).map_err(failed)?,
            walk: Walk::new(&real, folder),
            limits,
            totals: Totals::Counting(BTreeMap::new()),
        })
    }

    /// Walks without reading, and returns how many files would be read.
    pub fn files(self) -> u64 {
        let steps = self.walk.filter(|step| matches!(step, Step::File(_)));
        steps.fold(0, |count, _| count + 1)
    }

    fn read(&self, candidate: &Candidate) -> Found {
        let result = self
            .root
            .read(&candidate.relative, &self.limits)
            .and_then(|file| {
                let raw = RawFile {
                    source: &candidate.source,
                    bytes: &file.bytes,
                    modified_ms: file.modified_ms,
                };
                parse(&raw, &self.limits)
            });
        match result {
            Ok(note) => Found::Note(Box::new(note)),
            Err(reason) => Found::Skip(Skip::one(candidate.source.clone(), reason)),
        }
    }
}

impl Iterator for Import {
    type Item = Found;

    fn next(&mut self) -> Option<Found> {
        loop {
            let counts = match &mut self.totals {
                Totals::Draining(rest) => {
                    let (extension, count) = rest.next()?;
                    return Some(Found::Skip(Skip {
                        source: extension,
                        reason: SkipReason::UnsupportedExtension,
                        count,
                    }));
                }
                Totals::Counting(counts) => counts,
            };
            match self.walk.next() {
                Some(Step::File(candidate)) => return Some(self.read(&candidate)),
                Some(Step::Skip(skip)) => return Some(Found::Skip(skip)),
                Some(Step::Unsupported(extension)) => count_extension(counts, extension),
                None => self.totals = Totals::Draining(std::mem::take(counts).into_iter()),
            }
        }
    }
}

/// Counts an extension; a folder of random names cannot grow the table without bound.
fn count_extension(counts: &mut BTreeMap<String, u64>, extension: String) {
    let full = counts.len() >= limits::EXTENSIONS_MAX && !counts.contains_key(&extension);
    let key = if full {
        "(other)".to_owned()
    } else {
        extension
    };
    let count = counts.entry(key).or_default();
    *count = count.saturating_add(1);
}
