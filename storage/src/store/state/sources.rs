//! Which memory came from where: stable keys of sources, each kept as a digest.

use crate::records::{Source, SourceKey};
use crdt::id::MemoryId;
use std::collections::BTreeMap;

/// Memories by the stable key of their source.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sources(BTreeMap<SourceKey, MemoryId>);

impl Sources {
    /// Returns the memory that came from a source, whatever was imported from there.
    pub fn get(&self, source: &str) -> Option<MemoryId> {
        self.at(Source::of(source).key())
    }
    /// Returns how many sources are known.
    pub fn len(&self) -> usize {
        self.0.len()
    }
    /// Tells whether no source is known.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
    pub(crate) fn at(&self, key: SourceKey) -> Option<MemoryId> {
        self.0.get(&key).copied()
    }
    pub(crate) fn insert(&mut self, key: SourceKey, memory: MemoryId) {
        self.0.insert(key, memory);
    }
    pub(crate) fn remove(&mut self, key: SourceKey) {
        self.0.remove(&key);
    }
}

impl FromIterator<(SourceKey, MemoryId)> for Sources {
    fn from_iter<I: IntoIterator<Item = (SourceKey, MemoryId)>>(iter: I) -> Self {
        Self(iter.into_iter().collect())
    }
}
