//! Tokens and passwords: by the forms of their issuers, and by the word before a value that looks
//! drawn at random.

use super::Match;
use regex::{Captures, Regex, RegexSet, RegexSetBuilder};
use std::sync::LazyLock;

/// Bits for each character of a value that counts as drawn at random.
const BITS_MIN: f64 = 3.0;
/// The longest value that is read.
const VALUE_CHARS_MAX: usize = 512;

/// How a match of a pattern is judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Judge {
    /// The form says it; the value must not be one that documents show.
    Form,
    /// The same, and its beginning could be a word: it must have digits.
    Digits,
    /// The same, unless it is in capitals as its issuer writes it.
    Key,
    /// The word before says it; the value must look drawn at random.
    Random,
    /// A password inside an address.
    Address,
}

/// Patterns; the last group is the value.
const PATTERNS: [(&str, Judge); 14] = [
    (
        r"(?i-u:\b(?:akia|asia|abia|acca)[a-z0-9]{16}\b)",
        Judge::Key,
    ),
    (
        r"(?i-u:\b(?:gh[pousr]_[a-z0-9]{36,}|github_pat_[a-z0-9_]{50,}))",
        Judge::Form,
    ),
    (r"(?i-u:\bxox[abeoprs]-[a-z0-9-]{12,})", Judge::Form),
    (
        r"(?i-u:hooks\.slack\.com/services/t[a-z0-9]{6,}/b[a-z0-9]{6,}/[a-z0-9]{18,})",
        Judge::Form,
    ),
    (r"(?i-u:\bglpat-[a-z0-9_-]{20,})", Judge::Form),
    (
        r"(?i-u:\bsk-(?:[a-z0-9]{2,8}-){0,2}[a-z0-9_-]{32,})",
        Judge::Digits,
    ),
    (r"(?i-u:\b[sr]k_(?:live|test)_[a-z0-9]{20,})", Judge::Form),
    (r"(?-u:\bAIza[A-Za-z0-9_-]{35})", Judge::Form),
    (r"(?i-u:\bnpm_[a-z0-9]{36}\b)", Judge::Form),
    (r"(?i-u:\bbrn_[a-z2-7]{52}\b)", Judge::Form),
    (
        r"(?-u:\beyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{16,})",
        Judge::Form,
    ),
    (
        r"(?i-u:\bbearer[ \t]+([a-z0-9._~+/=-]{20,}))",
        Judge::Random,
    ),
    (
        r#"(?i-u:(?:api[_ -]?key|secret[_ -]?key|access[_ -]?key|client[_ -]?secret|(?:auth|access|api|refresh|bot|session)[_ -]?token|encryption[_ -]?key|signing[_ -]?key|master[_ -]?key|private[_ -]?key|pass(?:word|wd|phrase)|passwort|kennwort|mot de passe|(?u:contrase[nñ]a)|\bpwd|secret|token|_key)["'\]]{0,2}[ \t]{0,4}(?::=|=>|==|=|:|\bis\b)[ \t]{0,4}["'`<]?([a-z0-9+/_.~!@#$%^&*=-]{10,}))"#,
        Judge::Random,
    ),
    (
        r#"(?i:(?-u:\b)[a-z][a-z0-9+.-]{1,15}://[^\s/:@"']{1,64}:([^\s/@"']{6,128})@[a-z0-9])"#,
        Judge::Address,
    ),
];

/// The bytes that what was learned of all patterns together may take. With fewer it is forgotten before it
/// is used again, and a text takes four times as long.
const LEARNED_BYTES_MAX: usize = 8 << 20;

static ANY: LazyLock<RegexSet> = LazyLock::new(|| {
    let patterns = PATTERNS.iter().map(|(pattern, _)| *pattern);
    let any = RegexSetBuilder::new(patterns)
        .dfa_size_limit(LEARNED_BYTES_MAX)
        .build();
    any.expect("patterns are well-formed")
});
static EACH: LazyLock<Vec<Regex>> = LazyLock::new(|| {
    let patterns = PATTERNS.iter();
    let each = patterns.map(|(pattern, _)| Regex::new(pattern).expect("patterns are well-formed"));
    each.collect()
});

pub(super) fn find(text: &str) -> Vec<Match> {
    let mut found: Vec<Match> = Vec::new();
    for number in ANY.matches(text) {
        let (Some(pattern), Some((_, judge))) = (EACH.get(number), PATTERNS.get(number)) else {
            continue;
        };
        for captures in pattern.captures_iter(text) {
            if let Some(value) = judged(&captures, *judge) {
                let is_known = found.iter().any(|known| {
                    known.range.start < value.range.end && value.range.start < known.range.end
                });
                if !is_known {
                    found.push(value);
                }
            }
        }
    }
    found
}

