//! The bytes of the master key's file.
//!
//! `SBMASTER`, version 1, then one of two kinds. Kind 0: the key (32) and the first 8 bytes of
//! its BLAKE3 hash, so that a damaged file is not taken for another key. Kind 1: Argon2id memory
//! in KiB, passes and lanes (4 bytes each, little endian), salt (16), the sealed key. All that
//! stands before the sealed key is its associated data: an altered cost does not open.
//!
//! Version 2 has kind 2 alone: the key sealed under a wrapping key that lies in a file elsewhere.
//! Version 3 has kind 3 alone: the name (16) of an item in the OS keyring, then the key sealed
//! under the wrapping key in that item. Older kinds are still written as their version, so that an
//! older program opens what it knows and names what it does not.

use std::path::Path;

use argon2::{Algorithm, Argon2, Params, Version};
use zeroize::Zeroizing;

use crate::cipher::{Cipher, Context, MasterKey, fill_random};

use super::os::NAME_BYTES;
use super::wrapping::Place;
use super::{ItemName, Kept, KeyringError, Unlock};

/// Least Argon2id memory in KiB; below it guessing on graphics cards gets cheap.
pub const MEMORY_KIB_FLOOR: u32 = 64 * 1024;
/// Most Argon2id memory in KiB a file may ask for; more would end the process, not protect it.
pub const MEMORY_KIB_MAX: u32 = 4 * 1024 * 1024;
/// Least Argon2id passes.
pub const PASSES_FLOOR: u32 = 3;
/// Most Argon2id passes a file may ask for.
pub const PASSES_MAX: u32 = 64;
/// Most Argon2id lanes a file may ask for.
const LANES_MAX: u32 = 16;

const MAGIC: &[u8; 8] = b"SBMASTER";
const VERSION: u8 = 1;
const VERSION_ELSEWHERE: u8 = 2;
const VERSION_OS_KEYRING: u8 = 3;
const PLAIN: u8 = 0;
const WRAPPED: u8 = 1;
const ELSEWHERE: u8 = 2;
const OS_KEYRING: u8 = 3;
const CHECK_BYTES: usize = 8;
const SALT_BYTES: usize = 16;

/// Says what one guess of a passphrase costs (Argon2id, RFC 9106).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KdfCost {
    /// Memory in KiB.
    pub memory_kib: u32,
    /// Passes over the memory.
    pub passes: u32,
    /// Lanes.
    pub lanes: u32,
}

impl KdfCost {
    /// The least cost that is accepted.
    pub const FLOOR: Self = Self {
        memory_kib: MEMORY_KIB_FLOOR,
        passes: PASSES_FLOOR,
        lanes: 1,
    };

    fn check(self) -> Result<Self, KeyringError> {
        let memory = (MEMORY_KIB_FLOOR..=MEMORY_KIB_MAX).contains(&self.memory_kib);
        let passes = (PASSES_FLOOR..=PASSES_MAX).contains(&self.passes);
        let lanes = (1..=LANES_MAX).contains(&self.lanes);
        if memory && passes && lanes {
            Ok(self)
        } else {
            Err(self.refused())
        }
    }

    fn refused(self) -> KeyringError {
        KeyringError::Cost {
            memory_kib: self.memory_kib,
            passes: self.passes,
            lanes: self.lanes,
        }
    }
}

/// Returns a file with the key as it is.
pub(super) fn plain(master: &MasterKey) -> Zeroizing<Vec<u8>> {
    let mut bytes = begin(VERSION, PLAIN);
    bytes.extend_from_slice(master.as_bytes());
    bytes.extend_from_slice(&check_bytes(master.as_bytes()));
    bytes
}

/// Returns a file with the key under a passphrase.
pub(super) fn under_passphrase(
    master: &MasterKey,
    words: &str,
    cost: KdfCost,
) -> Result<Zeroizing<Vec<u8>>, KeyringError> {
    let cost = cost.check()?;
    let mut salt = [0; SALT_BYTES];
    fill_random(&mut salt)?;
    let mut bytes = begin(VERSION, WRAPPED);
    for number in [cost.memory_kib, cost.passes, cost.lanes] {
        bytes.extend_from_slice(&number.to_le_bytes());
    }
    bytes.extend_from_slice(&salt);
    let wrapped = wrapper(words, cost, &salt)?.seal(&bytes, master.as_bytes())?;
    bytes.extend_from_slice(&wrapped);
    Ok(bytes)
}

