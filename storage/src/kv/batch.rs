//! What one commit changes, and how large it may be.

use super::{Keyspace, KvError};

/// Longest key in bytes; engine pages hold many keys, and ours are ids and positions.
pub const KEY_BYTES_MAX: usize = 1024;
/// Longest value in bytes; larger content is kept in pieces.
pub const VALUE_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Most key and value bytes of one batch; the engine holds a batch in memory until it commits.
pub const BATCH_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Is one change within a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Op {
    /// Sets the value of a key.
    Put {
        /// The keyspace of the row.
        keyspace: Keyspace,
        /// The key of the row.
        key: Vec<u8>,
        /// The new value.
        value: Vec<u8>,
    },
    /// Removes a key; a key that is not there is no error.
    Delete {
        /// The keyspace of the row.
        keyspace: Keyspace,
        /// The key of the row.
        key: Vec<u8>,
    },
    /// Removes every row of a keyspace, as when a projection is rebuilt.
    DeleteAll {
        /// The keyspace to empty.
        keyspace: Keyspace,
    },
}

/// Is an ordered list of changes that become visible together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    /// The changes, applied in this order.
    pub ops: Vec<Op>,
}

impl Batch {
    /// Returns an empty batch.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the value of a key.
    pub fn put(&mut self, keyspace: Keyspace, key: impl Into<Vec<u8>>, value: impl Into<Vec<u8>>) {
        self.ops.push(Op::Put {
            keyspace,
            key: key.into(),
            value: value.into(),
        });
    }

    /// Removes a key.
    pub fn delete(&mut self, keyspace: Keyspace, key: impl Into<Vec<u8>>) {
        self.ops.push(Op::Delete {
            keyspace,
            key: key.into(),
        });
    }

    /// Removes every row of a keyspace.
    pub fn delete_all(&mut self, keyspace: Keyspace) {
        self.ops.push(Op::DeleteAll { keyspace });
    }

    /// Appends the changes of another batch after those of this one.
    pub fn append(&mut self, mut other: Self) {
        self.ops.append(&mut other.ops);
    }

    /// Says whether the batch changes nothing.
    pub fn is_empty(&self) -> bool {
        self.ops.is_empty()
    }

    /// Returns the bytes of all keys and values.
    pub fn bytes(&self) -> usize {
        self.ops.iter().map(Op::bytes).sum()
    }

    /// Refuses keys, values and batches beyond the limits.
    pub(crate) fn check(&self) -> Result<(), KvError> {
        for op in &self.ops {
            let (key, value) = op.sizes();
            fits(key, KEY_BYTES_MAX)?;
            fits(value, VALUE_BYTES_MAX)?;
        }
        fits(self.bytes(), BATCH_BYTES_MAX)
    }
}

impl Op {
    fn sizes(&self) -> (usize, usize) {
        match self {
            Self::Put { key, value, .. } => (key.len(), value.len()),
            Self::Delete { key, .. } => (key.len(), 0),
            Self::DeleteAll { .. } => (0, 0),
        }
    }

    fn bytes(&self) -> usize {
        let (key, value) = self.sizes();
        key + value
    }
}

pub(super) fn fits(bytes: usize, limit: usize) -> Result<(), KvError> {
    if bytes > limit {
        return Err(KvError::TooLarge { bytes, limit });
    }
    Ok(())
}
