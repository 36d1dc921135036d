//! Two persons with a node each, introduced to each other, and what both of them can be asked.
//!
//! ```text
//! Couple::start -> invite, accept -> share(tag) -> request, approve -> prove
//! ```

use crate::http::{Http, text};
use brain_tests::{Node, eventually};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::PathBuf;

/// Ana, who gives, and Bob, who is given.
#[derive(Debug)]
pub(crate) struct Couple {
    pub(crate) ana: Node,
    pub(crate) bob: Node,
}

impl Couple {
    /// Starts both nodes and introduces them.
    pub(crate) fn start() -> Self {
        Self::start_with(&[], &[])
    }

    /// Starts both nodes with further environment variables and introduces them.
    pub(crate) fn start_with(of_ana: &[(&str, &str)], of_bob: &[(&str, &str)]) -> Self {
        Self::of(|name| {
            let extra = if name == "ana" { of_ana } else { of_bob };
            Node::start_with(name, extra)
        })
    }

    /// Introduces two nodes that are started in a way of the test's own.
    pub(crate) fn of(start: impl Fn(&str) -> Node + Sync) -> Self {
        let (ana, bob) = std::thread::scope(|scope| {
            let ana = scope.spawn(|| start("ana"));
            let bob = start("bob");
            (ana.join().expect("ana starts"), bob)
        });
        let ticket = ana.brainctl(["peer", "invite", "--name", "bob", "--ids"]);
        let ticket = ticket.ok().stdout.trim().to_owned();
        bob.brainctl(["peer", "accept", &ticket, "--alias", "ana"])
            .ok();
        eventually("ana knows bob", || {
            let peers = ana.json(["peer", "ls"]);
            let state = peers.pointer("/items/0/state")?;
            (state == "paired").then_some(())
        });
        Self { ana, bob }
    }

    /// Shares a tag for writing, waits for Bob's yes, and returns the grant.
    pub(crate) fn share(&self, tag: &str) -> String {
        let selector = format!("tag:{tag}");
        let offer = ["share", &selector, "--with", "bob", "--as", "write"];
        let offered = self.ana.json(offer.into_iter().chain(["--yes"]));
        let grant = text(&offered, "grant");
        eventually("bob is asked", || {
            let waiting = ids(&self.bob.json(["request", "ls"]));
            waiting.contains(&grant).then_some(())
        });
        self.bob.brainctl(["request", "approve", &grant]).ok();
        grant
    }

    /// Waits until both have proved that nothing of the view is missing, and compares the proofs.
    pub(crate) fn prove(&self) {
        eventually("both prove the same view", || {
            let ours = self.ana.brainctl(["sync", "prove", "bob", "--json"]);
            let theirs = self.bob.brainctl(["sync", "prove", "ana", "--json"]);
            if (ours.code, theirs.code) != (0, 0) {
                return None;
            }
            let (ours, theirs) = (ours.json(), theirs.json());
            let same = |field: &str| text(&ours, field) == text(&theirs, field);
            let crossed = text(&ours, "fingerprint") == text(&theirs, "their_fingerprint");
            (same("fingerprint") && crossed && ours["mine"] == theirs["mine"]).then_some(())
        });
    }
}

/// Returns the ids of a list.
pub(crate) fn ids(page: &Value) -> BTreeSet<String> {
    let items = page.get("items").and_then(Value::as_array);
    let items = items.unwrap_or_else(|| panic!("no items in {page:#}"));
    let all: BTreeSet<String> = items.iter().map(|item| text(item, "id")).collect();
    assert_eq!(all.len(), items.len(), "an id is listed twice");
    all
}

/// Returns all memories of a selector.
pub(crate) fn listed(node: &Node, selector: &str) -> Value {
    node.json(["ls", selector, "--all"])
}

/// Returns the ids that a search for words found.
pub(crate) fn found(node: &Node, words: &str) -> BTreeSet<String> {
    hits(&node.json(["search", words]))
}

/// Returns the ids of the answer to a search.
pub(crate) fn hits(answer: &Value) -> BTreeSet<String> {
    let hits = answer.get("hits").and_then(Value::as_array);
    let hits = hits.unwrap_or_else(|| panic!("no hits in {answer:#}"));
    hits.iter().map(|hit| text(hit, "id")).collect()
}

/// Tells whether a node has a memory.
pub(crate) fn has(node: &Node, id: &str) -> bool {
    Http::of(node).memory(id).is_some()
}

/// Writes a folder of small Markdown files, each with text of its own.
pub(crate) fn notes(node: &Node, name: &str, count: usize) -> PathBuf {
    const WORDS: [&str; 8] = [
        "rye", "lentil", "kettle", "harbour", "ledger", "violin", "granite", "orchard",
    ];
    let folder = node.folder().join(name);
    std::fs::create_dir_all(&folder).expect("the temporary folder takes a folder");
    for n in 0..count {
        let mut note = format!("# {name} note {n}\n\n");
        for (place, word) in WORDS.iter().enumerate() {
            if n % (place + 3) == 0 {
                writeln!(note, "Something about {word}.").expect("a string takes text");
            }
        }
        let path = folder.join(format!("{n:04}.md"));
        std::fs::write(path, note).expect("the folder takes a file");
    }
    folder
}
