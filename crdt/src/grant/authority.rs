//! Authority: the pure fold of identity and consent events into "who may do what".
//!
//! ```text
//! Verified<Event> --apply--> Authority --view--> the memories a person may fetch, and why
//! ```
//!
//! The fold does not depend on the order in which events that do not build on each other
//! arrive. No clock decides here what is admitted; `now` decides only what is served.
//!
//! Start at [`Authority::grants_to`] and [`Authority::view`]: the preview shown to a person, the
//! reconciliation with a peer and the guard before the wire all ask them.
//!
//! Invariant: no valid grant means no. A revoked grant stays revoked.

use crate::codec::{Canonical as _, DecodeError};
use crate::event::admit::Verified;
use crate::event::body::approval::Approval;
use crate::event::body::circle::CircleChange;
use crate::event::body::own::Retirement;
use crate::event::body::policy::read_policy;
use crate::event::body::{Answer, Keys, Offer, Receipt, Renewal, Return, Revocation, Scope, Vouch};
use crate::event::{Event, Feed, Incarnation, Kind};
use crate::grant::aftermath::{Aftermath, combine};
use crate::grant::approvals::Approvals;
use crate::grant::circle::Circle;
use crate::grant::cuts::{Cuts, Vouched};
use crate::grant::known::Known;
use crate::grant::policies::Policies;
use crate::grant::{Access, Terms};
use crate::id::{DeviceId, EventId, GrantId, MemoryId, PersonId};
use crate::identity::DeviceCertificate;
use crate::identity::roster::{Enrolment, Roster};
use crate::selector::{Facts, Selector};
use crate::time::{Hybrid, Timestamp};
use std::collections::{BTreeMap, BTreeSet};

/// How far a grant has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum State {
    /// The grantee has not answered.
    Offered,
    /// Accepted, not expired, not revoked.
    Active,
    /// The grantee said no.
    Declined,
    /// Its time is over.
    Expired,
    /// Another grant took its place.
    Superseded,
    /// The owner took it back.
    Revoked,
    /// The grantee gave it back.
    Returned,
}

impl State {
    /// Returns the word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Offered => "offered",
            Self::Active => "active",
            Self::Declined => "declined",
            Self::Expired => "expired",
            Self::Superseded => "superseded",
            Self::Revoked => "revoked",
            Self::Returned => "returned",
        }
    }
}

/// A grant as it stands.
#[derive(Debug, Clone)]
pub struct Grant {
    /// Its id.
    pub id: GrantId,
    /// Who gives.
    pub owner: PersonId,
    /// Who receives.
    pub grantee: PersonId,
    /// The selector as it was offered.
    pub selector: String,
    parsed: Option<Selector>,
    /// Access and terms.
    pub terms: Terms,
    /// When it was offered.
    pub offered: Hybrid,
    /// When it was accepted.
    pub accepted: Option<Hybrid>,
    /// Whether it was declined.
    pub declined: bool,
    /// The revocation, once there is one.
    pub revoked: Option<(EventId, Revocation)>,
    /// The grant it takes the place of, once it is accepted.
    pub supersedes: Option<GrantId>,
    /// The grant that took its place.
    pub superseded_by: Option<GrantId>,
    /// Whether new matches of a selector that infers come in without the owner's word.
    pub live: bool,
    renewed: Option<(Hybrid, EventId, Timestamp)>,
    /// How far the grantee's changes count, by revocation, each with what continues it.
    cuts: BTreeMap<EventId, Cuts>,
    /// What the grantee said since: receipts and returns.
    pub aftermath: Aftermath,
    excluded: BTreeMap<MemoryId, (Place, bool)>,
}

/// Where a statement stands among those of all devices of a person: the last one counts.
type Place = (Hybrid, EventId);

