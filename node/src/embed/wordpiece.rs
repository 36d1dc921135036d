//! `WordPiece` tokens of lower-cased text, as BERT makes them (Devlin et al. 2018, appendix).
//!
//! Not a general tokenizer: no special tokens, no truncation. The flow: drop control characters,
//! set Chinese characters apart, lower-case, strip accents, split at spaces and punctuation, then
//! take the longest known piece from the left, again and again (`##` marks a continuation).
//!
//! Invariant: agrees with the reference tokenizer of `bert-base-uncased`, which the golden list in
//! the tests was made with; a word with an unknown piece is unknown as a whole.

use unicode_normalization::UnicodeNormalization as _;

use super::unicode::{is_accent, is_chinese, is_dropped, is_punctuation};

/// A word longer than this, in characters, is unknown.
const WORD_CHARS_MAX: usize = 100;

/// What a vocabulary writes before a piece that goes on.
pub(super) const LATER: &str = "##";

/// Where a piece stands in a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// At the beginning.
    First,
    /// After another one.
    Later,
}

/// A vocabulary: finds pieces of words.
pub(super) trait Vocabulary {
    /// Returns the token of a piece.
    fn find(&self, piece: &str, place: Place) -> Option<usize>;
    /// Returns the bytes of the longest piece; nothing longer is looked up.
    fn piece_bytes_max(&self) -> usize;
}

/// Calls `found` with each token of a text, in order, and with nothing for an unknown word.
pub(super) fn tokens(
    text: &str,
    vocabulary: &impl Vocabulary,
    mut found: impl FnMut(Option<usize>),
) {
    let mut pieces = Vec::new();
    words(text, |word| {
        if split(word, vocabulary, &mut pieces) {
            pieces.iter().copied().map(Some).for_each(&mut found);
        } else {
            found(None);
        }
        pieces.clear();
    });
}

/// Splits one word greedily; returns false if a part of it is unknown.
fn split(word: &str, vocabulary: &impl Vocabulary, pieces: &mut Vec<usize>) -> bool {
    if word.len() > WORD_CHARS_MAX && word.chars().count() > WORD_CHARS_MAX {
        return false;
    }
    let (mut rest, mut place) = (word, Place::First);
    while !rest.is_empty() {
        let mut end = rest.floor_char_boundary(vocabulary.piece_bytes_max());
        let token = loop {
            let piece = rest.get(..end).unwrap_or_default();
            if piece.is_empty() {
                return false;
            }
            if let Some(token) = vocabulary.find(piece, place) {
                break token;
            }
            end = rest.floor_char_boundary(end - 1);
        };
        pieces.push(token);
        (rest, place) = (rest.get(end..).unwrap_or_default(), Place::Later);
    }
    true
}

/// Normalises a text, splits it at spaces and around punctuation, and calls `found` with each word.
fn words(text: &str, mut found: impl FnMut(&str)) {
    let mut word = String::new();
    // No accent reaches over one of these.
    for part in text.split([' ', '\t', '\n', '\r']) {
        if part.bytes().all(|byte| byte.is_ascii_graphic()) {
            word.push_str(part);
            word.make_ascii_lowercase();
            ascii_words(&word, &mut found);
            word.clear();
        } else {
            let plain = part.chars().filter(|c| !is_dropped(*c)).nfd();
            let lower = plain
                .filter(|c| !is_accent(*c))
                .flat_map(char::to_lowercase);
            let is_alone = |c| is_punctuation(c) || is_chinese(c);
            part_words(lower, is_alone, &mut word, &mut found);
        }
    }
}

/// Splits letters, digits and punctuation.
fn ascii_words(part: &str, found: &mut impl FnMut(&str)) {
    let mut rest = part;
    while let Some(at) = rest.bytes().position(|byte| byte.is_ascii_punctuation()) {
        let (word, more) = rest.split_at(at);
        let (mark, more) = more.split_at(1);
        if !word.is_empty() {
            found(word);
        }
        found(mark);
        rest = more;
    }
    if !rest.is_empty() {
        found(rest);
    }
}

/// Splits what stands between two spaces; `word` is empty before and after.
fn part_words(
    letters: impl Iterator<Item = char>,
    is_alone: impl Fn(char) -> bool,
    word: &mut String,
    found: &mut impl FnMut(&str),
) {
    let mut end = |word: &mut String| {
        if !word.is_empty() {
            found(word);
            word.clear();
        }
    };
    for c in letters {
        if is_alone(c) {
            end(word);
            word.push(c);
            end(word);
        } else if c.is_whitespace() {
            end(word);
        } else {
            word.push(c);
        }
    }
    end(word);
}

#[cfg(test)]
mod tests {
    use super::*;

    struct List(&'static [&'static str]);

    impl Vocabulary for List {
        fn find(&self, piece: &str, place: Place) -> Option<usize> {
            let mark = if place == Place::First { "" } else { LATER };
            let is_it = |known: &&str| known.strip_prefix(mark) == Some(piece);
            self.0.iter().position(is_it)
        }
        fn piece_bytes_max(&self) -> usize {
            self.0
                .iter()
                .map(|known| known.len())
                .max()
                .unwrap_or_default()
        }
    }

    fn check(text: &str, expect: &[&str]) {
        let list = List(&[
            "un", "##aff", "##able", "want", "##want", ",", "ete", "\u{65e5}", "n",
        ]);
        let mut found = Vec::new();
        tokens(text, &list, |token| {
            found.push(token.map_or("?", |token| list.0[token]));
        });
        assert_eq!(found, expect, "{text:?}");
    }

    #[test]
    fn the_longest_piece_wins_from_the_left() {
        check("unaffable", &["un", "##aff", "##able"]);
        check("unwant want", &["un", "##want", "want"]);
    }

    #[test]
    fn a_word_with_an_unknown_piece_is_unknown_as_a_whole() {
        check("unaffx want", &["?", "want"]);
        check("\u{1F642}", &["?"]);
    }

    #[test]
    fn case_accents_and_controls_do_not_count() {
        check("UN\u{0}aff\u{200B} \u{c9}T\u{c9}", &["un", "##aff", "ete"]);
    }

    #[test]
    fn punctuation_and_chinese_characters_stand_alone() {
        check(
            "want,want\u{65e5}\u{65e5}n",
            &["want", ",", "want", "\u{65e5}", "\u{65e5}", "n"],
        );
    }
}
