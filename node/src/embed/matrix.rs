//! The asset format of the built-in model, read in place: nothing is copied but the header.
//!
//! All numbers are little-endian. In order: magic (8 bytes), version, dimensions, number of tokens,
//! length of the name (u32 each); the name; token offsets (u32, one more than there are tokens);
//! token bytes, sorted; one f32 scale per token; one i8 row per token. `node/model/distil.py`
//! writes it.
//!
//! Invariant: after [`Matrix::parse`] every token has its word, its scale and its row.

use rustc_hash::FxHashMap;

use super::EmbedError;
use super::wordpiece::{LATER, Place, Vocabulary};

const MAGIC: &[u8; 8] = b"SBEMBED\0";
const VERSION: u32 = 1;

type Tokens<'a> = FxHashMap<&'a [u8], usize>;

/// A parsed model over borrowed bytes.
pub(super) struct Matrix<'a> {
    pub(super) name: &'a str,
    pub(super) dimensions: usize,
    longest: usize,
    /// Tokens by their piece, those that begin a word and those that go on: most pieces that are
    /// looked up are none, and a search in the sorted words took more than a tenth of an import. They
    /// are known, so nobody can make them collide.
    first: Tokens<'a>,
    later: Tokens<'a>,
    scales: &'a [[u8; 4]],
    rows: &'a [u8],
}

impl std::fmt::Debug for Matrix<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Matrix")
            .field("name", &self.name)
            .field("dimensions", &self.dimensions)
            .field("tokens", &self.scales.len())
            .finish_non_exhaustive()
    }
}

impl<'a> Matrix<'a> {
    /// Reads the header and checks that every part has its whole length.
    pub(super) fn parse(bytes: &'a [u8]) -> Result<Self, EmbedError> {
        let mut rest = Cursor(bytes);
        if rest.take(MAGIC.len(), "magic")? != MAGIC || rest.number("version")? != VERSION as usize
        {
            return Err(EmbedError::Format { part: "version" });
        }
        let dimensions = rest.number("dimensions")?;
        let tokens = rest.number("token count")?;
        let name_bytes = rest.number("name length")?;
        let part = "name";
        let name = std::str::from_utf8(rest.take(name_bytes, part)?);
        let Ok(name) = name else {
            return Err(EmbedError::Format { part });
        };
        let offsets = rest.words(tokens.saturating_add(1), "offsets")?;
        if dimensions == 0 || !offsets.is_sorted_by_key(|raw| u32::from_le_bytes(*raw)) {
            return Err(EmbedError::Format { part: "offsets" });
        }
        let words_bytes = offsets.last().map_or(0, |raw| position(*raw));
        let words = rest.take(words_bytes, "tokens")?;
        let words = words_of(words, offsets);
        let scales = rest.words(tokens, "scales")?;
        let rows = rest.take(tokens.saturating_mul(dimensions), "rows")?;
        if !rest.0.is_empty() {
            return Err(EmbedError::Format { part: "end" });
        }
        let (mut first, mut later) = (Tokens::default(), Tokens::default());
        let mut longest = 0;
        for (word, token) in words.into_iter().zip(0..) {
            let (tokens, piece) = match word.strip_prefix(LATER.as_bytes()) {
                Some(piece) if !piece.is_empty() => (&mut later, piece),
                _ => (&mut first, word),
            };
            longest = longest.max(piece.len());
            tokens.insert(piece, token);
        }
        Ok(Self {
            name,
            dimensions,
            longest,
            first,
            later,
            scales,
            rows,
        })
    }

    /// Returns the word of a token.
    #[cfg(test)]
    pub(super) fn word(&self, token: usize) -> Option<Vec<u8>> {
        let of = |tokens: &Tokens<'a>, mark: &[u8]| {
            let found = tokens.iter().find(|(_, at)| **at == token);
            found.map(|(piece, _)| [mark, piece].concat())
        };
        of(&self.first, b"").or_else(|| of(&self.later, LATER.as_bytes()))
    }

    /// Adds a token's vector to a sum.
    pub(super) fn add(&self, token: usize, sum: &mut [f32]) {
        let start = token.saturating_mul(self.dimensions);
        let row = self.rows.get(start..start.saturating_add(self.dimensions));
        if let (Some(scale), Some(row)) = (self.scales.get(token), row) {
            let scale = f32::from_le_bytes(*scale);
            for (total, value) in sum.iter_mut().zip(row) {
                *total += scale * f32::from(value.cast_signed());
            }
        }
    }
}

