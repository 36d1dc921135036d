//! The past: which memories there were at the end of a moment, and what they said then.
//!
//! Not an archive: nothing is kept for it. What was not changed since is what it is now, in the
//! present indices; the few that were are made from the log as they were, and searched beside.
//!
//! ```text
//! Store::past     facts -> not there yet | unchanged: its slot | changed: as it was | gone
//! Store::aside    those that changed, indexed in memory
//! Store::search_past   both, ranked as one
//! Store::still_stands  or again: something old was changed meanwhile
//! ```
//!
//! What counts is what this node knows today of what was written until then, by the times that
//! writers gave: work that came late is in its place, changes that do not count any more (a fork,
//! a retired device) did not then, and a memory of someone else was there from the day on which a
//! grant that brought it was accepted.
//!
//! Invariants: an asker sees nothing of the past that is hidden from them now; while
//! [`Store::still_stands`], the answer is that of a store that never got the later events.

mod then;

use super::generations::Generation;
use super::state::{Mark, Since, State};
use super::{Store, StoreError};
use crate::projection::text::{HITS_MAX, TextAside, TextDoc};
use crate::projection::vectors::VectorIndex;
use crate::records::{Dated, Facts};
use crate::search::{self, Aside, Hit, SearchError, SearchRequest};
use crate::slots::{Slot, SlotSet};
use crdt::id::MemoryId;
use crdt::memory::Content;
use crdt::selector::Selector;
use crdt::time::{Hybrid, Timestamp};
use std::collections::BTreeMap;
use std::sync::Arc;
use thiserror::Error;

/// The most memories that are made as they were for one answer: each costs about a millisecond.
pub const CHANGED_MAX: usize = 5_000;
/// The most bytes of title and body of those that are wanted: they are held in memory meanwhile.
pub const TEXT_BYTES_MAX: u64 = 64 << 20;

/// The reason why the past was not looked at.
#[derive(Debug, Error)]
pub enum PastError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Too much was changed since.
    #[error(
        "{0} memories were changed since, and at most {CHANGED_MAX} can be looked at as they were"
    )]
    TooMany(usize),
    /// What was changed since has too much text.
    #[error("what was changed since had more than {TEXT_BYTES_MAX} bytes of text")]
    TooLarge,
}

/// How much of the past one answer may take.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    pub(super) changed: usize,
    pub(super) bytes: u64,
}

/// Which memories are wanted.
#[derive(Clone, Copy)]
pub struct Wanted<'a> {
    /// What they are, by their labels and texts of then. It does not ask about grants: who could
    /// see what is not known of the past.
    pub selector: &'a Selector,
    /// Tells whether the asker is shown a memory with these facts.
    pub shows: &'a dyn Fn(&State, &Facts) -> bool,
    /// The present.
    pub now: Timestamp,
}

/// A memory as it was: its kind, labels, heads and times are those of then.
#[derive(Debug, Clone)]
pub struct AsItWas {
    /// What is known without the text.
    pub facts: Facts,
    /// What it said.
    pub content: Content,
}

/// The wanted memories as they were at the end of a moment.
#[derive(Debug)]
pub struct Past {
    moment: Timestamp,
    mark: Mark,
    /// Those that were not changed since.
    pub unchanged: SlotSet,
    /// Those that were.
    pub changed: BTreeMap<Slot, AsItWas>,
    /// How many were there, wanted or not, and cannot be shown: purged since, or damaged.
    pub gone: usize,
}

/// What the facts alone say of the past.
#[derive(Debug, Default)]
struct Census {
    unchanged: SlotSet,
    /// Unchanged; whether they are wanted depends on their texts.
    texts: Vec<Arc<Facts>>,
    changed: Vec<Arc<Facts>>,
    gone: usize,
}

impl Store {
    /// Returns the wanted memories as they were at the end of a moment.
    pub fn past(&self, moment: Timestamp, wanted: Wanted<'_>) -> Result<Past, PastError> {
        let bounds = Bounds {
            changed: CHANGED_MAX,
            bytes: TEXT_BYTES_MAX,
        };
        self.past_within(moment, wanted, bounds)
    }

    pub(super) fn past_within(
        &self,
        moment: Timestamp,
        wanted: Wanted<'_>,
        bounds: Bounds,
    ) -> Result<Past, PastError> {
        let (mark, census) = self.read(|state| (state.mark(), Census::of(state, moment, wanted)));
        if census.changed.len() > bounds.changed {
            return Err(PastError::TooMany(census.changed.len()));
        }
        let mut past = Past {
            moment,
            mark,
            unchanged: census.unchanged,
            changed: BTreeMap::new(),
            gone: census.gone,
        };
        for facts in census.texts {
            if let Some(content) = self.content(facts.id)?
                && self.read(|state| wanted.takes(state, &facts, Some(&content)))
            {
                past.unchanged.insert(Slot(facts.slot));
            }
        }
        let mut bytes = 0;
        for facts in census.changed {
            let Some(was) = self.as_it_was(&facts, moment)? else {
                past.gone += 1;
                continue;
            };
            if self.read(|state| wanted.takes(state, &was.facts, Some(&was.content))) {
                bytes += was.facts.bytes;
                if bytes > bounds.bytes {
                    return Err(PastError::TooLarge);
                }
                past.changed.insert(Slot(facts.slot), was);
            }
        }
        Ok(past)
    }

