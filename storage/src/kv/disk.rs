//! The store on a disk, and what becomes of it when the disk fails.
//!
//! It is not the engine, which is redb in `engine`, and not the file, which is [`FileMedium`].
//! Start at [`DiskStore`].
//!
//! Once a write fails the engine takes no more of them until it is opened anew. This store owns
//! that: it keeps serving reads, names the cause to every writer, and reopens the engine at the
//! next commit as soon as the medium is ready, for instance once there is space again. Relaxed
//! commits that no durable commit followed are gone after a reopening, and what a failed commit
//! left behind is made durable before anything is built on it.
//!
//! Invariant: a durable commit that returned `Ok` is found again by every later opening.

mod engine;
mod lock;
mod medium;
pub(crate) mod remains;

use std::path::Path;
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use engine::{Engine, Failure};

pub use medium::{FileMedium, Medium, SPACE_RESERVE_BYTES};

use super::{
    Batch, Durability, Health, Keyspace, Kv, KvError, Page, Scan, Stats, Verification, walk,
};

/// Keeps rows in one file, which it has to itself.
#[derive(Debug)]
pub struct DiskStore<M: Medium = FileMedium> {
    slot: RwLock<Option<Opened<M>>>,
}

/// What a store holds while it is open. Fields drop in this order: the engine lets go of the
/// medium before the medium lets go of its lock.
#[derive(Debug)]
struct Opened<M> {
    /// None when the last reopening failed.
    engine: Option<Engine>,
    /// Why writes stopped, if they did.
    fault: Option<KvError>,
    medium: M,
}

impl DiskStore<FileMedium> {
    /// Opens the store in a file, creating it if there is none.
    ///
    /// A second opener gets [`KvError::Locked`] with the process that holds the file.
    pub fn open(path: &Path) -> Result<Self, KvError> {
        Self::with_medium(FileMedium::lock(path)?)
    }
}

impl<M: Medium> DiskStore<M> {
    /// Opens the store on a medium.
    pub fn with_medium(medium: M) -> Result<Self, KvError> {
        let engine = Engine::open(&medium)?;
        Ok(Self {
            slot: RwLock::new(Some(Opened {
                engine: Some(engine),
                fault: None,
                medium,
            })),
        })
    }

    fn read(&self) -> RwLockReadGuard<'_, Option<Opened<M>>> {
        self.slot.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Option<Opened<M>>> {
        self.slot.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs a read on the engine, whether or not it still takes writes.
    ///
    /// After a write that failed the engine reads nothing from the disk any more, so it is opened
    /// anew for a read that its cache cannot answer.
    fn with_engine<T>(&self, read: impl Fn(&Engine) -> Result<T, KvError>) -> Result<T, KvError> {
        {
            let slot = self.read();
            let opened = slot.as_ref().ok_or(KvError::Closed)?;
            let answer = opened.engine.as_ref().map(&read);
            match (answer, &opened.fault) {
                (None, None) => return Err(KvError::Closed),
                (Some(Err(KvError::Io(_))) | None, Some(_)) => {}
                (Some(answer), _) => return answer,
            }
        }
        let mut slot = self.write();
        let opened = slot.as_mut().ok_or(KvError::Closed)?;
        // Of many that come at once, one opens it for all: that checks the whole file.
        if let Some(Ok(answer)) = opened.engine.as_ref().map(&read) {
            return Ok(answer);
        }
        read(opened.for_reading()?)
    }

    /// Reopens the engine and commits; the path taken after a fault.
    fn recommit(&self, batch: &Batch, durability: Durability) -> Result<(), KvError> {
        let mut slot = self.write();
        let opened = slot.as_mut().ok_or(KvError::Closed)?;
        let engine = opened.reopen()?;
        match engine.commit(batch, durability) {
            Ok(()) => Ok(()),
            Err(Failure::Refused(error)) => Err(error),
            Err(failure) => {
                let error = failure.into_error();
                opened.fault = Some(error.clone());
                Err(error)
            }
        }
    }
}

impl<M: Medium> Opened<M> {
    /// Opens the engine anew to read; it takes writes once [`Self::reopen`] finds that it can.
    fn for_reading(&mut self) -> Result<&Engine, KvError> {
        self.engine = None;
        let mut engine = Engine::open(&self.medium)?;
        // What is read has to stay, if there is room to make it durable.
        if engine.commit(&Batch::new(), Durability::Durable).is_err() {
            drop(engine);
            engine = Engine::open(&self.medium)?;
        }
        Ok(self.engine.insert(engine))
    }
    fn reopen(&mut self) -> Result<&Engine, KvError> {
        // Asked before the old engine is dropped: it still serves reads.
        self.medium.ready()?;
        self.engine = None;
        match Engine::open(&self.medium) {
            Ok(engine) => {
                let engine = self.engine.insert(engine);
                // The commit that failed may be what is read now, yet not on the disk.
                let settled = engine.commit(&Batch::new(), Durability::Durable);
                if let Err(error) = settled.map_err(Failure::into_error) {
                    self.fault = Some(error.clone());
                    return Err(error);
                }
                tracing::info!("store reopened for writing");
                self.fault = None;
                Ok(engine)
            }
            Err(error) => {
                self.fault = Some(error.clone());
                Err(error)
            }
        }
    }
}

impl<M: Medium> Kv for DiskStore<M> {
    fn commit(&self, batch: Batch, durability: Durability) -> Result<(), KvError> {
        batch.check()?;
        {
            let slot = self.read();
            let opened = slot.as_ref().ok_or(KvError::Closed)?;
            opened.medium.ready()?;
            if let (Some(engine), None) = (&opened.engine, &opened.fault) {
                match engine.commit(&batch, durability) {
                    Ok(()) => return Ok(()),
                    Err(Failure::Refused(error)) => return Err(error),
                    // An earlier read or commit broke the engine and this batch never began.
                    Err(Failure::Stale) => {}
                    Err(Failure::Broken(error)) => {
                        drop(slot);
                        tracing::warn!(%error, "store stops taking writes");
                        if let Some(opened) = self.write().as_mut() {
                            opened.fault = Some(error.clone());
                        }
                        return Err(error);
                    }
                }
            }
        }
        self.recommit(&batch, durability)
    }

