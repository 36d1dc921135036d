//! The gate in front of Automerge: every change from outside passes here or nowhere.
//!
//! It is not the check of signatures and grants; those come before and say which device speaks.
//!
//! - Stage 1 ([`examine`]): our own walk over the bytes ([`chunk`]), then the chain, counter and
//!   actor rules against the [history](super::history), and only then Automerge's parser, whose
//!   result must re-encode to the same bytes and hold known operations only ([`operations`]).
//! - Stage 2 ([`trial`]): the changes are applied to a copy, projected, saved and loaded again,
//!   with panics contained; the document becomes the reloaded copy.
//!
//! Invariant: a refused change leaves the document as it was. Which changes are admitted depends
//! only on those that were admitted before, not on the batches they came in.

mod chunk;
mod operations;
mod refusal;
mod trial;

pub use refusal::Refusal;

use super::document::{self, Document};
use super::edit::Change;
use super::history::Entry;
use super::limits::{ACTORS_MAX, BATCH_BYTES_MAX, BATCH_OPERATIONS_MAX, COUNTER_MAX};
use crate::id::DeviceId;
use chunk::Header;
use thiserror::Error;

/// A change as it came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Incoming<'a> {
    /// The device that signed the event.
    pub device: DeviceId,
    /// The incarnation that the event names.
    pub incarnation: [u8; 16],
    /// The chunk.
    pub bytes: &'a [u8],
}

/// The first change of a batch that was refused; none of the batch was applied.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("change {index} of the batch is refused: {refusal}")]
pub struct BatchRefusal {
    /// Its place in the batch, from 0.
    pub index: usize,
    /// The reason.
    #[source]
    pub refusal: Refusal,
}

impl Document {
    /// Lets one change in, or says why not.
    pub fn admit(
        &mut self,
        device: DeviceId,
        incarnation: [u8; 16],
        bytes: &[u8],
    ) -> Result<Change, Refusal> {
        let incoming = Incoming {
            device,
            incarnation,
            bytes,
        };
        match self.admit_batch(&[incoming]) {
            Ok(changes) => changes.into_iter().next().ok_or(Refusal::NoOperations),
            Err(batch) => Err(batch.refusal),
        }
    }

    /// Lets many changes in at one go, parents before children; all of them or none.
    pub fn admit_batch(&mut self, batch: &[Incoming<'_>]) -> Result<Vec<Change>, BatchRefusal> {
        let mut examined = Vec::with_capacity(batch.len());
        let outcome = self
            .examine_batch(batch, &mut examined)
            .and_then(|()| trial::run(&self.automerge, &examined));
        match outcome {
            Ok(admitted) => {
                self.automerge = admitted;
                Ok(examined.into_iter().map(|item| item.change).collect())
            }
            Err(refusal) => {
                for item in examined.iter().rev() {
                    self.history.remove(item.change.hash);
                }
                Err(refusal)
            }
        }
    }

    /// Runs stage 1 and enters what passes into the history.
    fn examine_batch(
        &mut self,
        batch: &[Incoming<'_>],
        examined: &mut Vec<Examined>,
    ) -> Result<(), BatchRefusal> {
        let (mut bytes, mut operations) = (0, 0);
        for (index, incoming) in batch.iter().enumerate() {
            let refused = |refusal| BatchRefusal { index, refusal };
            let item = examine(self, incoming.device, incoming.incarnation, incoming.bytes)
                .map_err(refused)?;
            bytes += incoming.bytes.len();
            operations += item.operations;
            if bytes > BATCH_BYTES_MAX || operations > BATCH_OPERATIONS_MAX {
                return Err(refused(Refusal::BatchTooLarge));
            }
            self.history.insert(item.change.hash, item.entry.clone());
            examined.push(item);
        }
        Ok(())
    }
}

/// A change that passed stage 1.
pub(super) struct Examined {
    pub(super) change: Change,
    pub(super) entry: Entry,
    parsed: automerge::Change,
    operations: u64,
}

/// Runs stage 1 on one change.
pub(super) fn examine(
    document: &Document,
    device: DeviceId,
    incarnation: [u8; 16],
    bytes: &[u8],
) -> Result<Examined, Refusal> {
    let (hash, data) = chunk::open(bytes)?;
    if document.contains(&hash) {
        return Err(Refusal::Duplicate);
    }
    let header = chunk::header(hash, data)?;
    if header.actor != document::actor(device, document.memory, &incarnation) {
        return Err(Refusal::WrongActor);
    }
    let max_op = check_place(document, &header)?;
    let parsed = parse(&header, bytes)?;
    Ok(Examined {
        entry: Entry {
            actor: header.actor,
            seq: header.seq,
            max_op,
            deps: header.deps.clone(),
            previous: document.history.last(&header.actor).map(|(_, hash)| hash),
        },
        change: Change {
            incarnation,
            bytes: bytes.to_vec(),
            hash,
            deps: header.deps,
            seq: header.seq,
            start_op: header.start_op,
            max_op,
        },
        parsed,
        operations: header.operations,
    })
}

/// Checks where a change says it stands, and returns the counter of its last operation.
fn check_place(document: &Document, header: &Header) -> Result<u64, Refusal> {
    let history = &document.history;
    let mut reached = 0;
    for dep in &header.deps {
        let entry = history.get(dep).ok_or(Refusal::UnknownDependency(*dep))?;
        reached = reached.max(entry.max_op);
    }
    let last = history.last(&header.actor);
    let (seq, last_seq) = (header.seq, last.map_or(0, |(seq, _)| seq));
    if seq <= last_seq {
        return Err(Refusal::Equivocation { seq });
    }
    if seq != last_seq + 1 {
        let (last, found) = (last_seq, seq);
        return Err(Refusal::SequenceGap { last, found });
    }
    match last {
        Some((_, previous)) if !history.covers(&header.deps, previous) => {
            return Err(Refusal::BrokenChain);
        }
        None if history.actors() >= ACTORS_MAX => return Err(Refusal::TooManyActors),
        _ => {}
    }
    let (expected, found) = (reached + 1, header.start_op);
    if found != expected {
        return Err(Refusal::WrongStartOp { expected, found });
    }
    if !header.others.iter().all(|other| history.knows(other)) {
        return Err(Refusal::UnknownActor);
    }
    let max_op = reached.saturating_add(header.operations);
    if max_op > COUNTER_MAX {
        return Err(Refusal::CounterTooLarge);
    }
    Ok(max_op)
}

/// Gives the bytes to Automerge's parser, and checks that it read what is written.
fn parse(header: &Header, bytes: &[u8]) -> Result<automerge::Change, Refusal> {
    Document::guarded(|| {
        let parsed = automerge::Change::from_bytes(bytes.to_vec())
            .map_err(|error| Refusal::Unreadable(error.to_string()))?;
        if parsed.len() as u64 != header.operations {
            return Err(Refusal::OperationCount);
        }
        let expanded = parsed.decode();
        operations::check(&expanded.operations)?;
        if automerge::Change::from(expanded).raw_bytes() != bytes {
            return Err(Refusal::NotCanonical);
        }
        Ok(parsed)
    })
    .unwrap_or(Err(Refusal::Panicked))
}
