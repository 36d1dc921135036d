//! Asking a node about the past: what was there then is found and shown as it was, and only that.
//!
//! Moments are taken from what the node said of its own writes, so no clock is compared with
//! another.

use crate::couple::{Couple, has, hits};
use crate::http::{Http, text};
use brain_tests::{Node, eventually};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// Returns the moment at which a memory was last changed, as the node shows it.
fn moment(node: &Node, id: &str) -> String {
    text(&node.json(["show", id]), "updated")
}

fn search(node: &Node, words: &[&str], as_of: &str) -> Value {
    let rest = ["--as-of", as_of];
    node.json(
        ["search"]
            .into_iter()
            .chain(words.iter().copied())
            .chain(rest),
    )
}

/// Returns the hit of a memory in an answer.
fn hit(answer: &Value, id: &str) -> Value {
    let all = answer["hits"].as_array().expect("there are hits");
    let found = all.iter().find(|hit| hit["id"] == id);
    found
        .unwrap_or_else(|| panic!("{id} is not in {answer:#}"))
        .clone()
}

fn set<const N: usize>(ids: [&str; N]) -> BTreeSet<String> {
    ids.map(str::to_owned).into()
}

/// The ids of what was there: changed since, put into the trash since, untouched, purged since.
struct Then {
    changed: String,
    trashed: String,
    same: String,
    moment: String,
    new: String,
}

/// Keeps four memories, notes the moment, and changes things.
fn lived_in(node: &Node) -> Then {
    let http = Http::of(node);
    let changed = http.add("Rye bread with a lot of water", "baking");
    let trashed = http.add("Rye porridge for the winter", "baking");
    let purged = http.add("Rye whisky of a friend", "baking");
    let same = http.add("Rye field behind the house", "places");
    let moment = moment(node, &same);

    let path = format!("/v1/memories/{changed}");
    let change = json!({
        "title": "Spelt cake", "body": "Spelt cake with honey", "kind": "document",
        "remove_tags": ["baking"], "add_tags": ["sweet"], "space": "kitchen",
    });
    http.ok("PATCH", &path, Some(&change));
    node.brainctl(["rm", &trashed, "--yes"]).ok();
    node.brainctl(["purge", &purged, "--yes"]).ok();
    let new = http.add("Rye crackers, a new one", "baking");
    Then {
        changed,
        trashed,
        same,
        moment,
        new,
    }
}

#[test]
fn the_past_is_found_and_shown_as_it_was() {
    let mut node = Node::start("past");
    let then = lived_in(&node);
    check_search(&node, &then);
    check_lists(&node, &then);
    // Nothing of it was in memory only.
    node.kill();
    node.start_again();
    check_search(&node, &then);
}

fn check_search(node: &Node, then: &Then) {
    let Then {
        changed,
        trashed,
        same,
        moment,
        new,
    } = then;
    let now = node.json(["search", "rye", "--mode", "text"]);
    assert_eq!(hits(&now), set([same, new]));
    assert!(now.get("as_of").is_none(), "{now:#}");

    for mode in ["text", "hybrid"] {
        let was = search(node, &["rye", "--mode", mode], moment);
        assert_eq!(hits(&was), set([changed, trashed, same]), "{mode}");
        assert_eq!((&was["as_of"], &was["gone"]), (&json!(moment), &json!(1)));
        let first = hit(&was, changed);
        assert_eq!(first["title"], "Rye bread with a lot of water");
        assert_eq!(first["snippet"], "Rye bread with a lot of water");
    }
    let near = search(node, &["bread dough", "--mode", "vector"], moment);
    assert!(hits(&near).contains(changed), "{near:#}");
    let later = search(node, &["spelt", "--mode", "text"], moment);
    assert_eq!(hits(&later), BTreeSet::new(), "it said so only later");

    let within = |selector: &str| hits(&search(node, &["rye", selector, "--mode", "text"], moment));
    assert_eq!(within("tag:baking"), set([changed, trashed]));
    assert_eq!(within("tag:sweet"), BTreeSet::new());
    assert_eq!(within("space:kitchen"), BTreeSet::new());
    assert_eq!(within("kind:note \"a lot of water\""), set([changed]));
    let counted = search(node, &["rye", "--facets"], moment);
    let tags = counted["facets"]["tags"]
        .as_array()
        .expect("tags are counted");
    let tags: Vec<_> = tags
        .iter()
        .map(|tag| (text(tag, "value"), &tag["count"]))
        .collect();
    assert_eq!(tags[0], ("baking".to_owned(), &json!(2)), "{counted:#}");
    assert!(tags.iter().all(|(tag, _)| tag != "sweet"), "{counted:#}");

    let before = search(node, &["rye"], "2001-01-01");
    assert_eq!((hits(&before).len(), before.get("gone")), (0, None));
    assert_eq!(before["as_of"], "2001-01-01T23:59:59.999Z");
    let ahead = search(node, &["rye", "--mode", "text"], "9000-01-01");
    assert_eq!(hits(&ahead), hits(&now), "what is not over is now");
    assert!(text(&ahead, "as_of").starts_with("20"), "{ahead:#}");
}

