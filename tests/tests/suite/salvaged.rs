//! The store file of a stopped node is damaged where its log lies: the node refuses and names the
//! command, the command takes over what is whole, and what is lost comes back from whoever has it.

use crate::couple::Couple;
use crate::damaged::starts;
use crate::http::text;
use brain_tests::{Node, eventually};
use std::collections::BTreeSet;
use std::fs;
use std::sync::Arc;
use storage::kv::disk::DiskStore;
use storage::kv::{Item, Keyspace, Kv as _, Scan};

/// Memories that are shared.
const SHARED: usize = 60;

fn rows(kv: &Arc<DiskStore>, keyspace: Keyspace) -> Vec<Item> {
    let mut scan = Scan::all();
    let mut items = Vec::new();
    loop {
        let page = kv.scan(keyspace, &scan).expect("rows read");
        items.extend(page.items);
        match items.last() {
            Some(last) if page.more => scan.after = Some(last.key.clone()),
            _ => return items,
        }
    }
}

/// Alters one byte in every copy of some entries of the log; returns how many entries.
fn alter(node: &Node, is_it: impl Fn(u64, bool) -> bool) -> usize {
    let path = node.home().join("store.redb");
    let disk = Arc::new(brain_tests::disk_of(&node.home()));
    let consent: BTreeSet<Vec<u8>> = rows(&disk, Keyspace("consent"))
        .into_iter()
        .map(|item| item.key)
        .collect();
    let log = rows(&disk, Keyspace("log"));
    disk.close().expect("closed");
    let mut bytes = fs::read(&path).expect("a store");
    let mut count = 0;
    for (place, item) in (1..).zip(&log) {
        if !is_it(place, consent.contains(&item.key)) {
            continue;
        }
        let probe = &item.value[..48];
        let mut at = 0;
        while let Some(found) = bytes[at..].windows(48).position(|part| part == probe) {
            bytes[at + found + 30] ^= 1;
            at += found + 1;
        }
        count += 1;
    }
    fs::write(&path, bytes).expect("the store is ours");
    count
}

/// Alters the last entry of the log that is about consent.
fn lose_last_consent(node: &Node) {
    let last = std::cell::Cell::new(0);
    alter(node, |place, is_consent| {
        if is_consent {
            last.set(place);
        }
        false
    });
    assert_eq!(alter(node, |place, _| place == last.get()), 1);
}

/// Checks that the node refuses and names the command, runs it, and returns what it said.
fn salvage(node: &mut Node) -> String {
    let said = starts(node).expect_err("a damaged store is refused");
    assert!(said.contains("store file is damaged"), "{said}");
    assert!(said.contains("brain-node salvage"), "{said}");
    let done = node.command("brain-node").arg("salvage").output();
    let done = done.expect("brain-node can be started");
    let said = String::from_utf8_lossy(&done.stdout).into_owned();
    let errors = String::from_utf8_lossy(&done.stderr).into_owned();
    assert!(done.status.success(), "{said}{errors}");
    assert!(node.home().join("store.redb.damaged-1").exists(), "{said}");
    said
}

/// Two nodes that share memories and agree.
fn agreeing() -> Couple {
    let couple = Couple::start();
    couple.share("walks");
    for number in 0..SHARED {
        let body = format!("a walk along the harbour {number}, {}", "far ".repeat(60));
        couple.ana.json(["add", &body, "--tag", "walks"]);
    }
    couple.ana.json(["add", "mine alone"]);
    couple.prove();
    couple
}

fn titles(node: &Node) -> BTreeSet<String> {
    let listed = node.json(["ls", "--all"]);
    let items = listed["items"].as_array().expect("a page has items");
    items
        .iter()
        .map(|item| format!("{} {}", text(item, "id"), text(item, "title")))
        .collect()
}

fn verify(node: &Node) -> (i32, String) {
    let said = node.brainctl(["node", "verify"]);
    (said.code, said.stdout)
}

#[test]
fn what_a_grantee_lost_comes_back_from_the_owner() {
    let mut couple = agreeing();
    let before = titles(&couple.bob);
    couple.ana.stop();
    couple.bob.stop();
    let count = alter(&couple.bob, |place, is_consent| {
        place % 7 == 0 && !is_consent
    });
    assert!(count > 3);
    let said = salvage(&mut couple.bob);
    assert!(said.contains(&format!("{count} lost")), "{said}");
    assert!(!said.contains("consent"), "{said}");
    couple.bob.start_again();
    // Nobody is there who has it: it is named.
    let (code, said) = verify(&couple.bob);
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("lost with a damaged store"), "{said}");
    assert_ne!(titles(&couple.bob), before);
    couple.ana.start_again();
    couple.prove();
    assert_eq!(titles(&couple.bob), before);
    let (code, said) = verify(&couple.bob);
    assert_eq!(code, 0, "{said}");
}

