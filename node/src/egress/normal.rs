//! Normalising: text as the detectors read it, with the way back to where each piece stood.
//!
//! Against the simple ways in which a secret looks like something else: full-width and other
//! digits, letters of other scripts that look the same, invisible characters in between. Not
//! against someone who wants to get a secret out.

use std::borrow::Cow;
use std::ops::Range;
use unicode_normalization::{IsNormalized, UnicodeNormalization as _, is_nfkc_quick};

/// Text in which equal-looking characters are equal.
#[derive(Debug)]
pub(super) struct Normal<'a> {
    original: &'a str,
    text: Cow<'a, str>,
    /// For each byte of `text`, where the character it came from begins; empty if both are equal.
    origin: Vec<u32>,
}

impl<'a> Normal<'a> {
    /// Normalises a text.
    pub(super) fn of(original: &'a str) -> Self {
        if original.is_ascii() {
            return Self {
                original,
                text: Cow::Borrowed(original),
                origin: Vec::new(),
            };
        }
        let mut text = String::with_capacity(original.len());
        let mut origin = Vec::with_capacity(original.len());
        for (at, character) in original.char_indices() {
            fold(character, &mut text);
            origin.resize(text.len(), u32::try_from(at).unwrap_or(u32::MAX));
        }
        Self {
            original,
            text: Cow::Owned(text),
            origin,
        }
    }

    /// Returns the normalised text.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// Returns where a piece of the normalised text stood in the original.
    pub(super) fn span(&self, range: &Range<usize>) -> Range<usize> {
        if self.origin.is_empty() || range.is_empty() {
            return range.clone();
        }
        let place = |at: usize| self.origin.get(at).map_or(0, |at| *at as usize);
        let (start, last) = (place(range.start), place(range.end - 1));
        let rest = self.original.get(last..).unwrap_or_default();
        let width = rest.chars().next().map_or(0, char::len_utf8);
        start..last + width
    }
}

fn fold(character: char, out: &mut String) {
    if character.is_ascii() {
        out.push(character);
    } else if is_invisible(character) {
    } else if let Some(same) = look_alike(character) {
        out.push(same);
    } else if is_nfkc_quick(std::iter::once(character)) == IsNormalized::Yes {
        out.push(character);
    } else {
        for part in std::iter::once(character).nfkc() {
            if !is_invisible(part) {
                out.push(look_alike(part).unwrap_or(part));
            }
        }
    }
}

/// Tells whether a character leaves no mark of its own: zero width, soft hyphen, direction marks,
/// variation selectors, and marks that are drawn over the character before.
fn is_invisible(character: char) -> bool {
    matches!(character,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
        | '\u{180b}'..='\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{feff}' | '\u{ffa0}'
        | '\u{300}'..='\u{36f}' | '\u{fe00}'..='\u{fe0f}' | '\u{e0000}'..='\u{e0fff}')
}

/// Returns the ASCII character that a letter or digit of another script looks like.
fn look_alike(character: char) -> Option<char> {
    const DIGITS: [u32; 12] = [
        0x660, 0x6f0, 0x7c0, 0x966, 0x9e6, 0xa66, 0xae6, 0xb66, 0xbe6, 0xc66, 0xce6, 0xe50,
    ];
    let code = u32::from(character);
    if let Some(zero) = DIGITS
        .iter()
        .find(|zero| (**zero..**zero + 10).contains(&code))
    {
        return char::from_digit(code - zero, 10);
    }
    Some(match character {
        'А' | 'Α' => 'A',
        'В' | 'Β' => 'B',
        'С' | 'Ϲ' => 'C',
        'Е' | 'Ε' => 'E',
        'Н' | 'Η' => 'H',
        'І' | 'Ι' | 'Ӏ' => 'I',
        'Ј' => 'J',
        'К' | 'Κ' => 'K',
        'М' | 'Μ' => 'M',
        'Ν' => 'N',
        'О' | 'Ο' => 'O',
        'Р' | 'Ρ' => 'P',
        'Ѕ' => 'S',
        'Т' | 'Τ' => 'T',
        'Χ' | 'Х' => 'X',
        'Υ' | 'Ү' => 'Y',
        'Ζ' => 'Z',
        'а' | 'α' => 'a',
        'с' | 'ϲ' => 'c',
        'ԁ' => 'd',
        'е' => 'e',
        'һ' => 'h',
        'і' | 'ι' => 'i',
        'ј' => 'j',
        'о' | 'ο' => 'o',
        'р' | 'ρ' => 'p',
        'ѕ' => 's',
        'х' | 'χ' => 'x',
        'у' | 'γ' => 'y',
        'ν' => 'v',
        '\u{2010}'..='\u{2015}' | '\u{2212}' => '-',
        '\u{2018}' | '\u{2019}' => '\'',
        '\u{201c}' | '\u{201d}' => '"',
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_looks_equal_is_equal() {
        let cases = [
            ("４１１１", "4111"),
            ("4\u{200b}1\u{ad}1\u{feff}1", "4111"),
            ("АКІА", "AKIA"),
            ("①②", "12"),
            ("٤١", "41"),
            ("4\u{336}1\u{336}", "41"),
            ("ｇｈｐ＿", "ghp_"),
            ("4111–1111", "4111-1111"),
            ("𝟒𝟏", "41"),
            ("Käse", "Käse"),
        ];
        for (written, read) in cases {
            assert_eq!(Normal::of(written).text(), read, "{written:?}");
        }
    }

    #[test]
    fn a_piece_is_found_again_where_it_stood() {
        let original = "ü ４１\u{200b}１ end";
        let normal = Normal::of(original);
        let at = normal.text().find("411").expect("it is there");
        let span = normal.span(&(at..at + 3));
        assert_eq!(original.get(span), Some("４１\u{200b}１"));
    }

    proptest! {
        #[test]
        fn every_piece_of_every_text_has_a_place(original in "\\PC{0,60}", from in 0_usize..60, to in 0_usize..60) {
            let normal = Normal::of(&original);
            let text = normal.text();
            let bound = |at: usize| (0..=at.min(text.len())).rev().find(|at| text.is_char_boundary(*at));
            let (from, to) = (bound(from.min(to)).unwrap_or(0), bound(from.max(to)).unwrap_or(0));
            let span = normal.span(&(from..to));
            if from < to {
                prop_assert!(original.get(span).is_some());
            }
        }
    }
}
