//! The egress guard: the last gate before the wire.
//!
//! Content can be written to a peer only as [`Cleared`], and only [`review`] makes one: it asks
//! the store under which grants each item may leave *now*, has the keys sealed and the ledger
//! written, and only then hands the bytes on.
//!
//! What leaves at all is the [`policy`]'s word: [`guard`] screens each memory when it changes, the
//! store keeps the verdict with the facts, and the one view function reads it there.
//!
//! ```text
//! policy -> guard: screen -> detect <- normal, decode
//! ```
//!
//! A guard against accidents, not against someone who owns the machine.

pub mod blob;
mod decode;
pub mod detect;
pub mod guard;
mod normal;
pub mod policy;
mod redact;

use crate::clock;
use crdt::id::{EventId, GrantId, MemoryId, PersonId};
use protocol::limits::{FRAME_BYTES_TARGET, FRAME_EVENTS_MAX};
use protocol::view::Item;
use protocol::wire::content::Content;
use std::collections::BTreeMap;
use storage::store::Store;
use storage::tx::AppendError;

/// Something that may leave. Holding one is the proof.
#[derive(Debug)]
pub struct Cleared<T>(T);

impl<T> Cleared<T> {
    /// Gives the value to whoever writes it to the wire.
    pub(crate) fn into_inner(self) -> T {
        self.0
    }
}

/// What the guard lets out.
#[derive(Debug)]
pub struct Review {
    /// Frames in causal order.
    pub frames: Vec<Cleared<Content>>,
    /// Items that may not leave now.
    pub withheld: u32,
    /// The memories that the frames are of.
    pub memories: Vec<MemoryId>,
}

/// The memberships behind the items of a view that are not events.
pub type Memberships = BTreeMap<[u8; 32], (GrantId, MemoryId)>;

/// Decides what of the items may leave for a person, and records it.
pub fn review(
    store: &Store,
    person: PersonId,
    items: &[Item],
    memberships: &Memberships,
) -> Result<Review, AppendError> {
    let mut events = Vec::new();
    let mut members = Vec::new();
    for item in items {
        match memberships.get(&item.id) {
            Some(member) => members.push(*member),
            None => events.push(EventId(item.id)),
        }
    }
    let disclosure = store.transact(clock::now(), |tx| tx.disclose(person, &events, &members))?;
    let mut all: Vec<(u64, Vec<u8>)> = Vec::new();
    let mut keys = Vec::new();
    let mut memories = Vec::new();
    for memory in disclosure.memories {
        memories.push(memory.memory);
        all.extend(memory.events);
        keys.extend(memory.keys);
    }
    // Across memories too: an event may build on one of another writer.
    all.sort_unstable_by_key(|(place, _)| *place);
    let mut frames = vec![Content {
        events: Vec::new(),
        keys,
    }];
    let mut bytes = 0;
    for (_, event) in all {
        bytes += event.len();
        let is_full = frames.last().is_some_and(|frame| {
            !frame.events.is_empty()
                && (bytes > FRAME_BYTES_TARGET || frame.events.len() >= FRAME_EVENTS_MAX)
        });
        if is_full {
            bytes = event.len();
            frames.push(Content::default());
        }
        if let Some(frame) = frames.last_mut() {
            frame.events.push(event);
        }
    }
    frames.retain(|frame| !frame.events.is_empty() || !frame.keys.is_empty());
    let frames = frames.into_iter().map(Cleared).collect();
    Ok(Review {
        frames,
        withheld: disclosure.withheld,
        memories,
    })
}

#[cfg(test)]
mod tests;