/// Returns a file with the key under the wrapping key that lies in this place.
pub(super) fn under_key(
    master: &MasterKey,
    wrapping: &MasterKey,
    place: Place<'_>,
) -> Result<Zeroizing<Vec<u8>>, KeyringError> {
    let mut bytes = match place {
        Place::File(_) => begin(VERSION_ELSEWHERE, ELSEWHERE),
        Place::Item(_, item) => {
            let mut bytes = begin(VERSION_OS_KEYRING, OS_KEYRING);
            bytes.extend_from_slice(item.as_bytes());
            bytes
        }
    };
    let wrapped = Cipher::new(wrapping, Context::MasterWrap).seal(&bytes, master.as_bytes())?;
    bytes.extend_from_slice(&wrapped);
    Ok(bytes)
}

fn begin(version: u8, kind: u8) -> Zeroizing<Vec<u8>> {
    // Sized at once: a vector that grows leaves copies of the key behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(256));
    bytes.extend_from_slice(MAGIC);
    bytes.push(version);
    bytes.push(kind);
    bytes
}

pub(super) fn decode(
    path: &Path,
    bytes: &[u8],
    unlock: Unlock<'_>,
) -> Result<MasterKey, KeyringError> {
    let (kind, body) = kind(path, bytes)?;
    match (kind, unlock) {
        (Kept::Plain, Unlock::KeyFile) => decode_plain(path, body),
        (Kept::Passphrase, Unlock::Passphrase { words, .. }) => {
            decode_wrapped(path, bytes, body, words)
        }
        (Kept::Elsewhere, Unlock::WrappingFile(file)) => {
            Ok(opener(path, bytes, Place::File(file), body)?.1)
        }
        (Kept::OsKeyring, Unlock::OsKeyring(os)) => {
            let (item, sealed) = split_item(path, body)?;
            Ok(opener(path, bytes, Place::Item(os, item), sealed)?.1)
        }
        (Kept::Plain, Unlock::Passphrase { .. }) => Err(KeyringError::PassphraseUnused),
        (Kept::Plain, Unlock::WrappingFile(_)) => Err(KeyringError::WrappingUnused),
        (Kept::Plain, Unlock::OsKeyring(_)) => Err(KeyringError::ItemUnused),
        (Kept::Passphrase, _) => Err(KeyringError::PassphraseNeeded),
        (Kept::Elsewhere, _) => Err(KeyringError::WrappingNeeded),
        (Kept::OsKeyring, _) => Err(KeyringError::ItemNeeded),
    }
}

fn decode_plain(path: &Path, body: &[u8]) -> Result<MasterKey, KeyringError> {
    let split = body.split_first_chunk::<32>();
    let (key, check) = split.ok_or_else(|| damaged(path))?;
    if check != check_bytes(key) {
        return Err(damaged(path));
    }
    Ok(MasterKey::from_bytes(Zeroizing::new(*key)))
}

fn decode_wrapped(
    path: &Path,
    bytes: &[u8],
    body: &[u8],
    words: &str,
) -> Result<MasterKey, KeyringError> {
    let cut = || damaged(path);
    let (memory_kib, rest) = number(body).ok_or_else(cut)?;
    let (passes, rest) = number(rest).ok_or_else(cut)?;
    let (lanes, rest) = number(rest).ok_or_else(cut)?;
    let (salt, wrapped) = rest.split_first_chunk().ok_or_else(cut)?;
    let cost = KdfCost {
        memory_kib,
        passes,
        lanes,
    };
    let cipher = wrapper(words, cost.check()?, salt)?;
    unwrap(path, &cipher, bytes, wrapped)?.ok_or(KeyringError::WrongPassphrase)
}

/// Returns the item of the OS keyring that these bytes name, if they do.
pub(super) fn item(path: &Path, bytes: &[u8]) -> Result<Option<ItemName>, KeyringError> {
    match kind(path, bytes)? {
        (Kept::OsKeyring, body) => Ok(Some(split_item(path, body)?.0)),
        _ => Ok(None),
    }
}

fn split_item<'a>(path: &Path, body: &'a [u8]) -> Result<(ItemName, &'a [u8]), KeyringError> {
    let split = body.split_first_chunk::<NAME_BYTES>();
    let (name, sealed) = split.ok_or_else(|| damaged(path))?;
    Ok((ItemName::from_bytes(*name), sealed))
}

