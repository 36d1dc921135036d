//! Overlay: a store as it will be once batches that wait are committed.
//!
//! Not a cache and no engine: it takes batches and commits nothing. Whoever made it takes the batches
//! out as one, commits that, and forgets the overlay.
//!
//! Flow: [`Overlay::commit`](Kv::commit) -> [`Staged`] -> [`Staged::take`] -> commit of the store
//! beneath.
//!
//! Invariant: every read gives what the store beneath would give after that commit.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::batch::fits;
use super::{
    BATCH_BYTES_MAX, Batch, Direction, Durability, Health, Keyspace, Kv, KvError, Op, Page, Scan,
    Stats, Verification,
};
use crate::kv::Item;

/// Most bytes that may wait while a further batch is still taken.
pub(crate) const STAGED_BYTES_MAX: usize = 8 * 1024 * 1024;

/// The batches that wait, in their order.
#[derive(Debug, Default)]
pub(crate) struct Staged {
    batch: Batch,
    bytes: usize,
    durability: Option<Durability>,
    /// Operations of the batch that are in the maps below; they are entered when first asked for.
    entered: usize,
    /// The operation that says last what becomes of a row.
    rows: BTreeMap<Keyspace, BTreeMap<Vec<u8>, usize>>,
    /// Keyspaces of which nothing beneath is left.
    emptied: BTreeSet<Keyspace>,
}

/// What becomes of a row: a value, or none.
type Fate<'a> = Option<&'a [u8]>;

impl Staged {
    /// Returns the bytes that wait.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Returns all that waits as one batch, and how durable its most demanding part is.
    pub(crate) fn take(&mut self) -> (Batch, Durability) {
        let staged = std::mem::take(self);
        (
            staged.batch,
            staged.durability.unwrap_or(Durability::Relaxed),
        )
    }

    fn enter(&mut self) {
        let ops = self.batch.ops.iter().enumerate().skip(self.entered);
        for (number, op) in ops {
            match op {
                Op::Put { keyspace, key, .. } | Op::Delete { keyspace, key } => {
                    let rows = self.rows.entry(*keyspace).or_default();
                    rows.insert(key.clone(), number);
                }
                Op::DeleteAll { keyspace } => {
                    self.rows.remove(keyspace);
                    self.emptied.insert(*keyspace);
                }
            }
        }
        self.entered = self.batch.ops.len();
    }

    fn fate(&self, number: usize) -> Fate<'_> {
        match self.batch.ops.get(number) {
            Some(Op::Put { value, .. }) => Some(value),
            _ => None,
        }
    }

    fn fate_of(&self, keyspace: Keyspace, key: &[u8]) -> Option<Fate<'_>> {
        let row = self.rows.get(&keyspace).and_then(|rows| rows.get(key));
        let emptied = || self.emptied.contains(&keyspace).then_some(None);
        row.map(|number| self.fate(*number)).or_else(emptied)
    }

    fn fates_in<'a>(
        &'a self,
        keyspace: Keyspace,
        (low, high): &(Bound<&[u8]>, Bound<Vec<u8>>),
    ) -> Vec<(&'a [u8], Fate<'a>)> {
        let high = high.as_ref().map(Vec::as_slice);
        let rows = self.rows.get(&keyspace).into_iter();
        let rows = rows.flat_map(|rows| rows.range::<[u8], _>((*low, high)));
        rows.map(|(key, number)| (key.as_slice(), self.fate(*number)))
            .collect()
    }
}

/// A store with batches that wait.
#[derive(Debug)]
pub(crate) struct Overlay<'a> {
    beneath: &'a dyn Kv,
    staged: &'a Mutex<Staged>,
}

impl<'a> Overlay<'a> {
    pub(crate) fn new(beneath: &'a dyn Kv, staged: &'a Mutex<Staged>) -> Self {
        Self { beneath, staged }
    }

    fn staged(&self) -> MutexGuard<'_, Staged> {
        let mut staged = self.staged.lock().unwrap_or_else(PoisonError::into_inner);
        staged.enter();
        staged
    }
}

