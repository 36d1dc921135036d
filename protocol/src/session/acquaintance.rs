//! What one session with a device leaves for the next: so that a reconnection says little.
//!
//! Kept in memory by the driver, for devices that are welcome. Nothing here is trusted more than
//! it was when it was said in full; it is only not said again.

use crate::view::Summary;
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
    /// How the view stood when both sides were last equal.
    pub(super) equal: Option<Equal>,
}

/// A view that both sides proved to be equal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Equal {
    pub(super) summary: Summary,
    /// The time of its newest item.
    pub(super) newest: u64,
}

impl Acquaintance {
    /// Returns the other side's greeting if this digest names it together with one's own.
    pub(super) fn greeting(&self, mine: &Hello, named: Digest) -> Option<&Hello> {
        Some(&self.theirs).filter(|theirs| Digest::of_greetings(theirs, mine) == named)
    }
    /// Returns how the view stood when both sides were last equal, if this digest is its name.
    pub(super) fn equal(&self, named: Digest) -> Option<Summary> {
        let summary = self.equal?.summary;
        Some(summary).filter(|summary| Digest::of_view(summary) == named)
    }
}
