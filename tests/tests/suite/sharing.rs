//! A shared view from its first byte to its end: it arrives, follows, merges, and stops.

use crate::couple::{Couple, found, has, ids, listed, notes};
use crate::http::{Http, text};
use brain_tests::{Node, eventually};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

const MANY: usize = 500;
/// A new memory of the view should be there within this.
const FRESH_MAX: Duration = Duration::from_secs(2);
/// A revocation should be durable, and told to a peer who is there, within this.
const REVOKED_MAX: Duration = Duration::from_secs(1);
/// How much slower than promised a busy machine may be.
const BUSY: u32 = 3;

#[test]
fn a_view_arrives_follows_merges_and_ends_with_its_grant() {
    let couple = Couple::start();
    let Couple { ana, bob } = &couple;
    let folder = notes(ana, "recipes", MANY);
    let folder = folder.to_str().expect("the path is text");
    let report = ana.json(["import", folder, "--tag", "shared"]);
    assert_eq!(report["new"], MANY, "{report:#}");
    let hidden = Http::of(ana).add("Letter to the bank, quetzalhidden", "private");

    let start = Instant::now();
    let grant = couple.share("shared");
    let here = ids(&listed(ana, "tag:shared"));
    eventually("all memories arrive", || {
        (ids(&listed(bob, "tag:shared")) == here).then_some(())
    });
    println!("{MANY} memories arrived in {:?}", start.elapsed());
    couple.prove();

    let one = here.first().expect("there are many");
    edits_of_both_sides_merge(&couple, one);
    let took = a_new_memory_is_there_soon(&couple);
    println!("a new memory arrived in {took:?} (at most {FRESH_MAX:?} on an idle machine)");
    couple.prove();
    let visible = ids(&listed(bob, ""));
    assert_eq!(visible, ids(&listed(ana, "tag:shared")));
    assert!(!visible.contains(&hidden) && !has(bob, &hidden));
    assert_eq!(found(bob, "quetzalhidden"), BTreeSet::new());
    the_ledger_and_the_other_side_agree(&couple, one);
    let took = nothing_follows_a_revocation(&couple, &grant, one);
    println!("revoke returned in {took:?} (at most {REVOKED_MAX:?} on an idle machine)");
    assert!(took <= REVOKED_MAX * BUSY, "{took:?}");
}

/// Both write on the same heads, so neither has seen the other's change.
fn edits_of_both_sides_merge(couple: &Couple, id: &str) {
    let (ana, bob) = (Http::of(&couple.ana), Http::of(&couple.bob));
    let before = ana.memory(id).expect("ana has it");
    eventually("bob has the same heads", || {
        (bob.memory(id)?["heads"] == before["heads"]).then_some(())
    });
    let body = text(&before, "body");
    let change = |body: String| json!({"base": before["heads"], "body": body});
    let path = format!("/v1/memories/{id}");
    let first = change(format!("Ana's first line.\n{body}"));
    let last = change(format!("{body}\nBob's last line.\n"));
    std::thread::scope(|scope| {
        scope.spawn(|| ana.ok("PATCH", &path, Some(&first)));
        bob.ok("PATCH", &path, Some(&last));
    });
    let merged = |side: &Http| {
        let body = text(&side.memory(id)?, "body");
        (body.contains("Ana's first line.") && body.contains("Bob's last line.")).then_some(body)
    };
    let at_ana = eventually("ana has both changes", || merged(&ana));
    let at_bob = eventually("bob has both changes", || merged(&bob));
    assert_eq!(at_ana, at_bob);
}

fn a_new_memory_is_there_soon(couple: &Couple) -> Duration {
    let (ana, bob) = (Http::of(&couple.ana), Http::of(&couple.bob));
    let start = Instant::now();
    let id = ana.add("Rye bread, just out of the oven", "shared");
    eventually("the new memory arrives", || bob.memory(&id));
    let took = start.elapsed();
    assert!(took <= FRESH_MAX * BUSY, "{took:?}");
    took
}

