//! The wrapping key: a key in a file elsewhere, such as on a stick, that wraps the master key.
//!
//! `SBWRAPPR`, version 1, one or two keys of 32 bytes, then the first 8 bytes of the BLAKE3 hash
//! of all before. Two keys are there only while one replaces the other: the first is the new one,
//! and whichever power cut leaves behind, one of them opens the master key's file.

use std::path::Path;

use zeroize::Zeroizing;

use crate::cipher::MasterKey;

use super::{KeyringError, file};

const MAGIC: &[u8; 8] = b"SBWRAPPR";
const VERSION: u8 = 1;
const KEY_BYTES: usize = 32;
const CHECK_BYTES: usize = 8;
/// The most keys in a file: the new one and the one that it replaces.
const KEYS_MAX: usize = 2;

/// Reads the keys of a file, the newest first.
pub(super) fn read(path: &Path) -> Result<Vec<MasterKey>, KeyringError> {
    let damaged = || KeyringError::Damaged {
        path: path.to_owned(),
    };
    let bytes = file::read_private(path)?;
    let (body, check) = bytes
        .split_last_chunk::<CHECK_BYTES>()
        .ok_or_else(damaged)?;
    let keys = match body.strip_prefix(MAGIC) {
        Some([VERSION, keys @ ..]) => keys,
        Some([version, ..]) => {
            return Err(KeyringError::UnknownVersion {
                path: path.to_owned(),
                version: *version,
            });
        }
        _ => return Err(damaged()),
    };
    let (keys, rest) = keys.as_chunks::<KEY_BYTES>();
    let fits = (1..=KEYS_MAX).contains(&keys.len()) && rest.is_empty();
    if !fits || check_bytes(body) != *check {
        return Err(damaged());
    }
    let take = |key: &[u8; KEY_BYTES]| MasterKey::from_bytes(Zeroizing::new(*key));
    Ok(keys.iter().map(take).collect())
}

/// Replaces the file by one with these keys.
pub(super) fn write(path: &Path, keys: &[&MasterKey]) -> Result<(), KeyringError> {
    // Sized at once: a vector that grows leaves copies of the keys behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(128));
    bytes.extend_from_slice(MAGIC);
    bytes.push(VERSION);
    for key in keys {
        bytes.extend_from_slice(key.as_bytes());
    }
    let check = check_bytes(&bytes);
    bytes.extend_from_slice(&check);
    file::replace(path, &bytes)
}

fn check_bytes(body: &[u8]) -> [u8; CHECK_BYTES] {
    let hash = blake3::hash(body);
    let mut check = [0; CHECK_BYTES];
    for (to, from) in check.iter_mut().zip(hash.as_bytes()) {
        *to = *from;
    }
    check
}
