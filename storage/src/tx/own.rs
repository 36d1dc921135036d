//! Between the devices of one person: everything goes, keys under the own scope key.
//!
//! A content key travels with the events it opens. What was given to whom travels as keys of the
//! grants concerned, which open nothing and carry the fact alone.

use super::Tx;
use super::append::AppendError;
use super::disclose::{DisclosedMemory, Disclosure, key_sent};
use super::quota::Room;
use super::take::Taken;
use crate::ledger::Entry;
use crate::records::Member;
use crate::store::StoreError;
use crdt::envelope::{ContentKey, Epoch, ScopeKey, SealedKey};
use crdt::event::{Event, Feed, Kind, Signed};
use crdt::id::{EventId, GrantId, MemoryId};
use std::collections::{BTreeMap, BTreeSet};

/// The epoch that says "the keys of this memory are destroyed".
const DESTROYED: Epoch = Epoch(u32::MAX);

type Asked = BTreeMap<MemoryId, (Vec<(u64, EventId, Vec<u8>)>, BTreeSet<GrantId>)>;

impl Tx<'_> {
    /// Hands events and memberships to another device of this person.
    pub(super) fn disclose_own(&mut self, asked: Asked) -> Result<Disclosure, AppendError> {
        let mut disclosure = Disclosure::default();
        let Some((name, scope)) = self.current_scope()? else {
            let items = asked
                .values()
                .map(|(events, grants)| events.len() + grants.len());
            disclosure.withheld = u32::try_from(items.sum::<usize>()).unwrap_or(u32::MAX);
            return Ok(disclosure);
        };
        for (memory, (mut events, grants)) in asked {
            let mut keys = self.keys_of(memory, (name, &scope), &events)?;
            keys.extend(self.memberships_of(memory, &scope, &grants));
            events.sort_unstable();
            let sizes = events.iter().map(|(_, _, bytes)| bytes.len());
            let bytes =
                sizes.sum::<usize>() + keys.iter().map(|key| key.sealed.len()).sum::<usize>();
            let entry = self.record(Entry {
                number: 0,
                time: self.now,
                person: self.state.me,
                memory,
                events: events.iter().map(|(_, id, _)| *id).collect(),
                keys: keys.iter().map(key_sent).collect(),
                bytes: bytes as u64,
                grant: None,
                blob: None,
            })?;
            disclosure.memories.push(DisclosedMemory {
                memory,
                events: events
                    .into_iter()
                    .map(|(number, _, bytes)| (number, bytes))
                    .collect(),
                keys,
                entry,
            });
        }
        disclosure
            .memories
            .sort_by_key(|memory| memory.events.first().map(|event| event.0));
        Ok(disclosure)
    }

    /// Seals the content keys of the events that go, or says that they are destroyed.
    fn keys_of(
        &self,
        memory: MemoryId,
        (name, scope): (GrantId, &ScopeKey),
        events: &[(u64, EventId, Vec<u8>)],
    ) -> Result<Vec<SealedKey>, StoreError> {
        let rng = &mut self.rng();
        let facts = self.state.memories.get(&memory);
        if facts.is_some_and(|facts| facts.purged) {
            let nothing = ContentKey::random(rng);
            return Ok(vec![scope.seal_key(name, memory, DESTROYED, &nothing, rng)]);
        }
        let read = events
            .iter()
            .filter_map(|(_, _, bytes)| Signed::from_bytes(bytes).ok());
        let sealed = read.filter(|event| matches!(event.header().kind, Kind::Root | Kind::Change));
        let epochs: BTreeSet<Epoch> = sealed.map(|event| event.header().epoch).collect();
        let mut keys = Vec::new();
        for epoch in epochs {
            for key in self.content_keys(memory, epoch)? {
                keys.push(scope.seal_key(name, memory, epoch, &key, rng));
            }
        }
        Ok(keys)
    }

    fn memberships_of(
        &self,
        memory: MemoryId,
        scope: &ScopeKey,
        grants: &BTreeSet<GrantId>,
    ) -> Vec<SealedKey> {
        let rng = &mut self.rng();
        let nothing = ContentKey::random(rng);
        let given = self.state.members.get(&memory);
        let mut keys = Vec::new();
        for (grant, epochs) in given.into_iter().flatten() {
            if grants.contains(grant) {
                let seal = |epoch: &Epoch| scope.seal_key(*grant, memory, *epoch, &nothing, rng);
                keys.extend(epochs.iter().map(seal));
            }
        }
        keys
    }

    /// Takes in keys and events from another device of this person. Every event passes the same
    /// admission as from anyone else.
    pub(super) fn take_own(
        &mut self,
        events: &[Vec<u8>],
        keys: &[SealedKey],
    ) -> Result<Taken, StoreError> {
        let mut taken = Taken::default();
        for key in keys {
            if self.take_own_key(key)? {
                taken.members += 1;
                taken.memories.insert(key.memory);
            }
        }
        self.expire_waiting();
        let me = self.state.me;
        for bytes in events {
            let Ok(event) = Signed::from_bytes(bytes) else {
                taken.refused.push((EventId([0; 32]), "malformed"));
                continue;
            };
            self.take_event(me, event, &mut Room::default(), &mut taken)?;
        }
        Ok(taken)
    }

    pub(super) fn is_own_content(&self, event: &Signed<Event>) -> bool {
        match event.header().feed {
            Feed::Root | Feed::Memory(_) => true,
            Feed::Sidecar(_) => event.header().person == self.state.me,
            Feed::Pair(_) | Feed::Own => false,
        }
    }

    /// Takes in a key; tells whether a membership is new.
    fn take_own_key(&mut self, sealed: &SealedKey) -> Result<bool, StoreError> {
        let Some(key) = self.open_own(sealed)? else {
            return Ok(false);
        };
        let (memory, epoch) = (sealed.memory, sealed.epoch);
        if self.state.own.scopes.contains_key(&sealed.grant) {
            let facts = self.state.memories.get(&memory);
            if epoch == DESTROYED {
                self.state.own.doomed.insert(memory);
            } else if !facts.is_some_and(|facts| facts.purged) {
                self.put_content_key(memory, epoch, &key)?;
            }
            return Ok(false);
        }
        if self.state.authority.grant(sealed.grant).is_none() {
            return Ok(false);
        }
        let known = self
            .state
            .members
            .get(&memory)
            .and_then(|grants| grants.get(&sealed.grant));
        let mut epochs = known.cloned().unwrap_or_default();
        let Err(at) = epochs.binary_search(&epoch) else {
            return Ok(false);
        };
        epochs.insert(at, epoch);
        let grant = sealed.grant;
        self.put_member(&Member {
            grant,
            memory,
            epochs,
        });
        Ok(true)
    }

    /// Tells whether the keys of a memory are known to be destroyed.
    pub(super) fn is_doomed(&self, memory: MemoryId) -> bool {
        self.doomed.contains(&memory) || self.state.own.doomed.contains(&memory)
    }
}
