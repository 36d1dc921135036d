//! Who this node is: the device's keys and certificate, and on some devices the person's root
//! key, sealed on disk.
//!
//! Made at first start: a new person with this device as the first one. A machine that joins a
//! person's devices, or comes back from the recovery phrase, writes its new identity beside the
//! old one ([`Vault`]); the next start takes it over, if nothing was kept under the old one.
//!
//! The files are sealed under the store's master key, which lies in a key file (mode 0600) or
//! under a passphrase.

use crate::clock;
use crate::config::Unlock;
use crate::unlock::{self, Found, Missing, Secret};
use crdt::codec::{Canonical, DecodeError, Reader, Writer};
use crdt::identity::{DeviceCertificate, DeviceKey, PersonKey};
use protocol::wire::control::Enrolled;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use storage::keyring::{Keyring, KeyringError, Left, MASTER_FILE, OsKeyringError};
use storage::store::Owner;
use thiserror::Error;
use zeroize::Zeroizing;

const FILE: &str = "identity.sealed";
const NEXT_FILE: &str = "identity.next";
const VERSION: u8 = 2;
/// The most addresses of the device that let this one in, and the longest, in bytes.
const ADDRESSES_MAX: usize = 64;
const ADDRESS_BYTES_MAX: usize = 1_024;

/// The reason why there is no identity.
#[derive(Debug, Error)]
pub enum IdentityError {
    /// The keyring did not open.
    #[error(transparent)]
    Keyring(#[from] KeyringError),
    /// The passphrase file cannot be read.
    #[error("cannot read the passphrase file {path}: {source}")]
    Passphrase {
        /// The file.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// The configuration wants a systemd credential and the service manager gives none.
    #[error("there are no systemd credentials: CREDENTIALS_DIRECTORY is not set")]
    NoCredentials,
    /// What opens the master key is not here.
    #[error("the master key does not open by itself: {0}")]
    Asked(Missing),
    /// The identity file is not what was written.
    #[error("the identity file is damaged: restore {FILE} from a backup")]
    Damaged,
    /// There is a store but no identity.
    #[error("the folder holds memories but no {FILE}: restore it from a backup")]
    Missing,
    /// The system gives no randomness.
    #[error("the system gives no randomness: {0}")]
    Entropy(getrandom::Error),
    /// A file cannot be put aside.
    #[error("cannot put {path} aside: {source}")]
    Aside {
        /// The file or folder.
        path: String,
        /// Why.
        source: std::io::Error,
    },
}

impl IdentityError {
    /// Returns what to do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Keyring(KeyringError::WrongPassphrase) => {
                "nothing was changed; give the passphrase that was set last (brainctl node \
                 passphrase set), in the file or credential that [unlock] names"
            }
            Self::Keyring(KeyringError::PassphraseUnused) => {
                "start it without unlock.passphrase_file or credential, then set the passphrase: \
                 brainctl node passphrase set"
            }
            Self::Keyring(KeyringError::WrappingNeeded) => {
                "name the file with the wrapping key: unlock.key_file = \"/path\""
            }
            Self::Keyring(KeyringError::WrappingUnused) => {
                "start it without unlock.key_file, then wrap the key: brainctl node key file PATH"
            }
            Self::Keyring(KeyringError::WrongWrapping { .. }) => {
                "nothing was changed; name the file that was written last (brainctl node key file)"
            }
            Self::Keyring(KeyringError::ItemNeeded) => {
                "take unlock.key_file, passphrase_file and credential out of the configuration, and \
                 set unlock.method = \"keyring\""
            }
            Self::Keyring(KeyringError::ItemUnused) => {
                "start it without unlock.method = \"keyring\", then: brainctl node key keyring"
            }
            Self::Keyring(
                KeyringError::ItemMissing { .. }
                | KeyringError::WrongItem { .. }
                | KeyringError::ItemDamaged { .. },
            ) => {
                "nothing was changed; bring back the keyring that has the item, or the data folder \
                 from a backup that another key opens: without either it cannot be opened"
            }
            Self::Keyring(KeyringError::Os(
                OsKeyringError::Several { .. } | OsKeyringError::Refused { .. },
            )) => {
                "nothing was changed; look at the items of brain-node in the program that lists the \
                 keyring's items"
            }
            Self::Keyring(KeyringError::Os(_)) => {
                "nothing was changed; log in to the desktop, unlock its keyring, and start again"
            }
            Self::Keyring(KeyringError::PassphraseNeeded) => {
                "set unlock.method = \"auto\", or take the passphrase away: brainctl node \
                 passphrase remove"
            }
            Self::Passphrase { .. } => {
                "make the file readable for the node, or name another in [unlock]"
            }
            Self::NoCredentials => {
                "give the unit LoadCredential= or LoadCredentialEncrypted=, or set unlock.method"
            }
            Self::Asked(Missing::Passphrase) => {
                "set unlock.passphrase_file, or unlock the node: brainctl node unlock"
            }
            Self::Asked(missing) => missing.hint(),
            _ => {
                "nothing was changed; chmod 700 a folder that is open to others, or restore the file"
            }
        }
    }
}

