//! Tests of the engine on disk: lock, full disk, damage.

use std::io;
use std::os::unix::fs::PermissionsExt as _;

use super::*;
use crate::kv::faulty::FaultyDisk;

const SPACE: Keyspace = Keyspace("rows");

fn row(key: &str, bytes: usize) -> Batch {
    let mut batch = Batch::new();
    batch.put(SPACE, key, vec![7; bytes]);
    batch
}

#[test]
fn a_second_opener_learns_who_holds_the_store() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    let store = DiskStore::open(&path).unwrap();
    let error = DiskStore::open(&path).unwrap_err();
    let expect = format!("store is in use by process {}", std::process::id());
    assert_eq!(error.to_string(), expect);
    store.close().unwrap();
    DiskStore::open(&path).unwrap();
}

#[test]
fn the_files_are_for_the_owner_alone() {
    let folder = tempfile::tempdir().unwrap();
    let _store = DiskStore::open(&folder.path().join("store")).unwrap();
    for name in ["store", "store.lock"] {
        let mode = folder
            .path()
            .join(name)
            .metadata()
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
}

#[test]
fn a_folder_that_may_not_be_written_is_named() {
    // Asked of the mapping: permissions do not bind root, as whom tests may run.
    for kind in [
        io::ErrorKind::PermissionDenied,
        io::ErrorKind::ReadOnlyFilesystem,
    ] {
        let error = medium::refused(Path::new("/data/store"), kind.into());
        assert_eq!(error.to_string(), "data folder is read-only: /data/store");
    }
}

#[test]
fn a_file_that_is_no_store_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    std::fs::write(&path, vec![b'x'; 8192]).unwrap();
    let error = DiskStore::open(&path).unwrap_err();
    assert!(matches!(error, KvError::Damaged { .. }), "{error:?}");
}

#[test]
fn a_full_disk_stops_writes_not_reads_until_there_is_space() {
    let disk = FaultyDisk::new(1);
    let store = DiskStore::with_medium(disk.clone()).unwrap();
    store.commit(row("first", 10), Durability::Durable).unwrap();
    disk.set_capacity(Some(disk.len()));

    let error = store
        .commit(row("big", 4 << 20), Durability::Durable)
        .unwrap_err();
    assert!(matches!(error, KvError::DiskFull), "{error:?}");
    let reason = "disk is full".to_owned();
    assert_eq!(store.health(), Health::ReadOnly { reason });
    assert_eq!(store.get(SPACE, b"first").unwrap().unwrap().len(), 10);
    assert_eq!(store.get(SPACE, b"big").unwrap(), None);

    disk.set_capacity(None);
    store
        .commit(row("big", 4 << 20), Durability::Durable)
        .unwrap();
    assert_eq!(store.health(), Health::Writable);
    assert_eq!(store.get(SPACE, b"first").unwrap().unwrap().len(), 10);
    assert_eq!(store.get(SPACE, b"big").unwrap().unwrap().len(), 4 << 20);
}

#[test]
fn a_full_disk_stops_no_read_that_the_cache_cannot_answer() {
    let disk = FaultyDisk::new(1);
    let store = DiskStore::with_medium(disk.clone()).unwrap();
    for n in 0..100 {
        let row = row(&n.to_string(), 2_000);
        store.commit(row, Durability::Durable).unwrap();
    }
    store.close().unwrap();
    drop(store);
    let store = DiskStore::with_medium(disk.clone()).unwrap();
    disk.set_capacity(Some(disk.len()));
    let error = store.commit(row("big", 4 << 20), Durability::Durable);
    assert!(matches!(error, Err(KvError::DiskFull)), "{error:?}");
    for n in 0..100 {
        let read = store.get(SPACE, n.to_string().as_bytes()).unwrap();
        assert_eq!(read.map(|row| row.len()), Some(2_000));
    }
    assert!(matches!(store.health(), Health::ReadOnly { .. }));
    disk.set_capacity(None);
    store
        .commit(row("big", 4 << 20), Durability::Durable)
        .unwrap();
    assert_eq!(store.health(), Health::Writable);
}

#[test]
fn a_full_disk_again_and_again_loses_nothing() {
    let disk = FaultyDisk::new(2);
    let store = DiskStore::with_medium(disk.clone()).unwrap();
    let mut kept = 0;
    for n in 0..30 {
        disk.set_capacity(Some(disk.len()));
        let key = n.to_string();
        if store
            .commit(row(&key, 200_000), Durability::Durable)
            .is_err()
        {
            disk.set_capacity(None);
            store
                .commit(row(&key, 200_000), Durability::Durable)
                .unwrap();
            kept += 1;
        }
        assert_eq!(store.get(SPACE, b"0").unwrap().unwrap().len(), 200_000);
    }
    assert!(kept > 0, "the disk was never full");
    assert_eq!(store.verify(&[SPACE]).unwrap().rows, 30);
}

#[test]
fn a_store_without_power_says_so_and_stays_closed_to_writes() {
    let disk = FaultyDisk::new(3);
    let store = DiskStore::with_medium(disk.clone()).unwrap();
    store.commit(row("a", 10), Durability::Durable).unwrap();
    disk.cut_power_in(0);
    for _ in 0..3 {
        let error = store.commit(row("b", 10), Durability::Durable).unwrap_err();
        assert!(matches!(error, KvError::Io(_)), "{error:?}");
    }
    assert!(matches!(store.health(), Health::ReadOnly { .. }));
    disk.restore_power();
    store.commit(row("b", 10), Durability::Durable).unwrap();
    assert_eq!(store.get(SPACE, b"a").unwrap().unwrap().len(), 10);
}

#[test]
fn what_a_failed_commit_left_behind_is_durable_once_it_is_read() {
    let mut left_behind = 0;
    for (seed, syncs) in (0..64).flat_map(|seed| [(seed, 0), (seed, 1)]) {
        let disk = FaultyDisk::new(seed);
        let store = DiskStore::with_medium(disk.clone()).unwrap();
        store.commit(row("first", 9), Durability::Durable).unwrap();
        disk.fail_sync_in(syncs);
        let failed = store.commit(row("doubtful", 9), Durability::Durable);
        assert!(failed.is_err(), "one of its two fsyncs failed");
        // Any commit opens the engine anew, also one that is not made durable itself.
        store.commit(row("other", 9), Durability::Relaxed).unwrap();
        let is_read = store.get(SPACE, b"doubtful").unwrap().is_some();
        disk.restore_power();
        drop(store);
        let store = DiskStore::with_medium(disk).unwrap();
        let is_kept = store.get(SPACE, b"doubtful").unwrap().is_some();
        assert!(is_kept || !is_read, "seed {seed}: read, and then gone");
        left_behind += u32::from(is_read);
    }
    assert!(
        left_behind > 0,
        "a failed commit never left anything behind"
    );
}
