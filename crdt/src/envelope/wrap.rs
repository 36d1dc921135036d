//! Wrapping scope keys to devices: HPKE (RFC 9180) in base mode.
//!
//! The suite id stands in the bytes of every key and wrap. Suite 1 is X-Wing
//! (ML-KEM-768 + X25519, draft-connolly-cfrg-xwing-kem), SHAKE-256-based HPKE key schedule and
//! ChaCha20-Poly1305: wraps are stored by others, so "harvest now, decrypt later" is the case to
//! guard against, and it is never weaker than X25519. The `hpke`, `x-wing` and `ml-kem` crates
//! have had no independent audit that we know of.

use crate::codec::{Canonical, DecodeError, Reader, Writer};
use crate::envelope::{OpenError, ScopeKey};
use crate::id::{DeviceId, GrantId};
use hpke::aead::ChaCha20Poly1305;
use hpke::kdf::KdfTurboShake128;
use hpke::kem::XWing;
use hpke::{Deserializable as _, Kem, OpModeR, OpModeS, Serializable as _};
use rand_core::CryptoRng;

/// Suite 1: X-Wing, `TurboSHAKE128`, `ChaCha20Poly1305`.
const SUITE_XWING: u8 = 1;
const XWING_PUBLIC_BYTES: usize = 1_216;
const XWING_ENCAPSULATED_BYTES: usize = 1_120;
const INFO: &[u8] = b"second-brain 2026 v1 scope key wrap";
/// Encapsulated key, 32 bytes of key, 16 bytes of tag.
const WRAP_BYTES: usize = XWING_ENCAPSULATED_BYTES + 32 + 16;

type PrivateKey = <XWing as Kem>::PrivateKey;
type PublicKey = <XWing as Kem>::PublicKey;
type Encapsulated = <XWing as Kem>::EncappedKey;

/// The public half of a device's key-encapsulation key.
#[derive(Clone, PartialEq, Eq)]
pub struct KemPublic(Vec<u8>);

impl std::fmt::Debug for KemPublic {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("KemPublic(x-wing)")
    }
}

/// The secret half of a device's key-encapsulation key.
pub struct DeviceSecret {
    private: PrivateKey,
    public: KemPublic,
}

impl std::fmt::Debug for DeviceSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("DeviceSecret(..)")
    }
}

/// A scope key, wrapped to one device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wrap {
    /// The device that can unwrap it.
    pub device: DeviceId,
    bytes: Vec<u8>,
}

impl DeviceSecret {
    /// Derives the key pair from 32 random bytes.
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        let (private, public) = XWing::derive_keypair(seed);
        Self {
            private,
            public: KemPublic(public.to_bytes().to_vec()),
        }
    }
    /// Returns the public half.
    pub fn public(&self) -> KemPublic {
        self.public.clone()
    }
    /// Unwraps the scope key of a grant.
    pub fn unwrap_key(
        &self,
        grant: GrantId,
        epoch: u32,
        wrap: &Wrap,
    ) -> Result<ScopeKey, OpenError> {
        let (encapsulated, sealed) = wrap
            .bytes
            .split_at_checked(XWING_ENCAPSULATED_BYTES)
            .ok_or(OpenError::NotAuthentic)?;
        let encapsulated =
            Encapsulated::from_bytes(encapsulated).or(Err(OpenError::NotAuthentic))?;
        let context = wrap_context(grant, epoch, wrap.device);
        let bytes = hpke::single_shot_open::<ChaCha20Poly1305, KdfTurboShake128, XWing>(
            &OpModeR::Base,
            &self.private,
            &encapsulated,
            INFO,
            sealed,
            &context,
        );
        let bytes = zeroize::Zeroizing::new(bytes.or(Err(OpenError::NotAuthentic))?);
        let key = bytes
            .as_slice()
            .try_into()
            .or(Err(OpenError::NotAuthentic))?;
        Ok(ScopeKey::from_bytes(key))
    }
}

impl KemPublic {
    /// Wraps the scope key of a grant to the device that owns this key.
    ///
    /// Errors with [`OpenError::NotAuthentic`] if the key is not a point the suite accepts.
    pub fn wrap_key(
        &self,
        device: DeviceId,
        grant: GrantId,
        epoch: u32,
        key: &ScopeKey,
        rng: &mut impl CryptoRng,
    ) -> Result<Wrap, OpenError> {
        let public = PublicKey::from_bytes(&self.0).or(Err(OpenError::NotAuthentic))?;
        let context = wrap_context(grant, epoch, device);
        let sealed = hpke::single_shot_seal_with_rng::<ChaCha20Poly1305, KdfTurboShake128, XWing>(
            &OpModeS::Base,
            &public,
            INFO,
            key.expose(),
            &context,
            rng,
        );
        let (encapsulated, sealed) = sealed.or(Err(OpenError::NotAuthentic))?;
        Ok(Wrap {
            device,
            bytes: [encapsulated.to_bytes().as_slice(), &sealed].concat(),
        })
    }
}

fn wrap_context(grant: GrantId, epoch: u32, device: DeviceId) -> Vec<u8> {
    let mut out = Writer::default();
    grant.encode(&mut out);
    out.u32(epoch);
    device.encode(&mut out);
    out.into_bytes()
}

fn read_suite(input: &mut Reader<'_>) -> Result<(), DecodeError> {
    match input.u8("key suite")? {
        SUITE_XWING => Ok(()),
        found => Err(DecodeError::Unknown {
            what: "key suite",
            found,
        }),
    }
}

impl Canonical for KemPublic {
    fn encode(&self, out: &mut Writer) {
        out.u8(SUITE_XWING);
        out.raw(&self.0);
    }
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        read_suite(input)?;
        Ok(Self(input.raw(XWING_PUBLIC_BYTES, "kem key")?.to_vec()))
    }
}

impl Canonical for Wrap {
    fn encode(&self, out: &mut Writer) {
        self.device.encode(out);
        out.u8(SUITE_XWING);
        out.raw(&self.bytes);
    }
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let device = DeviceId::decode(input)?;
        read_suite(input)?;
        Ok(Self {
            device,
            bytes: input.raw(WRAP_BYTES, "wrap")?.to_vec(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Entropy;

    #[test]
    fn only_the_device_it_was_wrapped_to_unwraps_it() {
        let rng = &mut Entropy::new(3);
        let (bob, eve) = (
            DeviceSecret::from_seed(&[1; 32]),
            DeviceSecret::from_seed(&[2; 32]),
        );
        let (device, grant) = (DeviceId([3; 32]), GrantId([4; 32]));
        let key = ScopeKey::random(rng);
        let wrap = bob
            .public()
            .wrap_key(device, grant, 1, &key, rng)
            .expect("wraps");
        assert_eq!(bob.unwrap_key(grant, 1, &wrap).expect("unwraps"), key);
        assert!(eve.unwrap_key(grant, 1, &wrap).is_err());
        assert!(bob.unwrap_key(grant, 2, &wrap).is_err());
        assert!(bob.unwrap_key(GrantId([5; 32]), 1, &wrap).is_err());
        assert_eq!(Wrap::from_bytes(&wrap.to_bytes()), Ok(wrap));
    }
}
