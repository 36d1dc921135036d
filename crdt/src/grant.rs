//! Grants: who may see which memories, how, and for how long.
//!
//! A grant is an offer signed by the owner and an acceptance signed by the grantee; together
//! they are the consent receipt. It is live: the selector is evaluated by the owner's node at
//! every change. It ends by expiry or by revocation, and a revoked grant never comes back.
//!
//! Start at [`authority::Authority`], the pure fold of consent events into who holds what.

pub mod aftermath;
pub mod approvals;
pub mod authority;
pub mod circle;
pub mod cuts;
pub mod known;
pub mod policies;

use crate::codec::{Canonical, DecodeError, Reader, Writer};
use crate::time::Timestamp;

/// The longest purpose, in bytes.
pub const PURPOSE_BYTES_MAX: usize = 1_024;

/// What a grantee may do with the memories of a grant's view.
///
/// No level keeps a reader from copying what was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Access {
    /// Fetch sealed events; no scope key. Does not hide sizes and times of change.
    Pull = 1,
    /// Read. Does not keep the reader from keeping a copy.
    Read = 2,
    /// Read and edit. Does not let the grantee purge, share or change who owns it.
    Write = 3,
}

impl Access {
    /// Returns the word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pull => "pull",
            Self::Read => "read",
            Self::Write => "write",
        }
    }
    /// Reads the word for it.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Pull, Self::Read, Self::Write]
            .into_iter()
            .find(|access| access.as_str() == text)
    }
}

/// How much of the past a grantee receives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum History {
    /// All changes, and new ones as they come.
    Full = 1,
    /// Read-only snapshots that supersede each other.
    None = 2,
}

/// The terms of a grant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Terms {
    /// What the grantee may do.
    pub access: Access,
    /// When it ends by itself.
    pub expires: Option<Timestamp>,
    /// How long each renewal of a lease lasts, in milliseconds; none if the end is fixed.
    pub lease_ms: Option<u64>,
    /// What it is for, in the owner's words.
    pub purpose: String,
    /// Whether the grantee may pass it on. A signal, not a lock.
    pub reshare: bool,
    /// How much of the past it covers.
    pub history: History,
}

impl Terms {
    /// Returns plain terms: no end, no purpose, no re-share, the whole history.
    pub fn of(access: Access) -> Self {
        Self {
            access,
            expires: None,
            lease_ms: None,
            purpose: String::new(),
            reshare: false,
            history: History::Full,
        }
    }
    /// Tells whether these terms give nothing that `other` does not give, whatever their ends:
    /// the owner may move the end of a grant without asking.
    pub fn is_within(&self, other: &Self) -> bool {
        self.access <= other.access
            && self.purpose == other.purpose
            && self.reshare <= other.reshare
            && self.history >= other.history
    }
}

impl Canonical for Terms {
    fn encode(&self, out: &mut Writer) {
        out.u8(self.access as u8);
        out.option(self.expires.as_ref(), |out, time| time.encode(out));
        out.option(self.lease_ms.as_ref(), |out, ms| out.u64(*ms));
        out.text(&self.purpose);
        out.bool(self.reshare);
        out.u8(self.history as u8);
    }
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            access: match input.u8("access")? {
                1 => Access::Pull,
                2 => Access::Read,
                3 => Access::Write,
                found => {
                    return Err(DecodeError::Unknown {
                        what: "access",
                        found,
                    });
                }
            },
            expires: input.option("expiry", Timestamp::decode)?,
            lease_ms: input.option("lease", |input| input.u64("lease"))?,
            purpose: input.text(PURPOSE_BYTES_MAX, "purpose")?,
            reshare: input.bool("reshare")?,
            history: match input.u8("history")? {
                1 => History::Full,
                2 => History::None,
                found => {
                    return Err(DecodeError::Unknown {
                        what: "history",
                        found,
                    });
                }
            },
        })
    }
}
