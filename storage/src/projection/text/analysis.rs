//! Words: how text becomes the terms of the index, and where each word stands in the text.
//!
//! Every word has two forms. The exact form is lower case with accents folded; the stem is the exact
//! form without its English endings. Marks that combine with a letter count as part of the word
//! (`e` and an acute accent is one letter, as `é` is). Scripts without spaces are cut into single
//! characters, which a phrase puts together again. A word longer than [`WORD_BYTES_MAX`] is cut
//! there, the same way in texts and in queries, so that long identifiers are still found.

use std::iter::Peekable;
use std::ops::Range;
use std::str::CharIndices;

use tantivy::tokenizer::{
    AsciiFoldingFilter, Language, Stemmer, TextAnalyzer, Token, TokenStream, Tokenizer,
    TokenizerManager,
};

/// The bytes of a word that are indexed.
pub const WORD_BYTES_MAX: usize = 1024;

pub(super) const EXACT: &str = "brain_exact";
pub(super) const STEM: &str = "brain_stem";

/// A word of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Word {
    /// Where the word stands, in bytes of the text.
    pub range: Range<usize>,
    /// The word in lower case, without accents.
    pub exact: String,
    /// The stem of the exact form.
    pub stem: String,
}

/// Returns the words of a text in their order.
pub fn words(text: &str) -> Vec<Word> {
    let (mut exact, mut stem) = (exact_analyzer(), stem_analyzer());
    let mut exact = exact.token_stream(text);
    let mut stem = stem.token_stream(text);
    let mut words = Vec::new();
    while let (Some(plain), Some(stemmed)) = (exact.next(), stem.next()) {
        words.push(Word {
            range: plain.offset_from..plain.offset_to,
            exact: plain.text.clone(),
            stem: stemmed.text.clone(),
        });
    }
    words
}

pub(super) fn register(tokenizers: &TokenizerManager) {
    tokenizers.register(EXACT, exact_analyzer());
    tokenizers.register(STEM, stem_analyzer());
}

fn exact_analyzer() -> TextAnalyzer {
    TextAnalyzer::builder(WordTokenizer)
        .filter(AsciiFoldingFilter)
        .build()
}

fn stem_analyzer() -> TextAnalyzer {
    let words = TextAnalyzer::builder(WordTokenizer).filter(AsciiFoldingFilter);
    words.filter(Stemmer::new(Language::English)).build()
}

/// Cuts a text into words in lower case.
#[derive(Debug, Clone, Copy)]
struct WordTokenizer;

struct WordStream<'a> {
    chars: Peekable<CharIndices<'a>>,
    token: Token,
}

impl Tokenizer for WordTokenizer {
    type TokenStream<'a> = WordStream<'a>;

    fn token_stream<'a>(&'a mut self, text: &'a str) -> WordStream<'a> {
        WordStream {
            chars: text.char_indices().peekable(),
            token: Token::default(),
        }
    }
}

impl WordStream<'_> {
    fn push(&mut self, at: usize, character: char) {
        self.token.offset_to = at + character.len_utf8();
        for lower in character.to_lowercase().filter(|lower| !is_mark(*lower)) {
            if self.token.text.len() + lower.len_utf8() <= WORD_BYTES_MAX {
                self.token.text.push(lower);
            }
        }
    }
}

impl TokenStream for WordStream<'_> {
    fn advance(&mut self) -> bool {
        while self
            .chars
            .next_if(|(_, character)| !character.is_alphanumeric())
            .is_some()
        {}
        let Some((start, first)) = self.chars.next() else {
            return false;
        };
        self.token.text.clear();
        self.token.position = self.token.position.wrapping_add(1);
        self.token.offset_from = start;
        self.push(start, first);
        let joins = |character: char| {
            is_mark(character) || (character.is_alphanumeric() && !stands_alone(character))
        };
        if !stands_alone(first) {
            while let Some((at, next)) = self.chars.next_if(|(_, next)| joins(*next)) {
                self.push(at, next);
            }
        }
        true
    }

    fn token(&self) -> &Token {
        &self.token
    }

    fn token_mut(&mut self) -> &mut Token {
        &mut self.token
    }
}

/// Combining diacritical marks.
fn is_mark(character: char) -> bool {
    matches!(character, '\u{300}'..='\u{36f}')
}

/// Characters of scripts that are written without spaces: kana, Han, Thai and their neighbours.
fn stands_alone(character: char) -> bool {
    matches!(character,
        '\u{e00}'..='\u{eff}' | '\u{1780}'..='\u{17ff}' | '\u{3040}'..='\u{30ff}'
        | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{f900}'..='\u{faff}'
        | '\u{20000}'..='\u{323af}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_have_an_exact_form_and_a_stem() {
        fn check(text: &str, expect: &[(&str, &str)]) {
            let found = words(text);
            let forms: Vec<_> = found
                .iter()
                .map(|w| (w.exact.as_str(), w.stem.as_str()))
                .collect();
            assert_eq!(forms, expect, "{text:?}");
            assert!(
                found
                    .iter()
                    .all(|word| text.get(word.range.clone()).is_some())
            );
        }
        check("Running dogs!", &[("running", "run"), ("dogs", "dog")]);
        check(
            "Café re\u{301}sume\u{301}",
            &[("cafe", "cafe"), ("resume", "resum")],
        );
        check("ERR_42-x", &[("err", "err"), ("42", "42"), ("x", "x")]);
        check(
            "東京へ go",
            &[("東", "東"), ("京", "京"), ("へ", "へ"), ("go", "go")],
        );
        check("Straße", &[("strasse", "strass")]);
        check(" \u{301}… ", &[]);
    }

    #[test]
    fn a_huge_word_is_cut_and_not_dropped() {
        let found = words(&"a1".repeat(WORD_BYTES_MAX));
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].exact.len(), WORD_BYTES_MAX);
    }
}
