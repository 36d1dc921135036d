//! What peers witnessed shows what the disk and the device key together can hide.

use super::ledger::disclosed;
use super::*;
use crate::layout::meta;
use crate::ledger::{Entry, Fault, FaultKind, Tree, Witnessed};
use crdt::codec::Canonical as _;

const ALL_ENTRIES: usize = 1_000;

type Rows = Vec<(Keyspace, Vec<u8>, Vec<u8>)>;

impl Bench {
    fn peer(&self) -> (PersonId, crdt::id::DeviceId) {
        let owner = self.owner();
        (owner.certificate.person, owner.device.id())
    }
    /// Discloses one more memory under a grant.
    fn disclose_one(&self, other: &Self, grant: GrantId) {
        let memory = self.keep(|content| {
            content.tags.insert("t".to_owned());
        });
        self.disclose(other, grant, memory);
    }
    /// Replaces the whole ledger, with everything that is derived from it and signed with the
    /// key of the device: what someone can do who has both the disk and the key.
    fn forge(&self, mut entries: Vec<Entry>) {
        let opaque = OpaqueKey::new(&self.master);
        let mut batch = Batch::new();
        for keyspace in [layout::LEDGER, layout::TREE, layout::LINE] {
            batch.delete_all(keyspace);
        }
        let mut all = Tree::default();
        let mut lines: BTreeMap<PersonId, Tree> = BTreeMap::new();
        let put = |name: &[u8], nodes: Vec<(u8, u64, crdt::hash::Hash)>, batch: &mut Batch| {
            for (level, index, hash) in nodes {
                let row = layout::subtree(&opaque.opaque(name), level, index);
                batch.put(layout::TREE, row, hash.0.to_vec());
            }
        };
        for (number, entry) in (1..).zip(&mut entries) {
            entry.number = number;
            let nodes = all.push(&entry.to_bytes());
            put(layout::TREE_OF_ALL, nodes, &mut batch);
            batch.put(layout::LEDGER, ordered(number), entry.to_bytes());
            let line = lines.entry(entry.person).or_default();
            let in_line = line.size() + 1;
            let nodes = line.push(&entry.in_line(in_line).to_bytes());
            put(entry.person.as_bytes(), nodes, &mut batch);
            let person = opaque.opaque(entry.person.as_bytes());
            let row = [person.as_slice(), &ordered(in_line)].concat();
            batch.put(layout::LINE, row, ordered(number).to_vec());
        }
        for (person, line) in &lines {
            let row = opaque.opaque(person.as_bytes());
            batch.put(layout::LINE, row, line.to_bytes());
        }
        let signed = all.sign(&self.owner().device).to_bytes();
        batch.put(layout::META, meta::LEDGER_TREE, signed);
        self.kv.commit(batch, Durability::Durable).unwrap();
    }
    fn entries(&self) -> Vec<Entry> {
        self.store().ledger(0, ALL_ENTRIES).unwrap()
    }
    /// Copies every row of the store, as a backup of the folder does.
    fn back_up(&self) -> Rows {
        let mut rows = Vec::new();
        for keyspace in layout::ALL {
            let mut visit = |key: &[u8], value: &[u8]| {
                rows.push((keyspace, key.to_vec(), value.to_vec()));
                Ok(true)
            };
            open::each_row(&*self.kv, keyspace, None, &mut visit).unwrap();
        }
        rows
    }
    fn restore(&mut self, rows: &Rows) {
        let mut batch = Batch::new();
        for keyspace in layout::ALL {
            batch.delete_all(keyspace);
        }
        for (keyspace, key, value) in rows {
            batch.put(*keyspace, key.clone(), value.clone());
        }
        self.kv.commit(batch, Durability::Durable).unwrap();
        self.folder = tempfile::tempdir().unwrap();
        self.reopen();
    }
    /// What the ledger shows by itself, and what it shows against its witnesses.
    fn faults(&self) -> (Option<Fault>, Option<Fault>) {
        let verdict = self.store().verify_ledger().unwrap();
        (verdict.fault, verdict.first_fault().map(|(fault, _)| fault))
    }
}

/// Has two nodes do what a session does about their ledgers; returns what the first one learns of
/// its own, and what the second one made of the first one's checkpoint.
fn meet(one: &Bench, other: &Bench) -> (Option<Fault>, Witnessed) {
    let held = other.store().held(one.peer().1).unwrap();
    let held = held.map(|held| held.checkpoint);
    let since = held.as_ref().map_or(0, |held| held.size);
    let fault = held.as_ref().and_then(|held| {
        let echo = one.store().take_echo(other.peer(), held, NOW);
        echo.unwrap()
    });
    let made = one.store().checkpoint(other.me(), since, NOW);
    let (checkpoint, proof) = made.unwrap();
    let taken = other
        .store()
        .take_checkpoint(one.peer(), &checkpoint, &proof, held.as_ref(), NOW);
    (fault, taken.unwrap())
}

