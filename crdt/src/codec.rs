//! The canonical encoding: one byte string per value, and one value per byte string.
//!
//! Everything that is hashed or signed is written with [`Writer`] and read with [`Reader`]:
//! integers are fixed-width little-endian, byte strings carry a `u32` length, options one
//! byte (0 or 1), sets are strictly ascending. There is no variable-length integer, no
//! default and no unknown field, so no two encodings decode to the same value.
//!
//! It is not self-describing: every record starts with its own version byte.
//!
//! Invariant: `decode(encode(v)) == v`, and whatever `decode` accepts re-encodes to exactly the
//! bytes that were read. Readers never allocate more than the input holds.

use thiserror::Error;

/// The reason why bytes are not a canonical encoding.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum DecodeError {
    /// The input ended inside a value.
    #[error("input ends in the middle of {0}")]
    Truncated(&'static str),
    /// Bytes are left over after the value.
    #[error("{0} bytes follow the value")]
    Trailing(usize),
    /// A length is above the limit of its field.
    #[error("{what} is {found} long, the limit is {limit}")]
    TooLong {
        /// The field.
        what: &'static str,
        /// The length that was claimed.
        found: usize,
        /// The limit of the field.
        limit: usize,
    },
    /// A byte stands for none of the known values.
    #[error("{found} is no known {what}")]
    Unknown {
        /// The field.
        what: &'static str,
        /// The byte that was read.
        found: u8,
    },
    /// Text is not UTF-8.
    #[error("{0} is not UTF-8")]
    NotText(&'static str),
    /// The value has another, canonical encoding.
    #[error("{0} is not in canonical form")]
    NotCanonical(&'static str),
}

/// A value with exactly one encoding.
pub trait Canonical: Sized {
    /// Appends the encoding of the value.
    fn encode(&self, out: &mut Writer);
    /// Reads one value.
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError>;

    /// Returns the encoding of the value alone.
    fn to_bytes(&self) -> Vec<u8> {
        let mut out = Writer::default();
        self.encode(&mut out);
        out.into_bytes()
    }

    /// Reads a value that must fill the input.
    fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut input = Reader::new(bytes);
        let value = Self::decode(&mut input)?;
        input.finish()?;
        Ok(value)
    }
}

/// Builds a canonical encoding.
#[derive(Debug, Default)]
pub struct Writer(Vec<u8>);

impl Writer {
    /// Appends one byte.
    pub fn u8(&mut self, value: u8) {
        self.0.push(value);
    }
    /// Appends a flag as 0 or 1.
    pub fn bool(&mut self, value: bool) {
        self.u8(u8::from(value));
    }
    /// Appends four bytes, little-endian.
    pub fn u32(&mut self, value: u32) {
        self.0.extend_from_slice(&value.to_le_bytes());
    }
    /// Appends eight bytes, little-endian.
    pub fn u64(&mut self, value: u64) {
        self.0.extend_from_slice(&value.to_le_bytes());
    }
    /// Appends bytes whose number is fixed by the format.
    pub fn raw(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }
    /// Appends a length and the bytes.
    pub fn bytes(&mut self, bytes: &[u8]) {
        self.length(bytes.len());
        self.raw(bytes);
    }
    /// Appends a length and the UTF-8 bytes.
    pub fn text(&mut self, text: &str) {
        self.bytes(text.as_bytes());
    }
    /// Appends the number of items of a list.
    pub fn length(&mut self, length: usize) {
        // Values over 4 GiB are refused by the limits of every field long before.
        self.u32(u32::try_from(length).unwrap_or(u32::MAX));
    }
    /// Appends an optional value.
    pub fn option<T>(&mut self, value: Option<&T>, write: impl FnOnce(&mut Self, &T)) {
        self.bool(value.is_some());
        if let Some(value) = value {
            write(self, value);
        }
    }
    /// Appends a list of canonical values.
    pub fn list<T: Canonical>(&mut self, items: &[T]) {
        self.length(items.len());
        for item in items {
            item.encode(self);
        }
    }
    /// Returns what was written so far.
    pub fn as_slice(&self) -> &[u8] {
        &self.0
    }
    /// Returns what was written.
    pub fn into_bytes(self) -> Vec<u8> {
        self.0
    }
}

/// Reads a canonical encoding, within limits.
#[derive(Debug, Clone)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Starts at the first byte.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }
    /// Returns the number of bytes that are left.
    pub fn remaining(&self) -> usize {
        self.rest.len()
    }
    /// Takes a number of bytes that the format fixes.
    pub fn raw(&mut self, length: usize, what: &'static str) -> Result<&'a [u8], DecodeError> {
        let (head, rest) = self
            .rest
            .split_at_checked(length)
            .ok_or(DecodeError::Truncated(what))?;
        self.rest = rest;
        Ok(head)
    }
    /// Takes an array.
    pub fn array<const N: usize>(&mut self, what: &'static str) -> Result<[u8; N], DecodeError> {
        let (head, rest) = self
            .rest
            .split_first_chunk::<N>()
            .ok_or(DecodeError::Truncated(what))?;
        self.rest = rest;
        Ok(*head)
    }
    /// Takes one byte.
    pub fn u8(&mut self, what: &'static str) -> Result<u8, DecodeError> {
        Ok(u8::from_le_bytes(self.array(what)?))
    }
    /// Takes a flag.
    pub fn bool(&mut self, what: &'static str) -> Result<bool, DecodeError> {
        match self.u8(what)? {
            0 => Ok(false),
            1 => Ok(true),
            found => Err(DecodeError::Unknown { what, found }),
        }
    }
    /// Takes four bytes.
    pub fn u32(&mut self, what: &'static str) -> Result<u32, DecodeError> {
        Ok(u32::from_le_bytes(self.array(what)?))
    }
    /// Takes eight bytes.
    pub fn u64(&mut self, what: &'static str) -> Result<u64, DecodeError> {
        Ok(u64::from_le_bytes(self.array(what)?))
    }
    /// Takes a length of at most `limit`.
    pub fn length(&mut self, limit: usize, what: &'static str) -> Result<usize, DecodeError> {
        let found = usize::try_from(self.u32(what)?).unwrap_or(usize::MAX);
        if found > limit {
            return Err(DecodeError::TooLong { what, found, limit });
        }
        Ok(found)
    }
    /// Takes a length and that many bytes.
    pub fn bytes(&mut self, limit: usize, what: &'static str) -> Result<&'a [u8], DecodeError> {
        let length = self.length(limit, what)?;
        self.raw(length, what)
    }
    /// Takes a length and that many bytes of UTF-8.
    pub fn text(&mut self, limit: usize, what: &'static str) -> Result<String, DecodeError> {
        let bytes = self.bytes(limit, what)?;
        match std::str::from_utf8(bytes) {
            Ok(text) => Ok(text.to_owned()),
            Err(_) => Err(DecodeError::NotText(what)),
        }
    }
    /// Takes an optional value.
    pub fn option<T>(
        &mut self,
        what: &'static str,
        read: impl FnOnce(&mut Self) -> Result<T, DecodeError>,
    ) -> Result<Option<T>, DecodeError> {
        if self.bool(what)? {
            read(self).map(Some)
        } else {
            Ok(None)
        }
    }
    /// Takes a list of at most `limit` canonical values.
    pub fn list<T: Canonical>(
        &mut self,
        limit: usize,
        what: &'static str,
    ) -> Result<Vec<T>, DecodeError> {
        let length = self.length(limit, what)?;
        // An item takes at least one byte: a false length cannot make us allocate.
        let mut items = Vec::with_capacity(length.min(self.remaining()));
        for _ in 0..length {
            items.push(T::decode(self)?);
        }
        Ok(items)
    }
    /// Refuses left-over bytes.
    pub fn finish(self) -> Result<(), DecodeError> {
        if self.rest.is_empty() {
            Ok(())
        } else {
            Err(DecodeError::Trailing(self.rest.len()))
        }
    }
}

/// Checks that a list is strictly ascending, the canonical form of a set.
pub fn ascending<T: Ord>(items: &[T], what: &'static str) -> Result<(), DecodeError> {
    if items.is_sorted_by(|a, b| a < b) {
        Ok(())
    } else {
        Err(DecodeError::NotCanonical(what))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(bytes: &[u8], expect: &Result<Vec<u8>, DecodeError>) {
        let mut input = Reader::new(bytes);
        let got = input
            .bytes(4, "field")
            .map(<[u8]>::to_vec)
            .and_then(|value| input.finish().map(|()| value));
        assert_eq!(got, *expect);
    }

    #[test]
    fn a_length_is_bounded_and_complete() {
        check(&[2, 0, 0, 0, 7, 8], &Ok(vec![7, 8]));
        check(&[2, 0, 0, 0, 7], &Err(DecodeError::Truncated("field")));
        check(&[2, 0, 0], &Err(DecodeError::Truncated("field")));
        check(&[1, 0, 0, 0, 7, 9], &Err(DecodeError::Trailing(1)));
        let huge = DecodeError::TooLong {
            what: "field",
            found: 0xffff_ffff,
            limit: 4,
        };
        check(&[255, 255, 255, 255], &Err(huge));
    }

    #[test]
    fn flags_have_two_values() {
        assert_eq!(Reader::new(&[1]).bool("flag"), Ok(true));
        let unknown = DecodeError::Unknown {
            what: "flag",
            found: 2,
        };
        assert_eq!(Reader::new(&[2]).bool("flag"), Err(unknown));
    }
}