/// Everything Bob holds of Ana's has an entry, and every entry names something that Bob holds.
fn the_ledger_and_the_other_side_agree(couple: &Couple, written_by_both: &str) {
    let entries = ledger(&couple.ana);
    let of = |entry: &Value| text(entry, "memory");
    let disclosed: BTreeSet<String> = entries.iter().map(of).collect();
    assert_eq!(disclosed, ids(&listed(&couple.bob, "from:ana")));
    let left: BTreeSet<String> = entries.iter().flat_map(|e| texts(&e["events"])).collect();
    let bob = Http::of(&couple.bob);
    for id in disclosed.iter().filter(|id| *id != written_by_both) {
        let memory = bob.memory(id).expect("bob lists it");
        for head in texts(&memory["heads"]) {
            assert!(left.contains(&head), "{head} of {id} is not in the ledger");
        }
    }
    // All of the view's events came from Ana but one: Bob's edit.
    let proof = couple.ana.json(["sync", "prove", "bob"]);
    let served = proof["mine"].as_u64().expect("a number") - 1;
    assert_eq!(u64::try_from(left.len()), Ok(served));
    let verdict = couple.ana.json(["ledger", "verify"]);
    assert_eq!(verdict["ok"], true, "{verdict:#}");
}

/// Returns all entries for Bob, page after page.
fn ledger(node: &Node) -> Vec<Value> {
    let mut all: Vec<Value> = Vec::new();
    loop {
        let after = all.last().map_or(0, |last| {
            last["seq"].as_u64().expect("entries are numbered")
        });
        let after = after.to_string();
        let page = node.json([
            "ledger", "ls", "--peer", "bob", "--limit", "90", "--after", &after,
        ]);
        let items = page["items"].as_array().expect("a page has items").clone();
        if items.is_empty() {
            return all;
        }
        all.extend(items);
    }
}

fn texts(list: &Value) -> BTreeSet<String> {
    let list = list.as_array().expect("a list");
    let own = |item: &Value| item.as_str().expect("a text").to_owned();
    list.iter().map(own).collect()
}

/// A second grant is the canary: what it brings came after everything that must not come.
/// Returns how long the command took.
fn nothing_follows_a_revocation(couple: &Couple, grant: &str, id: &str) -> Duration {
    let Couple { ana, bob } = couple;
    let start = Instant::now();
    ana.brainctl(["revoke", grant, "--yes"]).ok();
    let took = start.elapsed();
    eventually("bob acknowledged the revocation", || {
        let grants = bob.json(["share", "ls"]);
        let items = grants["items"].as_array()?;
        let same = items.iter().find(|item| item["id"] == grant)?;
        (same["state"] == "revoked").then_some(())
    });
    let before = ledger(ana).len();
    let late = Http::of(ana).add("Secret of the crust, zanzibarlate", "shared");
    let body = ["edit", id, "--body", "Rewritten, zanzibarlate"];
    ana.brainctl(body).ok();
    ana.brainctl(["sync", "now"]).ok();
    // Refused here or there: what counts is that it changes nothing there.
    bob.brainctl(["edit", id, "--add-tag", "toolate"]);
    let fence = Http::of(ana).add("After the end", "fence");
    couple.share("fence");
    eventually("the second grant works", || has(bob, &fence).then_some(()));
    bob.brainctl(["sync", "now"]).ok();
    couple.prove();
    assert!(!has(bob, &late), "a memory of after the revocation arrived");
    let own = Http::of(ana).memory(id).expect("ana keeps it");
    assert!(!own.to_string().contains("toolate"), "{own:#}");
    let kept = Http::of(bob).memory(id);
    let leaked = kept.is_some_and(|memory| text(&memory, "body").contains("zanzibarlate"));
    assert!(!leaked, "an edit of after the revocation arrived");
    assert!(
        found(ana, "zanzibarlate").contains(&late),
        "the word can be found"
    );
    assert_eq!(found(bob, "zanzibarlate"), BTreeSet::new());
    let after: Vec<Value> = ledger(ana).split_off(before);
    let named: BTreeSet<String> = after.iter().map(|entry| text(entry, "memory")).collect();
    assert_eq!(named, BTreeSet::from([fence]));
    took
}