/// A ledger with four entries to a witness and three, in between, to someone who witnesses
/// nothing.
fn witnessed() -> (Bench, Bench) {
    let (bench, witness) = disclosed();
    let third = Bench::new(3);
    bench.pair(&third);
    third.pair(&bench);
    let grant = bench.share(&third);
    for _ in 0..3 {
        bench.disclose_one(&third, grant);
    }
    assert_eq!(meet(&bench, &witness), (None, Witnessed::Kept));
    (bench, witness)
}

fn kind(fault: Option<Fault>) -> Option<(FaultKind, u64)> {
    fault.map(|fault| (fault.kind, fault.first))
}

#[test]
fn a_ledger_that_grows_is_witnessed_again_and_again() {
    let (bench, witness) = disclosed();
    let grant = bench.share(&witness);
    for number in 0..20 {
        assert_eq!(meet(&bench, &witness), (None, Witnessed::Kept), "{number}");
        for _ in 0..number % 4 {
            bench.disclose_one(&witness, grant);
        }
    }
    assert_eq!(meet(&bench, &witness), (None, Witnessed::Kept));
    assert_eq!(meet(&bench, &witness), (None, Witnessed::Kept));
    let verdict = bench.store().verify_ledger().unwrap();
    assert_eq!(verdict.first_fault(), None);
    let newest = verdict.witnesses.last().unwrap();
    assert_eq!(newest.echo.person, witness.me());
    assert!(newest.note.unwrap().entries > 20);
    let held = witness.store().held(bench.peer().1).unwrap().unwrap();
    assert_eq!(held.checkpoint.size, bench.entries().len() as u64);
    bench.store().rebuild(NOW).unwrap();
    assert_eq!(bench.faults(), (None, None), "a rebuild leaves it");
}

#[test]
fn a_rewrite_with_the_device_key_is_seen_by_who_was_not_concerned() {
    let (bench, witness) = witnessed();
    let mut entries = bench.entries();
    // Entry 6 went to the third person: nothing in the witness's own line changes.
    entries[5].bytes += 1;
    bench.forge(entries);
    assert_eq!(bench.faults(), (None, None), "by itself it fits");
    let (fault, taken) = meet(&bench, &witness);
    assert_eq!(kind(fault), Some((FaultKind::Rewritten, 1)));
    assert_eq!(fault.unwrap().last, Some(7));
    assert_eq!(taken, Witnessed::Kept, "their line is what it was");
    let (own, seen) = bench.faults();
    assert_eq!((own, seen), (None, fault));
    let verdict = bench.store().verify_ledger().unwrap();
    let (_, by) = verdict.first_fault().unwrap();
    assert_eq!(by.unwrap().echo.person, witness.me(), "and who says so");
}

#[test]
fn a_rewrite_is_placed_after_what_witnesses_still_vouch_for() {
    let (bench, witness) = disclosed();
    meet(&bench, &witness);
    meet(&bench, &witness);
    let grant = bench.share(&witness);
    for _ in 0..5 {
        bench.disclose_one(&witness, grant);
    }
    meet(&bench, &witness);
    let mut entries = bench.entries();
    entries[7].bytes += 1;
    bench.forge(entries);
    let (fault, taken) = meet(&bench, &witness);
    assert_eq!(
        kind(fault),
        Some((FaultKind::Rewritten, 5)),
        "4 are vouched for"
    );
    assert_eq!(taken, Witnessed::Conflict);
}

#[test]
fn entries_moved_removed_or_cut_with_the_device_key_are_seen() {
    let moved: fn(&mut Vec<Entry>) = |entries| entries.swap(4, 5);
    let removed: fn(&mut Vec<Entry>) = |entries| drop(entries.remove(5));
    let cut: fn(&mut Vec<Entry>) = |entries| entries.truncate(4);
    let gone: fn(&mut Vec<Entry>) = Vec::clear;
    let cases = [
        (moved, FaultKind::Rewritten, 1),
        (removed, FaultKind::Cut, 7),
        (cut, FaultKind::Cut, 5),
        (gone, FaultKind::Cut, 1),
    ];
    for (number, (change, expected, first)) in cases.into_iter().enumerate() {
        let (bench, witness) = witnessed();
        let mut entries = bench.entries();
        change(&mut entries);
        bench.forge(entries);
        assert_eq!(
            bench.faults(),
            (None, None),
            "case {number}: by itself it fits"
        );
        let (fault, _) = meet(&bench, &witness);
        assert_eq!(kind(fault), Some((expected, first)), "case {number}");
        assert_eq!(bench.faults(), (None, fault), "case {number}");
    }
}

#[test]
fn a_fault_stays_whatever_is_written_afterwards() {
    let (bench, witness) = witnessed();
    let mut entries = bench.entries();
    entries.truncate(6);
    bench.forge(entries);
    let (fault, _) = meet(&bench, &witness);
    let grant = bench.share(&witness);
    for _ in 0..4 {
        bench.disclose_one(&witness, grant);
    }
    meet(&bench, &witness);
    assert_eq!(bench.faults(), (None, fault), "first found, first told");
}

