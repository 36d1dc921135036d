//! What goes wrong with the master key's file and with what opens it.

use std::io;
use std::path::PathBuf;

use crate::cipher::CipherError;

use super::{ItemName, OsKeyringError};

/// Is the reason a keyring was not created, opened or changed.
#[derive(Debug, thiserror::Error)]
pub enum KeyringError {
    /// There is no master key in the folder.
    #[error("no master key at {}", path.display())]
    Missing {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// There is a file already, and it is never overwritten.
    #[error("there is a key or another file already at {}", path.display())]
    Exists {
        /// Where it lies.
        path: PathBuf,
    },
    /// Others than the owner may read or write a file or folder with keys.
    #[error("{} is open to other users (mode {mode:o})", path.display())]
    Exposed {
        /// The file or folder.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The key is wrapped and no passphrase was given.
    #[error("master key needs a passphrase")]
    PassphraseNeeded,
    /// A passphrase was given and the key is not wrapped.
    #[error("master key has no passphrase")]
    PassphraseUnused,
    /// The key is wrapped under a wrapping key and none was given.
    #[error("master key needs the wrapping key that lies in a file elsewhere")]
    WrappingNeeded,
    /// A wrapping key was given and the key is not wrapped under one.
    #[error("master key is not wrapped under a key in a file elsewhere")]
    WrappingUnused,
    /// The wrapping key is another one.
    #[error("the key in {} does not open the master key", path.display())]
    WrongWrapping {
        /// The file.
        path: PathBuf,
    },
    /// The key is wrapped under a key in the OS keyring, and something else was given.
    #[error("master key needs the wrapping key that lies in the OS keyring")]
    ItemNeeded,
    /// The OS keyring was given and the key is not wrapped under a key in it.
    #[error("master key is not wrapped under a key in the OS keyring")]
    ItemUnused,
    /// The OS keyring is there and has no item of this name.
    #[error("the OS keyring has no item named {item}")]
    ItemMissing {
        /// The name.
        item: ItemName,
    },
    /// The wrapping key in the item is another one.
    #[error("the item {item} of the OS keyring does not open the master key")]
    WrongItem {
        /// The name.
        item: ItemName,
    },
    /// The bytes of the item are not what was written.
    #[error("the item {item} of the OS keyring is damaged")]
    ItemDamaged {
        /// The name.
        item: ItemName,
    },
    /// The OS keyring did not do what it was asked.
    #[error(transparent)]
    Os(#[from] OsKeyringError),
    /// A wrapping key beside what it wraps protects nothing.
    #[error("{} lies in the folder that it is to protect", path.display())]
    Inside {
        /// The file.
        path: PathBuf,
    },
    /// The passphrase is empty.
    #[error("passphrase is empty")]
    PassphraseEmpty,
    /// The passphrase does not open the key, or the file was altered.
    #[error("wrong passphrase")]
    WrongPassphrase,
    /// The cost is below what guards a passphrase, or beyond what a machine can bear.
    #[error("passphrase cost out of bounds: {memory_kib} KiB, {passes} passes, {lanes} lanes")]
    Cost {
        /// Memory in KiB.
        memory_kib: u32,
        /// Passes over the memory.
        passes: u32,
        /// Lanes.
        lanes: u32,
    },
    /// The bytes of a key file are not one.
    #[error("key file is damaged: {}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
    },
    /// The version of a key file is newer than this program.
    #[error("key file has unknown version {version}: {}", path.display())]
    UnknownVersion {
        /// The file.
        path: PathBuf,
        /// The version it names.
        version: u8,
    },
    /// The file system failed.
    #[error("cannot access {}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// Sealing or opening failed.
    #[error(transparent)]
    Cipher(#[from] CipherError),
}
