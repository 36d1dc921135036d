//! Admission: the only way to a [`Verified`] event. Parse, don't validate.
//!
//! Checks, in this order: the device is certified for the person the event names; the signature
//! is strict; the feed goes on without a gap or a fork; all parents are here; the author is
//! permitted. What comes out is a value of a type that nothing else can make, and the log takes
//! no other.
//!
//! What is *not* checked here: the inside of a sealed change ([`crate::memory`] has the gate in
//! front of Automerge; the log runs it before it appends).
//!
//! Invariant: the answer depends on the set of events that are known, never on a clock.

use crate::codec::{Canonical as _, DecodeError};
use crate::event::body::approval::Approval;
use crate::event::body::circle::CircleChange;
use crate::event::body::own::{DeviceName, Keyring, Peering, Retirement};
use crate::event::body::policy::read_policy;
use crate::event::body::{Answer, Keys, Offer, Receipt, Renewal, Return, Revocation, Scope, Vouch};
use crate::event::{Event, Feed, Header, Incarnation, Kind, Signed};
use crate::grant::authority::{Authority, Permit};
use crate::id::{DeviceId, EventId, GrantId, MemoryId, PersonId};
use crate::identity::DeviceCertificate;
use crate::time::Hybrid;
use std::collections::BTreeSet;
use thiserror::Error;

/// An event that passed admission. Holding one is the proof.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified<T>(Signed<T>);

impl Verified<Event> {
    /// Takes in a late event that [`super::adopt`] found to be adopted.
    pub(super) fn adopted(event: Signed<Event>) -> Self {
        Self(event)
    }
    /// Takes an event back from this node's own log, which holds admitted events only and whose
    /// rows are authenticated. Never for bytes from anywhere else.
    pub fn from_own_log(event: Signed<Event>) -> Self {
        Self(event)
    }
}

impl std::ops::Deref for Verified<Event> {
    type Target = Signed<Event>;
    fn deref(&self) -> &Signed<Event> {
        &self.0
    }
}

/// What a node already holds, as far as admission asks.
pub trait Holdings {
    /// Returns who speaks for whom and who may do what.
    fn authority(&self) -> &Authority;
    /// Returns the number and id of the last event of a feed.
    fn feed_tip(
        &self,
        author: &DeviceId,
        writer: Incarnation,
        feed: Feed,
    ) -> Option<(u64, EventId)>;
    /// Returns the event of a feed with a number.
    fn feed_event(
        &self,
        author: &DeviceId,
        writer: Incarnation,
        feed: Feed,
        number: u64,
    ) -> Option<EventId>;
    /// Returns the owner of a memory.
    fn owner_of(&self, memory: MemoryId) -> Option<PersonId>;
    /// Tells whether an event is in the log.
    fn holds(&self, event: EventId) -> bool;
    /// Returns where a feed forked, if it did: the lowest number, and the greater id of the proof.
    fn frozen(
        &self,
        _author: &DeviceId,
        _writer: Incarnation,
        _feed: Feed,
    ) -> Option<(u64, EventId)> {
        None
    }
    /// Returns the grants under which a memory was given to or by this node.
    fn delivered_under(&self, memory: MemoryId) -> BTreeSet<GrantId>;
}

