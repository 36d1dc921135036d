//! The words of a model from a file: a `vocab.txt` of one piece a line, and texts as its ids.
//!
//! Invariant: ids are lines of the file, begin with `[CLS]` and end with `[SEP]`, and are at most
//! [`TOKENS_MAX`]. A text cannot name these marks: its brackets are pieces of their own.

use super::super::wordpiece::{self, LATER, Place, tokens};
use std::collections::HashMap;

/// The most tokens of a text, marks included: what sentence-transformers gives `MiniLM`, and more than
/// a piece of [`super::super::chunk`] has in most languages. What is beyond is cut off.
pub(super) const TOKENS_MAX: usize = 256;

type Pieces = HashMap<String, usize>;

/// The pieces of a model and their ids.
#[derive(Debug)]
pub(super) struct Vocabulary {
    /// Those that begin a word, and those that go on.
    first: Pieces,
    later: Pieces,
    piece_bytes_max: usize,
    last: i32,
    begin: i32,
    end: i32,
    unknown: i32,
}

impl Vocabulary {
    /// Reads what is in the file; says what is wrong with it.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        // Not `lines`, and nothing is trimmed: a piece may be any sign but a line feed.
        let lines = text.strip_suffix('\n').unwrap_or(text).split('\n');
        let lines = lines.map(|line| line.strip_suffix('\r').unwrap_or(line).to_owned());
        let (mut first, mut later) = (Pieces::new(), Pieces::new());
        for (mut piece, id) in lines.zip(0..) {
            if piece.len() > LATER.len() && piece.starts_with(LATER) {
                later.insert(piece.split_off(LATER.len()), id);
            } else {
                first.insert(piece, id);
            }
        }
        let pieces = || first.iter().chain(&later);
        let id = |id: usize| i32::try_from(id).ok();
        let mark = |name: &str| {
            let found = first.get(name).copied().and_then(id);
            found.ok_or_else(|| format!("it has no line {name}: it is no vocab.txt of a BERT"))
        };
        let is_cased = |piece: &String| {
            !piece.starts_with('[') && piece.chars().any(|c| c.is_ascii_uppercase())
        };
        let (begin, end, unknown) = (mark("[CLS]")?, mark("[SEP]")?, mark("[UNK]")?);
        if pieces().any(|(piece, _)| is_cased(piece)) {
            return Err("it tells upper from lower case, which is not supported".to_owned());
        }
        let last = pieces().map(|(_, id)| *id).max().and_then(id);
        Ok(Self {
            begin,
            end,
            unknown,
            last: last.ok_or("it has too many lines")?,
            piece_bytes_max: pieces().map(|(piece, _)| piece.len()).max().unwrap_or(0),
            first,
            later,
        })
    }

    /// Returns the ids of a text.
    pub(super) fn ids(&self, text: &str) -> Vec<i32> {
        let mut ids = vec![self.begin];
        tokens(text, self, |token| {
            if ids.len() < TOKENS_MAX - 1 {
                let id = token.and_then(|token| i32::try_from(token).ok());
                ids.push(id.unwrap_or(self.unknown));
            }
        });
        ids.push(self.end);
        ids
    }

    /// Returns the ids of the longest text, of the last word.
    pub(super) fn longest(&self) -> Vec<i32> {
        let mut ids = vec![self.last; TOKENS_MAX];
        ids[0] = self.begin;
        ids[TOKENS_MAX - 1] = self.end;
        ids
    }

    /// Tells whether ids are those of a text without a word.
    pub(super) fn is_empty(ids: &[i32]) -> bool {
        ids.len() <= 2
    }
}

impl wordpiece::Vocabulary for Vocabulary {
    fn find(&self, piece: &str, place: Place) -> Option<usize> {
        let pieces = match place {
            Place::First => &self.first,
            Place::Later => &self.later,
        };
        pieces.get(piece).copied()
    }

    fn piece_bytes_max(&self) -> usize {
        self.piece_bytes_max
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MARKS: &str = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n";

    #[test]
    fn a_text_becomes_lines_of_the_file_between_its_marks() {
        let vocabulary = Vocabulary::parse(&format!("{MARKS}dog\n##s\n[\n]\nsep\n")).unwrap();
        assert_eq!(vocabulary.ids("Dogs xyz dog"), [2, 4, 5, 1, 4, 3]);
        // Nobody writes a mark into a text.
        assert_eq!(vocabulary.ids("[SEP]"), [2, 6, 8, 7, 3]);
        assert!(Vocabulary::is_empty(&vocabulary.ids(" \n")));
        let long = vocabulary.ids(&"dog ".repeat(1_000));
        assert_eq!((long.len(), long.last()), (TOKENS_MAX, Some(&3)));
        let longest = vocabulary.longest();
        assert_eq!((longest.len(), longest[1]), (TOKENS_MAX, 8));
    }

    #[test]
    fn what_is_no_such_file_is_refused_with_a_reason() {
        let reason = |text: &str| Vocabulary::parse(text).expect_err(text);
        assert!(reason("").contains("[CLS]"));
        assert!(reason("[CLS]\n[SEP]\ndog\n").contains("[UNK]"));
        assert!(reason(&format!("{MARKS}Dog\n")).contains("upper"));
        let windows = Vocabulary::parse(&format!("{MARKS}dog\n").replace('\n', "\r\n"));
        assert_eq!(windows.unwrap().ids("dog"), [2, 4, 3]);
    }
}
