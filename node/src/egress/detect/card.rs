//! Payment cards: issuer, length, check digit, and the words around the number.
//!
//! A tenth of all numbers passes the check digit, so a number counts only if an issuer gives out
//! such numbers, it is written as cards are written, and no word nearby says what else it is.

use super::{Match, after, before, has_word};
use std::ops::Range;

/// The fewest and most digits of a card.
const DIGITS: std::ops::RangeInclusive<usize> = 14..=19;
/// Characters between two digits of one number.
const SEPARATORS_MAX: usize = 3;
/// Bytes before and after a number in which words are read.
const CONTEXT_BYTES: usize = 48;
/// The most digits of a run in which cards are looked for: longer ones are data.
const RUN_DIGITS_MAX: usize = 256;

/// Words that make a number a card.
const CARD_WORDS: [&str; 18] = [
    "card",
    "visa",
    "mastercard",
    "amex",
    "american",
    "diners",
    "discover",
    "jcb",
    "unionpay",
    "maestro",
    "kreditkarte",
    "karte",
    "carte",
    "tarjeta",
    "carta",
    "cvv",
    "cvc",
    "pan",
];
/// Words that make an ungrouped number something else.
const OTHER_WORDS: [&str; 34] = [
    "order",
    "tracking",
    "track",
    "invoice",
    "isbn",
    "imei",
    "serial",
    "sku",
    "ref",
    "id",
    "item",
    "parcel",
    "shipment",
    "sendung",
    "bestell",
    "rechnung",
    "artikel",
    "commande",
    "pedido",
    "ticket",
    "case",
    "product",
    "produkt",
    "build",
    "version",
    "timestamp",
    "ean",
    "gtin",
    "upc",
    "barcode",
    "customer",
    "kunden",
    "vorgang",
    "numero",
];
/// Words that make even a grouped number something else.
const NEVER_WORDS: [&str; 10] = [
    "tracking", "imei", "isbn", "serial", "parcel", "sendung", "ean", "gtin", "iccid", "meter",
];

/// Digits with little between them.
#[derive(Debug, Default)]
struct Run {
    /// Each digit and where it stands.
    digits: Vec<(u8, usize)>,
    /// Indices of the digits that begin a group.
    starts: Vec<usize>,
}

pub(super) fn find(text: &str) -> Vec<Match> {
    let mut found = Vec::new();
    for run in runs(text) {
        let mut group = 0;
        while let Some(start) = run.starts.get(group) {
            match card_at(text, &run, group) {
                Some(length) => {
                    let digits = run.digits.iter().skip(*start).take(length);
                    let value = digits.clone().map(|(d, _)| char::from(b'0' + d)).collect();
                    let last = digits.clone().next_back().map_or(0, |(_, at)| *at);
                    let first = run.digits.get(*start).map_or(0, |(_, at)| *at);
                    found.push(Match {
                        range: first..last + 1,
                        value,
                    });
                    group = run.starts.partition_point(|at| *at < start + length);
                }
                None => group += 1,
            }
        }
    }
    found
}

fn runs(text: &str) -> Vec<Run> {
    let bytes = text.as_bytes();
    let mut runs = Vec::new();
    let mut run = Run::default();
    let mut at = 0;
    let digit_after = |at: usize| {
        let mut rest = bytes.iter().skip(at);
        rest.position(u8::is_ascii_digit).map(|gap| at + gap)
    };
    while let Some(next) = digit_after(at) {
        at = next;
        let last = run.digits.last().map_or(0, |(_, at)| *at);
        let gap = bytes.get(last + 1..next).unwrap_or_default();
        let is_joined = !run.digits.is_empty()
            && gap.len() <= SEPARATORS_MAX
            && gap
                .iter()
                .all(|byte| matches!(byte, b' ' | b'-' | b'.' | b'_' | b'/' | b'*' | b'|'));
        if !is_joined {
            keep(text, std::mem::take(&mut run), &mut runs);
        }
        if !is_joined || !gap.is_empty() {
            run.starts.push(run.digits.len());
        }
        while let Some(digit) = bytes.get(at).filter(|byte| byte.is_ascii_digit()) {
            run.digits.push((digit - b'0', at));
            at += 1;
        }
    }
    keep(text, run, &mut runs);
    runs
}

fn keep(text: &str, run: Run, runs: &mut Vec<Run>) {
    let place = |digit: Option<&(u8, usize)>| digit.map_or(0, |(_, at)| *at);
    let (first, last) = (place(run.digits.first()), place(run.digits.last()));
    let bytes = text.as_bytes();
    let is_letter = |byte: Option<&u8>| {
        byte.is_some_and(|byte| byte.is_ascii_alphabetic() || matches!(byte, b'=' | b'%'))
    };
    // A digit of a longer name, such as a hash, is no number.
    let is_part = is_letter(
        first
            .checked_sub(1)
            .and_then(|at| bytes.get(at))
            .filter(|b| **b != b'='),
    ) || is_letter(bytes.get(last + 1).filter(|b| **b != b'='));
    let count = run.digits.len();
    if !is_part && (*DIGITS.start()..=RUN_DIGITS_MAX).contains(&count) {
        runs.push(run);
    }
}