/// The reason why an event is not admitted.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Refusal {
    /// The bytes are not an event.
    #[error("the bytes are no event: {0}")]
    Malformed(#[from] DecodeError),
    /// The device is not certified.
    #[error("the device {0} is not certified for the person it names")]
    UnknownDevice(DeviceId),
    /// The device was retired, and this event does not count any more.
    #[error("the device {0} was retired before this event counted")]
    RetiredDevice(DeviceId),
    /// The signature does not hold.
    #[error("the signature does not hold")]
    BadSignature,
    /// It is in the log already.
    #[error("the event is already here")]
    Known,
    /// Another event has the same place in the same feed: proof of a fork.
    #[error("event {number} of this feed is another one: the author forked it")]
    Fork {
        /// The place.
        number: u64,
        /// The event that was there first.
        first: EventId,
    },
    /// The author forked this feed and is frozen there.
    #[error("the author forked this feed at {number} and is frozen there")]
    Frozen {
        /// The lowest number with two events.
        number: u64,
    },
    /// An event before this one is missing; it can be admitted later.
    #[error("an earlier event of the same feed is missing")]
    MissingPrevious,
    /// An event this one builds on is missing; it can be admitted later.
    #[error("the event {0}, on which this one builds, is missing")]
    MissingParent(EventId),
    /// The memory is unknown; it can be admitted later.
    #[error("the memory {0} is unknown")]
    UnknownMemory(MemoryId),
    /// The event names another owner than the memory's root.
    #[error("the event names another owner than the memory has")]
    WrongOwner,
    /// The author may not do this.
    #[error("the author may not do this: {0}")]
    NotPermitted(&'static str),
    /// The event lies beyond the cut of a revocation.
    #[error("the event lies beyond the cut of a revocation")]
    BeyondCut,
    /// The time is further ahead than any honest clock.
    #[error("the event claims a time too far ahead")]
    FromTheFuture,
}

impl Refusal {
    /// Returns a stable name.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Malformed(_) => "malformed",
            Self::UnknownDevice(_) => "unknown_device",
            Self::RetiredDevice(_) => "retired_device",
            Self::BadSignature => "bad_signature",
            Self::Known => "known",
            Self::Fork { .. } => "fork",
            Self::Frozen { .. } => "frozen",
            Self::MissingPrevious => "missing_previous",
            Self::MissingParent(_) => "missing_parent",
            Self::UnknownMemory(_) => "unknown_memory",
            Self::WrongOwner => "wrong_owner",
            Self::NotPermitted(_) => "not_permitted",
            Self::BeyondCut => "beyond_cut",
            Self::FromTheFuture => "from_the_future",
        }
    }
    /// Tells whether the event may be admitted once others have arrived.
    pub fn is_missing_something(&self) -> bool {
        matches!(
            self,
            Self::MissingPrevious | Self::MissingParent(_) | Self::UnknownMemory(_)
        )
    }
}

/// Checks an event against what is held.
pub fn admit(event: Signed<Event>, held: &dyn Holdings) -> Result<Verified<Event>, Refusal> {
    if held.holds(event.id()) {
        return Err(Refusal::Known);
    }
    let header = event.header();
    check_author(&event, held.authority())?;
    if !event.signature_holds() {
        return Err(Refusal::BadSignature);
    }
    check_shape(header)?;
    check_feed(&event, held)?;
    if let Some(parent) = header.parents.iter().find(|parent| !held.holds(**parent)) {
        return Err(Refusal::MissingParent(*parent));
    }
    match header.feed {
        Feed::Root => {}
        Feed::Memory(memory) | Feed::Sidecar(memory) => check_memory(&event, memory, held)?,
        Feed::Pair(other) => check_consent(&event, other, held.authority())?,
        Feed::Own => check_own(&event)?,
    }
    Ok(Verified(event))
}

/// Checks a change whose place in its feed is taken, or whose author is frozen: everything but
/// the place, and without asking for what it builds on. With the event that has the place it is
/// the proof of a fork.
pub fn admit_forked(event: Signed<Event>, held: &dyn Holdings) -> Result<Verified<Event>, Refusal> {
    let header = event.header();
    check_author(&event, held.authority())?;
    if !event.signature_holds() {
        return Err(Refusal::BadSignature);
    }
    check_shape(header)?;
    match (header.kind, header.feed) {
        (Kind::Change, Feed::Memory(memory)) => check_memory(&event, memory, held)?,
        _ => {
            return Err(Refusal::NotPermitted(
                "only changes of a memory can be kept beside each other",
            ));
        }
    }
    Ok(Verified(event))
}

/// Checks one half of the proof of a fork that the memory's owner shows: everything but the place,
/// and without asking whether its author may write there any more. It counts only where an owner's cut
/// names it or others built on it, as [`super::fork::counting`] says, so nobody gains by it.
pub fn admit_proof(event: Signed<Event>, held: &dyn Holdings) -> Result<Verified<Event>, Refusal> {
    let header = event.header();
    check_author(&event, held.authority())?;
    if !event.signature_holds() {
        return Err(Refusal::BadSignature);
    }
    check_shape(header)?;
    let Feed::Memory(memory) = header.feed else {
        return Err(Refusal::NotPermitted("only a change is half of a proof"));
    };
    match held.owner_of(memory) {
        Some(owner) if header.kind == Kind::Change && header.owner == owner => Ok(Verified(event)),
        Some(_) => Err(Refusal::WrongOwner),
        None => Err(Refusal::UnknownMemory(memory)),
    }
}

pub(super) fn check_author(event: &Signed<Event>, authority: &Authority) -> Result<(), Refusal> {
    let header = event.header();
    if header.kind == Kind::Device {
        // The first event of a device brings its own certificate.
        let certificate = DeviceCertificate::from_bytes(&event.event().body)?;
        if certificate.person != header.person {
            return Err(Refusal::UnknownDevice(certificate.device));
        }
        if certificate.device == header.author {
            return check_retired(event, authority);
        }
    }
    let enrolment = authority.device(&header.author);
    if enrolment.is_some_and(|enrolment| enrolment.certificate.person == header.person) {
        check_retired(event, authority)
    } else {
        Err(Refusal::UnknownDevice(header.author))
    }
}

