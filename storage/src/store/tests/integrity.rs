//! A document that makes Automerge panic takes nothing else down; a copy is another writer.

use super::*;
use crate::kv::disk::DiskStore;
use crate::tx::AppendError;
use crate::tx::quarantine::tripwire;
use crdt::event::Incarnation;

fn title(title: &str) -> MemoryEdit {
    MemoryEdit {
        content: Edit {
            title: Some(title.to_owned()),
            ..Edit::default()
        },
        ..MemoryEdit::default()
    }
}

fn quarantined(bench: &Bench) -> Vec<MemoryId> {
    bench
        .store()
        .read(|state| state.quarantined().map(|row| row.memory).collect())
}

#[test]
fn a_panicking_document_is_quarantined_and_everything_else_goes_on() {
    let mut bench = Bench::new(61);
    let broken = bench.create("the broken one");
    let fine = bench.create("the fine one");
    bench.edit(broken, &title("edited")).unwrap();
    tripwire::lay(broken);
    let before = bench.store().read(|state| state.head);
    let refused = bench.edit(broken, &title("again"));
    assert!(
        matches!(&refused, Err(WriteError::Append(AppendError::Broken(memory, _))) if *memory == broken),
        "{refused:?}"
    );
    assert_eq!(quarantined(&bench), [broken]);
    assert_eq!(
        before,
        bench.store().read(|state| state.head),
        "no trace of the edit"
    );
    // It is shown and found as it last stood, and not edited; the rest is.
    let shown = bench.store().content(broken).unwrap().unwrap();
    assert_eq!(
        (shown.title.as_str(), shown.body.as_str()),
        ("edited", "the broken one")
    );
    assert_eq!(bench.find("broken"), [broken]);
    bench.edit(fine, &title("goes on")).unwrap();
    assert_eq!(bench.find("goes"), [fine]);
    // A restart stays so; labels, which need no document, still work.
    bench.reopen();
    assert_eq!(quarantined(&bench), [broken]);
    let refused = bench.edit(broken, &title("again"));
    assert!(matches!(
        refused,
        Err(WriteError::Append(AppendError::Quarantined(_)))
    ));
    bench.label(
        broken,
        SidecarPatch {
            space: Some("attic".to_owned()),
            ..SidecarPatch::default()
        },
    );
    // A rebuild tries again, and survives that it fails again.
    bench.store().rebuild(NOW).unwrap();
    assert_eq!(quarantined(&bench), [broken]);
    assert_eq!(bench.find("fine"), [fine]);
    bench.reopen();
    tripwire::clear(broken);
    bench.store().rebuild(NOW).unwrap();
    assert_eq!(quarantined(&bench), []);
    assert_eq!(
        bench.store().content(broken).unwrap().unwrap().title,
        "edited"
    );
    bench.edit(broken, &title("again")).unwrap();
}

#[test]
fn a_purge_ends_a_quarantine() {
    let bench = Bench::new(62);
    let broken = bench.create("the broken one");
    bench.edit(broken, &title("edited")).unwrap();
    tripwire::lay(broken);
    assert!(bench.edit(broken, &title("again")).is_err());
    bench.purge(broken);
    assert_eq!(quarantined(&bench), []);
    assert_eq!(bench.store().content(broken).unwrap(), None);
    tripwire::clear(broken);
}

/// Opens a store in a file and returns the name under which it writes.
fn opened(bench: &Bench, path: &Path) -> Incarnation {
    let disk = DiskStore::open(path).unwrap();
    let kv: Arc<dyn Kv> = Arc::new(Sealed::new(Arc::new(disk), &bench.master));
    let text = tempfile::tempdir().unwrap();
    let parts = bench.parts(kv, &bench.master, text.path());
    let store = Store::open(parts, NOW).unwrap();
    let incarnation = store.read(|state| state.incarnation);
    store.close().unwrap();
    incarnation
}

#[test]
fn a_store_that_was_copied_back_writes_under_a_new_name() {
    let bench = Bench::new(63);
    let path = bench.folder.path().join("store");
    let backup = bench.folder.path().join("backup");
    let first = opened(&bench, &path);
    std::fs::copy(&path, &backup).unwrap();
    let second = opened(&bench, &path);
    // Into the same file, as many backup programs do: nothing but the rows tells it from before.
    std::fs::copy(&backup, &path).unwrap();
    let third = opened(&bench, &path);
    assert!(first != second && second != third && first != third);
}
