//! Tags as people write them: `#like/this` in text, or a list in front matter.
//!
//! The rules are Obsidian's: a tag in text follows white space or the start of the text, holds
//! letters, digits, `_`, `-` and `/`, and is not a number. What has the length and letters of an
//! HTML colour (`#fff`, `#a1b2c3`) is taken for a colour. Case is kept; equal characters written
//! in two Unicode forms are one tag (NFC).

use unicode_normalization::UnicodeNormalization as _;

use super::front_matter::Field;
use super::limits::TAG_BYTES_MAX;

/// Calls `found` for every tag in a run of text that has neither code nor links in it.
pub(super) fn in_text(text: &str, mut found: impl FnMut(String)) {
    let mut rest = text;
    let mut boundary = true;
    while let Some(c) = rest.chars().next() {
        let after = rest.get(c.len_utf8()..).unwrap_or_default();
        if c == '#' && boundary {
            let end = after.find(|c| !in_tag(c)).unwrap_or(after.len());
            let (word, tail) = after.split_at_checked(end).unwrap_or((after, ""));
            // `#a#b` is neither of both, and `##` is a heading that lost its way.
            if !tail.starts_with('#')
                && !colour(word)
                && word.chars().any(|c| !c.is_numeric() && !"-_/".contains(c))
                && let Some(tag) = tidy(word)
            {
                found(tag);
            }
            rest = tail;
            boundary = false;
        } else {
            boundary = c.is_whitespace();
            rest = after;
        }
    }
}

/// Returns the tags of a front matter field: a list, or words parted by commas or else spaces.
pub(super) fn in_field(field: &Field) -> Vec<String> {
    match field {
        Field::List(items) => items.iter().filter_map(|item| tidy(item)).collect(),
        Field::Text(text) if text.contains(',') => text.split(',').filter_map(tidy).collect(),
        Field::Text(text) => text.split_whitespace().filter_map(tidy).collect(),
        Field::Other => Vec::new(),
    }
}

/// Brings a tag to one form: no `#`, no empty level, `-` for white space; none if nothing is left.
fn tidy(raw: &str) -> Option<String> {
    let mut tag = String::new();
    for level in raw.trim().trim_start_matches('#').split('/') {
        let words: Vec<&str> = level
            .split(|c: char| c.is_whitespace() || c.is_control())
            .filter(|word| !word.is_empty())
            .collect();
        if words.is_empty() {
            continue;
        }
        if !tag.is_empty() {
            tag.push('/');
        }
        tag.push_str(&words.join("-"));
    }
    let tag: String = tag.nfc().collect();
    (!tag.is_empty() && tag.len() <= TAG_BYTES_MAX).then_some(tag)
}

fn in_tag(c: char) -> bool {
    if c.is_ascii() {
        return c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '/');
    }
    let punctuation = matches!(c, '\u{2000}'..='\u{206f}' | '\u{2e00}'..='\u{2e7f}' | '\u{3000}'..='\u{303f}' | '\u{ff01}'..='\u{ff0f}');
    let joiner = matches!(c, '\u{200c}' | '\u{200d}');
    joiner || !(punctuation || c.is_whitespace() || c.is_control())
}

fn colour(word: &str) -> bool {
    matches!(word.len(), 3 | 6 | 8) && word.bytes().all(|b| b.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_in_text() {
        let cases: [(&str, &[&str]); 14] = [
            ("#one and #two/three, #four.", &["one", "two/three", "four"]),
            ("# heading", &[]),
            ("## heading", &[]),
            ("a#b http://x.y/#frag", &[]),
            ("#fff #A1B2C3 #11223344", &[]),
            ("#cafe #decades", &["cafe", "decades"]),
            ("#123 #2024-01 #y1984", &["y1984"]),
            ("#größe #日本語。 #emoji🎉", &["größe", "日本語", "emoji🎉"]),
            ("(#no) \"#no\" ##no #a#b", &[]),
            ("#a//b/ #/c", &["a/b", "c"]),
            ("#", &[]),
            ("#!/bin/sh", &[]),
            ("tab\t#x\u{a0}#y", &["x", "y"]),
            ("#cafe\u{301}", &["caf\u{e9}"]),
        ];
        for (text, expect) in cases {
            let mut tags = Vec::new();
            in_text(text, |tag| tags.push(tag));
            assert_eq!(tags, expect, "{text:?}");
        }
    }

    #[test]
    fn tags_in_front_matter() {
        let text = |s: &str| in_field(&Field::Text(s.into()));
        assert_eq!(text("a b  #c"), ["a", "b", "c"]);
        assert_eq!(text("a, two words,,b/c"), ["a", "two-words", "b/c"]);
        let list = Field::List(vec![
            "#x".into(),
            " y z ".into(),
            String::new(),
            "2024".into(),
        ]);
        assert_eq!(in_field(&list), ["x", "y-z", "2024"]);
        assert_eq!(
            in_field(&Field::Text("x".repeat(TAG_BYTES_MAX + 1))),
            [""; 0]
        );
    }
}
