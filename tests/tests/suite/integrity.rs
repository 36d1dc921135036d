//! What is contained is named by real nodes: a frozen author, a quarantined memory, a copy.

use crate::couple::Couple;
use crate::http::text;
use brain_tests::{Node, eventually};
use crdt::event::{Event, Kind, Signed};
use crdt::id::PersonId;
use crdt::time::Timestamp;
use node::config::Unlock;
use std::sync::Arc;
use storage::entropy::Entropy;
use storage::kv::sealed::Sealed;
use storage::kv::{Batch, Durability, Keyspace, Kv as _, Scan};
use storage::screen::open::Open;
use storage::store::{Parts, Store, StoreError};

/// Opens what a stopped node's store lies on.
fn rows(node: &Node) -> (Sealed, node::identity::Identity) {
    let identity = node::identity::open(&node.home(), &Unlock::default());
    let identity = identity.expect("the test's own folder");
    let disk = brain_tests::disk_of(&node.home());
    let sealed = Sealed::new(Arc::new(disk), identity.vault.keyring().master());
    (sealed, identity)
}

/// Signs another version of the last change that a stopped node's device wrote.
fn second_version(of: &Node) -> (PersonId, Vec<u8>) {
    let (kv, identity) = rows(of);
    let log = kv.scan(Keyspace("log"), &Scan::all()).expect("rows read");
    let events = log
        .items
        .iter()
        .filter_map(|row| Signed::from_bytes(&row.value).ok());
    let device = identity.owner.device.id();
    let mut own = events.filter(|event: &Signed<Event>| {
        event.header().kind == Kind::Change && event.header().author == device
    });
    let last = own.next_back().expect("it wrote a change");
    let header = last.header().clone();
    let other = Event {
        header,
        body: b"another version".to_vec(),
    };
    let signed = other.sign(&identity.owner.device);
    kv.close().expect("closed");
    (identity.owner.certificate.person, signed.bytes().to_vec())
}

/// Hands an event to a stopped node's store, as a session would.
fn hand(to: &Node, from: PersonId, event: Vec<u8>) {
    let (kv, identity) = rows(to);
    let folder = tempfile::tempdir().expect("a folder");
    let signed = Signed::from_bytes(&event).expect("it reads");
    let now: Timestamp = signed.header().time.wall();
    let parts = Parts {
        kv: Arc::new(kv),
        master: identity.vault.keyring().master(),
        owner: identity.owner,
        guard: Arc::new(Open),
        text: folder.path(),
        model: ("none", 4),
        entropy: Entropy::system(),
    };
    let store = Store::open(parts, now).expect("the store opens");
    let taken = store.transact::<_, StoreError>(now, |tx| tx.take_content(from, &[event], &[]));
    assert_eq!(taken.expect("taken").refused, []);
    store.close().expect("closed");
}

fn status(node: &Node) -> String {
    node.brainctl(["status"]).ok().stdout.clone()
}

fn title(node: &Node, memory: &str) -> Option<String> {
    let shown = node.brainctl(["show", memory, "--json"]);
    (shown.code == 0).then(|| text(&shown.json(), "title"))
}

#[test]
fn a_frozen_author_is_named_on_both_sides_and_both_go_on() {
    let mut couple = Couple::start();
    let written = couple
        .ana
        .json(["add", "the text", "--title", "the title", "--tag", "t"]);
    let memory = text(&written, "id");
    couple.share("t");
    eventually("bob has it", || title(&couple.bob, &memory));
    couple
        .bob
        .brainctl(["edit", &memory, "--title", "by bob"])
        .ok();
    eventually("ana sees it", || {
        (title(&couple.ana, &memory)? == "by bob").then_some(())
    });
    couple.ana.stop();
    couple.bob.stop();
    let (bob, event) = second_version(&couple.bob);
    hand(&couple.ana, bob, event);
    couple.ana.start_again();
    couple.bob.start_again();
    let said = status(&couple.ana);
    assert!(
        said.contains("bob's device") && said.contains("signed two versions"),
        "{said}"
    );
    assert_eq!(title(&couple.ana, &memory).as_deref(), Some("the title"));
    // The proof travels to the one whom it is about, and both stand where they stood before.
    eventually("bob hears of it", || {
        status(&couple.bob).contains("your device").then_some(())
    });
    couple.prove();
    assert_eq!(title(&couple.bob, &memory).as_deref(), Some("the title"));
    couple
        .bob
        .brainctl(["edit", &memory, "--title", "again"])
        .ok();
    eventually("ana sees it", || {
        (title(&couple.ana, &memory)? == "again").then_some(())
    });
    couple.prove();
}

#[test]
fn a_quarantined_memory_is_named_and_a_rebuild_brings_it_back() {
    let mut node = Node::start("ana");
    let written = node.json(["add", "the text", "--title", "one"]);
    let memory = text(&written, "id");
    node.brainctl(["edit", &memory, "--title", "two"]).ok();
    node.stop();
    let (kv, _) = rows(&node);
    let documents = Keyspace("document");
    let page = kv.scan(documents, &Scan::all()).expect("rows read");
    let mut batch = Batch::new();
    for item in page.items {
        batch.put(documents, item.key, b"no document".to_vec());
    }
    kv.commit(batch, Durability::Durable).expect("written");
    kv.close().expect("closed");
    drop(kv);
    node.start_again();
    let refused = node.brainctl(["edit", &memory, "--title", "three"]);
    assert_ne!(refused.code, 0);
    assert!(
        refused.stderr.contains("is quarantined"),
        "{}",
        refused.stderr
    );
    let said = status(&node);
    assert!(
        said.contains("1 quarantined") && memory.get(..12).is_some_and(|id| said.contains(id)),
        "{said}"
    );
    let shown = node.brainctl(["show", &memory]).ok().stdout.clone();
    assert!(
        shown.contains("as it last stood") && shown.contains("two"),
        "{shown}"
    );
    node.restart();
    assert!(status(&node).contains("1 quarantined"));
    node.brainctl(["add", "everything else goes on"]).ok();
    node.brainctl(["index", "rebuild"]).ok();
    assert!(!status(&node).contains("quarantined"));
    node.brainctl(["edit", &memory, "--title", "three"]).ok();
    assert_eq!(title(&node, &memory).as_deref(), Some("three"));
}