/// Checks that an event of a retired device is one of those that count, whatever time it claims.
fn check_retired(event: &Signed<Event>, authority: &Authority) -> Result<(), Refusal> {
    let header = event.header();
    let (writer, number) = (header.incarnation, header.number);
    if authority
        .roster()
        .counts(&header.author, writer, event.feed(), number, event.id())
    {
        Ok(())
    } else {
        Err(Refusal::RetiredDevice(header.author))
    }
}

/// Checks that kind, feed and sealing belong together.
pub(super) fn check_shape(header: &Header) -> Result<(), Refusal> {
    let fits = match header.kind {
        Kind::Root => {
            header.feed == Feed::Root && header.parents.is_empty() && header.owner == header.person
        }
        Kind::Change | Kind::Purge => {
            matches!(header.feed, Feed::Memory(_)) && !header.parents.is_empty()
        }
        Kind::Sidecar => matches!(header.feed, Feed::Sidecar(_)),
        Kind::Device | Kind::Retirement => {
            let is_told = matches!(header.feed, Feed::Pair(other) if other != header.person);
            (is_told || header.feed == Feed::Own) && header.owner == header.person
        }
        Kind::Circle
        | Kind::Approval
        | Kind::Policy
        | Kind::Keyring
        | Kind::Peering
        | Kind::DeviceName => header.feed == Feed::Own && header.owner == header.person,
        Kind::Offer
        | Kind::Acceptance
        | Kind::Decline
        | Kind::Revocation
        | Kind::Keys
        | Kind::Scope
        | Kind::Writer
        | Kind::Renewal
        | Kind::Receipt
        | Kind::Return
        | Kind::Handback => matches!(header.feed, Feed::Pair(other) if other != header.person),
    };
    if !fits {
        return Err(Refusal::NotPermitted(
            "this kind of event has no place in this feed",
        ));
    }
    if header.kind.is_sealed() != header.commitment.is_some() {
        return Err(Refusal::NotPermitted(
            "the key commitment does not fit the kind",
        ));
    }
    // 2^48 milliseconds end in the year 10889; a counter that far ahead would stop all clocks.
    if header.time > Hybrid(0xffff_0000_0000_0000) {
        return Err(Refusal::FromTheFuture);
    }
    Ok(())
}

pub(super) fn check_feed(event: &Signed<Event>, held: &dyn Holdings) -> Result<(), Refusal> {
    let header = event.header();
    if header.feed == Feed::Root {
        let first = header.number == 0 && header.previous.is_none();
        return if first {
            Ok(())
        } else {
            Err(Refusal::NotPermitted("a root opens its feed"))
        };
    }
    if let Some((number, second)) = held.frozen(&header.author, header.incarnation, header.feed) {
        // A lower number or a smaller id is the better proof, so that all end with the same.
        if (header.number, event.id()) > (number, second) {
            return Err(Refusal::Frozen { number });
        }
        if header.number == number {
            let first = second;
            return Err(Refusal::Fork { number, first });
        }
    }
    let tip = held.feed_tip(&header.author, header.incarnation, header.feed);
    let next = tip.map_or(0, |(number, _)| number.saturating_add(1));
    if header.number < next {
        let at = held.feed_event(
            &header.author,
            header.incarnation,
            header.feed,
            header.number,
        );
        let first = at.unwrap_or(EventId([0; 32]));
        return Err(Refusal::Fork {
            number: header.number,
            first,
        });
    }
    if header.number > next {
        return Err(Refusal::MissingPrevious);
    }
    match tip {
        Some((number, first)) if header.previous != Some(first) => {
            Err(Refusal::Fork { number, first })
        }
        None if header.previous.is_some() => Err(Refusal::NotPermitted(
            "the first event of a feed names none before it",
        )),
        _ => Ok(()),
    }
}

fn check_memory(
    event: &Signed<Event>,
    memory: MemoryId,
    held: &dyn Holdings,
) -> Result<(), Refusal> {
    let header = event.header();
    let owner = held
        .owner_of(memory)
        .ok_or(Refusal::UnknownMemory(memory))?;
    if header.kind == Kind::Sidecar {
        // A sidecar belongs to its holder, whoever owns the memory.
        return Ok(());
    }
    if header.owner != owner {
        return Err(Refusal::WrongOwner);
    }
    if header.kind == Kind::Purge {
        let own = header.person == owner;
        return if own {
            Ok(())
        } else {
            Err(Refusal::NotPermitted("only the owner can purge"))
        };
    }
    check_permit(event, owner, memory, held)
}

