//! Notes like those that people write: a heading, tags, paragraphs, a list; nearly a kilobyte each.

use brain_tests::fuzz::mutate::Random;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

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
    let (sentences, mut bytes) = (sentences(), 0);
    for number in 0..count {
        let text = text(number, &sentences);
        bytes += text.len() as u64;
        std::fs::write(folder.join(name(number)), text).expect("the folder takes a file");
    }
    Notes {
        folder: folder.to_owned(),
        count,
        bytes,
    }
}

/// Sentences that people wrote: the lines of prose in this repository's decisions. What a note takes
/// on the wire depends on how well its text compresses, so no drawn words will do.
fn sentences() -> Vec<String> {
    // Not the guides: their examples of secrets are held back by the guard.
    let folder = brain_tests::root().join("docs/adr");
    let entries = std::fs::read_dir(folder).expect("the pages are listed");
    let pages = entries.map(|entry| entry.expect("a page").path());
    let mut pages: Vec<PathBuf> = pages.collect();
    pages.retain(|page| page.extension().is_some_and(|name| name == "md"));
    pages.sort();
    let pages = pages.iter().map(std::fs::read_to_string);
    let pages: Vec<String> = pages.map(|page| page.expect("a page is text")).collect();
    let lines = pages.iter().flat_map(|page| page.lines());
    let prose = lines.filter(|line| line.len() > 60 && line.starts_with(char::is_alphabetic));
    prose.map(str::to_owned).collect()
}

fn text(number: usize, sentences: &[String]) -> String {
    let mut random = Random::new(number as u64);
    let mut sentence = || {
        let sentence = sentences.get(random.below(sentences.len()));
        sentence.expect("one of them").as_str()
    };
    let title: String = sentence().chars().take(40).collect();
    let own = own_word(number);
    let mut text = format!("# {title}\n\n#note #area/{} {own}\n\n", number % 17);
    for _ in 0..2 {
        writeln!(text, "{}\n{}\n", sentence(), sentence()).expect("a string takes text");
    }
    for _ in 0..4 {
        writeln!(text, "- {}", sentence()).expect("a string takes text");
    }
    text
}
