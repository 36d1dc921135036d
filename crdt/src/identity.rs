//! Identity: persons and their devices.
//!
//! A **person** is a root key. A **device** has a signing key, which is its network key too, and
//! a key-encapsulation key to which scope keys are wrapped. The root signs a
//! [`DeviceCertificate`]; grants name persons, and a device acts for the person that certified it.
//!
//! Start at [`PersonKey::certify`]. Keys are made from seeds that the caller draws.
//!
//! Invariant: a [`DeviceCertificate`] that was decoded has been checked against the person it
//! names.

pub mod did;
pub mod phrase;
pub mod roster;
pub mod words;

use crate::codec::{Canonical, DecodeError, Reader, Writer};
use crate::envelope::wrap::{DeviceSecret, KemPublic};
use crate::hash::Hash;
use crate::id::{DeviceId, PersonId};
use crate::time::Timestamp;
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};

/// The length of an Ed25519 signature in bytes.
pub const SIGNATURE_BYTES: usize = 64;
const CERTIFICATE_VERSION: u8 = 1;
const CERTIFICATE_DOMAIN: &str = "second-brain 2026 v1 device certificate";

/// The root key of a person.
pub struct PersonKey(SigningKey);

impl std::fmt::Debug for PersonKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PersonKey({})", self.id())
    }
}

impl PersonKey {
    /// Makes the key from 32 random bytes, the ones a recovery phrase stands for.
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        Self(SigningKey::from_bytes(seed))
    }
    /// Returns the person.
    pub fn id(&self) -> PersonId {
        PersonId(self.0.verifying_key().to_bytes())
    }
    /// Signs that a device speaks for this person.
    pub fn certify(&self, device: &DeviceKey, issued: Timestamp) -> DeviceCertificate {
        self.certify_public(device.id(), device.secret.public(), issued)
    }
    /// Signs that a device of which only the public keys are here speaks for this person.
    pub fn certify_public(
        &self,
        device: DeviceId,
        kem: KemPublic,
        issued: Timestamp,
    ) -> DeviceCertificate {
        let mut certificate = DeviceCertificate {
            person: self.id(),
            device,
            kem,
            issued,
            signature: [0; SIGNATURE_BYTES],
        };
        certificate.signature = self.0.sign(&certificate.signed_hash().0).to_bytes();
        certificate
    }
    /// Signs that a device does not speak for this person any more.
    pub fn retire(&self, device: DeviceId) -> [u8; SIGNATURE_BYTES] {
        self.0.sign(&retirement_hash(device).0).to_bytes()
    }
    /// Returns the 32 bytes, to be stored sealed.
    pub fn seed(&self) -> &[u8; 32] {
        self.0.as_bytes()
    }
    /// Returns the recovery phrase: the 24 words that stand for this key.
    pub fn phrase(&self) -> zeroize::Zeroizing<String> {
        phrase::of(self.0.as_bytes())
    }
}

/// The keys of a device: one to sign with, one to receive wrapped keys with.
pub struct DeviceKey {
    signing: SigningKey,
    /// The key-encapsulation half.
    pub secret: DeviceSecret,
    seed: zeroize::Zeroizing<[u8; 32]>,
}

impl std::fmt::Debug for DeviceKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "DeviceKey({})", self.id())
    }
}

impl DeviceKey {
    /// Derives both keys from 32 random bytes.
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        let signing = blake3::derive_key("second-brain 2026 v1 device signing key", seed);
        let kem = blake3::derive_key("second-brain 2026 v1 device kem key", seed);
        Self {
            signing: SigningKey::from_bytes(&signing),
            secret: DeviceSecret::from_seed(&kem),
            seed: zeroize::Zeroizing::new(signing),
        }
    }
    /// Returns the device.
    pub fn id(&self) -> DeviceId {
        DeviceId(self.signing.verifying_key().to_bytes())
    }
    /// Returns the secret half of the signing key, for the transport that proves it.
    pub fn transport_secret(&self) -> &[u8; 32] {
        &self.seed
    }
    /// Signs a hash.
    pub fn sign(&self, hash: &Hash) -> [u8; SIGNATURE_BYTES] {
        self.signing.sign(&hash.0).to_bytes()
    }
    /// Tells whether a signature that this device has just made holds: everybody would refuse for
    /// ever what a faulty machine signed wrong, and all that comes after it. Takes less than
    /// [`verify`], which reads both points anew to know that no stranger chose bad ones.
    pub fn has_signed(&self, hash: &Hash, signature: &[u8; SIGNATURE_BYTES]) -> bool {
        let signature = Signature::from_bytes(signature);
        self.signing.verify(&hash.0, &signature).is_ok()
    }
}

