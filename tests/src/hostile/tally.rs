//! What an attack achieved, counted by all who take part in it.

use serde::Serialize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What an attack achieved so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Tally {
    /// How often the paired device got a stream.
    pub let_in: u64,
    /// How often it did not.
    pub turned_away: u64,
    /// How many faults the paired device will still commit.
    pub faults_left: u64,
    /// How often the stranger tried.
    pub stranger_tries: u64,
    /// Bytes that were said to the stranger.
    pub stranger_heard_bytes: u64,
    /// Dialogues in which the curious device had an answer to everything.
    pub dialogues: u64,
    /// Items that it asked for by their ids.
    pub ids_asked: u64,
    /// Blobs that it asked for, and how many of these requests named a key that it really holds.
    pub blobs_asked: u64,
    /// See [`Tally::blobs_asked`].
    pub blobs_asked_with_keys: u64,
    /// Events that it offered and that nobody may take.
    pub forged_sent: u64,
    /// Items that a proof counted, or a reconciliation named.
    pub items_shown: u64,
    /// Frames with content that came.
    pub content_frames: u64,
    /// Bytes of answers to a request for a blob that are no refusal.
    pub blob_bytes: u64,
    /// Forged events that were taken.
    pub forged_taken: u64,
}

/// A tally that many write.
#[derive(Debug, Clone, Default)]
pub(super) struct Counts(Arc<Mutex<Tally>>);

impl Counts {
    /// Lets somebody write.
    pub(super) fn note(&self, write: impl FnOnce(&mut Tally)) {
        write(&mut self.lock());
    }

    pub(super) fn tally(&self) -> Tally {
        *self.lock()
    }

    fn lock(&self) -> MutexGuard<'_, Tally> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns a number of things as it is counted here.
pub(super) fn count(number: usize) -> u64 {
    u64::try_from(number).expect("a computer has no more than that")
}
