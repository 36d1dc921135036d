//! Keys in rows: content keys, scope keys, sidecar keys.
//!
//! Several devices of one person may draw a key for the same generation at the same time, so a
//! row is named by the generation and by the commitment to the key: none takes another's place.

use super::Tx;
use crate::content::{COMMITMENT_BYTES, key_of, key_row};
use crate::kv::{Keyspace, Scan};
use crate::layout::{self, meta};
use crate::store::StoreError;
use crdt::envelope::{ContentKey, Epoch, ScopeKey};
use crdt::hash::Hash;
use crdt::id::{GrantId, MemoryId};
use std::collections::{BTreeMap, BTreeSet};

/// The most keys that are kept for one memory and epoch: what a hostile owner can make us store.
const KEYS_PER_EPOCH_MAX: usize = 16;

fn commitment(key: &[u8; 32]) -> Hash {
    ContentKey::from_bytes(*key).commitment()
}

impl Tx<'_> {
    /// Returns the rows that begin with a prefix, with what this transaction staged.
    pub(super) fn rows(
        &self,
        keyspace: Keyspace,
        prefix: &[u8],
    ) -> Result<BTreeMap<Vec<u8>, Vec<u8>>, StoreError> {
        let mut rows = BTreeMap::new();
        let mut scan = Scan::prefix(prefix.to_vec());
        loop {
            let page = self.kv.scan(keyspace, &scan)?;
            let last = page.items.last().map(|item| item.key.clone());
            rows.extend(page.items.into_iter().map(|item| (item.key, item.value)));
            match last {
                Some(last) if page.more => scan.after = Some(last),
                _ => break,
            }
        }
        let staged = self.staged.range((keyspace, prefix.to_vec())..);
        for ((_, row), value) in
            staged.take_while(|((space, row), _)| *space == keyspace && row.starts_with(prefix))
        {
            match value {
                Some(value) => rows.insert(row.clone(), value.clone()),
                None => rows.remove(row),
            };
        }
        Ok(rows)
    }

    fn epoch_prefix(&self, memory: MemoryId, epoch: Epoch) -> Vec<u8> {
        [self.memory_key(memory), epoch.0.to_be_bytes().to_vec()].concat()
    }

    fn content_key_row(&self, memory: MemoryId, epoch: Epoch, commitment: &Hash) -> Vec<u8> {
        key_row(self.opaque, memory, epoch, commitment)
    }

    /// Returns the content key of a memory to which an event committed, if it is here.
    pub(super) fn committed_key(
        &self,
        memory: MemoryId,
        epoch: Epoch,
        commitment: &Hash,
    ) -> Result<Option<ContentKey>, StoreError> {
        let row = self.content_key_row(memory, epoch, commitment);
        let bytes = self.get(layout::KEY, &row)?;
        Ok(bytes.and_then(key_of).map(ContentKey::from_bytes))
    }

    /// Returns the content keys of a memory and epoch that are here.
    pub(super) fn content_keys(
        &self,
        memory: MemoryId,
        epoch: Epoch,
    ) -> Result<Vec<ContentKey>, StoreError> {
        let rows = self.rows(layout::KEY, &self.epoch_prefix(memory, epoch))?;
        let keys = rows.into_values().filter_map(key_of);
        Ok(keys.map(ContentKey::from_bytes).collect())
    }

    /// Returns the epochs of a memory whose keys are here: as many as there are, whatever numbers
    /// the events of others name.
    pub(super) fn epochs_of(&self, memory: MemoryId) -> Result<BTreeSet<Epoch>, StoreError> {
        let prefix = self.memory_key(memory);
        let rows = self.rows(layout::KEY, &prefix)?;
        let epoch = |row: &Vec<u8>| {
            let number = row.get(prefix.len()..)?.first_chunk::<4>()?;
            Some(Epoch(u32::from_be_bytes(*number)))
        };
        Ok(rows.keys().filter_map(epoch).collect())
    }

    /// Keeps a content key, unless too many are kept for its epoch already.
    pub(super) fn put_content_key(
        &mut self,
        memory: MemoryId,
        epoch: Epoch,
        key: &ContentKey,
    ) -> Result<(), StoreError> {
        let row = self.content_key_row(memory, epoch, &key.commitment());
        let known = self.rows(layout::KEY, &self.epoch_prefix(memory, epoch))?;
        if known.len() < KEYS_PER_EPOCH_MAX && !known.contains_key(&row) {
            self.put(layout::KEY, row, key.expose().to_vec());
        }
        Ok(())
    }

    /// Keeps the first content key of a memory that is being made: there is no other.
    pub(super) fn put_first_key(&mut self, memory: MemoryId, key: &ContentKey) {
        let row = self.content_key_row(memory, Epoch(0), &key.commitment());
        self.put(layout::KEY, row, key.expose().to_vec());
    }

    /// Destroys all content keys of a memory.
    pub(super) fn delete_content_keys(&mut self, memory: MemoryId) -> Result<(), StoreError> {
        let rows = self.rows(layout::KEY, &self.memory_key(memory))?;
        for row in rows.into_keys() {
            self.delete(layout::KEY, row);
        }
        Ok(())
    }

    /// Keeps a generation of the scope key of a grant.
    pub(super) fn put_scope_key(&mut self, grant: GrantId, epoch: u32, key: &ScopeKey) {
        let mut row = self.opaque.opaque(grant.as_bytes()).to_vec();
        row.extend_from_slice(&epoch.to_be_bytes());
        let name = commitment(key.expose());
        row.extend(name.0.iter().take(COMMITMENT_BYTES));
        self.put(layout::SCOPE, row, key.expose().to_vec());
    }

    /// Destroys the scope keys of a grant.
    pub(super) fn drop_scope_keys(&mut self, grant: GrantId) -> Result<(), StoreError> {
        let prefix = self.opaque.opaque(grant.as_bytes());
        for (row, _) in self.rows(layout::SCOPE, &prefix)? {
            self.delete(layout::SCOPE, row);
        }
        Ok(())
    }

    /// Returns the generations of the scope key of a grant that are here, the newest last.
    pub(super) fn scope_keys(&self, grant: GrantId) -> Result<Vec<(u32, ScopeKey)>, StoreError> {
        let prefix = self.opaque.opaque(grant.as_bytes());
        let rows = self.rows(layout::SCOPE, &prefix)?;
        let read = |(row, value): (Vec<u8>, Vec<u8>)| {
            let number = row.get(prefix.len()..)?.first_chunk::<4>()?;
            let key = ScopeKey::from_bytes(key_of(value)?);
            Some((u32::from_be_bytes(*number), key))
        };
        Ok(rows.into_iter().filter_map(read).collect())
    }

    /// Returns the newest scope key of a grant, if one is here.
    pub(super) fn scope_key(&self, grant: GrantId) -> Result<Option<ScopeKey>, StoreError> {
        Ok(self.scope_keys(grant)?.pop().map(|(_, key)| key))
    }

    /// Keeps a sidecar key, to open what is sealed under it.
    pub(super) fn put_sidecar_key(&mut self, key: &ContentKey) {
        let row = [meta::SIDECAR_KEYS, &key.commitment().0].concat();
        self.put(layout::META, row, key.expose().to_vec());
    }

    /// Makes a sidecar key the one that is used under an own scope key. Of several the same one
    /// is chosen on all devices.
    pub(super) fn put_sidecar_scope(
        &mut self,
        scope: GrantId,
        key: &ContentKey,
    ) -> Result<(), StoreError> {
        self.put_sidecar_key(key);
        let known = self.sidecar_of(scope)?;
        if known.is_none_or(|known| known.commitment() < key.commitment()) {
            let row = [meta::SIDECAR_SCOPES, scope.as_bytes()].concat();
            self.put(layout::META, row, key.expose().to_vec());
        }
        Ok(())
    }

    /// Returns the sidecar key that is used under an own scope key.
    pub(super) fn sidecar_of(&self, scope: GrantId) -> Result<Option<ContentKey>, StoreError> {
        let row = [meta::SIDECAR_SCOPES, scope.as_bytes()].concat();
        let bytes = self.get(layout::META, &row)?;
        Ok(bytes.and_then(key_of).map(ContentKey::from_bytes))
    }

    /// Returns the sidecar key to which an event committed.
    pub(super) fn committed_sidecar_key(
        &self,
        commitment: &Hash,
    ) -> Result<Option<ContentKey>, StoreError> {
        let row = [meta::SIDECAR_KEYS, &commitment.0].concat();
        let bytes = self.get(layout::META, &row)?;
        Ok(bytes.and_then(key_of).map(ContentKey::from_bytes))
    }

    /// Returns all sidecar keys that are here.
    pub(super) fn sidecar_keys(&self) -> Result<Vec<ContentKey>, StoreError> {
        let rows = self.rows(layout::META, meta::SIDECAR_KEYS)?;
        let keys = rows.into_values().filter_map(key_of);
        Ok(keys.map(ContentKey::from_bytes).collect())
    }

    /// Returns the key under which this person's sidecars are sealed from now on.
    pub(super) fn sidecar_key(&mut self) -> Result<ContentKey, StoreError> {
        let current = self.current_scope()?.map(|(scope, _)| scope);
        let known = if let Some(scope) = current {
            self.sidecar_of(scope)?
        } else {
            let bytes = self.get(layout::META, meta::SIDECAR_KEY)?;
            bytes.and_then(key_of).map(ContentKey::from_bytes)
        };
        if let Some(key) = known {
            return Ok(key);
        }
        let key = ContentKey::random(&mut self.rng());
        self.put_sidecar_key(&key);
        if let Some(scope) = current {
            self.put_sidecar_scope(scope, &key)?;
        } else {
            let row = meta::SIDECAR_KEY.to_vec();
            self.put(layout::META, row, key.expose().to_vec());
        }
        Ok(key)
    }
}
