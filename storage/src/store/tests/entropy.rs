//! A store that draws from a seed can be repeated byte for byte.

use super::*;
use crate::kv::Scan;

/// Writes a little, and returns every row as it lies on the disk.
fn rows(seed: u64) -> Vec<(&'static str, Vec<u8>, Vec<u8>)> {
    let entropy = seeded(seed);
    let bench = Bench::new(1);
    let master = MasterKey::from_bytes(zeroize::Zeroizing::new([9; 32]));
    let inner: Arc<dyn Kv> = Arc::new(MemoryStore::new());
    let kv = Arc::new(Sealed::drawing(
        entropy.clone(),
        Arc::clone(&inner),
        &master,
    ));
    let folder = tempfile::tempdir().unwrap();
    let text = folder.path();
    let parts = Parts {
        entropy,
        ..bench.parts(kv, &master, text)
    };
    let store = Store::open(parts, NOW).unwrap();
    let content = Content::new(MemoryKind::Note, NOW);
    let sidecar = SidecarPatch::default();
    let memory = store.transact(NOW, |tx| tx.create(&content, &sidecar));
    let content = Edit {
        title: Some("new".to_owned()),
        ..Edit::default()
    };
    let edit = MemoryEdit {
        content,
        ..MemoryEdit::default()
    };
    let edited = store.transact(NOW, |tx| tx.edit(memory.unwrap(), &edit));
    edited.unwrap();
    let mut rows = Vec::new();
    for keyspace in layout::ALL {
        let page = inner.scan(keyspace, &Scan::all()).unwrap();
        assert!(!page.more);
        let found = page.items.into_iter();
        rows.extend(found.map(|item| (keyspace.0, item.key, item.value)));
    }
    rows
}

#[test]
fn equal_seeds_give_equal_disks_and_others_do_not() {
    assert_eq!(rows(1), rows(1));
    assert_ne!(rows(1), rows(2));
}
