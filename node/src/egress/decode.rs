//! Decoding: the texts that lie in a text as base64, hexadecimal or percent signs.
//!
//! Only what decodes to text counts, so pictures and hashes cost one look at their beginning.

use data_encoding::{Encoding, Specification};
use regex::Regex;
use std::ops::Range;
use std::sync::LazyLock;

/// The fewest characters of a run: shorter ones hold no secret worth the false alarms.
const BASE64_CHARS_MIN: usize = 20;
/// The fewest characters of a line that goes on in the next, as mail and keys are wrapped.
const WRAPPED_CHARS_MIN: usize = 40;
/// Characters that tell whether a run decodes to text; a multiple of four.
const PROBE_CHARS: usize = 64;

static BASE64: LazyLock<Encoding> = LazyLock::new(|| {
    let mut specification = Specification::new();
    specification
        .symbols
        .push_str("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/");
    specification.check_trailing_bits = false;
    specification
        .encoding()
        .expect("64 distinct symbols make an alphabet")
});
static HEX: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(?-u)(?:\\x|0x)?[0-9a-fA-F]{2}(?:[ :,]?(?:\\x|0x)?[0-9a-fA-F]{2}){9,}")
        .expect("the pattern is well-formed")
});
static PERCENT: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"[^\s%]*(?:%[0-9a-fA-F]{2}[^\s%]*){3,}").expect("the pattern is well-formed")
});

/// A text that lay encoded in another.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Decoded {
    /// Where it lay.
    pub(super) range: Range<usize>,
    /// What it says.
    pub(super) text: String,
    /// How it was written.
    pub(super) encoding: &'static str,
}

/// Returns the texts that lie encoded in a text, up to `budget` bytes of them.
pub(super) fn decode(text: &str, budget: &mut usize) -> Vec<Decoded> {
    let mut found = Vec::new();
    let mut push = |range: Range<usize>, bytes: Vec<u8>, encoding| {
        let text = as_text(bytes).filter(|text| text.len() <= *budget);
        let is_text = text.is_some();
        if let Some(text) = text {
            *budget -= text.len();
            found.push(Decoded {
                range,
                text,
                encoding,
            });
        }
        is_text
    };
    for ranges in base64_runs(text.as_bytes()) {
        // A line that only stands below the run may have been taken for its last one.
        for range in ranges {
            let run = text.get(range.clone()).unwrap_or_default();
            if decode_base64(run).is_some_and(|bytes| push(range, bytes, "base64")) {
                break;
            }
        }
    }
    for run in HEX.find_iter(text) {
        if push(run.range(), decode_hex(run.as_str()), "hexadecimal") {
            continue;
        }
        // A word before it may be made of the same letters.
        let mut at = run.start();
        for piece in run.as_str().split_inclusive([' ', ':', ',']) {
            let digits = piece.trim_end_matches([' ', ':', ',']);
            if digits.len() >= BASE64_CHARS_MIN && digits.len() < run.len() {
                push(at..at + digits.len(), decode_hex(digits), "hexadecimal");
            }
            at += piece.len();
        }
    }
    if text.contains('%') {
        for run in PERCENT.find_iter(text) {
            push(run.range(), decode_percent(run.as_str()), "percent signs");
        }
    }
    found
}

fn is_base64(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'-' | b'_')
}

/// Returns the runs of base64 characters. Wrapped lines are one run; it comes with and without its
/// last line, and its first line comes alone.
fn base64_runs(bytes: &[u8]) -> Vec<Vec<Range<usize>>> {
    let mut runs = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let rest = bytes.get(at..).unwrap_or_default();
        let line = rest.iter().take_while(|byte| is_base64(**byte)).count();
        if line < BASE64_CHARS_MIN {
            at += line.max(1);
            continue;
        }
        let start = at;
        let mut last = line;
        at += line;
        let mut ends = vec![at];
        while last >= WRAPPED_CHARS_MIN {
            let rest = bytes.get(at..).unwrap_or_default();
            let breaks = rest
                .iter()
                .take_while(|byte| matches!(byte, b'\n' | b'\r' | b' ' | b'\t' | b'>'))
                .count();
            let newlines = rest.iter().take(breaks).filter(|byte| **byte == b'\n');
            if newlines.count() != 1 {
                break;
            }
            let next = rest.iter().skip(breaks);
            last = next.take_while(|byte| is_base64(**byte)).count();
            if last == 0 {
                break;
            }
            at += breaks + last;
            ends.push(at);
        }
        let lines = ends.len();
        let tried = [lines.checked_sub(1), lines.checked_sub(2), Some(0)];
        let mut tried: Vec<usize> = tried.into_iter().flatten().collect();
        tried.dedup();
        let ends = tried.iter().filter_map(|line| ends.get(*line));
        runs.push(ends.map(|end| start..*end).collect());
    }
    runs
}

