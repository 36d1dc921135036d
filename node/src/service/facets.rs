//! Facets: what was found, counted by kind, tag, person and year, each with the selector for it.

use crdt::selector::Selector;
use protocol::api::search::{Facet, Facets};
use std::cmp::Reverse;
use std::collections::BTreeMap;
use storage::records::Facts;
use storage::slots::Slot;
use storage::store::state::State;

/// Values of one facet that are shown.
const VALUES_MAX: usize = 20;

/// How often each value was met, with its selector.
#[derive(Default)]
struct Counts(BTreeMap<String, usize>);

impl Counts {
    fn add(&mut self, value: &str) {
        *self.0.entry(value.to_owned()).or_default() += 1;
    }

    /// Returns the most frequent values first; equals by name.
    fn facet(self, selector: impl Fn(&str) -> String) -> Vec<Facet> {
        let mut values: Vec<(String, usize)> = self.0.into_iter().collect();
        values.sort_by_key(|(_, count)| Reverse(*count));
        values.truncate(VALUES_MAX);
        let facet = |(value, count): (String, usize)| Facet {
            selector: selector(&value),
            value,
            count,
        };
        values.into_iter().map(facet).collect()
    }
}

/// Returns the facts of a memory as it stands.
pub(super) fn present(state: &State, slot: Slot) -> Option<&Facts> {
    let id = state.slots.get(&slot.0)?;
    state.memories.get(id).map(AsRef::as_ref)
}

/// Counts memories by the facts of them that `of` returns; those that are not shown to the owner
/// are left out.
pub(super) fn count<'a>(
    state: &'a State,
    found: &[Slot],
    of: impl Fn(Slot) -> Option<&'a Facts>,
) -> Facets {
    let (mut kinds, mut tags, mut from, mut years) = <(Counts, Counts, Counts, Counts)>::default();
    let mut counted = 0;
    for facts in found.iter().filter_map(|slot| of(*slot)) {
        if !state.is_shown(facts) {
            continue;
        }
        counted += 1;
        kinds.add(facts.kind.as_str());
        // A tag that is set for all and for oneself is one.
        let own = facts
            .sidecar
            .tags()
            .filter(|tag| !facts.tags.iter().any(|shared| **shared == **tag));
        for tag in facts.tags.iter().map(AsRef::as_ref).chain(own) {
            tags.add(tag);
        }
        from.add(&state.petname(facts.owner));
        let created = facts.created.to_rfc3339();
        years.add(created.split('-').next().unwrap_or_default());
    }
    Facets {
        counted,
        kinds: kinds.facet(|kind| Selector::Kind(kind.to_owned()).to_string()),
        tags: tags.facet(|tag| Selector::Tag(tag.to_owned()).to_string()),
        from: from.facet(|who| Selector::From(who.to_owned()).to_string()),
        years: years.facet(|year| format!("created:>={year}-01-01 created:<={year}-12-31")),
    }
}
