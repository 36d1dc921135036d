//! Every call into redb, and its errors in our words.
//!
//! The engine runs with one exclusive writer and quick repair, which saves the allocator with
//! each commit, and commits in two phases, so that a crash leaves nothing to repair.
//!
//! redb keeps the checksum of every page in the page above it, and looks at them when it is told to:
//! a key that was altered beneath it, or a page that stands for another, would otherwise be a row
//! that is missing and no error. So the whole file is checked whenever it is opened. A panic in the
//! engine is contained here and becomes [`KvError::Damaged`].

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use redb::{
    Database, ReadOnlyTable, ReadableDatabase as _, ReadableTableMetadata as _, TableDefinition,
    TableError, TableHandle as _,
};

use crate::kv::{
    Batch, Direction, Durability, Item, Keyspace, KvError, Op, Page, Scan, VALUE_BYTES_MAX,
};

use super::Medium;

/// Memory the engine may use to cache pages.
const CACHE_BYTES: usize = 16 * 1024 * 1024;

type Definition<'a> = TableDefinition<'a, &'static [u8], &'static [u8]>;

/// Is an open redb database.
#[derive(Debug)]
pub(super) struct Engine {
    /// None only while the engine is being closed or dropped.
    database: Option<Database>,
}

/// Says what a failed commit means for the engine.
#[derive(Debug)]
pub(super) enum Failure {
    /// The batch was refused and the engine is well.
    Refused(KvError),
    /// The engine was broken before the batch began.
    Stale,
    /// The engine broke and takes no writes until it is opened anew.
    Broken(KvError),
}

impl Failure {
    pub(super) fn into_error(self) -> KvError {
        match self {
            Self::Refused(error) | Self::Broken(error) => error,
            Self::Stale => translate(redb::Error::PreviousIo),
        }
    }
}

impl Engine {
    pub(super) fn open(medium: &impl Medium) -> Result<Self, KvError> {
        let backend = medium.open()?;
        let database = contained(|| {
            Ok(Database::builder()
                .set_cache_size(CACHE_BYTES)
                .set_check_integrity_on_open(true)
                .create_with_backend(backend)?)
        })?;
        Ok(Self {
            database: Some(database),
        })
    }

    pub(super) fn commit(&self, batch: &Batch, durability: Durability) -> Result<(), Failure> {
        let database = self.database().map_err(Failure::Broken)?;
        let done = catch_unwind(AssertUnwindSafe(|| write(database, batch, durability)));
        match done {
            Ok(Ok(())) => Ok(()),
            Ok(Err(redb::Error::PreviousIo | redb::Error::LockPoisoned(_))) => Err(Failure::Stale),
            Ok(Err(error @ redb::Error::ValueTooLarge(_))) => {
                Err(Failure::Refused(translate(error)))
            }
            Ok(Err(error)) => Err(Failure::Broken(translate(error))),
            Err(_) => Err(Failure::Broken(panicked())),
        }
    }

    pub(super) fn get(&self, keyspace: Keyspace, key: &[u8]) -> Result<Option<Vec<u8>>, KvError> {
        let found = self.read(keyspace, |table| {
            Ok(table.get(key)?.map(|v| v.value().to_vec()))
        })?;
        Ok(found.flatten())
    }

    pub(super) fn get_many(
        &self,
        keyspace: Keyspace,
        keys: &[Vec<u8>],
    ) -> Result<Vec<Option<Vec<u8>>>, KvError> {
        let found = self.read(keyspace, |table| {
            keys.iter()
                .map(|key| Ok(table.get(key.as_slice())?.map(|v| v.value().to_vec())))
                .collect()
        })?;
        Ok(found.unwrap_or_else(|| vec![None; keys.len()]))
    }

    pub(super) fn scan(&self, keyspace: Keyspace, scan: &Scan) -> Result<Page, KvError> {
        let Some((low, high)) = scan.bounds() else {
            return Ok(Page::default());
        };
        let page = self.read(keyspace, |table| {
            let high = high.as_ref().map(Vec::as_slice);
            let rows = table.range::<&[u8]>((low, high))?.map(|row| {
                let (key, value) = row?;
                Ok(Item {
                    key: key.value().to_vec(),
                    value: value.value().to_vec(),
                })
            });
            match scan.direction {
                Direction::Ascending => Page::fill(scan.max, rows),
                Direction::Descending => Page::fill(scan.max, rows.rev()),
            }
        })?;
        Ok(page.unwrap_or_default())
    }

