//! Disclosing: what leaves, decided and recorded in one transaction before it leaves.
//!
//! Each item is looked at again under the grants as they stand now. Keys are sealed under the
//! grants' scope keys, the ledger entry is written, and only when all of it is durable does the
//! egress guard hand the bytes on.

use super::Tx;
use super::append::AppendError;
use crate::layout::{self, meta, ordered};
use crate::ledger::{Entry, KeySent, SignedTree, Tree};
use crate::records::{Facts, Member};
use crate::store::{StoreError, decode};
use crdt::codec::Canonical as _;
use crdt::envelope::{ContentKey, Epoch, SealedKey};
use crdt::event::{Feed, Kind, Signed};
use crdt::id::{DeviceId, EventId, GrantId, MemoryId, PersonId};
use std::collections::{BTreeMap, BTreeSet};

/// What is about to leave for one person.
#[derive(Debug, Default)]
pub struct Disclosure {
    /// The memories, in the order of their first event in the log.
    pub memories: Vec<DisclosedMemory>,
    /// Events and memberships that may not leave now.
    pub withheld: u32,
    /// The memories that leave, by each writer who is not their owner.
    written: BTreeMap<DeviceId, BTreeSet<MemoryId>>,
}

/// What is about to leave of one memory.
#[derive(Debug)]
pub struct DisclosedMemory {
    /// The memory.
    pub memory: MemoryId,
    /// Signed bytes by their place in the log.
    pub events: Vec<(u64, Vec<u8>)>,
    /// Content keys, sealed under the scope keys of the grants.
    pub keys: Vec<SealedKey>,
    /// The number of the ledger entry.
    pub entry: u64,
}

