//! The master key of a data folder: where it lies and how it is unlocked.
//!
//! It is not the identity of a person or a device; those are secrets it seals. By default the
//! key lies in a file that only its owner can read, which protects against other users and not
//! against a stolen disk. With a passphrase the file holds the key wrapped under Argon2id;
//! or it is wrapped under a *wrapping key* that lies in a file elsewhere or in the keyring of the
//! operating system.
//!
//! Flow: [`Keyring::create`] once, [`Keyring::open`] at every start, then [`Keyring::master`]
//! for the store and [`Keyring::write_sealed`] for small secret files beside it;
//! [`Keyring::rewrap`] changes what wraps the key.
//!
//! Invariant: the master key never changes once created, so changing what wraps it rewrites one
//! small file and no data; a key file is always whole, old or new, whatever the power does. The
//! price: an old copy of the key file, with what opened it then, opens the data for ever.

mod error;
mod file;
mod header;
mod os;
mod wrapping;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use zeroize::Zeroizing;

use crate::cipher::{Cipher, CipherError, Context, MasterKey};

use wrapping::Place;

pub use error::KeyringError;
pub use header::{KdfCost, MEMORY_KIB_FLOOR, MEMORY_KIB_MAX, PASSES_FLOOR, PASSES_MAX};
pub use os::{ItemName, OsKeyring, OsKeyringError};

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
    /// The wrapping key in the item of the OS keyring that the key file names; a new one is drawn
    /// when something is wrapped under it.
    OsKeyring(&'a dyn OsKeyring),
}

/// How the master key lies in its file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// As it is.
    Plain,
    /// Wrapped under a passphrase.
    Passphrase,
    /// Wrapped under a wrapping key that lies in a file elsewhere.
    Elsewhere,
    /// Wrapped under a wrapping key that lies in the OS keyring.
    OsKeyring,
}

/// What is left of what opened the master key before it was wrapped anew.
#[derive(Debug)]
pub struct Left {
    /// The item that still lies in the OS keyring, and why; it opens no file that is here.
    pub item: Option<(ItemName, OsKeyringError)>,
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
            Self::OsKeyring(_) => "OsKeyring",
        })
    }
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

    /// Returns the item of the OS keyring that the key file names, if it names one.
    pub fn item(folder: &Path) -> Result<Option<ItemName>, KeyringError> {
        let path = folder.join(MASTER_FILE);
        header::item(&path, &file::read_private(&path)?)
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

    /// Wraps the same master key anew, for someone who can open it as it is wrapped now. An item of
    /// the OS keyring that opens nothing any more is removed, if the OS keyring is there.
    pub fn rewrap(&self, current: Unlock<'_>, new: Unlock<'_>) -> Result<Left, KeyringError> {
        let _replacing = self
            .replacing
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        self.check(current)?;
        let before = Self::item(&self.folder)?;
        self.wrap(Some(current), new)?;
        let mut left = Left { item: None };
        if let (Unlock::OsKeyring(os), Some(item)) = (current, before)
            && Self::item(&self.folder)? != Some(item)
            && let Err(error) = os.remove(&item)
        {
            left.item = Some((item, error));
        }
        Ok(left)
    }

    fn wrap(&self, current: Option<Unlock<'_>>, new: Unlock<'_>) -> Result<(), KeyringError> {
        let path = self.folder.join(MASTER_FILE);
        let place = match new {
            Unlock::KeyFile => return file::replace(&path, &header::plain(&self.master)),
            Unlock::Passphrase { words, cost } => {
                let bytes = header::under_passphrase(&self.master, words, cost)?;
                return file::replace(&path, &bytes);
            }
            Unlock::WrappingFile(place) => {
                file::check_outside(&self.folder, place)?;
                Place::File(place)
            }
            Unlock::OsKeyring(os) => Place::Item(os, ItemName::draw()?),
        };
        let before = match current {
            Some(current) => header::current(&path, &file::read_private(&path)?, current)?,
            None => None,
        };
        match (place, before) {
            (Place::File(now), Some((Place::File(before), old))) if now == before => {
                self.wrap_elsewhere(&path, place, Some(&old))
            }
            // The item keeps its name: at no moment are there two of one folder.
            (Place::Item(..), Some((before @ Place::Item(..), old))) => {
                self.wrap_elsewhere(&path, before, Some(&old))
            }
            (Place::File(now), _) if file::exists(now)? => Err(KeyringError::Exists {
                path: now.to_owned(),
            }),
            _ => self.wrap_elsewhere(&path, place, None),
        }
    }

    /// Draws a wrapping key. It stands beside the one that it replaces until the master key's
    /// file is wrapped under it: at no moment does neither open it.
    fn wrap_elsewhere(
        &self,
        path: &Path,
        place: Place<'_>,
        old: Option<&MasterKey>,
    ) -> Result<(), KeyringError> {
        let key = MasterKey::generate()?;
        let keys: Vec<&MasterKey> = std::iter::once(&key).chain(old).collect();
        place.write(&keys)?;
        file::replace(path, &header::under_key(&self.master, &key, place)?)?;
        if old.is_some() {
            place.write(&[&key])?;
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
