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
    Cuts::of(text).map(|cut| cut.range)
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
            cuts: Cuts::of(text),
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
    block: Block,
}

/// The bytes of a text that are looked at together. Where a word ends, a processor that looks at one
/// byte after the other guesses wrong; that takes longer than all else.
#[derive(Default)]
struct Block {
    /// Where it is; nowhere before one was looked at.
    place: Range<usize>,
    /// Which of its bytes are letters or digits, a bit each, and whether it is all ASCII.
    letters: u64,
    is_ascii: bool,
}

/// Where a word stands, and where the pair ends that begins with it, if one does.
struct Cut {
    range: Range<usize>,
    pair: Option<usize>,
}

impl<'a> Cuts<'a> {
    fn of(text: &'a str) -> Self {
        Self {
            text,
            at: 0,
            block: Block::default(),
        }
    }

    /// Returns the next word if it lies in a block that is all ASCII, or how far there is none.
    fn plain(&mut self) -> Result<Range<usize>, usize> {
        let mut at = self.at;
        while at < self.text.len() {
            if !self.block.place.contains(&at) {
                self.block = Block::at(self.text.as_bytes(), at);
            }
            let Block { place, letters, .. } = &self.block;
            if !self.block.is_ascii {
                return Err(at);
            }
            let later = letters >> (at - place.start);
            if later == 0 {
                at = place.end;
                continue;
            }
            let start = at + bits(later.trailing_zeros());
            let end = start + bits((letters >> (start - place.start)).trailing_ones());
            // What follows the block may belong to the word.
            return if end < place.end || end == self.text.len() {
                Ok(start..end)
            } else {
                Err(start)
            };
        }
        Err(at)
    }
}

impl Block {
    const BYTES: usize = 64;
    /// One and the highest bit in each of eight bytes.
    const ONE: u64 = u64::from_le_bytes([1; 8]);
    const HIGHEST: u64 = u64::from_le_bytes([0x80; 8]);

    /// Looks at the block that has a byte.
    fn at(text: &[u8], at: usize) -> Self {
        let start = at - at % Self::BYTES;
        let bytes = text.get(start..).unwrap_or_default();
        let bytes = bytes.get(..Self::BYTES).unwrap_or(bytes);
        let (mut letters, mut all) = (0, 0);
        for (place, some) in (0..).step_by(8).zip(bytes.chunks(8)) {
            let mut eight = [0; 8];
            eight[..some.len()].copy_from_slice(some);
            let eight = u64::from_le_bytes(eight);
            letters |= Self::letters_of(eight) << place;
            all |= eight;
        }
        Self {
            place: start..start + bytes.len(),
            letters,
            is_ascii: all & Self::HIGHEST == 0,
        }
    }

    /// Returns which of eight bytes of ASCII are letters or digits, a bit each: bytes are compared at
    /// once, each with room for what it borrows.
    fn letters_of(eight: u64) -> u64 {
        let from = |bytes: u64, least: u8| (bytes | Self::HIGHEST) - u64::from(least) * Self::ONE;
        let within = |bytes, least: u8, most: u8| from(bytes, least) & !from(bytes, most + 1);
        let lower = eight | (0x20 * Self::ONE);
        let has = (within(lower, b'a', b'z') | within(eight, b'0', b'9')) & Self::HIGHEST;
        // The product brings the highest bits of all bytes together in the last one.
        has.wrapping_mul(0x0002_0408_1020_4081) >> 56
    }
}

fn bits(count: u32) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX)
}

impl Iterator for Cuts<'_> {
    type Item = Cut;

    fn next(&mut self) -> Option<Cut> {
        match self.plain() {
            Ok(range) => {
                self.at = range.end;
                return Some(Cut { range, pair: None });
            }
            Err(at) => self.at = at,
        }
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
    use proptest::prelude::*;

    use super::*;

    /// The words of a text, looked for one character after the other.
    fn one_by_one(text: &str) -> Vec<Range<usize>> {
        let mut found: Vec<Range<usize>> = Vec::new();
        let mut is_inside = false;
        for (at, c) in text.char_indices() {
            let end = at + c.len_utf8();
            let goes_on = is_inside && !stands_alone(c) && (c.is_alphanumeric() || is_mark(c));
            match found.last_mut().filter(|_| goes_on) {
                Some(last) => last.end = end,
                None if c.is_alphanumeric() => found.push(at..end),
                None => {}
            }
            is_inside = goes_on || (c.is_alphanumeric() && !stands_alone(c));
        }
        found
    }

    proptest! {
        #[test]
        fn words_are_where_they_are_one_by_one(
            text in "([a-zA-Z0-9]{0,90}|[ -~\n]{0,80}|[éßж\u{301}東ｶﾞ… ]{0,3}){0,9}",
        ) {
            // A mark on a character that stands alone belongs to it, and is not looked for here.
            let is_alone = text.chars().zip(text.chars().skip(1));
            prop_assume!(!is_alone.clone().any(|(c, next)| stands_alone(c) && is_mark(next)));
            let found: Vec<Range<usize>> = word_ranges(&text).collect();
            prop_assert_eq!(found, one_by_one(&text));
        }
    }

    #[test]
    fn every_byte_of_ascii_is_a_letter_or_not_wherever_it_stands() {
        for byte in 0..0x80_u8 {
            for place in 0..8 {
                for other in [b' ', b'a', 0, 0x7f] {
                    let mut eight = [other; 8];
                    eight[place] = byte;
                    let found = Block::letters_of(u64::from_le_bytes(eight));
                    let each = (0..).zip(eight);
                    let each = each.map(|(at, byte)| u64::from(byte.is_ascii_alphanumeric()) << at);
                    assert_eq!(found, each.fold(0, |all, bit| all | bit), "{eight:?}");
                }
            }
        }
    }

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