/// Returns the place, and the wrapping key in it, under which these bytes are; for a place of
/// another sort `None`.
pub(super) fn current<'a>(
    path: &Path,
    bytes: &[u8],
    unlock: Unlock<'a>,
) -> Result<Option<(Place<'a>, MasterKey)>, KeyringError> {
    let (kept, body) = kind(path, bytes)?;
    let (place, sealed) = match (kept, unlock) {
        (Kept::Elsewhere, Unlock::WrappingFile(file)) => (Place::File(file), body),
        (Kept::OsKeyring, Unlock::OsKeyring(os)) => {
            let (item, sealed) = split_item(path, body)?;
            (Place::Item(os, item), sealed)
        }
        _ => return Ok(None),
    };
    Ok(Some((place, opener(path, bytes, place, sealed)?.0)))
}

/// Returns the wrapping key of a place that opens the sealed key, and what is sealed.
fn opener(
    path: &Path,
    bytes: &[u8],
    place: Place<'_>,
    sealed: &[u8],
) -> Result<(MasterKey, MasterKey), KeyringError> {
    for wrapping in place.read()? {
        let cipher = Cipher::new(&wrapping, Context::MasterWrap);
        if let Some(master) = unwrap(path, &cipher, bytes, sealed)? {
            return Ok((wrapping, master));
        }
    }
    Err(place.wrong())
}

/// Opens the sealed key at the end of a file; `None` if it is sealed under another key.
fn unwrap(
    path: &Path,
    cipher: &Cipher,
    bytes: &[u8],
    wrapped: &[u8],
) -> Result<Option<MasterKey>, KeyringError> {
    let (before, _) = bytes
        .split_at_checked(bytes.len() - wrapped.len())
        .ok_or_else(|| damaged(path))?;
    let Ok(key) = cipher.open(before, wrapped).map(Zeroizing::new) else {
        return Ok(None);
    };
    let mut master = Zeroizing::new([0; 32]);
    if key.len() != master.len() {
        return Err(damaged(path));
    }
    master.copy_from_slice(&key);
    Ok(Some(MasterKey::from_bytes(master)))
}

pub(super) fn kept(path: &Path, bytes: &[u8]) -> Result<Kept, KeyringError> {
    Ok(kind(path, bytes)?.0)
}

/// Splits off what every version has in front.
fn kind<'a>(path: &Path, bytes: &'a [u8]) -> Result<(Kept, &'a [u8]), KeyringError> {
    match bytes.strip_prefix(MAGIC) {
        Some([VERSION, PLAIN, body @ ..]) => Ok((Kept::Plain, body)),
        Some([VERSION, WRAPPED, body @ ..]) => Ok((Kept::Passphrase, body)),
        Some([VERSION_ELSEWHERE, ELSEWHERE, body @ ..]) => Ok((Kept::Elsewhere, body)),
        Some([VERSION_OS_KEYRING, OS_KEYRING, body @ ..]) => Ok((Kept::OsKeyring, body)),
        Some([version, ..]) if !(VERSION..=VERSION_OS_KEYRING).contains(version) => {
            Err(KeyringError::UnknownVersion {
                path: path.to_owned(),
                version: *version,
            })
        }
        _ => Err(damaged(path)),
    }
}

fn damaged(path: &Path) -> KeyringError {
    KeyringError::Damaged {
        path: path.to_owned(),
    }
}

fn number(bytes: &[u8]) -> Option<(u32, &[u8])> {
    let (number, rest) = bytes.split_first_chunk()?;
    Some((u32::from_le_bytes(*number), rest))
}

/// Returns the cipher that wraps the master key: the passphrase's key, then our derivation.
fn wrapper(words: &str, cost: KdfCost, salt: &[u8; SALT_BYTES]) -> Result<Cipher, KeyringError> {
    if words.is_empty() {
        return Err(KeyringError::PassphraseEmpty);
    }
    let params = Params::new(cost.memory_kib, cost.passes, cost.lanes, Some(32))
        .map_err(|_bounds| cost.refused())?;
    let mut key = Zeroizing::new([0; 32]);
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_into(words.as_bytes(), salt, key.as_mut_slice())
        .map_err(|_bounds| cost.refused())?;
    Ok(Cipher::new(
        &MasterKey::from_bytes(key),
        Context::MasterWrap,
    ))
}

fn check_bytes(key: &[u8; 32]) -> [u8; CHECK_BYTES] {
    let hash = blake3::hash(key);
    let mut check = [0; CHECK_BYTES];
    for (to, from) in check.iter_mut().zip(hash.as_bytes()) {
        *to = *from;
    }
    check
}
