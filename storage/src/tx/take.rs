//! Taking in what a peer sent: consent events, then keys and memory events.

use super::Tx;
use super::append::AppendError;
use super::quota::{OVER_QUOTA, Room};
use super::share::ShareError;
use crate::records::Member;
use crate::store::StoreError;
use crdt::codec::Canonical as _;
use crdt::envelope::SealedKey;
use crdt::event::admit::{Refusal, Verified};
use crdt::event::body::own::{Keyring, Peering};
use crdt::event::body::{Keys, Revocation};
use crdt::event::{Event, Feed, Header, Kind, Signed};
use crdt::grant::authority::State as GrantState;
use crdt::id::{EventId, GrantId, MemoryId, PersonId};
use std::collections::BTreeSet;

/// What became of the events that a peer sent.
#[derive(Debug, Default)]
pub struct Taken {
    /// Events that are in the log now.
    pub stored: u32,
    /// Memberships that are new.
    pub members: u32,
    /// Events that are not in the log, and why.
    pub refused: Vec<(EventId, &'static str)>,
    /// Memories that are new or changed.
    pub memories: BTreeSet<MemoryId>,
    /// Changes that are in the tray.
    pub late: u32,
    /// Refused events that wait for what they build on.
    pub waiting: u32,
    /// Grants that were offered.
    pub grants: BTreeSet<GrantId>,
    /// Those of them that the policy accepted without asking.
    pub accepted: BTreeSet<GrantId>,
}

impl Taken {
    pub(super) fn note_stored(&mut self, event: EventId) {
        self.stored += 1;
        // It may have been turned away before what it builds on came.
        self.refused.retain(|(refused, _)| *refused != event);
    }
}

impl Tx<'_> {
    /// Takes in consent events between a peer and this person.
    pub fn take_consent(
        &mut self,
        peer: PersonId,
        events: &[Vec<u8>],
    ) -> Result<Taken, StoreError> {
        let mut taken = Taken::default();
        let retired = self.retired_devices();
        self.expire_waiting();
        for bytes in events {
            let Ok(event) = Signed::from_bytes(bytes) else {
                continue;
            };
            self.take_consent_event(peer, event, &mut taken)?;
        }
        self.end_halt();
        if peer != self.state.me {
            self.accept_agreed(peer, &mut taken)?;
        }
        if taken.stored > 0 {
            let followed = self.follow_retirements(&retired);
            followed.map_err(|error| self.own_failure(error))?;
            let kept = self.keep_keyring();
            kept.map_err(|error| self.own_failure(error))?;
        }
        Ok(taken)
    }

    /// Takes in a consent event, and then those that waited for it.
    fn take_consent_event(
        &mut self,
        peer: PersonId,
        event: Signed<Event>,
        taken: &mut Taken,
    ) -> Result<(), StoreError> {
        let mut open = vec![(peer, event)];
        while let Some((peer, event)) = open.pop() {
            let id = event.id();
            if !self.is_between(peer, event.header()) {
                taken.refused.push((id, "not_of_this_pair"));
                continue;
            }
            match self.append(event.clone(), None) {
                Ok(stored) => {
                    taken.note_stored(id);
                    self.notice_own(&event)?;
                    let followed = self.follow_consent(&stored, taken);
                    followed.map_err(|error| self.own_failure(error))?;
                    self.rejoin(id)?;
                    open.extend(self.freed_by(id));
                }
                Err(AppendError::Refused(Refusal::Known)) => {}
                Err(AppendError::Store(error)) => return Err(error),
                Err(error) => self.turn_away(peer, &event, &error, taken)?,
            }
        }
        Ok(())
    }

    /// Accepts the offers that the policy agrees to without asking.
    fn accept_agreed(&mut self, peer: PersonId, taken: &mut Taken) -> Result<(), StoreError> {
        let Some(most) = self.state.peer_rules(peer).accept else {
            return Ok(());
        };
        if self.state.gaps.is_halted() {
            return Ok(());
        }
        for id in taken.grants.clone() {
            let agreed = self.state.authority.grant(id).is_some_and(|grant| {
                grant.terms.access <= most && grant.state(self.now) == GrantState::Offered
            });
            if !agreed {
                continue;
            }
            match self.answer(id, true) {
                Ok(()) => {
                    taken.accepted.insert(id);
                }
                Err(ShareError::Append(AppendError::Store(error))) => return Err(error),
                Err(error) => tracing::warn!(%error, "an agreed offer was not accepted"),
            }
        }
        Ok(())
    }

