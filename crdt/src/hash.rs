//! BLAKE3 hashes, each within a named domain so that no hash means two things.

use crate::codec::{Canonical, DecodeError, Reader, Writer};

/// A 32-byte BLAKE3 hash.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hash(pub [u8; 32]);

impl Hash {
    /// Hashes parts under a domain; each part is preceded by its length, so parts cannot run
    /// into each other.
    pub fn of(domain: &'static str, parts: &[&[u8]]) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key(domain);
        for part in parts {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part);
        }
        Self(*hasher.finalize().as_bytes())
    }
}

impl std::fmt::Display for Hash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&blake3::Hash::from_bytes(self.0).to_hex())
    }
}

impl std::fmt::Debug for Hash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{self}")
    }
}

impl Canonical for Hash {
    fn encode(&self, out: &mut Writer) {
        out.raw(&self.0);
    }
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self(input.array("hash")?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn domains_and_parts_are_kept_apart() {
        let one = Hash::of("a", &[b"xy", b"z"]);
        assert_ne!(one, Hash::of("a", &[b"x", b"yz"]));
        assert_ne!(one, Hash::of("b", &[b"xy", b"z"]));
        assert_eq!(one, Hash::of("a", &[b"xy", b"z"]));
    }
}
