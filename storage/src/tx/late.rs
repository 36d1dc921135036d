//! The writer's side of late work: which own changes a revocation cut off, and handing them over.

use super::Tx;
use super::append::AppendError;
use crate::late::{HANDED_MAX, Mine};
use crate::layout;
use crate::records::Facts;
use crdt::codec::Canonical as _;
use crdt::grant::authority::Grant;
use crdt::id::{EventId, GrantId, PersonId};
use std::sync::Arc;

impl Tx<'_> {
    /// Notes the own changes under a revoked grant that are beyond its cut.
    pub(super) fn note_late(&mut self, grant: &Grant) -> Result<(), AppendError> {
        let device = self.owner.device.id();
        let wrote = |facts: &&Arc<Facts>| {
            facts.owner == grant.owner
                && facts
                    .writers()
                    .iter()
                    .any(|written| written.device == device)
                && self.state.delivered(facts.id).contains(&grant.id)
        };
        let memories: Vec<Arc<Facts>> = self
            .state
            .memories
            .values()
            .filter(wrote)
            .cloned()
            .collect();
        for facts in memories {
            for (_, id) in facts.events() {
                let Some(event) = self.logged(id)? else {
                    continue;
                };
                let header = event.header();
                if header.person != self.state.me || self.state.late.mine.contains_key(&id) {
                    continue;
                }
                let mine = Mine {
                    event: id,
                    memory: facts.id,
                    owner: facts.owner,
                    grant: grant.id,
                    device: header.author,
                    incarnation: header.incarnation,
                    number: header.number,
                    written: header.time,
                    handed: 0,
                    settled: false,
                };
                self.save_late();
                self.state.late.mine.insert(id, mine.clone());
                if self.state.is_late(id) {
                    self.put_mine(mine);
                } else {
                    self.state.late.mine.remove(&id);
                }
            }
        }
        Ok(())
    }

    fn put_mine(&mut self, mine: Mine) {
        self.save_late();
        let row = self.opaque.opaque(mine.event.as_bytes()).to_vec();
        self.put(layout::LATE, row, mine.to_bytes());
        self.state.late.mine.insert(mine.event, mine);
    }

    /// Returns the grant under which a late change was written, if it may be handed to the owner
    /// of the memory now, and counts the attempt.
    pub(super) fn hand_over(&mut self, person: PersonId, event: EventId) -> Option<GrantId> {
        let mine = self.state.late.mine.get(&event)?;
        let may = mine.owner == person && !mine.settled && mine.handed < HANDED_MAX;
        if !may || !self.state.is_late(event) {
            return None;
        }
        let mut mine = mine.clone();
        mine.handed += 1;
        let grant = mine.grant;
        self.put_mine(mine);
        Some(grant)
    }

    /// Notes that the owner's node answered: late changes are handed over once.
    pub fn settle_late(&mut self, person: PersonId, events: &[EventId]) {
        for event in events {
            let mine = self.state.late.mine.get(event);
            if let Some(mine) = mine.filter(|mine| mine.owner == person && !mine.settled) {
                let mut mine = mine.clone();
                mine.settled = true;
                self.put_mine(mine);
            }
        }
    }

    /// A change that was late counts after all: the owner's node holds it.
    pub(super) fn not_late(&mut self, event: EventId) {
        if self.state.late.mine.contains_key(&event) {
            self.save_late();
            let row = self.opaque.opaque(event.as_bytes()).to_vec();
            self.delete(layout::LATE, row);
            self.state.late.mine.remove(&event);
        }
    }
}
