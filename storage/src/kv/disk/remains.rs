//! What is left in a damaged file of the engine, page by page, without the engine.
//!
//! redb refuses a file in which one checksum does not hold, and may panic or loop in one that it does
//! not check. So the pages are read here, as its format describes them: a header with two commit
//! slots, a tree of tables, a tree of rows for each. Each pointer to a page has the page's checksum
//! beside it, so it is known of each page whether it is what was written.
//!
//! ```text
//! slot -> tables -> branches -> leaves -> rows, each with whether its page is whole
//! ```
//!
//! Where a page is damaged, what it still says is handed on as doubtful: pointers are followed only to
//! pages whose checksum holds, rows are for the caller to judge by their seals.
//!
//! Invariant: nothing is written, no page is visited twice, nothing outside the file is read.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use twox_hash::XxHash3_128;

use crate::kv::{KvError, VALUE_BYTES_MAX};

/// The size of a page of order 0 and of the header.
const PAGE_BYTES: u64 = 4096;
const HEADER_BYTES: usize = 320;
/// The bytes of a region: as many pages as an index can name. The engine writes no header before them.
const REGION_BYTES: u64 = 1 << 32;
const SLOTS_AT: [usize; 2] = [64, 192];
const SLOT_BYTES: usize = 128;
const LEAF: u8 = 1;
const BRANCH: u8 = 2;
/// The largest order of a page: it holds the largest value and its key.
const ORDER_MAX: u64 = 20;
/// Levels of a tree; real ones have a handful.
const DEPTH_MAX: usize = 32;

/// Points to a page, with the checksum it must have.
#[derive(Clone, Copy, Debug)]
struct Pointer {
    page: u64,
    checksum: u128,
}

/// The tables by name; one without rows may have no root.
type Tables = BTreeMap<String, Option<Root>>;

/// The root of one tree and how many rows are in it.
#[derive(Clone, Copy, Debug)]
struct Root {
    pointer: Pointer,
    rows: u64,
}

/// A row as it lies in a page.
#[derive(Debug)]
pub(crate) struct Found {
    /// The key.
    pub(crate) key: Vec<u8>,
    /// The value, sealed.
    pub(crate) value: Vec<u8>,
}

/// The rows of one leaf.
#[derive(Debug)]
pub(crate) struct Leaf {
    /// Whether the page is what was written.
    pub(crate) is_whole: bool,
    /// What it holds, as far as it can be told.
    pub(crate) rows: Vec<Found>,
}

/// What was read of one table.
#[derive(Debug, Default)]
pub(crate) struct Table {
    /// The leaves that were found.
    pub(crate) leaves: Vec<Leaf>,
    /// The rows it is said to have; none if that cannot be told.
    pub(crate) rows: Option<u64>,
}

/// A damaged file.
#[derive(Debug)]
pub(crate) struct Remains {
    file: File,
    bytes: u64,
    tables: Tables,
    /// Whether the list of tables is what was written.
    pub(crate) is_listed: bool,
    visited: BTreeSet<u64>,
}

impl Remains {
    /// Reads header and tables, as far as they read.
    pub(crate) fn open(path: &Path) -> Result<Self, KvError> {
        let file = File::open(path)?;
        let bytes = file.metadata()?.len();
        let mut remains = Self {
            file,
            bytes,
            tables: BTreeMap::new(),
            is_listed: false,
            visited: BTreeSet::new(),
        };
        let header = remains.bytes_at(0, HEADER_BYTES)?.unwrap_or_default();
        if let Some(root) = newest(&header) {
            let (tables, is_whole) = remains.read_tables(root)?;
            remains.tables = tables;
            // Where the slot of the last commit may be damaged, the other is of a time that is over.
            remains.is_listed = is_whole && SLOTS_AT.iter().all(|at| is_slot_whole(&header, *at));
        }
        if !remains.tables.contains_key("log") {
            remains.is_listed = false;
            remains.tables = remains.seek_tables()?;
        }
        Ok(remains)
    }

    /// Reads what is left of a table.
    pub(crate) fn table(&mut self, name: &str) -> Result<Table, KvError> {
        let Some(root) = self.tables.get(name).copied().flatten() else {
            // A table that was never written is in no list, an emptied one has no root.
            let rows = self.is_listed.then_some(0);
            return Ok(Table {
                rows,
                ..Table::default()
            });
        };
        let leaves = self.leaves(root.pointer)?;
        let rows = Some(root.rows);
        Ok(Table { leaves, rows })
    }