fn decode_base64(run: &str) -> Option<Vec<u8>> {
    let map = |byte: u8| match byte {
        b'-' => b'+',
        b'_' => b'/',
        other => other,
    };
    let mut symbols: Vec<u8> = run.bytes().filter(|b| is_base64(*b)).map(map).collect();
    if symbols.len() % 4 == 1 {
        symbols.pop();
    }
    let probe = symbols.get(..PROBE_CHARS).unwrap_or(&symbols);
    let probe = BASE64.decode(probe).ok()?;
    // The last character of the probe may be cut in two.
    let whole = probe.len().saturating_sub(3);
    let is_text = match std::str::from_utf8(&probe) {
        Ok(text) => is_readable(text),
        Err(error) if error.valid_up_to() >= whole && error.error_len().is_none() => true,
        Err(_) => false,
    };
    is_text.then(|| BASE64.decode(&symbols).ok()).flatten()
}

fn decode_hex(run: &str) -> Vec<u8> {
    let run = run.replace("\\x", "").replace("0x", "");
    let digits: Vec<u8> = run
        .chars()
        .filter_map(|c| c.to_digit(16))
        .map(small)
        .collect();
    let pairs = digits.chunks_exact(2);
    pairs
        .map(|pair| pair.iter().fold(0, |byte, digit| byte << 4 | digit))
        .collect()
}

fn small(digit: u32) -> u8 {
    u8::try_from(digit).unwrap_or_default()
}

fn decode_percent(run: &str) -> Vec<u8> {
    let bytes = run.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        let pair = bytes.get(at + 1..at + 3);
        let digit = |digit: u8| char::from(digit).to_digit(16).map(small);
        match pair {
            Some([high, low]) if *byte == b'%' => {
                if let (Some(high), Some(low)) = (digit(*high), digit(*low)) {
                    out.push(high << 4 | low);
                    at += 3;
                    continue;
                }
                out.push(*byte);
            }
            _ => out.push(*byte),
        }
        at += 1;
    }
    out
}

fn as_text(bytes: Vec<u8>) -> Option<String> {
    let text = String::from_utf8(bytes).ok()?;
    is_readable(&text).then_some(text)
}

fn is_readable(text: &str) -> bool {
    let is_control = |c: &char| c.is_control() && !matches!(c, '\n' | '\r' | '\t');
    text.len() >= 8 && !text.chars().any(|c| is_control(&c))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(text: &str) -> Vec<String> {
        let found = decode(text, &mut 10_000);
        found.into_iter().map(|decoded| decoded.text).collect()
    }

    #[test]
    fn what_was_encoded_is_read() {
        let secret = "the card is 4111 1111 1111 1111, please keep it";
        let base64 = data_encoding::BASE64.encode(secret.as_bytes());
        let url = data_encoding::BASE64URL_NOPAD.encode(secret.as_bytes());
        let hex = data_encoding::HEXLOWER.encode(secret.as_bytes());
        let spaced: Vec<String> = secret.bytes().map(|byte| format!("{byte:02x}")).collect();
        let percent: Vec<String> = secret.bytes().map(|byte| format!("%{byte:02X}")).collect();
        for run in [base64, url, hex, spaced.join(" "), percent.concat()] {
            let found = texts(&format!("see: {run} (end)"));
            assert!(found.iter().any(|text| text == secret), "{run}: {found:?}");
        }
        let wrapped = data_encoding::BASE64.encode(secret.repeat(5).as_bytes());
        let lines: Vec<&str> = wrapped
            .as_bytes()
            .chunks(60)
            .filter_map(|line| std::str::from_utf8(line).ok())
            .collect();
        let found = texts(&lines.join("\n"));
        assert!(found.iter().any(|text| text.contains(secret)), "{found:?}");
    }

    #[test]
    fn hashes_pictures_and_prose_are_not_text() {
        for text in [
            "3f786850e387550fdab836ed7e6dc881de23001b",
            "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk",
            "an ordinary sentence with supercalifragilisticexpialidocious words",
        ] {
            assert_eq!(texts(text), [""; 0], "{text}");
        }
    }

    #[test]
    fn the_budget_holds() {
        let run = data_encoding::BASE64.encode("word ".repeat(1_000).as_bytes());
        let mut budget = 100;
        assert_eq!(decode(&run, &mut budget), []);
        assert_eq!(budget, 100);
    }
}
