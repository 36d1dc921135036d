//! The corpus: drawn by a seed, dealt into two halves by family.

use super::{benign, evasions, secrets};

/// A generator of numbers that is the same everywhere (`SplitMix64`).
#[derive(Debug, Clone)]
pub(super) struct Draw(u64);

impl Draw {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
    pub(super) fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % limit as u64).expect("below a usize")
    }
    pub(super) fn between(&mut self, from: usize, to: usize) -> usize {
        from + self.below(to - from + 1)
    }
    pub(super) fn of<'a, T: ?Sized>(&mut self, items: &[&'a T]) -> &'a T {
        items[self.below(items.len())]
    }
    pub(super) fn text(&mut self, alphabet: &str, length: usize) -> String {
        let letters: Vec<char> = alphabet.chars().collect();
        (0..length)
            .map(|_| letters[self.below(letters.len())])
            .collect()
    }
    pub(super) fn digits(&mut self, length: usize) -> String {
        self.text("0123456789", length)
    }
    pub(super) fn hex(&mut self, length: usize) -> String {
        self.text("0123456789abcdef", length)
    }
    pub(super) fn base64(&mut self, length: usize) -> String {
        self.text(BASE64, length)
    }
}

pub(super) const ALPHANUMERIC: &str =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
pub(super) const BASE64: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Which half of the corpus a case belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Half {
    /// What the detectors were made with.
    Development,
    /// What they have never seen.
    HeldOut,
}

/// A text, and whether it must not leave.
#[derive(Debug)]
pub(super) struct Case {
    pub(super) family: String,
    pub(super) text: String,
    pub(super) is_secret: bool,
    pub(super) is_evasion: bool,
    pub(super) half: Half,
}

/// Deals a family of texts to a half, by its name.
fn half(seed: u64, family: &str) -> Half {
    let mut sum = Draw::new(seed);
    for byte in family.bytes() {
        sum.0 = sum.next() ^ u64::from(byte);
    }
    if sum.next().is_multiple_of(2) {
        Half::Development
    } else {
        Half::HeldOut
    }
}

/// Draws so many cases: half benign, a quarter secrets, a quarter evasions.
pub(super) fn corpus(seed: u64, count: usize) -> Vec<Case> {
    let draw = &mut Draw::new(seed);
    let mut cases = Vec::with_capacity(count);
    for number in 0..count {
        let (family, text, is_secret, is_evasion) = match number % 4 {
            0 | 1 => {
                let (family, text) = benign::draw(draw);
                (family, text, false, false)
            }
            2 => {
                let secret = secrets::draw(draw);
                let (family, text) = secrets::in_context(draw, &secret, &secret.text);
                (family, text, true, false)
            }
            _ => {
                let (family, text) = evasions::draw(draw);
                (family, text, true, true)
            }
        };
        cases.push(Case {
            half: half(seed, &family),
            family,
            text,
            is_secret,
            is_evasion,
        });
    }
    cases
}
