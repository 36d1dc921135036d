//! Witnessing: what this node shows of its ledger, what peers show back, and what it holds of
//! theirs.
//!
//! ```text
//! mine    checkpoint(person, since) -> the line to them, signed, with a consistency proof
//! echo    take_echo: a peer shows what it last held of mine; does my ledger still contain it?
//! theirs  take_checkpoint: theirs must continue what is held, or both are kept as evidence
//! ```
//!
//! The first checkpoint of a device and echoes are written relaxed: one that a power cut takes is
//! made again at the next session. What the peer builds on, and evidence, are written durably.
//!
//! Invariant: a held checkpoint is replaced only by one that provably continues it, and a fault
//! that was found once stays.

use super::open::each_row;
use super::{Store, StoreError, decode};
use crate::kv::{Batch, Durability, Scan};
use crate::layout::{self, ordered};
use crate::ledger::{
    Checkpoint, Echo, Fault, FaultKind, Held, Note, Tree, Witness, Witnessed, tree,
};
use crdt::codec::Canonical as _;
use crdt::hash::Hash;
use crdt::id::{DeviceId, PersonId};
use crdt::time::Timestamp;

/// The most echoes that are kept of one device; the oldest that fits goes first.
const ECHOES_MAX: usize = 64;

impl Store {
    fn line(&self, person: PersonId) -> Result<Tree, StoreError> {
        let row = self.opaque.opaque(person.as_bytes());
        let kept = self.kv.get(layout::LINE, &row)?;
        match kept {
            Some(bytes) => decode(layout::LINE.0, &bytes),
            None => Ok(Tree::default()),
        }
    }

    /// Signs how the line to a person stands, and proves that it continues one of `since` entries.
    pub fn checkpoint(
        &self,
        person: PersonId,
        since: u64,
        now: Timestamp,
    ) -> Result<(Checkpoint, Vec<Hash>), StoreError> {
        // Nothing is signed that a power cut could still take.
        self.look_again(now)?;
        // The line first: the whole ledger may gain an entry meanwhile, and then knows more.
        let line = self.line(person)?;
        let head = self
            .ledger_head()?
            .map(|head| head.tree)
            .unwrap_or_default();
        let note = Note {
            entries: head.size(),
            root: head.root(),
            log: self.read(|state| state.head),
        };
        let name = self.opaque.opaque(person.as_bytes());
        let proof = tree::consistency(since, line.size(), &mut |level, index| {
            self.subtree(&name, level, index)
        })?;
        let (me, device) = (self.owner.certificate.person, &self.owner.device);
        let rng = &mut self.entropy.rng();
        let checkpoint = Checkpoint::sign(&line, (me, person), &note, now, device, rng);
        Ok((checkpoint, proof))
    }

    /// Returns what is held of the ledger on a peer's device.
    pub fn held(&self, device: DeviceId) -> Result<Option<Held>, StoreError> {
        let row = self.opaque.opaque(device.as_bytes());
        let held = self.kv.get(layout::WITNESS, &row)?;
        held.map(|bytes| decode(layout::WITNESS.0, &bytes))
            .transpose()
    }

    /// Returns what is held of all peers' ledgers.
    pub fn all_held(&self) -> Result<Vec<Held>, StoreError> {
        let mut all = Vec::new();
        each_row(&*self.kv, layout::WITNESS, None, &mut |_, value| {
            all.push(decode(layout::WITNESS.0, value)?);
            Ok(true)
        })?;
        Ok(all)
    }

    /// Takes in a peer's checkpoint, if it continues the one that is held: the one that the peer was
    /// shown.
    pub fn take_checkpoint(
        &self,
        (peer, device): (PersonId, DeviceId),
        checkpoint: &Checkpoint,
        proof: &[Hash],
        shown: Option<&Checkpoint>,
        now: Timestamp,
    ) -> Result<Witnessed, StoreError> {
        let me = self.owner.certificate.person;
        let is_theirs = (checkpoint.person, checkpoint.device, checkpoint.to) == (peer, device, me);
        if !is_theirs || !checkpoint.is_genuine() {
            return Ok(Witnessed::Foreign);
        }
        let held = self.held(device)?;
        if held.as_ref().map(|held| &held.checkpoint) != shown {
            // A commit that failed left its row behind, or another session took one.
            return Ok(Witnessed::Outdated);
        }
        let Some(mut held) = held else {
            let held = Held {
                checkpoint: checkpoint.clone(),
                received: now,
                conflict: None,
            };
            self.put_held(&held, Durability::Relaxed)?;
            return Ok(Witnessed::Kept);
        };
        if held.checkpoint == *checkpoint {
            // It came twice; its proof is for what was held before.
            return Ok(Witnessed::Kept);
        }
        let before = (held.checkpoint.size, held.checkpoint.root);
        if tree::is_consistent(before, (checkpoint.size, checkpoint.root), proof) {
            held.checkpoint = checkpoint.clone();
            held.received = now;
            // The peer builds the next proof on this one: lost, an honest ledger would not fit.
            self.put_held(&held, Durability::Durable)?;
            return Ok(Witnessed::Kept);
        }
        if held.conflict.is_none() {
            held.conflict = Some((checkpoint.clone(), now));
            self.put_held(&held, Durability::Durable)?;
        }
        Ok(Witnessed::Conflict)
    }

