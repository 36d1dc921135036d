//! Approving: the person's word about memories that wait for it, and what follows from it.

use super::Tx;
use super::append::{AppendError, Draft};
use crate::store::StoreError;
use crdt::codec::Canonical as _;
use crdt::envelope::Epoch;
use crdt::event::body::approval::{APPROVED_MAX, Approval, Subject};
use crdt::event::{Feed, Kind};
use crdt::id::MemoryId;

impl Tx<'_> {
    /// Says yes or no for memories that wait; views follow in the same transaction.
    pub fn approve(
        &mut self,
        subject: &Subject,
        memories: &[MemoryId],
        approved: bool,
    ) -> Result<(), AppendError> {
        let mut sorted = memories.to_vec();
        sorted.sort_unstable();
        sorted.dedup();
        for chunk in sorted.chunks(APPROVED_MAX) {
            let approval = Approval {
                subject: subject.clone(),
                memories: chunk.to_vec(),
                approved,
            };
            let draft = Draft {
                kind: Kind::Approval,
                owner: self.state.me,
                feed: Feed::Own,
                parents: Vec::new(),
                epoch: Epoch(0),
            };
            self.write_plain(draft, approval.to_bytes())?;
        }
        for memory in sorted {
            self.note_moves(memory);
        }
        Ok(())
    }

    /// Begins to follow the words that grants of mine select by, where that was not done yet.
    pub(super) fn follow_texts(&mut self) -> Result<(), StoreError> {
        let me = self.state.me;
        let missing = self.state.texts.missing(&self.state.authority, me);
        if missing.is_empty() {
            return Ok(());
        }
        self.save_texts();
        self.state.texts.follow(&missing);
        let mine = self
            .state
            .memories
            .values()
            .filter(|facts| facts.owner == me);
        for memory in mine.map(|facts| facts.id).collect::<Vec<_>>() {
            if let Some(content) = self.content(memory)? {
                self.state.texts.note(memory, Some(&content));
            }
        }
        Ok(())
    }
}
