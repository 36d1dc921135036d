//! A store in memory that can lose what was not synced, as a disk does.
//!
//! It is the model the engines are compared with and the store of the simulator; it is not a
//! cache, and nothing outlives the process. Start at [`MemoryDisk`], which plays the medium:
//! open a [`MemoryStore`] on it, cut the power, open another.
//!
//! Invariant: after a power cut the rows are those of the last durable commit plus a prefix of
//! the relaxed commits that followed it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{
    Batch, Direction, Durability, Health, Item, Keyspace, Kv, KvError, Op, Page, Scan, Stats,
    Verification, walk,
};

/// Holds rows beyond the life of the store that is open on it.
#[derive(Clone, Debug, Default)]
pub struct MemoryDisk {
    state: Arc<Mutex<State>>,
}

/// Is the store that has a [`MemoryDisk`] open.
#[derive(Debug)]
pub struct MemoryStore {
    disk: MemoryDisk,
    /// The opening this store belongs to; a power cut or a close makes it stale.
    opening: u64,
}

type Rows = BTreeMap<Vec<u8>, Vec<u8>>;

#[derive(Debug, Default)]
struct State {
    keyspaces: BTreeMap<Keyspace, Rows>,
    /// For every relaxed commit since the last durable one: how to take it back.
    unsynced: Vec<Vec<Undo>>,
    opening: u64,
    open: bool,
}

/// The row as it was before a change.
#[derive(Debug)]
struct Undo {
    keyspace: Keyspace,
    key: Vec<u8>,
    value: Option<Vec<u8>>,
}

impl MemoryDisk {
    /// Returns an empty disk.
    pub fn new() -> Self {
        Self::default()
    }