#[test]
fn a_restored_backup_is_called_what_it_is() {
    let (mut bench, witness) = disclosed();
    meet(&bench, &witness);
    let backup = bench.back_up();
    let grant = bench.share(&witness);
    bench.disclose_one(&witness, grant);
    assert_eq!(meet(&bench, &witness), (None, Witnessed::Kept));
    bench.restore(&backup);
    assert_eq!(bench.faults(), (None, None), "by itself it fits");
    let (fault, taken) = meet(&bench, &witness);
    assert_eq!(kind(fault), Some((FaultKind::Older, 5)));
    assert_eq!(taken, Witnessed::Conflict, "the witness sees it too");
    // Only the ledger put back, the log left: that is no backup.
    let (bench, witness) = disclosed();
    meet(&bench, &witness);
    let mut entries = bench.entries();
    entries.truncate(3);
    bench.forge(entries);
    assert_eq!(kind(meet(&bench, &witness).0), Some((FaultKind::Cut, 4)));
}

#[test]
fn a_peer_keeps_both_histories_as_evidence() {
    let (bench, witness) = disclosed();
    meet(&bench, &witness);
    let before = witness.store().held(bench.peer().1).unwrap().unwrap();
    let mut entries = bench.entries();
    entries[1].bytes += 1;
    bench.forge(entries);
    let grant = bench.share(&witness);
    bench.disclose_one(&witness, grant);
    assert_eq!(meet(&bench, &witness).1, Witnessed::Conflict);
    let held = witness.store().held(bench.peer().1).unwrap().unwrap();
    assert_eq!(held.checkpoint, before.checkpoint, "what was held stays");
    let (other, _) = held.conflict.clone().unwrap();
    assert!(held.checkpoint.is_genuine() && other.is_genuine());
    assert_eq!(other.device, held.checkpoint.device);
    assert_eq!((held.checkpoint.size, other.size), (4, 5));
    bench.disclose_one(&witness, grant);
    meet(&bench, &witness);
    let again = witness.store().held(bench.peer().1).unwrap().unwrap();
    assert_eq!(again.conflict, held.conflict, "the first evidence stays");
    assert_eq!(witness.store().all_held().unwrap(), [again]);
}

#[test]
fn checkpoints_of_others_and_forged_ones_count_for_nothing() {
    let (bench, witness) = disclosed();
    let third = Bench::new(3);
    let (checkpoint, proof) = bench.store().checkpoint(witness.me(), 0, NOW).unwrap();
    let foreign = [
        (third.peer(), checkpoint.clone()),
        ((bench.me(), third.peer().1), checkpoint.clone()),
        (
            bench.peer(),
            bench.store().checkpoint(third.me(), 0, NOW).unwrap().0,
        ),
        (bench.peer(), {
            let mut bent = checkpoint.clone();
            bent.size += 1;
            bent
        }),
    ];
    for (peer, checkpoint) in foreign {
        let taken = witness
            .store()
            .take_checkpoint(peer, &checkpoint, &proof, None, NOW);
        assert_eq!(taken.unwrap(), Witnessed::Foreign);
    }
    assert_eq!(witness.store().all_held().unwrap(), []);
    // And a peer cannot make up what it saw.
    let mut bent = checkpoint;
    bent.size += 1;
    let fault = bench.store().take_echo(witness.peer(), &bent, NOW);
    assert_eq!(fault.unwrap(), None);
    assert!(bench.store().witnesses().unwrap().is_empty());
}

#[test]
fn a_witness_sees_the_entries_to_it_and_no_others() {
    let (bench, witness) = witnessed();
    let held = witness.store().held(bench.peer().1).unwrap().unwrap();
    assert_eq!(held.checkpoint.size, 4, "of seven entries");
    let bytes = held.checkpoint.to_bytes();
    let (before, _) = bench.store().checkpoint(witness.me(), 4, NOW).unwrap();
    assert_eq!(bytes.len(), before.to_bytes().len());
    assert_eq!(witness.owner().device.id(), witness.peer().1);
    assert_eq!(held.checkpoint.note(&witness.owner().device), None);
    let note = held.checkpoint.note(&bench.owner().device).unwrap();
    assert_eq!(note.entries, 7);
}

#[test]
fn a_proof_for_what_is_not_held_any_more_says_nothing() {
    let (bench, witness) = witnessed();
    let shown = witness.store().held(bench.peer().1).unwrap().unwrap();
    let since = shown.checkpoint.size;
    let (checkpoint, proof) = bench.store().checkpoint(witness.me(), since, NOW).unwrap();
    let take = |shown| {
        let store = witness.store();
        store.take_checkpoint(bench.peer(), &checkpoint, &proof, shown, NOW)
    };
    assert_eq!(take(None).unwrap(), Witnessed::Outdated);
    let held = witness.store().held(bench.peer().1).unwrap().unwrap();
    assert_eq!(held, shown, "and nothing was noted");
    assert_eq!(take(Some(&shown.checkpoint)).unwrap(), Witnessed::Kept);
    // The same once more: its proof begins at what was held before.
    assert_eq!(take(Some(&checkpoint)).unwrap(), Witnessed::Kept);
}