fn retirement_hash(device: DeviceId) -> Hash {
    Hash::of(
        "second-brain 2026 v1 device retirement",
        &[device.as_bytes()],
    )
}

/// Tells whether the root of a person signed that a device is retired.
pub fn is_retired_by_root(
    person: PersonId,
    device: DeviceId,
    proof: &[u8; SIGNATURE_BYTES],
) -> bool {
    verify(&person.0, &retirement_hash(device), proof)
}

/// Tells whether a key signed a hash. Strict: small-order keys and malleable signatures fail.
pub fn verify(key: &[u8; 32], hash: &Hash, signature: &[u8; SIGNATURE_BYTES]) -> bool {
    VerifyingKey::from_bytes(key).is_ok_and(|key| {
        key.verify_strict(&hash.0, &Signature::from_bytes(signature))
            .is_ok()
    })
}

/// A person's statement that a device speaks for them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceCertificate {
    /// The person who certifies.
    pub person: PersonId,
    /// The device that is certified.
    pub device: DeviceId,
    /// The key to which scope keys are wrapped for this device.
    pub kem: KemPublic,
    /// The time at which it was issued; for display.
    pub issued: Timestamp,
    signature: [u8; SIGNATURE_BYTES],
}

impl DeviceCertificate {
    fn write_signed(&self, out: &mut Writer) {
        out.u8(CERTIFICATE_VERSION);
        self.person.encode(out);
        self.device.encode(out);
        self.kem.encode(out);
        self.issued.encode(out);
    }
    fn signed_hash(&self) -> Hash {
        let mut out = Writer::default();
        self.write_signed(&mut out);
        Hash::of(CERTIFICATE_DOMAIN, &[&out.into_bytes()])
    }
}

impl Canonical for DeviceCertificate {
    fn encode(&self, out: &mut Writer) {
        self.write_signed(out);
        out.raw(&self.signature);
    }
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        match input.u8("certificate version")? {
            CERTIFICATE_VERSION => {}
            found => {
                return Err(DecodeError::Unknown {
                    what: "certificate version",
                    found,
                });
            }
        }
        let certificate = Self {
            person: PersonId::decode(input)?,
            device: DeviceId::decode(input)?,
            kem: KemPublic::decode(input)?,
            issued: Timestamp::decode(input)?,
            signature: input.array("certificate signature")?,
        };
        if verify(
            &certificate.person.0,
            &certificate.signed_hash(),
            &certificate.signature,
        ) {
            Ok(certificate)
        } else {
            Err(DecodeError::NotCanonical("certificate signature"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_is_checked_when_it_is_read() {
        let person = PersonKey::from_seed(&[1; 32]);
        let device = DeviceKey::from_seed(&[2; 32]);
        let bytes = person.certify(&device, Timestamp(5)).to_bytes();
        let read = DeviceCertificate::from_bytes(&bytes).expect("genuine");
        assert_eq!((read.person, read.device), (person.id(), device.id()));
        for at in [1, 40, 70, 1_300, bytes.len() - 1] {
            let mut forged = bytes.clone();
            if let Some(byte) = forged.get_mut(at) {
                *byte ^= 1;
            }
            assert!(
                DeviceCertificate::from_bytes(&forged).is_err(),
                "byte {at} changed"
            );
        }
    }
}
