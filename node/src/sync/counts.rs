//! What sync has done since the node started, in numbers without names.

use std::sync::atomic::{AtomicU64, Ordering};

/// How a session ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    /// In order, or with the connection.
    Ended,
    /// Before anyone was welcome.
    Refused,
    /// The peer broke the protocol.
    Fault,
    /// This node did.
    Panicked,
}

impl Ending {
    /// Returns the word for it in metrics and traces.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Ended => "ended",
            Self::Refused => "refused",
            Self::Fault => "fault",
            Self::Panicked => "panicked",
        }
    }
}

/// Counters; each only grows.
#[derive(Debug, Default)]
pub struct Counts {
    ended: AtomicU64,
    refused: AtomicU64,
    fault: AtomicU64,
    panicked: AtomicU64,
    bytes_in: AtomicU64,
    bytes_out: AtomicU64,
    sent: AtomicU64,
    withheld: AtomicU64,
}

impl Counts {
    pub(super) fn session(&self, ending: Ending) {
        let counter = match ending {
            Ending::Ended => &self.ended,
            Ending::Refused => &self.refused,
            Ending::Fault => &self.fault,
            Ending::Panicked => &self.panicked,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }
    pub(super) fn bytes(&self, bytes_in: u64, bytes_out: u64) {
        self.bytes_in.fetch_add(bytes_in, Ordering::Relaxed);
        self.bytes_out.fetch_add(bytes_out, Ordering::Relaxed);
    }
    /// Counts what the guard decided about items that a peer may have.
    pub(super) fn egress(&self, sent: u64, withheld: u64) {
        self.sent.fetch_add(sent, Ordering::Relaxed);
        self.withheld.fetch_add(withheld, Ordering::Relaxed);
    }

    /// Returns sessions by how they ended.
    pub fn sessions(&self) -> [(&'static str, u64); 4] {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        [
            (Ending::Ended.word(), read(&self.ended)),
            (Ending::Fault.word(), read(&self.fault)),
            (Ending::Panicked.word(), read(&self.panicked)),
            (Ending::Refused.word(), read(&self.refused)),
        ]
    }
    /// Returns bytes of frames by direction.
    pub fn directions(&self) -> [(&'static str, u64); 2] {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        [("in", read(&self.bytes_in)), ("out", read(&self.bytes_out))]
    }
    /// Returns items by what the guard decided.
    pub fn decisions(&self) -> [(&'static str, u64); 2] {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        [
            ("sent", read(&self.sent)),
            ("withheld", read(&self.withheld)),
        ]
    }
}