    /// Returns the rows by keyspace name.
    pub(super) fn rows(&self) -> Result<BTreeMap<String, u64>, KvError> {
        let database = self.database()?;
        contained(|| {
            let transaction = database.begin_read()?;
            let mut rows = BTreeMap::new();
            for table in transaction.list_tables()? {
                let open = transaction.open_table(Definition::new(table.name()))?;
                rows.insert(table.name().to_owned(), open.len()?);
            }
            Ok(rows)
        })
    }

    /// Checks the structure of the whole file.
    pub(super) fn check(&mut self) -> Result<(), KvError> {
        let database = self.database.as_mut().ok_or(KvError::Closed)?;
        let sound = contained(|| Ok(database.check_integrity()?))?;
        if !sound {
            tracing::warn!("store file had damage in its free list, which was rebuilt");
        }
        Ok(())
    }

    pub(super) fn close(mut self) -> Result<(), KvError> {
        match self.database.take() {
            Some(database) => contained(|| Ok(database.close()?)),
            None => Ok(()),
        }
    }

    fn database(&self) -> Result<&Database, KvError> {
        self.database.as_ref().ok_or(KvError::Closed)
    }

    /// Runs a read on the table of a keyspace; none when nothing was ever written there.
    fn read<T>(
        &self,
        keyspace: Keyspace,
        read: impl FnOnce(&ReadOnlyTable<&'static [u8], &'static [u8]>) -> Result<T, redb::Error>,
    ) -> Result<Option<T>, KvError> {
        let database = self.database()?;
        contained(|| {
            let transaction = database.begin_read()?;
            match transaction.open_table(Definition::new(keyspace.0)) {
                Ok(table) => read(&table).map(Some),
                Err(TableError::TableDoesNotExist(_)) => Ok(None),
                Err(error) => Err(error.into()),
            }
        })
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        if let Some(database) = self.database.take()
            && let Err(error) = contained(|| {
                drop(database);
                Ok(())
            })
        {
            tracing::warn!(%error, "engine panicked while it was dropped");
        }
    }
}

fn write(database: &Database, batch: &Batch, durability: Durability) -> Result<(), redb::Error> {
    let mut transaction = database.begin_write()?;
    transaction.set_quick_repair(true);
    transaction.set_durability(match durability {
        Durability::Relaxed => redb::Durability::None,
        Durability::Durable => redb::Durability::Immediate,
    })?;
    // redb opens a table once per transaction, so the handles are kept until the end.
    let mut tables = BTreeMap::new();
    for op in &batch.ops {
        let keyspace = match op {
            Op::Put { keyspace, .. } | Op::Delete { keyspace, .. } => *keyspace,
            Op::DeleteAll { keyspace } => {
                drop(tables.remove(keyspace));
                transaction.delete_table(Definition::new(keyspace.0))?;
                continue;
            }
        };
        let table = match tables.entry(keyspace) {
            Entry::Occupied(open) => open.into_mut(),
            Entry::Vacant(new) => new.insert(transaction.open_table(Definition::new(keyspace.0))?),
        };
        match op {
            Op::Put { key, value, .. } => drop(table.insert(key.as_slice(), value.as_slice())?),
            Op::Delete { key, .. } => drop(table.remove(key.as_slice())?),
            Op::DeleteAll { .. } => {}
        }
    }
    drop(tables);
    transaction.commit()?;
    Ok(())
}

/// Runs an engine call; a panic in it becomes an error.
fn contained<T>(call: impl FnOnce() -> Result<T, redb::Error>) -> Result<T, KvError> {
    match catch_unwind(AssertUnwindSafe(call)) {
        Ok(done) => done.map_err(translate),
        Err(_) => Err(panicked()),
    }
}

fn panicked() -> KvError {
    KvError::Damaged {
        reason: "engine panicked".to_owned(),
    }
}

fn translate(error: redb::Error) -> KvError {
    match error {
        redb::Error::Io(error)
            if matches!(
                error.kind(),
                io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof
            ) =>
        {
            KvError::Damaged {
                reason: error.to_string(),
            }
        }
        redb::Error::Io(error) => error.into(),
        redb::Error::Corrupted(reason) => KvError::Damaged { reason },
        redb::Error::ValueTooLarge(bytes) => KvError::TooLarge {
            bytes,
            limit: VALUE_BYTES_MAX,
        },
        redb::Error::DatabaseClosed => KvError::Closed,
        redb::Error::DatabaseAlreadyOpen => KvError::Locked { pid: None },
        other => KvError::Io(Arc::new(io::Error::other(other))),
    }
}
