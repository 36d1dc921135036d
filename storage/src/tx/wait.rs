//! What cannot be admitted yet waits; what comes frees it, in the same transaction.

use super::Tx;
use super::append::AppendError;
use super::take::Taken;
use crate::store::StoreError;
use crdt::event::admit::{Holdings as _, Refusal};
use crdt::event::{Event, Feed, Signed};
use crdt::id::{EventId, PersonId};

impl Tx<'_> {
    /// Notes that an event of a peer was not taken: it is late work, it waits, or it is gone.
    pub(super) fn turn_away(
        &mut self,
        peer: PersonId,
        event: &Signed<Event>,
        error: &AppendError,
        taken: &mut Taken,
    ) -> Result<(), StoreError> {
        taken.refused.push((event.id(), error.code()));
        if let AppendError::Broken(memory, reason) = error {
            self.take_broken();
            self.quarantine(*memory, reason.clone());
            return Ok(());
        }
        if peer != self.state.me && self.keep_late(peer, event, error) {
            taken.late += 1;
            return Ok(());
        }
        if let AppendError::Refused(Refusal::NotPermitted(_) | Refusal::BeyondCut) = error {
            return self.take_proof(peer, event, taken);
        }
        let need = match error {
            AppendError::Refused(Refusal::MissingPrevious) => event.header().previous,
            AppendError::Refused(Refusal::MissingParent(parent)) => Some(*parent),
            AppendError::Refused(Refusal::UnknownMemory(memory)) => Some(EventId(memory.0)),
            AppendError::Refused(Refusal::Frozen { .. }) => None,
            _ => return Ok(()),
        };
        let is_frozen = matches!(error, AppendError::Refused(Refusal::Frozen { .. }));
        let is_memory = matches!(event.header().feed, Feed::Memory(_));
        let is_to_come = need.is_some_and(|need| !self.holds(need)) || (is_frozen && is_memory);
        self.check_failure()?;
        if is_to_come {
            self.save_waiting();
            taken.waiting += u32::from(self.state.waiting.keep(event, peer, need, self.now));
        }
        self.notice_own(event)
    }

    /// Takes out what waited for an event that came, of the same side: consent or content.
    pub(super) fn freed_by(&mut self, came: EventId) -> Vec<(PersonId, Signed<Event>)> {
        if self.state.waiting.holds(came) {
            self.save_waiting();
            self.state.waiting.take(came);
        }
        if !self.state.waiting.is_needed(came) {
            return Vec::new();
        }
        self.save_waiting();
        let freed = self.state.waiting.freed_by(came).into_iter();
        freed
            .map(|(from, event)| (from, Signed::clone(&event)))
            .collect()
    }

    /// Lets go of what waited for too long.
    pub(super) fn expire_waiting(&mut self) {
        if !self.state.waiting.stale(self.now).is_empty() {
            self.save_waiting();
            self.state.waiting.expire(self.now);
        }
    }

    /// Looks whether somebody else holds an event of this very writer that this store did not
    /// have: then the store was restored from a backup, and goes on as another writer before it
    /// reuses a number.
    pub(super) fn notice_own(&mut self, event: &Signed<Event>) -> Result<(), StoreError> {
        let header = event.header();
        let writer = (header.author, header.incarnation);
        if writer == (self.owner.device.id(), self.state.incarnation) && event.signature_holds() {
            self.renew_incarnation()?;
        }
        Ok(())
    }
}
