//! Reconciliation: which items of a view does only one side have?
//!
//! Range-based set reconciliation (Meyer, "Range-Based Set Reconciliation", 2023; the
//! `negentropy` crate) over ids that are blinded with a salt of the session: what one side lacks
//! it cannot recognise, and nobody can prepare ids that collide.
//!
//! The cost follows the difference. Messages are at most [`RECONCILE_BYTES_MAX`] long.

use crate::limits::RECONCILE_BYTES_MAX;
use crate::view::{Item, View};
use crdt::hash::Hash;
use negentropy::{Id, Negentropy, NegentropyStorageVector};
use std::sync::Arc;
use thiserror::Error;

/// An id as the other side sees it.
pub type Blinded = [u8; 32];

/// The peer's message does not fit the protocol.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("the reconciliation message is not valid: {0}")]
pub struct ReconcileError(String);

/// Hides ids that the other side does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Salt([u8; 32]);

impl Salt {
    /// Mixes the nonces of both sides, the initiator's first.
    pub fn new(initiator: &[u8; 16], responder: &[u8; 16]) -> Self {
        let parts: [&[u8]; 2] = [initiator, responder];
        Self(Hash::of("second-brain 2026 v1 session salt", &parts).0)
    }
    /// Blinds an id.
    pub fn blind(&self, id: &[u8; 32]) -> Blinded {
        *blake3::keyed_hash(&self.0, id).as_bytes()
    }
}

/// The items of a view by their blinded ids, as they stood when a run began.
#[derive(Debug, Default)]
pub struct Index(Vec<(Blinded, Item)>);

impl Index {
    /// Blinds items of a view.
    fn new<'a>(items: impl Iterator<Item = &'a Item>, salt: &Salt) -> Self {
        let items = items.map(|item| (salt.blind(&item.id), *item));
        let mut items: Vec<_> = items.collect();
        items.sort_unstable();
        Self(items)
    }
    /// Returns the item behind a blinded id.
    pub fn get(&self, blinded: &Blinded) -> Option<Item> {
        let at = self.0.binary_search_by(|(id, _)| id.cmp(blinded)).ok()?;
        self.0.get(at).map(|(_, item)| *item)
    }
}

/// One run of reconciliation over a view that does not change meanwhile.
pub struct Run {
    engine: Negentropy<'static, NegentropyStorageVector>,
    index: Arc<Index>,
    before: Option<Hash>,
}

impl std::fmt::Debug for Run {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Run({} items)", self.index.0.len())
    }
}

/// What the initiator learnt from a message.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Step {
    /// Items that the peer lacks.
    pub have: Vec<Item>,
    /// Items that the peer has.
    pub need: Vec<Blinded>,
    /// The next message; none when the run is over.
    pub next: Option<Vec<u8>>,
}

impl Run {
    /// Prepares a run over a view, or over what is in it from a time on.
    pub fn new(view: &View, salt: &Salt, since: Option<u64>) -> Result<Self, ReconcileError> {
        let index = Arc::new(match since {
            Some(since) => Index::new(view.since(since), salt),
            None => Index::new(view.items(), salt),
        });
        let mut storage = NegentropyStorageVector::with_capacity(index.0.len());
        for (blinded, item) in &index.0 {
            storage
                .insert(item.time, Id::from_byte_array(*blinded))
                .map_err(|error| invalid(&error))?;
        }
        storage.seal().map_err(|error| invalid(&error))?;
        let engine = Negentropy::owned(storage, RECONCILE_BYTES_MAX as u64)
            .map_err(|error| invalid(&error))?;
        Ok(Self {
            engine,
            index,
            before: since.map(|since| view.before(since)),
        })
    }
    /// Returns the fingerprint of what is older than the run; none if nothing is left out.
    pub fn before(&self) -> Option<Hash> {
        self.before
    }
    /// Returns the items of the run by their blinded ids.
    pub fn index(&self) -> Arc<Index> {
        Arc::clone(&self.index)
    }
    /// Returns the first message of the initiator.
    pub fn initiate(&mut self) -> Result<Vec<u8>, ReconcileError> {
        self.engine.initiate().map_err(|error| invalid(&error))
    }
    /// Answers a message as the responder.
    pub fn answer(&mut self, message: &[u8]) -> Result<Vec<u8>, ReconcileError> {
        self.engine
            .reconcile(message)
            .map_err(|error| invalid(&error))
    }
    /// Takes in the responder's answer.
    pub fn step(&mut self, message: &[u8]) -> Result<Step, ReconcileError> {
        let (mut have, mut need) = (Vec::new(), Vec::new());
        let next = self
            .engine
            .reconcile_with_ids(message, &mut have, &mut need);
        let next = next.map_err(|error| invalid(&error))?;
        let have = have
            .iter()
            .filter_map(|id| self.index.get(&id.to_bytes()))
            .collect();
        let need = need.iter().map(|id| id.to_bytes()).collect();
        Ok(Step { have, need, next })
    }
}

fn invalid(error: &negentropy::Error) -> ReconcileError {
    ReconcileError(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn view(numbers: &BTreeSet<u16>) -> View {
        let items: Vec<Item> = numbers
            .iter()
            .map(|n| Item {
                time: u64::from(n / 3),
                id: Hash::of("test", &[&n.to_le_bytes()]).0,
            })
            .collect();
        let events = items.len() as u64;
        View::new(items, events)
    }

    fn difference(ours: &View, theirs: &View) -> (BTreeSet<Item>, BTreeSet<Item>) {
        let salt = Salt::new(&[1; 16], &[2; 16]);
        let mut initiator = Run::new(ours, &salt, None).expect("a run");
        let mut responder = Run::new(theirs, &salt, None).expect("a run");
        let (mut have, mut need) = (BTreeSet::new(), BTreeSet::new());
        let mut message = Some(initiator.initiate().expect("a message"));
        while let Some(question) = message {
            let answer = responder.answer(&question).expect("an answer");
            assert!(answer.len() <= RECONCILE_BYTES_MAX);
            let step = initiator.step(&answer).expect("a step");
            have.extend(step.have);
            let theirs = responder.index();
            need.extend(step.need.iter().filter_map(|id| theirs.get(id)));
            message = step.next;
        }
        (have, need)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        #[test]
        fn the_difference_is_exact(
            both in proptest::collection::btree_set(any::<u16>(), 0..400),
            ours in proptest::collection::btree_set(any::<u16>(), 0..40),
            theirs in proptest::collection::btree_set(any::<u16>(), 0..40),
        ) {
            let ours = view(&both.union(&ours).copied().collect());
            let theirs = view(&both.union(&theirs).copied().collect());
            let (have, need) = difference(&ours, &theirs);
            prop_assert_eq!(have, ours.without(&theirs).collect::<BTreeSet<_>>());
            prop_assert_eq!(need, theirs.without(&ours).collect::<BTreeSet<_>>());
        }
        #[test]
        fn no_message_makes_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let salt = Salt::new(&[1; 16], &[2; 16]);
            let mut run = Run::new(&view(&(0..50).collect()), &salt, None).expect("a run");
            let mut message = vec![0x61];
            message.extend(bytes);
            let outcome = run.answer(&message);
            prop_assert!(outcome.is_err() || outcome.is_ok_and(|a| a.len() <= RECONCILE_BYTES_MAX));
        }
    }
}
