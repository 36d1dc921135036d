//! What was written in a memory, and what follows from it.
//!
//! Most memories are written once. All of their history follows from their id and the root's time,
//! so nothing else is held of it.

use super::{Facts, Written};
use crdt::id::EventId;
use crdt::time::Hybrid;

/// An event of a memory and when it was written.
pub type Dated = (Hybrid, EventId);

/// The history of a memory, as small as it can be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct History(Kept);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Kept {
    /// The root, written at this time, and nothing else; never said in another way.
    Root(Hybrid),
    Parts(Box<Parts>),
}

/// The parts of a history.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Parts {
    /// The shared events, in the order they came.
    pub(crate) events: Vec<Dated>,
    /// The events of the private side, in the order they came.
    pub(crate) sidecar_events: Vec<Dated>,
    /// The events without successors.
    pub(crate) heads: Vec<EventId>,
    /// How far others than the owner wrote in it.
    pub(crate) writers: Vec<Written>,
}

impl History {
    /// Returns the history of a memory that was just written.
    pub(crate) fn begun(time: Hybrid) -> Self {
        Self(Kept::Root(time))
    }
    /// Returns the history with these parts of the memory with this root.
    pub(crate) fn of(root: EventId, parts: Parts) -> Self {
        match parts.events[..] {
            [(time, event)] if event == root && parts == Parts::begun(root, time) => {
                Self::begun(time)
            }
            _ => Self(Kept::Parts(Box::new(parts))),
        }
    }
    /// Tells whether nothing but the root was written.
    pub(crate) fn is_root(&self) -> bool {
        matches!(self.0, Kept::Root(_))
    }
    /// Returns the parts of the history of the memory with this root.
    pub(crate) fn parts(&self, root: EventId) -> Parts {
        match &self.0 {
            Kept::Root(time) => Parts::begun(root, *time),
            Kept::Parts(parts) => Parts::clone(parts),
        }
    }
}

impl Parts {
    fn begun(root: EventId, time: Hybrid) -> Self {
        Self {
            events: vec![(time, root)],
            heads: vec![root],
            ..Self::default()
        }
    }
}

impl Facts {
    /// Returns the root event.
    pub fn root(&self) -> EventId {
        EventId(self.id.0)
    }
    /// Returns the memory's shared events, in the order they came.
    pub fn events(&self) -> impl DoubleEndedIterator<Item = Dated> + Clone + '_ {
        let (root, rest) = match &self.history.0 {
            Kept::Root(time) => (Some((*time, self.root())), [].as_slice()),
            Kept::Parts(parts) => (None, parts.events.as_slice()),
        };
        root.into_iter().chain(rest.iter().copied())
    }
    /// Returns the events of its private side, in the order they came.
    pub fn sidecar_events(&self) -> &[Dated] {
        match &self.history.0 {
            Kept::Root(_) => &[],
            Kept::Parts(parts) => &parts.sidecar_events,
        }
    }
    /// Returns the events without successors.
    pub fn heads(&self) -> Vec<EventId> {
        match &self.history.0 {
            Kept::Root(_) => vec![self.root()],
            Kept::Parts(parts) => parts.heads.clone(),
        }
    }
    /// Returns how far others than the owner wrote in it.
    pub fn writers(&self) -> &[Written] {
        match &self.history.0 {
            Kept::Root(_) => &[],
            Kept::Parts(parts) => &parts.writers,
        }
    }
    /// Changes the history.
    pub(crate) fn rewrite(&mut self, change: impl FnOnce(&mut Parts)) {
        let mut parts = self.history.parts(self.root());
        change(&mut parts);
        self.history = History::of(self.root(), parts);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOT: EventId = EventId([1; 32]);

    #[test]
    fn a_history_is_its_parts_and_has_one_form() {
        let event = |number: u8| EventId([number; 32]);
        let written = Parts::begun(ROOT, Hybrid(7));
        assert_eq!(
            History::of(ROOT, written.clone()),
            History::begun(Hybrid(7))
        );
        let changes: [fn(&mut Parts); 4] = [
            |parts| parts.events.push((Hybrid(8), ROOT)),
            |parts| parts.sidecar_events.push((Hybrid(8), ROOT)),
            |parts| parts.heads.clear(),
            |parts| parts.events[0].1 = EventId([2; 32]),
        ];
        for change in changes {
            let mut parts = written.clone();
            change(&mut parts);
            let history = History::of(ROOT, parts.clone());
            assert_ne!(history, History::begun(Hybrid(7)));
            assert_eq!(history.parts(ROOT), parts);
        }
        assert_eq!(History::begun(Hybrid(7)).parts(ROOT), written);
        assert_eq!(
            History::of(event(2), written.clone()).parts(event(2)),
            written
        );
    }
}