    /// Cuts the power: the open store dies, and of the relaxed commits since the last durable
    /// one only the first `keep` stay.
    pub fn power_cut(&self, keep: usize) {
        let mut state = self.lock();
        state.open = false;
        let keep = keep.min(state.unsynced.len());
        for undo in state.unsynced.split_off(keep).into_iter().rev() {
            state.undo(undo);
        }
        state.unsynced.clear();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl MemoryStore {
    /// Opens the store on a disk, unless another one is open there.
    pub fn open(disk: &MemoryDisk) -> Result<Self, KvError> {
        let mut state = disk.lock();
        if state.open {
            return Err(KvError::Locked {
                pid: Some(std::process::id()),
            });
        }
        state.open = true;
        state.opening += 1;
        let opening = state.opening;
        drop(state);
        Ok(Self {
            disk: disk.clone(),
            opening,
        })
    }

    /// Opens a store on an empty disk of its own.
    pub fn new() -> Self {
        let disk = MemoryDisk::new();
        {
            let mut state = disk.lock();
            state.open = true;
            state.opening = 1;
        }
        Self { disk, opening: 1 }
    }

    fn state(&self) -> Result<MutexGuard<'_, State>, KvError> {
        let state = self.disk.lock();
        if state.open && state.opening == self.opening {
            Ok(state)
        } else {
            Err(KvError::Closed)
        }
    }
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for MemoryStore {
    fn drop(&mut self) {
        if let Ok(mut state) = self.state() {
            state.open = false;
            state.unsynced.clear();
        }
    }
}

impl Kv for MemoryStore {
    fn commit(&self, batch: Batch, durability: Durability) -> Result<(), KvError> {
        batch.check()?;
        let mut state = self.state()?;
        let mut undo = Vec::with_capacity(batch.ops.len());
        for op in batch.ops {
            state.apply(op, &mut undo);
        }
        match durability {
            Durability::Relaxed => state.unsynced.push(undo),
            Durability::Durable => state.unsynced.clear(),
        }
        Ok(())
    }

    fn get(&self, keyspace: Keyspace, key: &[u8]) -> Result<Option<Vec<u8>>, KvError> {
        let state = self.state()?;
        Ok(state
            .keyspaces
            .get(&keyspace)
            .and_then(|rows| rows.get(key))
            .cloned())
    }

    fn get_many(
        &self,
        keyspace: Keyspace,
        keys: &[Vec<u8>],
    ) -> Result<Vec<Option<Vec<u8>>>, KvError> {
        let state = self.state()?;
        let rows = state.keyspaces.get(&keyspace);
        Ok(keys
            .iter()
            .map(|key| rows.and_then(|rows| rows.get(key)).cloned())
            .collect())
    }

    fn scan(&self, keyspace: Keyspace, scan: &Scan) -> Result<Page, KvError> {
        let state = self.state()?;
        let (Some(rows), Some((low, high))) = (state.keyspaces.get(&keyspace), scan.bounds())
        else {
            return Ok(Page::default());
        };
        let high = high.as_ref().map(Vec::as_slice);
        let range = rows.range::<[u8], _>((low, high)).map(|(key, value)| {
            Ok(Item {
                key: key.clone(),
                value: value.clone(),
            })
        });
        match scan.direction {
            Direction::Ascending => Page::fill(scan.max, range),
            Direction::Descending => Page::fill(scan.max, range.rev()),
        }
    }

    fn health(&self) -> Health {
        match self.state() {
            Ok(_) => Health::Writable,
            Err(_) => Health::Closed,
        }
    }

    fn verify(&self, keyspaces: &[Keyspace]) -> Result<Verification, KvError> {
        let mut found = Verification::default();
        walk(self, keyspaces, &mut |_, _| found.rows += 1)?;
        Ok(found)
    }

    fn stats(&self) -> Result<Stats, KvError> {
        let state = self.state()?;
        let mut stats = Stats::default();
        for (keyspace, rows) in &state.keyspaces {
            stats.rows.insert(keyspace.to_string(), count(rows.len()));
            stats.bytes += rows
                .iter()
                .map(|(k, v)| count(k.len() + v.len()))
                .sum::<u64>();
        }
        Ok(stats)
    }

    fn close(&self) -> Result<(), KvError> {
        if let Ok(mut state) = self.state() {
            state.open = false;
            state.unsynced.clear();
        }
        Ok(())
    }
}

impl State {
    fn apply(&mut self, op: Op, undo: &mut Vec<Undo>) {
        match op {
            Op::Put {
                keyspace,
                key,
                value,
            } => {
                let old = self.rows(keyspace).insert(key.clone(), value);
                undo.push(Undo {
                    keyspace,
                    key,
                    value: old,
                });
            }
            Op::Delete { keyspace, key } => {
                let value = self.rows(keyspace).remove(&key);
                undo.push(Undo {
                    keyspace,
                    key,
                    value,
                });
            }
            Op::DeleteAll { keyspace } => {
                let rows = std::mem::take(self.rows(keyspace));
                undo.extend(rows.into_iter().map(|(key, value)| Undo {
                    keyspace,
                    key,
                    value: Some(value),
                }));
            }
        }
    }

    fn undo(&mut self, undo: Vec<Undo>) {
        for step in undo.into_iter().rev() {
            let rows = self.rows(step.keyspace);
            match step.value {
                Some(value) => rows.insert(step.key, value),
                None => rows.remove(&step.key),
            };
        }
    }

    fn rows(&mut self, keyspace: Keyspace) -> &mut Rows {
        self.keyspaces.entry(keyspace).or_default()
    }
}

fn count(n: usize) -> u64 {
    u64::try_from(n).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPACE: Keyspace = Keyspace("rows");

    fn put(store: &MemoryStore, key: &[u8], value: &[u8], durability: Durability) {
        let mut batch = Batch::new();
        batch.put(SPACE, key, value);
        store.commit(batch, durability).unwrap();
    }

    #[test]
    fn power_cut_keeps_the_durable_and_a_prefix_of_the_relaxed() {
        let disk = MemoryDisk::new();
        let store = MemoryStore::open(&disk).unwrap();
        put(&store, b"a", b"1", Durability::Durable);
        put(&store, b"a", b"2", Durability::Relaxed);
        let mut clear = Batch::new();
        clear.delete_all(SPACE);
        store.commit(clear, Durability::Relaxed).unwrap();
        put(&store, b"b", b"3", Durability::Relaxed);
        disk.power_cut(1);

        assert!(matches!(store.get(SPACE, b"a"), Err(KvError::Closed)));
        let again = MemoryStore::open(&disk).unwrap();
        assert_eq!(again.get(SPACE, b"a").unwrap().as_deref(), Some(&b"2"[..]));
        assert_eq!(again.get(SPACE, b"b").unwrap(), None);
    }

    #[test]
    fn a_durable_commit_makes_the_relaxed_before_it_durable() {
        let disk = MemoryDisk::new();
        let store = MemoryStore::open(&disk).unwrap();
        put(&store, b"a", b"1", Durability::Relaxed);
        put(&store, b"b", b"2", Durability::Durable);
        disk.power_cut(0);
        let again = MemoryStore::open(&disk).unwrap();
        assert_eq!(again.get(SPACE, b"a").unwrap().as_deref(), Some(&b"1"[..]));
    }
}
