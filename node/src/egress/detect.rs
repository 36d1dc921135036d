//! Detectors: what in a text is a key, a token, a card, an account, an address or a number.
//!
//! ```text
//! text -> normalise -> detectors -> hits
//!            ^ decode, up to two levels, within a budget
//! ```
//!
//! Each detector prefers to be right: a rule that cries wolf is switched off. They guard against
//! accidents, not against someone who wants to get a secret out.

mod card;
mod contact;
mod iban;
mod key;
mod token;

use super::decode::decode;
use super::normal::Normal;
use std::ops::Range;

/// How often a text may be encoded in another and still be read.
const LEVELS_MAX: u8 = 2;
/// Bytes of decoded text that are looked at in one field: more than a full body can hold on all
/// levels in all encodings, so that no ordinary text meets it.
const DECODED_BYTES_MAX: usize = 2 << 20;

/// What a detector looks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A private key: PEM, OpenSSH, PGP, age, `PuTTY`.
    PrivateKey,
    /// A token or password that opens a service.
    Token,
    /// The number of a payment card.
    PaymentCard,
    /// The number of a bank account.
    Iban,
    /// An e-mail address.
    Email,
    /// A telephone number.
    Phone,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::PrivateKey,
        Self::Token,
        Self::PaymentCard,
        Self::Iban,
        Self::Email,
        Self::Phone,
    ];

    /// Returns its name, which is also the name of its built-in rule.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::PrivateKey => "private-key",
            Self::Token => "token",
            Self::PaymentCard => "payment-card",
            Self::Iban => "iban",
            Self::Email => "email",
            Self::Phone => "phone",
        }
    }
    /// Reads its name.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }
    /// Returns what it is called in a sentence.
    pub fn phrase(self) -> &'static str {
        match self {
            Self::PrivateKey => "a private key",
            Self::Token => "a token or password",
            Self::PaymentCard => "a payment card number",
            Self::Iban => "a bank account number",
            Self::Email => "an e-mail address",
            Self::Phone => "a telephone number",
        }
    }
    fn find(self, text: &str) -> Vec<Match> {
        match self {
            Self::PrivateKey => key::find(text),
            Self::Token => token::find(text),
            Self::PaymentCard => card::find(text),
            Self::Iban => iban::find(text),
            Self::Email => contact::emails(text),
            Self::Phone => contact::phones(text),
        }
    }
}

/// What a detector found in normalised text.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Match {
    range: Range<usize>,
    /// The same however it was written, for the digest of a finding.
    value: String,
}

/// A text and the texts that lie encoded in it, normalised.
#[derive(Debug)]
pub(super) struct Layers<'a> {
    outer: Normal<'a>,
    inner: Vec<Layer>,
}

/// A text that lay encoded in another.
#[derive(Debug)]
struct Layer {
    /// Where it lay in the outermost text.
    span: Range<usize>,
    /// What it says, normalised.
    text: String,
    encoding: &'static str,
}

/// What was found in a field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Hit {
    /// Where, in the field as it is written.
    pub(super) span: Range<usize>,
    /// The same however it was written.
    pub(super) value: String,
    /// How it was encoded, if it was.
    pub(super) encoding: Option<&'static str>,
}

impl<'a> Layers<'a> {
    /// Takes a field apart.
    pub(super) fn of(field: &'a str) -> Self {
        let outer = Normal::of(field);
        let mut inner: Vec<Layer> = Vec::new();
        let mut budget = DECODED_BYTES_MAX;
        for decoded in decode(outer.text(), &mut budget) {
            inner.push(Layer {
                span: outer.span(&decoded.range),
                text: Normal::of(&decoded.text).text().to_owned(),
                encoding: decoded.encoding,
            });
        }
        let mut first = 0;
        for _ in 1..LEVELS_MAX {
            let last = inner.len();
            let mut deeper = Vec::new();
            for layer in inner.get(first..last).unwrap_or_default() {
                for decoded in decode(&layer.text, &mut budget) {
                    deeper.push(Layer {
                        span: layer.span.clone(),
                        text: Normal::of(&decoded.text).text().to_owned(),
                        encoding: layer.encoding,
                    });
                }
            }
            inner.extend(deeper);
            first = last;
        }
        Self { outer, inner }
    }

    /// Returns what a detector finds.
    pub(super) fn find(&self, kind: Kind) -> Vec<Hit> {
        self.collect(|text| kind.find(text))
    }

    /// Returns what a pattern finds.
    pub(super) fn matches(&self, pattern: &regex::Regex) -> Vec<Hit> {
        self.collect(|text| {
            let found = pattern.find_iter(text).filter(|found| !found.is_empty());
            let found = found.map(|found| Match {
                range: found.range(),
                value: found.as_str().to_lowercase(),
            });
            found.collect()
        })
    }

    fn collect(&self, find: impl Fn(&str) -> Vec<Match>) -> Vec<Hit> {
        let outer = find(self.outer.text()).into_iter().map(|found| Hit {
            span: self.outer.span(&found.range),
            value: found.value,
            encoding: None,
        });
        let inner = self.inner.iter().flat_map(|layer| {
            find(&layer.text).into_iter().map(|found| Hit {
                span: layer.span.clone(),
                value: found.value,
                encoding: Some(layer.encoding),
            })
        });
        outer.chain(inner).collect()
    }
}

/// Returns the text before a place, at most so many bytes of the same line, in lower case.
fn before(text: &str, at: usize, bytes: usize) -> String {
    let mut start = at.saturating_sub(bytes);
    while !text.is_char_boundary(start) {
        start += 1;
    }
    let before = text.get(start..at).unwrap_or_default();
    let line = before.rsplit('\n').next().unwrap_or_default();
    line.to_lowercase()
}

/// Returns the text after a place, at most so many bytes of the same line, in lower case.
fn after(text: &str, at: usize, bytes: usize) -> String {
    let mut end = (at + bytes).min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let after = text.get(at..end).unwrap_or_default();
    let line = after.split('\n').next().unwrap_or_default();
    line.to_lowercase()
}

/// Tells whether one of the words stands in a text, as a word or the beginning of one.
fn has_word(text: &str, words: &[&str]) -> bool {
    let parts = text.split(|c: char| !c.is_alphanumeric());
    parts
        .filter(|part| !part.is_empty())
        .any(|part| words.iter().any(|word| part.starts_with(word)))
}

#[cfg(test)]
mod tests;