impl Grant {
    /// Returns how far it has come, at `now` on the clock of who serves.
    pub fn state(&self, now: Timestamp) -> State {
        if self.revoked.is_some() {
            State::Revoked
        } else if self.aftermath.is_returned() {
            State::Returned
        } else if self.superseded_by.is_some() {
            State::Superseded
        } else if self.expires().is_some_and(|expires| expires <= now) {
            State::Expired
        } else if self.declined {
            State::Declined
        } else if self.accepted.is_some() {
            State::Active
        } else {
            State::Offered
        }
    }
    /// Returns when it ends by itself: as last renewed, or as offered.
    pub fn expires(&self) -> Option<Timestamp> {
        self.renewed
            .map_or(self.terms.expires, |(_, _, expires)| Some(expires))
    }
    /// Tells whether new matches wait for the owner's word: the selector infers, and the owner
    /// did not say that they come in by themselves.
    pub fn holds_additions(&self) -> bool {
        !self.live
            && self
                .parsed
                .as_ref()
                .is_some_and(|selector| !selector.is_explicit())
    }
    /// Returns what the selector says; none if it does not parse.
    pub fn parsed(&self) -> Option<&Selector> {
        self.parsed.as_ref()
    }
    /// Tells whether it gives nothing that an earlier grant did not give to the same person, so
    /// that what they accepted then covers it.
    fn is_within(&self, earlier: &Self) -> bool {
        let narrows = match (&self.parsed, &earlier.parsed) {
            (Some(mine), Some(theirs)) => mine.narrows(theirs),
            _ => false,
        };
        narrows && self.terms.is_within(&earlier.terms)
    }
    /// Tells whether the selector takes a memory in. A selector that does not parse takes none.
    pub fn selects(&self, facts: &dyn Facts) -> bool {
        self.parsed
            .as_ref()
            .is_some_and(|selector| selector.matches(facts))
    }
    /// Tells whether a memory left the view: the owner said so, or the grantee gave it back.
    pub fn excludes(&self, memory: MemoryId) -> bool {
        self.aftermath.has_returned(memory)
            || self
                .excluded
                .get(&memory)
                .is_some_and(|(_, included)| !included)
    }
}

/// What a writer may still do in a memory that is not theirs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Permit {
    /// Everything the access level allows.
    Open,
    /// Only what comes up to this event.
    UpTo(u64, EventId),
    /// Nothing.
    Closed,
}

/// Who speaks for whom and who may see what, folded from events.
#[derive(Debug, Clone, Default)]
pub struct Authority {
    roster: Roster,
    grants: BTreeMap<GrantId, Grant>,
    vouched: BTreeMap<(PersonId, DeviceId), Vouched>,
    circles: BTreeMap<String, Circle>,
    approvals: BTreeMap<PersonId, Approvals>,
    known: Known,
    policies: BTreeMap<PersonId, Policies>,
}

impl Authority {
    /// Takes in an event; events that are not about authority change nothing.
    pub fn apply(&mut self, event: &Verified<Event>) -> Result<(), DecodeError> {
        let header = event.header();
        let body = event.event().body.as_slice();
        self.known.note(event);
        match header.kind {
            Kind::Device
            | Kind::Retirement
            | Kind::Circle
            | Kind::Approval
            | Kind::Policy
            | Kind::Keyring
            | Kind::Peering
            | Kind::DeviceName => self.apply_own(event)?,
            Kind::Revocation => self.end(event, Revocation::from_bytes(body)?),
            Kind::Offer => self.offer(event.id(), event.event(), Offer::from_bytes(body)?),
            Kind::Acceptance => {
                let answer = Answer::from_bytes(body)?;
                self.accept(answer.grant, header.time);
            }
            Kind::Decline => {
                let answer = Answer::from_bytes(body)?;
                if let Some(grant) = self.grants.get_mut(&answer.grant) {
                    grant.declined = true;
                }
            }
            Kind::Receipt => {
                let receipt = Receipt::from_bytes(body)?;
                if let Some(grant) = self.grants.get_mut(&receipt.grant) {
                    let when = (header.time, event.id());
                    grant.aftermath.note_receipt(header.author, when, receipt);
                }
            }
            Kind::Return => {
                let given = Return::from_bytes(body)?;
                if let Some(grant) = self.grants.get_mut(&given.grant) {
                    grant.aftermath.note_return(given);
                }
            }
            Kind::Renewal => {
                let renewal = Renewal::from_bytes(body)?;
                if let Some(grant) = self.grants.get_mut(&renewal.grant) {
                    let this = (header.time, event.id(), renewal.expires);
                    grant.renewed = grant.renewed.max(Some(this));
                }
            }
            Kind::Scope => self.scope((header.time, event.id()), Scope::from_bytes(body)?),
            Kind::Writer => {
                let said = (header.time, event.id());
                self.vouch(header.person, said, Vouch::from_bytes(body)?);
            }
            Kind::Keys | Kind::Handback => {
                Keys::from_bytes(body)?;
            }
            Kind::Root | Kind::Change | Kind::Sidecar | Kind::Purge => {}
        }
        Ok(())
    }

    /// Takes in an event about a person's own devices and wishes.
    fn apply_own(&mut self, event: &Verified<Event>) -> Result<(), DecodeError> {
        let header = event.header();
        let body = event.event().body.as_slice();
        match header.kind {
            Kind::Device => self.enrol(DeviceCertificate::from_bytes(body)?),
            Kind::Retirement => {
                let retirement = Retirement::from_bytes(body)?;
                self.roster.retire(event.id(), header, retirement);
            }
            Kind::Circle => {
                let change = CircleChange::from_bytes(body)?;
                let circle = self.circles.entry(change.name.clone()).or_default();
                circle.apply(header.time, event.id(), change);
            }
            Kind::Policy => {
                let policies = self.policies.entry(header.person).or_default();
                policies.apply(header.time, event.id(), read_policy(body)?);
            }
            Kind::Approval => {
                let approval = Approval::from_bytes(body)?;
                let approvals = self.approvals.entry(header.person).or_default();
                approvals.apply(header.time, event.id(), approval);
            }
            // What own devices tell each other about keys, peers and names is not authority.
            _ => {}
        }
        Ok(())
    }

