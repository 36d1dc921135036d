//! A ledger that someone changed on the disk of a real node, who may have the device's key too.
//!
//! The rows are changed in the store file itself, while the node is stopped, with the keys from
//! its folder. Each case begins from a copy of the whole folder.

use crate::couple::Couple;
use crate::http::{Http, text};
use brain_tests::{Node, eventually};
use crdt::codec::Canonical as _;
use crdt::id::PersonId;
use crdt::identity::DeviceKey;
use crdt::ledger::{Entry, Tree};
use node::config::Unlock;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use storage::kv::sealed::{OpaqueKey, Sealed};
use storage::kv::{Batch, Durability, Keyspace, Kv as _};

const LEDGER: Keyspace = Keyspace("ledger");
const TREE: Keyspace = Keyspace("tree");
const LINE: Keyspace = Keyspace("line");
const ECHO: Keyspace = Keyspace("echo");
const META: Keyspace = Keyspace("meta");
const HEAD: &[u8] = b"ledger tree";
const WHOLE: &[u8] = b"second-brain 2026 v1 whole ledger";
const MEMORIES: u64 = 6;

/// What is found, from which entry on, and what was done to the rows.
type Case = (&'static str, u64, fn(&Rows));
/// What is found, from which entry on, and what was done to the entries.
type Forgery = (&'static str, u64, fn(&mut Vec<Entry>));

/// The open store of a stopped node.
struct Rows {
    kv: Sealed,
    opaque: OpaqueKey,
    device: DeviceKey,
}

impl Rows {
    fn open(home: &Path) -> Self {
        let identity =
            node::identity::open(home, &Unlock::default()).expect("the test's own folder");
        let disk = brain_tests::disk_of(home);
        Self {
            kv: Sealed::new(Arc::new(disk), identity.vault.keyring().master()),
            opaque: OpaqueKey::new(identity.vault.keyring().master()),
            device: identity.owner.device,
        }
    }
    fn row(&self, number: u64) -> Vec<u8> {
        let row = self.kv.get(LEDGER, &number.to_be_bytes());
        row.expect("the store reads").expect("there is such a row")
    }
    fn change(&self, change: impl FnOnce(&mut Batch)) {
        let mut batch = Batch::new();
        change(&mut batch);
        let done = self.kv.commit(batch, Durability::Durable);
        done.expect("the store writes");
    }
    fn put(&self, number: u64, row: Vec<u8>) {
        self.change(|batch| batch.put(LEDGER, number.to_be_bytes(), row));
    }
    fn entries(&self) -> Vec<Entry> {
        let all = (1..).map_while(|number: u64| {
            self.kv
                .get(LEDGER, &number.to_be_bytes())
                .expect("the store reads")
        });
        all.map(|row| Entry::from_bytes(&row).expect("an entry"))
            .collect()
    }
    /// Writes another ledger with everything that follows from it, signs it with the device's
    /// key, and takes away what peers showed: all that someone at this machine can do.
    fn forge(&self, change: impl FnOnce(&mut Vec<Entry>)) {
        let mut entries = self.entries();
        change(&mut entries);
        let mut all = Tree::default();
        let mut lines: BTreeMap<PersonId, Tree> = BTreeMap::new();
        self.change(|batch| {
            for keyspace in [LEDGER, TREE, LINE, ECHO] {
                batch.delete_all(keyspace);
            }
            for (number, entry) in (1_u64..).zip(&mut entries) {
                entry.number = number;
                let row = entry.to_bytes();
                self.put_subtrees(WHOLE, all.push(&row), batch);
                batch.put(LEDGER, number.to_be_bytes(), row);
                let line = lines.entry(entry.person).or_default();
                let place = line.size() + 1;
                let subtrees = line.push(&entry.in_line(place).to_bytes());
                self.put_subtrees(entry.person.as_bytes(), subtrees, batch);
                let person = self.opaque.opaque(entry.person.as_bytes());
                let row = [person.as_slice(), &place.to_be_bytes()].concat();
                batch.put(LINE, row, number.to_be_bytes());
            }
            for (person, line) in &lines {
                batch.put(LINE, self.opaque.opaque(person.as_bytes()), line.to_bytes());
            }
            batch.put(META, HEAD, all.sign(&self.device).to_bytes());
        });
    }
    fn put_subtrees(&self, tree: &[u8], all: Vec<crdt::ledger::tree::Subtree>, batch: &mut Batch) {
        for (level, index, hash) in all {
            let name = self.opaque.opaque(tree);
            let row = [name.as_slice(), &[level], &index.to_be_bytes()].concat();
            batch.put(TREE, row, hash.0);
        }
    }
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a folder can be made");
    let mode = std::fs::metadata(from).expect("it is there").permissions();
    std::fs::set_permissions(to, mode).expect("it is ours");
    for item in std::fs::read_dir(from).expect("a folder") {
        let item = item.expect("it can be listed");
        let (path, target) = (item.path(), to.join(item.file_name()));
        let kind = item.file_type().expect("it has one");
        if kind.is_dir() {
            copy(&path, &target);
        } else if kind.is_file() {
            std::fs::copy(&path, &target).expect("a file can be copied");
        }
    }
}

fn put_back(ana: &mut Node, backup: &Path, change: impl FnOnce(&Rows)) {
    ana.stop();
    std::fs::remove_dir_all(ana.home()).expect("it is the test's own");
    copy(backup, &ana.home());
    let rows = Rows::open(&ana.home());
    change(&rows);
    rows.kv.close().expect("the store closes");
    drop(rows);
    ana.start_again();
}

fn verdict(node: &Node) -> Value {
    let output = node.brainctl(["ledger", "verify", "--json"]);
    let verdict = output.json();
    assert_eq!(output.code == 0, verdict["ok"] == true, "{verdict:#}");
    verdict
}

fn is_witnessed(ana: &Node, entries: u64) {
    eventually("bob has seen it all", || {
        let verdict = verdict(ana);
        let witnesses = verdict["witnesses"].as_array()?;
        let saw = |witness: &Value| witness["who"] == "bob" && witness["entries"] == entries;
        witnesses.iter().any(saw).then_some(())
    });
}

fn found_out(couple: &Couple, fault: &str, first: u64) {
    let seen = eventually("the next session finds it out", || {
        couple.ana.brainctl(["sync", "now"]);
        let verdict = verdict(&couple.ana);
        (verdict["ok"] == false).then_some(verdict)
    });
    assert_eq!(seen["fault"], fault, "{seen:#}");
    assert_eq!(seen["first_bad"], first, "{seen:#}");
    assert!(text(&seen, "reason").contains("bob"), "{seen:#}");
    let status = couple.ana.json(["status"]);
    assert!(status["needs_you"].to_string().contains("bob witnessed"));
}

#[test]
fn every_way_of_changing_a_ledger_on_the_disk_is_found_out() {
    let mut couple = Couple::start();
    couple.share("shared");
    for number in 0..MEMORIES {
        Http::of(&couple.ana).add(&format!("memory {number}"), "shared");
        couple.prove();
    }
    is_witnessed(&couple.ana, MEMORIES);
    couple.ana.stop();
    let backup = couple.ana.folder().join("backup");
    copy(&couple.ana.home(), &backup);
    couple.ana.start_again();

    // Whoever has the disk, and the keys of the store, but signs nothing.
    let unsigned: [Case; 5] = [
        ("unsigned", 2, |rows| {
            let mut row = rows.row(2);
            row[9] ^= 1; // The time.
            rows.put(2, row);
        }),
        ("misplaced", 3, |rows| {
            rows.change(|batch| batch.delete(LEDGER, 3_u64.to_be_bytes()));
        }),
        ("unsigned", 2, |rows| {
            let (mut two, mut four) = (rows.row(2), rows.row(4));
            (two[0], four[0]) = (4, 2);
            rows.put(2, four);
            rows.put(4, two);
        }),
        ("unsigned", MEMORIES, |rows| {
            rows.change(|batch| batch.delete(LEDGER, MEMORIES.to_be_bytes()));
        }),
        ("derived", 1, |rows| {
            rows.change(|batch| {
                batch.delete_all(LINE);
            });
        }),
    ];
    for (fault, first, change) in unsigned {
        put_back(&mut couple.ana, &backup, change);
        let verdict = verdict(&couple.ana);
        assert_eq!(verdict["fault"], fault, "{verdict:#}");
        assert_eq!(verdict["first_bad"], first, "{verdict:#}");
    }

    // Whoever has the device's key too: only bob can tell.
    let signed: [Forgery; 4] = [
        ("rewritten", 1, |entries| entries[3].bytes += 1),
        ("rewritten", 1, |entries| entries.swap(1, 2)),
        ("cut", MEMORIES, |entries| drop(entries.remove(2))),
        ("cut", 3, |entries| entries.truncate(2)),
    ];
    for (fault, first, change) in signed {
        put_back(&mut couple.ana, &backup, |rows| rows.forge(change));
        found_out(&couple, fault, first);
        eventually("bob sees it too", || {
            let status = couple.bob.json(["status"]);
            let needs = status["needs_you"].to_string();
            needs.contains("the ledger of ana").then_some(())
        });
    }

    // Nobody forged anything: the backup of the whole folder is put back, after more had left.
    put_back(&mut couple.ana, &backup, |_| {});
    Http::of(&couple.ana).add("after the backup", "shared");
    couple.prove();
    is_witnessed(&couple.ana, MEMORIES + 1);
    put_back(&mut couple.ana, &backup, |_| {});
    found_out(&couple, "older", MEMORIES + 1);
}
