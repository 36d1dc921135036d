//! What the store says of itself, compared with the book and with a rebuild.

use super::book::{Done, Kept, WORDS};
use super::*;
use crdt::memory::Status;
use std::collections::BTreeSet;

/// Hits enough for every memory of a life.
const HITS: usize = 1_000;

/// What a store tells, read through its own interface.
#[derive(Debug)]
pub(super) struct Seen {
    memories: BTreeMap<MemoryId, Kept>,
    grants: BTreeMap<GrantId, (String, &'static str)>,
    sent: Vec<MemoryId>,
}

/// Reads all memories, grants and the ledger.
pub(super) fn look(store: &Store) -> Result<Seen, String> {
    let spaces = store.read(|state| {
        let all = state.memories.values();
        let told = all.map(|facts| {
            let space = facts.sidecar.space().to_owned();
            (facts.id, facts.purged, space)
        });
        told.collect::<Vec<_>>()
    });
    let mut memories = BTreeMap::new();
    for (memory, purged, space) in spaces {
        let content = store
            .content(memory)
            .map_err(|error| format!("content: {error}"))?;
        if content.is_some() == purged {
            return Err(format!(
                "half an event: {memory:?} purged {purged}, content {content:?}"
            ));
        }
        memories.insert(memory, Kept { content, space });
    }
    let grants = store.read(|state| {
        let all = state.authority.grants();
        let told = all.map(|grant| {
            let tag = grant.selector.trim_start_matches("tag:").to_owned();
            (grant.id, (tag, grant.state(NOW).as_str()))
        });
        told.collect()
    });
    let sent = store
        .ledger(0, usize::MAX)
        .map_err(|error| format!("ledger: {error}"))?;
    Ok(Seen {
        memories,
        grants,
        sent: sent.iter().map(|entry| entry.memory).collect(),
    })
}

impl Seen {
    /// Tells whether it is what the book says.
    pub(super) fn is(&self, book: &Book) -> Result<(), String> {
        for (memory, kept) in &book.memories {
            match self.memories.get(memory) {
                None => return Err(format!("lost: {memory:?} {kept:?}")),
                Some(found) if same(found, kept) => {}
                Some(found) => return Err(format!("{memory:?} is {found:?}, not {kept:?}")),
            }
        }
        if self.memories.len() != book.memories.len() {
            return Err(format!(
                "{} memories, not {}",
                self.memories.len(),
                book.memories.len()
            ));
        }
        if self.grants != book.grants {
            return Err(format!(
                "lost grants: {:?}, not {:?}",
                self.grants, book.grants
            ));
        }
        if self.sent != book.sent {
            return Err(format!(
                "lost entries: {:?}, not {:?}",
                self.sent, book.sent
            ));
        }
        Ok(())
    }

