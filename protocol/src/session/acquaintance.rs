//! What one session with a device leaves for the next: so that a reconnection says little.
//!
//! Kept in memory by the driver, for devices that are welcome. Nothing here is trusted more than
//! it was when it was said in full; it is only not said again.

use crate::wire::brief::Digest;
use crate::wire::control::Hello;
use crdt::ledger::Checkpoint;

/// What two nodes know of each other since an earlier session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acquaintance {
    /// The other side's greeting.
    pub(super) theirs: Hello,
    /// This side's greeting, as the other side knows it.
    pub(super) mine: Digest,
    /// The checkpoint of this side's ledger that the other side last showed.
    pub(super) witnessed: Option<Box<Checkpoint>>,
    /// The time of the newest item when both sides were last equal.
    pub(super) equal: Option<u64>,
}

impl Acquaintance {
    /// Returns the other side's greeting if this digest is its name.
    pub(super) fn greeting(&self, named: Digest) -> Option<&Hello> {
        Some(&self.theirs).filter(|hello| Digest::of_hello(hello) == named)
    }
}