    /// Returns a memory as it was at the end of a moment; none if it was not there yet, or if it
    /// cannot be read any more.
    pub fn memory_at(
        &self,
        memory: MemoryId,
        moment: Timestamp,
    ) -> Result<Option<AsItWas>, StoreError> {
        let facts = self.read(|state| {
            let facts = state.memories.get(&memory)?;
            (began(state, facts) <= moment).then(|| Arc::clone(facts))
        });
        match facts.filter(|facts| !facts.purged) {
            Some(facts) => self.as_it_was(&facts, moment),
            None => Ok(None),
        }
    }

    /// Indexes what was changed since, with the vectors that `embed` makes of title and text by
    /// the built-in model.
    pub fn aside(
        &self,
        past: &Past,
        embed: &dyn Fn(&str, &str) -> Vec<Vec<f32>>,
    ) -> Result<Aside, SearchError> {
        let dimensions = self
            .generations
            .read(Generation::BuiltIn, VectorIndex::dimensions);
        let mut vectors = VectorIndex::new(dimensions);
        let mut docs = Vec::with_capacity(past.changed.len());
        for (slot, was) in &past.changed {
            let content = &was.content;
            let chunks = embed(&content.title, &content.body);
            if !chunks.is_empty() {
                vectors.put(*slot, &chunks)?;
            }
            docs.push(TextDoc {
                slot: *slot,
                title: content.title.clone(),
                body: content.body.clone(),
                tags: content.tags.iter().cloned().collect(),
            });
        }
        Ok(Aside {
            text: TextAside::of(&docs)?,
            vectors,
        })
    }

    /// Searches the past by words and by the built-in model; what the request allows is not
    /// looked at.
    pub fn search_past(
        &self,
        (past, aside): (&Past, &Aside),
        request: &SearchRequest<'_>,
    ) -> Result<Vec<Hit>, SearchError> {
        let request = SearchRequest {
            allowed: Some(&past.unchanged),
            ..request.clone()
        };
        self.generations.read(Generation::BuiltIn, |vectors| {
            search::search_with(&self.text, vectors, Some(aside), &request)
        })
    }

    /// Returns the memories that had words of a query, the best first, up to [`HITS_MAX`].
    pub fn with_words_past(
        &self,
        (past, aside): (&Past, &Aside),
        request: &SearchRequest<'_>,
    ) -> Result<Vec<Slot>, SearchError> {
        let (allowed, beside) = (Some(&past.unchanged), Some(&aside.text));
        let found = self.text.search(request.query, allowed, beside, HITS_MAX)?;
        Ok(found.scores().map(|(slot, _)| slot).collect())
    }

    /// Tells whether nothing that concerns the past was written since it was looked at. New
    /// memories do not.
    pub fn still_stands(&self, past: &Past) -> bool {
        self.read(|state| match state.changed_since(past.mark) {
            Since::Everything => false,
            Since::Memories(changed) => {
                let mut facts = changed.iter().filter_map(|id| state.memories.get(id));
                facts.all(|facts| began(state, facts) > past.moment)
            }
        })
    }
}

impl Census {
    fn of(state: &State, moment: Timestamp, wanted: Wanted<'_>) -> Self {
        let mut census = Self::default();
        let with_texts = wanted.selector.looks_into_texts();
        for facts in state.memories.values() {
            if began(state, facts) > moment {
                continue;
            }
            if facts.purged {
                census.gone += usize::from(ended(facts) > moment);
            } else if is_changed(facts, moment) {
                census.changed.push(Arc::clone(facts));
            } else if with_texts && (wanted.shows)(state, facts) {
                census.texts.push(Arc::clone(facts));
            } else if !with_texts && wanted.takes(state, facts, None) {
                census.unchanged.insert(Slot(facts.slot));
            }
        }
        census
    }
}

impl Wanted<'_> {
    fn takes(&self, state: &State, facts: &Facts, content: Option<&Content>) -> bool {
        let labels = state.label(facts, self.now);
        let labels = match content {
            Some(content) => labels.with_text(&content.title, &content.body),
            None => labels,
        };
        (self.shows)(state, facts) && self.selector.matches(&labels)
    }
}

impl std::fmt::Debug for Wanted<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Wanted({})", self.selector)
    }
}

/// Returns since when a memory is here, as its writer and its grants say.
fn began(state: &State, facts: &Facts) -> Timestamp {
    let root = facts.root();
    let written = facts.events().find(|(_, event)| *event == root);
    let written = written.map_or(facts.created, |(time, _)| time.wall());
    let grants = state.members.get(&facts.id);
    let grants = grants.filter(|_| facts.owner != state.me);
    let accepted = grants
        .into_iter()
        .flat_map(BTreeMap::keys)
        .filter_map(|grant| state.authority.grant(*grant)?.accepted);
    let accepted = accepted.min().map(Hybrid::wall);
    accepted.map_or(written, |accepted| accepted.max(written))
}

/// Returns when a purged memory went: nothing is written in it afterwards.
fn ended(facts: &Facts) -> Timestamp {
    let last = dated(facts).map(|(time, _)| time.wall()).max();
    last.unwrap_or_default()
}

fn is_changed(facts: &Facts, moment: Timestamp) -> bool {
    dated(facts).any(|(time, _)| time.wall() > moment)
}

fn dated(facts: &Facts) -> impl Iterator<Item = Dated> + '_ {
    let private = facts.sidecar_events().iter().copied();
    facts.events().chain(private)
}
