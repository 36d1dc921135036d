//! E-mail addresses and telephone numbers, conservatively: what is written out as one.

use super::Match;
use regex::Regex;
use std::sync::LazyLock;

static EMAIL: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(?i)(?-u:\b)[a-z0-9][a-z0-9._%+-]*@(?:[a-z0-9-]+\.)+[a-z]{2,24}(?-u:\b)")
        .expect("the pattern is well-formed")
});
/// With a country's number, or with brackets or hyphens as in North America.
static PHONE: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(?:\+|(?-u:\b)00)[1-9][0-9]{0,2}(?:[ ./-]{0,2}\(?[0-9]{1,5}\)?){2,6}|(?:\([2-9][0-9]{2}\) ?|(?-u:\b)[2-9][0-9]{2}[.-])[2-9][0-9]{2}[.-][0-9]{4}(?-u:\b)")
        .expect("the pattern is well-formed")
});
/// Digits of a telephone number, by ITU-T E.164.
const PHONE_DIGITS: std::ops::RangeInclusive<usize> = 8..=15;

/// Domains that belong to nobody, by RFC 2606, and names that machines use.
const NOBODY: [&str; 7] = [
    "@example.",
    ".example",
    "noreply@",
    "no-reply@",
    "git@",
    ".local",
    "@localhost",
];

pub(super) fn emails(text: &str) -> Vec<Match> {
    if !text.contains('@') {
        return Vec::new();
    }
    let found = EMAIL.find_iter(text).map(|found| Match {
        range: found.range(),
        value: found.as_str().to_lowercase(),
    });
    found
        .filter(|found| !NOBODY.iter().any(|name| found.value.contains(name)))
        .collect()
}

pub(super) fn phones(text: &str) -> Vec<Match> {
    let bytes = text.as_bytes();
    let is_part = |at: Option<usize>| {
        at.and_then(|at| bytes.get(at))
            .is_some_and(u8::is_ascii_alphanumeric)
    };
    let found = PHONE
        .find_iter(text)
        .filter(|found| !is_part(found.start().checked_sub(1)) && !is_part(Some(found.end())));
    let found = found.map(|found| Match {
        range: found.range(),
        value: found
            .as_str()
            .chars()
            .filter(char::is_ascii_digit)
            .collect(),
    });
    found
        .filter(|found| PHONE_DIGITS.contains(&found.value.len()))
        .collect()
}