    /// Says why an event of one's own, which follows from what came, could not be written.
    pub(super) fn own_failure(&self, error: AppendError) -> StoreError {
        match error {
            AppendError::Store(error) => error,
            other => StoreError::Replay(self.state.head, other.to_string()),
        }
    }

    /// Tells whether a peer may bring a consent event: one between the two of us, whichever of
    /// our devices wrote it; a device of this person brings those with everyone, and its own.
    fn is_between(&self, peer: PersonId, header: &Header) -> bool {
        let me = self.state.me;
        match header.feed {
            Feed::Pair(other) if peer == me => header.person == me || other == me,
            Feed::Pair(other) => {
                (other == me && header.person == peer) || (other == peer && header.person == me)
            }
            Feed::Own => peer == me && header.person == me,
            _ => false,
        }
    }

    /// Does what a consent event asks for besides being kept.
    fn follow_consent(
        &mut self,
        event: &Verified<Event>,
        taken: &mut Taken,
    ) -> Result<(), AppendError> {
        let (header, body) = (event.header(), event.event().body.as_slice());
        match header.kind {
            Kind::Keys | Kind::Handback => {
                if let Ok(keys) = Keys::from_bytes(body) {
                    self.take_keys(&keys);
                }
            }
            Kind::Keyring => {
                if let Ok(keyring) = Keyring::from_bytes(body) {
                    self.take_keyring(&keyring)?;
                }
            }
            Kind::Peering => {
                if let Ok(peering) = Peering::from_bytes(body) {
                    self.take_peering(&peering);
                }
            }
            Kind::Device if header.feed == Feed::Pair(self.state.me) => {
                self.keep_wraps(header.person)?;
            }
            Kind::Revocation if header.person != self.state.me => {
                if let Ok(body) = Revocation::from_bytes(body) {
                    self.follow_revocation(&body)?;
                }
            }
            Kind::Offer if header.person != self.state.me => {
                taken.grants.insert(event.id().as_grant());
            }
            _ => {}
        }
        Ok(())
    }

    /// Takes in keys and memory events from a peer.
    ///
    /// An event is taken only if its memory is the peer's own, given under a grant, or this
    /// person's own, given to the peer for writing.
    pub fn take_content(
        &mut self,
        peer: PersonId,
        events: &[Vec<u8>],
        keys: &[SealedKey],
    ) -> Result<Taken, StoreError> {
        if peer == self.state.me {
            return self.take_own(events, keys);
        }
        let mut taken = Taken::default();
        let mut room = self.room(peer);
        for key in keys {
            let is_known = self.state.members.contains_key(&key.memory);
            if room.is_counted() && !is_known && !room.admit(key.memory) {
                continue;
            }
            if self.take_key(peer, key)? {
                taken.members += 1;
                taken.memories.insert(key.memory);
            }
        }
        for memory in taken.memories.clone() {
            self.revive(memory)?;
        }
        let purges = events
            .iter()
            .filter_map(|bytes| Signed::from_bytes(bytes).ok())
            .filter(|event| event.header().kind == Kind::Purge && event.header().person == peer)
            .filter_map(|event| event.memory());
        self.doomed.extend(purges);
        self.expire_waiting();
        for bytes in events {
            let Ok(event) = Signed::from_bytes(bytes) else {
                taken.refused.push((EventId([0; 32]), "malformed"));
                continue;
            };
            self.take_event(peer, event, &mut room, &mut taken)?;
        }
        Ok(taken)
    }

    /// Takes in an event of a memory, and then those that waited for it.
    pub(super) fn take_event(
        &mut self,
        peer: PersonId,
        event: Signed<Event>,
        room: &mut Room,
        taken: &mut Taken,
    ) -> Result<(), StoreError> {
        let mut open = vec![(peer, event)];
        while let Some((from, event)) = open.pop() {
            let (id, memory) = (event.id(), event.memory());
            if let Err(code) = self.may_come(from, &event, room) {
                taken.refused.push((id, code));
                continue;
            }
            match self.append(event.clone(), None) {
                Ok(_) => {
                    taken.note_stored(id);
                    taken.memories.extend(memory);
                    self.notice_own(&event)?;
                    taken.memories.extend(self.rejoin(id)?);
                    open.extend(self.freed_by(id));
                }
                Err(AppendError::Refused(Refusal::Known)) => self.not_late(id),
                Err(AppendError::Store(error)) => return Err(error),
                Err(error) => self.turn_away(from, &event, &error, taken)?,
            }
        }
        Ok(())
    }