    /// Returns the book as it would be had the act been acknowledged.
    pub(super) fn with(&self, book: &Book, act: &Act) -> Book {
        let memory = self
            .memories
            .keys()
            .find(|id| !book.memories.contains_key(id));
        let grant = self.grants.keys().find(|id| !book.grants.contains_key(id));
        let done = match (act, memory, grant) {
            (Act::Create(_), Some(memory), _) => Done::Memory(*memory),
            (Act::Offer(_), _, Some(grant)) => Done::Grant(*grant),
            _ => Done::Nothing,
        };
        let mut book = book.clone();
        book.note(act, done);
        book
    }
}

/// A purged memory says nothing of the space it was in.
fn same(found: &Kept, kept: &Kept) -> bool {
    found.content == kept.content && (kept.content.is_none() || found.space == kept.space)
}

/// Every entry of the log is there, signed, decodes, and has its row; every memory has its root.
pub(super) fn log_is_whole(store: &Store) -> Result<(), String> {
    let (head, memories) = store.read(|state| {
        let memories: BTreeSet<_> = state.memories.keys().copied().collect();
        (state.head, memories)
    });
    let mut roots = BTreeSet::new();
    for number in 1..=head {
        let event = store.event_at(number).map_err(|error| error.to_string())?;
        let event = event.ok_or_else(|| format!("log entry {number} of {head} is missing"))?;
        if !event.signature_holds() {
            return Err(format!("log entry {number} is not signed"));
        }
        let row = store
            .kv
            .get(layout::EVENT, &store.opaque.opaque(event.id().as_bytes()));
        let row = row.map_err(|error| error.to_string())?;
        if row.as_deref().and_then(layout::number_of) != Some(number) {
            return Err(format!("log entry {number} has no row of its own: {row:?}"));
        }
        if event.header().kind == crdt::event::Kind::Root {
            roots.insert(event.id().as_memory());
        }
    }
    if roots != memories {
        return Err(format!(
            "half an event: roots {roots:?}, memories {memories:?}"
        ));
    }
    Ok(())
}

/// The ledger fits its signed head, its lines and its subtrees.
pub(super) fn ledger_is_whole(store: &Store) -> Result<(), String> {
    let verdict = store.verify_ledger().map_err(|error| error.to_string())?;
    verdict
        .fault
        .map_or(Ok(()), |fault| Err(format!("ledger: {fault:?}")))
}

/// Every word is found exactly where the book has it.
pub(super) fn words_are_found(store: &Store, book: &Book) -> Result<(), String> {
    for word in WORDS {
        let expected: BTreeSet<MemoryId> = book
            .memories
            .iter()
            .filter(|(_, kept)| {
                kept.content.as_ref().is_some_and(|content| {
                    let has = content.body.contains(word) || content.title.contains(word);
                    content.status == Status::Active && has
                })
            })
            .map(|(memory, _)| *memory)
            .collect();
        let found: BTreeSet<MemoryId> = find(store, word, None)?
            .into_iter()
            .map(|hit| hit.0)
            .collect();
        if found != expected {
            return Err(format!("{word}: found {found:?}, not {expected:?}"));
        }
    }
    Ok(())
}

/// Returns hits with their whole reasons.
fn find(
    store: &Store,
    word: &str,
    vector: Option<&[f32]>,
) -> Result<Vec<(MemoryId, String)>, String> {
    let query = TextQuery::parse(word);
    let request = SearchRequest {
        query: &query,
        vector,
        allowed: None,
        mode: if vector.is_some() {
            SearchMode::Vector
        } else {
            SearchMode::Text
        },
        limit: HITS,
        fusion: Fusion::default(),
    };
    let hits = store
        .search(Generation::BuiltIn, &request)
        .map_err(|error| format!("search: {error}"))?;
    store.read(|state| {
        let told = hits.iter().map(|hit| {
            let memory = state.slots.get(&hit.slot.0).copied();
            let memory = memory.ok_or_else(|| format!("a hit without a memory: {hit:?}"))?;
            Ok((memory, format!("{:?}", hit.why)))
        });
        told.collect()
    })
}

/// Makes the vectors that are missing, as the indexer of a node does.
pub(super) fn embed(store: &Store) -> Result<(), StoreError> {
    loop {
        let (memories, span) = store.due(Generation::BuiltIn, 64)?;
        if span.from == span.until {
            return Ok(());
        }
        let vectors: Vec<_> = memories
            .iter()
            .map(|memory| {
                let content = memory.content.iter();
                let vectors = content.map(|content| vector_of(&content.body));
                (memory.memory, vectors.collect())
            })
            .collect();
        store.put_vectors(Generation::BuiltIn, &vectors, span)?;
    }
}

fn vector_of(text: &str) -> Vec<f32> {
    let hash = blake3::hash(text.as_bytes());
    let parts = hash.as_bytes().iter().take(4);
    parts.map(|byte| f32::from(*byte) + 1.0).collect()
}

/// Everything that a rebuild must leave as it was.
pub(super) struct Found {
    state: String,
    rows: BTreeMap<(Keyspace, Vec<u8>), Vec<u8>>,
    hits: Vec<Vec<(MemoryId, String)>>,
}

impl Found {
    pub(super) fn everything(store: &Store, kv: &dyn Kv) -> Result<Self, String> {
        embed(store).map_err(|error| format!("embed: {error}"))?;
        let mut rows = BTreeMap::new();
        for keyspace in layout::REBUILT.into_iter().chain([layout::VECTOR]) {
            let mut visit = |key: &[u8], value: &[u8]| {
                rows.insert((keyspace, key.to_vec()), value.to_vec());
                Ok(true)
            };
            open::each_row(kv, keyspace, None, &mut visit)
                .map_err(|error| format!("{keyspace}: {error}"))?;
        }
        let mut hits = Vec::new();
        for word in WORDS {
            hits.push(find(store, word, None)?);
            hits.push(find(store, "", Some(&vector_of(word)))?);
        }
        let state = store.read(|state| {
            let memories = (
                &state.memories,
                &state.slots,
                &state.sources,
                &state.members,
            );
            let others = (
                &state.authority,
                &state.peers,
                &state.consent,
                &state.attached,
            );
            format!("{:?} {memories:?} {others:?}", (state.head, state.rotation))
        });
        Ok(Self { state, rows, hits })
    }

    pub(super) fn equals(&self, rebuilt: &Self) -> Result<(), String> {
        if self.state != rebuilt.state {
            return Err(format!(
                "a rebuild gives another state: {} | {}",
                self.state, rebuilt.state
            ));
        }
        let differing = self
            .rows
            .iter()
            .find(|(row, value)| rebuilt.rows.get(*row) != Some(value));
        if let Some(((keyspace, _), _)) = differing {
            return Err(format!("a rebuild gives another row of {keyspace}"));
        }
        if self.rows.len() != rebuilt.rows.len() {
            return Err(format!(
                "a rebuild gives {} rows, not {}",
                rebuilt.rows.len(),
                self.rows.len()
            ));
        }
        for (before, after) in self.hits.iter().zip(&rebuilt.hits) {
            if before != after {
                return Err(format!("a rebuild finds otherwise: {before:?} | {after:?}"));
            }
        }
        Ok(())
    }
}