impl Kv for Overlay<'_> {
    fn commit(&self, batch: Batch, durability: Durability) -> Result<(), KvError> {
        batch.check()?;
        let bytes = batch.bytes();
        // What waits already has room beside it.
        fits(bytes, BATCH_BYTES_MAX - STAGED_BYTES_MAX)?;
        let mut staged = self.staged.lock().unwrap_or_else(PoisonError::into_inner);
        staged.bytes += bytes;
        staged.durability = staged.durability.max(Some(durability));
        staged.batch.append(batch);
        Ok(())
    }

    fn get(&self, keyspace: Keyspace, key: &[u8]) -> Result<Option<Vec<u8>>, KvError> {
        if let Some(fate) = self.staged().fate_of(keyspace, key) {
            return Ok(fate.map(<[u8]>::to_vec));
        }
        self.beneath.get(keyspace, key)
    }

    fn get_many(
        &self,
        keyspace: Keyspace,
        keys: &[Vec<u8>],
    ) -> Result<Vec<Option<Vec<u8>>>, KvError> {
        let mut values = self.beneath.get_many(keyspace, keys)?;
        let staged = self.staged();
        for (key, value) in keys.iter().zip(&mut values) {
            if let Some(fate) = staged.fate_of(keyspace, key) {
                *value = fate.map(<[u8]>::to_vec);
            }
        }
        drop(staged);
        Ok(values)
    }

    fn scan(&self, keyspace: Keyspace, scan: &Scan) -> Result<Page, KvError> {
        let Some(bounds) = scan.bounds() else {
            return Ok(Page::default());
        };
        let staged = self.staged();
        let fates = staged.fates_in(keyspace, &bounds);
        let page = if staged.emptied.contains(&keyspace) {
            Page::default()
        } else {
            // Rows of the page may turn out to be deleted; as many more are read.
            let max = scan.max.saturating_add(fates.len());
            self.beneath.scan(keyspace, &scan.clone().max(max))?
        };
        let edge = page.items.last().filter(|_| page.more);
        let edge = edge.map(|item| item.key.clone());
        let beyond = |key: &[u8]| {
            edge.as_deref().is_some_and(|edge| match scan.direction {
                Direction::Ascending => key > edge,
                Direction::Descending => key < edge,
            })
        };
        let items = page.items.into_iter().map(|item| (item.key, item.value));
        let mut rows: BTreeMap<Vec<u8>, Vec<u8>> = items.collect();
        for (key, fate) in fates.into_iter().filter(|(key, _)| !beyond(key)) {
            match fate {
                Some(value) => rows.insert(key.to_vec(), value.to_vec()),
                None => rows.remove(key),
            };
        }
        drop(staged);
        let rows = rows
            .into_iter()
            .map(|(key, value)| Ok::<_, KvError>(Item { key, value }));
        let mut filled = match scan.direction {
            Direction::Ascending => Page::fill(scan.max, rows)?,
            Direction::Descending => Page::fill(scan.max, rows.rev())?,
        };
        filled.more |= page.more;
        Ok(filled)
    }

    fn health(&self) -> Health {
        self.beneath.health()
    }

    fn verify(&self, keyspaces: &[Keyspace]) -> Result<Verification, KvError> {
        self.beneath.verify(keyspaces)
    }

    fn stats(&self) -> Result<Stats, KvError> {
        self.beneath.stats()
    }

    fn close(&self) -> Result<(), KvError> {
        self.beneath.close()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::kv::memory::MemoryStore;

    const SPACES: [Keyspace; 2] = [Keyspace("left"), Keyspace("right")];

    /// Keyspace, key, and a value, a deletion, or the deletion of all.
    type Change = (usize, u8, u8);

    fn batch(changes: &[Change]) -> Batch {
        let mut batch = Batch::new();
        for &(space, key, what) in changes {
            match what {
                0 => batch.delete_all(SPACES[space]),
                1..60 => batch.delete(SPACES[space], [key % 16, key / 16]),
                value => batch.put(SPACES[space], [key % 16, key / 16], vec![value; 3]),
            }
        }
        batch
    }

    fn changes() -> impl Strategy<Value = Vec<Change>> {
        prop::collection::vec((0..2_usize, 0..64_u8, any::<u8>()), 0..40)
    }

    fn walked(store: &dyn Kv, keyspace: Keyspace, scan: &Scan) -> (Vec<Item>, usize) {
        let (mut scan, mut rows, mut pages) = (scan.clone(), Vec::new(), 0);
        loop {
            let page = store.scan(keyspace, &scan).unwrap();
            pages += 1;
            scan.after = page.items.last().map(|item| item.key.clone());
            rows.extend(page.items);
            if !page.more || scan.after.is_none() {
                return (rows, pages);
            }
        }
    }

    proptest! {
        #[test]
        fn an_overlay_reads_as_the_store_after_the_commit(
            before in changes(),
            batches in prop::collection::vec(changes(), 1..4),
            max in 1..9_usize,
        ) {
            let (beneath, after) = (MemoryStore::new(), MemoryStore::new());
            for store in [&beneath, &after] {
                store.commit(batch(&before), Durability::Durable).unwrap();
            }
            let staged = Mutex::new(Staged::default());
            let overlay = Overlay::new(&beneath, &staged);
            for changes in &batches {
                overlay.commit(batch(changes), Durability::Relaxed).unwrap();
                after.commit(batch(changes), Durability::Durable).unwrap();
                let keys: Vec<Vec<u8>> = (0..64).map(|key| vec![key % 16, key / 16]).collect();
                for keyspace in SPACES {
                    for key in &keys {
                        let value = overlay.get(keyspace, key).unwrap();
                        prop_assert_eq!(value, after.get(keyspace, key).unwrap());
                    }
                    let many = overlay.get_many(keyspace, &keys).unwrap();
                    prop_assert_eq!(many, after.get_many(keyspace, &keys).unwrap());
                    for scan in [Scan::all(), Scan::prefix([3]), Scan::all().descending()] {
                        let scan = scan.max(max);
                        let (rows, _) = walked(&overlay, keyspace, &scan);
                        prop_assert_eq!(rows, walked(&after, keyspace, &scan).0);
                    }
                }
            }
            let (batch, durability) = staged.lock().unwrap().take();
            prop_assert_eq!(durability, Durability::Relaxed);
            beneath.commit(batch, Durability::Durable).unwrap();
            for keyspace in SPACES {
                let all = Scan::all();
                prop_assert_eq!(walked(&beneath, keyspace, &all), walked(&after, keyspace, &all));
            }
        }
    }
}
