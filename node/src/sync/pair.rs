//! The views that this node shares with other persons, kept up to date as memories change.
//!
//! One [`Pair`] a person, made when it is first asked for; sessions and the status ask the same
//! one. A commit that touched ten memories costs a look at ten memories, and a session with
//! nothing new costs none.
//!
//! ```text
//! State::changed_since -> items that left and came -> View (sum, summary)
//! ```
//!
//! Invariant: what [`Pair::refresh`] leaves equals what a view made from nothing would be; the
//! property test below compares them.

use crate::egress::Memberships;
use crdt::id::{GrantId, MemoryId, PersonId};
use crdt::time::Timestamp;
use protocol::view::{Change, Item, Summary, View, given_id, membership_id};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use storage::records::{Dated, Facts};
use storage::store::Store;
use storage::store::own::Given;
use storage::store::state::{Mark, Since, State};

/// Items whose coming is remembered for sessions that have not looked yet; beyond that a session
/// is told of all.
const RECENT_MAX: usize = 16_384;

/// Where a session last looked at a view.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Seen(u64);

/// What one memory brings into a view.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Part {
    /// Memberships first.
    items: Vec<Item>,
    members: Vec<([u8; 32], (GrantId, MemoryId))>,
    events: u64,
}

/// When a view was last brought up to date.
#[derive(Debug, Clone, Copy)]
struct Fresh {
    mark: Mark,
    at: Timestamp,
    /// When the next grant ends by itself.
    until: Option<Timestamp>,
}

/// The view that this node and one person share.
#[derive(Debug)]
pub(crate) struct Pair {
    person: PersonId,
    fresh: Option<Fresh>,
    parts: BTreeMap<MemoryId, Part>,
    memberships: Memberships,
    events: u64,
    view: View,
    /// How often the view changed, and the items that came since `forgotten`.
    changes: u64,
    forgotten: u64,
    recent: VecDeque<(u64, Item)>,
}

impl Pair {
    pub(crate) fn new(person: PersonId) -> Self {
        Self {
            person,
            fresh: None,
            parts: BTreeMap::new(),
            memberships: Memberships::new(),
            events: 0,
            view: View::default(),
            changes: 0,
            forgotten: 0,
            recent: VecDeque::new(),
        }
    }
    pub(crate) fn view(&self) -> &View {
        &self.view
    }
    pub(crate) fn summary(&self) -> Summary {
        self.view.summary()
    }
    /// Returns the memberships behind those of the items that are not events.
    pub(crate) fn memberships(&self, items: &[Item]) -> Memberships {
        let known = items.iter().filter_map(|item| {
            let member = self.memberships.get(&item.id)?;
            Some((item.id, *member))
        });
        known.collect()
    }
    /// Returns how the view stands, what came since a session looked, and where it stands now.
    pub(crate) fn since(&self, seen: Option<Seen>) -> (Change, Seen) {
        let new = match seen {
            Some(Seen(seen)) if seen >= self.forgotten => {
                let from = self.recent.partition_point(|(change, _)| *change <= seen);
                let new = self.recent.range(from..).map(|(_, item)| *item);
                // What came and left again is not offered.
                new.filter(|item| self.view.holds(item)).collect()
            }
            // Too long ago: all of it may be new.
            Some(_) => self.view.items().copied().collect(),
            // A session that begins compares, and needs no list.
            None => Vec::new(),
        };
        let change = Change {
            summary: self.summary(),
            newest: self.view.newest(),
            new,
        };
        (change, Seen(self.changes))
    }

    /// Brings the view up to date. True if it changed.
    pub(crate) fn refresh(&mut self, store: &Store, now: Timestamp) -> bool {
        let before = self.changes;
        store.read(|state| {
            let since = match self.fresh {
                Some(fresh) if !fresh.is_over(now) => state.changed_since(fresh.mark),
                _ => Since::Everything,
            };
            match since {
                Since::Memories(memories) if memories.is_empty() => {}
                Since::Memories(memories) => self.look_at(state, &memories, now),
                Since::Everything => self.look_at_all(state, now),
            }
            let until = state.next_expiry(self.person, now);
            let (mark, at) = (state.mark(), now);
            self.fresh = Some(Fresh { mark, at, until });
        });
        self.view.set_events(self.events);
        self.changes != before
    }

    fn look_at(&mut self, state: &State, memories: &BTreeSet<MemoryId>, now: Timestamp) {
        self.changes += 1;
        for memory in memories {
            let part = part_of(state, self.person, *memory, now);
            self.put(*memory, part.unwrap_or_default());
        }
    }
    fn look_at_all(&mut self, state: &State, now: Timestamp) {
        self.changes += 1;
        let mut gone: BTreeSet<MemoryId> = self.parts.keys().copied().collect();
        each_part(state, self.person, now, &mut |memory, part| {
            gone.remove(&memory);
            self.put(memory, part);
        });
        for memory in gone {
            self.put(memory, Part::default());
        }
    }

