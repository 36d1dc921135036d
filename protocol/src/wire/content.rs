//! Content: sealed events and the keys that open them.

use crate::limits::{FRAME_BYTES_MAX, FRAME_EVENTS_MAX};
use crdt::codec::{Canonical, DecodeError, Reader, Writer};
use crdt::envelope::SealedKey;

/// Events in causal order, and content keys sealed under the scope keys of grants.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Content {
    /// The signed bytes of events.
    pub events: Vec<Vec<u8>>,
    /// Content keys; each also tells that a memory is in the view of a grant.
    pub keys: Vec<SealedKey>,
}

impl Canonical for Content {
    fn encode(&self, out: &mut Writer) {
        out.length(self.events.len());
        for event in &self.events {
            out.bytes(event);
        }
        out.list(&self.keys);
    }
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let count = input.length(FRAME_EVENTS_MAX, "events")?;
        let mut events = Vec::with_capacity(count.min(input.remaining()));
        for _ in 0..count {
            events.push(input.bytes(FRAME_BYTES_MAX, "event")?.to_vec());
        }
        let keys = input.list(4 * FRAME_EVENTS_MAX, "keys")?;
        Ok(Self { events, keys })
    }
}
