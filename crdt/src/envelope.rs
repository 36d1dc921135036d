//! Sealing: who can read what, in three layers.
//!
//! 1. The body of a memory's event is packed ([`pack`]) and sealed under the [`ContentKey`] of an
//!    [`Epoch`]; the event's header is the associated data, so a body cannot be moved to another
//!    event.
//! 2. A content key is sealed under the [`ScopeKey`] of each grant whose view holds the memory
//!    ([`ScopeKey::seal_key`]).
//! 3. A scope key is wrapped to each device of the grantee ([`wrap`]).
//!
//! The header carries a commitment to the content key, so bytes that open under two keys are
//! refused. A purge destroys keys; the signed chain still verifies.
//!
//! Invariant: no key or nonce is made here; entropy is an argument.

pub mod pack;
pub mod wrap;

use crate::codec::{Canonical, DecodeError, Reader, Writer};
use crate::hash::Hash;
use crate::id::{GrantId, MemoryId};
use chacha20poly1305::aead::{Aead as _, Payload};
use chacha20poly1305::{KeyInit as _, XChaCha20Poly1305, XNonce};
use rand_core::CryptoRng;
use thiserror::Error;
use zeroize::{Zeroize, ZeroizeOnDrop};

/// The generation of a memory's content key. It grows when someone lost access.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Epoch(pub u32);

const NONCE_BYTES: usize = 24;
const TAG_BYTES: usize = 16;
/// What sealing adds to a body.
pub const OVERHEAD_BYTES: usize = NONCE_BYTES + TAG_BYTES;

/// The sealed bytes do not open under this key and context.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum OpenError {
    /// The key is another one than the author committed to.
    #[error("the key is not the one the author committed to")]
    OtherKey,
    /// Key, context or bytes do not belong together.
    #[error("the sealed bytes do not open: wrong key, wrong context or damage")]
    NotAuthentic,
    /// What was sealed is not a packed body.
    #[error(transparent)]
    NotPacked(#[from] pack::UnpackError),
}

macro_rules! secret {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
        pub struct $name([u8; 32]);

        impl $name {
            /// Draws a new key.
            pub fn random(rng: &mut impl CryptoRng) -> Self {
                let mut key = [0; 32];
                rng.fill_bytes(&mut key);
                Self(key)
            }
            /// Takes the bytes of a stored key.
            pub fn from_bytes(bytes: [u8; 32]) -> Self {
                Self(bytes)
            }
            /// Returns the bytes, to be stored sealed.
            pub fn expose(&self) -> &[u8; 32] {
                &self.0
            }
        }
        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(concat!(stringify!($name), "(..)"))
            }
        }
    };
}

secret!(
    /// The key under which the events of one memory and epoch are sealed.
    ContentKey
);
secret!(
    /// The key of a grant; it seals the content keys of the memories in the grant's view.
    ScopeKey
);

impl ContentKey {
    /// Returns the commitment that headers carry.
    pub fn commitment(&self) -> Hash {
        Hash::of("second-brain 2026 v1 content key commitment", &[&self.0])
    }

    /// Seals a body; `header` is the encoded header of the event.
    pub fn seal(&self, header: &[u8], body: &[u8], rng: &mut impl CryptoRng) -> Vec<u8> {
        seal(&self.event_key(header), header, body, rng)
    }

    /// Opens a body whose header committed to `commitment`.
    pub fn open(
        &self,
        header: &[u8],
        commitment: &Hash,
        sealed: &[u8],
    ) -> Result<Vec<u8>, OpenError> {
        if self.commitment() != *commitment {
            return Err(OpenError::OtherKey);
        }
        open(&self.event_key(header), header, sealed)
    }

    /// A key per event: even a repeated nonce does no harm.
    fn event_key(&self, header: &[u8]) -> [u8; 32] {
        Hash::of("second-brain 2026 v1 event key", &[&self.0, header]).0
    }
}

/// A content key, sealed under the scope key of a grant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedKey {
    /// The grant whose scope key opens it.
    pub grant: GrantId,
    /// The memory.
    pub memory: MemoryId,
    /// The epoch of the content key.
    pub epoch: Epoch,
    /// Nonce and ciphertext.
    pub sealed: Vec<u8>,
}

impl ScopeKey {
    /// Seals a content key for everyone who holds this scope key.
    pub fn seal_key(
        &self,
        grant: GrantId,
        memory: MemoryId,
        epoch: Epoch,
        key: &ContentKey,
        rng: &mut impl CryptoRng,
    ) -> SealedKey {
        let context = key_context(grant, memory, epoch);
        let sealed = seal(&self.0, &context, key.expose(), rng);
        SealedKey {
            grant,
            memory,
            epoch,
            sealed,
        }
    }

