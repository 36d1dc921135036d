//! Finds the note that a link means among the notes of the same import.
//!
//! The rule is Obsidian's: the path as written, then the file name, then a title or alias. Case
//! and Unicode form do not matter, the extension may be left out. When several notes share a
//! name, one in the linking note's folder wins, then the one with the shortest path, then the
//! first in order, so that the answer does not depend on the order of insertion.
//!
//! It is not a search: a link that names nothing in the import resolves to nothing.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use unicode_normalization::UnicodeNormalization as _;

use super::links::{LinkKind, LinkTarget};
use super::note::ImportedNote;
use super::walk::EXTENSIONS;

const PREFIX: &str = "file:";

/// The names of all notes of an import.
#[derive(Debug, Default)]
pub struct LinkIndex {
    sources: Vec<Box<str>>,
    /// Folded paths.
    paths: Names,
    /// Folded file names, with and without extension.
    names: Names,
    /// Folded titles and aliases.
    titles: Names,
}

/// Names, each with the place of a source that has it.
#[derive(Debug, Default)]
struct Names(BTreeSet<(Box<str>, usize)>);

impl Names {
    fn add(&mut self, name: String, place: usize) {
        self.0.insert((name.into(), place));
    }

    /// Returns the places of the sources with this name.
    fn get(&self, name: &str) -> impl Iterator<Item = usize> {
        let first: Box<str> = name.into();
        let all = (first.clone(), 0)..=(first, usize::MAX);
        self.0.range(all).map(|(_, place)| *place)
    }
}

impl LinkIndex {
    /// Adds the names of a note.
    pub fn insert(&mut self, note: &ImportedNote) {
        let place = self.sources.len();
        self.sources.push(note.source.as_str().into());
        let path = folded(note.source.strip_prefix(PREFIX).unwrap_or(&note.source));
        let name = file_name(&path).to_owned();
        if let Some(stem) = stem(&name) {
            self.names.add(stem.to_owned(), place);
        }
        self.names.add(name, place);
        self.paths.add(path, place);
        for title in std::iter::once(&note.title).chain(&note.aliases) {
            self.titles.add(folded(title), place);
        }
    }

    /// Returns the source of the note that a link in `from` means.
    pub fn resolve<'i>(&'i self, from: &'i str, link: &LinkTarget) -> Option<&'i str> {
        if link.target.is_empty() {
            return Some(from);
        }
        let target = folded(&link.target);
        let from_path = folded(from.strip_prefix(PREFIX).unwrap_or(from));
        let folder = folder_of(&from_path);
        let (first, second) = match link.kind {
            LinkKind::Markdown => (folder, ""),
            LinkKind::Wiki | LinkKind::Embed => ("", folder),
        };
        self.by_path(first, &target, from)
            .or_else(|| self.by_path(second, &target, from))
            .or_else(|| self.by_name(&target, from))
            .or_else(|| self.closest(self.titles.get(&target), from))
    }

    fn by_path(&self, folder: &str, target: &str, from: &str) -> Option<&str> {
        let path = joined(folder, target)?;
        let exact = self.closest(self.paths.get(&path), from);
        exact.or_else(|| {
            EXTENSIONS.iter().find_map(|extension| {
                self.closest(self.paths.get(&format!("{path}.{extension}")), from)
            })
        })
    }

    /// Finds a file name anywhere; leading folders in the target must match the path's end.
    fn by_name(&self, target: &str, from: &str) -> Option<&str> {
        let target = target.trim_matches('/');
        let places = self.names.get(file_name(target));
        let folder = folder_of(target);
        if folder.is_empty() {
            return self.closest(places, from);
        }
        let fits = |place: &usize| {
            let Some(source) = self.sources.get(*place) else {
                return false;
            };
            let path = folded(source.strip_prefix(PREFIX).unwrap_or(source));
            let own = folder_of(&path);
            own == folder
                || own
                    .strip_suffix(folder)
                    .is_some_and(|rest| rest.ends_with('/'))
        };
        self.closest(places.filter(fits), from)
    }

    fn closest(&self, places: impl Iterator<Item = usize>, from: &str) -> Option<&str> {
        let sources = places.filter_map(|place| self.sources.get(place));
        let sources = sources.map(AsRef::as_ref);
        sources.min_by_key(|source: &&str| {
            let same_folder = folder_of(source) == folder_of(from);
            let depth = source.matches('/').count();
            (Reverse(same_folder), depth, source.len(), *source)
        })
    }
}

