//! What was lost comes back: entries that were apart go into the log again, and what was halted goes on.

use super::Tx;
use super::append::AppendError;
use crate::gaps::{Apart, Halt};
use crate::layout::{self, meta};
use crate::salvage::{event_of, waits};
use crate::store::{StoreError, decode};
use crdt::codec::Canonical as _;
use crdt::event::admit::{Holdings as _, Verified};
use crdt::event::{Event, Feed, Signed};
use crdt::id::{EventId, MemoryId};
use std::collections::BTreeSet;

impl Tx<'_> {
    fn save_gaps(&mut self) {
        let before = || self.state.gaps.clone();
        self.saved.gaps.get_or_insert_with(before);
    }

    /// Notes that an event is in the log: it is neither lost nor apart.
    pub(super) fn note_back(&mut self, event: EventId) {
        let key = self.opaque.opaque(event.as_bytes()).to_vec();
        if self.state.gaps.lost.contains_key(&key) {
            self.save_gaps();
            self.state.gaps.lost.remove(&key);
            self.delete(layout::LOST, key.clone());
        }
        if self.state.gaps.apart.contains_key(&event) {
            self.save_gaps();
            self.state.gaps.leave_apart(event);
            self.delete(layout::APART, key);
        }
    }

    /// Puts what was apart for want of an event into the log, now that the event is there; returns
    /// the memories that changed.
    ///
    /// It was admitted when it came first, so it is not asked again whether its author may.
    pub(super) fn rejoin(&mut self, came: EventId) -> Result<BTreeSet<MemoryId>, StoreError> {
        let mut memories = BTreeSet::new();
        let mut open = vec![came];
        while let Some(came) = open.pop() {
            for id in self.state.gaps.needing(came) {
                let key = self.opaque.opaque(id.as_bytes()).to_vec();
                let Some(row) = self.get(layout::APART, &key)? else {
                    continue;
                };
                let row: Apart = decode(layout::APART.0, &row)?;
                let event = event_of(&row)?;
                let memory = event.memory();
                let need = self.first_missing(&event);
                self.check_failure()?;
                let need = match need {
                    Some(need) => need,
                    None => match self.stage(Verified::from_own_log(event.clone()), None) {
                        Ok(_) => {
                            memories.extend(memory);
                            open.push(id);
                            continue;
                        }
                        Err(AppendError::Store(error)) => return Err(error),
                        // It stays apart until somebody brings it, with its key.
                        Err(error) => {
                            tracing::warn!(%error, "an entry that was apart does not apply");
                            id
                        }
                    },
                };
                let row = Apart { need, ..row };
                self.save_gaps();
                self.state.gaps.set_apart(id, waits(&event, &row));
                self.put(layout::APART, key, row.to_bytes());
            }
        }
        Ok(memories)
    }

    fn first_missing(&self, event: &Signed<Event>) -> Option<EventId> {
        let header = event.header();
        let root = match header.feed {
            Feed::Memory(memory) | Feed::Sidecar(memory) => Some(EventId(memory.0)),
            _ => None,
        };
        let needs = root.iter().chain(&header.previous).chain(&header.parents);
        needs.copied().find(|need| !self.holds(*need))
    }

    /// Lets things leave again once no consent is missing, or the person said so.
    pub(crate) fn end_halt(&mut self) {
        let gaps = &self.state.gaps;
        let is_back = gaps.halt == Halt::UntilBack && gaps.has_all_consent();
        if !is_back && gaps.halt != Halt::Over {
            return;
        }
        tracing::warn!("what may leave leaves again");
        self.save_gaps();
        self.save_authority();
        self.state.gaps.halt = Halt::None;
        self.delete(layout::META, meta::HALT.to_vec());
        // What left a view or came into one meanwhile was not told.
        let given: Vec<MemoryId> = self.state.members.keys().copied().collect();
        for memory in given {
            self.note_moves(memory);
        }
    }
}
