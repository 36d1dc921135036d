//! Sealing bytes at rest, and the keys for it.
//!
//! It is not the sealing of what goes to other people, which lives with the events. One master
//! key per data folder gives, by BLAKE3 key derivation, one key per [`Context`]; a [`Cipher`]
//! seals with XChaCha20-Poly1305 under a random nonce.
//!
//! Format of sealed bytes: version 1 (one byte), nonce (24), ciphertext and tag. The version is
//! part of the associated data.
//!
//! Invariant: sealed bytes open only under the same context and the same associated data.

use std::fmt;
use std::io;

use chacha20poly1305::aead::{Aead as _, KeyInit as _, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use zeroize::Zeroizing;

use crate::entropy::Entropy;

/// Bytes that sealing adds.
pub const SEAL_BYTES: usize = 1 + NONCE_BYTES + TAG_BYTES;

const VERSION: u8 = 1;
const NONCE_BYTES: usize = 24;
const TAG_BYTES: usize = 16;

/// Says what a derived key is for; each use has a key of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Context {
    /// Values of a store's rows.
    Values,
    /// Keys of rows that must not name an entity.
    OpaqueKeys,
    /// Small secret files in the data folder.
    Files,
    /// Wrapping the master key under a passphrase.
    MasterWrap,
    /// The full-text index.
    TextIndex,
    /// Attachments.
    Blobs,
}

impl Context {
    /// Returns the derivation string. It must never change: what was sealed would not open.
    fn text(self) -> &'static str {
        match self {
            Self::Values => "second-brain 2026 storage v1 row values",
            Self::OpaqueKeys => "second-brain 2026 storage v1 opaque keys",
            Self::Files => "second-brain 2026 storage v1 secret files",
            Self::MasterWrap => "second-brain 2026 storage v1 master key wrap",
            Self::TextIndex => "second-brain 2026 storage v1 text index",
            Self::Blobs => "second-brain 2026 storage v1 blobs",
        }
    }
}

/// Is the key from which every key of a data folder is derived. It is wiped when dropped.
#[derive(Clone)]
pub struct MasterKey(Zeroizing<[u8; 32]>);

impl MasterKey {
    /// Draws a new key from the system.
    pub fn generate() -> Result<Self, CipherError> {
        let mut key = Zeroizing::new([0; 32]);
        fill_random(key.as_mut_slice())?;
        Ok(Self(key))
    }

    /// Takes key bytes that come from elsewhere.
    pub fn from_bytes(key: Zeroizing<[u8; 32]>) -> Self {
        Self(key)
    }

    /// Derives the key of one use.
    pub fn derive(&self, context: Context) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(blake3::derive_key(context.text(), self.0.as_slice()))
    }

    pub(crate) fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MasterKey")
    }
}

/// Is the reason bytes were not sealed or not opened.
#[derive(Debug, thiserror::Error)]
pub enum CipherError {
    /// The system gave no random bytes.
    #[error("no randomness from the system")]
    Entropy(#[source] io::Error),
    /// The bytes are not what was sealed, or not here, or not under this key.
    #[error("sealed bytes do not open")]
    Refused,
}

/// Seals and opens under one key.
pub struct Cipher {
    aead: XChaCha20Poly1305,
    entropy: Entropy,
}

impl Cipher {
    /// Derives the key of a context and readies the cipher.
    pub fn new(master: &MasterKey, context: Context) -> Self {
        Self::drawing(Entropy::system(), master, context)
    }

    /// Derives the key of a context and readies the cipher; nonces are drawn from `entropy`.
    pub fn drawing(entropy: Entropy, master: &MasterKey, context: Context) -> Self {
        let key = master.derive(context);
        Self {
            aead: XChaCha20Poly1305::new((&*key).into()),
            entropy,
        }
    }

    /// Seals bytes, bound to the associated data.
    pub fn seal(&self, associated: &[u8], plain: &[u8]) -> Result<Vec<u8>, CipherError> {
        let mut nonce = [0; NONCE_BYTES];
        let filled = self.entropy.fill(&mut nonce);
        filled.map_err(CipherError::Entropy)?;
        let aad = versioned(associated);
        let payload = Payload {
            msg: plain,
            aad: &aad,
        };
        let body = self
            .aead
            .encrypt(&XNonce::from(nonce), payload)
            .map_err(|_opaque| CipherError::Refused)?;
        let mut sealed = Vec::with_capacity(SEAL_BYTES + plain.len());
        sealed.push(VERSION);
        sealed.extend_from_slice(&nonce);
        sealed.extend_from_slice(&body);
        Ok(sealed)
    }

    /// Opens bytes sealed with the same associated data.
    pub fn open(&self, associated: &[u8], sealed: &[u8]) -> Result<Vec<u8>, CipherError> {
        let (head, body) = sealed
            .split_first_chunk::<{ 1 + NONCE_BYTES }>()
            .ok_or(CipherError::Refused)?;
        let [version, nonce @ ..] = *head;
        if version != VERSION {
            return Err(CipherError::Refused);
        }
        let aad = versioned(associated);
        let payload = Payload {
            msg: body,
            aad: &aad,
        };
        self.aead
            .decrypt(&XNonce::from(nonce), payload)
            .map_err(|_opaque| CipherError::Refused)
    }
}

impl fmt::Debug for Cipher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Cipher")
    }
}

/// Fills bytes from the system's random source.
pub(crate) fn fill_random(bytes: &mut [u8]) -> Result<(), CipherError> {
    Entropy::system().fill(bytes).map_err(CipherError::Entropy)
}

fn versioned(associated: &[u8]) -> Vec<u8> {
    let mut aad = Vec::with_capacity(1 + associated.len());
    aad.push(VERSION);
    aad.extend_from_slice(associated);
    aad
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A cipher under a fixed master key.
    pub(crate) fn cipher(context: Context) -> Cipher {
        Cipher::new(&MasterKey::from_bytes(Zeroizing::new([7; 32])), context)
    }

    #[test]
    fn opens_what_it_sealed() {
        let cipher = cipher(Context::Values);
        for plain in [&b""[..], b"x", &[9; 5000]] {
            let sealed = cipher.seal(b"here", plain).unwrap();
            assert_eq!(sealed.len(), plain.len() + SEAL_BYTES);
            assert_eq!(cipher.open(b"here", &sealed).unwrap(), plain);
        }
    }

    #[test]
    fn refuses_every_flipped_bit_and_every_cut() {
        let cipher = cipher(Context::Values);
        let sealed = cipher.seal(b"here", b"plain").unwrap();
        for bit in 0..sealed.len() * 8 {
            let mut bad = sealed.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert!(cipher.open(b"here", &bad).is_err(), "bit {bit}");
        }
        for len in 0..sealed.len() {
            assert!(
                cipher.open(b"here", &sealed[..len]).is_err(),
                "cut to {len}"
            );
        }
    }

    #[test]
    fn refuses_another_place_and_another_context() {
        let values = cipher(Context::Values);
        let sealed = values.seal(b"here", b"plain").unwrap();
        assert!(values.open(b"there", &sealed).is_err());
        assert!(cipher(Context::Files).open(b"here", &sealed).is_err());
    }

    #[test]
    fn nonces_differ() {
        let cipher = cipher(Context::Values);
        assert_ne!(
            cipher.seal(b"", b"same").unwrap(),
            cipher.seal(b"", b"same").unwrap()
        );
    }
}
