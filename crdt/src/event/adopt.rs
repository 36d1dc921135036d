//! Adoption: late changes that count because somebody built on them in good faith.
//!
//! A change beyond the cut of a revocation is refused. It stays all the same if an authorised
//! writer who had not yet seen the revocation built on it: the owner by any of their devices, or
//! another writer whose authority heads show that the cut was news they did not have. Otherwise
//! honest work of others would hang in the air.
//!
//! [`standing`] is the rule itself, a pure function of a set of events. [`adopted_by`] is what a
//! node asks as an event arrives; fed again and again until nothing changes it gives the same
//! set, whatever the order, as long as consent arrives first, which sessions see to.

use crate::event::admit::{
    Holdings, Refusal, Verified, check_author, check_feed, check_permit, check_shape,
};
use crate::event::{Event, Kind, Signed};
use crate::grant::authority::{Authority, Permit};
use crate::id::{EventId, GrantId, MemoryId, PersonId};
use std::collections::{BTreeMap, BTreeSet};

/// The most late changes that one event can adopt.
pub const ADOPTED_MAX: usize = 256;

/// What stands of a memory's changes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Standing {
    /// The events that count.
    pub standing: BTreeSet<EventId>,
    /// Those of them that are beyond a cut, and the event that adopted each.
    pub adopted: BTreeMap<EventId, EventId>,
}

/// Tells whether an author may adopt a change of someone else who is cut off.
///
/// None: their heads name consent that is not known here yet.
fn may_adopt(event: &Event, late: &Event, memory: MemoryId, authority: &Authority) -> Option<bool> {
    let (header, late) = (&event.header, &late.header);
    if header.person == late.person {
        return Some(false);
    }
    if header.person == header.owner {
        return Some(true);
    }
    let between = (header.owner, header.person);
    let seen = authority
        .known()
        .has_seen_cut(between, late.author, memory, &header.authority)?;
    Some(!seen)
}

fn is_permitted(
    event: &Signed<Event>,
    memory: MemoryId,
    authority: &Authority,
    delivered: &BTreeSet<GrantId>,
) -> bool {
    let header = event.header();
    let writer = (header.person, header.author, header.incarnation);
    match authority.permit(header.owner, writer, memory, delivered) {
        Permit::Open => true,
        Permit::UpTo(number, id) => header.number < number || event.id() == id,
        Permit::Closed => false,
    }
}

/// Returns the events of a memory that count, out of a set whose signatures hold.
pub fn standing(
    events: &[Signed<Event>],
    memory: MemoryId,
    authority: &Authority,
    delivered: &BTreeSet<GrantId>,
) -> Standing {
    let by_id: BTreeMap<EventId, &Signed<Event>> =
        events.iter().map(|event| (event.id(), event)).collect();
    let is_late = |event: &Signed<Event>| !is_permitted(event, memory, authority, delivered);
    let late: BTreeSet<EventId> = by_id
        .values()
        .filter(|event| is_late(event))
        .map(|event| event.id())
        .collect();
    let mut found = Standing::default();
    loop {
        let before = found.standing.len();
        for (id, event) in by_id.iter().filter(|(id, _)| !late.contains(id)) {
            if found.standing.contains(id) {
                continue;
            }
            let Some(needed) = late_below(event, &by_id, &late, &found.standing) else {
                continue;
            };
            let may = |late: &EventId| {
                let late = by_id.get(late).map(|late| late.event());
                late.and_then(|late| may_adopt(event.event(), late, memory, authority))
            };
            if needed.iter().all(|late| may(late) == Some(true)) {
                found.standing.insert(*id);
                found.standing.extend(needed.iter().copied());
                found
                    .adopted
                    .extend(needed.into_iter().map(|late| (late, *id)));
            }
        }
        if found.standing.len() == before {
            return found;
        }
    }
}

