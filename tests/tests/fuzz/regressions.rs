//! Inputs that once failed, and are fed first ever since; and the corpus for libFuzzer.
//!
//! `tests/tests/fuzz/regressions/<target>/<hash>.hex` is one input in hexadecimal, as it is fed.

use crate::report::{hex, say};
use brain_tests::fuzz::families;
use sha2::{Digest as _, Sha256};
use std::fs;
use std::path::{Path, PathBuf};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/regressions")
}

/// Returns the name of a target as a file may have it.
fn file_name(target: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c } else { '-' };
    target.chars().map(plain).collect()
}

/// Returns the inputs of a target that once failed.
pub(crate) fn of(target: &str) -> Vec<Vec<u8>> {
    let Ok(entries) = fs::read_dir(folder().join(file_name(target))) else {
        return Vec::new();
    };
    let mut paths: Vec<_> = entries
        .map(|entry| entry.expect("the folder can be listed").path())
        .collect();
    paths.sort();
    let read = |path: &PathBuf| bytes_of(&fs::read_to_string(path).expect("a regression is text"));
    paths.iter().map(read).collect()
}

fn bytes_of(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex.trim().bytes().collect();
    let pair = |pair: &[u8]| {
        u8::from_str_radix(&String::from_utf8_lossy(pair), 16)
            .expect("a regression is in hexadecimal")
    };
    digits.chunks(2).map(pair).collect()
}

/// Keeps an input that failed.
pub(crate) fn keep(target: &str, input: &[u8]) -> PathBuf {
    let folder = folder().join(file_name(target));
    fs::create_dir_all(&folder).expect("the folder takes it");
    let name = hex(&Sha256::digest(input)[..6]);
    let path = folder.join(format!("{name}.hex"));
    fs::write(&path, format!("{}\n", hex(input))).expect("the folder takes it");
    path
}

/// Writes the valid inputs of each family for libFuzzer: which target, then the inside.
pub(crate) fn write_corpus(folder: &Path) {
    for (family, targets) in families() {
        let folder = folder.join(family);
        fs::create_dir_all(&folder).expect("the folder takes it");
        for (which, target) in (0_u8..).zip(targets) {
            for (number, seed) in (target.make)().seeds.iter().enumerate() {
                let name = format!("{}-{number}", file_name(target.name));
                let bytes = [[which].as_slice(), seed].concat();
                fs::write(folder.join(name), bytes).expect("the folder takes it");
            }
        }
    }
}

/// How far a target is, for the case that the whole process ends: an allocation that cannot be
/// made and a stack that overflows cannot be caught.
#[derive(Debug)]
pub(crate) struct Note(PathBuf);

impl Note {
    pub(crate) fn of(target: &str) -> Self {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR"));
        let path = path.join(format!("fuzz-{}.note", file_name(target)));
        if let Ok(number) = fs::read_to_string(&path) {
            say(&format!(
                "{target}: the last run did not come back from SEED={number} and the next few"
            ));
        }
        Self(path)
    }
    pub(crate) fn write(&mut self, number: u64) {
        fs::write(&self.0, number.to_string()).expect("the folder takes it");
    }
}

impl Drop for Note {
    fn drop(&mut self) {
        drop(fs::remove_file(&self.0));
    }
}

#[test]
fn what_is_kept_reads_again() {
    assert_eq!(bytes_of(&hex(&[0, 15, 255])), [0, 15, 255]);
    assert_eq!(file_name("did:key, inside"), "did-key--inside");
}
