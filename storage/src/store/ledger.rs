//! Reading the disclosure ledger, and checking it: by itself, and against what peers witnessed.
//!
//! ```text
//! entries --recompute--> tree, lines, subtrees   compared with the rows and the signed head
//! echoes  --open note--> size and root then      compared with the tree at that size
//! ```

use super::open::each_row;
use super::{Store, StoreError, decode};
use crate::kv::Kv;
use crate::layout::{self, meta, number_of, ordered};
use crate::ledger::{Entry, Fault, FaultKind, Proven, SignedTree, Tree, Verdict, tree};
use crdt::codec::Canonical as _;
use crdt::hash::Hash;
use crdt::id::{MemoryId, PersonId};
use std::collections::BTreeMap;

/// A tree that is computed anew and compared with the rows as it grows.
struct Recomputed<'a> {
    kv: &'a dyn Kv,
    name: [u8; 16],
    tree: Tree,
}

impl Recomputed<'_> {
    /// Appends an entry; tells whether the kept subtrees are what comes out.
    fn push(&mut self, bytes: &[u8]) -> Result<bool, StoreError> {
        let mut is_kept = true;
        for (level, index, hash) in self.tree.push(bytes) {
            let row = layout::subtree(&self.name, level, index);
            let kept = self.kv.get(layout::TREE, &row)?;
            is_kept &= kept.as_deref() == Some(hash.0.as_slice());
        }
        Ok(is_kept)
    }
}

/// The whole ledger, computed anew from its entries.
struct Check<'a> {
    store: &'a Store,
    all: Recomputed<'a>,
    lines: BTreeMap<PersonId, Recomputed<'a>>,
    fault: Option<Fault>,
}

impl<'a> Check<'a> {
    fn new(store: &'a Store) -> Self {
        let recomputed = Self::tree(store, layout::TREE_OF_ALL);
        Self {
            store,
            all: recomputed,
            lines: BTreeMap::new(),
            fault: None,
        }
    }
    fn tree(store: &'a Store, name: &[u8]) -> Recomputed<'a> {
        Recomputed {
            kv: &*store.kv,
            name: store.opaque.opaque(name),
            tree: Tree::default(),
        }
    }
    fn note(&mut self, kind: FaultKind, first: u64) {
        let last = None;
        self.fault.get_or_insert(Fault { kind, first, last });
    }
    /// Takes in the next row; false ends the reading, because nothing after it can be placed.
    fn take(&mut self, number: u64, bytes: &[u8]) -> Result<bool, StoreError> {
        let expected = self.all.tree.size() + 1;
        let entry = decode::<Entry>(layout::LEDGER.0, bytes).ok();
        let entry = entry.filter(|entry| entry.number == number && number == expected);
        let Some(entry) = entry else {
            self.note(FaultKind::Misplaced, expected);
            return Ok(false);
        };
        let store = self.store;
        let line = self.lines.entry(entry.person);
        let line = line.or_insert_with(|| Self::tree(store, entry.person.as_bytes()));
        let in_line = line.tree.size() + 1;
        let row = [line.name.as_slice(), &ordered(in_line)].concat();
        let place = store.kv.get(layout::LINE, &row)?;
        let is_kept = line.push(&entry.in_line(in_line).to_bytes())?
            && place.as_deref().and_then(number_of) == Some(number);
        if !self.all.push(bytes)? || !is_kept {
            self.note(FaultKind::Derived, number);
        }
        Ok(true)
    }
    /// Takes in the rows after those that were.
    fn take_rows(&mut self) -> Result<(), StoreError> {
        let size = self.all.tree.size();
        let after = (size > 0).then(|| ordered(size).to_vec());
        each_row(&*self.store.kv, layout::LEDGER, after, &mut |key, value| {
            self.take(number_of(key).unwrap_or_default(), value)
        })
    }
    fn take_head(&mut self) -> Result<(), StoreError> {
        let head = self.store.kv.get(layout::META, meta::LEDGER_TREE)?;
        let head = head.and_then(|bytes| decode::<SignedTree>(layout::META.0, &bytes).ok());
        let device = self.store.owner.device.id();
        let tree = &self.all.tree;
        let fits = match &head {
            None => tree.size() == 0,
            Some(head) => head.is_signed_by(&device) && head.tree == *tree,
        };
        if !fits {
            let signed = head.map_or(0, |head| head.tree.size());
            let first = tree.size().min(signed) + u64::from(tree.size() != signed);
            // A head that fits nothing says more about the entries than the rows made from them.
            let derived = self.fault.filter(|fault| fault.kind == FaultKind::Derived);
            if derived.is_some() {
                self.fault = None;
            }
            let first = derived.map_or(first, |fault| fault.first.min(first));
            self.note(FaultKind::Unsigned, first.max(1));
        }
        Ok(())
    }
    fn take_lines(&mut self) -> Result<(), StoreError> {
        let mut wrong = Vec::new();
        for line in self.lines.values() {
            let kept = self.store.kv.get(layout::LINE, &line.name)?;
            if kept.as_deref() != Some(line.tree.to_bytes().as_slice()) {
                wrong.push(line.tree.size());
            }
        }
        if !wrong.is_empty() {
            self.note(FaultKind::Derived, 1);
        }
        Ok(())
    }
}

impl Store {
    /// Returns ledger entries after a number, oldest first.
    pub fn ledger(&self, after: u64, max: usize) -> Result<Vec<Entry>, StoreError> {
        let mut entries = Vec::new();
        let from = Some(ordered(after).to_vec());
        each_row(&*self.kv, layout::LEDGER, from, &mut |_, value| {
            if entries.len() < max {
                entries.push(decode(layout::LEDGER.0, value)?);
            }
            Ok(entries.len() < max)
        })?;
        Ok(entries)
    }

