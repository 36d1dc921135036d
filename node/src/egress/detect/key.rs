//! Private keys: the armour that surrounds them, with something inside.

use super::Match;
use crdt::hash::Hash;
use regex::Regex;
use std::sync::LazyLock;

/// The fewest characters inside an armour: less is a mention of one.
const INSIDE_CHARS_MIN: usize = 48;
/// Bytes after the beginning of an armour in which its inside must begin.
const INSIDE_BYTES_MAX: usize = 16 << 10;

static ARMOUR: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(?i)-{2,}[ \t]*begin[ \t]+(?:[a-z0-9]+[ \t]+){0,3}private[ \t]+key(?:[ \t]+block)?[ \t]*-{2,}")
        .expect("the pattern is well-formed")
});
static WORDS: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(
        r"(?i)(?-u:\b)age-secret-key-(?:pq-)?1[02-9ac-hj-np-z]{52,}|putty-user-key-file-[0-9]:",
    )
    .expect("the pattern is well-formed")
});

pub(super) fn find(text: &str) -> Vec<Match> {
    let named = |value: &str, start: usize, end: usize| Match {
        range: start..end,
        value: format!(
            "{:?}",
            Hash::of("second-brain 2026 v1 key", &[value.as_bytes()])
        ),
    };
    // PuTTY writes the public half into the same file.
    let is_whole =
        |word: &str| !word.ends_with(':') || text.to_lowercase().contains("private-lines:");
    let mut found: Vec<Match> = WORDS
        .find_iter(text)
        .filter(|word| is_whole(word.as_str()))
        .map(|word| named(&word.as_str().to_lowercase(), word.start(), word.end()))
        .collect();
    for armour in ARMOUR.find_iter(text) {
        let rest = text.get(armour.end()..).unwrap_or_default();
        if let Some((inside, length)) = inside(rest) {
            found.push(named(&inside, armour.start(), armour.end() + length));
        }
    }
    found
}

/// Reads what lies in an armour: its characters without white space, and its length in bytes up to
/// the end of the armour.
fn inside(text: &str) -> Option<(String, usize)> {
    // Headers such as "Proc-Type: 4,ENCRYPTED" come first; keys on one line write "\n".
    let mut inside = String::new();
    let mut length = 0;
    for line in text.split_inclusive('\n') {
        if length + line.len() > INSIDE_BYTES_MAX {
            break;
        }
        let is_end = line.contains("--");
        let is_header = line.contains(": ") && inside.is_empty();
        if !is_header {
            let body = line.split("--").next().unwrap_or_default();
            let body = body.replace("\\n", " ").replace("\\r", " ");
            let words = body.split(|c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '>'));
            for word in words {
                if word.chars().all(is_inner) {
                    inside.push_str(word);
                } else {
                    return enough(inside, length);
                }
            }
        }
        length += line.len();
        if is_end {
            break;
        }
    }
    enough(inside, length)
}

fn is_inner(character: char) -> bool {
    character.is_ascii_alphanumeric() || matches!(character, '+' | '/' | '=' | '-' | '_')
}

fn enough(inside: String, length: usize) -> Option<(String, usize)> {
    let has = |test: fn(&char) -> bool| inside.chars().any(|c| test(&c));
    let is_key = inside.len() >= INSIDE_CHARS_MIN
        && has(char::is_ascii_digit)
        && has(char::is_ascii_alphabetic);
    is_key.then_some((inside, length))
}