fn judged(captures: &Captures<'_>, judge: Judge) -> Option<Match> {
    let value = captures.get(1).or_else(|| captures.get(0))?;
    let text = value.as_str();
    let text = text.get(..VALUE_CHARS_MAX).unwrap_or(text);
    let text = text.trim_end_matches(['.', ',', '!', '*', '\'', '"']);
    let digits = text.bytes().filter(u8::is_ascii_digit).count();
    let is_secret = !is_placeholder(text)
        && match judge {
            Judge::Form => true,
            Judge::Digits => digits >= 2,
            Judge::Key => digits >= 2 || !text.bytes().any(|byte| byte.is_ascii_lowercase()),
            Judge::Random => is_random(text),
            Judge::Address => digits >= 1 && text.len() >= 8,
        };
    is_secret.then(|| Match {
        range: value.start()..value.start() + text.len(),
        value: text.to_owned(),
    })
}

/// Tells whether a value stands for another one, as documents and templates write it.
fn is_placeholder(text: &str) -> bool {
    const ANYWHERE: [&str; 11] = [
        "example",
        "xxxx",
        "placeholder",
        "changeme",
        "redacted",
        "****",
        "....",
        "${",
        "{{",
        "<",
        "process.env",
    ];
    const WORDS: [&str; 7] = [
        "your", "change", "dummy", "sample", "insert", "todo", "environ",
    ];
    let lower = text.to_lowercase();
    let mut parts = lower.split(|c: char| !c.is_ascii_alphanumeric());
    ANYWHERE.iter().any(|word| lower.contains(word)) || parts.any(|part| WORDS.contains(&part))
}

/// Tells whether a value looks drawn at random rather than written.
fn is_random(text: &str) -> bool {
    let count = |test: fn(&u8) -> bool| text.bytes().filter(test).count();
    let (digits, letters) = (count(u8::is_ascii_digit), count(u8::is_ascii_alphabetic));
    let (lower, upper) = (count(u8::is_ascii_lowercase), count(u8::is_ascii_uppercase));
    let marks = count(|byte| matches!(byte, b'!' | b'@' | b'#' | b'$' | b'%' | b'^' | b'&' | b'*'));
    let is_mixed = lower > 0 && upper > 0 && (digits > 0 || marks > 0);
    let is_short_password = text.len() >= 10 && is_mixed && digits > 0 && marks > 0;
    // Names in code change between small and capital letters less often than chance does.
    let is_jumbled = is_mixed && changes(text) * 100 >= text.len() * 38;
    let is_long = text.len() >= 16 && letters >= 4 && (digits >= 3 || is_jumbled);
    if !is_short_password && !is_long {
        return false;
    }
    // Versions, dates, addresses, files and names in code are written.
    let parts: Vec<&str> = text.split(['.', '/', '-', '_', ':']).collect();
    let is_path = text.contains("://") || text.starts_with(['/', '.', '~']);
    let words = parts.iter().filter(|part| {
        !part.is_empty()
            && (part.bytes().all(|b| b.is_ascii_alphabetic()) && part.len() < 16
                || part.len() < 7 && part.bytes().all(|b| b.is_ascii_digit()))
    });
    let is_written = parts.len() > 1 && words.count() * 3 >= parts.len() * 2;
    !is_path && !is_written && bits(text) >= BITS_MIN
}

/// Counts how often the next character is of another sort: small, capital, digit, mark.
fn changes(text: &str) -> usize {
    let sort = |byte: u8| match byte {
        b'a'..=b'z' => 0,
        b'A'..=b'Z' => 1,
        b'0'..=b'9' => 2,
        _ => 3,
    };
    let sorts = || text.bytes().map(sort);
    sorts()
        .zip(sorts().skip(1))
        .filter(|(one, next)| one != next)
        .count()
}

/// Returns the entropy of a text's characters, in bits for each.
fn bits(text: &str) -> f64 {
    let mut counts = [0_u32; 256];
    for byte in text.bytes() {
        if let Some(count) = counts.get_mut(usize::from(byte)) {
            *count += 1;
        }
    }
    let length = f64::from(u32::try_from(text.len()).unwrap_or(u32::MAX));
    let parts = counts.iter().filter(|count| **count > 0);
    parts
        .map(|count| f64::from(*count) / length)
        .map(|part| -part * part.log2())
        .sum()
}
