//! Outages: since when a peer cannot be reached, said once when it begins and once when it ends.
//!
//! Invariant: the two lines in the log carry no id and no name, and there is one of each for an
//! outage, however often it is tried in between.

use super::{Party, Sync};
use crate::clock;
use crdt::time::Timestamp;
use std::time::{Duration, Instant};

/// A peer that cannot be reached.
#[derive(Debug, Clone)]
pub struct Outage {
    /// When the first attempt did not work.
    pub since: Timestamp,
    began: Instant,
    /// When it is tried again.
    pub next: Instant,
}

impl Sync {
    /// Notes that a party cannot be reached, and when it is tried again.
    pub(super) fn note_unreachable(&self, party: Party, reason: &str, pause: Duration) {
        let mut table = self.table();
        let record = table.records.entry(party).or_default();
        record.last_error = Some(reason.to_owned());
        let next = Instant::now() + pause;
        if let Some(outage) = &mut record.outage {
            outage.next = next;
        } else {
            record.outage = Some(Outage {
                since: clock::now(),
                began: Instant::now(),
                next,
            });
            tracing::info!(reason, "a peer cannot be reached; trying again");
        }
    }

    /// Notes that there is a session with a party: an outage is over.
    pub(super) fn note_reached(&self, party: Party) {
        let mut table = self.table();
        let record = table.records.entry(party).or_default();
        record.last_error = None;
        if let Some(outage) = record.outage.take() {
            let after_s = outage.began.elapsed().as_secs();
            tracing::info!(after_s, "a peer is reached again");
        }
    }
}
