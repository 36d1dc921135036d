//! What we ask of the keyring of the operating system: to keep items of bytes for a person.
//!
//! It is not our [`Keyring`](super::Keyring), which holds the master key, and nothing here speaks
//! to a system: the node does, behind [`OsKeyring`].
//!
//! Invariant: an item is found by its name alone. The name is drawn when the item is made and
//! stands in the master key's file, so folders of one person, moved or not, never share one.

use std::fmt;

use zeroize::Zeroizing;

use crate::cipher::{CipherError, fill_random};

/// How many bytes the name of an item has.
pub(super) const NAME_BYTES: usize = 16;

/// Names the item with a wrapping key; it is no secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ItemName([u8; NAME_BYTES]);

impl ItemName {
    /// Draws the name of a new item.
    pub fn draw() -> Result<Self, CipherError> {
        let mut name = [0; NAME_BYTES];
        fill_random(&mut name)?;
        Ok(Self(name))
    }

    pub(super) fn from_bytes(name: [u8; NAME_BYTES]) -> Self {
        Self(name)
    }

    pub(super) fn as_bytes(&self) -> &[u8; NAME_BYTES] {
        &self.0
    }
}

impl fmt::Display for ItemName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// The keyring of the operating system, open for the person who is logged in.
///
/// Every call returns within a bounded time, whether a person is there or not.
pub trait OsKeyring: fmt::Debug + Send + Sync {
    /// Tells whether the keyring is open and has an item, without reading it.
    fn has(&self, item: &ItemName) -> Result<bool, OsKeyringError>;
    /// Reads an item; `None` if the keyring is open and has none of this name.
    fn read(&self, item: &ItemName) -> Result<Option<Zeroizing<Vec<u8>>>, OsKeyringError>;
    /// Writes an item, in place of the one of this name if there is one.
    fn write(&self, item: &ItemName, bytes: &[u8]) -> Result<(), OsKeyringError>;
    /// Removes an item; none of this name is fine.
    fn remove(&self, item: &ItemName) -> Result<(), OsKeyringError>;
}

/// Is the reason the keyring of the operating system did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum OsKeyringError {
    /// There is none, or it does not answer.
    #[error("the OS keyring cannot be reached: {reason}")]
    Unreachable {
        /// What the system said.
        reason: String,
    },
    /// It is there and locked.
    #[error("the OS keyring is locked")]
    Locked,
    /// It has several items of one name, and none is taken at a guess.
    #[error("the OS keyring has {count} items named {item}")]
    Several {
        /// The name.
        item: ItemName,
        /// How many.
        count: usize,
    },
    /// It answered with a refusal.
    #[error("the OS keyring refused: {reason}")]
    Refused {
        /// What it said.
        reason: String,
    },
}

impl OsKeyringError {
    /// Tells whether it may be there later: nobody is logged in yet, or it is locked.
    pub fn is_away(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::Locked)
    }
}
