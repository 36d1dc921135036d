//! The master key of a data folder: where it lies and how it is unlocked.
//!
//! It is not the identity of a person or a device; those are secrets it seals. By default the
//! key lies in a file that only its owner can read, which protects against other users and not
//! against a stolen disk. With a passphrase the file holds the key wrapped under Argon2id;
//! or it is wrapped under a *wrapping key* that lies in a file elsewhere.
//!
//! Flow: [`Keyring::create`] once, [`Keyring::open`] at every start, then [`Keyring::master`]
//! for the store and [`Keyring::write_sealed`] for small secret files beside it;
//! [`Keyring::rewrap`] changes what wraps the key.
//!
//! Invariant: the master key never changes once created, so changing what wraps it rewrites one
//! small file and no data; a key file is always whole, old or new, whatever the power does. The
//! price: an old copy of the key file, with what opened it then, opens the data for ever.

mod file;
mod header;
mod wrapping;

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

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
    /// The wrapping key in this file; a new one is drawn when something is wrapped under it.
    WrappingFile(&'a Path),
}

/// How the master key lies in its file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// As it is.
    Plain,
    /// Wrapped under a passphrase.
    Passphrase,
    /// Wrapped under a wrapping key that lies elsewhere.
    Elsewhere,
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
            Self::WrappingFile(_) => "WrappingFile",
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

/// Holds the unlocked master key of one folder.
#[derive(Debug)]
pub struct Keyring {
    folder: PathBuf,
    master: MasterKey,
    files: Cipher,
    /// Held while the key file is replaced: two who replace it at once would mix their files.
    replacing: Mutex<()>,
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
        keyring.wrap(None, unlock)?;
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
        // A change that was cut short may have left the key there as it is.
        file::forget_attempt(&path)?;
        let master = header::decode(&path, &bytes, unlock)?;
        Ok(Self::new(folder, master))
    }

    /// Says how the master key of a folder lies in its file.
    pub fn kept(folder: &Path) -> Result<Kept, KeyringError> {
        let path = folder.join(MASTER_FILE);
        if !file::exists(&path)? {
            return Err(KeyringError::Missing { path });
        }
        header::kept(&path, &file::read_private(&path)?)
    }

    /// Tells whether this opens the key file as it lies there now.
    pub fn check(&self, unlock: Unlock<'_>) -> Result<(), KeyringError> {
        let path = self.folder.join(MASTER_FILE);
        let found = header::decode(&path, &file::read_private(&path)?, unlock)?;
        if found.as_bytes() == self.master.as_bytes() {
            Ok(())
        } else {
            Err(KeyringError::Damaged { path })
        }
    }

    /// Wraps the same master key anew, for someone who can open it as it is wrapped now.
    pub fn rewrap(&self, current: Unlock<'_>, new: Unlock<'_>) -> Result<(), KeyringError> {
        let _replacing = self
            .replacing
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        self.check(current)?;
        self.wrap(Some(current), new)
    }

    fn wrap(&self, current: Option<Unlock<'_>>, new: Unlock<'_>) -> Result<(), KeyringError> {
        let path = self.folder.join(MASTER_FILE);
        match new {
            Unlock::KeyFile => file::replace(&path, &header::plain(&self.master)),
            Unlock::Passphrase { words, cost } => {
                file::replace(&path, &header::under_passphrase(&self.master, words, cost)?)
            }
            Unlock::WrappingFile(place) => self.wrap_elsewhere(&path, current, place),
        }
    }

    /// Draws a wrapping key. It stands beside the one that it replaces until the master key's
    /// file is wrapped under it: at no moment does neither open it.
    fn wrap_elsewhere(
        &self,
        path: &Path,
        current: Option<Unlock<'_>>,
        place: &Path,
    ) -> Result<(), KeyringError> {
        file::check_outside(&self.folder, place)?;
        let key = MasterKey::generate()?;
        let old = match current {
            Some(Unlock::WrappingFile(before)) if before == place => {
                Some(header::opener(path, &file::read_private(path)?, place)?)
            }
            _ if file::exists(place)? => {
                let path = place.to_owned();
                return Err(KeyringError::Exists { path });
            }
            _ => None,
        };
        let keys: Vec<&MasterKey> = std::iter::once(&key).chain(&old).collect();
        wrapping::write(place, &keys)?;
        file::replace(path, &header::under_key(&self.master, &key)?)?;
        if old.is_some() {
            wrapping::write(place, &[&key])?;
        }
        Ok(())
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
            replacing: Mutex::new(()),
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
