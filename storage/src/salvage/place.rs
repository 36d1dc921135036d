//! What of the log holds together, what is lost, and what follows for consent.

use super::rows::Rows;
use super::{Whole, event_of};
use crate::content::{PURGED, key_row};
use crate::gaps::{Apart, Halt, Lost};
use crate::kv::Keyspace;
use crate::kv::sealed::OpaqueKey;
use crate::layout::{self, meta, number_of, ordered};
use crate::records::{Facts, Member};
use crate::store::StoreError;
use crdt::codec::Canonical as _;
use crdt::event::{Event, Feed, Kind, Signed};
use crdt::id::{EventId, MemoryId};
use crdt::memory::Content;
use std::collections::{BTreeMap, BTreeSet};

/// Keyspaces that are taken over row by row.
const CARRIED: [Keyspace; 12] = [
    layout::KEY,
    layout::MEMBER,
    layout::SCOPE,
    layout::LEDGER,
    layout::TREE,
    layout::LINE,
    layout::WITNESS,
    layout::ECHO,
    layout::PEER,
    layout::INVITE,
    layout::TRAY,
    layout::LATE,
];
/// Rows of `meta` that are written anew, or made again with what they speak of.
const NOT_CARRIED: [&[u8]; 8] = [
    meta::FORMAT,
    meta::HALT,
    meta::VECTOR_CURSOR,
    meta::VECTOR_MODEL,
    meta::CHOSEN_CURSOR,
    meta::CHOSEN_MODEL,
    meta::CHOSEN_PROBE,
    meta::CHOSEN_COMPLETE,
];

/// Sorts the rows of a damaged store into what the new one has.
pub(super) fn place(rows: &Rows, names: &OpaqueKey) -> Result<Whole, StoreError> {
    let entries = entries(rows)?;
    let mut sorting = Sorting::new(rows, names, &entries);
    let mut whole = Whole::default();
    for (place, event) in &entries {
        match sorting.need(event) {
            None => {
                sorting.placed.insert(event.id());
                whole.log.push(event.bytes().to_vec());
            }
            Some(need) => {
                let apart = Apart {
                    place: *place,
                    need,
                    event: event.bytes().to_vec(),
                };
                whole.apart.push((event.clone(), apart));
            }
        }
    }
    whole.lost = lost(rows, names, &entries);
    whole.halt = halt(rows, &whole.lost);
    let head = rows.of(layout::META).rows.contains_key(meta::LEDGER_TREE);
    whole.is_ledger_lost = !head && !rows.of(layout::LEDGER).rows.is_empty();
    whole.rows = carried(rows, names, &sorting, whole.is_ledger_lost);
    Ok(whole)
}

/// Returns every entry that reads, in an order in which each comes after what it builds on.
fn entries(rows: &Rows) -> Result<Vec<(u64, Signed<Event>)>, StoreError> {
    let read = |(key, value): (&Vec<u8>, &Vec<u8>)| {
        let event = Signed::from_bytes(value).ok()?;
        event.signature_holds().then_some((number_of(key)?, event))
    };
    let log = rows.of(layout::LOG).rows.iter().filter_map(read);
    let mut entries: Vec<(u64, Signed<Event>)> = log.collect();
    let mut apart = Vec::new();
    for row in rows.of(layout::APART).rows.values() {
        if let Ok(row) = Apart::from_bytes(row) {
            apart.push((row.place, event_of(&row)?));
        }
    }
    apart.sort_by_key(|(place, _)| *place);
    let known: BTreeSet<EventId> = entries.iter().map(|(_, event)| event.id()).collect();
    apart.retain(|(_, event)| !known.contains(&event.id()));
    entries.extend(apart);
    Ok(entries)
}

/// Tells of each entry whether it can be in the new log.
struct Sorting<'a> {
    rows: &'a Rows,
    names: &'a OpaqueKey,
    placed: BTreeSet<EventId>,
    /// Memories whose keys were destroyed: they are not missed.
    purged: BTreeSet<MemoryId>,
    /// Memories of which a key is lost.
    keyless: BTreeSet<MemoryId>,
}