impl Vocabulary for Matrix<'_> {
    fn find(&self, piece: &str, place: Place) -> Option<usize> {
        let tokens = match place {
            Place::First => &self.first,
            Place::Later => &self.later,
        };
        tokens.get(piece.as_bytes()).copied()
    }

    fn piece_bytes_max(&self) -> usize {
        self.longest
    }
}

/// Cuts the words apart; the offsets are sorted and the last is the length.
fn words_of<'a>(words: &'a [u8], offsets: &[[u8; 4]]) -> Vec<&'a [u8]> {
    let ends = offsets.iter().skip(1);
    let places = offsets.iter().zip(ends);
    let words = places.map(|(start, end)| words.get(position(*start)..position(*end)));
    words.map(Option::unwrap_or_default).collect()
}

/// The bytes not read yet.
struct Cursor<'a>(&'a [u8]);

impl<'a> Cursor<'a> {
    fn take(&mut self, count: usize, part: &'static str) -> Result<&'a [u8], EmbedError> {
        let (taken, rest) = self
            .0
            .split_at_checked(count)
            .ok_or(EmbedError::Format { part })?;
        self.0 = rest;
        Ok(taken)
    }

    fn words(&mut self, count: usize, part: &'static str) -> Result<&'a [[u8; 4]], EmbedError> {
        let taken = self.take(count.saturating_mul(4), part)?;
        Ok(taken.as_chunks().0)
    }

    fn number(&mut self, part: &'static str) -> Result<usize, EmbedError> {
        let raw = self
            .words(1, part)?
            .first()
            .ok_or(EmbedError::Format { part })?;
        Ok(position(*raw))
    }
}

/// Reads a u32 as a position; one that does not fit cannot be inside the file, so it is too large.
fn position(raw: [u8; 4]) -> usize {
    usize::try_from(u32::from_le_bytes(raw)).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tiny() -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        for number in [VERSION, 2, 3, 4] {
            bytes.extend(number.to_le_bytes());
        }
        bytes.extend(b"tiny");
        for offset in [0_u32, 1, 4, 6] {
            bytes.extend(offset.to_le_bytes());
        }
        bytes.extend(b"a##b##");
        for scale in [1.0_f32, 0.5, 2.0] {
            bytes.extend(scale.to_le_bytes());
        }
        bytes.extend([1, 2, 3, 255, 5, 6]);
        bytes
    }

    #[test]
    fn tokens_are_found_and_their_rows_scaled() {
        let bytes = tiny();
        let matrix = Matrix::parse(&bytes).unwrap();
        assert_eq!((matrix.name, matrix.dimensions), ("tiny", 2));
        assert_eq!(matrix.find("a", Place::First), Some(0));
        assert_eq!(matrix.find("b", Place::Later), Some(1));
        assert_eq!(matrix.find("##", Place::First), Some(2));
        assert_eq!(matrix.find("b", Place::First), None);
        assert_eq!(matrix.find("a", Place::Later), None);
        let mut sum = [1.0, 1.0];
        matrix.add(1, &mut sum);
        assert!(
            sum.iter()
                .zip([2.5, 0.5])
                .all(|(a, b)| (a - b).abs() < 1e-6),
            "{sum:?}"
        );
    }

    #[test]
    fn every_cut_and_every_addition_is_refused() {
        let mut bytes = tiny();
        for end in 0..bytes.len() {
            assert!(
                Matrix::parse(bytes.get(..end).unwrap()).is_err(),
                "cut at {end}"
            );
        }
        bytes.push(0);
        assert!(Matrix::parse(&bytes).is_err());
    }
}
