//! Words: how text becomes the terms of the index, and where each word stands in the text.
//!
//! A word is lower case, its compatibility forms made one (NFKC: `ﬁ` is `fi`, a full-width letter a
//! letter), accents folded. Marks that combine with a letter count as part of the word (`e` and an
//! acute accent is one letter, as `é` is). Scripts that are searched without spaces (Han, kana,
//! Hangul, Thai and their neighbours) are cut into single characters, and every two neighbours are a
//! term as well, at the place of the first: a pair is what such a script has for a word. A word
//! longer than [`WORD_BYTES_MAX`] is cut there, the same way in texts and in queries, so that long
//! identifiers are still found.

use std::ops::Range;

use tantivy::tokenizer::{
    AsciiFoldingFilter, TextAnalyzer, Token, TokenFilter as _, TokenStream, Tokenizer,
    TokenizerManager,
};
use unicode_normalization::UnicodeNormalization as _;
use unicode_normalization::char::is_combining_mark;

/// The bytes of a word that are indexed.
pub const WORD_BYTES_MAX: usize = 1024;

pub(super) const EXACT: &str = "brain_exact";

/// A word of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Word {
    /// Where the word stands, in bytes of the text.
    pub range: Range<usize>,
    /// The word in lower case, without accents.
    pub exact: String,
    /// Whether it is one character of a script that is searched without spaces.
    pub is_character: bool,
}

/// Returns the words of a text in their order.
pub fn words(text: &str) -> Vec<Word> {
    let words = word_ranges(text).map(|range| {
        let written = text.get(range.clone()).unwrap_or_default();
        let mut exact = String::new();
        write_exact(written, &mut exact);
        Word {
            is_character: begins_alone(written),
            range,
            exact,
        }
    });
    words.collect()
}

/// Returns where the words of a text stand, in their order.
pub(crate) fn word_ranges(text: &str) -> impl Iterator<Item = Range<usize>> {
    Cuts { text, at: 0 }.map(|cut| cut.range)
}

/// Writes one word of a text in lower case and without accents, in place of what was there.
pub(crate) fn write_exact(written: &str, exact: &mut String) {
    exact.clear();
    if written.is_ascii() {
        normalise(written, exact);
        return;
    }
    let mut tokenizer = AsciiFoldingFilter.transform(WordTokenizer);
    let mut stream = tokenizer.token_stream(written);
    if let Some(token) = stream.next() {
        exact.push_str(&token.text);
    }
}

/// Returns whether a word begins with a character of a script that is searched without spaces.
pub(super) fn begins_alone(word: &str) -> bool {
    word.chars().next().is_some_and(stands_alone)
}

/// Writes words that follow each other, as people would.
pub(crate) fn written(words: &[String]) -> String {
    let mut text = String::new();
    for word in words {
        let touch = begins_alone(word) && text.ends_with(stands_alone);
        if !touch && !text.is_empty() {
            text.push(' ');
        }
        text.push_str(word);
    }
    text
}

pub(super) fn register(tokenizers: &TokenizerManager) {
    tokenizers.register(EXACT, exact_analyzer());
}

pub(super) fn exact_analyzer() -> TextAnalyzer {
    TextAnalyzer::builder(WordTokenizer)
        .filter(AsciiFoldingFilter)
        .build()
}

/// Cuts a text into words in lower case.
#[derive(Debug, Clone, Copy)]
struct WordTokenizer;

struct WordStream<'a> {
    text: &'a str,
    cuts: Cuts<'a>,
    /// The end of a pair that begins with the character just given.
    pair: Option<usize>,
    token: Token,
}

impl Tokenizer for WordTokenizer {
    type TokenStream<'a> = WordStream<'a>;

    fn token_stream<'a>(&'a mut self, text: &'a str) -> WordStream<'a> {
        WordStream {
            text,
            cuts: Cuts { text, at: 0 },
            pair: None,
            token: Token::default(),
        }
    }
}

impl WordStream<'_> {
    fn fill(&mut self, range: Range<usize>) {
        self.token.offset_from = range.start;
        self.token.offset_to = range.end;
        self.token.text.clear();
        normalise(
            self.text.get(range).unwrap_or_default(),
            &mut self.token.text,
        );
    }
}

impl TokenStream for WordStream<'_> {
    fn advance(&mut self) -> bool {
        if let Some(end) = self.pair.take() {
            self.token.position_length = 2;
            self.fill(self.token.offset_from..end);
            return true;
        }
        let Some(cut) = self.cuts.next() else {
            return false;
        };
        self.pair = cut.pair;
        self.token.position = self.token.position.wrapping_add(1);
        self.token.position_length = 1;
        self.fill(cut.range);
        true
    }

    fn token(&self) -> &Token {
        &self.token
    }

    fn token_mut(&mut self) -> &mut Token {
        &mut self.token
    }
}

/// The places of a text's words.
struct Cuts<'a> {
    text: &'a str,
    /// Where the next word is looked for.
    at: usize,
}

/// Where a word stands, and where the pair ends that begins with it, if one does.
struct Cut {
    range: Range<usize>,
    pair: Option<usize>,
}