/// Joins a folder and a relative path; none if it leads out of the root.
fn joined(folder: &str, target: &str) -> Option<String> {
    let folder = if target.starts_with('/') { "" } else { folder };
    let mut parts: Vec<&str> = Vec::new();
    for part in folder.split('/').chain(target.split('/')) {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            name => parts.push(name),
        }
    }
    Some(parts.join("/"))
}

fn folder_of(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(folder, _)| folder)
}

fn file_name(path: &str) -> &str {
    path.rsplit_once('/').map_or(path, |(_, name)| name)
}

fn stem(name: &str) -> Option<&str> {
    name.rsplit_once('.').map(|(stem, _)| stem)
}

fn folded(text: &str) -> String {
    text.nfc().collect::<String>().to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::import::{Limits, RawFile, parse};

    fn index(files: &[(&str, &str)]) -> LinkIndex {
        let mut index = LinkIndex::default();
        for (path, text) in files {
            let file = RawFile {
                source: &format!("file:{path}"),
                bytes: text.as_bytes(),
                modified_ms: 0,
            };
            index.insert(&parse(&file, &Limits::default()).unwrap());
        }
        index
    }

    #[test]
    fn the_shortest_path_rule() {
        let index = index(&[
            ("Home.md", "x"),
            ("a/Plan.md", "x"),
            (
                "a/Other.md",
                "---\ntitle: The Other\naliases: [Nick, Second Name]\n---\nx",
            ),
            ("b/c/Plan.md", "x"),
            ("b/Deep.md", "x"),
            ("Cafe\u{301}.md", "x"),
            ("v1.2.txt", "x"),
        ]);
        let wiki = [
            ("Home.md", "Home", Some("Home.md")),
            ("a/Other.md", "home", Some("Home.md")),
            ("Home.md", "Plan", Some("a/Plan.md")),
            ("b/c/x.md", "Plan", Some("b/c/Plan.md")),
            ("Home.md", "b/c/Plan", Some("b/c/Plan.md")),
            ("Home.md", "c/Plan", Some("b/c/Plan.md")),
            ("Home.md", "c/Plan.md", Some("b/c/Plan.md")),
            ("Home.md", "x/Plan", None),
            ("Home.md", "lan", None),
            ("Home.md", "the other", Some("a/Other.md")),
            ("Home.md", "Second Name", Some("a/Other.md")),
            ("Home.md", "Caf\u{e9}", Some("Cafe\u{301}.md")),
            ("Home.md", "v1.2", Some("v1.2.txt")),
            ("Home.md", "Nobody", None),
            ("Home.md", "", Some("Home.md")),
        ];
        for (from, target, expect) in wiki {
            check(&index, LinkKind::Wiki, from, target, expect);
        }
        let markdown = [
            ("b/c/Plan.md", "../Deep.md", Some("b/Deep.md")),
            ("b/Deep.md", "c/Plan.md", Some("b/c/Plan.md")),
            ("b/Deep.md", "./c/Plan", Some("b/c/Plan.md")),
            ("b/Deep.md", "/Home.md", Some("Home.md")),
            ("a/Other.md", "Plan.md", Some("a/Plan.md")),
            ("a/Other.md", "../../../etc/passwd", None),
        ];
        for (from, target, expect) in markdown {
            check(&index, LinkKind::Markdown, from, target, expect);
        }
    }

    fn check(index: &LinkIndex, kind: LinkKind, from: &str, target: &str, expect: Option<&str>) {
        let link = LinkTarget {
            kind,
            target: target.to_owned(),
            heading: None,
        };
        let from = format!("file:{from}");
        let expect = expect.map(|path| format!("file:{path}"));
        assert_eq!(
            index.resolve(&from, &link),
            expect.as_deref(),
            "{from} -> {target}"
        );
    }

    #[test]
    fn the_order_of_insertion_does_not_matter() {
        let mut files = vec![("b/n.md", "x"), ("a/n.md", "x"), ("c/d/n.md", "x")];
        for _ in 0..2 {
            check(&index(&files), LinkKind::Wiki, "z.md", "n", Some("a/n.md"));
            files.reverse();
        }
    }
}
