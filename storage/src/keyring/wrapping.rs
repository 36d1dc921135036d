//! The wrapping key: a key that lies elsewhere and wraps the master key, in a file such as on a
//! stick or in an item of the OS keyring.
//!
//! `SBWRAPPR`, version 1, one or two keys of 32 bytes, then the first 8 bytes of the BLAKE3 hash
//! of all before. Two keys are there only while one replaces the other: the first is the new one,
//! and whichever power cut leaves behind, one of them opens the master key's file.

use std::path::Path;

use zeroize::Zeroizing;

use crate::cipher::MasterKey;

use super::{ItemName, KeyringError, OsKeyring, file};

const MAGIC: &[u8; 8] = b"SBWRAPPR";
const VERSION: u8 = 1;
const KEY_BYTES: usize = 32;
const CHECK_BYTES: usize = 8;
/// The most keys in one place: the new one and the one that it replaces.
const KEYS_MAX: usize = 2;

/// Where a wrapping key lies.
#[derive(Clone, Copy, Debug)]
pub(super) enum Place<'a> {
    /// In a file.
    File(&'a Path),
    /// In an item of the OS keyring.
    Item(&'a dyn OsKeyring, ItemName),
}

impl Place<'_> {
    /// Reads the keys, the newest first.
    pub(super) fn read(&self) -> Result<Vec<MasterKey>, KeyringError> {
        match self {
            Self::File(path) => decode(&file::read_private(path)?).map_err(|wrong| match wrong {
                Wrong::Damaged => KeyringError::Damaged {
                    path: (*path).to_owned(),
                },
                Wrong::UnknownVersion(version) => KeyringError::UnknownVersion {
                    path: (*path).to_owned(),
                    version,
                },
            }),
            Self::Item(os, item) => {
                let bytes = os.read(item)?;
                let bytes = bytes.ok_or(KeyringError::ItemMissing { item: *item })?;
                decode(&bytes).map_err(|wrong| match wrong {
                    Wrong::Damaged | Wrong::UnknownVersion(_) => {
                        KeyringError::ItemDamaged { item: *item }
                    }
                })
            }
        }
    }

    /// Replaces what lies there by these keys.
    pub(super) fn write(&self, keys: &[&MasterKey]) -> Result<(), KeyringError> {
        let bytes = encode(keys);
        match self {
            Self::File(path) => file::replace(path, &bytes),
            Self::Item(os, item) => {
                os.write(item, &bytes)?;
                // What only this item opens is written next: it must be there, whoever keeps it.
                if os.read(item)?.is_some_and(|read| *read == *bytes) {
                    Ok(())
                } else {
                    Err(KeyringError::ItemDamaged { item: *item })
                }
            }
        }
    }

    /// Returns the error that says that no key of this place opens the master key.
    pub(super) fn wrong(&self) -> KeyringError {
        match self {
            Self::File(path) => KeyringError::WrongWrapping {
                path: (*path).to_owned(),
            },
            Self::Item(_, item) => KeyringError::WrongItem { item: *item },
        }
    }
}

/// Says what is wrong with the bytes.
enum Wrong {
    Damaged,
    UnknownVersion(u8),
}

fn decode(bytes: &[u8]) -> Result<Vec<MasterKey>, Wrong> {
    let (body, check) = bytes
        .split_last_chunk::<CHECK_BYTES>()
        .ok_or(Wrong::Damaged)?;
    let keys = match body.strip_prefix(MAGIC) {
        Some([VERSION, keys @ ..]) => keys,
        Some([version, ..]) => return Err(Wrong::UnknownVersion(*version)),
        _ => return Err(Wrong::Damaged),
    };
    let (keys, rest) = keys.as_chunks::<KEY_BYTES>();
    let fits = (1..=KEYS_MAX).contains(&keys.len()) && rest.is_empty();
    if !fits || check_bytes(body) != *check {
        return Err(Wrong::Damaged);
    }
    let take = |key: &[u8; KEY_BYTES]| MasterKey::from_bytes(Zeroizing::new(*key));
    Ok(keys.iter().map(take).collect())
}

fn encode(keys: &[&MasterKey]) -> Zeroizing<Vec<u8>> {
    // Sized at once: a vector that grows leaves copies of the keys behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(128));
    bytes.extend_from_slice(MAGIC);
    bytes.push(VERSION);
    for key in keys {
        bytes.extend_from_slice(key.as_bytes());
    }
    let check = check_bytes(&bytes);
    bytes.extend_from_slice(&check);
    bytes
}

fn check_bytes(body: &[u8]) -> [u8; CHECK_BYTES] {
    let hash = blake3::hash(body);
    let mut check = [0; CHECK_BYTES];
    for (to, from) in check.iter_mut().zip(hash.as_bytes()) {
        *to = *from;
    }
    check
}
