//! Who this node is: the person's root key and the device's keys, sealed on disk.
//!
//! Made at first start. The file is sealed under the store's master key, which lies in a key
//! file (mode 0600) or under a passphrase.

use crate::clock;
use crate::config::Unlock;
use crdt::identity::{DeviceKey, PersonKey};
use crdt::time::Timestamp;
use std::path::Path;
use storage::keyring::{Keyring, KeyringError, MASTER_FILE, Unlock as Key};
use storage::store::Owner;
use thiserror::Error;
use zeroize::Zeroizing;

const FILE: &str = "identity.sealed";
/// Version, person seed, device seed, time of the certificate.
const LENGTH: usize = 1 + 32 + 32 + 8;
const VERSION: u8 = 1;

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
    /// The identity file is not what was written.
    #[error("the identity file is damaged: restore {FILE} from a backup")]
    Damaged,
    /// There is a store but no identity.
    #[error("the folder holds memories but no {FILE}: restore it from a backup")]
    Missing,
    /// The system gives no randomness.
    #[error("the system gives no randomness: {0}")]
    Entropy(getrandom::Error),
}

/// Opens the keyring and the identity of a data folder, making both at first start.
pub fn open(data: &Path, unlock: &Unlock) -> Result<(Keyring, Owner), IdentityError> {
    let passphrase = match &unlock.passphrase_file {
        None => None,
        Some(path) => {
            let text =
                std::fs::read_to_string(path).map_err(|source| IdentityError::Passphrase {
                    path: path.display().to_string(),
                    source,
                })?;
            let text = Zeroizing::new(text);
            Some(Zeroizing::new(
                text.lines().next().unwrap_or_default().to_owned(),
            ))
        }
    };
    let key = passphrase
        .as_ref()
        .map_or(Key::KeyFile, |words| Key::passphrase(words));
    let keyring = if data.join(MASTER_FILE).exists() {
        Keyring::open(data, key)?
    } else {
        Keyring::create(data, key)?
    };
    let path = data.join(FILE);
    let secret = if path.exists() {
        keyring.read_sealed(&path)?
    } else if data.join("store.redb").exists() {
        return Err(IdentityError::Missing);
    } else {
        let secret = draw()?;
        keyring.write_sealed(&path, &secret)?;
        secret
    };
    let owner = read(&secret).ok_or(IdentityError::Damaged)?;
    Ok((keyring, owner))
}

fn draw() -> Result<Zeroizing<Vec<u8>>, IdentityError> {
    let mut secret = Zeroizing::new(vec![0; LENGTH]);
    getrandom::fill(&mut secret).map_err(IdentityError::Entropy)?;
    if let Some(version) = secret.first_mut() {
        *version = VERSION;
    }
    let issued = clock::now().0.to_le_bytes();
    secret.truncate(LENGTH - issued.len());
    secret.extend_from_slice(&issued);
    Ok(secret)
}

fn read(secret: &[u8]) -> Option<Owner> {
    let (version, rest) = secret.split_first()?;
    let (person, rest) = rest.split_first_chunk::<32>()?;
    let (device, issued) = rest.split_first_chunk::<32>()?;
    if *version != VERSION {
        return None;
    }
    let issued = Timestamp(u64::from_le_bytes(issued.try_into().ok()?));
    let device = DeviceKey::from_seed(device);
    let certificate = PersonKey::from_seed(person).certify(&device, issued);
    Some(Owner {
        certificate,
        device,
    })
}