    /// Ends a grant; several revocations of one combine in any order.
    fn end(&mut self, event: &Verified<Event>, revocation: Revocation) {
        let time = event.header().time;
        if let Some(grant) = self.grants.get_mut(&revocation.grant) {
            let first = revocation.continues.unwrap_or_else(|| event.id());
            let cuts = grant.cuts.entry(first).or_default();
            cuts.extend(&revocation.cuts);
            grant.aftermath.note_end(time);
            if revocation.continues.is_none() {
                let this = (first, revocation);
                grant.revoked = Some(match grant.revoked.take() {
                    Some(other) => combine(other, this),
                    None => this,
                });
            }
        }
    }

    /// Learns a device from its certificate, which was checked when it was read.
    pub fn enrol(&mut self, certificate: DeviceCertificate) {
        self.roster.enrol(certificate);
    }

    fn offer(&mut self, id: EventId, event: &Event, offer: Offer) {
        self.grants.entry(id.as_grant()).or_insert_with(|| Grant {
            id: id.as_grant(),
            owner: event.header.person,
            grantee: offer.grantee,
            parsed: Selector::parse(&offer.selector).ok(),
            selector: offer.selector,
            terms: offer.terms,
            offered: event.header.time,
            accepted: None,
            declined: false,
            revoked: None,
            supersedes: offer.supersedes,
            superseded_by: None,
            live: offer.live,
            renewed: None,
            cuts: BTreeMap::new(),
            aftermath: Aftermath::default(),
            excluded: BTreeMap::new(),
        });
        let before = offer.supersedes.and_then(|before| self.grants.get(&before));
        if let Some(time) = before.and_then(|before| before.accepted) {
            self.carry_over(offer.supersedes, time);
        }
    }

    fn accept(&mut self, id: GrantId, time: Hybrid) {
        let Some(grant) = self.grants.get_mut(&id) else {
            return;
        };
        grant.accepted = grant.accepted.max(Some(time));
        let before = grant.supersedes;
        if let Some(before) = before.and_then(|before| self.grants.get_mut(&before)) {
            before.superseded_by = before.superseded_by.max(Some(id));
        }
        self.carry_over(Some(id), time);
    }

    /// Whoever accepted a grant accepted the narrower ones that take its place.
    fn carry_over(&mut self, from: Option<GrantId>, time: Hybrid) {
        let Some(earlier) = from.and_then(|id| self.grants.get(&id)) else {
            return;
        };
        let narrower = self.grants.values().filter(|grant| {
            grant.supersedes == Some(earlier.id)
                && grant.accepted < Some(time)
                && grant.is_within(earlier)
        });
        // An offer names a grant that came before it, so this ends.
        for id in narrower.map(|grant| grant.id).collect::<Vec<_>>() {
            self.accept(id, time);
        }
    }

    fn scope(&mut self, said: Place, scope: Scope) {
        let Some(grant) = self.grants.get_mut(&scope.grant) else {
            return;
        };
        for membership in scope.memberships {
            let entry = grant
                .excluded
                .entry(membership.memory)
                .or_insert((said, membership.included));
            if entry.0 < said {
                *entry = (said, membership.included);
            }
        }
    }

    fn vouch(&mut self, by: PersonId, said: Place, vouch: Vouch) {
        let key = (by, vouch.certificate.device);
        self.enrol(vouch.certificate);
        let vouched = self.vouched.entry(key).or_default();
        // Hybrid time orders what several devices of one person say.
        vouched.say(said.0.0, vouch.cuts.as_deref());
    }