    /// Tells whether a peer may bring an event at all, and takes room for it.
    fn may_come(
        &self,
        peer: PersonId,
        event: &Signed<Event>,
        room: &mut Room,
    ) -> Result<(), &'static str> {
        if peer == self.state.me {
            return self
                .is_own_content(event)
                .then_some(())
                .ok_or("not_content");
        }
        let header = event.header();
        let is_theirs = header.owner == peer;
        self.is_in_view(peer, event).map_err(|code| {
            // A key that found no room left its memory unknown.
            let is_root = is_theirs && header.kind == Kind::Root;
            if is_root && room.is_full() {
                OVER_QUOTA
            } else {
                code
            }
        })?;
        let is_text = header.kind.is_sealed();
        if is_theirs && is_text && !room.take(event.event().body.len()) {
            return Err(OVER_QUOTA);
        }
        Ok(())
    }

    fn is_in_view(&self, peer: PersonId, event: &Signed<Event>) -> Result<(), &'static str> {
        let memory = match event.header().feed {
            Feed::Root => event.id().as_memory(),
            Feed::Memory(memory) => memory,
            Feed::Sidecar(_) | Feed::Pair(_) | Feed::Own => return Err("not_content"),
        };
        let owner = event.header().owner;
        // A root of one's own comes back only with the key that was given for it.
        let is_given_back = self.state.members.contains_key(&memory);
        let is_mine =
            owner == self.state.me && (event.header().kind != Kind::Root || is_given_back);
        let is_given = owner == peer && self.state.members.contains_key(&memory);
        if is_mine || is_given {
            Ok(())
        } else {
            Err("not_in_view")
        }
    }

    /// Opens a content key and keeps it; tells whether the membership is new.
    fn take_key(&mut self, peer: PersonId, sealed: &SealedKey) -> Result<bool, StoreError> {
        let Some(owner) = self.owner_under(peer, sealed) else {
            return Ok(false);
        };
        let scopes = self.scope_keys(sealed.grant)?;
        let mut newest_first = scopes.into_iter().rev();
        let Some(key) = newest_first.find_map(|(_, scope)| scope.open_key(sealed).ok()) else {
            return Ok(false);
        };
        let known = self.state.memories.get(&sealed.memory).cloned();
        if known.as_ref().is_some_and(|facts| facts.owner != owner) {
            return Ok(false);
        }
        let is_gone = match known.filter(|facts| facts.purged) {
            Some(facts) => self.is_purged_by_owner(&facts)?,
            None => false,
        };
        if !is_gone {
            self.put_content_key(sealed.memory, sealed.epoch, &key)?;
        }
        let grants = self.state.members.get(&sealed.memory);
        let known = grants.and_then(|grants| grants.get(&sealed.grant));
        let mut epochs = known.cloned().unwrap_or_default();
        let is_new = known.is_none();
        if let Err(at) = epochs.binary_search(&sealed.epoch) {
            epochs.insert(at, sealed.epoch);
            let (grant, memory) = (sealed.grant, sealed.memory);
            self.put_member(&Member {
                grant,
                memory,
                epochs,
            });
        }
        Ok(is_new)
    }

    /// Returns whose memories a peer can bring keys of under a grant: the peer's own, or this
    /// person's, which come back to a device that does not have them.
    fn owner_under(&self, peer: PersonId, sealed: &SealedKey) -> Option<PersonId> {
        let me = self.state.me;
        let grant = self.state.authority.grant(sealed.grant)?;
        let is_ours = (grant.owner == peer && grant.grantee == me)
            || (grant.owner == me && grant.grantee == peer);
        let is_open = grant.state(self.now) == GrantState::Active
            && !grant.aftermath.has_returned(sealed.memory);
        (is_ours && is_open).then_some(grant.owner)
    }
}