impl Tx<'_> {
    /// Decides what of the asked-for events and memberships may leave for a person, seals the
    /// keys, and writes the ledger.
    pub fn disclose(
        &mut self,
        person: PersonId,
        events: &[EventId],
        memberships: &[(GrantId, MemoryId)],
    ) -> Result<Disclosure, AppendError> {
        let mut asked: BTreeMap<MemoryId, Vec<(u64, EventId, Vec<u8>)>> = BTreeMap::new();
        let mut disclosure = Disclosure::default();
        let is_own = person == self.state.me;
        if self.state.gaps.is_halted() {
            let asked = events.len() + memberships.len();
            disclosure.withheld = u32::try_from(asked).unwrap_or(u32::MAX);
            return Ok(disclosure);
        }
        for id in events {
            let row = self.get(layout::EVENT, &self.opaque.opaque(id.as_bytes()))?;
            let number = row.as_deref().and_then(layout::number_of);
            let event = self.logged(*id)?;
            match (
                number,
                event
                    .as_ref()
                    .and_then(|event| Some((event, event.memory()?))),
            ) {
                (Some(number), Some((event, memory)))
                    if is_own || event.header().kind != Kind::Sidecar =>
                {
                    let bytes = event.bytes().to_vec();
                    asked.entry(memory).or_default().push((number, *id, bytes));
                }
                _ => disclosure.withheld += 1,
            }
        }
        let mut keyed: BTreeMap<MemoryId, BTreeSet<GrantId>> = BTreeMap::new();
        for (grant, memory) in memberships {
            keyed.entry(*memory).or_default().insert(*grant);
            asked.entry(*memory).or_default();
        }
        if is_own {
            let asked = asked.into_iter().map(|(memory, events)| {
                let grants = keyed.remove(&memory).unwrap_or_default();
                (memory, (events, grants))
            });
            let mut handed = self.disclose_own(asked.collect())?;
            handed.withheld += disclosure.withheld;
            return Ok(handed);
        }
        for (memory, events) in asked {
            let asked_for = keyed.remove(&memory).unwrap_or_default();
            self.disclose_memory(person, memory, events, &asked_for, &mut disclosure)?;
        }
        for (writer, memories) in std::mem::take(&mut disclosure.written) {
            self.vouch_for(person, writer, &memories)?;
        }
        disclosure
            .memories
            .sort_by_key(|memory| memory.events.first().map(|event| event.0));
        Ok(disclosure)
    }

    fn disclose_memory(
        &mut self,
        person: PersonId,
        memory: MemoryId,
        mut events: Vec<(u64, EventId, Vec<u8>)>,
        asked_for: &BTreeSet<GrantId>,
        disclosure: &mut Disclosure,
    ) -> Result<(), AppendError> {
        let held_back = u32::try_from(events.len() + asked_for.len()).unwrap_or(u32::MAX);
        let Some(facts) = self.state.memories.get(&memory).cloned() else {
            disclosure.withheld += held_back;
            return Ok(());
        };
        let grants = self.grants_between(&facts, person);
        let first = if let Some(first) = grants.first().copied() {
            first
        } else if let Some(grant) = self.late_only(person, &mut events) {
            // Without a grant only late work goes, to the owner of the memory.
            let going = u32::try_from(events.len() + asked_for.len());
            disclosure.withheld += held_back.saturating_sub(going.unwrap_or(u32::MAX));
            grant
        } else {
            disclosure.withheld += held_back;
            return Ok(());
        };
        let is_mine = facts.owner == self.state.me;
        if is_mine {
            let forked = self.state.forks.get(&memory);
            // The proof of a fork is shown too, where nothing of its author counts.
            let frozen = forked.iter().flat_map(|forked| &forked.frozen);
            let written = facts.writers().iter().map(|written| written.device);
            for device in written.chain(frozen.map(|frozen| frozen.device)) {
                let memories = disclosure.written.entry(device).or_default();
                memories.insert(memory);
            }
            self.introduce_writers(person, &facts, &events)?;
        }
        // An owner who asks has lost the keys, and has them back from who was given them.
        let mut keys = Vec::new();
        if is_mine || !asked_for.is_empty() {
            keys = self.seal_keys(&facts, &grants, &events, asked_for)?;
        }
        let has_key = |grant: &GrantId| keys.iter().any(|key| key.grant == *grant);
        let keyless = asked_for.iter().filter(|grant| !has_key(grant)).count();
        disclosure.withheld += u32::try_from(keyless).unwrap_or(u32::MAX);
        if events.is_empty() && keys.is_empty() {
            return Ok(());
        }
        events.sort_unstable();
        let ids = events.iter().map(|(_, id, _)| *id).collect();
        let sizes = events.iter().map(|(_, _, bytes)| bytes.len());
        let bytes = sizes.sum::<usize>() + keys.iter().map(|key| key.sealed.len()).sum::<usize>();
        let entry = self.record(Entry {
            number: 0,
            time: self.now,
            person,
            memory,
            events: ids,
            keys: keys.iter().map(key_sent).collect(),
            bytes: bytes as u64,
            grant: Some(first),
            blob: None,
        })?;
        let events = events
            .into_iter()
            .map(|(number, _, bytes)| (number, bytes))
            .collect();
        disclosure.memories.push(DisclosedMemory {
            memory,
            events,
            keys,
            entry,
        });
        Ok(())
    }

    /// Returns the grants under which a memory may go to a person, as its owner or as its reader.
    fn grants_between(&self, facts: &Facts, person: PersonId) -> Vec<GrantId> {
        if facts.owner == self.state.me {
            self.state
                .grants_over(facts, person, self.now)
                .map(|grant| grant.id)
                .collect()
        } else if facts.owner == person {
            self.state
                .held_under(facts, self.now)
                .map(|grant| grant.id)
                .collect()
        } else {
            Vec::new()
        }
    }

    /// Leaves the own changes that may be handed to the owner late; returns their grant.
    fn late_only(
        &mut self,
        person: PersonId,
        events: &mut Vec<(u64, EventId, Vec<u8>)>,
    ) -> Option<GrantId> {
        let mut grant = None;
        events.retain(|(_, id, _)| {
            let handed = self.hand_over(person, *id);
            grant = grant.or(handed);
            handed.is_some()
        });
        grant
    }

    /// Tells a person of my devices that wrote what leaves, before it leaves.
    fn introduce_writers(
        &mut self,
        person: PersonId,
        facts: &Facts,
        events: &[(u64, EventId, Vec<u8>)],
    ) -> Result<(), AppendError> {
        let read = events
            .iter()
            .filter_map(|(_, _, bytes)| Signed::from_bytes(bytes).ok());
        let writers: BTreeSet<DeviceId> = read.map(|event| event.header().author).collect();
        for writer in writers {
            self.tell_of_writer(person, writer, Feed::Memory(facts.id))?;
        }
        Ok(())
    }

    /// Seals the keys of the events that leave, and all keys where a membership is new.
    fn seal_keys(
        &mut self,
        facts: &Facts,
        grants: &[GrantId],
        events: &[(u64, EventId, Vec<u8>)],
        asked_for: &BTreeSet<GrantId>,
    ) -> Result<Vec<SealedKey>, StoreError> {
        let of_events: BTreeSet<Epoch> = events
            .iter()
            .filter_map(|(_, _, bytes)| Signed::from_bytes(bytes).ok())
            .filter(|event| event.header().kind.is_sealed())
            .map(|event| event.header().epoch)
            .collect();
        let mut keys = Vec::new();
        for grant in grants {
            let Some(scope) = self.scope_key(*grant)? else {
                continue;
            };
            let known = self
                .state
                .members
                .get(&facts.id)
                .and_then(|grants| grants.get(grant));
            let is_new = known.is_none() || asked_for.contains(grant);
            let known: BTreeSet<Epoch> = known.into_iter().flatten().copied().collect();
            let epochs: BTreeSet<Epoch> = if is_new {
                let mut epochs = self.epochs_of(facts.id)?;
                if facts.purged {
                    epochs.insert(Epoch(0));
                }
                epochs
            } else {
                of_events.clone()
            };
            for epoch in &epochs {
                let rng = &mut self.rng();
                let mut of_epoch = self.content_keys(facts.id, *epoch)?;
                if of_epoch.is_empty() && facts.purged && is_new && *epoch == Epoch(0) {
                    // The keys are destroyed: one that opens nothing carries the membership.
                    of_epoch.push(ContentKey::random(rng));
                }
                let seal = |key: &ContentKey| scope.seal_key(*grant, facts.id, *epoch, key, rng);
                keys.extend(of_epoch.iter().map(seal));
            }
            let sealed = keys
                .iter()
                .filter(|key| key.grant == *grant)
                .map(|key| key.epoch);
            let epochs = known.iter().copied().chain(sealed).collect::<BTreeSet<_>>();
            if epochs != known {
                let epochs = epochs.into_iter().collect();
                self.put_member(&Member {
                    grant: *grant,
                    memory: facts.id,
                    epochs,
                });
            }
        }
        Ok(keys)
    }

    pub(super) fn put_member(&mut self, member: &Member) {
        self.save_members(member.memory);
        let grant = self.opaque.opaque(member.grant.as_bytes());
        let row = [grant.as_slice(), &self.memory_key(member.memory)].concat();
        self.put(layout::MEMBER, row, member.to_bytes());
        self.state.add_member(member);
    }

    /// Appends a ledger entry to the whole ledger and to the line of its person, and signs the
    /// new head.
    pub(super) fn record(&mut self, mut entry: Entry) -> Result<u64, StoreError> {
        let mut tree = match self.get(layout::META, meta::LEDGER_TREE)? {
            Some(bytes) => decode::<SignedTree>(layout::META.0, &bytes)?.tree,
            None => Tree::default(),
        };
        entry.number = tree.size() + 1;
        let bytes = entry.to_bytes();
        let all = self.opaque.opaque(layout::TREE_OF_ALL);
        for (level, index, hash) in tree.push(&bytes) {
            self.put(
                layout::TREE,
                layout::subtree(&all, level, index),
                hash.0.to_vec(),
            );
        }
        self.put(layout::LEDGER, ordered(entry.number).to_vec(), bytes);
        let signed = tree.sign(&self.owner.device).to_bytes();
        self.put(layout::META, meta::LEDGER_TREE.to_vec(), signed);
        self.record_in_line(&entry)?;
        Ok(entry.number)
    }

    fn record_in_line(&mut self, entry: &Entry) -> Result<(), StoreError> {
        let person = self.opaque.opaque(entry.person.as_bytes());
        let mut line = match self.get(layout::LINE, &person)? {
            Some(bytes) => decode::<Tree>(layout::LINE.0, &bytes)?,
            None => Tree::default(),
        };
        let number = line.size() + 1;
        for (level, index, hash) in line.push(&entry.in_line(number).to_bytes()) {
            self.put(
                layout::TREE,
                layout::subtree(&person, level, index),
                hash.0.to_vec(),
            );
        }
        let row = [person.as_slice(), &ordered(number)].concat();
        self.put(layout::LINE, row, ordered(entry.number).to_vec());
        self.put(layout::LINE, person.to_vec(), line.to_bytes());
        Ok(())
    }
}

pub(super) fn key_sent(key: &SealedKey) -> KeySent {
    KeySent {
        grant: key.grant,
        epoch: key.epoch,
    }
}
