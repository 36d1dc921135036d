//! Forks: two different signed events with one place in one feed, and what counts then.
//!
//! Such a pair is a proof: only its author could have made it, by restoring a backup or by
//! writing two versions. The author is frozen there. [`counting`] says what of a memory counts:
//! of a forked feed nothing at or beyond the lowest forked number, except the one branch that
//! others built on, so that no proof can take work away from those who are honest. Between two
//! branches that others built on the owner's choice goes first, then the smaller id. What an
//! owner's cut names was accepted by the owner, whatever is proved later.
//!
//! Invariant: the answer is a function of the set of events; the order in which they came, and
//! events that nobody shows to others, make no difference.

use crate::event::{Event, Feed, Header, Incarnation, Kind, Signed};
use crate::id::{DeviceId, EventId, PersonId};
use std::collections::{BTreeMap, BTreeSet};

/// A feed that forked, and the proof.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Frozen {
    /// The person.
    pub person: PersonId,
    /// The device that signed both.
    pub device: DeviceId,
    /// The writer on it.
    pub incarnation: Incarnation,
    /// The lowest number that has two events.
    pub number: u64,
    /// The two with the smallest ids; a root is always the first.
    pub first: EventId,
    /// See `first`.
    pub second: EventId,
}

/// What of a memory's events counts.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Counting {
    /// The events that make the content.
    pub counted: BTreeSet<EventId>,
    /// The events that those who share the memory show to each other: all but what a frozen
    /// author wrote and nobody built on; of that, only the proof.
    pub shown: BTreeSet<EventId>,
    /// The feeds that forked.
    pub frozen: Vec<Frozen>,
}

type Writer = (DeviceId, Incarnation);

fn writer(event: &Signed<Event>) -> Writer {
    (event.header().author, event.header().incarnation)
}

/// A root is its memory, and a purge has destroyed it: neither is ever taken back.
fn is_exempt(event: &Signed<Event>) -> bool {
    matches!(event.header().kind, Kind::Root | Kind::Purge)
}

struct Forest<'a> {
    by_id: BTreeMap<EventId, &'a Signed<Event>>,
    frozen: BTreeMap<Writer, Frozen>,
}

/// Returns what counts of the events of one memory; all signatures hold.
///
/// `cut` gives the last event of a writer that counts, where the owner has cut them off.
pub fn counting(events: &[Signed<Event>], cut: &dyn Fn(&Header) -> Option<EventId>) -> Counting {
    let forest = Forest::new(events);
    let by_owner = forest.below(|event| event.header().person == event.header().owner);
    let by_all = forest.below(|_| true);
    let mut chosen = BTreeSet::new();
    for frozen in forest.frozen.values() {
        chosen.extend(forest.branch(frozen, (&by_owner, &by_all), cut));
    }
    let mut found = Counting {
        frozen: forest.frozen.values().copied().collect(),
        ..Counting::default()
    };
    for event in in_order(events) {
        let (id, header) = (event.id(), event.header());
        let is_suspended = forest.is_suspended(event);
        let stands = header.parents.iter().all(|id| found.counted.contains(id));
        if event.header().kind == Kind::Purge || (stands && (!is_suspended || chosen.contains(&id)))
        {
            found.counted.insert(id);
        }
        if !is_suspended || by_all.contains(&id) || chosen.contains(&id) {
            found.shown.insert(id);
        }
    }
    let proofs = found.frozen.iter();
    let proofs: Vec<_> = proofs
        .flat_map(|frozen| [frozen.first, frozen.second])
        .collect();
    found.shown.extend(proofs);
    found
}

impl<'a> Forest<'a> {
    fn new(events: &'a [Signed<Event>]) -> Self {
        let mut places: BTreeMap<(Writer, u64), BTreeSet<(bool, EventId)>> = BTreeMap::new();
        for event in events {
            if matches!(event.feed(), Feed::Memory(_)) {
                let place = (writer(event), event.header().number);
                let is_later = event.header().kind != Kind::Root;
                places
                    .entry(place)
                    .or_default()
                    .insert((is_later, event.id()));
            }
        }
        let by_id: BTreeMap<_, _> = events.iter().map(|event| (event.id(), event)).collect();
        let mut frozen = BTreeMap::new();
        // Lowest numbers come first.
        for (((device, incarnation), number), ids) in places {
            let mut ids = ids.into_iter();
            let (Some((_, first)), Some((_, second))) = (ids.next(), ids.next()) else {
                continue;
            };
            let Some(event) = by_id.get(&second) else {
                continue;
            };
            let person = event.header().person;
            let proof = || Frozen {
                person,
                device,
                incarnation,
                number,
                first,
                second,
            };
            frozen.entry((device, incarnation)).or_insert_with(proof);
        }
        Self { by_id, frozen }
    }

