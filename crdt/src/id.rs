//! The ids: newtypes that are never interchangeable, each with one text form.
//!
//! Ids that are hashes read as 52 characters of lower-case base32 (RFC 4648, no padding); a
//! unique prefix is enough for people. Keys of people and devices read as `did:key`
//! ([`crate::identity::did`]).

use crate::codec::{Canonical, DecodeError, Reader, Writer};
use crate::hash::Hash;
use data_encoding::{BASE32_NOPAD_NOCASE, Specification};
use std::sync::LazyLock;
use thiserror::Error;

/// The reason why text is no id.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0:?} is no id: 52 letters and digits 2-7 are needed")]
pub struct ParseIdError(pub String);

static LOWER: LazyLock<data_encoding::Encoding> = LazyLock::new(|| {
    let mut specification = Specification::new();
    specification
        .symbols
        .push_str("abcdefghijklmnopqrstuvwxyz234567");
    specification
        .encoding()
        .expect("32 distinct symbols make a base32 alphabet")
});

/// Writes bytes as lower-case base32.
pub fn to_base32(bytes: &[u8]) -> String {
    LOWER.encode(bytes)
}

/// Reads base32 in either case; `None` if it is not exactly canonical.
pub fn from_base32(text: &str) -> Option<Vec<u8>> {
    BASE32_NOPAD_NOCASE.decode(text.as_bytes()).ok()
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub [u8; 32]);

        impl $name {
            /// Returns the bytes.
            pub fn as_bytes(&self) -> &[u8; 32] {
                &self.0
            }
        }
        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&to_base32(&self.0))
            }
        }
        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, "{}({}..)", stringify!($name), to_base32(self.0.get(..5).unwrap_or(&[])))
            }
        }
        impl std::str::FromStr for $name {
            type Err = ParseIdError;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                from_base32(text)
                    .and_then(|bytes| bytes.try_into().ok())
                    .map(Self)
                    .ok_or_else(|| ParseIdError(text.to_owned()))
            }
        }
        impl Canonical for $name {
            fn encode(&self, out: &mut Writer) {
                out.raw(&self.0);
            }
            fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
                Ok(Self(input.array(stringify!($name))?))
            }
        }
    };
}

id!(
    /// The id of an event: the hash of its signed bytes.
    EventId
);
id!(
    /// The id of a memory: the id of its root event.
    MemoryId
);
id!(
    /// The id of a grant: the id of the offer that opened it.
    GrantId
);
id!(
    /// A person: the public half of a root key (Ed25519).
    PersonId
);
id!(
    /// A device: the public half of its signing key (Ed25519), which is its libp2p key too.
    DeviceId
);

impl From<Hash> for EventId {
    fn from(hash: Hash) -> Self {
        Self(hash.0)
    }
}

impl EventId {
    /// Returns the memory that this event is the root of.
    pub fn as_memory(self) -> MemoryId {
        MemoryId(self.0)
    }
    /// Returns the grant that this event is the offer of.
    pub fn as_grant(self) -> GrantId {
        GrantId(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_form_round_trips_in_either_case() {
        let id = MemoryId([7; 32]);
        let text = id.to_string();
        assert_eq!(text.len(), 52);
        assert_eq!(text.parse(), Ok(id));
        assert_eq!(text.to_uppercase().parse(), Ok(id));
        assert!("short".parse::<MemoryId>().is_err());
        // The last symbol carries 4 spare bits: only zero is canonical.
        let mut spare = text;
        spare.pop();
        spare.push('b');
        assert!(spare.parse::<MemoryId>().is_err());
    }
}
