//! What is attached to which memory: a projection of the contents, held in memory.
//!
//! From here follow which blobs are wanted at all ([`State::blobs`]), who may have one now
//! ([`State::blob_grant`]), and what is written down before a part of one leaves
//! ([`Tx::disclose_blob`](crate::tx::Tx::disclose_blob)). The bytes themselves are
//! [`crate::blob`]'s.
//!
//! Invariant: a memory that was purged has nothing attached.

use crate::store::state::State;
use crdt::codec::{Canonical, DecodeError, Reader, Writer};
use crdt::hash::Hash;
use crdt::id::{GrantId, MemoryId, PersonId};
use crdt::memory::Attachment;
use crdt::memory::limits::ATTACHMENTS_MAX;
use crdt::time::Timestamp;
use std::collections::BTreeSet;

/// The attachments of a memory that has some.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Attached {
    pub(crate) memory: MemoryId,
    pub(crate) attachments: Vec<Attachment>,
}

impl Canonical for Attached {
    fn encode(&self, out: &mut Writer) {
        self.memory.encode(out);
        out.list(&self.attachments);
    }
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            memory: MemoryId::decode(input)?,
            attachments: input.list(ATTACHMENTS_MAX, "attachments")?,
        })
    }
}

/// Under what a blob may go to someone now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leave {
    /// To another device of this person.
    Own,
    /// Under this grant.
    Grant(GrantId),
}

impl State {
    /// Returns what is attached to a memory.
    pub fn attachments(&self, memory: MemoryId) -> &[Attachment] {
        self.attached.get(&memory).map_or(&[], Vec::as_slice)
    }
    /// Returns the memories that have attachments, with these.
    pub fn attached(&self) -> impl Iterator<Item = (MemoryId, &[Attachment])> {
        let all = self.attached.iter();
        all.map(|(memory, attachments)| (*memory, attachments.as_slice()))
    }
    /// Returns every blob that a memory refers to.
    pub fn blobs(&self) -> BTreeSet<Hash> {
        let all = self.attached.values().flatten();
        all.map(|attachment| attachment.hash).collect()
    }
    /// Returns under what a person may have a blob of a memory now; none if they may not.
    ///
    /// It is asked before every part that leaves: the memory must be in the view that they share
    /// with this node, by the same functions as its events, and the blob attached to it.
    pub fn blob_grant(
        &self,
        person: PersonId,
        memory: MemoryId,
        blob: Hash,
        now: Timestamp,
    ) -> Option<Leave> {
        if self.gaps.is_halted() {
            return None;
        }
        let facts = self.memories.get(&memory).filter(|facts| !facts.purged)?;
        let is_attached = |attachment: &Attachment| attachment.hash == blob;
        self.attachments(memory).iter().find(|a| is_attached(a))?;
        if person == self.me {
            return Some(Leave::Own);
        }
        let grant = if facts.owner == self.me {
            self.grants_over(facts, person, now).next()
        } else if facts.owner == person {
            self.held_under(facts, now).next()
        } else {
            None
        };
        grant.map(|grant| Leave::Grant(grant.id))
    }
}
