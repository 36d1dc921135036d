//! Salvage: a damaged store is copied row by row into a new file, and what is lost is named.
//!
//! ```text
//! pages -> rows whose seal holds -> the log, as far as it holds together -> a new file in its place
//! ```
//!
//! It is for a store that no node opens any more. The log of the new file has only entries whose
//! predecessors are there; the others are kept [apart](crate::gaps). The projections are left out
//! and made anew at the next start. The damaged file is never written and is kept under another name.
//!
//! Start at [`salvage`].
//!
//! Invariant: every row of the new file is one that was written, and until the last step, which is one
//! rename, the old file is in its place.

mod place;
mod rows;

use crate::cipher::MasterKey;
use crate::gaps::{Apart, Gaps, Halt, Lost};
use crate::kv::disk::{DiskStore, FileMedium};
use crate::kv::sealed::{OpaqueKey, Sealed};
use crate::kv::{Batch, Durability, Keyspace, Kv, KvError};
use crate::layout::{self, meta, ordered};
use crate::store::{StoreError, decode};
use crdt::event::{Event, Signed};
use rows::Rows;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Bytes of rows that are written in one commit.
const BATCH_BYTES: usize = 8 << 20;

/// What a salvage did.
#[derive(Debug)]
pub struct Salvaged {
    /// Where the damaged file is kept.
    pub aside: PathBuf,
    /// Rows that were taken over.
    pub rows: u64,
    /// Log entries that were taken over.
    pub events: u64,
    /// Keyspaces of which rows were dropped: how many, where that can be told.
    pub dropped: BTreeMap<Keyspace, Option<u64>>,
    /// What is missing from the log.
    pub gaps: Gaps,
    /// Whether the head of the disclosure ledger is lost: it begins anew.
    pub is_ledger_lost: bool,
}

/// What a new file is made of.
#[derive(Debug, Default)]
struct Whole {
    log: Vec<Vec<u8>>,
    apart: Vec<(Signed<Event>, Apart)>,
    lost: BTreeMap<Vec<u8>, Lost>,
    halt: Halt,
    rows: Vec<(Keyspace, Vec<u8>, Vec<u8>)>,
    is_ledger_lost: bool,
}

/// Copies what is whole of the store in a file into a new file and puts that in its place.
///
/// Returns nothing, and changes nothing, if nothing is damaged. Fails and changes nothing if the store
/// is in use, the disk is full, or not one entry of the log reads under this master key.
pub fn salvage(path: &Path, master: &MasterKey) -> Result<Option<Salvaged>, StoreError> {
    let mut lock = FileMedium::lock(path)?;
    let mut rows = Rows::read(path, master)?;
    if rows.is_complete() {
        // The engine keeps more than rows. A damaged file it does not get to see: it writes into it.
        drop(lock);
        match DiskStore::open(path) {
            Ok(disk) => {
                disk.close()?;
                return Ok(None);
            }
            Err(KvError::Damaged { .. }) => {}
            Err(error) => return Err(error.into()),
        }
        lock = FileMedium::lock(path)?;
        rows = Rows::read(path, master)?;
    }
    let names = OpaqueKey::new(master);
    let whole = place::place(&rows, &names)?;
    if whole.log.is_empty() {
        return Err(StoreError::Kv(KvError::Damaged {
            reason: "not one entry of the log reads; restore the data folder from a backup"
                .to_owned(),
        }));
    }
    let new = beside(path, "salvaging");
    let written = write(&new, master, &whole);
    if written.is_err() {
        // It is ours, by its name; what is in it is in the old file too.
        std::fs::remove_file(&new).ok();
    }
    let count = written?;
    let aside = put_in_place(path, &new)?;
    drop(lock);
    let mut gaps = Gaps::default();
    gaps.lost = whole.lost;
    gaps.halt = whole.halt;
    for (event, apart) in &whole.apart {
        gaps.set_apart(event.id(), waits(event, apart));
    }
    Ok(Some(Salvaged {
        aside,
        rows: count,
        events: whole.log.len() as u64,
        dropped: rows.dropped(),
        gaps,
        is_ledger_lost: whole.is_ledger_lost,
    }))
}

/// Lets a halted store hand out again: the person looked at who may see what. Tells whether it was
/// halted.
///
/// Fails if the store is not there, in use or damaged.
pub fn resume(path: &Path, master: &MasterKey) -> Result<bool, StoreError> {
    path.metadata().map_err(KvError::from)?;
    let disk = Arc::new(DiskStore::open(path)?);
    let kv = Sealed::new(disk, master);
    let row = kv.get(layout::META, meta::HALT)?;
    let is_halted = row.is_some_and(|row| Halt::from_row(&row) >= Halt::UntilBack);
    if is_halted {
        let mut batch = Batch::new();
        batch.put(layout::META, meta::HALT, Halt::Over.to_row());
        kv.commit(batch, Durability::Durable)?;
    }
    kv.close()?;
    Ok(is_halted)
}

