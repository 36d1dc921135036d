//! Three real nodes, three real sniffers: the ledgers say what crossed, and what crossed is said.
//!
//! Each pair of nodes speaks through a [`Between`], which sees every frame in plain bytes. The
//! frames are taken apart by `brain_tests::sniffer`, which shares no code with what made them.

use crate::between::Between;
use crate::couple::{ids, listed, notes};
use crate::http::{Http, text};
use brain_tests::sniffer::{Traffic, assert_bijection};
use brain_tests::{Node, eventually};
use protocol::api::ledger::LedgerEntry;
use std::collections::BTreeSet;

const FILES: usize = 60;
/// How often connections break while something is on its way.
const CUTS: usize = 6;

/// Three nodes, and who sits between whom.
struct Three {
    nodes: [Node; 3],
    between: [((usize, usize), Between); 3],
}

const NAMES: [&str; 3] = ["ana", "bob", "eve"];

impl Three {
    fn start() -> Self {
        let nodes = NAMES.map(Node::start);
        let introduce = |one: usize, other: usize| {
            let pair = ((&nodes[one], NAMES[one]), (&nodes[other], NAMES[other]));
            ((one, other), Between::introduce(pair.0, pair.1))
        };
        let between = [introduce(0, 1), introduce(0, 2), introduce(1, 2)];
        Self { nodes, between }
    }

    fn share(&self, from: usize, to: usize, tag: &str, access: &str) -> String {
        let selector = format!("tag:{tag}");
        let name = NAMES[to];
        eventually("they know each other", || {
            let peers = self.nodes[from].json(["peer", "ls"]);
            peers.to_string().contains(name).then_some(())
        });
        let offer = ["share", &selector, "--with", name, "--as", access, "--yes"];
        let grant = text(&self.nodes[from].json(offer), "grant");
        eventually("the other is asked", || {
            let waiting = ids(&self.nodes[to].json(["request", "ls"]));
            waiting.contains(&grant).then_some(())
        });
        self.nodes[to].brainctl(["request", "approve", &grant]).ok();
        grant
    }

    fn prove(&self) {
        for ((one, other), _) in &self.between {
            for (from, to) in [(one, other), (other, one)] {
                eventually("everyone is in sync", || {
                    let proof = self.nodes[*from].brainctl(["sync", "prove", NAMES[*to]]);
                    (proof.code == 0).then_some(())
                });
            }
        }
    }

    /// What a node's ledger says.
    fn said(&self, by: usize) -> Traffic {
        let page = self.nodes[by].json(["ledger", "ls"]);
        let items = page["items"].as_array().expect("a page has items").clone();
        let mut traffic = Traffic::default();
        for item in items {
            let entry: LedgerEntry = serde_json::from_value(item).expect("an entry");
            traffic.add_entry(&entry);
        }
        traffic
    }

    /// What the sniffers saw a node send, and in how many frames.
    fn seen(&self, by: usize) -> (Traffic, u64) {
        let (mut traffic, mut frames) = (Traffic::default(), 0);
        for ((one, other), between) in &self.between {
            let (side, to) = if by == *one {
                (0, other)
            } else if by == *other {
                (1, one)
            } else {
                continue;
            };
            let to = text(&self.nodes[*to].json(["status"]), "person");
            for frame in between.said(side) {
                frames += u64::from(traffic.add_frame(&to, &frame));
            }
        }
        (traffic, frames)
    }
}

