//! Made-up notes for an import, and files: the same for the same tag or size, on every machine.

use crate::fault::{Fault, Result};
use std::path::Path;

/// How many words a note has.
const NOTE_WORDS: usize = 60;
const WORDS: [&str; 32] = [
    "anchor", "barley", "candle", "desert", "ember", "fathom", "granite", "harbour", "island",
    "juniper", "kettle", "lantern", "meadow", "nettle", "orchard", "pebble", "quarry", "ribbon",
    "saddle", "timber", "umbrella", "violin", "walnut", "yeast", "zephyr", "basket", "copper",
    "drizzle", "flannel", "gravel", "hamlet", "ivory",
];

/// Writes a file of so many KiB, in a folder of its own.
pub(crate) fn write_file(path: &Path, kib: usize) -> Result<()> {
    let fault = |source| Fault::Folder {
        path: path.to_owned(),
        source,
    };
    let (length, mut number) = (kib << 10, 0);
    let mut bytes = Vec::with_capacity(length);
    while bytes.len() < length {
        bytes.extend(note(number, "file").into_bytes());
        number += 1;
    }
    bytes.truncate(length);
    std::fs::create_dir_all(path.parent().unwrap_or(path)).map_err(fault)?;
    std::fs::write(path, bytes).map_err(fault)
}

/// Writes this many notes into a folder, from this number on.
pub(crate) fn write(folder: &Path, first: usize, count: usize, tag: &str) -> Result<()> {
    std::fs::create_dir_all(folder).map_err(|source| Fault::Folder {
        path: folder.to_owned(),
        source,
    })?;
    for number in first..first + count {
        let path = folder.join(format!("{tag}-{number:05}.md"));
        std::fs::write(&path, note(number, tag))
            .map_err(|source| Fault::Folder { path, source })?;
    }
    Ok(())
}

fn note(number: usize, tag: &str) -> String {
    let mut state = seed(tag, number);
    let words = (0..NOTE_WORDS).map(|_| {
        state = step(state);
        let place = usize::try_from(state >> 33).unwrap_or_default();
        WORDS
            .get(place % WORDS.len())
            .expect("it is below the length")
    });
    let words: Vec<&str> = words.copied().collect();
    let body = words.join(" ");
    format!("---\ntags: [{tag}]\n---\n# Note {number} on {tag}\n\n{body}\n")
}

/// Mixes the tag and the number (FNV-1a), so that no two notes begin alike.
fn seed(tag: &str, number: usize) -> u64 {
    let bytes = tag.bytes().chain(number.to_le_bytes());
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// The generator of Knuth's MMIX; its high bits are good enough for text.
fn step(state: u64) -> u64 {
    state
        .wrapping_mul(6_364_136_223_846_793_005)
        .wrapping_add(1_442_695_040_888_963_407)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_are_the_same_each_time_and_differ_from_each_other() {
        assert_eq!(note(3, "work"), note(3, "work"));
        assert_ne!(
            note(3, "work").lines().last(),
            note(4, "work").lines().last()
        );
        assert_ne!(
            note(3, "work").lines().last(),
            note(3, "home").lines().last()
        );
    }
}
