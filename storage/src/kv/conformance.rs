//! What every store must do, run over each store and each stack of decorators.
//!
//! `model` compares each stack with an ordered map under random commands.

mod model;

use std::sync::Arc;

use tempfile::TempDir;
use zeroize::Zeroizing;

use crate::cipher::MasterKey;

use super::disk::DiskStore;
use super::faulty::FaultyDisk;
use super::group::GroupCommit;
use super::memory::{MemoryDisk, MemoryStore};
use super::sealed::Sealed;
use super::{
    BATCH_BYTES_MAX, Batch, Durability, Health, KEY_BYTES_MAX, Keyspace, Kv, KvError,
    PAGE_BYTES_MAX, Scan, VALUE_BYTES_MAX,
};

const NOTES: Keyspace = Keyspace("notes");
const INDEX: Keyspace = Keyspace("index");

/// A stack that can be closed and opened again on the same bytes.
struct Stack {
    name: &'static str,
    open: Box<dyn Fn() -> Arc<dyn Kv>>,
}

impl Stack {
    fn new(name: &'static str, open: impl Fn() -> Arc<dyn Kv> + 'static) -> Self {
        Self {
            name,
            open: Box::new(open),
        }
    }
}

fn memory() -> impl Fn() -> Arc<dyn Kv> {
    let disk = MemoryDisk::new();
    move || Arc::new(MemoryStore::open(&disk).unwrap())
}

fn file() -> impl Fn() -> Arc<dyn Kv> {
    let folder = TempDir::new().unwrap();
    move || Arc::new(DiskStore::open(&folder.path().join("store")).unwrap())
}

fn faulty() -> impl Fn() -> Arc<dyn Kv> {
    let disk = FaultyDisk::new(1);
    move || Arc::new(DiskStore::with_medium(disk.clone()).unwrap())
}

fn sealed(inner: Arc<dyn Kv>) -> Arc<dyn Kv> {
    let master = MasterKey::from_bytes(Zeroizing::new([3; 32]));
    Arc::new(Sealed::new(inner, &master))
}

fn grouped(inner: Arc<dyn Kv>) -> Arc<dyn Kv> {
    Arc::new(GroupCommit::new(inner).unwrap())
}

fn stacks() -> Vec<Stack> {
    let (sealed_memory, sealed_file) = (memory(), file());
    let (grouped_memory, grouped_disk) = (memory(), faulty());
    let (node, turned) = (file(), faulty());
    vec![
        Stack::new("memory", memory()),
        Stack::new("file", file()),
        Stack::new("faulty disk", faulty()),
        Stack::new("sealed(memory)", move || sealed(sealed_memory())),
        Stack::new("sealed(file)", move || sealed(sealed_file())),
        Stack::new("group(memory)", move || grouped(grouped_memory())),
        Stack::new("group(disk)", move || grouped(grouped_disk())),
        Stack::new("sealed(group(file))", move || sealed(grouped(node()))),
        Stack::new("group(sealed(disk))", move || grouped(sealed(turned()))),
    ]
}

/// Runs one promise over every stack, each with an empty store.
fn each(promise: impl Fn(&Stack, &dyn Kv)) {
    for stack in stacks() {
        let store = (stack.open)();
        promise(&stack, store.as_ref());
        store.close().unwrap();
    }
}

fn put(store: &dyn Kv, keyspace: Keyspace, rows: &[(&str, &str)]) {
    let mut batch = Batch::new();
    for (key, value) in rows {
        batch.put(keyspace, *key, *value);
    }
    store.commit(batch, Durability::Durable).unwrap();
}

fn keys(store: &dyn Kv, scan: &Scan) -> (String, bool) {
    let page = store.scan(NOTES, scan).unwrap();
    let keys: Vec<_> = page
        .items
        .into_iter()
        .map(|item| String::from_utf8(item.key).unwrap())
        .collect();
    (keys.join(" "), page.more)
}