    /// Reads the leaves that no tree leads to, of whatever table: they lie beneath a branch that is
    /// gone, or are of a time that is over.
    pub(crate) fn orphans(&self, visit: &mut dyn FnMut(Leaf)) -> Result<(), KvError> {
        for start in (1..self.bytes / PAGE_BYTES).map(|page| page * PAGE_BYTES) {
            if self.visited.contains(&start) {
                continue;
            }
            let Some(page) = self.bytes_at(start, small())? else {
                continue;
            };
            let end = usize::try_from(extent(&page).min(VALUE_BYTES_MAX as u64 * 2));
            let end = end.unwrap_or(usize::MAX);
            let page = if end > page.len() {
                self.bytes_at(start, end)?
            } else {
                Some(page)
            };
            let rows = page.map(|page| rows_of(&page)).unwrap_or_default();
            if !rows.is_empty() {
                visit(Leaf {
                    is_whole: false,
                    rows,
                });
            }
        }
        Ok(())
    }

    fn leaves(&mut self, root: Pointer) -> Result<Vec<Leaf>, KvError> {
        let mut leaves = Vec::new();
        // Whether a pointer comes from a page that is whole: then it leads where it should.
        let mut open = vec![(root, true, 0)];
        while let Some((pointer, is_sure, depth)) = open.pop() {
            let Some((start, page)) = self.page(pointer.page)? else {
                continue;
            };
            let is_whole = checksum_of(&page) == Some(pointer.checksum);
            if depth > DEPTH_MAX || !(is_whole || is_sure) || !self.visited.insert(start) {
                continue;
            }
            let kind = page.first().copied();
            // Of a damaged page nothing is certain, not even its kind.
            if kind == Some(LEAF) || !is_whole {
                let rows = rows_of(&page);
                if is_whole || !rows.is_empty() {
                    leaves.push(Leaf { is_whole, rows });
                }
            }
            if kind == Some(BRANCH) || !is_whole {
                let children = children_of(&page).into_iter();
                open.extend(children.map(|child| (child, is_whole, depth + 1)));
            }
        }
        Ok(leaves)
    }

    fn read_tables(&mut self, root: Root) -> Result<(Tables, bool), KvError> {
        let leaves = self.leaves(root.pointer)?;
        let is_whole = leaves.iter().all(|leaf| leaf.is_whole);
        let rows = leaves.into_iter().flat_map(|leaf| leaf.rows);
        let tables: Tables = rows.filter_map(|row| definition(&row)).collect();
        let is_whole = is_whole && tables.len() as u64 == root.rows;
        Ok((tables, is_whole))
    }

    /// Looks for a list of tables when nothing leads to it: the latest is the one most of whose roots
    /// are what was written, and of several the one with the longest log.
    fn seek_tables(&mut self) -> Result<Tables, KvError> {
        let mut lists: Vec<Tables> = Vec::new();
        self.orphans(&mut |leaf| {
            let tables: Tables = leaf.rows.iter().filter_map(definition).collect();
            if tables.contains_key("log") {
                lists.push(tables);
            }
        })?;
        let mut best = ((0, 0), Tables::new());
        for tables in lists {
            let mut sound = 0;
            for root in tables.values().flatten() {
                let page = self.page(root.pointer.page)?;
                let checksum = page.and_then(|(_, page)| checksum_of(&page));
                sound += u64::from(checksum == Some(root.pointer.checksum));
            }
            let rank = (sound, length_of_log(&tables));
            if rank > best.0 {
                best = (rank, tables);
            }
        }
        Ok(best.1)
    }

    /// Returns where a page starts and what it holds; none if it lies outside the file.
    fn page(&self, number: u64) -> Result<Option<(u64, Vec<u8>)>, KvError> {
        let (index, region) = (number & 0xf_ffff, (number >> 20) & 0xf_ffff);
        let order = number >> 59;
        if order > ORDER_MAX {
            return Ok(None);
        }
        let index = index & (0xf_ffff >> order);
        let bytes = PAGE_BYTES << order;
        let start = PAGE_BYTES + region * REGION_BYTES + index * bytes;
        let Ok(len) = usize::try_from(bytes) else {
            return Ok(None);
        };
        Ok(self.bytes_at(start, len)?.map(|page| (start, page)))
    }

    /// Reads a part of the file; none if it is not all there or the disk does not give it.
    fn bytes_at(&self, start: u64, len: usize) -> Result<Option<Vec<u8>>, KvError> {
        let is_inside = start
            .checked_add(len as u64)
            .is_some_and(|end| end <= self.bytes);
        if !is_inside {
            return Ok(None);
        }
        let mut bytes = vec![0; len];
        match self.file.read_exact_at(&mut bytes, start) {
            Ok(()) => Ok(Some(bytes)),
            // A sector that the disk cannot read is damage like any other.
            Err(error) if error.raw_os_error() == Some(rustix::io::Errno::IO.raw_os_error()) => {
                Ok(None)
            }
            Err(error) => Err(error.into()),
        }
    }
}

