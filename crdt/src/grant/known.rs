//! What an author knew of the consent of an owner when they wrote: their authority heads.
//!
//! The heads in an event are blinded per memory. Whoever holds the same consent events can tell
//! which of them the author had seen; nobody else learns anything.

use crate::codec::Canonical as _;
use crate::event::admit::Verified;
use crate::event::body::Vouch;
use crate::event::{Event, Feed, Kind};
use crate::hash::Hash;
use crate::id::{DeviceId, EventId, MemoryId, PersonId};
use std::collections::{BTreeMap, BTreeSet};

/// Blinds the head of a pair's consent for one memory.
pub fn blinded(head: EventId, memory: MemoryId) -> Hash {
    let parts: [&[u8]; 2] = [head.as_bytes(), memory.as_bytes()];
    Hash::of("second-brain 2026 v1 blinded consent head", &parts)
}

/// A consent event as far as its descent and its news of a cut matter.
#[derive(Debug, Clone)]
struct Step {
    parents: Vec<EventId>,
    /// The writer that it says is cut off.
    cuts_off: Option<DeviceId>,
}

/// The consent events of every pair of persons, by descent.
#[derive(Debug, Clone, Default)]
pub struct Known {
    pairs: BTreeMap<(PersonId, PersonId), BTreeMap<EventId, Step>>,
}

/// Returns the key of a pair, the same for both.
fn pair(one: PersonId, other: PersonId) -> (PersonId, PersonId) {
    (one.min(other), one.max(other))
}

impl Known {
    pub(super) fn note(&mut self, event: &Verified<Event>) {
        let header = event.header();
        let Feed::Pair(other) = header.feed else {
            return;
        };
        let cuts_off = (header.kind == Kind::Writer)
            .then(|| Vouch::from_bytes(&event.event().body).ok())
            .flatten()
            .filter(|vouch| vouch.cuts.is_some())
            .map(|vouch| vouch.certificate.device);
        let step = Step {
            parents: header.parents.clone(),
            cuts_off,
        };
        let steps = self.pairs.entry(pair(header.person, other)).or_default();
        steps.insert(event.id(), step);
    }

    /// Tells whether an author who named these heads had seen that a writer is cut off; none if
    /// they name nothing, or something that is not known here.
    pub fn has_seen_cut(
        &self,
        (owner, author): (PersonId, PersonId),
        writer: DeviceId,
        memory: MemoryId,
        heads: &[Hash],
    ) -> Option<bool> {
        let steps = self.pairs.get(&pair(owner, author))?;
        let by_hash: BTreeMap<Hash, EventId> = steps
            .keys()
            .map(|event| (blinded(*event, memory), *event))
            .collect();
        let mut open = Vec::with_capacity(heads.len());
        for head in heads {
            open.push(*by_hash.get(head)?);
        }
        if open.is_empty() {
            return None;
        }
        let mut seen = BTreeSet::new();
        while let Some(event) = open.pop() {
            let Some(step) = steps.get(&event).filter(|_| seen.insert(event)) else {
                continue;
            };
            if step.cuts_off == Some(writer) {
                return Some(true);
            }
            open.extend_from_slice(&step.parents);
        }
        Some(false)
    }
}
