//! Notes made of real texts: paragraphs of documents and doc comments in cargo's registry.

use brain_tests::fuzz::mutate::Random;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Letters of the text of a note, about.
const NOTE_CHARS: usize = 700;
/// Paragraphs shorter than this say little.
const PARAGRAPH_CHARS_MIN: usize = 80;
/// A file larger than this is data, not text.
const FILE_BYTES_MAX: u64 = 400_000;

/// A folder of notes.
pub(crate) struct Notes {
    pub(crate) folder: PathBuf,
    pub(crate) count: usize,
    pub(crate) bytes: u64,
    pub(crate) paragraphs: usize,
    texts: Vec<String>,
}

impl Notes {
    /// Returns the texts of all notes, in the order of their numbers.
    pub(crate) fn all(&self) -> impl Iterator<Item = String> {
        (0..self.count).map(|number| {
            let note = fs::read_to_string(path(&self.folder, number));
            note.expect("it was written")
        })
    }

    /// Returns so many queries, each of three words of one paragraph.
    pub(crate) fn queries(&self, count: usize, seed: u64) -> Vec<String> {
        let mut random = Random::new(seed);
        let mut queries = Vec::with_capacity(count);
        while queries.len() < count {
            let Some(text) = self.texts.get(random.below(self.texts.len())) else {
                continue;
            };
            let words = text.split(|letter: char| !letter.is_alphanumeric());
            let words: Vec<&str> = words.filter(|word| word.len() > 4).collect();
            if words.len() >= 3 {
                let three = (0..3).filter_map(|_| words.get(random.below(words.len())).copied());
                queries.push(three.collect::<Vec<_>>().join(" "));
            }
        }
        queries
    }
}

/// Writes notes, the same in every run on the same machine.
pub(crate) fn write(folder: &Path, count: usize) -> Notes {
    let texts = paragraphs();
    assert!(texts.len() > 1_000, "cargo's registry holds texts");
    let mut random = Random::new(7);
    let mut bytes = 0;
    for number in 0..count {
        let mut body = texts.get(number % texts.len()).cloned().unwrap_or_default();
        while body.chars().count() < NOTE_CHARS {
            let more = texts
                .get(random.below(texts.len()))
                .map_or("", String::as_str);
            body = format!("{body}\n\n{more}");
        }
        let body: String = body.chars().take(2 * NOTE_CHARS).collect();
        let title: String = body.chars().take(48).collect();
        let title = title.replace(['\n', '#'], " ");
        let text = format!("# {title}\n\n#note #part/{}\n\n{body}\n", number % 100);
        bytes += text.len() as u64;
        let path = path(folder, number);
        let inside = path.parent().unwrap_or(folder);
        fs::create_dir_all(inside).expect("the folder takes a folder");
        fs::write(path, text).expect("the folder takes a file");
    }
    Notes {
        folder: folder.to_owned(),
        count,
        bytes,
        paragraphs: texts.len(),
        texts,
    }
}

fn path(folder: &Path, number: usize) -> PathBuf {
    let inside = folder.join(format!("{:03}", number / 1_000));
    inside.join(format!("{number}.md"))
}

fn paragraphs() -> Vec<String> {
    let home = |name| std::env::var_os(name).map(PathBuf::from);
    let cargo = home("CARGO_HOME").or_else(|| home("HOME").map(|home| home.join(".cargo")));
    let mut found = BTreeSet::new();
    walk(&cargo.unwrap_or_default().join("registry/src"), &mut found);
    found.into_iter().collect()
}

fn walk(folder: &Path, found: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let (path, about) = (entry.path(), entry.metadata());
        let Ok(about) = about else { continue };
        if about.is_dir() {
            walk(&path, found);
            continue;
        }
        let kind = path.extension().and_then(|kind| kind.to_str());
        if about.len() > FILE_BYTES_MAX || !matches!(kind, Some("md" | "rs")) {
            continue;
        }
        let text = fs::read_to_string(&path).unwrap_or_default();
        let lines = text
            .lines()
            .map(|line| prose(line.trim(), kind == Some("rs")));
        let mut paragraph = String::new();
        for line in lines.chain([""]) {
            if line.is_empty() {
                if paragraph.chars().count() >= PARAGRAPH_CHARS_MIN {
                    found.insert(std::mem::take(&mut paragraph));
                }
                paragraph.clear();
            } else {
                paragraph.push_str(line);
                paragraph.push('\n');
            }
        }
    }
}

/// Returns the prose of a line: in code, a doc comment; code ends a paragraph as an empty line does.
fn prose(line: &str, is_code: bool) -> &str {
    if !is_code {
        return line;
    }
    let doc = line
        .strip_prefix("///")
        .or_else(|| line.strip_prefix("//!"));
    doc.unwrap_or_default().trim()
}
