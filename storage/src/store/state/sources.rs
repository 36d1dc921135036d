//! Which memory came from where: stable keys of sources, each kept as a digest.
//!
//! The source itself, a path or an address, stands in the facts of its memory; here it is only
//! looked up, so that sixteen bytes of its hash do.

use crdt::hash::Hash;
use crdt::id::MemoryId;
use std::collections::BTreeMap;

const DOMAIN: &str = "second-brain 2026 v1 source";

/// Memories by the stable key of their source, see [`source_key`](super::source_key).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sources(BTreeMap<[u8; 16], MemoryId>);

impl Sources {
    /// Returns the memory that came from a source.
    pub fn get(&self, key: &str) -> Option<MemoryId> {
        self.0.get(&digest(key)).copied()
    }
    /// Returns how many sources are known.
    pub fn len(&self) -> usize {
        self.0.len()
    }
    /// Tells whether no source is known.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
    pub(crate) fn insert(&mut self, key: &str, memory: MemoryId) {
        self.0.insert(digest(key), memory);
    }
    pub(crate) fn remove(&mut self, key: &str) {
        self.0.remove(&digest(key));
    }
}

impl<'a> FromIterator<(&'a str, MemoryId)> for Sources {
    fn from_iter<I: IntoIterator<Item = (&'a str, MemoryId)>>(iter: I) -> Self {
        let sources = iter.into_iter();
        Self(sources.map(|(key, memory)| (digest(key), memory)).collect())
    }
}

fn digest(key: &str) -> [u8; 16] {
    let Hash(hash) = Hash::of(DOMAIN, &[key.as_bytes()]);
    hash.first_chunk().copied().unwrap_or_default()
}
