//! The two files of a model: read within bounds, and known by what is in them.
//!
//! Invariant: whoever has the same [`Identity`] had the same bytes. Nothing but an ordinary file is
//! opened, so a pipe or a device cannot hold anybody up.

use crate::config::ModelFiles;
use std::fmt;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

/// The most bytes of a model: `MiniLM` has 23 to 91 MB, a BERT of twelve layers 440 MB.
pub(super) const MODEL_BYTES_MAX: u64 = 512 << 20;
/// The most bytes of a vocabulary: that of BERT has 232 kB.
const VOCABULARY_BYTES_MAX: u64 = 8 << 20;
/// The hexadecimal digits of an identity that a name has.
const NAME_DIGITS: usize = 16;

/// What is in the two files, as a hash.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Identity(pub(super) [u8; 32]);

/// Why a model from a file cannot be used: the file, and what is wrong with it.
#[derive(Debug, thiserror::Error)]
#[error("{file}: {reason}")]
pub struct Unusable {
    file: String,
    reason: String,
}

impl Unusable {
    /// Says what is wrong with a file. A reason may come from the file: it becomes a short line.
    pub(super) fn new(path: &Path, reason: impl fmt::Display) -> Self {
        Self {
            file: path.display().to_string(),
            reason: line(&reason.to_string()),
        }
    }
}

/// Makes one line of at most 300 signs out of what others said.
pub(super) fn line(text: &str) -> String {
    let plain = |c: char| if c.is_control() { ' ' } else { c };
    text.chars().map(plain).take(300).collect()
}

impl Identity {
    /// Reads both files and keeps nothing of them.
    pub(super) fn of(files: &ModelFiles) -> Result<Self, Unusable> {
        Ok(Self::join(
            hash(&files.model, MODEL_BYTES_MAX)?,
            hash(&files.vocabulary, VOCABULARY_BYTES_MAX)?,
        ))
    }

    fn join(model: blake3::Hash, vocabulary: blake3::Hash) -> Self {
        let mut both = blake3::Hasher::new();
        both.update(model.as_bytes()).update(vocabulary.as_bytes());
        Self(*both.finalize().as_bytes())
    }
}

/// Writes the first digits, as in names.
impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hex = blake3::Hash::from_bytes(self.0).to_hex();
        f.write_str(hex.get(..NAME_DIGITS).unwrap_or_default())
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Returns the bytes of both files, and who they are.
pub(super) fn read(files: &ModelFiles) -> Result<(Vec<u8>, String, Identity), Unusable> {
    let model = contents(&files.model, MODEL_BYTES_MAX)?;
    let words = contents(&files.vocabulary, VOCABULARY_BYTES_MAX)?;
    let identity = Identity::join(blake3::hash(&model), blake3::hash(&words));
    let words = String::from_utf8(words)
        .map_err(|error| Unusable::new(&files.vocabulary, format!("it is no text: {error}")))?;
    Ok((model, words, identity))
}

fn hash(path: &Path, bytes_max: u64) -> Result<blake3::Hash, Unusable> {
    let mut hash = blake3::Hasher::new();
    let reader = open(path, bytes_max)?;
    let read = hash.update_reader(reader);
    read.map_err(|error| Unusable::new(path, error))?;
    within(path, hash.count(), bytes_max)?;
    Ok(hash.finalize())
}

fn contents(path: &Path, bytes_max: u64) -> Result<Vec<u8>, Unusable> {
    let mut bytes = Vec::new();
    let read = open(path, bytes_max)?.read_to_end(&mut bytes);
    let read = read.map_err(|error| Unusable::new(path, error))?;
    within(path, u64::try_from(read).unwrap_or(u64::MAX), bytes_max)?;
    Ok(bytes)
}

/// Opens an ordinary file, for one byte more than it may have.
fn open(path: &Path, bytes_max: u64) -> Result<io::Take<File>, Unusable> {
    let unusable = |error: io::Error| {
        let is_missing = error.kind() == io::ErrorKind::NotFound;
        let reason = if is_missing {
            "there is no such file".to_owned()
        } else {
            error.to_string()
        };
        Unusable::new(path, reason)
    };
    let found = std::fs::metadata(path).map_err(unusable)?;
    if !found.is_file() {
        return Err(Unusable::new(path, "it is no ordinary file"));
    }
    within(path, found.len(), bytes_max)?;
    Ok(File::open(path).map_err(unusable)?.take(bytes_max + 1))
}

fn within(path: &Path, bytes: u64, bytes_max: u64) -> Result<(), Unusable> {
    if bytes > bytes_max {
        let reason = format!("it has more than {} MiB", bytes_max >> 20);
        return Err(Unusable::new(path, reason));
    }
    if bytes == 0 {
        return Err(Unusable::new(path, "it is empty"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ways_to_read_tell_the_same_files_alike_and_others_apart() {
        let folder = tempfile::tempdir().unwrap();
        let files = ModelFiles {
            model: folder.path().join("m.onnx"),
            vocabulary: folder.path().join("vocab.txt"),
        };
        let identity = |model: &str, words: &str| {
            std::fs::write(&files.model, model).unwrap();
            std::fs::write(&files.vocabulary, words).unwrap();
            let identity = Identity::of(&files).unwrap();
            assert_eq!(read(&files).unwrap().2, identity);
            identity
        };
        let first = identity("model", "words");
        assert_eq!(first, identity("model", "words"));
        // What moves from one file to the other is not the same.
        for (model, words) in [("models", "words"), ("model", "word"), ("modelw", "ords")] {
            assert_ne!(first, identity(model, words));
        }
    }

    #[test]
    fn what_is_missing_empty_too_large_or_no_file_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path().join("m.onnx");
        let reason = |path: &Path| contents(path, 10).expect_err("refused").to_string();
        assert!(reason(&at).ends_with("m.onnx: there is no such file"));
        std::fs::write(&at, "").unwrap();
        assert!(reason(&at).contains("empty"), "{}", reason(&at));
        std::fs::write(&at, "eleven byte").unwrap();
        assert!(reason(&at).contains("more than"), "{}", reason(&at));
        assert!(reason(folder.path()).contains("no ordinary file"));
        assert_eq!(line("a\nb\u{1b}[31m"), "a b [31m");
    }
}