    fn get(&self, keyspace: Keyspace, key: &[u8]) -> Result<Option<Vec<u8>>, KvError> {
        self.with_engine(|engine| engine.get(keyspace, key))
    }

    fn get_many(
        &self,
        keyspace: Keyspace,
        keys: &[Vec<u8>],
    ) -> Result<Vec<Option<Vec<u8>>>, KvError> {
        self.with_engine(|engine| engine.get_many(keyspace, keys))
    }

    fn scan(&self, keyspace: Keyspace, scan: &Scan) -> Result<Page, KvError> {
        self.with_engine(|engine| engine.scan(keyspace, scan))
    }

    fn health(&self) -> Health {
        let slot = self.read();
        let Some(opened) = slot.as_ref() else {
            return Health::Closed;
        };
        let fault = opened.fault.clone().or_else(|| opened.medium.ready().err());
        fault.map_or(Health::Writable, |fault| Health::ReadOnly {
            reason: fault.to_string(),
        })
    }

    fn verify(&self, keyspaces: &[Keyspace]) -> Result<Verification, KvError> {
        {
            let mut slot = self.write();
            let opened = slot.as_mut().ok_or(KvError::Closed)?;
            if let (Some(engine), None) = (&mut opened.engine, &opened.fault) {
                engine.check()?;
            }
        }
        let mut found = Verification::default();
        walk(self, keyspaces, &mut |_, _| found.rows += 1)?;
        Ok(found)
    }

    fn stats(&self) -> Result<Stats, KvError> {
        let rows = self.with_engine(Engine::rows)?;
        let slot = self.read();
        let opened = slot.as_ref().ok_or(KvError::Closed)?;
        let bytes = opened.medium.bytes()?;
        Ok(Stats { rows, bytes })
    }

    fn close(&self) -> Result<(), KvError> {
        let Some(opened) = self.write().take() else {
            return Ok(());
        };
        let Opened {
            engine,
            fault,
            medium,
        } = opened;
        let closed = engine.map_or(Ok(()), Engine::close);
        drop(medium);
        match (closed, fault) {
            // The writers have already been told of the fault that closing stumbles over again.
            (Err(error), Some(fault)) => {
                tracing::warn!(%error, %fault, "store closed after a fault");
                Ok(())
            }
            (closed, _) => closed,
        }
    }
}

#[cfg(test)]
mod tests;
