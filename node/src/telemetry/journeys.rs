//! Journeys: which step of which trace brought a memory here, so that later steps belong to it.
//!
//! ```text
//! save | taken from a peer -> follow -> of: embedding, offering to a peer -> found: a search hit
//! ```
//!
//! Kept in memory only, for the last [`JOURNEYS_MAX`] memories, and only while traces are recorded.
//! A memory is named here and never in a span.

use super::traces;
use crdt::id::MemoryId;
use protocol::trace::TraceContext;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// How many memories are followed; the oldest is forgotten.
const JOURNEYS_MAX: usize = 4_096;
/// How many steps one step that does the work of many is told of.
const STEPS_MAX: usize = 8;

static JOURNEYS: Mutex<Journeys> = Mutex::new(Journeys::new());

/// The last step of each memory, and whether it was found by a search since.
#[derive(Debug)]
struct Journeys {
    steps: BTreeMap<MemoryId, (TraceContext, bool)>,
    order: VecDeque<MemoryId>,
}

impl Journeys {
    const fn new() -> Self {
        Self {
            steps: BTreeMap::new(),
            order: VecDeque::new(),
        }
    }

    fn follow(&mut self, memory: MemoryId, step: TraceContext) {
        if self.steps.insert(memory, (step, false)).is_none() {
            self.order.push_back(memory);
        }
        while self.order.len() > JOURNEYS_MAX {
            if let Some(oldest) = self.order.pop_front() {
                self.steps.remove(&oldest);
            }
        }
    }
    fn found(&mut self, memory: MemoryId) -> Option<TraceContext> {
        let (step, was_found) = self.steps.get_mut(&memory)?;
        (!std::mem::replace(was_found, true)).then_some(*step)
    }
}

fn journeys() -> MutexGuard<'static, Journeys> {
    JOURNEYS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Says that this step brought a memory. To be said before others can see the memory, within the
/// transaction that brings it.
pub fn follow(memory: MemoryId, step: Option<TraceContext>) {
    if let Some(step) = step.filter(|_| traces::is_on()) {
        journeys().follow(memory, step);
    }
}

/// Returns the steps that brought these memories, each once, and not more than a few.
pub fn of(memories: impl IntoIterator<Item = MemoryId>) -> Vec<TraceContext> {
    if !traces::is_on() {
        return Vec::new();
    }
    let journeys = journeys();
    let steps = memories.into_iter();
    let steps = steps.filter_map(|memory| journeys.steps.get(&memory));
    let mut found = BTreeSet::new();
    for (step, _) in steps {
        found.insert(*step);
        if found.len() >= STEPS_MAX {
            break;
        }
    }
    found.into_iter().collect()
}

/// Returns the step that brought a memory, the first time that a search finds it.
pub fn found(memory: MemoryId) -> Option<TraceContext> {
    traces::is_on().then(|| journeys().found(memory))?
}

#[cfg(test)]
mod tests {
    use super::*;

    fn memory(number: u32) -> MemoryId {
        let mut id = [0; 32];
        id[..4].copy_from_slice(&number.to_le_bytes());
        MemoryId(id)
    }

    #[test]
    fn a_journey_is_found_once_and_the_oldest_is_forgotten() {
        let step = |number: u8| TraceContext::new([number; 16], [1; 8], true).expect("no zeros");
        let mut journeys = Journeys::new();
        journeys.follow(memory(0), step(1));
        assert_eq!(journeys.found(memory(0)), Some(step(1)));
        assert_eq!(journeys.found(memory(0)), None);
        journeys.follow(memory(0), step(2));
        assert_eq!(journeys.found(memory(0)), Some(step(2)), "it was changed");
        let most = u32::try_from(JOURNEYS_MAX).expect("it is small");
        for number in 1..=most {
            journeys.follow(memory(number), step(3));
        }
        assert_eq!(journeys.steps.len(), JOURNEYS_MAX);
        assert_eq!(journeys.order.len(), JOURNEYS_MAX);
        assert_eq!(journeys.found(memory(0)), None);
        assert_eq!(journeys.found(memory(most)), Some(step(3)));
    }
}
