//! What is like what: memories near one, and memories that say nearly the same.

use super::view::summary;
use super::{Failure, Services};
use crdt::id::MemoryId;
use crdt::selector::Selector;
use protocol::api::alike::{Duplicate, DuplicateGroup, Duplicates, Related, RelatedMemories};
use protocol::api::memories::Summary;
use protocol::api::problem::ErrorCode;
use protocol::api::{PAGE_DEFAULT, PAGE_MAX};
use std::collections::BTreeSet;
use storage::search::duplicates::{Groups, Sketch};
use storage::slots::Slot;
use storage::store::generations::Generation;

const RELATED_DEFAULT: usize = 10;
/// A cosine below which two texts have nothing to do with each other.
const RELATED_MIN: f32 = 0.3;

impl Services {
    /// Returns the memories near one: those it is linked with, then the nearest in meaning.
    pub fn related(&self, id: &str, limit: Option<usize>) -> Result<RelatedMemories, Failure> {
        let limit = limit.unwrap_or(RELATED_DEFAULT).clamp(1, PAGE_MAX);
        let memory = self.find(id)?;
        let targets = self.targets(memory)?;
        let slot = self
            .store()
            .read(|state| state.memories.get(&memory).map(|facts| facts.slot));
        let allowed = self.store().selected(&Selector::All, crate::clock::now());
        // Before the search, so that what it says was searched.
        let vector_lag = self.lag(Generation::BuiltIn)?;
        let slot = Slot(slot.unwrap_or_default());
        let near = self.store().related(slot, &allowed, limit);
        let near = near.map_err(|error| {
            Failure::new(ErrorCode::Internal, "the search failed").because(error.to_string())
        })?;
        let mut found: Vec<(MemoryId, Option<f32>)> = self.store().read(|state| {
            let near = near.iter().filter(|(_, cosine)| *cosine >= RELATED_MIN);
            near.filter_map(|(slot, cosine)| Some((*state.slots.get(&slot.0)?, Some(*cosine))))
                .collect()
        });
        let known: BTreeSet<MemoryId> = found.iter().map(|(id, _)| *id).collect();
        let others = targets.iter().filter(|target| !known.contains(target));
        found.extend(others.map(|target| (*target, None)));
        let mut items = Vec::with_capacity(found.len());
        for (other, score) in found {
            let linked = targets.contains(&other) || self.targets(other)?.contains(&memory);
            items.extend(self.shown(other)?.map(|memory| Related {
                memory,
                score,
                linked,
            }));
        }
        // Stable, so that the nearest stay in front of the others.
        items.sort_by_key(|item| !item.linked);
        items.truncate(limit);
        Ok(RelatedMemories { items, vector_lag })
    }

    /// Groups the memories that a selector takes in and that say nearly the same.
    pub fn duplicates(&self, q: Option<&str>, limit: Option<usize>) -> Result<Duplicates, Failure> {
        let selector = Selector::parse(q.unwrap_or_default())?;
        let limit = limit.unwrap_or(PAGE_DEFAULT).clamp(1, PAGE_MAX);
        let selected = self.select(&selector)?;
        let mut oldest_first: Vec<_> = self.store().read(|state| {
            let facts = selected.iter().filter_map(|id| state.memories.get(id));
            let shown = facts.filter(|facts| state.is_shown(facts));
            shown
                .map(|facts| (facts.created, facts.slot, facts.id))
                .collect()
        });
        oldest_first.sort_unstable();
        let mut groups = Groups::default();
        let mut compared = 0;
        for (_, _, id) in oldest_first {
            if let Some(content) = self.store().content(id)? {
                groups.add(
                    id,
                    Sketch::of(&format!("{}\n{}", content.title, content.body)),
                );
                compared += 1;
            }
        }
        let found = groups.into_groups();
        let count = found.len();
        let mut shown = Vec::new();
        for group in found.into_iter().take(limit) {
            let mut items = Vec::with_capacity(group.len());
            for (id, likeness) in group {
                let memory = self.shown(id)?;
                items.extend(memory.map(|memory| Duplicate { memory, likeness }));
            }
            shown.push(DuplicateGroup { items });
        }
        Ok(Duplicates {
            groups: shown,
            found: count,
            compared,
        })
    }

    /// Returns what a memory links to.
    fn targets(&self, memory: MemoryId) -> Result<BTreeSet<MemoryId>, Failure> {
        let content = self.store().content(memory)?;
        let links = content.map(|content| content.links).unwrap_or_default();
        Ok(links.into_iter().map(|link| link.to).collect())
    }

    /// Returns a memory as lists show it; none if it is not to be seen.
    fn shown(&self, memory: MemoryId) -> Result<Option<Summary>, Failure> {
        let Some(content) = self.store().content(memory)? else {
            return Ok(None);
        };
        Ok(self.store().read(|state| {
            let facts = state.memories.get(&memory);
            let facts = facts.filter(|facts| state.is_shown(facts))?;
            Some(summary(state, facts, content.title))
        }))
    }
}
