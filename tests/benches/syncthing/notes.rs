//! Notes like those that people write: a heading, tags, paragraphs, a list; about a kilobyte each.

use brain_tests::fuzz::mutate::Random;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

const WORDS: [&str; 40] = [
    "the", "garden", "needs", "water", "before", "noon", "and", "we", "talked", "about", "a",
    "letter", "from", "Oslo", "that", "never", "came", "because", "train", "was", "late", "in",
    "winter", "she", "keeps", "bread", "recipe", "under", "old", "map", "of", "harbour", "with",
    "notes", "on", "tides", "next", "meeting", "is", "Tuesday",
];

/// A folder of notes.
#[derive(Debug)]
pub(crate) struct Notes {
    /// Where they lie.
    pub(crate) folder: PathBuf,
    /// How many.
    pub(crate) count: usize,
    /// How many bytes they have together.
    pub(crate) bytes: u64,
}

/// Returns the name of a note's file.
pub(crate) fn name(number: usize) -> String {
    format!("{number:05}.md")
}

/// Returns the word that only this note has.
pub(crate) fn own_word(number: usize) -> String {
    format!("marker{number}x")
}

/// Writes the notes, the same in every run.
pub(crate) fn write(folder: &Path, count: usize) -> Notes {
    let mut bytes = 0;
    for number in 0..count {
        let text = text(number);
        bytes += text.len() as u64;
        std::fs::write(folder.join(name(number)), text).expect("the folder takes a file");
    }
    Notes {
        folder: folder.to_owned(),
        count,
        bytes,
    }
}

fn text(number: usize) -> String {
    let mut random = Random::new(number as u64);
    let mut sentence = |length: usize| {
        let words = (0..length).filter_map(|_| WORDS.get(random.below(WORDS.len())));
        words.copied().collect::<Vec<_>>().join(" ")
    };
    let (title, own) = (sentence(4), own_word(number));
    let mut text = format!("# {title}\n\n#note #area/{} {own}\n\n", number % 17);
    for _ in 0..4 {
        let (first, second) = (sentence(14), sentence(11));
        writeln!(text, "{first}. {second}.\n").expect("a string takes text");
    }
    for _ in 0..6 {
        writeln!(text, "- {}", sentence(7)).expect("a string takes text");
    }
    text
}