#[test]
fn a_row_is_read_back_replaced_and_deleted() {
    each(|stack, store| {
        let name = stack.name;
        assert_eq!(store.get(NOTES, b"a").unwrap(), None, "{name}");
        put(store, NOTES, &[("a", "1"), ("b", "")]);
        put(store, NOTES, &[("a", "2")]);
        assert_eq!(store.get(NOTES, b"a").unwrap().unwrap(), b"2", "{name}");
        assert_eq!(store.get(NOTES, b"b").unwrap().unwrap(), b"", "{name}");
        assert_eq!(store.get(INDEX, b"a").unwrap(), None, "{name}");
        let mut batch = Batch::new();
        batch.delete(NOTES, "a");
        batch.delete(NOTES, "never there");
        store.commit(batch, Durability::Durable).unwrap();
        assert_eq!(store.get(NOTES, b"a").unwrap(), None, "{name}");
    });
}

#[test]
fn ops_of_a_batch_apply_in_order() {
    each(|stack, store| {
        put(store, NOTES, &[("old", "1")]);
        let mut batch = Batch::new();
        batch.put(NOTES, "gone", "1");
        batch.delete_all(NOTES);
        batch.put(NOTES, "kept", "1");
        batch.put(INDEX, "kept", "2");
        batch.put(NOTES, "kept", "3");
        batch.put(NOTES, "deleted", "4");
        batch.delete(NOTES, "deleted");
        store.commit(batch, Durability::Durable).unwrap();
        assert_eq!(keys(store, &Scan::all()).0, "kept", "{}", stack.name);
        assert_eq!(store.get(NOTES, b"kept").unwrap().unwrap(), b"3");
        assert_eq!(store.get(INDEX, b"kept").unwrap().unwrap(), b"2");
    });
}

#[test]
fn many_rows_are_read_in_the_order_asked() {
    each(|stack, store| {
        let wanted = [b"b".to_vec(), b"x".to_vec(), b"a".to_vec(), b"b".to_vec()];
        assert_eq!(store.get_many(NOTES, &wanted).unwrap(), vec![None; 4]);
        put(store, NOTES, &[("a", "1"), ("b", "2")]);
        let found = store.get_many(NOTES, &wanted).unwrap();
        let expect = [Some("2"), None, Some("1"), Some("2")]
            .map(|value| value.map(|value| value.as_bytes().to_vec()));
        assert_eq!(found, expect, "{}", stack.name);
    });
}

#[test]
fn scans_respect_prefix_start_direction_and_limit() {
    let cases = [
        (Scan::all(), "a a1 a2 a3 b c", false),
        (Scan::all().max(6), "a a1 a2 a3 b c", false),
        (Scan::all().max(2), "a a1", true),
        (Scan::all().max(0), "", true),
        (Scan::prefix("a"), "a a1 a2 a3", false),
        (Scan::prefix("a").max(3), "a a1 a2", true),
        (Scan::prefix("a").after("a1"), "a2 a3", false),
        (Scan::prefix("a").after("a1").descending(), "a", false),
        (Scan::prefix("a").descending().max(2), "a3 a2", true),
        (Scan::prefix("a").after("0"), "a a1 a2 a3", false),
        (Scan::prefix("a").after("0").descending(), "", false),
        (Scan::prefix("a").after("b"), "", false),
        (
            Scan::prefix("a").after("b").descending(),
            "a3 a2 a1 a",
            false,
        ),
        (
            Scan::prefix("a").after("zz").descending(),
            "a3 a2 a1 a",
            false,
        ),
        (Scan::all().after("c"), "", false),
        (Scan::all().descending(), "c b a3 a2 a1 a", false),
        (Scan::prefix("d"), "", false),
        (Scan::prefix([0xff, 0xff]), "", false),
    ];
    each(|stack, store| {
        assert_eq!(keys(store, &Scan::all()), (String::new(), false));
        let rows = ["c", "a3", "a", "b", "a1", "a2"].map(|key| (key, "v"));
        put(store, NOTES, &rows);
        for (scan, expect, more) in &cases {
            let found = keys(store, scan);
            assert_eq!(
                found,
                ((*expect).to_owned(), *more),
                "{} {scan:?}",
                stack.name
            );
        }
    });
}

