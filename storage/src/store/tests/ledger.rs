//! The ledger notices every way of changing it on the disk.

use super::*;
use crate::layout::meta;
use crate::ledger::SignedTree;
use crdt::codec::Canonical as _;

/// A store that disclosed four memories.
pub(super) fn disclosed() -> (Bench, Bench) {
    let (bench, other) = (Bench::new(1), Bench::new(2));
    bench.pair(&other);
    other.pair(&bench);
    let grant = bench.share(&other);
    for number in 1..=4 {
        let memory = bench.keep(|content| {
            content.tags.insert("t".to_owned());
        });
        assert_eq!(bench.disclose(&other, grant, memory), number);
    }
    (bench, other)
}

impl Bench {
    fn row(&self, number: u64) -> Vec<u8> {
        let row = self.kv.get(layout::LEDGER, &ordered(number)).unwrap();
        row.unwrap()
    }
    fn tamper(&self, change: impl FnOnce(&mut Batch)) {
        let mut batch = Batch::new();
        change(&mut batch);
        self.kv.commit(batch, Durability::Durable).unwrap();
    }
    fn fault(&self) -> Option<u64> {
        let verdict = self.store().verify_ledger().unwrap();
        verdict.fault.map(|fault| fault.first)
    }
}

#[test]
fn an_untouched_ledger_fits_its_head() {
    let (mut bench, _other) = disclosed();
    let verdict = bench.store().verify_ledger().unwrap();
    assert_eq!((verdict.entries, verdict.fault), (4, None));
    bench.store().rebuild(NOW).unwrap();
    bench.reopen();
    assert_eq!(bench.fault(), None);
    let entries = bench.store().ledger(1, 2).unwrap();
    let numbers: Vec<u64> = entries.iter().map(|entry| entry.number).collect();
    assert_eq!(numbers, [2, 3]);
    assert_eq!(Bench::new(3).fault(), None, "an empty ledger is whole");
}

#[test]
fn a_changed_entry_is_noticed() {
    let (bench, _other) = disclosed();
    let mut row = bench.row(2);
    row[9] ^= 1; // The time.
    bench.tamper(|batch| batch.put(layout::LEDGER, ordered(2), row));
    assert!(bench.fault().is_some());
}

#[test]
fn a_removed_entry_is_noticed() {
    let (bench, _other) = disclosed();
    bench.tamper(|batch| batch.delete(layout::LEDGER, ordered(2)));
    assert_eq!(bench.fault(), Some(2));
}

#[test]
fn swapped_entries_are_noticed_even_with_their_numbers_mended() {
    let (bench, _other) = disclosed();
    let (mut two, mut three) = (bench.row(2), bench.row(3));
    (two[0], three[0]) = (3, 2);
    bench.tamper(|batch| {
        batch.put(layout::LEDGER, ordered(2), three);
        batch.put(layout::LEDGER, ordered(3), two);
    });
    assert!(bench.fault().is_some());
}

#[test]
fn a_ledger_cut_short_is_noticed() {
    let (bench, _other) = disclosed();
    bench.tamper(|batch| batch.delete(layout::LEDGER, ordered(4)));
    assert_eq!(bench.fault(), Some(4));
    bench.tamper(|batch| batch.delete(layout::META, meta::LEDGER_TREE));
    assert!(bench.fault().is_some(), "a missing head is a fault too");
}

#[test]
fn an_entry_added_by_hand_is_noticed() {
    let (bench, _other) = disclosed();
    let mut row = bench.row(4);
    row[0] = 5;
    bench.tamper(|batch| batch.put(layout::LEDGER, ordered(5), row));
    assert!(bench.fault().is_some());
}

#[test]
fn a_head_signed_by_another_device_is_noticed() {
    let (bench, other) = disclosed();
    let head = bench.kv.get(layout::META, meta::LEDGER_TREE).unwrap();
    let head: SignedTree = decode(layout::META.0, &head.unwrap()).unwrap();
    let forged = head.tree.sign(&other.owner().device).to_bytes();
    bench.tamper(|batch| batch.put(layout::META, meta::LEDGER_TREE, forged));
    assert!(bench.fault().is_some());
}

#[test]
fn a_ledger_that_grows_while_it_is_verified_is_whole() {
    let (bench, other) = (Bench::new(1), Bench::new(2));
    bench.pair(&other);
    other.pair(&bench);
    let grant = bench.share(&other);
    std::thread::scope(|scope| {
        let discloser = scope.spawn(|| {
            for _ in 0..200 {
                let memory = bench.keep(|content| {
                    content.tags.insert("t".to_owned());
                });
                bench.disclose(&other, grant, memory);
            }
        });
        while !discloser.is_finished() {
            assert_eq!(bench.store().verify_ledger().unwrap().fault, None);
        }
    });
    let verdict = bench.store().verify_ledger().unwrap();
    assert_eq!((verdict.entries, verdict.fault), (200, None));
}