/// Checks that a grant lets the author write here, up to and including this event.
pub(super) fn check_permit(
    event: &Signed<Event>,
    owner: PersonId,
    memory: MemoryId,
    held: &dyn Holdings,
) -> Result<(), Refusal> {
    let header = event.header();
    let writer = (header.person, header.author, header.incarnation);
    match held
        .authority()
        .permit(owner, writer, memory, &held.delivered_under(memory))
    {
        Permit::Open => Ok(()),
        Permit::UpTo(number, id) if header.number < number || event.id() == id => Ok(()),
        Permit::UpTo(..) => Err(Refusal::BeyondCut),
        Permit::Closed => Err(Refusal::NotPermitted(
            "no grant lets this person write here",
        )),
    }
}

fn check_consent(
    event: &Signed<Event>,
    other: PersonId,
    authority: &Authority,
) -> Result<(), Refusal> {
    let header = event.header();
    let body = event.event().body.as_slice();
    let (grant, by_owner) = match header.kind {
        Kind::Offer => {
            let offer = Offer::from_bytes(body)?;
            return check_offer(header, &offer, other, authority);
        }
        Kind::Device | Kind::Retirement => return check_own(event),
        Kind::Writer => {
            Vouch::from_bytes(body)?;
            return if header.owner == header.person {
                Ok(())
            } else {
                Err(Refusal::NotPermitted(
                    "only the owner can vouch for a writer",
                ))
            };
        }
        Kind::Acceptance | Kind::Decline => (Answer::from_bytes(body)?.grant, false),
        Kind::Receipt => (Receipt::from_bytes(body)?.grant, false),
        Kind::Return => (Return::from_bytes(body)?.grant, false),
        Kind::Revocation => (Revocation::from_bytes(body)?.grant, true),
        Kind::Keys => (Keys::from_bytes(body)?.grant, true),
        Kind::Renewal => (Renewal::from_bytes(body)?.grant, true),
        Kind::Handback => (Keys::from_bytes(body)?.grant, false),
        Kind::Scope => (Scope::from_bytes(body)?.grant, true),
        _ => {
            return Err(Refusal::NotPermitted(
                "this kind of event has no place in this feed",
            ));
        }
    };
    let grant = authority
        .grant(grant)
        .ok_or(Refusal::MissingParent(EventId(grant.0)))?;
    let (from, to) = if by_owner {
        (grant.owner, grant.grantee)
    } else {
        (grant.grantee, grant.owner)
    };
    if header.person != from || other != to || header.owner != grant.owner {
        return Err(Refusal::NotPermitted(
            "the event is not by a party of the grant",
        ));
    }
    Ok(())
}

fn check_offer(
    header: &Header,
    offer: &Offer,
    other: PersonId,
    authority: &Authority,
) -> Result<(), Refusal> {
    if offer.grantee != other || header.owner != header.person {
        return Err(Refusal::NotPermitted(
            "an offer goes from its owner to its grantee",
        ));
    }
    let Some(before) = offer.supersedes else {
        return Ok(());
    };
    let before = authority
        .grant(before)
        .ok_or(Refusal::MissingParent(EventId(before.0)))?;
    if (before.owner, before.grantee) == (header.owner, other) {
        Ok(())
    } else {
        Err(Refusal::NotPermitted(
            "an offer supersedes only a grant between the same persons",
        ))
    }
}

/// Checks an event about the author's own devices.
fn check_own(event: &Signed<Event>) -> Result<(), Refusal> {
    let body = event.event().body.as_slice();
    match event.header().kind {
        // The certificate was read with the author.
        Kind::Device => {}
        Kind::Retirement => {
            Retirement::from_bytes(body)?;
        }
        Kind::Keyring => {
            Keyring::from_bytes(body)?;
        }
        Kind::Peering => {
            Peering::from_bytes(body)?;
        }
        Kind::DeviceName => {
            DeviceName::from_bytes(body)?;
        }
        Kind::Circle => {
            CircleChange::from_bytes(body)?;
        }
        Kind::Policy => {
            read_policy(body)?;
        }
        Kind::Approval => {
            Approval::from_bytes(body)?;
        }
        _ => {
            return Err(Refusal::NotPermitted(
                "this kind of event has no place in this feed",
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
pub(super) mod tests;