    /// Returns what a person said about memories that waited for their word.
    pub fn approvals(&self, person: PersonId) -> Option<&Approvals> {
        self.approvals.get(&person)
    }
    /// Returns the policies that a person put in force.
    pub fn policies(&self, person: PersonId) -> Option<&Policies> {
        self.policies.get(&person)
    }
    /// Returns the device, if it was ever certified.
    pub fn device(&self, device: &DeviceId) -> Option<&Enrolment> {
        self.roster.get(device)
    }
    /// Returns all devices that are known.
    pub fn roster(&self) -> &Roster {
        &self.roster
    }
    /// Returns the person a device speaks for; none if it was retired.
    pub fn person_of(&self, device: &DeviceId) -> Option<PersonId> {
        let enrolment = self
            .roster
            .get(device)
            .filter(|enrolment| !enrolment.retired)?;
        Some(enrolment.certificate.person)
    }
    /// Returns the devices that speak for a person.
    pub fn devices_of(&self, person: PersonId) -> impl Iterator<Item = &DeviceCertificate> {
        self.roster
            .devices()
            .filter(move |device| !device.retired && device.certificate.person == person)
            .map(|device| &device.certificate)
    }
    /// Returns a circle, also one that is no more.
    pub fn circle(&self, name: &str) -> Option<&Circle> {
        self.circles.get(name)
    }
    /// Returns all circles by name.
    pub fn circles(&self) -> impl Iterator<Item = (&str, &Circle)> {
        let circles = self.circles.iter().filter(|(_, circle)| circle.exists());
        circles.map(|(name, circle)| (name.as_str(), circle))
    }
    /// Returns a grant.
    pub fn grant(&self, id: GrantId) -> Option<&Grant> {
        self.grants.get(&id)
    }
    /// Returns every grant that was ever offered.
    pub fn grants(&self) -> impl Iterator<Item = &Grant> {
        self.grants.values()
    }
    /// Returns the active grants from one person to another.
    pub fn grants_to(
        &self,
        owner: PersonId,
        grantee: PersonId,
        now: Timestamp,
    ) -> impl Iterator<Item = &Grant> {
        self.grants.values().filter(move |grant| {
            grant.owner == owner && grant.grantee == grantee && grant.state(now) == State::Active
        })
    }

    /// Returns the grant under which a person may fetch a memory of `owner`, if there is one.
    ///
    /// The highest access comes first; between equals, the older grant.
    pub fn view(
        &self,
        owner: PersonId,
        grantee: PersonId,
        facts: &dyn Facts,
        now: Timestamp,
    ) -> Option<&Grant> {
        self.grants_to(owner, grantee, now)
            .filter(|grant| grant.selects(facts))
            .max_by_key(|grant| (grant.terms.access, std::cmp::Reverse(grant.offered)))
    }

    /// Tells whether a person was ever let write in memories of `owner`.
    pub fn was_writer(&self, owner: PersonId, person: PersonId) -> bool {
        let mut grants = self.grants.values();
        let by_grant = grants.any(|grant| {
            grant.owner == owner
                && grant.grantee == person
                && grant.accepted.is_some()
                && grant.terms.access == Access::Write
        });
        let is_theirs = |device: &DeviceId| {
            let device = self.roster.get(device);
            device.is_some_and(|device| device.certificate.person == person)
        };
        let mut vouched = self.vouched.keys();
        by_grant || vouched.any(|(by, device)| *by == owner && is_theirs(device))
    }
    /// Returns what consent events tell of what an author knew.
    pub fn known(&self) -> &Known {
        &self.known
    }

    /// Returns what a writer may do in a memory of `owner`, as the owner's node or another
    /// grantee's node sees it. `delivered` are the grants under which the memory was given.
    pub fn permit(
        &self,
        owner: PersonId,
        writer: (PersonId, DeviceId, Incarnation),
        memory: MemoryId,
        delivered: &BTreeSet<GrantId>,
    ) -> Permit {
        let (person, device, incarnation) = writer;
        let writer = (device, incarnation);
        if person == owner {
            return Permit::Open;
        }
        let mut best = Permit::Closed;
        for grant in self.grants.values().filter(|grant| {
            grant.owner == owner
                && grant.grantee == person
                && grant.accepted.is_some()
                && grant.terms.access == Access::Write
                && delivered.contains(&grant.id)
        }) {
            let permit = match &grant.revoked {
                None => Permit::Open,
                Some((first, _)) => grant
                    .cuts
                    .get(first)
                    .map_or(Permit::Closed, |cuts| cuts.permit(writer, memory)),
            };
            best = wider(best, permit);
        }
        if let Some(vouched) = self.vouched.get(&(owner, device)) {
            best = wider(best, vouched.permit(writer, memory));
        }
        best
    }
}

fn wider(a: Permit, b: Permit) -> Permit {
    match (a, b) {
        (Permit::Open, _) | (_, Permit::Open) => Permit::Open,
        (Permit::UpTo(one, _), Permit::UpTo(other, _)) => {
            if one >= other {
                a
            } else {
                b
            }
        }
        (Permit::UpTo(..), Permit::Closed) => a,
        (Permit::Closed, _) => b,
    }
}

/// Returns the two persons that a consent event is between.
pub fn parties(event: &Event) -> Option<(PersonId, PersonId)> {
    match event.header.feed {
        Feed::Pair(other) => Some((event.header.person, other)),
        _ => None,
    }
}
