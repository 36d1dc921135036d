//! Two different events with one place: whichever comes first, everyone ends with the same, the
//! author is frozen, and nobody else loses anything. And a restored backup does not fork.

use crate::devices::{exchange, join, later, persons, share, sync, take, tell};
use crate::hostile::Forger;
use crate::node::Node;
use crate::wired::{self, NOW, insert, title};
use crdt::event::{Event, Signed};
use crdt::grant::Access;
use crdt::id::{GrantId, MemoryId};
use crdt::testing::Entropy;
use protocol::wire::content::Content;
use std::collections::BTreeSet;

/// An owner with two devices, a writer who forks, and a reader who meets the phone only.
struct Scene {
    phone: Node,
    laptop: Node,
    writer: Node,
    reader: Node,
    memory: MemoryId,
    /// Under which the writer writes.
    grant: GrantId,
    /// Two events of the writer with one place, the smaller id first.
    both: [Signed<Event>; 2],
}

fn scene() -> Scene {
    let [phone, writer] = persons();
    let reader = Node::new(2, NOW);
    phone.pair(&reader, NOW);
    reader.pair(&phone, NOW);
    let memory = phone.create(NOW, "the text", &["t"]);
    let written = share(&phone, &writer);
    let grant = phone.offer(NOW, reader.person(), "tag:t", Access::Read, None);
    exchange(&phone, &reader);
    reader.answer(NOW, grant, true).expect("accepted");
    sync(&phone, &reader);
    let laptop = join(&phone, 40);
    sync(&phone, &laptop);
    sync(&laptop, &writer);
    let forger = Forger::new(&writer, memory, 50);
    let mut both = ["one ", "other "].map(|text| forger.honest(text));
    both.sort_unstable_by_key(Signed::id);
    Scene {
        phone,
        laptop,
        writer,
        reader,
        memory,
        grant: written,
        both,
    }
}

fn bring(from: &Node, to: &Node, events: &[&Signed<Event>]) -> Vec<&'static str> {
    let content = Content {
        events: events.iter().map(|event| event.bytes().to_vec()).collect(),
        keys: Vec::new(),
    };
    let taken = take(from, to, &content);
    taken.refused.into_iter().map(|(_, code)| code).collect()
}

fn body(node: &Node, memory: MemoryId) -> String {
    node.content(memory).expect("content").body
}

/// Checks that a node knows who is frozen and where.
fn assert_frozen(node: &Node, scene: &Scene) {
    let frozen: Vec<_> = node.store().read(|state| {
        let frozen = state.frozen();
        frozen.map(|(memory, frozen)| (memory, *frozen)).collect()
    });
    let [(memory, frozen)] = frozen.as_slice() else {
        panic!("one feed forked: {frozen:?}");
    };
    assert_eq!(
        (*memory, frozen.person),
        (scene.memory, scene.writer.person())
    );
    let [first, second] = scene.both.each_ref().map(Signed::id);
    assert_eq!(
        (frozen.number, frozen.first, frozen.second),
        (0, first, second)
    );
}

/// Checks that a restart and a rebuild change nothing.
fn assert_lasting(node: &mut Node, scene: MemoryId) {
    let before = (node.snapshot(), body(node, scene));
    node.reopen(later(6));
    assert_eq!(before, (node.snapshot(), body(node, scene)), "a restart");
    node.store().rebuild(later(6)).expect("rebuilt");
    assert_eq!(before, (node.snapshot(), body(node, scene)), "a rebuild");
}

