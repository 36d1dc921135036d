//! The narrow door to a storage engine: batches in, pages out.
//!
//! It is not a query language and knows nothing of events or memories. No iterator is borrowed
//! from an engine and no engine type appears here, so that an engine can be exchanged: an engine
//! whose rows lie in object storage fits behind the same trait.
//!
//! Start at [`Kv`]. A caller fills a [`Batch`], commits it with a [`Durability`], and reads with
//! `get`, `get_many` or page by page with [`Scan`].
//!
//! Invariant: a batch is applied whole or not at all, batches are applied in one order, and a
//! page shows one moment of the store.

mod batch;
pub mod disk;
mod error;
#[cfg(any(test, feature = "sim"))]
pub mod faulty;
pub mod group;
pub mod memory;
pub(crate) mod overlay;
mod scan;
pub mod sealed;

#[cfg(test)]
mod conformance;
#[cfg(test)]
pub(crate) mod image;
#[cfg(test)]
mod power_cut;

use std::collections::BTreeMap;
use std::fmt;

pub use batch::{BATCH_BYTES_MAX, Batch, KEY_BYTES_MAX, Op, VALUE_BYTES_MAX};
pub use error::KvError;
pub use scan::{Direction, Item, PAGE_BYTES_MAX, Page, Scan};

/// Names one ordered map of the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Keyspace(pub &'static str);

impl fmt::Display for Keyspace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

/// Says what an acknowledged commit survives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Durability {
    /// Visible to readers at once; a power cut or a reopened engine may lose it.
    ///
    /// Good for what can be rebuilt. It becomes durable with the next durable commit.
    Relaxed,
    /// On the disk, by fsync, before the call returns.
    Durable,
}

/// Says whether a store takes writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Health {
    /// Reads and writes are served.
    Writable,
    /// Writes failed; the next commit tries to reopen the engine.
    ReadOnly {
        /// What stopped the writes, in words.
        reason: String,
    },
    /// The store was closed and serves nothing.
    Closed,
}

/// Counts what a store holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Rows by keyspace name; a keyspace without rows may be missing.
    pub rows: BTreeMap<String, u64>,
    /// Bytes the store takes on its medium.
    pub bytes: u64,
}

/// Reports what [`Kv::verify`] found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verification {
    /// Rows that were read.
    pub rows: u64,
    /// Rows that are not what was written.
    pub damaged: Vec<DamagedRow>,
}

/// Names one row that is not what was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DamagedRow {
    /// The keyspace of the row.
    pub keyspace: Keyspace,
    /// The key of the row.
    pub key: Vec<u8>,
}

/// Is a store of ordered maps with atomic batches.
pub trait Kv: Send + Sync + fmt::Debug {
    /// Applies a batch whole or not at all.
    ///
    /// With [`Durability::Durable`] it returns only after the bytes are on the disk. After an
    /// error the batch may still turn out to be there when the store is opened again, but never
    /// a part of it.
    fn commit(&self, batch: Batch, durability: Durability) -> Result<(), KvError>;

    /// Returns the value of a key.
    fn get(&self, keyspace: Keyspace, key: &[u8]) -> Result<Option<Vec<u8>>, KvError>;

    /// Returns the values of many keys, in the order asked, all from one moment.
    fn get_many(
        &self,
        keyspace: Keyspace,
        keys: &[Vec<u8>],
    ) -> Result<Vec<Option<Vec<u8>>>, KvError>;

    /// Returns one page of rows, all from one moment.
    fn scan(&self, keyspace: Keyspace, scan: &Scan) -> Result<Page, KvError>;

    /// Says whether the store takes writes.
    fn health(&self) -> Health;

    /// Reads every row of the keyspaces and the engine's own structure, and names the damage.
    ///
    /// Only a sealed store can tell that a value was altered; a bare engine finds structural
    /// damage, which is an error.
    fn verify(&self, keyspaces: &[Keyspace]) -> Result<Verification, KvError>;

    /// Counts rows and bytes.
    fn stats(&self) -> Result<Stats, KvError>;

    /// Closes the store; later calls return [`KvError::Closed`]. Closing twice is no error.
    fn close(&self) -> Result<(), KvError>;
}

/// Walks the rows of keyspaces page by page, handing each to `visit`.
pub(crate) fn walk(
    store: &dyn Kv,
    keyspaces: &[Keyspace],
    visit: &mut dyn FnMut(Keyspace, &Item),
) -> Result<(), KvError> {
    for &keyspace in keyspaces {
        let mut scan = Scan::all();
        loop {
            let page = store.scan(keyspace, &scan)?;
            for item in &page.items {
                visit(keyspace, item);
            }
            match page.items.last() {
                Some(last) if page.more => scan.after = Some(last.key.clone()),
                _ => break,
            }
        }
    }
    Ok(())
}
