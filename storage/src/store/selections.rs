//! Selections: which memories a selector takes in and the owner sees, kept up to date.
//!
//! Not a view of a peer, and no truth: the answers come from the state, and what is remembered is
//! only how they stood at a [`Mark`]. A search inside a selector would otherwise ask every memory.
//!
//! ```text
//! selector -> remembered set -> State::changed_since -> the few that changed are asked again
//! ```
//!
//! Invariant: a remembered set is never used as it stands; what changed since its mark is asked
//! first, so the answer is that of asking all.

use super::state::{Mark, Since, State};
use crate::records::Facts;
use crate::slots::{Slot, SlotSet};
use crdt::selector::Selector;
use crdt::time::Timestamp;
use lru::LruCache;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError};

/// Selectors that are remembered; each costs a bit for every entry of the log.
const REMEMBERED_MAX: NonZeroUsize = NonZeroUsize::new(64).expect("is not zero");

/// The selections that were asked for lately, by the selector as it is printed.
#[derive(Debug)]
pub(super) struct Selections(Mutex<LruCache<String, Selected>>);

/// How a selection stood.
#[derive(Debug, Clone)]
struct Selected {
    mark: Mark,
    slots: Arc<SlotSet>,
}

impl Default for Selections {
    fn default() -> Self {
        Self(Mutex::new(LruCache::new(REMEMBERED_MAX)))
    }
}

impl Selections {
    /// Returns the slots of the memories that are shown and that a selector takes in.
    ///
    /// The selector looks into no text; texts are not in the state.
    pub(super) fn of(&self, state: &State, selector: &Selector, now: Timestamp) -> Arc<SlotSet> {
        let fits =
            |facts: &Facts| selector.matches(&state.label(facts, now)) && state.is_shown(facts);
        let all = || {
            let facts = state.memories.values().filter(|facts| fits(facts));
            facts.map(|facts| Slot(facts.slot)).collect::<SlotSet>()
        };
        // What is shared changes as time passes, without a commit.
        if selector.asks_about_grants() {
            return Arc::new(all());
        }
        let name = selector.to_string();
        let known = self.lock().get(&name).cloned();
        let since = known.as_ref().map(|known| state.changed_since(known.mark));
        let slots = match (known, since) {
            (Some(known), Some(Since::Memories(changed))) => {
                let mut slots = known.slots;
                for facts in changed.iter().filter_map(|id| state.memories.get(id)) {
                    let slot = Slot(facts.slot);
                    match (slots.contains(slot), fits(facts)) {
                        (false, true) => {
                            Arc::make_mut(&mut slots).insert(slot);
                        }
                        (true, false) => {
                            Arc::make_mut(&mut slots).remove(slot);
                        }
                        _ => {}
                    }
                }
                slots
            }
            _ => Arc::new(all()),
        };
        let selected = Selected {
            mark: state.mark(),
            slots: Arc::clone(&slots),
        };
        self.lock().put(name, selected);
        slots
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, LruCache<String, Selected>> {
        // What is remembered is put whole, so it is whole after a panic too.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