    /// Returns all entries about a memory, oldest first.
    pub fn ledger_of(&self, memory: MemoryId) -> Result<Vec<Entry>, StoreError> {
        let mut entries = Vec::new();
        each_row(&*self.kv, layout::LEDGER, None, &mut |_, value| {
            let entry: Entry = decode(layout::LEDGER.0, value)?;
            if entry.memory == memory {
                entries.push(entry);
            }
            Ok(true)
        })?;
        Ok(entries)
    }

    /// Returns an entry and proves that it is in the ledger; none if there is no such entry.
    pub fn ledger_entry(&self, number: u64) -> Result<Option<Proven>, StoreError> {
        let Some(bytes) = self.kv.get(layout::LEDGER, &ordered(number))? else {
            return Ok(None);
        };
        let entry = decode(layout::LEDGER.0, &bytes)?;
        let head = self.ledger_head()?;
        let (size, root) = head.map_or_else(
            || (0, tree::empty()),
            |head| (head.tree.size(), head.tree.root()),
        );
        let name = self.opaque.opaque(layout::TREE_OF_ALL);
        let proof = tree::inclusion(number.saturating_sub(1), size, &mut |level, index| {
            self.subtree(&name, level, index)
        })?;
        Ok(Some(Proven {
            entry,
            head: (size, root),
            proof,
        }))
    }

    /// Returns the signed head; none if nothing was ever disclosed.
    pub fn ledger_head(&self) -> Result<Option<SignedTree>, StoreError> {
        let head = self.kv.get(layout::META, meta::LEDGER_TREE)?;
        head.map(|bytes| decode(layout::META.0, &bytes)).transpose()
    }

    /// Returns the root over the first entries of the ledger; none if there are not as many.
    pub fn ledger_root(&self, entries: u64) -> Result<Option<Hash>, StoreError> {
        let size = self.ledger_head()?.map_or(0, |head| head.tree.size());
        self.root_at(layout::TREE_OF_ALL, size, entries)
    }

    /// Returns the root over the first entries of a tree, from the kept subtrees.
    pub(super) fn root_at(
        &self,
        name: &[u8],
        size: u64,
        entries: u64,
    ) -> Result<Option<Hash>, StoreError> {
        if entries > size {
            return Ok(None);
        }
        let name = self.opaque.opaque(name);
        tree::root(entries, &mut |level, index| {
            self.subtree(&name, level, index)
        })
        .map(Some)
    }

    /// Returns the hash of a complete subtree. One that is missing gives a hash that fits nothing.
    pub(super) fn subtree(&self, name: &[u8], level: u8, index: u64) -> Result<Hash, StoreError> {
        let kept = self
            .kv
            .get(layout::TREE, &layout::subtree(name, level, index))?;
        let kept = kept.and_then(|bytes| bytes.try_into().ok());
        Ok(kept.map_or(Hash([0; 32]), Hash))
    }

    /// Checks every ledger entry against the signed head and against what peers witnessed.
    pub fn verify_ledger(&self) -> Result<Verdict, StoreError> {
        let mut check = Check::new(self);
        check.take_rows()?;
        // What was disclosed meanwhile, and the head, as of one moment: nobody writes while it is read.
        self.read(|_| {
            check.take_rows()?;
            check.take_head()?;
            check.take_lines()
        })?;
        Ok(Verdict {
            entries: check.all.tree.size(),
            root: check.all.tree.root(),
            fault: check.fault,
            witnesses: self.witnesses()?,
        })
    }
}
