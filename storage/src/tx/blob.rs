//! Parts of attachments that leave: looked at again and written down, before each of them.

use super::Tx;
use crate::attached::{Attached, Leave};
use crate::layout;
use crate::ledger::Entry;
use crate::store::StoreError;
use crdt::codec::Canonical as _;
use crdt::envelope::ContentKey;
use crdt::id::{MemoryId, PersonId};
use crdt::ledger::BlobSent;
use crdt::memory::Content;

impl Tx<'_> {
    /// Decides whether a part of a blob may leave for a person now, and writes the ledger. Returns
    /// the number of the entry; none if it may not.
    pub fn disclose_blob(
        &mut self,
        person: PersonId,
        memory: MemoryId,
        part: BlobSent,
    ) -> Result<Option<u64>, StoreError> {
        let leave = self.state.blob_grant(person, memory, part.blob, self.now);
        let grant = match leave {
            None => return Ok(None),
            Some(Leave::Own) => None,
            Some(Leave::Grant(grant)) => Some(grant),
        };
        let entry = self.record(Entry {
            number: 0,
            time: self.now,
            person,
            memory,
            events: Vec::new(),
            keys: Vec::new(),
            bytes: part.bytes,
            grant,
            blob: Some(part),
        })?;
        Ok(Some(entry))
    }

    /// Returns the content keys of a memory that are here, the newest epoch first: what its blobs
    /// are sealed under on their way.
    pub fn blob_keys(&self, memory: MemoryId) -> Result<Vec<ContentKey>, StoreError> {
        let mut keys = Vec::new();
        for epoch in self.epochs_of(memory)?.into_iter().rev() {
            keys.extend(self.content_keys(memory, epoch)?);
        }
        Ok(keys)
    }

    /// Notes what is attached to a memory whose content changed; none if it is gone.
    pub(super) fn note_attached(&mut self, memory: MemoryId, content: Option<&Content>) {
        let attachments = content.map_or(&[][..], |content| &content.attachments);
        if self.state.attachments(memory) == attachments {
            return;
        }
        let before = || self.state.attached.get(&memory).cloned();
        self.saved.attached.entry(memory).or_insert_with(before);
        let key = self.memory_key(memory);
        if attachments.is_empty() {
            self.delete(layout::ATTACHED, key);
            self.state.attached.remove(&memory);
            return;
        }
        let attachments = attachments.to_vec();
        let row = Attached {
            memory,
            attachments: attachments.clone(),
        };
        self.put(layout::ATTACHED, key, row.to_bytes());
        self.state.attached.insert(memory, attachments);
    }
}
