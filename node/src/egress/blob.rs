//! Attachments on their way out: each part is looked at and written down, each chunk looked at.
//!
//! ```text
//! part -> review: view now? -> ledger, durable -> Passage -> chunk: view still? -> Cleared
//! ```
//!
//! The look at a chunk costs no write, so what was cleared with its part and waits does not leave
//! after a revocation, a tag that was taken away, or a device that was retired.

use super::Cleared;
use crate::clock;
use crdt::blob::seal::BlobKey;
use crdt::hash::Hash;
use crdt::id::{DeviceId, MemoryId, PersonId};
use crdt::ledger::BlobSent;
use protocol::blob::Answer;
use protocol::blob::serving::Part;
use storage::store::state::State;
use storage::store::{Store, StoreError};

/// Whom a device speaks for, if it is welcome: a paired person or this one.
pub fn welcome(state: &State, device: DeviceId) -> Option<PersonId> {
    let person = state.authority.person_of(&device)?;
    (person == state.me || state.is_paired(person)).then_some(person)
}

/// Returns for whom a device asks, if that person may have a blob of a memory now.
pub fn may_have(store: &Store, device: DeviceId, memory: MemoryId, blob: Hash) -> Option<PersonId> {
    store.read(|state| {
        let person = welcome(state, device)?;
        let leave = state.blob_grant(person, memory, blob, clock::now());
        leave.map(|_| person)
    })
}

/// A part that may leave and is in the ledger. Holding one lets its chunks out.
#[derive(Debug)]
pub struct Passage {
    device: DeviceId,
    part: Part,
    key: BlobKey,
}

/// Decides whether a part of a blob may leave to a device now, and records it.
pub fn review(
    store: &Store,
    device: DeviceId,
    part: Part,
    key: &BlobKey,
) -> Result<Option<Passage>, StoreError> {
    let Some(person) = may_have(store, device, part.memory, part.blob) else {
        return Ok(None);
    };
    let sent = BlobSent {
        blob: part.blob,
        from: part.from,
        bytes: part.bytes,
    };
    let entry = store.transact(clock::now(), |tx| {
        tx.disclose_blob(person, part.memory, sent)
    })?;
    let key = key.clone();
    Ok(entry.map(|_| Passage { device, part, key }))
}

impl Passage {
    /// Seals a chunk and lets it out; none if it is not of the part, or may not leave any more.
    pub fn clear(&self, store: &Store, index: u32, bytes: &[u8]) -> Option<Cleared<Answer>> {
        let Part { first, chunks, .. } = self.part;
        let is_in_part = (first..first.saturating_add(chunks)).contains(&index);
        may_have(store, self.device, self.part.memory, self.part.blob).filter(|_| is_in_part)?;
        let sealed = self.key.seal_chunk(index, bytes);
        Some(Cleared(Answer::Chunk { index, sealed }))
    }
}
