//! Memories whose documents made Automerge fail, kept out of editing and merging.
//!
//! The content as it last stood is still shown and found. A rebuild tries each of them again.

use crdt::codec::{Canonical, DecodeError, Reader, Writer};
use crdt::id::MemoryId;
use crdt::time::Timestamp;

/// Bytes of a reason: a sentence of Automerge.
const REASON_BYTES_MAX: usize = 1_024;

/// A memory in quarantine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quarantined {
    /// The memory.
    pub memory: MemoryId,
    /// Since when.
    pub since: Timestamp,
    /// What failed.
    pub reason: String,
}

impl Quarantined {
    pub(crate) fn new(memory: MemoryId, since: Timestamp, mut reason: String) -> Self {
        while reason.len() > REASON_BYTES_MAX {
            reason.pop();
        }
        Self {
            memory,
            since,
            reason,
        }
    }
}

impl Canonical for Quarantined {
    fn encode(&self, out: &mut Writer) {
        self.memory.encode(out);
        self.since.encode(out);
        out.text(&self.reason);
    }
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            memory: MemoryId::decode(input)?,
            since: Timestamp::decode(input)?,
            reason: input.text(REASON_BYTES_MAX, "reason")?,
        })
    }
}
