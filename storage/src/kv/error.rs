//! Why a store refused, in the words of its callers rather than of its engine.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use super::Keyspace;

/// Is the reason a store operation did not happen.
///
/// It can be cloned because one failed group is answered to every caller in it.
#[derive(Clone, Debug, thiserror::Error)]
pub enum KvError {
    /// Another process, or another store in this one, has the data open.
    #[error("store is in use{}", .pid.map(|pid| format!(" by process {pid}")).unwrap_or_default())]
    Locked {
        /// The process that holds the lock, when it could be read.
        pid: Option<u32>,
    },
    /// The data folder or the file may not be written.
    #[error("data folder is read-only: {}", path.display())]
    ReadOnly {
        /// What could not be written.
        path: PathBuf,
    },
    /// The medium has no room; reads go on, and writes resume once there is space.
    #[error("disk is full")]
    DiskFull,
    /// A row is not what was written.
    #[error("row is corrupt: keyspace {keyspace}, key {key}")]
    Corrupt {
        /// The keyspace of the row.
        keyspace: Keyspace,
        /// The key of the row in hexadecimal.
        key: String,
    },
    /// The structure of the store's file is damaged.
    #[error("store file is damaged: {reason}")]
    Damaged {
        /// What the engine found.
        reason: String,
    },
    /// The medium failed.
    #[error("storage i/o error")]
    Io(#[source] Arc<io::Error>),
    /// A key, a value or a batch is beyond its limit.
    #[error("{bytes} bytes exceed the limit of {limit}")]
    TooLarge {
        /// The size that was asked for.
        bytes: usize,
        /// The limit it exceeds.
        limit: usize,
    },
    /// The store was closed.
    #[error("store is closed")]
    Closed,
}

impl KvError {
    /// Names a corrupt row.
    pub(crate) fn corrupt(keyspace: Keyspace, key: &[u8]) -> Self {
        Self::Corrupt {
            keyspace,
            key: data_encoding::HEXLOWER.encode(key),
        }
    }
}

impl From<io::Error> for KvError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::DiskFull,
            _ => Self::Io(Arc::new(error)),
        }
    }
}