impl<'a> Sorting<'a> {
    fn new(rows: &'a Rows, names: &'a OpaqueKey, entries: &[(u64, Signed<Event>)]) -> Self {
        let purges = entries
            .iter()
            .filter(|(_, event)| event.header().kind == Kind::Purge);
        let mut purged: BTreeSet<MemoryId> =
            purges.filter_map(|(_, event)| event.memory()).collect();
        purged.extend(
            facts(rows)
                .filter(|facts| facts.purged)
                .map(|facts| facts.id),
        );
        Self {
            rows,
            names,
            placed: BTreeSet::new(),
            purged,
            keyless: BTreeSet::new(),
        }
    }

    /// Returns what an entry needs first that is not there; itself if its key is lost.
    fn need(&mut self, event: &Signed<Event>) -> Option<EventId> {
        let header = event.header();
        let root = match header.feed {
            Feed::Memory(memory) | Feed::Sidecar(memory) => Some(EventId(memory.0)),
            _ => None,
        };
        let needs = root.iter().chain(&header.previous).chain(&header.parents);
        let missing = needs.copied().find(|need| !self.placed.contains(need));
        missing.or_else(|| self.has_lost_key(event).then_some(event.id()))
    }

    fn has_lost_key(&mut self, event: &Signed<Event>) -> bool {
        let header = event.header();
        let (Some(commitment), Some(memory)) = (header.commitment, event.memory()) else {
            return false;
        };
        if header.kind == Kind::Sidecar {
            let row = [meta::SIDECAR_KEYS, &commitment.0].concat();
            return !self.rows.of(layout::META).rows.contains_key(&row);
        }
        let keys = self.rows.of(layout::KEY);
        let row = key_row(self.names, memory, header.epoch, &commitment);
        let content = self.names.opaque(memory.as_bytes());
        let content = self.rows.of(layout::CONTENT).rows.get(&content[..]);
        let is_lost = !keys.is_complete
            && !keys.rows.contains_key(&row)
            && !self.purged.contains(&memory)
            && content.is_none_or(|content| content != PURGED);
        if is_lost {
            self.keyless.insert(memory);
        }
        is_lost
    }
}

fn facts(rows: &Rows) -> impl Iterator<Item = Facts> {
    let rows = rows.of(layout::FACTS).rows.values();
    rows.filter_map(|row| Facts::from_bytes(row).ok())
}

/// Returns the events that other rows speak of, with their memory where they say it.
fn spoken(rows: &Rows) -> BTreeMap<EventId, Option<MemoryId>> {
    let mut spoken: BTreeMap<EventId, Option<MemoryId>> = BTreeMap::new();
    for row in rows.of(layout::FEED).rows.values() {
        if let Ok(id) = <[u8; 32]>::try_from(row.as_slice()) {
            spoken.entry(EventId(id)).or_default();
        }
    }
    for facts in facts(rows) {
        let private = facts.sidecar_events().iter().copied();
        let events = facts.events().chain(private).map(|(_, event)| event);
        for event in events.chain([facts.root()]) {
            spoken.insert(event, Some(facts.id));
        }
    }
    spoken
}

/// Names the entries that do not read any more, by all that spoke of them.
fn lost(
    rows: &Rows,
    names: &OpaqueKey,
    entries: &[(u64, Signed<Event>)],
) -> BTreeMap<Vec<u8>, Lost> {
    let here: BTreeSet<EventId> = entries.iter().map(|(_, event)| event.id()).collect();
    let places: BTreeSet<u64> = entries.iter().map(|(place, _)| *place).collect();
    let spoken = spoken(rows);
    let mut all: BTreeMap<Vec<u8>, Lost> = BTreeMap::new();
    let numbers: BTreeMap<&Vec<u8>, u64> = rows
        .of(layout::EVENT)
        .rows
        .iter()
        .filter_map(|(key, place)| Some((key, number_of(place)?)))
        .collect();
    let mut add = |key: Vec<u8>, place: u64, event: Option<(EventId, Option<MemoryId>)>| {
        let memory = event.and_then(|(_, memory)| memory);
        let title = memory.and_then(|memory| title(rows, names, memory));
        let is_consent = memory.is_none() && may_be_consent(rows, place);
        let event = event.map(|(event, _)| event);
        let lost = Lost {
            place,
            event,
            memory,
            title,
            is_consent,
        };
        all.insert(key, lost);
    };
    let mut named = BTreeSet::new();
    for (event, memory) in spoken.iter().filter(|(event, _)| !here.contains(event)) {
        let key = names.opaque(event.as_bytes()).to_vec();
        let place = numbers.get(&key).copied().unwrap_or_default();
        named.insert(place);
        add(key, place, Some((*event, *memory)));
    }
    for (key, place) in &numbers {
        if !places.contains(place) && named.insert(*place) {
            add((*key).clone(), *place, None);
        }
    }
    let log = rows.of(layout::LOG);
    let consent = rows.of(layout::CONSENT).rows.keys();
    let said = consent
        .chain(log.rows.keys())
        .filter_map(|key| number_of(key));
    let last = said
        .chain(numbers.values().copied())
        .chain(log.before)
        .max();
    for place in 1..=last.unwrap_or_default() {
        if !places.contains(&place) && !named.contains(&place) {
            add(
                [b"place ".as_slice(), &ordered(place)].concat(),
                place,
                None,
            );
        }
    }
    for (key, row) in &rows.of(layout::LOST).rows {
        if let Ok(before) = Lost::from_bytes(row) {
            all.entry(key.clone()).or_insert(before);
        }
    }
    all
}

