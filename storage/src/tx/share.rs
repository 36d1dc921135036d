//! Consent: offer, answer, revoke, and what follows when memories move in and out of views.

use super::Tx;
use super::append::{AppendError, Draft};
use crate::layout::{self, meta};
use crate::records::Written;
use crate::store::StoreError;
use crdt::codec::Canonical as _;
use crdt::envelope::{Epoch, ScopeKey};
use crdt::event::admit::Verified;
use crdt::event::body::approval::Subject;
use crdt::event::body::{
    Answer, CUTS_MAX, Cut, Keys, Membership, Offer, Revocation, SCOPE_MAX, Scope, Vouch,
};
use crdt::event::{Event, Feed, Kind, Signed};
use crdt::grant::Terms;
use crdt::grant::authority::{Grant, State as GrantState};
use crdt::id::{DeviceId, EventId, GrantId, MemoryId, PersonId};
use crdt::identity::DeviceCertificate;
use std::collections::BTreeSet;
use thiserror::Error;

/// The first generation of a scope key; the next ones come when a device is retired.
const SCOPE_EPOCH_FIRST: u32 = 1;

/// The reason why consent was not given, answered or withdrawn.
#[derive(Debug, Error)]
pub enum ShareError {
    /// There is no such grant.
    #[error("there is no grant {0}")]
    Unknown(GrantId),
    /// The person is not paired.
    #[error("this person is not paired with you")]
    NotPaired,
    /// The grant is not in a state in which this can be done.
    #[error("the grant is {0} already")]
    State(&'static str),
    /// Only the other side can do this.
    #[error("only {0} can do this")]
    Party(&'static str),
    /// The event was not appended.
    #[error(transparent)]
    Append(#[from] AppendError),
}

impl From<StoreError> for ShareError {
    fn from(error: StoreError) -> Self {
        Self::Append(error.into())
    }
}

impl Tx<'_> {
    fn consent_draft(&self, kind: Kind, other: PersonId, owner: PersonId) -> Draft {
        let heads = self
            .state
            .consent
            .get(&other)
            .into_iter()
            .flat_map(|known| &known.heads);
        let parents = heads.copied().take(crdt::event::PARENTS_MAX).collect();
        Draft {
            kind,
            owner,
            feed: Feed::Pair(other),
            parents,
            epoch: Epoch(0),
        }
    }

    pub(super) fn write_consent(
        &mut self,
        kind: Kind,
        other: PersonId,
        owner: PersonId,
        body: Vec<u8>,
    ) -> Result<Verified<Event>, AppendError> {
        if kind != Kind::Device {
            // The feed of a device begins with its certificate.
            self.introduce(other, self.owner.device.id())?;
        }
        let draft = self.consent_draft(kind, other, owner);
        self.write_plain(draft, body)
    }

    /// Appends the certificate of this device.
    pub(crate) fn introduce_device(&mut self) -> Result<(), AppendError> {
        let owner = self.state.me;
        let draft = Draft {
            kind: Kind::Device,
            owner,
            feed: Feed::Own,
            parents: Vec::new(),
            epoch: Epoch(0),
        };
        self.write_plain(draft, self.owner.certificate.to_bytes())
            .map(|_| ())
    }

    /// Offers a grant and wraps its scope key to the grantee's devices.
    pub fn offer(
        &mut self,
        grantee: PersonId,
        selector: String,
        terms: Terms,
    ) -> Result<GrantId, ShareError> {
        self.offer_instead(grantee, selector, terms, None, false)
    }

    /// Offers a grant that may take the place of another one, and whose new matches come in by
    /// themselves (`live`) or wait for the owner's word where the selector infers.
    ///
    /// What it selects now was looked at, so that much is approved.
    pub fn offer_instead(
        &mut self,
        grantee: PersonId,
        selector: String,
        terms: Terms,
        supersedes: Option<GrantId>,
        live: bool,
    ) -> Result<GrantId, ShareError> {
        if !self.state.is_paired(grantee) {
            return Err(ShareError::NotPaired);
        }
        let me = self.state.me;
        let body = Offer {
            grantee,
            selector,
            terms,
            supersedes,
            live,
        }
        .to_bytes();
        let offer = self.write_consent(Kind::Offer, grantee, me, body)?;
        let grant = offer.id().as_grant();
        let key = ScopeKey::random(&mut self.rng());
        self.put_scope_key(grant, SCOPE_EPOCH_FIRST, &key);
        let devices: Vec<_> = self.state.authority.devices_of(grantee).cloned().collect();
        let found = self.grant(grant)?;
        if found.holds_additions() {
            let looked_at = self.state.additions(&found, self.now);
            self.approve(&Subject::Addition { grant }, &looked_at, true)?;
        }
        let key = (SCOPE_EPOCH_FIRST, &key);
        self.wrap_scope_key(Kind::Keys, grantee, &found, key, &devices)?;
        self.keep_keyring()?;
        Ok(grant)
    }

    /// Unwraps the scope key of a grant for this device, if the event has a wrap for it.
    pub(super) fn take_keys(&mut self, keys: &Keys) {
        let device = self.owner.device.id();
        let wrap = keys.wraps.iter().find(|wrap| wrap.device == device);
        let key = wrap.and_then(|wrap| {
            self.owner
                .device
                .secret
                .unwrap_key(keys.grant, keys.epoch, wrap)
                .ok()
        });
        if let Some(key) = key {
            self.put_scope_key(keys.grant, keys.epoch, &key);
        }
    }

    pub(super) fn grant(&self, grant: GrantId) -> Result<Grant, ShareError> {
        self.state
            .authority
            .grant(grant)
            .cloned()
            .ok_or(ShareError::Unknown(grant))
    }

    /// Accepts or declines a grant that was offered to this person.
    pub fn answer(&mut self, grant: GrantId, accept: bool) -> Result<(), ShareError> {
        let found = self.grant(grant)?;
        if found.grantee != self.state.me {
            return Err(ShareError::Party("the person it was offered to"));
        }
        match found.state(self.now) {
            GrantState::Offered => {}
            state => return Err(ShareError::State(state.as_str())),
        }
        let kind = if accept {
            Kind::Acceptance
        } else {
            Kind::Decline
        };
        self.write_consent(kind, found.owner, found.owner, Answer { grant }.to_bytes())?;
        Ok(())
    }

    /// Revokes a grant for good and returns the key epoch from which the grantee reads nothing.
    pub fn revoke(&mut self, grant: GrantId, reason: String) -> Result<u32, ShareError> {
        self.end_grant(grant, reason, false)
    }

    /// Revokes a grant and asks the grantee to purge what they hold under it only; also after a
    /// revocation that did not ask.
    pub fn revoke_and_purge(&mut self, grant: GrantId, reason: String) -> Result<u32, ShareError> {
        self.end_grant(grant, reason, true)
    }

    fn end_grant(
        &mut self,
        grant: GrantId,
        reason: String,
        purge: bool,
    ) -> Result<u32, ShareError> {
        let found = self.grant(grant)?;
        if found.owner != self.state.me {
            return Err(ShareError::Party("the owner"));
        }
        let over = found.revoked.as_ref();
        if over.is_some_and(|(_, body)| body.purge || !purge) {
            return Err(ShareError::State(GrantState::Revoked.as_str()));
        }
        let mut rotation = self.state.rotation;
        let ended = self.ends_with(found);
        let reasons = std::iter::repeat_n(reason, ended.len());
        for (found, reason) in ended.iter().zip(reasons) {
            rotation = self.end(found, reason, purge)?;
        }
        Ok(rotation)
    }

    /// A grant with what it took the place of and what was to take its place: they end together,
    /// so that nothing comes back.
    fn ends_with(&self, found: Grant) -> Vec<Grant> {
        let mut ended = vec![found];
        let mut at = 0;
        while let Some(this) = ended.get(at).cloned() {
            at += 1;
            let is_related = |other: &&Grant| {
                let is_before = Some(other.id) == this.supersedes;
                let is_after = other.supersedes == Some(this.id)
                    && other.state(self.now) == GrantState::Offered;
                (is_before || is_after) && other.revoked.is_none()
            };
            let related = self.state.authority.grants().filter(is_related);
            let new = related.filter(|other| ended.iter().all(|known| known.id != other.id));
            let new: Vec<Grant> = new.cloned().collect();
            ended.extend(new);
        }
        ended
    }

    /// Writes the revocation of a grant with its cuts, and raises the floor of new key epochs.
    pub(super) fn end(
        &mut self,
        found: &Grant,
        reason: String,
        purge: bool,
    ) -> Result<u32, ShareError> {
        let cuts = self.cuts_of(found.grantee);
        self.state.rotation = self.state.rotation.saturating_add(1);
        let rotation = self.state.rotation;
        self.put(
            layout::META,
            meta::ROTATION.to_vec(),
            rotation.to_le_bytes().to_vec(),
        );
        let (grant, mut reason, mut continues) = (found.id, Some(reason), None);
        let mut parts = cuts.chunks(CUTS_MAX);
        loop {
            let part = parts.next();
            if part.is_none() && continues.is_some() {
                break;
            }
            let body = Revocation {
                grant,
                cuts: part.unwrap_or_default().to_vec(),
                continues,
                reason: reason.take().unwrap_or_default(),
                purge,
            }
            .to_bytes();
            let event = self.write_consent(Kind::Revocation, found.grantee, found.owner, body)?;
            continues = continues.or_else(|| Some(event.id()));
        }
        for (person, writer) in self.told_of(found.grantee) {
            self.vouch_for(person, writer, &BTreeSet::new())?;
        }
        Ok(rotation)
    }

    /// The last accepted events of a person in my memories, ascending.
    fn cuts_of(&self, person: PersonId) -> Vec<Cut> {
        let authority = &self.state.authority;
        let is_theirs = |device: &DeviceId| {
            let device = authority.device(device);
            device.is_some_and(|device| device.certificate.person == person)
        };
        let mine = self.state.memories.values();
        let mine = mine.filter(|facts| facts.owner == self.state.me);
        let mut cuts: Vec<Cut> = mine
            .flat_map(|facts| facts.writers().iter().map(|written| cut(facts.id, written)))
            .filter(|cut| is_theirs(&cut.device))
            .collect();
        cuts.sort_unstable();
        cuts
    }

    pub(super) fn logged(&self, id: EventId) -> Result<Option<Signed<Event>>, StoreError> {
        let place = self.get(layout::EVENT, &self.opaque.opaque(id.as_bytes()))?;
        let Some(place) = place else { return Ok(None) };
        let Some(bytes) = self.get(layout::LOG, &place)? else {
            return Ok(None);
        };
        Signed::from_bytes(&bytes)
            .map(Some)
            .map_err(|source| StoreError::Row {
                keyspace: layout::LOG.0,
                source,
            })
    }

    /// Everyone who was told that a person's devices write, with the device.
    fn told_of(&self, writer: PersonId) -> Vec<(PersonId, DeviceId)> {
        let is_theirs = |device: &DeviceId| {
            let device = self.state.authority.device(device);
            device.is_some_and(|device| device.certificate.person == writer)
        };
        let told = self.state.consent.iter().flat_map(|(person, known)| {
            let devices = known.vouched.keys().copied();
            devices.map(|device| (*person, device))
        });
        told.filter(|(_, device)| is_theirs(device)).collect()
    }

    /// Vouches towards a grantee for a writer; once the writer lost access, says how far the
    /// writer's changes of `memories`, which are about to leave, count. Says nothing twice.
    ///
    /// What it costs to say that a writer lost access does not depend on how much they wrote: of
    /// memories that the grantee has already, no word is needed.
    pub(super) fn vouch_for(
        &mut self,
        person: PersonId,
        writer: DeviceId,
        memories: &BTreeSet<MemoryId>,
    ) -> Result<(), AppendError> {
        let Some(enrolment) = self.state.authority.device(&writer) else {
            return Ok(());
        };
        let certificate = enrolment.certificate.clone();
        let me = self.state.me;
        if certificate.person == person || certificate.person == me {
            return Ok(());
        }
        let told = self.state.vouched(person, writer);
        let is_told_open = told.map(|told| told.is_open);
        if self.state.is_writer(certificate.person) {
            if is_told_open == Some(true) {
                return Ok(());
            }
            let cuts = None;
            let vouch = Vouch { certificate, cuts };
            self.write_consent(Kind::Writer, person, me, vouch.to_bytes())?;
            return Ok(());
        }
        // An adopted change moves the cut, and then it has to be said again.
        let is_new = |cut: &Cut| told.is_none_or(|told| told.is_open || !told.cuts.contains(cut));
        let facts = memories.iter();
        let facts = facts.filter_map(|memory| self.state.memories.get(memory));
        let mut cuts: Vec<Cut> = facts
            .flat_map(|facts| facts.writers().iter().map(|written| cut(facts.id, written)))
            .filter(|cut| cut.device == writer && is_new(cut))
            .collect();
        cuts.sort_unstable();
        if cuts.is_empty() && is_told_open != Some(false) {
            self.write_cuts(person, &certificate, &[])?;
        }
        for part in cuts.chunks(CUTS_MAX) {
            self.write_cuts(person, &certificate, part)?;
        }
        Ok(())
    }

    fn write_cuts(
        &mut self,
        person: PersonId,
        certificate: &DeviceCertificate,
        cuts: &[Cut],
    ) -> Result<(), AppendError> {
        let me = self.state.me;
        let vouch = Vouch {
            certificate: certificate.clone(),
            cuts: Some(cuts.to_vec()),
        };
        self.write_consent(Kind::Writer, person, me, vouch.to_bytes())
            .map(|_| ())
    }

    /// Notes whether a memory left the view of a grant under which it was given, or came back.
    pub(super) fn note_moves(&mut self, memory: MemoryId) {
        let Some(facts) = self.state.memories.get(&memory) else {
            return;
        };
        if facts.owner != self.state.me || self.is_replaying || self.state.gaps.is_halted() {
            return;
        }
        let Some(grants) = self.state.members.get(&memory) else {
            return;
        };
        let mut moves = Vec::new();
        for id in grants.keys() {
            let Some(grant) = self.state.authority.grant(*id) else {
                continue;
            };
            if grant.state(self.now) != GrantState::Active {
                continue;
            }
            let is_in = self
                .state
                .grants_over(facts, grant.grantee, self.now)
                .any(|other| other.id == *id);
            moves.push((*id, is_in, grant.excludes(memory)));
        }
        for (grant, is_in, excluded) in moves {
            let changes = self.moved.entry(grant).or_default();
            if is_in == excluded {
                changes.insert(memory, is_in);
            } else {
                changes.remove(&memory);
            }
        }
    }

    /// Tells the grantees which memories left their view or came back.
    pub(super) fn follow_moves(&mut self) -> Result<(), StoreError> {
        for (grant, moves) in std::mem::take(&mut self.moved) {
            let memberships: Vec<Membership> = moves
                .into_iter()
                .map(|(memory, included)| Membership { memory, included })
                .collect();
            let Some(found) = self.state.authority.grant(grant).cloned() else {
                continue;
            };
            for chunk in memberships.chunks(SCOPE_MAX) {
                let body = Scope {
                    grant,
                    memberships: chunk.to_vec(),
                }
                .to_bytes();
                self.write_consent(Kind::Scope, found.grantee, found.owner, body)
                    .map_err(|error| match error {
                        AppendError::Store(error) => error,
                        other => StoreError::Replay(self.state.head, other.to_string()),
                    })?;
            }
        }
        Ok(())
    }
}

fn cut(memory: MemoryId, written: &Written) -> Cut {
    Cut {
        device: written.device,
        incarnation: written.incarnation,
        memory,
        number: written.number,
        event: written.event,
    }
}