/// Says what an entry that is apart waits for.
pub(crate) fn waits(event: &Signed<Event>, apart: &Apart) -> crate::gaps::Waits {
    crate::gaps::Waits {
        need: apart.need,
        memory: event.memory(),
    }
}

/// Reads an entry that is apart.
pub(crate) fn event_of(apart: &Apart) -> Result<Signed<Event>, StoreError> {
    Signed::from_bytes(&apart.event).map_err(|source| StoreError::Row {
        keyspace: layout::APART.0,
        source,
    })
}

/// Writes the new file.
fn write(path: &Path, master: &MasterKey, whole: &Whole) -> Result<u64, StoreError> {
    if path.exists() {
        std::fs::remove_file(path).map_err(KvError::from)?;
    }
    let disk = Arc::new(DiskStore::open(path)?);
    let kv = Sealed::new(Arc::clone(&disk) as Arc<dyn Kv>, master);
    let names = OpaqueKey::new(master);
    let (mut batch, mut bytes, mut count) = (Batch::new(), 0, 0);
    let mut put = |keyspace, key: Vec<u8>, value: Vec<u8>| -> Result<(), KvError> {
        bytes += key.len() + value.len();
        batch.put(keyspace, key, value);
        count += 1;
        if bytes >= BATCH_BYTES {
            bytes = 0;
            kv.commit(std::mem::take(&mut batch), Durability::Durable)?;
        }
        Ok(())
    };
    for (number, event) in (1..).zip(&whole.log) {
        put(layout::LOG, ordered(number).to_vec(), event.clone())?;
    }
    for (event, apart) in &whole.apart {
        let key = names.opaque(event.id().as_bytes()).to_vec();
        put(layout::APART, key, crdt::codec::Canonical::to_bytes(apart))?;
    }
    for (key, lost) in &whole.lost {
        let row = crdt::codec::Canonical::to_bytes(lost);
        put(layout::LOST, key.clone(), row)?;
    }
    for (keyspace, key, value) in &whole.rows {
        put(*keyspace, key.clone(), value.clone())?;
    }
    if whole.halt != Halt::None {
        put(layout::META, meta::HALT.to_vec(), whole.halt.to_row())?;
    }
    // Not whole: the next start makes the projections anew.
    let format = vec![layout::FORMAT_VERSION, 0];
    put(layout::META, meta::FORMAT.to_vec(), format)?;
    kv.commit(batch, Durability::Durable)?;
    kv.close()?;
    drop(kv);
    drop(disk);
    std::fs::remove_file(beside(path, "lock")).map_err(KvError::from)?;
    Ok(count)
}

/// Gives the damaged file a second name, then the new file the name of the old.
///
/// Both are one step each: a crash in between leaves the old file under both names.
fn put_in_place(path: &Path, new: &Path) -> Result<PathBuf, KvError> {
    let mut number = 1;
    let aside = loop {
        let aside = beside(path, &format!("damaged-{number}"));
        match std::fs::hard_link(path, &aside) {
            Ok(()) => break aside,
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
                if is_same_file(path, &aside)? {
                    break aside;
                }
                number += 1;
            }
            Err(error) => return Err(error.into()),
        }
    };
    sync_folder(path)?;
    std::fs::rename(new, path)?;
    sync_folder(path)?;
    Ok(aside)
}

fn is_same_file(one: &Path, other: &Path) -> Result<bool, KvError> {
    use std::os::unix::fs::MetadataExt as _;
    let (one, other) = (one.metadata()?, other.metadata()?);
    Ok((one.dev(), one.ino()) == (other.dev(), other.ino()))
}

fn sync_folder(path: &Path) -> Result<(), KvError> {
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or_else(|| Path::new("."));
    Ok(std::fs::File::open(folder)?.sync_all()?)
}

fn beside(path: &Path, kind: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(kind);
    PathBuf::from(name)
}

/// Reads the gaps of a store from its rows.
pub(crate) fn gaps_of(kv: &dyn Kv) -> Result<Gaps, StoreError> {
    let mut gaps = Gaps::default();
    crate::store::open::each_row(kv, layout::LOST, None, &mut |key, value| {
        gaps.lost
            .insert(key.to_vec(), decode(layout::LOST.0, value)?);
        Ok(true)
    })?;
    crate::store::open::each_row(kv, layout::APART, None, &mut |_, value| {
        let apart: Apart = decode(layout::APART.0, value)?;
        let event = event_of(&apart)?;
        gaps.set_apart(event.id(), waits(&event, &apart));
        Ok(true)
    })?;
    let halt = kv.get(layout::META, meta::HALT)?;
    gaps.halt = halt.map_or(Halt::None, |row| Halt::from_row(&row));
    Ok(gaps)
}