    fn is_suspended(&self, event: &Signed<Event>) -> bool {
        let frozen = self.frozen.get(&writer(event));
        !is_exempt(event) && frozen.is_some_and(|frozen| event.header().number >= frozen.number)
    }

    /// Returns what lies below the events of authors who are not frozen there.
    fn below(&self, by: impl Fn(&Signed<Event>) -> bool) -> BTreeSet<EventId> {
        let mut found = BTreeSet::new();
        let free = self
            .by_id
            .values()
            .filter(|event| !self.is_suspended(event));
        let parents = free
            .filter(|event| by(event))
            .flat_map(|event| &event.header().parents);
        let mut open: Vec<EventId> = parents.copied().collect();
        while let Some(id) = open.pop() {
            if !found.insert(id) {
                continue;
            }
            if let Some(event) = self.by_id.get(&id) {
                open.extend(&event.header().parents);
                open.extend(event.header().previous.filter(|_| self.is_suspended(event)));
            }
        }
        found
    }

    /// Returns the one branch of a forked feed that counts, from the fork on.
    fn branch(
        &self,
        frozen: &Frozen,
        (by_owner, by_all): (&BTreeSet<EventId>, &BTreeSet<EventId>),
        cut: &dyn Fn(&Header) -> Option<EventId>,
    ) -> Vec<EventId> {
        let accepted = self.accepted(frozen, cut);
        let rank = |id: &EventId| {
            let ranks = [&accepted, by_owner, by_all];
            ranks.iter().position(|built_on| built_on.contains(id))
        };
        let of_feed = self.by_id.values().filter(|event| {
            writer(event) == (frozen.device, frozen.incarnation) && self.is_suspended(event)
        });
        let of_feed: Vec<_> = of_feed.collect();
        let mut branch: Vec<EventId> = Vec::new();
        let mut number = frozen.number;
        let first = self.by_id.get(&frozen.first);
        if first.is_some_and(|event| event.header().kind == Kind::Root) {
            // Nothing takes the place of a root.
            branch.push(frozen.first);
            number = number.saturating_add(1);
        }
        loop {
            let last = branch.last().copied();
            let next = of_feed.iter().filter(|event| {
                let header = event.header();
                header.number == number && (last.is_none() || header.previous == last)
            });
            let best = next
                .filter_map(|event| Some((rank(&event.id())?, event.id())))
                .min();
            let Some((_, best)) = best else {
                return branch;
            };
            branch.push(best);
            number = number.saturating_add(1);
        }
    }

    /// Returns the events of a feed that end in the owner's cut.
    fn accepted(
        &self,
        frozen: &Frozen,
        cut: &dyn Fn(&Header) -> Option<EventId>,
    ) -> BTreeSet<EventId> {
        let mut accepted = BTreeSet::new();
        let second = self.by_id.get(&frozen.second);
        let mut next = second.and_then(|event| cut(event.header()));
        while let Some(event) = next.and_then(|id| self.by_id.get(&id)) {
            accepted.insert(event.id());
            next = event.header().previous;
        }
        accepted
    }
}

/// Puts events behind those they build on; among the free ones by time, then by id.
pub fn in_order(events: &[Signed<Event>]) -> Vec<&Signed<Event>> {
    let by_id: BTreeMap<_, _> = events.iter().map(|event| (event.id(), event)).collect();
    let mut waits: BTreeMap<EventId, usize> = BTreeMap::new();
    let mut above: BTreeMap<EventId, Vec<EventId>> = BTreeMap::new();
    let mut free = BTreeSet::new();
    for (id, event) in &by_id {
        let header = event.header();
        let below: BTreeSet<_> = header.parents.iter().chain(&header.previous).collect();
        let below: Vec<_> = below
            .into_iter()
            .filter(|id| by_id.contains_key(id))
            .collect();
        for one in &below {
            above.entry(**one).or_default().push(*id);
        }
        if below.is_empty() {
            free.insert((header.time, *id));
        }
        waits.insert(*id, below.len());
    }
    let mut ordered = Vec::with_capacity(by_id.len());
    // Hashes cannot form a circle, so every event becomes free.
    while let Some((_, id)) = free.pop_first() {
        ordered.extend(by_id.get(&id).copied());
        for one in above.remove(&id).unwrap_or_default() {
            let left = waits.get_mut(&one).map_or(0, |left| {
                *left = left.saturating_sub(1);
                *left
            });
            if let Some(event) = by_id.get(&one).filter(|_| left == 0) {
                free.insert((event.header().time, one));
            }
        }
    }
    ordered
}

#[cfg(test)]
mod tests;
