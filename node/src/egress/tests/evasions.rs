//! Secrets written another way: by habit, by a program in between, or to get past a simple look.

use super::corpus::Draw;
use super::secrets::{self, Sort};

type Transform = fn(&mut Draw, &str) -> String;

fn between_each(text: &str, every: usize, piece: &str) -> String {
    let mut out = String::new();
    for (at, c) in text.chars().enumerate() {
        if at > 0 && at % every == 0 {
            out.push_str(piece);
        }
        out.push(c);
    }
    out
}

fn map(text: &str, pairs: &[(char, char)]) -> String {
    let look = |c: char| {
        pairs
            .iter()
            .find(|(from, _)| *from == c)
            .map_or(c, |(_, to)| *to)
    };
    text.chars().map(look).collect()
}

fn only_digits(text: &str) -> String {
    text.chars().filter(char::is_ascii_alphanumeric).collect()
}

fn full_width(_: &mut Draw, text: &str) -> String {
    let wide = |c: char| match c {
        '!'..='~' => char::from_u32(u32::from(c) + 0xfee0).unwrap_or(c),
        other => other,
    };
    text.chars().map(wide).collect()
}

fn arabic_digits(draw: &mut Draw, text: &str) -> String {
    let zero = [0x660_u32, 0x6f0, 0x966][draw.below(3)];
    let other = |c: char| {
        c.to_digit(10)
            .and_then(|d| char::from_u32(zero + d))
            .unwrap_or(c)
    };
    text.chars().map(other).collect()
}

fn homoglyphs(_: &mut Draw, text: &str) -> String {
    let pairs = [
        ('A', 'А'),
        ('B', 'В'),
        ('E', 'Е'),
        ('K', 'К'),
        ('M', 'М'),
        ('H', 'Н'),
        ('O', 'О'),
        ('P', 'Р'),
        ('C', 'С'),
        ('T', 'Т'),
        ('X', 'Х'),
        ('a', 'а'),
        ('e', 'е'),
        ('o', 'о'),
        ('p', 'р'),
        ('c', 'с'),
        ('x', 'х'),
        ('I', 'Ι'),
        ('N', 'Ν'),
        ('Z', 'Ζ'),
    ];
    map(text, &pairs)
}

fn zero_width(draw: &mut Draw, text: &str) -> String {
    let piece = draw.of(&["\u{200b}", "\u{200d}", "\u{2060}", "\u{feff}"]);
    let every = draw.between(1, 5);
    between_each(text, every, piece)
}

fn soft_hyphens(draw: &mut Draw, text: &str) -> String {
    let every = draw.between(2, 6);
    between_each(text, every, "\u{ad}")
}

fn struck_out(_: &mut Draw, text: &str) -> String {
    between_each(text, 1, "\u{336}")
}

fn base64(_: &mut Draw, text: &str) -> String {
    data_encoding::BASE64.encode(format!("note: {text}").as_bytes())
}

fn base64_twice(draw: &mut Draw, text: &str) -> String {
    let once = base64(draw, text);
    data_encoding::BASE64.encode(once.as_bytes())
}

fn base64_url(_: &mut Draw, text: &str) -> String {
    data_encoding::BASE64URL_NOPAD.encode(text.as_bytes())
}

fn base64_wrapped(_: &mut Draw, text: &str) -> String {
    let long = format!("Dear Tom, as agreed I send it here so that you have it. {text}");
    between_each(&data_encoding::BASE64.encode(long.as_bytes()), 76, "\n")
}

fn hexadecimal(_: &mut Draw, text: &str) -> String {
    data_encoding::HEXLOWER.encode(text.as_bytes())
}

fn hex_with_spaces(_: &mut Draw, text: &str) -> String {
    between_each(&data_encoding::HEXUPPER.encode(text.as_bytes()), 2, " ")
}

fn hex_in_base64(draw: &mut Draw, text: &str) -> String {
    let hex = hexadecimal(draw, text);
    data_encoding::BASE64.encode(hex.as_bytes())
}

pub(super) fn in_percent(text: &str) -> String {
    let write = |mut out: String, byte: u8| {
        out.push('%');
        out.push_str(&data_encoding::HEXUPPER.encode(&[byte]));
        out
    };
    text.bytes().fold(String::new(), write)
}

fn percent(_: &mut Draw, text: &str) -> String {
    in_percent(text)
}

fn percent_some(_: &mut Draw, text: &str) -> String {
    let write = |c: char| match c {
        'a'..='m' | '0'..='4' | ' ' | '-' | '\n' => format!("%{:02x}", u32::from(c)),
        other => other.to_string(),
    };
    text.chars().map(write).collect()
}

fn spaced_digits(_: &mut Draw, text: &str) -> String {
    between_each(&only_digits(text), 1, " ")
}

fn dotted_groups(_: &mut Draw, text: &str) -> String {
    between_each(&only_digits(text), 4, ".")
}

fn slashed_groups(_: &mut Draw, text: &str) -> String {
    between_each(&only_digits(text), 4, "/")
}

fn wide_groups(_: &mut Draw, text: &str) -> String {
    between_each(&only_digits(text), 4, " - ")
}

fn no_break_spaces(_: &mut Draw, text: &str) -> String {
    between_each(&only_digits(text), 4, "\u{a0}")
}

fn dashes(_: &mut Draw, text: &str) -> String {
    between_each(&only_digits(text), 4, "\u{2013}")
}

fn other_case(_: &mut Draw, text: &str) -> String {
    text.to_lowercase()
}

const ANY: [(&str, Transform); 10] = [
    ("zero width", zero_width),
    ("soft hyphens", soft_hyphens),
    ("full width", full_width),
    ("base64", base64),
    ("base64 twice", base64_twice),
    ("base64 url", base64_url),
    ("base64 wrapped", base64_wrapped),
    ("hexadecimal", hexadecimal),
    ("hex in base64", hex_in_base64),
    ("percent", percent),
];
const NUMBERS: [(&str, Transform); 6] = [
    ("arabic digits", arabic_digits),
    ("struck out", struck_out),
    ("dotted", dotted_groups),
    ("slashed", slashed_groups),
    ("no-break spaces", no_break_spaces),
    ("dashes", dashes),
];
const CARDS: [(&str, Transform); 2] = [("spaced", spaced_digits), ("wide", wide_groups)];
const WORDS: [(&str, Transform); 3] = [
    ("homoglyphs", homoglyphs),
    ("percent some", percent_some),
    ("hex with spaces", hex_with_spaces),
];

/// Draws a secret and writes it another way.
pub(super) fn draw(draw: &mut Draw) -> (String, String) {
    let secret = secrets::draw(draw);
    let mut ways: Vec<(&str, Transform)> = ANY.to_vec();
    match secret.sort {
        Sort::Card => {
            let is_four = only_digits(&secret.text).len() == 16;
            ways.extend(
                NUMBERS
                    .iter()
                    .filter(|(name, _)| is_four || matches!(*name, "arabic digits" | "struck out")),
            );
            ways.extend(
                CARDS
                    .iter()
                    .filter(|(name, _)| is_four || *name == "spaced"),
            );
        }
        Sort::Account => {
            ways.extend(NUMBERS);
            ways.push(("lower case", other_case));
            ways.push(("homoglyphs", homoglyphs));
        }
        Sort::Key | Sort::Assigned => ways.extend(WORDS),
        Sort::Token => ways.push(("homoglyphs", homoglyphs)),
    }
    let (way, transform) = ways[draw.below(ways.len())];
    let written = transform(draw, &secret.text);
    let (family, text) = secrets::in_context(draw, &secret, &written);
    (format!("{family} / {way}"), text)
}