#[test]
fn whichever_of_two_comes_first_all_end_with_the_same() {
    for order in [[0, 1], [1, 0]] {
        let mut scene = scene();
        let [first, second] = order.map(|at| &scene.both[at]);
        assert_eq!(bring(&scene.writer, &scene.phone, &[first]), [""; 0]);
        assert_eq!(bring(&scene.writer, &scene.laptop, &[second]), [""; 0]);
        sync(&scene.phone, &scene.reader);
        assert_ne!(
            body(&scene.phone, scene.memory),
            body(&scene.laptop, scene.memory)
        );
        assert_eq!(
            body(&scene.phone, scene.memory),
            body(&scene.reader, scene.memory)
        );
        // Reconciling carries the proof on; everyone derives the rest.
        sync(&scene.phone, &scene.laptop);
        sync(&scene.phone, &scene.reader);
        for node in [&scene.phone, &scene.laptop, &scene.reader] {
            assert_eq!(body(node, scene.memory), "the text");
            assert_frozen(node, &scene);
        }
        for node in [&mut scene.phone, &mut scene.laptop, &mut scene.reader] {
            assert_lasting(node, scene.memory);
        }
        // The writer's own node hears of it too, and nothing more of that feed is taken.
        sync(&scene.phone, &scene.writer);
        assert_frozen(&scene.writer, &scene);
        let mut forger = Forger::new(&scene.writer, scene.memory, 50);
        forger.write("first");
        let more = forger.write("more");
        assert_eq!(bring(&scene.writer, &scene.phone, &[&more]), ["frozen"]);
        // Everyone else goes on, and so does the writer under an honest name.
        scene
            .laptop
            .edit(later(6), scene.memory, title("on"))
            .expect("edited");
        sync(&scene.phone, &scene.laptop);
        sync(&scene.phone, &scene.writer);
        scene
            .writer
            .edit(later(6), scene.memory, insert(0, "again "))
            .expect("edited");
        sync(&scene.phone, &scene.writer);
        sync(&scene.phone, &scene.reader);
        for node in [&scene.phone, &scene.reader, &scene.writer] {
            assert_eq!(body(node, scene.memory), "again the text");
            assert_eq!(node.content(scene.memory).expect("content").title, "on");
        }
    }
}

#[test]
fn a_late_proof_takes_nothing_from_those_who_built_on_it() {
    for order in [[0, 1], [1, 0]] {
        let mut scene = scene();
        let [first, second] = order.map(|at| &scene.both[at]);
        bring(&scene.writer, &scene.phone, &[first]);
        scene
            .phone
            .edit(later(6), scene.memory, title("on it"))
            .expect("edited");
        sync(&scene.phone, &scene.reader);
        let with_first = body(&scene.phone, scene.memory);
        assert_ne!(with_first, "the text");
        // Only now does the other one come up, at the other device.
        bring(&scene.writer, &scene.laptop, &[second]);
        sync(&scene.phone, &scene.laptop);
        sync(&scene.phone, &scene.reader);
        for node in [&scene.phone, &scene.laptop, &scene.reader] {
            assert_eq!(body(node, scene.memory), with_first);
            assert_eq!(node.content(scene.memory).expect("content").title, "on it");
            assert_frozen(node, &scene);
        }
        assert_lasting(&mut scene.laptop, scene.memory);
    }
}

#[test]
fn the_proof_reaches_everyone_after_its_author_lost_access() {
    for order in [[0, 1], [1, 0]] {
        let mut scene = scene();
        let [first, second] = order.map(|at| &scene.both[at]);
        // One reader has one half when the writer loses access, the other comes later.
        bring(&scene.writer, &scene.phone, &[first]);
        sync(&scene.phone, &scene.reader);
        bring(&scene.writer, &scene.phone, &[second]);
        let revoked = scene.phone.revoke(later(5), scene.grant);
        revoked.expect("revoked");
        let mut late = Node::new(3, NOW);
        scene.phone.pair(&late, NOW);
        late.pair(&scene.phone, NOW);
        let to = late.person();
        let grant = scene.phone.offer(NOW, to, "tag:t", Access::Read, None);
        exchange(&scene.phone, &late);
        late.answer(NOW, grant, true).expect("accepted");
        // Nobody but the owner can show it.
        tell(&scene.phone, &late);
        assert_ne!(bring(&scene.reader, &late, &[first, second]), [""; 0]);
        for node in [&scene.laptop, &scene.reader, &late] {
            sync(&scene.phone, node);
            assert_eq!(body(node, scene.memory), "the text");
            assert_frozen(node, &scene);
        }
        for node in [&mut scene.laptop, &mut scene.reader, &mut late] {
            assert_lasting(node, scene.memory);
        }
    }
}

