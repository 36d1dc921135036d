//! The content of a memory as it stands: its root's until somebody edits it, then a row of its own.
//!
//! A memory that nobody edited is read from the log, sealed as it was signed, with the key that
//! is kept for it; so nothing is kept twice, and most memories are never edited. A purged one
//! has an empty row, which says that nothing is to be read, whatever keys come later.
//!
//! Flow: `content` row -> if there is none, `event` -> `log` -> `key` -> opened.

use crate::kv::sealed::OpaqueKey;
use crate::kv::{Keyspace, KvError};
use crate::layout::{self, ordered};
use crate::store::{StoreError, decode};
use crdt::codec::Canonical as _;
use crdt::envelope::{ContentKey, Epoch};
use crdt::event::{Event, Signed};
use crdt::hash::Hash;
use crdt::id::MemoryId;
use crdt::memory::Content;

/// How much of a commitment stands in the name of a key's row.
pub(crate) const COMMITMENT_BYTES: usize = 8;

/// What the row of a purged memory holds.
pub(crate) const PURGED: &[u8] = &[];

/// Rows as the caller sees them.
pub(crate) trait Rows {
    /// Returns a row.
    fn row(&self, keyspace: Keyspace, key: &[u8]) -> Result<Option<Vec<u8>>, KvError>;
    /// Returns rows of one keyspace, in the order asked.
    fn rows(&self, keyspace: Keyspace, keys: &[Vec<u8>]) -> Result<Vec<Option<Vec<u8>>>, KvError> {
        keys.iter().map(|key| self.row(keyspace, key)).collect()
    }
    /// Returns the key under which rows are named.
    fn names(&self) -> &OpaqueKey;
}

/// Returns the content of a memory; none if it is unknown or purged.
pub(crate) fn content(rows: &impl Rows, memory: MemoryId) -> Result<Option<Content>, StoreError> {
    let key = rows.names().opaque(memory.as_bytes());
    match rows.row(layout::CONTENT, &key)? {
        Some(bytes) if bytes == PURGED => Ok(None),
        Some(bytes) => decode(layout::CONTENT.0, &bytes).map(Some),
        // It was edited, and what it says now is lost: not what its root said.
        None if rows.row(layout::DOCUMENT, &key)?.is_some() => Ok(None),
        // The root's id is the memory's.
        None => match rows.row(layout::EVENT, &key)? {
            Some(place) => of_root(rows, memory, layout::number_of(&place).unwrap_or_default()),
            None => Ok(None),
        },
    }
}

/// Reads what the root of a memory says, at its place in the log.
pub(crate) fn of_root(
    rows: &impl Rows,
    memory: MemoryId,
    number: u64,
) -> Result<Option<Content>, StoreError> {
    let mut contents = of_roots(rows, &[(memory, number)])?;
    Ok(contents.pop().flatten())
}

/// Reads what the roots of memories say, each at its place in the log, in the order asked.
pub(crate) fn of_roots(
    rows: &impl Rows,
    roots: &[(MemoryId, u64)],
) -> Result<Vec<Option<Content>>, StoreError> {
    let places = roots.iter().map(|(_, number)| ordered(*number).to_vec());
    let events = rows.rows(layout::LOG, &places.collect::<Vec<_>>())?;
    let mut sealed = Vec::new();
    for (at, (event, (memory, _))) in events.into_iter().zip(roots).enumerate() {
        let Some(bytes) = event else { continue };
        let event: Signed<Event> =
            Signed::from_bytes(&bytes).map_err(|source| StoreError::Row {
                keyspace: layout::LOG.0,
                source,
            })?;
        let header = event.header();
        if let Some(commitment) = header.commitment {
            let name = key_row(rows.names(), *memory, header.epoch, &commitment);
            sealed.push((at, event, name));
        }
    }
    let names = sealed.iter().map(|(_, _, name)| name.clone());
    let keys = rows.rows(layout::KEY, &names.collect::<Vec<_>>())?;
    let mut contents = vec![None; roots.len()];
    for ((at, event, _), key) in sealed.iter().zip(keys) {
        if let Some(key) = key.and_then(key_of) {
            contents[*at] = Some(opened(roots[*at].1, event, key)?);
        }
    }
    Ok(contents)
}

fn opened(number: u64, root: &Signed<Event>, key: [u8; 32]) -> Result<Content, StoreError> {
    let unread = |error: String| StoreError::Replay(number, error);
    let body = root.event().open(&ContentKey::from_bytes(key));
    let body = body.map_err(|error| unread(error.to_string()))?;
    Content::from_bytes(&body).map_err(|error| unread(error.to_string()))
}

/// Returns the name of the row of a content key: several devices may draw a key for the same
/// epoch, so it is named by the commitment as well.
pub(crate) fn key_row(
    names: &OpaqueKey,
    memory: MemoryId,
    epoch: Epoch,
    commitment: &Hash,
) -> Vec<u8> {
    let mut row = names.opaque(memory.as_bytes()).to_vec();
    row.extend_from_slice(&epoch.0.to_be_bytes());
    row.extend(commitment.0.iter().take(COMMITMENT_BYTES));
    row
}

/// Reads the value of a key's row.
pub(crate) fn key_of(value: Vec<u8>) -> Option<[u8; 32]> {
    value.try_into().ok()
}
