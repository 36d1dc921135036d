//! What is on the disk and in use, as it is known in memory.

use super::file::{Kind, Name};
use super::{Blobs, Presence};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Files and who uses them.
#[derive(Debug, Default)]
pub(super) struct Shelf {
    whole: BTreeSet<Name>,
    /// Chunks of files that are being fetched.
    partial: BTreeMap<Name, u32>,
    /// How often each is pinned.
    pins: BTreeMap<Name, usize>,
    /// What was pinned since the sweep began.
    touched: BTreeSet<Name>,
    fetching: BTreeSet<Name>,
}

impl Shelf {
    pub(super) fn enter(&mut self, name: Name) {
        self.whole.insert(name);
        self.partial.remove(&name);
    }
    pub(super) fn leave(&mut self, name: Name, kind: Kind) {
        match kind {
            Kind::Part => {
                self.partial.remove(&name);
            }
            Kind::Whole | Kind::New => {
                self.whole.remove(&name);
            }
        }
    }
    pub(super) fn set_partial(&mut self, name: Name, chunks: u32) {
        self.partial.insert(name, chunks);
    }
    pub(super) fn presence(&self, name: Name) -> Presence {
        if self.whole.contains(&name) {
            return Presence::Whole;
        }
        Presence::Chunks(self.partial.get(&name).copied().unwrap_or_default())
    }
    /// Lists the files, and notes from now on what is pinned.
    pub(super) fn begin_sweep(&mut self) -> Vec<(Name, Kind)> {
        self.touched = self.pins.keys().copied().collect();
        let whole = self.whole.iter().map(|name| (*name, Kind::Whole));
        let partial = self.partial.keys().map(|name| (*name, Kind::Part));
        whole.chain(partial).collect()
    }
    pub(super) fn is_touched(&self, name: Name) -> bool {
        self.touched.contains(&name)
    }
    pub(super) fn begin_fetch(&mut self, name: Name) -> bool {
        self.fetching.insert(name)
    }
    pub(super) fn end_fetch(&mut self, name: Name) {
        self.fetching.remove(&name);
    }
}

/// Keeps a blob from being swept while no memory refers to it yet.
#[derive(Debug)]
pub struct Pin {
    blobs: Arc<Blobs>,
    name: Name,
}

impl Pin {
    /// Pins a name; the caller holds the lock over whatever it decides with it.
    pub(super) fn under(blobs: &Arc<Blobs>, shelf: &mut Shelf, name: Name) -> Self {
        *shelf.pins.entry(name).or_default() += 1;
        shelf.touched.insert(name);
        Self {
            blobs: Arc::clone(blobs),
            name,
        }
    }
}

impl Drop for Pin {
    fn drop(&mut self) {
        let mut shelf = self.blobs.shelf();
        if let Some(count) = shelf.pins.get_mut(&self.name) {
            *count -= 1;
            if *count == 0 {
                shelf.pins.remove(&self.name);
            }
        }
    }
}