    /// Opens a content key.
    pub fn open_key(&self, key: &SealedKey) -> Result<ContentKey, OpenError> {
        let context = key_context(key.grant, key.memory, key.epoch);
        let bytes = zeroize::Zeroizing::new(open(&self.0, &context, &key.sealed)?);
        match bytes.as_slice().try_into() {
            Ok(key) => Ok(ContentKey(key)),
            Err(_) => Err(OpenError::NotAuthentic),
        }
    }
}

fn key_context(grant: GrantId, memory: MemoryId, epoch: Epoch) -> Vec<u8> {
    let mut out = Writer::default();
    out.text("second-brain 2026 v1 sealed content key");
    grant.encode(&mut out);
    memory.encode(&mut out);
    epoch.encode(&mut out);
    out.into_bytes()
}

fn seal(key: &[u8; 32], context: &[u8], plain: &[u8], rng: &mut impl CryptoRng) -> Vec<u8> {
    let mut nonce = [0; NONCE_BYTES];
    rng.fill_bytes(&mut nonce);
    let sealed = XChaCha20Poly1305::new(key.into())
        .encrypt(
            &XNonce::from(nonce),
            Payload {
                msg: plain,
                aad: context,
            },
        )
        .expect("bodies are far below the cipher's limit of 256 GiB");
    [nonce.as_slice(), &sealed].concat()
}

fn open(key: &[u8; 32], context: &[u8], sealed: &[u8]) -> Result<Vec<u8>, OpenError> {
    let Some((nonce, sealed)) = sealed.split_first_chunk::<NONCE_BYTES>() else {
        return Err(OpenError::NotAuthentic);
    };
    XChaCha20Poly1305::new(key.into())
        .decrypt(
            &XNonce::from(*nonce),
            Payload {
                msg: sealed,
                aad: context,
            },
        )
        .or(Err(OpenError::NotAuthentic))
}

impl Canonical for Epoch {
    fn encode(&self, out: &mut Writer) {
        out.u32(self.0);
    }
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self(input.u32("epoch")?))
    }
}

impl Canonical for SealedKey {
    fn encode(&self, out: &mut Writer) {
        self.grant.encode(out);
        self.memory.encode(out);
        self.epoch.encode(out);
        out.bytes(&self.sealed);
    }
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            grant: GrantId::decode(input)?,
            memory: MemoryId::decode(input)?,
            epoch: Epoch::decode(input)?,
            sealed: input
                .bytes(32 + OVERHEAD_BYTES, "sealed content key")?
                .to_vec(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Entropy;

    #[test]
    fn a_body_opens_only_in_its_place() {
        let rng = &mut Entropy::new(1);
        let (key, other) = (ContentKey::random(rng), ContentKey::random(rng));
        let sealed = key.seal(b"header", b"body", rng);
        let commitment = key.commitment();
        assert_eq!(
            key.open(b"header", &commitment, &sealed),
            Ok(b"body".to_vec())
        );
        assert_eq!(
            key.open(b"other", &commitment, &sealed),
            Err(OpenError::NotAuthentic)
        );
        assert_eq!(
            other.open(b"header", &commitment, &sealed),
            Err(OpenError::OtherKey)
        );
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert_eq!(
                key.open(b"header", &commitment, &changed),
                Err(OpenError::NotAuthentic)
            );
        }
    }

    #[test]
    fn a_content_key_opens_only_for_its_grant_memory_and_epoch() {
        let rng = &mut Entropy::new(2);
        let (scope, key) = (ScopeKey::random(rng), ContentKey::random(rng));
        let sealed = scope.seal_key(GrantId([1; 32]), MemoryId([2; 32]), Epoch(3), &key, rng);
        assert_eq!(scope.open_key(&sealed).expect("opens"), key);
        let moved = SealedKey {
            memory: MemoryId([9; 32]),
            ..sealed.clone()
        };
        assert_eq!(scope.open_key(&moved), Err(OpenError::NotAuthentic));
        let later = SealedKey {
            epoch: Epoch(4),
            ..sealed.clone()
        };
        assert_eq!(scope.open_key(&later), Err(OpenError::NotAuthentic));
        assert_eq!(SealedKey::from_bytes(&sealed.to_bytes()), Ok(sealed));
    }
}