fn check_lists(node: &Node, then: &Then) {
    let Then {
        changed,
        trashed,
        same,
        moment,
        ..
    } = then;
    let listed = |selector: &str| {
        let page = node.json(["ls", selector, "--as-of", moment]);
        crate::couple::ids(&page)
    };
    assert_eq!(listed(""), set([changed, trashed, same]));
    assert_eq!(listed("tag:baking"), set([changed, trashed]));
    assert_eq!(listed("status:forgotten"), BTreeSet::new());
    let shown = node.json(["show", changed, "--as-of", moment]);
    let of_then = [
        ("kind", "note"),
        ("body", "Rye bread with a lot of water"),
        ("space", "default"),
    ];
    for (field, value) in of_then {
        assert_eq!(shown[field], value, "{shown:#}");
    }
    assert_eq!(shown["tags"], json!(["baking"]));
    assert_eq!(shown["heads"], json!([changed]));
    assert_eq!(node.json(["show", changed])["title"], "Spelt cake");
    let early = node.brainctl(["show", changed, "--as-of", "2001-01-01"]);
    assert_eq!(early.code, 3, "{}", early.stderr);
    assert!(
        early.stderr.contains("was not here yet"),
        "{}",
        early.stderr
    );
}

#[test]
fn what_is_no_date_and_what_nobody_knows_is_refused() {
    let node = Node::start("dates");
    for date in [
        "yesterday",
        "2026-02-30",
        "2026-11-22T10:00:00",
        "1969-12-31",
    ] {
        let refused = node.brainctl(["search", "rye", "--as-of", date]);
        assert_eq!(refused.code, 2, "{date}: {}", refused.stderr);
        for part in ["is no date", "YYYY-MM-DD", "bad_request"] {
            assert!(refused.stderr.contains(part), "{date}: {}", refused.stderr);
        }
    }
    let asked = ["search", "rye", "shared-with:bob", "--as-of", "2026-01-01"];
    let refused = node.brainctl(asked);
    assert_eq!(refused.code, 2);
    assert!(
        refused.stderr.contains("about the past"),
        "{}",
        refused.stderr
    );
}

#[test]
fn nobody_sees_more_of_the_past_than_they_could_then_and_can_now() {
    let couple = Couple::start();
    let Couple { ana, bob } = &couple;
    let http = Http::of(ana);
    let id = http.add("Rye bread with a lot of water", "shared");
    let private = http.add("Rye whisky", "private");
    let before = moment(ana, &private);
    let grant = couple.share("shared");
    eventually("it arrives", || has(bob, &id).then_some(()));
    // Written by Bob after he said yes, so a moment at which he had it.
    let own = Http::of(bob).add("Rye of my own", "mine");
    let during = moment(bob, &own);

    let path = format!("/v1/memories/{id}");
    http.ok(
        "PATCH",
        &path,
        Some(&json!({"title": "Spelt", "body": "Spelt cake"})),
    );
    eventually("the change arrives", || {
        let title = Http::of(bob).memory(&id)?["title"].clone();
        (title == "Spelt").then_some(())
    });
    let rye = |moment: &str| search(bob, &["rye", "--mode", "text"], moment);
    assert_eq!(
        hits(&rye(&before)),
        BTreeSet::new(),
        "it was not his to see yet"
    );
    let was = rye(&during);
    assert_eq!(hits(&was), set([&id, &own]));
    assert_eq!(hit(&was, &id)["title"], "Rye bread with a lot of water");

    ana.brainctl(["revoke", &grant, "--yes"]).ok();
    eventually("what was taken back is not in the past either", || {
        (hits(&rye(&during)) == set([&own])).then_some(())
    });
}
