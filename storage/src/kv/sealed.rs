//! Sealing: values are ciphertext by the time they reach an engine.
//!
//! It is a decorator over any store, and hides values only: keys and sizes stay visible, so keys
//! that would name an entity are made with [`OpaqueKey`]. The seal covers keyspace and key, so a
//! row moved elsewhere, swapped with another or altered by one bit is refused. It cannot see
//! that a whole row was removed or put back to an older state of the same row.
//!
//! Invariant: a value is returned exactly as it was written under that key, or not at all.

use std::fmt;
use std::sync::Arc;

use zeroize::Zeroizing;

use crate::cipher::{Cipher, CipherError, Context, MasterKey};
use crate::entropy::Entropy;

use super::{
    Batch, DamagedRow, Durability, Health, Item, Keyspace, Kv, KvError, Op, Page, Scan, Stats,
    Verification, walk,
};

/// Seals what is written and opens what is read.
#[derive(Debug)]
pub struct Sealed {
    inner: Arc<dyn Kv>,
    cipher: Cipher,
}

impl Sealed {
    /// Wraps a store with the key derived for values.
    pub fn new(inner: Arc<dyn Kv>, master: &MasterKey) -> Self {
        Self {
            inner,
            cipher: Cipher::new(master, Context::Values),
        }
    }

    /// Wraps a store with the key derived for values; nonces are drawn from `entropy`.
    pub fn drawing(entropy: Entropy, inner: Arc<dyn Kv>, master: &MasterKey) -> Self {
        Self {
            inner,
            cipher: Cipher::drawing(entropy, master, Context::Values),
        }
    }

    fn seal(&self, op: Op) -> Result<Op, KvError> {
        let Op::Put {
            keyspace,
            key,
            value,
        } = op
        else {
            return Ok(op);
        };
        match self.cipher.seal(&place(keyspace, &key), &value) {
            Ok(value) => Ok(Op::Put {
                keyspace,
                key,
                value,
            }),
            Err(CipherError::Entropy(error)) => Err(error.into()),
            Err(CipherError::Refused) => Err(KvError::corrupt(keyspace, &key)),
        }
    }

    fn unseal(&self, keyspace: Keyspace, key: &[u8], sealed: &[u8]) -> Result<Vec<u8>, KvError> {
        self.cipher
            .open(&place(keyspace, key), sealed)
            .map_err(|_refused| KvError::corrupt(keyspace, key))
    }
}

impl Kv for Sealed {
    fn commit(&self, batch: Batch, durability: Durability) -> Result<(), KvError> {
        batch.check()?;
        let ops = batch.ops.into_iter().map(|op| self.seal(op));
        let ops = ops.collect::<Result<_, _>>()?;
        self.inner.commit(Batch { ops }, durability)
    }

    fn get(&self, keyspace: Keyspace, key: &[u8]) -> Result<Option<Vec<u8>>, KvError> {
        let sealed = self.inner.get(keyspace, key)?;
        sealed
            .map(|sealed| self.unseal(keyspace, key, &sealed))
            .transpose()
    }

    fn get_many(
        &self,
        keyspace: Keyspace,
        keys: &[Vec<u8>],
    ) -> Result<Vec<Option<Vec<u8>>>, KvError> {
        let rows = self.inner.get_many(keyspace, keys)?;
        keys.iter()
            .zip(rows)
            .map(|(key, sealed)| {
                sealed
                    .map(|sealed| self.unseal(keyspace, key, &sealed))
                    .transpose()
            })
            .collect()
    }

    fn scan(&self, keyspace: Keyspace, scan: &Scan) -> Result<Page, KvError> {
        let Page { items, more } = self.inner.scan(keyspace, scan)?;
        let items = items.into_iter().map(|Item { key, value }| {
            let value = self.unseal(keyspace, &key, &value)?;
            Ok(Item { key, value })
        });
        Ok(Page {
            items: items.collect::<Result<_, KvError>>()?,
            more,
        })
    }

    fn health(&self) -> Health {
        self.inner.health()
    }

    fn verify(&self, keyspaces: &[Keyspace]) -> Result<Verification, KvError> {
        // The structure first: a damaged tree could hide rows from the walk below.
        let mut found = Verification {
            damaged: self.inner.verify(&[])?.damaged,
            ..Verification::default()
        };
        walk(self.inner.as_ref(), keyspaces, &mut |keyspace, item| {
            found.rows += 1;
            if self.unseal(keyspace, &item.key, &item.value).is_err() {
                found.damaged.push(DamagedRow {
                    keyspace,
                    key: item.key.clone(),
                });
            }
        })?;
        Ok(found)
    }

    fn stats(&self) -> Result<Stats, KvError> {
        self.inner.stats()
    }

    fn close(&self) -> Result<(), KvError> {
        self.inner.close()
    }
}

/// Returns the bytes that bind a value to its row. The length in front keeps two different
/// pairs of keyspace and key from reading the same.
pub(crate) fn place(keyspace: Keyspace, key: &[u8]) -> Vec<u8> {
    let name = keyspace.0.as_bytes();
    let mut place = u64::try_from(name.len())
        .unwrap_or(u64::MAX)
        .to_le_bytes()
        .to_vec();
    place.extend_from_slice(name);
    place.extend_from_slice(key);
    place
}

/// Turns ids into key bytes that say nothing without the master key.
///
/// A plain id as a key would show a stolen disk whom its owner knows and which memories two
/// disks share. Equal entities give equal bytes, so prefix scans stay possible; a caller that
/// must not let two keyspaces be matched puts the keyspace's name into the entity.
pub struct OpaqueKey {
    key: Zeroizing<[u8; 32]>,
}

impl OpaqueKey {
    /// Derives the key of this use from the master key.
    pub fn new(master: &MasterKey) -> Self {
        Self {
            key: master.derive(Context::OpaqueKeys),
        }
    }

    /// Returns sixteen bytes that stand for the entity: keyed BLAKE3, cut in half.
    pub fn opaque(&self, entity: &[u8]) -> [u8; 16] {
        let hash = blake3::keyed_hash(&self.key, entity);
        let mut short = [0; 16];
        for (to, from) in short.iter_mut().zip(hash.as_bytes()) {
            *to = *from;
        }
        short
    }
}

impl fmt::Debug for OpaqueKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OpaqueKey")
    }
}

#[cfg(test)]
mod tests;