    fn put_held(&self, held: &Held, durability: Durability) -> Result<(), StoreError> {
        let row = self.opaque.opaque(held.checkpoint.device.as_bytes());
        let mut batch = Batch::new();
        batch.put(layout::WITNESS, row.to_vec(), held.to_bytes());
        Ok(self.kv.commit(batch, durability)?)
    }

    /// Takes in what a peer last held of this ledger, and returns what does not fit.
    ///
    /// What this device did not sign for this person says nothing and is not kept.
    pub fn take_echo(
        &self,
        (person, device): (PersonId, DeviceId),
        checkpoint: &Checkpoint,
        now: Timestamp,
    ) -> Result<Option<Fault>, StoreError> {
        let me = (self.owner.certificate.person, self.owner.device.id());
        let is_mine = (checkpoint.person, checkpoint.device) == me && checkpoint.to == person;
        if !is_mine || !checkpoint.is_genuine() {
            tracing::info!("a peer showed a checkpoint that is not of this ledger");
            return Ok(None);
        }
        let note = checkpoint.note(&self.owner.device);
        let name = self.opaque.opaque(device.as_bytes());
        let number = note.map_or(u64::MAX, |note| note.entries);
        let row = [name.as_slice(), &ordered(number)].concat();
        let known = self.kv.get(layout::ECHO, &row)?;
        let known = known.map(|bytes| decode::<Echo>(layout::ECHO.0, &bytes));
        if let Some(known) = known.transpose()?
            && (known.fault.is_some() || known.checkpoint == *checkpoint)
        {
            return Ok(known.fault);
        }
        let fault = self.judge(checkpoint)?;
        let echo = Echo {
            person,
            device,
            received: now,
            checkpoint: checkpoint.clone(),
            fault,
        };
        let mut batch = Batch::new();
        let kept = self.kv.scan(layout::ECHO, &Scan::prefix(name.to_vec()))?;
        if kept.items.len() >= ECHOES_MAX {
            let fits = |value: &[u8]| Echo::from_bytes(value).is_ok_and(|old| old.fault.is_none());
            let oldest = kept.items.iter().find(|item| fits(&item.value));
            if let Some(oldest) = oldest {
                batch.delete(layout::ECHO, oldest.key.clone());
            }
        }
        batch.put(layout::ECHO, row, echo.to_bytes());
        let durability = if fault.is_some() {
            Durability::Durable
        } else {
            Durability::Relaxed
        };
        self.kv.commit(batch, durability)?;
        Ok(fault)
    }

    /// Tells what does not fit between a checkpoint that this device signed and its ledger.
    fn judge(&self, checkpoint: &Checkpoint) -> Result<Option<Fault>, StoreError> {
        let Some(note) = checkpoint.note(&self.owner.device) else {
            // Signed with this device's key, but not by this program.
            let (kind, first, last) = (FaultKind::Rewritten, 1, None);
            return Ok(Some(Fault { kind, first, last }));
        };
        let (last, log) = (Some(note.entries), self.read(|state| state.head));
        let size = self.ledger_head()?.map_or(0, |head| head.tree.size());
        if note.entries > size {
            let kind = if note.log > log {
                FaultKind::Older
            } else {
                FaultKind::Cut
            };
            let first = size + 1;
            return Ok(Some(Fault { kind, first, last }));
        }
        let line = self.line(checkpoint.to)?.size();
        let to = checkpoint.to.as_bytes();
        let is_whole = self.ledger_root(note.entries)? == Some(note.root)
            && self.root_at(to, line, checkpoint.size)? == Some(checkpoint.root);
        if is_whole {
            return Ok(None);
        }
        let (kind, first) = (FaultKind::Rewritten, self.vouched_until(note.entries)? + 1);
        Ok(Some(Fault { kind, first, last }))
    }

    /// Returns how many entries below a number a witness still vouches for.
    fn vouched_until(&self, below: u64) -> Result<u64, StoreError> {
        let mut until = 0;
        self.each_echo(&mut |echo, note| {
            if let Some(note) = note.filter(|note| note.entries < below && note.entries > until)
                && echo.fault.is_none()
                && self.ledger_root(note.entries)? == Some(note.root)
            {
                until = note.entries;
            }
            Ok(())
        })?;
        Ok(until)
    }

    fn each_echo(
        &self,
        visit: &mut dyn FnMut(Echo, Option<Note>) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        each_row(&*self.kv, layout::ECHO, None, &mut |_, value| {
            let echo: Echo = decode(layout::ECHO.0, value)?;
            let note = echo.checkpoint.note(&self.owner.device);
            visit(echo, note).map(|()| true)
        })
    }

    /// Returns who witnessed this ledger, and whether it is still what they saw.
    pub fn witnesses(&self) -> Result<Vec<Witness>, StoreError> {
        let mut witnesses = Vec::new();
        self.each_echo(&mut |echo, note| {
            let fault = match echo.fault {
                Some(fault) => Some(fault),
                None => self.judge(&echo.checkpoint)?,
            };
            witnesses.push(Witness { echo, note, fault });
            Ok(())
        })?;
        Ok(witnesses)
    }
}