#[test]
fn what_an_owner_lost_comes_back_from_a_grantee_and_the_rest_is_named() {
    let mut couple = agreeing();
    let before = titles(&couple.ana);
    couple.ana.stop();
    let head = {
        let disk = Arc::new(brain_tests::disk_of(&couple.ana.home()));
        let head = rows(&disk, Keyspace("log")).len();
        disk.close().expect("closed");
        u64::try_from(head).expect("a count")
    };
    // The last memory entry is the one that was never given to anybody.
    let is_last = std::cell::Cell::new(0);
    alter(&couple.ana, |place, is_consent| {
        if !is_consent {
            is_last.set(place);
        }
        false
    });
    assert!(is_last.get() > 0 && is_last.get() <= head);
    let alone = is_last.get();
    alter(&couple.ana, |place, is_consent| {
        !is_consent && (place % 9 == 0 || place == alone)
    });
    salvage(&mut couple.ana);
    couple.ana.start_again();
    couple.prove();
    let missing: BTreeSet<String> = before.difference(&titles(&couple.ana)).cloned().collect();
    assert_eq!(missing.len(), 1, "{missing:?}");
    let (code, said) = verify(&couple.ana);
    assert_eq!(code, 1, "{said}");
    let lines = said.matches("lost with a damaged store").count();
    assert_eq!(lines, 1, "{said}");
    let id = missing.iter().next().and_then(|one| one.get(..12));
    assert!(said.contains(id.expect("an id")), "{said}");
}

#[test]
fn a_lost_revocation_comes_back_and_the_grant_is_over() {
    let mut couple = agreeing();
    couple.ana.brainctl(["revoke", "bob", "--yes"]).ok();
    let ended = |node: &Node| {
        let grants = node.json(["share", "ls"]).to_string();
        grants.contains("revoked").then_some(())
    };
    eventually("bob knows", || ended(&couple.bob));
    couple.ana.stop();
    couple.bob.stop();
    // The revocation is the last consent between the two.
    lose_last_consent(&couple.ana);
    let said = salvage(&mut couple.ana);
    assert!(said.contains("nothing leaves this node"), "{said}");
    couple.ana.start_again();
    let (code, said) = verify(&couple.ana);
    assert_eq!(code, 1);
    assert!(said.contains("brain-node salvage --resume"), "{said}");
    let status = couple.ana.brainctl(["status"]).stdout;
    assert!(status.contains("nothing leaves this node"), "{status}");
    let added = couple.ana.json(["add", "after the end", "--tag", "walks"]);
    let id = text(&added, "id");
    // Bob has it and gives it back; then the grant is over here too.
    couple.bob.start_again();
    eventually("the revocation is back", || ended(&couple.ana));
    eventually("nothing is missing", || {
        (verify(&couple.ana).0 == 0).then_some(())
    });
    assert!(titles(&couple.bob).iter().all(|one| !one.starts_with(&id)));
}

#[test]
fn a_lost_revocation_that_nobody_else_has_lets_nothing_leave() {
    let mut couple = agreeing();
    couple.bob.stop();
    couple.ana.brainctl(["revoke", "bob", "--yes"]).ok();
    couple.ana.stop();
    lose_last_consent(&couple.ana);
    salvage(&mut couple.ana);
    couple.ana.start_again();
    let added = couple.ana.json(["add", "after the end", "--tag", "walks"]);
    couple.bob.start_again();
    // It takes in all the same: once it has what Bob writes, Bob had the time to take, too.
    let shared = couple.bob.json(["ls", "--all"]);
    let shared = text(&shared["items"][0], "id");
    couple
        .bob
        .brainctl(["edit", &shared, "--title", "from bob"])
        .ok();
    eventually("ana has bob's change", || {
        let all = titles(&couple.ana);
        all.iter()
            .any(|one| one.ends_with("from bob"))
            .then_some(())
    });
    let id = text(&added, "id");
    assert!(titles(&couple.bob).iter().all(|one| !one.starts_with(&id)));
}

#[test]
fn a_halted_node_never_proves_that_it_is_equal_until_a_person_lets_it_go_on() {
    let mut couple = agreeing();
    couple.bob.stop();
    // Nobody else has this offer, so it cannot come back.
    couple
        .ana
        .brainctl(["share", "tag:ships", "--with", "bob", "--yes"])
        .ok();
    couple.ana.stop();
    lose_last_consent(&couple.ana);
    salvage(&mut couple.ana);
    couple.ana.start_again();
    couple.bob.start_again();
    couple.ana.json(["add", "while halted", "--tag", "walks"]);
    eventually("they speak again", || {
        let status = couple.ana.json(["sync", "status"]);
        (status.pointer("/peers/0/online")? == true).then_some(())
    });
    for (node, peer) in [(&couple.ana, "bob"), (&couple.bob, "ana")] {
        let proof = node.brainctl(["sync", "prove", peer]);
        assert_ne!(proof.code, 0, "{}", proof.stdout);
    }
    couple.ana.stop();
    let done = couple
        .ana
        .command("brain-node")
        .args(["salvage", "--resume"])
        .output();
    let done = done.expect("brain-node can be started");
    assert!(done.status.success(), "{done:?}");
    couple.ana.start_again();
    couple.prove();
    assert!(
        titles(&couple.bob)
            .iter()
            .any(|one| one.contains("while halted"))
    );
}
