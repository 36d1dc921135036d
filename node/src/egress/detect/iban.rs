//! Bank accounts: a country, its length, and the check by 97 of ISO 13616.

use super::Match;

/// Countries and the characters of their account numbers.
const LENGTHS: [(&[u8; 2], usize); 79] = [
    (b"AD", 24),
    (b"AE", 23),
    (b"AL", 28),
    (b"AT", 20),
    (b"AZ", 28),
    (b"BA", 20),
    (b"BE", 16),
    (b"BG", 22),
    (b"BH", 22),
    (b"BI", 27),
    (b"BR", 29),
    (b"BY", 28),
    (b"CH", 21),
    (b"CR", 22),
    (b"CY", 28),
    (b"CZ", 24),
    (b"DE", 22),
    (b"DJ", 27),
    (b"DK", 18),
    (b"DO", 28),
    (b"EE", 20),
    (b"EG", 29),
    (b"ES", 24),
    (b"FI", 18),
    (b"FO", 18),
    (b"FR", 27),
    (b"GB", 22),
    (b"GE", 22),
    (b"GI", 23),
    (b"GL", 18),
    (b"GR", 27),
    (b"GT", 28),
    (b"HR", 21),
    (b"HU", 28),
    (b"IE", 22),
    (b"IL", 23),
    (b"IQ", 23),
    (b"IS", 26),
    (b"IT", 27),
    (b"JO", 30),
    (b"KW", 30),
    (b"KZ", 20),
    (b"LB", 28),
    (b"LC", 32),
    (b"LI", 21),
    (b"LT", 20),
    (b"LU", 20),
    (b"LV", 21),
    (b"LY", 25),
    (b"MC", 27),
    (b"MD", 24),
    (b"ME", 22),
    (b"MK", 19),
    (b"MN", 20),
    (b"MR", 27),
    (b"MT", 31),
    (b"MU", 30),
    (b"NI", 28),
    (b"NL", 18),
    (b"NO", 15),
    (b"OM", 23),
    (b"PK", 24),
    (b"PL", 28),
    (b"PS", 29),
    (b"PT", 25),
    (b"QA", 29),
    (b"RO", 24),
    (b"RS", 22),
    (b"SA", 24),
    (b"SC", 31),
    (b"SE", 24),
    (b"SI", 19),
    (b"SK", 24),
    (b"SM", 27),
    (b"ST", 25),
    (b"SV", 28),
    (b"TN", 24),
    (b"TR", 26),
    (b"UA", 29),
];
/// Characters between two characters of one number.
const SEPARATORS_MAX: usize = 2;

pub(super) fn find(text: &str) -> Vec<Match> {
    let bytes = text.as_bytes();
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(rest) = bytes.get(at..).filter(|rest| rest.len() > 14) {
        let is_start = matches!(rest, [a, b, ..] if a.is_ascii_alphabetic() && b.is_ascii_alphabetic())
            && !at
                .checked_sub(1)
                .is_some_and(|at| bytes.get(at).is_some_and(u8::is_ascii_alphanumeric));
        match is_start.then(|| account(rest)).flatten() {
            Some((value, length)) => {
                found.push(Match {
                    range: at..at + length,
                    value,
                });
                at += length;
            }
            None => at += 1,
        }
    }
    found
}

/// Reads an account number at the beginning of a text: what it says, and its length in bytes.
fn account(text: &[u8]) -> Option<(String, usize)> {
    let [first, second, rest @ ..] = text else {
        return None;
    };
    // The check digits follow, which few words have; each word comes by here.
    let mut near = rest.iter().take(SEPARATORS_MAX + 1);
    if !near.any(u8::is_ascii_digit) {
        return None;
    }
    let country = [first, second].map(u8::to_ascii_uppercase);
    let (_, wanted) = LENGTHS.iter().find(|(code, _)| country == **code)?;
    let mut value = String::with_capacity(*wanted);
    let mut gap = 0;
    let mut length = 0;
    for (at, byte) in text.iter().enumerate() {
        if byte.is_ascii_alphanumeric() {
            // The check digits follow the country.
            if matches!(value.len(), 2 | 3) && !byte.is_ascii_digit() {
                return None;
            }
            value.push(char::from(byte.to_ascii_uppercase()));
            gap = 0;
            if value.len() == *wanted {
                length = at + 1;
                break;
            }
        } else if matches!(byte, b' ' | b'-' | b'.' | b'_' | b'/') && gap < SEPARATORS_MAX {
            gap += 1;
        } else {
            return None;
        }
    }
    let goes_on = text.get(length).is_some_and(u8::is_ascii_alphanumeric);
    let digits = value.bytes().filter(u8::is_ascii_digit).count();
    (length > 0 && !goes_on && digits * 2 >= value.len() && is_checked(&value))
        .then_some((value, length))
}

fn is_checked(value: &str) -> bool {
    // 98 less the rest of a division by 97 is 2 to 98.
    if matches!(value.get(2..4), None | Some("00" | "01" | "99")) {
        return false;
    }
    let (front, back) = value.split_at_checked(4).unwrap_or_default();
    let mut rest = 0_u32;
    for character in back.chars().chain(front.chars()) {
        let Some(number) = character.to_digit(36) else {
            return false;
        };
        rest = (rest * if number > 9 { 100 } else { 10 } + number) % 97;
    }
    rest == 1
}
