//! The master key of a data folder: where it lies and how it is unlocked.
//!
//! It is not the identity of a person or a device; those are secrets it seals. By default the
//! key lies in a file that only its owner can read, which protects against other users and not
//! against a stolen disk. With a passphrase the file holds the key wrapped under Argon2id.
//!
//! Flow: [`Keyring::create`] once, [`Keyring::open`] at every start, then [`Keyring::master`]
//! for the store and [`Keyring::write_sealed`] for small secret files beside it.
//!
//! Invariant: the master key never changes once created, so changing the passphrase rewrites one
//! small file and no data; a key file is always whole, old or new, whatever the power does.

mod file;
mod header;

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::cipher::{Cipher, CipherError, Context, MasterKey};

pub use header::{KdfCost, MEMORY_KIB_FLOOR, MEMORY_KIB_MAX, PASSES_FLOOR, PASSES_MAX};

/// Name of the file that holds the master key, plain or wrapped.
pub const MASTER_FILE: &str = "master.key";

/// Says what opens the master key.
#[derive(Clone, Copy)]
pub enum Unlock<'a> {
    /// The key file itself; who can read it has the key.
    KeyFile,
    /// A passphrase, at the cost written into a new file.
    Passphrase {
        /// The words; never logged.
        words: &'a str,
        /// The cost for a new file; an existing one names its own.
        cost: KdfCost,
    },
}

impl<'a> Unlock<'a> {
    /// Unlocks with a passphrase at the least cost allowed.
    pub fn passphrase(words: &'a str) -> Self {
        Self::Passphrase {
            words,
            cost: KdfCost::FLOOR,
        }
    }
}

impl fmt::Debug for Unlock<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::KeyFile => "KeyFile",
            Self::Passphrase { .. } => "Passphrase",
        })
    }
}

/// Is the reason a keyring was not created, opened or changed.
#[derive(Debug, thiserror::Error)]
pub enum KeyringError {
    /// There is no master key in the folder.
    #[error("no master key at {}", path.display())]
    Missing {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// There is a master key already, and it is never overwritten.
    #[error("master key exists already at {}", path.display())]
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

/// Holds the unlocked master key of one folder.
#[derive(Debug)]
pub struct Keyring {
    folder: PathBuf,
    master: MasterKey,
    files: Cipher,
}

impl Keyring {
    /// Creates the folder if needed and a new master key in it.
    pub fn create(folder: &Path, unlock: Unlock<'_>) -> Result<Self, KeyringError> {
        file::create_private_folder(folder)?;
        let path = folder.join(MASTER_FILE);
        if file::exists(&path)? {
            return Err(KeyringError::Exists { path });
        }
        let master = MasterKey::generate()?;
        let keyring = Self::new(folder, master);
        keyring.change_passphrase(unlock)?;
        Ok(keyring)
    }

    /// Opens the master key of a folder.
    pub fn open(folder: &Path, unlock: Unlock<'_>) -> Result<Self, KeyringError> {
        let path = folder.join(MASTER_FILE);
        if !file::exists(&path)? {
            return Err(KeyringError::Missing { path });
        }
        file::check_private(folder)?;
        let bytes = file::read_private(&path)?;
        let master = header::decode(&path, &bytes, unlock)?;
        Ok(Self::new(folder, master))
    }

    /// Says whether a folder has a master key, and whether it needs a passphrase.
    pub fn needs_passphrase(folder: &Path) -> Result<bool, KeyringError> {
        let path = folder.join(MASTER_FILE);
        if !file::exists(&path)? {
            return Err(KeyringError::Missing { path });
        }
        header::is_wrapped(&path, &file::read_private(&path)?)
    }

    /// Wraps the same master key anew: under another passphrase, or under none.
    pub fn change_passphrase(&self, unlock: Unlock<'_>) -> Result<(), KeyringError> {
        let bytes = header::encode(&self.master, unlock)?;
        file::replace(&self.folder.join(MASTER_FILE), &bytes)
    }

    /// Returns the master key.
    pub fn master(&self) -> &MasterKey {
        &self.master
    }

    /// Writes a secret to a file, sealed to that file's name.
    pub fn write_sealed(&self, path: &Path, secret: &[u8]) -> Result<(), KeyringError> {
        let sealed = self.files.seal(&name(path), secret)?;
        file::replace(path, &sealed)
    }

    /// Reads a secret from a file written by [`Self::write_sealed`] under the same name.
    pub fn read_sealed(&self, path: &Path) -> Result<Zeroizing<Vec<u8>>, KeyringError> {
        let sealed = file::read_private(path)?;
        match self.files.open(&name(path), &sealed) {
            Ok(secret) => Ok(Zeroizing::new(secret)),
            Err(CipherError::Refused) => Err(KeyringError::Damaged {
                path: path.to_owned(),
            }),
            Err(error) => Err(error.into()),
        }
    }

    fn new(folder: &Path, master: MasterKey) -> Self {
        Self {
            folder: folder.to_owned(),
            files: Cipher::new(&master, Context::Files),
            master,
        }
    }
}

/// Returns the bytes that bind a secret to its file: the name, so that the folder can be moved.
fn name(path: &Path) -> Vec<u8> {
    let name = path.file_name().unwrap_or_default();
    name.as_encoded_bytes().to_vec()
}

#[cfg(test)]
mod tests;
