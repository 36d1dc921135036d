//! Witnessing in the driver: the session's effects about ledgers, run against the store.
//!
//! What does not fit is logged, told to listeners as `ledger.fault`, and kept by the store, where
//! `brainctl status` and `brainctl ledger verify` find it. It never ends a session.

use super::Driver;
use crate::clock;
use crdt::hash::Hash;
use crdt::id::PersonId;
use crdt::identity::did::to_did;
use crdt::ledger::Checkpoint;
use protocol::session::{Effect, Input};
use storage::ledger::Witnessed;
use storage::store::StoreError;

impl Driver {
    /// Runs an effect about ledgers.
    pub(super) fn witness(&mut self, person: PersonId, effect: Effect) -> Option<Input> {
        let peer = (person, self.device);
        let done = match effect {
            Effect::LoadHeld => self.load_held(),
            Effect::LoadCheckpoint { since } => self.load_checkpoint(person, since),
            Effect::TakeEcho(held) => self.take_echo(peer, &held).map(|()| None),
            Effect::TakeCheckpoint {
                checkpoint,
                proof,
                shown,
            } => match self.take_checkpoint(peer, &checkpoint, &proof, shown.as_deref()) {
                Ok(Witnessed::Outdated) => Ok(Some(Input::Disconnected)),
                Ok(_) => self.load_held(),
                Err(error) => Err(error),
            },
            _ => Ok(None),
        };
        done.unwrap_or_else(|error| Some(Self::fail(&error.to_string())))
    }

    fn load_held(&self) -> Result<Option<Input>, StoreError> {
        let device = self.device;
        let held = self.block(|sync| sync.0.store.held(device))?;
        let held = held.map(|held| Box::new(held.checkpoint));
        Ok(Some(Input::Held(held)))
    }

    fn load_checkpoint(&self, person: PersonId, since: u64) -> Result<Option<Input>, StoreError> {
        let made = self.block(|sync| sync.0.store.checkpoint(person, since, clock::now()));
        let (checkpoint, proof) = made?;
        Ok(Some(Input::Checkpoint {
            checkpoint: Box::new(checkpoint),
            proof,
        }))
    }

    fn take_echo(
        &self,
        peer: (PersonId, crdt::id::DeviceId),
        held: &Checkpoint,
    ) -> Result<(), StoreError> {
        let fault = self.block(|sync| sync.0.store.take_echo(peer, held, clock::now()))?;
        if let Some(fault) = fault {
            let (kind, first) = (fault.kind.as_str(), fault.first);
            tracing::warn!(
                kind,
                first,
                "a peer witnessed another history of this ledger"
            );
            self.tell_fault(peer.0);
        }
        Ok(())
    }

    fn take_checkpoint(
        &self,
        peer: (PersonId, crdt::id::DeviceId),
        checkpoint: &Checkpoint,
        proof: &[Hash],
        shown: Option<&Checkpoint>,
    ) -> Result<Witnessed, StoreError> {
        let taken = self.block(|sync| {
            let store = &sync.0.store;
            store.take_checkpoint(peer, checkpoint, proof, shown, clock::now())
        })?;
        match taken {
            Witnessed::Kept => {}
            Witnessed::Outdated => {
                tracing::info!("what is held of a peer's ledger changed; the session begins anew");
            }
            Witnessed::Foreign => {
                tracing::info!("a peer showed a checkpoint that is not its own");
            }
            Witnessed::Conflict => {
                let device = checkpoint.device;
                tracing::warn!(%device, "a peer's ledger does not continue what it was");
                self.tell_fault(peer.0);
            }
        }
        Ok(taken)
    }

    fn tell_fault(&self, person: PersonId) {
        let subject = Some(to_did(&person));
        self.sync.0.notices.send("ledger.fault", subject);
    }
}