fn small() -> usize {
    usize::try_from(PAGE_BYTES).unwrap_or(usize::MAX)
}

/// Returns the root of the tables as of the last commit whose slot is what was written.
fn newest(header: &[u8]) -> Option<Root> {
    let slots = SLOTS_AT.into_iter().filter_map(|at| {
        let slot = header.get(at..at + SLOT_BYTES)?;
        let is_whole = is_slot_whole(header, at);
        let has_root = *slot.get(1)? != 0;
        (is_whole && has_root).then_some((number64(slot, 104)?, root_at(slot, 8)?))
    });
    slots
        .max_by_key(|(commit, _)| *commit)
        .map(|(_, root)| root)
}

/// Tells whether a commit slot is what was written.
fn is_slot_whole(header: &[u8], at: usize) -> bool {
    let slot = header.get(at..at + SLOT_BYTES).unwrap_or_default();
    let body = slot.get(..SLOT_BYTES - 16);
    body.is_some_and(|body| number128(slot, SLOT_BYTES - 16) == Some(XxHash3_128::oneshot(body)))
}

fn number16(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}
fn number32(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}
fn number64(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}
fn number128(bytes: &[u8], at: usize) -> Option<u128> {
    Some(u128::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}
fn offset_at(bytes: &[u8], at: usize) -> Option<usize> {
    usize::try_from(number32(bytes, at)?).ok()
}

fn root_at(bytes: &[u8], at: usize) -> Option<Root> {
    Some(Root {
        pointer: Pointer {
            page: number64(bytes, at)?,
            checksum: number128(bytes, at + 8)?,
        },
        rows: number64(bytes, at + 24)?,
    })
}

/// Reads a row of the list of tables: a name and where its tree is.
fn definition(row: &Found) -> Option<(String, Option<Root>)> {
    let name = String::from_utf8(row.key.clone()).ok()?;
    let root = root_at(&row.value, 10)?;
    Some((name, (*row.value.get(9)? != 0).then_some(root)))
}

fn length_of_log(tables: &Tables) -> u64 {
    let root = tables.get("log").copied().flatten();
    root.map_or(0, |root| root.rows)
}

/// Returns how many entries a page says it has: rows in a leaf, keys in a branch.
fn entries(page: &[u8]) -> usize {
    number16(page, 2).map_or(0, usize::from)
}

/// Returns where the data of a leaf end, as it says itself.
fn extent(page: &[u8]) -> u64 {
    let rows = entries(page);
    let end = rows
        .checked_sub(1)
        .and_then(|last| number32(page, 4 + 4 * (rows + last)));
    end.map_or(0, u64::from)
}

/// Returns the checksum of what a page holds; none if it cannot be told how much that is.
fn checksum_of(page: &[u8]) -> Option<u128> {
    let count = entries(page);
    let last = count.checked_sub(1)?;
    let end = match *page.first()? {
        LEAF => offset_at(page, 4 + 4 * (count + last))?,
        BRANCH => offset_at(page, 8 + 24 * (count + 1) + 4 * last)?,
        _ => return None,
    };
    Some(XxHash3_128::oneshot(page.get(..end)?))
}

/// Returns the rows of a leaf that lie within it.
fn rows_of(page: &[u8]) -> Vec<Found> {
    let count = entries(page);
    let end_of = |at: usize| offset_at(page, 4 + 4 * at);
    let row = |at: usize| {
        let keys_at = 4 + 8 * count;
        let key_start = match at.checked_sub(1) {
            Some(before) => end_of(before)?,
            None => keys_at,
        };
        let value_start = match at.checked_sub(1) {
            Some(before) => end_of(count + before)?,
            None => end_of(count.checked_sub(1)?)?,
        };
        let key = page.get(key_start..end_of(at)?)?;
        let value = page.get(value_start..end_of(count + at)?)?;
        Some(Found {
            key: key.to_vec(),
            value: value.to_vec(),
        })
    };
    (0..count).filter_map(row).collect()
}

fn children_of(page: &[u8]) -> Vec<Pointer> {
    let count = entries(page) + 1;
    let child = |at: usize| {
        Some(Pointer {
            checksum: number128(page, 8 + 16 * at)?,
            page: number64(page, 8 + 16 * count + 8 * at)?,
        })
    };
    (0..count).map_while(child).collect()
}
