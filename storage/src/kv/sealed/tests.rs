//! Tests of sealed values: flips and swaps are seen.

use super::*;
use crate::kv::disk::DiskStore;
use crate::kv::faulty::FaultyDisk;
use crate::kv::memory::MemoryStore;

const SPACE: Keyspace = Keyspace("rows");
const OTHER: Keyspace = Keyspace("other");

fn master(byte: u8) -> MasterKey {
    MasterKey::from_bytes(Zeroizing::new([byte; 32]))
}

fn put(store: &dyn Kv, keyspace: Keyspace, key: &[u8], value: &[u8]) {
    let mut batch = Batch::new();
    batch.put(keyspace, key, value);
    store.commit(batch, Durability::Durable).unwrap();
}

fn pair() -> (Arc<MemoryStore>, Sealed) {
    let inner = Arc::new(MemoryStore::new());
    let sealed = Sealed::new(Arc::<MemoryStore>::clone(&inner), &master(1));
    put(&sealed, SPACE, b"a", b"secret of a");
    put(&sealed, SPACE, b"b", b"secret of b");
    (inner, sealed)
}

#[test]
fn the_store_beneath_sees_no_plain_value() {
    let (inner, _sealed) = pair();
    let raw = inner.get(SPACE, b"a").unwrap().unwrap();
    assert!(!raw.windows(6).any(|window| window == b"secret"));
}

#[test]
fn a_row_put_elsewhere_is_corrupt() {
    let (inner, sealed) = pair();
    let raw = inner.get(SPACE, b"a").unwrap().unwrap();
    put(inner.as_ref(), SPACE, b"b", &raw);
    put(inner.as_ref(), OTHER, b"a", &raw);
    let error = sealed.get(SPACE, b"b").unwrap_err();
    assert_eq!(error.to_string(), "row is corrupt: keyspace rows, key 62");
    assert!(matches!(
        sealed.get(OTHER, b"a"),
        Err(KvError::Corrupt { .. })
    ));
    assert!(matches!(
        sealed.scan(SPACE, &Scan::all()),
        Err(KvError::Corrupt { .. })
    ));
    let keys = [b"b".to_vec()];
    assert!(matches!(
        sealed.get_many(SPACE, &keys),
        Err(KvError::Corrupt { .. })
    ));
    let damaged = sealed.verify(&[SPACE, OTHER]).unwrap().damaged;
    let damaged: Vec<_> = damaged
        .into_iter()
        .map(|row| (row.keyspace, row.key))
        .collect();
    assert_eq!(damaged, [(SPACE, b"b".to_vec()), (OTHER, b"a".to_vec())]);
}

#[test]
fn another_master_key_opens_nothing() {
    let (inner, _sealed) = pair();
    let stranger = Sealed::new(inner, &master(2));
    assert!(matches!(
        stranger.get(SPACE, b"a"),
        Err(KvError::Corrupt { .. })
    ));
}

/// Any flipped bit of the file either leaves the value as written or is reported.
#[test]
fn no_flipped_bit_on_disk_gives_a_wrong_value() {
    let disk = FaultyDisk::new(1);
    let open = |disk: FaultyDisk| -> Result<Sealed, KvError> {
        let store = DiskStore::with_medium(disk)?;
        Ok(Sealed::new(Arc::new(store), &master(1)))
    };
    let store = open(disk.clone()).unwrap();
    for n in 0..20_u8 {
        put(&store, SPACE, &[n], &[n; 900]);
    }
    store.close().unwrap();
    let mut random = crate::kv::faulty::SplitMix(5);
    let mut reported = 0;
    for _ in 0..150 {
        let byte = usize::try_from(random.below(128 * 1024)).unwrap();
        let bit = u8::try_from(random.below(8)).unwrap();
        // A copy, because opening and closing write to the disk.
        let flipped = disk.copy();
        flipped.flip_bit(byte, bit);
        if let Ok(store) = open(flipped) {
            for n in 0..20_u8 {
                match store.get(SPACE, &[n]) {
                    Ok(Some(value)) => assert_eq!(value, vec![n; 900], "byte {byte} bit {bit}"),
                    Ok(None) | Err(_) => reported += 1,
                }
            }
        } else {
            reported += 1;
        }
    }
    assert!(reported > 0, "no flip hit a row");
}

#[test]
fn opaque_keys_are_stable_and_depend_on_entity_and_master() {
    let key = OpaqueKey::new(&master(1));
    assert_eq!(key.opaque(b"person"), key.opaque(b"person"));
    assert_ne!(key.opaque(b"person"), key.opaque(b"persom"));
    assert_ne!(
        key.opaque(b"person"),
        OpaqueKey::new(&master(2)).opaque(b"person")
    );
}
