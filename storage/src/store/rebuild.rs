//! Rebuilding: all projections thrown away and made anew from the log.

use super::open::{catch_up_text, each_row, load_primary};
use super::state::State;
use super::{Store, StoreError};
use crate::kv::{Batch, Durability};
use crate::layout::{self, meta, number_of, ordered};
use crate::tx::Tx;
use crdt::event::Signed;
use crdt::time::Timestamp;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError, RwLockWriteGuard};

/// Log entries replayed in one commit.
const REPLAY_ENTRIES: usize = 512;

impl Store {
    /// Makes facts, contents, documents and the text index anew from the log; the vectors follow
    /// when the node embeds again. Returns the number of log entries.
    pub fn rebuild(&self, now: Timestamp) -> Result<u64, StoreError> {
        let done = self.rebuild_all(now);
        if done.is_err() {
            // The rows are in part: the next write begins with another rebuild.
            self.is_suspect.store(true, Ordering::Release);
        }
        done
    }

    fn rebuild_all(&self, now: Timestamp) -> Result<u64, StoreError> {
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        self.mark(false)?;
        let incarnation = state.incarnation;
        let guard = Arc::clone(&state.guard);
        let changes = state.changes.restarted();
        *state = State::empty(self.owner.certificate.person, incarnation, guard);
        state.changes = changes;
        load_primary(self, &mut state)?;
        let mut after = None;
        loop {
            let mut entries = Vec::new();
            each_row(&*self.kv, layout::LOG, after.clone(), &mut |key, value| {
                entries.push((key.to_vec(), value.to_vec()));
                Ok(entries.len() < REPLAY_ENTRIES)
            })?;
            let Some((last, _)) = entries.last() else {
                break;
            };
            after = Some(last.clone());
            self.replay(&mut state, &entries, now)?;
        }
        let head = state.head;
        self.generations.clear();
        // Others may read from here on, and not write.
        let state = RwLockWriteGuard::downgrade(state);
        self.text.clear()?;
        catch_up_text(self, &state)?;
        self.mark(true)?;
        drop(state);
        self.rescreen(now)?;
        Ok(head)
    }

    fn replay(
        &self,
        state: &mut State,
        entries: &[(Vec<u8>, Vec<u8>)],
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let mut tx = Tx::new(
            state,
            &*self.kv,
            &self.opaque,
            (&self.owner, &self.entropy),
            now,
        );
        tx.is_replaying = true;
        for (key, value) in entries {
            let number = number_of(key).unwrap_or_default();
            let event = Signed::from_bytes(value).map_err(|source| StoreError::Row {
                keyspace: layout::LOG.0,
                source,
            })?;
            tx.replay(event)
                .map_err(|error| StoreError::Replay(number, error.to_string()))?;
        }
        tx.commit(Durability::Durable)?;
        Ok(())
    }

    /// Notes whether the projections are whole; not whole means empty.
    fn mark(&self, whole: bool) -> Result<(), StoreError> {
        let mut batch = Batch::new();
        if !whole {
            for keyspace in layout::REBUILT {
                batch.delete_all(keyspace);
            }
            batch.delete_all(layout::VECTOR);
            batch.put(layout::META, meta::VECTOR_CURSOR, ordered(0).to_vec());
            super::generations::begin_anew(&mut batch);
        }
        let format = vec![layout::FORMAT_VERSION, u8::from(whole)];
        batch.put(layout::META, meta::FORMAT, format);
        Ok(self.kv.commit(batch, Durability::Durable)?)
    }
}