/// Another device of this person, and where it was reached.
#[derive(Debug, Clone)]
pub struct Host {
    /// Its certificate.
    pub certificate: DeviceCertificate,
    /// Its addresses.
    pub addresses: Vec<String>,
}

/// What is in the file.
struct Stored {
    root: Option<[u8; 32]>,
    device: [u8; 32],
    certificate: DeviceCertificate,
    host: Option<Host>,
}

impl Canonical for Stored {
    fn encode(&self, out: &mut Writer) {
        out.u8(VERSION);
        out.option(self.root.as_ref(), |out, root| out.raw(root));
        out.raw(&self.device);
        self.certificate.encode(out);
        out.option(self.host.as_ref(), |out, host| {
            host.certificate.encode(out);
            out.length(host.addresses.len());
            host.addresses.iter().for_each(|address| out.text(address));
        });
    }
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        match input.u8("identity version")? {
            VERSION => {}
            found => {
                let what = "identity version";
                return Err(DecodeError::Unknown { what, found });
            }
        }
        Ok(Self {
            root: input.option("root", |input| input.array("root"))?,
            device: input.array("device")?,
            certificate: DeviceCertificate::decode(input)?,
            host: input.option("host", |input| {
                let certificate = DeviceCertificate::decode(input)?;
                let count = input.length(ADDRESSES_MAX, "addresses")?;
                let addresses = (0..count).map(|_| input.text(ADDRESS_BYTES_MAX, "address"));
                Ok(Host {
                    certificate,
                    addresses: addresses.collect::<Result<_, _>>()?,
                })
            })?,
        })
    }
}

impl Stored {
    fn owner(&self) -> Owner {
        Owner {
            certificate: self.certificate.clone(),
            device: DeviceKey::from_seed(&self.device),
            root: self.root.as_ref().map(PersonKey::from_seed),
        }
    }
}

/// An identity that was opened.
#[derive(Debug)]
pub struct Identity {
    /// Who it is.
    pub owner: Owner,
    /// The device that let this one in.
    pub host: Option<Host>,
    /// The way to another identity.
    pub vault: Vault,
}

/// Writes the identity that the next start takes over.
#[derive(Debug)]
pub struct Vault {
    data: PathBuf,
    keyring: Keyring,
    /// What opens the master key as it is wrapped now, unless it is a passphrase.
    held: Mutex<Secret>,
}

/// Opens the identity of a data folder as the configuration says, making one at first start.
pub fn open(data: &Path, unlock: &Unlock) -> Result<Identity, IdentityError> {
    match unlock::find(unlock, data)? {
        Found::Secret(secret) => open_with(data, &secret),
        Found::Ask(missing) => Err(IdentityError::Asked(missing)),
    }
}

/// Opens the identity of a data folder with a secret, making one at first start.
pub fn open_with(data: &Path, secret: &Secret) -> Result<Identity, IdentityError> {
    let keyring = if data.join(MASTER_FILE).exists() {
        Keyring::open(data, secret.key())?
    } else {
        Keyring::create(data, secret.key())?
    };
    let vault = Vault {
        data: data.to_owned(),
        keyring,
        held: Mutex::new(secret.held()),
    };
    let stored = if data.join(FILE).exists() {
        vault.read(FILE)?
    } else if data.join("store.redb").exists() {
        return Err(IdentityError::Missing);
    } else {
        let stored = draw()?;
        vault.write(FILE, &stored)?;
        stored
    };
    Ok(Identity {
        owner: stored.owner(),
        host: stored.host,
        vault,
    })
}