/// Returns the late events below an event that do not stand yet; none if something else below it
/// is missing or does not stand.
fn late_below(
    event: &Signed<Event>,
    by_id: &BTreeMap<EventId, &Signed<Event>>,
    late: &BTreeSet<EventId>,
    standing: &BTreeSet<EventId>,
) -> Option<BTreeSet<EventId>> {
    let mut needed = BTreeSet::new();
    let mut open = below(event);
    while let Some(id) = open.pop() {
        if standing.contains(&id) || needed.contains(&id) {
            continue;
        }
        if !late.contains(&id) {
            return None;
        }
        needed.insert(id);
        open.extend(below(by_id.get(&id)?));
    }
    Some(needed)
}

/// Returns what an event builds on: its parents and the event before it in its feed.
fn below(event: &Signed<Event>) -> Vec<EventId> {
    let header = event.header();
    header
        .parents
        .iter()
        .copied()
        .chain(header.previous)
        .collect()
}

/// Returns the late events that an arriving event adopts, what they build on first.
///
/// `late` gives the events that were refused and kept. The arriving event itself is checked as
/// far as it can be before they are in; it still goes through admission afterwards.
pub fn adopted_by(
    event: &Signed<Event>,
    memory: MemoryId,
    held: &dyn Holdings,
    late: &dyn Fn(EventId) -> Option<Signed<Event>>,
) -> Result<Vec<Signed<Event>>, Refusal> {
    let header = event.header();
    let mut missing = header.parents.iter().filter(|parent| !held.holds(**parent));
    if missing.next().is_none() {
        return Ok(Vec::new());
    }
    check_author(event, held.authority())?;
    if !event.signature_holds() {
        return Err(Refusal::BadSignature);
    }
    check_shape(header)?;
    check_feed(event, held)?;
    let owner = held
        .owner_of(memory)
        .ok_or(Refusal::UnknownMemory(memory))?;
    if header.owner != owner {
        return Err(Refusal::WrongOwner);
    }
    if header.kind != Kind::Purge || header.person != owner {
        check_permit(event, owner, memory, held)?;
    }
    let mut found: BTreeMap<EventId, Signed<Event>> = BTreeMap::new();
    let mut open = below(event);
    while let Some(id) = open.pop() {
        if held.holds(id) || found.contains_key(&id) {
            continue;
        }
        let lost = late(id).filter(|late| late.memory() == Some(memory));
        let lost = lost.ok_or(Refusal::MissingParent(id))?;
        match may_adopt(event.event(), lost.event(), memory, held.authority()) {
            Some(true) if found.len() < ADOPTED_MAX => {}
            Some(_) => {
                return Err(Refusal::NotPermitted(
                    "it builds on a change that its author knew to be cut off",
                ));
            }
            None => return Err(Refusal::MissingParent(id)),
        }
        open.extend(below(&lost));
        found.insert(id, lost);
    }
    Ok(in_order(found))
}

/// Puts events behind those they build on.
fn in_order(mut events: BTreeMap<EventId, Signed<Event>>) -> Vec<Signed<Event>> {
    let mut ordered = Vec::with_capacity(events.len());
    while !events.is_empty() {
        let is_free =
            |event: &Signed<Event>| !below(event).iter().any(|id| events.contains_key(id));
        let free: Vec<EventId> = events
            .iter()
            .filter(|(_, event)| is_free(event))
            .map(|(id, _)| *id)
            .collect();
        if free.is_empty() {
            // Hashes cannot form a circle.
            break;
        }
        ordered.extend(free.iter().filter_map(|id| events.remove(id)));
    }
    ordered
}

/// Admits a late event that [`adopted_by`] named: everything is checked but the permit.
pub fn admit_adopted(
    event: Signed<Event>,
    owner: PersonId,
    held: &dyn Holdings,
) -> Result<Verified<Event>, Refusal> {
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
    if header.owner != owner || header.kind != Kind::Change {
        return Err(Refusal::WrongOwner);
    }
    if !held.authority().was_writer(owner, header.person) {
        return Err(Refusal::NotPermitted("its author was never a writer"));
    }
    Ok(Verified::adopted(event))
}

#[cfg(test)]
mod tests;