#[test]
fn any_order_of_a_forked_memorys_events_gives_the_same_memory() {
    let scene = scene();
    // One branch goes on, and the owner builds on the end of it.
    let mut branch = Forger::new(&scene.writer, scene.memory, 50);
    let first = branch.write("one ");
    let second = branch.write("two ");
    let third = branch.write("three ");
    let other = scene.both.iter().find(|event| event.id() != first.id());
    let other = other.expect("two texts, two events");
    for event in [&first, &second] {
        bring(&scene.writer, &scene.phone, &[event]);
    }
    scene
        .phone
        .edit(later(6), scene.memory, title("on it"))
        .expect("edited");
    let last = wired::head(&scene.phone, scene.memory);
    let last = scene
        .phone
        .store()
        .event(last)
        .expect("reads")
        .expect("there");
    let all = [&first, &second, &third, other, &last];
    let mut ends = BTreeSet::new();
    for seed in 0..24 {
        let mut order = all.to_vec();
        let mut rng = Entropy::new(seed);
        for at in (1..order.len()).rev() {
            let other = usize::try_from(rng.below(at as u64 + 1)).expect("small");
            order.swap(at, other);
        }
        let device = join(&scene.phone, 60 + u8::try_from(seed).expect("small"));
        exchange_root(&scene, &device);
        // Twice: what waited for too little is asked for again, as reconciliation does.
        for _ in 0..2 {
            for event in &order {
                bring(&scene.phone, &device, &[event]);
            }
        }
        let facts = device.facts(scene.memory).expect("facts");
        let shown: BTreeSet<_> = facts.events().map(|(_, id)| id).collect();
        assert!(shown.contains(&other.id()), "the proof is kept");
        assert!(!shown.contains(&third.id()), "nobody built on it");
        ends.insert((shown, facts.heads(), body(&device, scene.memory)));
    }
    assert_eq!(ends.len(), 1, "{ends:?}");
    let (_, _, text) = ends.first().expect("one end");
    assert_eq!(text, "two one the text");
}

/// Gives a device of the owner the root of the memory, the keys, and who may write.
fn exchange_root(scene: &Scene, device: &Node) {
    let root = crdt::id::EventId(scene.memory.0);
    wired::tell(&scene.phone, device);
    let asked = wired::ask(&scene.phone, device, &[root], &[]);
    for frame in crate::driver::frames(&asked) {
        take(&scene.phone, device, &frame);
    }
    let grants: Vec<_> = scene.phone.store().read(|state| {
        let given = state.members.get(&scene.memory);
        given
            .into_iter()
            .flatten()
            .map(|(grant, _)| (*grant, scene.memory))
            .collect()
    });
    let asked = wired::ask(&scene.phone, device, &[], &grants);
    for frame in crate::driver::frames(&asked) {
        take(&scene.phone, device, &frame);
    }
}

#[test]
fn a_device_that_forked_goes_on_as_another_writer() {
    let scene = scene();
    let Scene {
        phone,
        writer,
        memory,
        ..
    } = &scene;
    writer
        .edit(later(6), *memory, title("first"))
        .expect("edited");
    sync(phone, writer);
    // A copy of the machine that was rolled back signs another event with the same number.
    let beside = beside_own(writer, *memory);
    assert_eq!(bring(writer, phone, &[&beside]), [""; 0]);
    sync(phone, writer);
    let frozen = |node: &Node| node.store().read(|state| state.frozen().count());
    assert_eq!((frozen(phone), frozen(writer)), (1, 1));
    writer
        .edit(later(7), *memory, title("second"))
        .expect("edited");
    sync(phone, writer);
    assert_eq!(phone.content(*memory).expect("content").title, "second");
}

/// An event with the number of the writer's last one.
fn beside_own(writer: &Node, memory: MemoryId) -> Signed<Event> {
    let facts = writer.facts(memory).expect("facts");
    let incarnation = facts.writers()[0].incarnation;
    let mut forger = Forger::new(writer, memory, 51);
    forger.incarnation = incarnation;
    let mut header = forger.header();
    header.parents = vec![crdt::id::EventId(memory.0)];
    forger.sealed(header, b"whatever it says")
}

#[test]
fn a_restored_backup_hears_of_what_it_forgot_and_does_not_fork() {
    let Scene {
        phone,
        mut writer,
        memory,
        ..
    } = scene();
    let backup = writer.backup();
    writer
        .edit(later(6), memory, title("forgotten"))
        .expect("edited");
    sync(&phone, &writer);
    writer.restore(backup, later(7));
    assert_eq!(writer.content(memory).expect("content").title, "title");
    // The other side still has what this one wrote before: it cannot be that writer any more.
    exchange(&phone, &writer);
    writer
        .edit(later(8), memory, insert(0, "after "))
        .expect("edited");
    sync(&phone, &writer);
    for node in [&phone, &writer] {
        let content = node.content(memory).expect("content");
        assert_eq!(
            (content.title.as_str(), content.body.as_str()),
            ("forgotten", "after the text")
        );
        assert_eq!(node.store().read(|state| state.frozen().count()), 0);
    }
}
