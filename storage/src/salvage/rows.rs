//! Rows of a damaged file that are what was written: by their page's checksum, or by their own seal.

use crate::cipher::{Cipher, Context, MasterKey};
use crate::kv::disk::remains::{Found, Leaf, Remains, Table};
use crate::kv::sealed::place;
use crate::kv::{Keyspace, KvError};
use crate::layout::{self, number_of};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// The rows of one keyspace that are what was written.
#[derive(Debug, Default)]
pub(super) struct Kept {
    /// Keys and values.
    pub(super) rows: BTreeMap<Vec<u8>, Vec<u8>>,
    /// Whether no row is missing.
    pub(super) is_complete: bool,
    /// How many rows there were, where that can be told.
    pub(super) before: Option<u64>,
}

/// The rows of a damaged store.
#[derive(Debug)]
pub(super) struct Rows {
    kept: BTreeMap<Keyspace, Kept>,
}

impl Rows {
    /// Reads all that is left.
    pub(super) fn read(path: &Path, master: &MasterKey) -> Result<Self, KvError> {
        let mut remains = Remains::open(path)?;
        let cipher = Cipher::new(master, Context::Values);
        let mut kept = BTreeMap::new();
        for keyspace in layout::ALL {
            let table = remains.table(keyspace.0)?;
            kept.insert(keyspace, keep(&cipher, keyspace, table, remains.is_listed));
        }
        let mut rows = Self { kept };
        if !rows.of(layout::LOG).is_complete {
            rows.seek_log(&remains, &cipher)?;
        }
        Ok(rows)
    }

    /// Returns the rows of a keyspace.
    pub(super) fn of(&self, keyspace: Keyspace) -> &Kept {
        static NONE: Kept = Kept {
            rows: BTreeMap::new(),
            is_complete: false,
            before: None,
        };
        self.kept.get(&keyspace).unwrap_or(&NONE)
    }

    /// Tells whether nothing is damaged.
    pub(super) fn is_complete(&self) -> bool {
        self.kept.values().all(|kept| kept.is_complete)
    }

    /// Returns how many rows are missing by keyspace, where that can be told.
    pub(super) fn dropped(&self) -> BTreeMap<Keyspace, Option<u64>> {
        let damaged = self.kept.iter().filter(|(_, kept)| !kept.is_complete);
        let count = |kept: &Kept| {
            let before = kept.before?;
            before.checked_sub(kept.rows.len() as u64)
        };
        damaged
            .map(|(keyspace, kept)| (*keyspace, count(kept)))
            .filter(|(_, count)| *count != Some(0))
            .collect()
    }

    /// Looks for entries of the log in pages to which nothing leads any more.
    ///
    /// The log only grows, so an entry that opens at its place is that entry, whatever page it lies
    /// in. Two different ones are left by a commit that never was: neither is believed.
    fn seek_log(&mut self, remains: &Remains, cipher: &Cipher) -> Result<(), KvError> {
        let known = self.kept.entry(layout::LOG).or_default();
        let mut found: BTreeMap<Vec<u8>, BTreeSet<Vec<u8>>> = BTreeMap::new();
        remains.orphans(&mut |leaf| {
            for row in leaf.rows {
                let is_place = row.key.len() == 8 && number_of(&row.key).is_some_and(|at| at > 0);
                if is_place
                    && !known.rows.contains_key(&row.key)
                    && let Some(value) = open(cipher, layout::LOG, &row)
                {
                    found.entry(row.key).or_default().insert(value);
                }
            }
        })?;
        for (key, mut values) in found {
            let is_within = known
                .before
                .is_none_or(|before| number_of(&key).is_some_and(|place| place <= before));
            if is_within
                && values.len() == 1
                && let Some(value) = values.pop_first()
            {
                known.rows.insert(key, value);
            }
        }
        known.is_complete = known.before == Some(known.rows.len() as u64);
        Ok(())
    }
}

fn open(cipher: &Cipher, keyspace: Keyspace, row: &Found) -> Option<Vec<u8>> {
    cipher.open(&place(keyspace, &row.key), &row.value).ok()
}

/// Sorts out what of a table is believed.
fn keep(cipher: &Cipher, keyspace: Keyspace, table: Table, is_listed: bool) -> Kept {
    let mut kept = Kept {
        is_complete: true,
        before: table.rows.filter(|_| is_listed),
        ..Kept::default()
    };
    let (whole, damaged): (Vec<Leaf>, Vec<Leaf>) =
        table.leaves.into_iter().partition(|leaf| leaf.is_whole);
    for row in whole.iter().flat_map(|leaf| &leaf.rows) {
        if let Some(value) = open(cipher, keyspace, row) {
            kept.rows.insert(row.key.clone(), value);
        }
    }
    for leaf in damaged {
        let opened: Vec<_> = leaf
            .rows
            .iter()
            .map(|row| (row.key.clone(), open(cipher, keyspace, row)))
            .collect();
        // A page in which every row holds and which is yet not the one that was written is one of
        // another time: its rows were true then. Entries of the log are true for ever.
        let is_stale = opened.iter().all(|(_, value)| value.is_some());
        if is_stale && keyspace != layout::LOG {
            continue;
        }
        for (key, value) in opened {
            if let Some(value) = value {
                kept.rows.entry(key).or_insert(value);
            }
        }
    }
    kept.is_complete = kept.before == Some(kept.rows.len() as u64);
    kept
}
