//! The text form of a person: `did:key` (W3C "The did:key Method", Ed25519, multibase base58btc).

use crate::id::PersonId;
use thiserror::Error;

/// Multicodec `ed25519-pub`, as an unsigned varint.
const ED25519_PUB: [u8; 2] = [0xed, 0x01];
/// The most characters of a key in base 58: 34 bytes take 47, and reading takes the square.
const BASE58_CHARS_MAX: usize = 64;

/// The reason why text is no `did:key` of ours.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0:?} is no did:key of an Ed25519 key (did:key:z6Mk...)")]
pub struct ParseDidError(pub String);

/// Writes a person as `did:key`.
pub fn to_did(person: &PersonId) -> String {
    let mut bytes = ED25519_PUB.to_vec();
    bytes.extend_from_slice(person.as_bytes());
    format!("did:key:z{}", bs58::encode(bytes).into_string())
}

/// Reads a `did:key`.
pub fn from_did(text: &str) -> Result<PersonId, ParseDidError> {
    text.strip_prefix("did:key:z")
        .filter(|base58| base58.len() <= BASE58_CHARS_MAX)
        .and_then(|base58| bs58::decode(base58).into_vec().ok())
        .and_then(|bytes| {
            bytes
                .strip_prefix(&ED25519_PUB)
                .and_then(|key| key.try_into().ok())
        })
        .map(PersonId)
        .ok_or_else(|| ParseDidError(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Test vector of the did:key specification, section "Ed25519".
    #[test]
    fn agrees_with_the_specification() {
        let did = "did:key:z6MkiTBz1ymuepAQ4HEHYSF1H8quG5GLVVQR3djdX3mDooWp";
        let person = from_did(did).expect("a did:key");
        assert_eq!(to_did(&person), did);
        assert!(from_did("did:key:z6LSbysY2xFMRpGMhb7tFTLMpeuPRaqaWM1yECx2AtzE3KCc").is_err());
        assert!(from_did("did:web:example.org").is_err());
        let long = format!("did:key:z6Mk{}", "z".repeat(10 << 20));
        assert!(from_did(&long).is_err(), "and at once");
    }
}
