//! Pages of rows: what to read, in which direction, and where to stop.
//!
//! A page is cut by a number of rows and by bytes, whichever comes first; the caller goes on
//! with `after` set to the last key it saw. Both engines share this arithmetic, so they agree on
//! the edges.

use std::ops::Bound;

/// Most key and value bytes of one page; a page holds at least one row, however large.
pub const PAGE_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Rows of one page when the caller names no number.
const PAGE_ROWS: usize = 1024;

/// The keys of a scan from low to high.
type Bounds<'a> = (Bound<&'a [u8]>, Bound<Vec<u8>>);

/// Says in which order a scan reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From the smallest key to the largest.
    Ascending,
    /// From the largest key to the smallest.
    Descending,
}

/// Says which rows to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scan {
    /// Only keys that start with these bytes.
    pub prefix: Vec<u8>,
    /// Only keys beyond this one in the direction of the scan; the key itself is left out.
    pub after: Option<Vec<u8>>,
    /// The order of the page.
    pub direction: Direction,
    /// Most rows of the page.
    pub max: usize,
}

impl Scan {
    /// Returns a scan of a whole keyspace in ascending order.
    pub fn all() -> Self {
        Self::prefix(Vec::new())
    }

    /// Returns a scan of the keys with a prefix in ascending order.
    pub fn prefix(prefix: impl Into<Vec<u8>>) -> Self {
        Self {
            prefix: prefix.into(),
            after: None,
            direction: Direction::Ascending,
            max: PAGE_ROWS,
        }
    }

    /// Sets the key to start beyond.
    #[must_use]
    pub fn after(mut self, key: impl Into<Vec<u8>>) -> Self {
        self.after = Some(key.into());
        self
    }

    /// Reads from the largest key downward.
    #[must_use]
    pub fn descending(mut self) -> Self {
        self.direction = Direction::Descending;
        self
    }

    /// Sets the most rows of the page.
    #[must_use]
    pub fn max(mut self, rows: usize) -> Self {
        self.max = rows;
        self
    }

    /// Returns the keys to read as bounds, or none when no key can match.
    pub(crate) fn bounds(&self) -> Option<Bounds<'_>> {
        let mut low = Bound::Included(self.prefix.as_slice());
        let mut high = successor(&self.prefix).map_or(Bound::Unbounded, Bound::Excluded);
        match (&self.after, self.direction) {
            (Some(after), Direction::Ascending) if after >= &self.prefix => {
                low = Bound::Excluded(after);
            }
            (Some(after), Direction::Descending) => match &high {
                Bound::Excluded(end) if after >= end => {}
                _ => high = Bound::Excluded(after.clone()),
            },
            _ => {}
        }
        // Ordered maps panic on bounds that cross, and a crossed range holds nothing anyway.
        let empty = match (&low, &high) {
            (Bound::Included(low) | Bound::Excluded(low), Bound::Excluded(high)) => {
                *low >= high.as_slice()
            }
            _ => false,
        };
        (!empty).then_some((low, high))
    }
}

/// Is one row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// The key of the row.
    pub key: Vec<u8>,
    /// The value of the row.
    pub value: Vec<u8>,
}

/// Is a run of rows from one moment of the store.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// The rows, in the direction of the scan.
    pub items: Vec<Item>,
    /// Says whether further rows match beyond the last one.
    pub more: bool,
}

impl Page {
    /// Fills a page from rows that come in order, stopping at the limits.
    pub(crate) fn fill<E>(
        max: usize,
        rows: impl Iterator<Item = Result<Item, E>>,
    ) -> Result<Self, E> {
        let mut page = Self::default();
        let mut bytes = 0;
        for row in rows {
            let item = row?;
            bytes += item.key.len() + item.value.len();
            let full = page.items.len() >= max;
            if full || (bytes > PAGE_BYTES_MAX && !page.items.is_empty()) {
                page.more = true;
                break;
            }
            page.items.push(item);
        }
        Ok(page)
    }
}

/// Returns the smallest key greater than every key with the prefix, if there is one.
fn successor(prefix: &[u8]) -> Option<Vec<u8>> {
    let mut end = prefix.to_vec();
    while let Some(last) = end.pop() {
        if last < u8::MAX {
            end.push(last + 1);
            return Some(end);
        }
    }
    None
}