#[test]
fn pages_are_cut_by_bytes_and_lead_to_every_row() {
    each(|stack, store| {
        let mut batch = Batch::new();
        for key in 0..5_u8 {
            batch.put(NOTES, [0xff, key], vec![key; PAGE_BYTES_MAX / 2 - 64]);
        }
        store.commit(batch, Durability::Durable).unwrap();
        let mut scan = Scan::prefix([0xff]);
        let mut sizes = Vec::new();
        loop {
            let page = store.scan(NOTES, &scan).unwrap();
            sizes.push(page.items.len());
            scan.after = page.items.last().map(|item| item.key.clone());
            if !page.more {
                break;
            }
        }
        assert_eq!(sizes, [2, 2, 1], "{}", stack.name);
    });
}

#[test]
fn durable_rows_are_there_after_close_and_open() {
    for stack in stacks() {
        let store = (stack.open)();
        put(store.as_ref(), NOTES, &[("a", "1")]);
        store.close().unwrap();
        drop(store);
        let again = (stack.open)();
        let found = again.get(NOTES, b"a").unwrap();
        assert_eq!(found.as_deref(), Some(&b"1"[..]), "{}", stack.name);
        again.close().unwrap();
    }
}

#[test]
fn relaxed_rows_are_visible_at_once() {
    each(|stack, store| {
        let mut batch = Batch::new();
        batch.put(NOTES, "a", "1");
        store.commit(batch, Durability::Relaxed).unwrap();
        assert_eq!(
            store.get(NOTES, b"a").unwrap().unwrap(),
            b"1",
            "{}",
            stack.name
        );
    });
}

#[test]
fn what_is_too_large_is_refused_and_changes_nothing() {
    each(|stack, store| {
        let mut long_key = Batch::new();
        long_key.put(NOTES, "a", "1");
        long_key.put(NOTES, vec![0; KEY_BYTES_MAX + 1], "1");
        let mut long_value = Batch::new();
        long_value.put(NOTES, "a", vec![0; VALUE_BYTES_MAX + 1]);
        let mut long_batch = Batch::new();
        for key in 0..=u8::try_from(BATCH_BYTES_MAX / VALUE_BYTES_MAX).unwrap() {
            long_batch.put(NOTES, [key], vec![0; VALUE_BYTES_MAX - 64]);
        }
        for batch in [long_key, long_value, long_batch] {
            let refused = store.commit(batch, Durability::Durable);
            assert!(
                matches!(refused, Err(KvError::TooLarge { .. })),
                "{}",
                stack.name
            );
        }
        assert_eq!(store.get(NOTES, b"a").unwrap(), None, "{}", stack.name);
        put(store, NOTES, &[("a", "1")]);
    });
}

#[test]
fn a_closed_store_serves_nothing_and_closes_again() {
    each(|stack, store| {
        assert_eq!(store.health(), Health::Writable, "{}", stack.name);
        store.close().unwrap();
        store.close().unwrap();
        assert_eq!(store.health(), Health::Closed, "{}", stack.name);
        let refused = [
            store.commit(Batch::new(), Durability::Durable).err(),
            store.get(NOTES, b"a").err(),
            store.get_many(NOTES, &[]).err(),
            store.scan(NOTES, &Scan::all()).err(),
            store.verify(&[NOTES]).err(),
            store.stats().err(),
        ];
        for error in refused {
            assert!(
                matches!(error, Some(KvError::Closed)),
                "{} {error:?}",
                stack.name
            );
        }
    });
}

#[test]
fn stats_and_verify_count_the_rows() {
    each(|stack, store| {
        put(store, NOTES, &[("a", "1"), ("b", "2")]);
        put(store, INDEX, &[("c", "3")]);
        let stats = store.stats().unwrap();
        assert_eq!(stats.rows["notes"], 2, "{}", stack.name);
        assert_eq!(stats.rows["index"], 1, "{}", stack.name);
        assert!(stats.bytes > 0, "{}", stack.name);
        let found = store.verify(&[NOTES, INDEX]).unwrap();
        assert_eq!((found.rows, found.damaged.len()), (3, 0), "{}", stack.name);
    });
}