/// Returns the digits of the card that begins with a group.
fn card_at(text: &str, run: &Run, group: usize) -> Option<usize> {
    let start = *run.starts.get(group)?;
    for length in DIGITS.rev() {
        let end = start + length;
        let ends_group = end == run.digits.len() || run.starts.binary_search(&end).is_ok();
        if !ends_group {
            continue;
        }
        let digits: Vec<u8> = run
            .digits
            .iter()
            .skip(start)
            .take(length)
            .map(|d| d.0)
            .collect();
        let Some(issuer) = issuer(&digits) else {
            continue;
        };
        if luhn(&digits) && is_plausible(text, run, group, start..end, issuer) {
            return Some(length);
        }
    }
    None
}

/// How surely numbers of an issuer are cards.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Issuer {
    /// By the number alone.
    Known,
    /// If it is grouped as cards are, or a word says so.
    Grouped,
    /// If a word says so.
    Named,
}

fn issuer(digits: &[u8]) -> Option<Issuer> {
    let prefix = |count: usize| {
        let first = digits.iter().take(count);
        first.fold(0_u32, |number, digit| number * 10 + u32::from(*digit))
    };
    let (one, two, three, four) = (prefix(1), prefix(2), prefix(3), prefix(4));
    // Test numbers of one repeated digit are nobody's.
    if digits.iter().all(|digit| Some(digit) == digits.first()) {
        return None;
    }
    match digits.len() {
        16 if one == 4 || (51..=55).contains(&two) || (2221..=2720).contains(&four) => {
            Some(Issuer::Known)
        }
        15 if two == 34 || two == 37 => Some(Issuer::Known),
        16 if four == 6011 || two == 65 || (644..=649).contains(&three) => Some(Issuer::Known),
        16 if (3528..=3589).contains(&four) => Some(Issuer::Known),
        14 if matches!(two, 36 | 38 | 39) || (300..=305).contains(&three) => Some(Issuer::Grouped),
        16 if two == 62 => Some(Issuer::Grouped),
        17..=19 if two == 62 => Some(Issuer::Named),
        19 if one == 4 => Some(Issuer::Named),
        16..=19 if two == 50 || (56..=58).contains(&two) || one == 6 => Some(Issuer::Named),
        _ => None,
    }
}

fn luhn(digits: &[u8]) -> bool {
    let doubled = |(at, digit): (usize, &u8)| match (at % 2, u32::from(*digit)) {
        (0, digit) => digit,
        (_, digit) if digit > 4 => digit * 2 - 9,
        (_, digit) => digit * 2,
    };
    digits.iter().rev().enumerate().map(doubled).sum::<u32>() % 10 == 0
}

/// Weighs how the number is written and which words stand around it.
fn is_plausible(text: &str, run: &Run, group: usize, card: Range<usize>, issuer: Issuer) -> bool {
    let place = |digit: usize| run.digits.get(digit).map_or(0, |(_, at)| *at);
    let words = before(text, place(card.start), CONTEXT_BYTES);
    let more = after(text, place(card.end - 1) + 1, CONTEXT_BYTES / 2);
    let is_named = has_word(&words, &CARD_WORDS) || has_word(&more, &CARD_WORDS);
    if is_named {
        return true;
    }
    if issuer == Issuer::Named || has_word(&words, &NEVER_WORDS) {
        return false;
    }
    let groups: Vec<usize> = group_lengths(run, group, card.end);
    let is_single = groups.iter().all(|length| *length == 1);
    let is_grouped = matches!(
        groups.as_slice(),
        [4, 4, 4, 4] | [4, 6, 4 | 5] | [4, 4, 4, 4, 3]
    );
    if is_grouped || is_single {
        // A column of numbers is no card, whatever four of them make.
        let goes_on = |length: usize| matches!(length, 4) && !is_single;
        let follows = run.starts.get(group + groups.len()).is_some()
            && goes_on(group_length(run, group + groups.len()));
        let leads = group > 0 && goes_on(group_length(run, group - 1));
        return !follows && !leads;
    }
    let is_solid = groups.len() == 1 && run.starts.len() == 1;
    let path = words.rsplit(char::is_whitespace).next().unwrap_or_default();
    let is_address = path.contains('/') || path.ends_with(['#', '@', '=', '_']);
    is_solid && issuer == Issuer::Known && !is_address && !has_word(&words, &OTHER_WORDS)
}

fn group_length(run: &Run, group: usize) -> usize {
    let start = run.starts.get(group).copied().unwrap_or_default();
    let end = run.starts.get(group + 1).copied();
    end.unwrap_or(run.digits.len()).saturating_sub(start)
}

fn group_lengths(run: &Run, group: usize, end: usize) -> Vec<usize> {
    let groups = run.starts.iter().enumerate().skip(group);
    let inside = groups.take_while(|(_, start)| **start < end);
    inside.map(|(group, _)| group_length(run, group)).collect()
}