fn draw() -> Result<Stored, IdentityError> {
    let (mut root, mut device) = ([0; 32], [0; 32]);
    for seed in [&mut root, &mut device] {
        getrandom::fill(seed).map_err(IdentityError::Entropy)?;
    }
    let key = DeviceKey::from_seed(&device);
    let certificate = PersonKey::from_seed(&root).certify(&key, clock::now());
    Ok(Stored {
        root: Some(root),
        device,
        certificate,
        host: None,
    })
}

impl Vault {
    /// Returns the keyring.
    pub fn keyring(&self) -> &Keyring {
        &self.keyring
    }

    /// Returns the file with the wrapping key, if the master key is wrapped under one.
    pub fn elsewhere(&self) -> Option<PathBuf> {
        let held = self.held.lock();
        match &*held.unwrap_or_else(PoisonError::into_inner) {
            Secret::Elsewhere(path) => Some(path.clone()),
            _ => None,
        }
    }

    /// Wraps the master key in another way, for who opens it as it is wrapped now: by a
    /// passphrase, or because the node holds what else opened it.
    pub fn rewrap(&self, passphrase: Option<Secret>, new: &Secret) -> Result<Left, KeyringError> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let current = passphrase.unwrap_or_else(|| held.clone());
        let left = self.keyring.rewrap(current.key(), new.key())?;
        *held = new.held();
        Ok(left)
    }

    fn read(&self, name: &str) -> Result<Stored, IdentityError> {
        let secret = self.keyring.read_sealed(&self.data.join(name))?;
        Stored::from_bytes(&secret).or(Err(IdentityError::Damaged))
    }

    fn write(&self, name: &str, stored: &Stored) -> Result<(), IdentityError> {
        let secret = Zeroizing::new(stored.to_bytes());
        Ok(self.keyring.write_sealed(&self.data.join(name), &secret)?)
    }

    /// Has the next start be one of the devices of whoever let this machine in.
    pub fn join(&self, enrolled: &Enrolled, addresses: Vec<String>) -> Result<(), IdentityError> {
        let stored = Stored {
            root: None,
            device: self.read(FILE)?.device,
            certificate: enrolled.certificate.clone(),
            host: Some(Host {
                certificate: enrolled.host.clone(),
                addresses,
            }),
        };
        self.write(NEXT_FILE, &stored)
    }

    /// Has the next start be the person whose root key this is.
    pub fn recover(&self, root: &PersonKey) -> Result<DeviceCertificate, IdentityError> {
        let device = self.read(FILE)?.device;
        let certificate = root.certify(&DeviceKey::from_seed(&device), clock::now());
        let stored = Stored {
            root: Some(*root.seed()),
            device,
            certificate: certificate.clone(),
            host: None,
        };
        self.write(NEXT_FILE, &stored)?;
        Ok(certificate)
    }

    /// Tells whether another identity waits to be taken over.
    pub fn has_next(&self) -> bool {
        self.data.join(NEXT_FILE).exists()
    }

    /// Takes the other identity over. The store of the old one, which holds nothing, goes.
    pub fn take_next(&self) -> Result<(), IdentityError> {
        let next = self.read(NEXT_FILE)?;
        self.put_aside("store.redb")?;
        self.put_aside("text")?;
        self.write(FILE, &next)?;
        self.put_aside(NEXT_FILE)
    }

    /// Forgets the other identity.
    pub fn drop_next(&self) -> Result<(), IdentityError> {
        self.put_aside(NEXT_FILE)
    }

    fn put_aside(&self, name: &str) -> Result<(), IdentityError> {
        let path = self.data.join(name);
        let removed = if path.is_dir() {
            std::fs::remove_dir_all(&path)
        } else {
            std::fs::remove_file(&path)
        };
        match removed {
            Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
                Err(IdentityError::Aside {
                    path: path.display().to_string(),
                    source,
                })
            }
            _ => Ok(()),
        }
    }
}
