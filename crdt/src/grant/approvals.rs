//! Approvals: the latest word of a person about each memory that waits for one.
//!
//! The latest by time, then by event id, counts, so the order of arrival does not matter.

use crate::event::body::approval::{Approval, Subject};
use crate::id::{EventId, MemoryId};
use crate::time::Hybrid;
use std::collections::BTreeMap;

/// A word about one subject and memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ruling {
    /// When it was said.
    pub time: Hybrid,
    /// The event that says it.
    pub event: EventId,
    /// Yes or no.
    pub approved: bool,
}

/// All words, by subject and memory.
#[derive(Debug, Clone, Default)]
pub struct Approvals(BTreeMap<Subject, BTreeMap<MemoryId, Ruling>>);

impl Approvals {
    /// Takes in what was said at a time by an event.
    pub fn apply(&mut self, time: Hybrid, event: EventId, approval: Approval) {
        let ruling = Ruling {
            time,
            event,
            approved: approval.approved,
        };
        let known = self.0.entry(approval.subject).or_default();
        for memory in approval.memories {
            let latest = known.entry(memory).or_insert(ruling);
            *latest = ruling.max(*latest);
        }
    }

    /// Returns the latest word about a memory; none if nothing was said.
    pub fn of(&self, subject: &Subject, memory: MemoryId) -> Option<Ruling> {
        self.0.get(subject)?.get(&memory).copied()
    }

    /// Tells whether the latest word about a memory is yes.
    pub fn is_approved(&self, subject: &Subject, memory: MemoryId) -> bool {
        self.of(subject, memory)
            .is_some_and(|ruling| ruling.approved)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::GrantId;

    #[test]
    fn the_latest_word_counts_in_any_order_of_arrival() {
        let subject = Subject::Addition {
            grant: GrantId([1; 32]),
        };
        let (one, other) = (MemoryId([1; 32]), MemoryId([2; 32]));
        let said = |time: u64, event: u8, memories: &[MemoryId], approved| {
            let approval = Approval {
                subject: subject.clone(),
                memories: memories.to_vec(),
                approved,
            };
            (Hybrid(time), EventId([event; 32]), approval)
        };
        let words = [
            said(1, 1, &[one, other], true),
            said(2, 2, &[one], false),
            said(2, 3, &[one], true),
            said(3, 4, &[other], false),
        ];
        let orders = [[0, 1, 2, 3], [3, 2, 1, 0], [2, 0, 3, 1]];
        for order in orders {
            let mut approvals = Approvals::default();
            for at in order {
                let (time, event, approval) = words[at].clone();
                approvals.apply(time, event, approval);
            }
            assert!(approvals.is_approved(&subject, one), "{order:?}");
            assert!(!approvals.is_approved(&subject, other), "{order:?}");
        }
        let unasked = Subject::Addition {
            grant: GrantId([2; 32]),
        };
        let mut approvals = Approvals::default();
        let (time, event, approval) = words[0].clone();
        approvals.apply(time, event, approval);
        assert_eq!(approvals.of(&unasked, one), None);
    }
}