#[test]
fn the_ledgers_of_three_processes_say_what_sniffers_saw() {
    let three = Three::start();
    let [ana, bob, eve] = &three.nodes;
    let folder = notes(ana, "red", FILES);
    let folder = folder.to_str().expect("the path is text");
    ana.json(["import", folder, "--tag", "red"]);
    ana.json(["add", "for both of them", "-t", "red", "-t", "blue"]);
    let green = Http::of(bob).add("bob's own", "green");
    let grant = three.share(0, 1, "red", "write");
    three.share(0, 2, "blue", "read");
    three.share(1, 2, "green", "write");
    three.share(2, 0, "grey", "read");
    three.prove();
    attachments_cross(&three);
    // Everybody writes where they may, and things move in and out of views.
    let red = ids(&listed(bob, "from:ana"));
    assert_eq!(red.len(), FILES + 2);
    let mut some = red.iter();
    let mut next = || some.next().expect("there are many").as_str();
    bob.brainctl(["edit", next(), "--title", "bob's title"])
        .ok();
    bob.brainctl(["tag", "add", next(), "blue"]).ok();
    ana.brainctl(["tag", "rm", next(), "red"]).ok();
    ana.brainctl(["edit", next(), "--body", "another text"])
        .ok();
    ana.brainctl(["--yes", "purge", next()]).ok();
    eve.brainctl(["edit", &green, "--title", "eve's title"])
        .ok();
    eve.json(["add", "eve's", "-t", "grey"]);
    three.prove();
    ana.brainctl(["revoke", &grant, "--yes"]).ok();
    ana.json(["add", "too late for bob", "-t", "red", "-t", "blue"]);
    three.prove();
    let mut total = 0;
    for (by, name) in NAMES.iter().enumerate() {
        let (seen, frames) = three.seen(by);
        assert!(frames > 0, "{name} sent nothing");
        assert_bijection(&three.said(by), &seen);
        total += frames;
    }
    println!("{total} content frames of three processes, all of them in the ledgers");
    for node in &three.nodes {
        let verdict = node.json(["ledger", "verify"]);
        assert_eq!(verdict["ok"], true, "{verdict:#}");
        let witnesses = verdict["witnesses"].as_array().expect("a list");
        let who: BTreeSet<String> = witnesses.iter().map(|w| text(w, "who")).collect();
        println!("witnessed by {who:?}");
    }
    connections_break(&three);
}

/// Files cross between each two, in more than one part.
fn attachments_cross(three: &Three) {
    let [ana, bob, eve] = &three.nodes;
    let path = ana.folder().join("crossing.bin");
    let bytes: Vec<u8> = (0..5_000_000_u32)
        .flat_map(u32::to_le_bytes)
        .take(5_000_000)
        .collect();
    std::fs::write(&path, &bytes).expect("the folder takes a file");
    let path = path.to_str().expect("the path is text");
    let both = [
        "add",
        "with a file",
        "-t",
        "red",
        "-t",
        "blue",
        "--attach",
        path,
    ];
    let id = text(&ana.json(both), "id");
    let own = text(
        &eve.json(["add", "eve's file", "-t", "grey", "--attach", path]),
        "id",
    );
    for (node, memory) in [(bob, &id), (eve, &id), (ana, &own)] {
        eventually("the file arrives", || {
            let memory = Http::of(node).memory(memory)?;
            let here = memory.pointer("/attachments/0/bytes_here")?.as_u64()?;
            (here == 5_000_000).then_some(())
        });
    }
    three.prove();
    // The sniffers have the keys of the devices, and still see nothing of what is in the files.
    let needle = &bytes[400_000..400_024];
    for (_, between) in &three.between {
        for frame in [between.said(0), between.said(1)].concat() {
            let is_plain = frame.windows(needle.len()).any(|window| window == needle);
            assert!(!is_plain, "plain bytes of a file crossed");
        }
    }
}

/// With connections that break, the ledger may say more than crossed, never less.
fn connections_break(three: &Three) {
    let ana = &three.nodes[0];
    let (_, to_eve) = &three.between[1];
    for number in 0..CUTS {
        let tag = format!("cut{number}");
        let folder = notes(ana, &tag, FILES);
        let folder = folder.to_str().expect("the path is text");
        to_eve.cut_next_content();
        ana.json(["import", folder, "--tag", "blue"]);
        eventually("a frame is cut off in the middle", || {
            (!to_eve.will_cut()).then_some(())
        });
    }
    three.prove();
    for (by, name) in NAMES.iter().enumerate() {
        let (seen, _) = three.seen(by);
        let said = three.said(by);
        let unsaid = seen.beyond(&said);
        assert!(
            unsaid.is_empty(),
            "crossed, and not in the ledger: {unsaid:#?}"
        );
        let unsent = said.beyond(&seen);
        assert_eq!(
            unsent.is_empty(),
            by != 0,
            "{name}: only ana's frames were cut off"
        );
        // What was lost was sent again: no thing is in the ledger that never crossed at all.
        for thing in unsent.keys() {
            assert!(seen.things.contains_key(thing), "{thing:?} never crossed");
        }
    }
}