fn title(rows: &Rows, names: &OpaqueKey, memory: MemoryId) -> Option<String> {
    let key = names.opaque(memory.as_bytes());
    let content = rows.of(layout::CONTENT).rows.get(&key[..])?;
    Content::from_bytes(content)
        .ok()
        .map(|content| content.title)
}

/// Tells whether the entry at a place was, or may have been, about consent.
fn may_be_consent(rows: &Rows, place: u64) -> bool {
    let consent = rows.of(layout::CONSENT);
    let is_known = consent.is_complete && place > 0;
    !is_known || consent.rows.contains_key(&ordered(place)[..])
}

/// Tells whether anything may leave: a revocation, or a stricter policy, may be among what is lost.
fn halt(rows: &Rows, lost: &BTreeMap<Vec<u8>, Lost>) -> Halt {
    let before = rows.of(layout::META).rows.get(meta::HALT);
    let before = before.map_or(Halt::None, |row| Halt::from_row(row));
    let is_some_lost = lost.values().any(|lost| lost.is_consent);
    let is_told = rows.of(layout::CONSENT).is_complete || rows.of(layout::EVENT).is_complete;
    // How far keys were rotated, and what devices were retired, is noted there too.
    let now = if !rows.of(layout::META).is_complete {
        Halt::UntilTold
    } else if is_some_lost {
        if is_told {
            Halt::UntilBack
        } else {
            Halt::UntilTold
        }
    } else if rows.of(layout::LOG).is_complete || is_told {
        Halt::None
    } else {
        Halt::UntilTold
    };
    now.max(before)
}

/// Returns the rows that are taken over as they are.
fn carried(
    rows: &Rows,
    names: &OpaqueKey,
    sorting: &Sorting<'_>,
    is_ledger_lost: bool,
) -> Vec<(Keyspace, Vec<u8>, Vec<u8>)> {
    let mut carried = Vec::new();
    let keyless = &sorting.keyless;
    // Rows of a time that is over may have the keys of a memory that was purged since.
    let destroyed: BTreeSet<[u8; 16]> = sorting
        .purged
        .iter()
        .map(|memory| names.opaque(memory.as_bytes()))
        .collect();
    let is_destroyed = |key: &Vec<u8>| {
        key.first_chunk::<16>()
            .is_some_and(|name| destroyed.contains(name))
    };
    for keyspace in CARRIED {
        // Without its head a ledger is not gone on with; what it says stays in the file aside.
        if is_ledger_lost && [layout::LEDGER, layout::TREE, layout::LINE].contains(&keyspace) {
            continue;
        }
        for (key, value) in &rows.of(keyspace).rows {
            // Whoever was given a memory gives its keys again where the membership is missing.
            let is_asked_for = keyspace == layout::MEMBER
                && Member::from_bytes(value).is_ok_and(|row| keyless.contains(&row.memory));
            let is_gone = keyspace == layout::KEY && is_destroyed(key);
            if !is_asked_for && !is_gone {
                carried.push((keyspace, key.clone(), value.clone()));
            }
        }
    }
    for (key, value) in &rows.of(layout::META).rows {
        if !NOT_CARRIED.contains(&key.as_slice()) {
            carried.push((layout::META, key.clone(), value.clone()));
        }
    }
    carried
}