impl Iterator for Cuts<'_> {
    type Item = Cut;

    fn next(&mut self) -> Option<Cut> {
        let rest = |at| self.text.get(at..).unwrap_or_default();
        let is_letter = |byte: u8| byte.is_ascii_alphanumeric();
        let start = find(self.text, self.at, is_letter, char::is_alphanumeric)?;
        let mut pair = None;
        let end = if begins_alone(rest(start)) {
            let end = start + character_bytes(rest(start));
            if begins_alone(rest(end)) {
                pair = Some(end + character_bytes(rest(end)));
            }
            end
        } else {
            let goes_on = |c: char| !stands_alone(c) && (c.is_alphanumeric() || is_mark(c));
            let end = find(self.text, start, |byte| !is_letter(byte), |c| !goes_on(c));
            end.unwrap_or(self.text.len())
        };
        self.at = end;
        let range = start..end;
        Some(Cut { range, pair })
    }
}

/// Returns where the first character is, from a byte on, that is looked for: among those of one byte,
/// which most are, or among the others.
fn find(
    text: &str,
    from: usize,
    ascii: impl Fn(u8) -> bool,
    other: impl Fn(char) -> bool,
) -> Option<usize> {
    let mut at = from;
    while let Some(byte) = text.as_bytes().get(at) {
        if byte.is_ascii() {
            if ascii(*byte) {
                return Some(at);
            }
            at += 1;
        } else {
            let character = text.get(at..)?.chars().next()?;
            if other(character) {
                return Some(at);
            }
            at += character.len_utf8();
        }
    }
    None
}

/// Returns the bytes of the first character and the marks on it.
fn character_bytes(text: &str) -> usize {
    let mut characters = text.char_indices().skip(1);
    characters
        .find(|(_, c)| !is_mark(*c))
        .map_or(text.len(), |(at, _)| at)
}

/// Appends a written word as it is indexed, but for accents that the filter folds.
fn normalise(written: &str, word: &mut String) {
    if written.is_ascii() {
        let written = written.get(..WORD_BYTES_MAX).unwrap_or(written);
        word.push_str(written);
        word.make_ascii_lowercase();
        return;
    }
    let letters = written.nfkc().flat_map(char::to_lowercase);
    // What a mark was composed with is no mark any more.
    for letter in letters.filter(|letter| letter.is_alphanumeric()).map(plain) {
        if word.len() + letter.len_utf8() > WORD_BYTES_MAX {
            return;
        }
        word.push(letter);
    }
}

/// Folds what people leave out or write two ways, beyond Latin accents.
fn plain(letter: char) -> char {
    match letter {
        'ς' => 'σ',
        'ά' => 'α',
        'έ' => 'ε',
        'ή' => 'η',
        'ί' | 'ϊ' | 'ΐ' => 'ι',
        'ό' => 'ο',
        'ύ' | 'ϋ' | 'ΰ' => 'υ',
        'ώ' => 'ω',
        'ё' => 'е',
        'أ' | 'إ' | 'آ' => 'ا',
        letter => letter,
    }
}

/// Marks that combine with the letter before; half-width kana are written with two of their own.
fn is_mark(character: char) -> bool {
    matches!(character, '\u{ff9e}' | '\u{ff9f}')
        || (!character.is_alphanumeric() && is_combining_mark(character))
}

/// Characters of scripts that are searched without spaces: Han, kana, Hangul, Thai and neighbours.
fn stands_alone(character: char) -> bool {
    matches!(character,
        '\u{e00}'..='\u{eff}' | '\u{1780}'..='\u{17ff}' | '\u{3040}'..='\u{30ff}'
        | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{ac00}'..='\u{d7a3}'
        | '\u{f900}'..='\u{faff}' | '\u{ff66}'..='\u{ff9d}' | '\u{20000}'..='\u{323af}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_have_one_form() {
        fn check(text: &str, expect: &[&str]) {
            let found = words(text);
            let forms: Vec<_> = found.iter().map(|word| word.exact.as_str()).collect();
            assert_eq!(forms, expect, "{text:?}");
            let stands = |word: &Word| text.get(word.range.clone()).is_some();
            assert!(found.iter().all(stands));
        }
        check("Running dogs!", &["running", "dogs"]);
        check("Café re\u{301}sume\u{301}", &["cafe", "resume"]);
        check("ERR_42-x", &["err", "42", "x"]);
        check("東京へ go", &["東", "京", "へ", "go"]);
        check("한국어 ｶﾞ", &["한", "국", "어", "ガ"]);
        check("Straße Ёж ﬁne Ｇｏ", &["strasse", "еж", "fine", "go"]);
        check("Ναός", &["ναοσ"]);
        check("iPhone手机", &["iphone", "手", "机"]);
        check(" \u{301}… ", &[]);
    }

    #[test]
    fn neighbours_without_spaces_are_a_term_at_the_place_of_the_first() {
        let mut analyzer = exact_analyzer();
        let mut stream = analyzer.token_stream("東京都、x 水");
        let mut found = Vec::new();
        while let Some(token) = stream.next() {
            found.push((token.text.clone(), token.position));
        }
        let expect = [
            ("東", 0),
            ("東京", 0),
            ("京", 1),
            ("京都", 1),
            ("都", 2),
            ("x", 3),
            ("水", 4),
        ];
        assert_eq!(found, expect.map(|(word, at)| (word.to_owned(), at)));
    }

    #[test]
    fn a_huge_word_is_cut_and_not_dropped() {
        for letters in ["a1", "é1"] {
            let found = words(&letters.repeat(WORD_BYTES_MAX));
            assert_eq!(found.len(), 1);
            assert!(found[0].exact.len() <= WORD_BYTES_MAX);
            assert!(found[0].exact.len() > WORD_BYTES_MAX / 2);
        }
    }
}
