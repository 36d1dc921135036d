//! Blobs on their way: sealed under a key that follows from a content key of their memory.
//!
//! Whoever holds a device's transport key alone gets bytes that do not open, as with events. A
//! place is sealed to the same bytes each time: the key belongs to one blob, whose bytes at a place
//! are always the same, so that no nonce meets two texts.
//!
//! Invariant: what opens was sealed for this blob and this place.

use crate::codec::{Canonical as _, DecodeError};
use crate::envelope::ContentKey;
use crate::hash::Hash;
use chacha20poly1305::aead::Aead as _;
use chacha20poly1305::{KeyInit as _, XChaCha20Poly1305, XNonce};
use zeroize::{Zeroize, ZeroizeOnDrop};

use super::{CHUNK_BYTES, Outline};

/// What sealing adds.
pub const SEALED_OVERHEAD_BYTES: usize = 16;
/// The longest sealed chunk.
pub const SEALED_CHUNK_BYTES_MAX: usize = CHUNK_BYTES + SEALED_OVERHEAD_BYTES;

/// The key of one blob under one content key.
#[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
pub struct BlobKey([u8; 32]);

impl std::fmt::Debug for BlobKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("BlobKey(..)")
    }
}

impl BlobKey {
    /// Derives the key of a blob.
    pub fn of(key: &ContentKey, blob: Hash) -> Self {
        let parts: [&[u8]; 2] = [key.expose(), &blob.0];
        Self(Hash::of("second-brain 2026 v1 blob key", &parts).0)
    }

    /// Seals the outline.
    pub fn seal_outline(&self, outline: &Outline) -> Vec<u8> {
        self.seal(0, &outline.to_bytes())
    }
    /// Opens the outline; none if it is not that of this blob under this key.
    pub fn open_outline(&self, sealed: &[u8]) -> Option<Result<Outline, DecodeError>> {
        Some(Outline::from_bytes(&self.open(0, sealed)?))
    }
    /// Seals a chunk.
    pub fn seal_chunk(&self, index: u32, chunk: &[u8]) -> Vec<u8> {
        self.seal(1 + u64::from(index), chunk)
    }
    /// Opens a chunk; none if it is not that one.
    pub fn open_chunk(&self, index: u32, sealed: &[u8]) -> Option<Vec<u8>> {
        self.open(1 + u64::from(index), sealed)
    }

    fn seal(&self, place: u64, plain: &[u8]) -> Vec<u8> {
        XChaCha20Poly1305::new((&self.0).into())
            .encrypt(&nonce(place), plain)
            .expect("chunks are far below the cipher's limit of 256 GiB")
    }
    fn open(&self, place: u64, sealed: &[u8]) -> Option<Vec<u8>> {
        let cipher = XChaCha20Poly1305::new((&self.0).into());
        cipher.decrypt(&nonce(place), sealed).ok()
    }
}

fn nonce(place: u64) -> XNonce {
    let mut nonce = [0; 24];
    for (to, from) in nonce.iter_mut().zip(place.to_le_bytes()) {
        *to = from;
    }
    XNonce::from(nonce)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::blob::outline_of;

    #[test]
    fn what_is_sealed_opens_at_its_place_and_under_its_key_only() {
        let content = |byte| ContentKey::from_bytes([byte; 32]);
        let (one, other) = (Hash([1; 32]), Hash([2; 32]));
        let key = BlobKey::of(&content(7), one);
        let chunk = b"what nobody else reads".repeat(100);
        let sealed = key.seal_chunk(3, &chunk);
        assert_eq!(sealed.len(), chunk.len() + SEALED_OVERHEAD_BYTES);
        assert!(!sealed.windows(6).any(|window| window == b"nobody"));
        assert_eq!(key.open_chunk(3, &sealed), Some(chunk));
        assert_eq!(key.open_chunk(2, &sealed), None, "another place");
        assert_eq!(BlobKey::of(&content(8), one).open_chunk(3, &sealed), None);
        assert_eq!(BlobKey::of(&content(7), other).open_chunk(3, &sealed), None);
        let outline = outline_of(b"bytes");
        let sealed = key.seal_outline(&outline);
        assert_eq!(key.open_outline(&sealed), Some(Ok(outline)));
        assert_eq!(key.open_chunk(0, &sealed), None, "an outline is no chunk");
    }
}