    /// Puts what a memory brings in place of what it brought.
    fn put(&mut self, memory: MemoryId, part: Part) {
        let before = self.parts.remove(&memory).unwrap_or_default();
        if before != part {
            self.replace(&before, &part);
        }
        if part != Part::default() {
            self.parts.insert(memory, part);
        }
    }
    fn replace(&mut self, before: &Part, after: &Part) {
        let stays: BTreeSet<Item> = after.items.iter().copied().collect();
        for item in before.items.iter().filter(|item| !stays.contains(item)) {
            self.view.remove(item);
        }
        for (id, _) in &before.members {
            self.memberships.remove(id);
        }
        self.memberships.extend(after.members.iter().copied());
        for item in &after.items {
            if self.view.insert(*item) {
                self.recent.push_back((self.changes, *item));
            }
        }
        while self.recent.len() > RECENT_MAX {
            if let Some((forgotten, _)) = self.recent.pop_front() {
                self.forgotten = forgotten;
            }
        }
        self.events = (self.events + after.events).saturating_sub(before.events);
    }
}

impl Fresh {
    /// Tells whether time alone may have changed the view: a grant ended, or the clock went back.
    fn is_over(&self, now: Timestamp) -> bool {
        now < self.at || self.until.is_some_and(|until| until <= now)
    }
}

/// Calls `visit` with what each memory brings into the view with a person.
fn each_part(
    state: &State,
    person: PersonId,
    now: Timestamp,
    visit: &mut dyn FnMut(MemoryId, Part),
) {
    if person == state.me {
        state.own_view(&mut |facts, given| visit(facts.id, own_part(facts, given)));
    } else {
        state.pair_view(person, now, &mut |facts, grants| {
            visit(facts.id, shared_part(facts, grants));
        });
    }
}

/// Returns what one memory brings into the view with a person; none if it is not in it.
fn part_of(state: &State, person: PersonId, memory: MemoryId, now: Timestamp) -> Option<Part> {
    let mut part = None;
    if person == state.me {
        state.own_view_of(memory, &mut |facts, given| {
            part = Some(own_part(facts, given));
        });
    } else {
        state.pair_view_of(memory, person, now, &mut |facts, grants| {
            part = Some(shared_part(facts, grants));
        });
    }
    part
}

fn born(facts: &Facts) -> u64 {
    facts.events().next().map_or(0, |(time, _)| time.0)
}

fn shared_part(facts: &Facts, grants: &[GrantId]) -> Part {
    let members = grants.iter().map(|grant| {
        let id = membership_id(*grant, facts.id);
        (id, (*grant, facts.id))
    });
    finish(facts, members.collect(), &[])
}

/// What the devices of one person compare: everything.
fn own_part(facts: &Facts, given: &Given) -> Part {
    let members = given.iter().flat_map(|(grant, epochs)| {
        epochs.iter().map(|epoch| {
            let id = given_id(*grant, facts.id, *epoch);
            (id, (*grant, facts.id))
        })
    });
    finish(facts, members.collect(), facts.sidecar_events())
}

fn finish(facts: &Facts, members: Vec<([u8; 32], (GrantId, MemoryId))>, private: &[Dated]) -> Part {
    let time = born(facts);
    let keys = members.iter().map(|(id, _)| Item { time, id: *id });
    let events: Vec<Dated> = facts.events().chain(private.iter().copied()).collect();
    let count = events.len() as u64;
    let events = events.into_iter().map(|(time, event)| Item {
        time: time.0,
        id: event.0,
    });
    Part {
        items: keys.chain(events).collect(),
        events: count,
        members,
    }
}

/// The views with all persons that were asked for.
#[derive(Debug, Default)]
pub(crate) struct Pairs(Mutex<BTreeMap<PersonId, Arc<Mutex<Pair>>>>);

impl Pairs {
    /// Returns the view with a person, to be locked for a moment.
    pub(crate) fn with(&self, person: PersonId) -> Arc<Mutex<Pair>> {
        let mut pairs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let make = || Arc::new(Mutex::new(Pair::new(person)));
        Arc::clone(pairs.entry(person).or_insert_with(make))
    }
}

/// Locks a view. One that a panic left half done is made anew.
pub(crate) fn lock(pair: &Mutex<Pair>) -> MutexGuard<'_, Pair> {
    pair.lock().unwrap_or_else(|poisoned| {
        let mut guard = poisoned.into_inner();
        *guard = Pair::new(guard.person);
        pair.clear_poison();
        guard
    })
}

#[cfg(test)]
mod tests;
