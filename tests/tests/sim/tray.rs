//! Late work: what a revoked writer wrote before they knew goes to a tray, and from there only by
//! the owner's hand, or by an honest writer who built on it.

use crate::driver::frames;
use crate::node::Node;
use crate::wired::{NOW, ask, give, head, insert, nodes, share, sync, take, tell, title};
use crdt::grant::Access;
use crdt::id::{EventId, GrantId, MemoryId};
use crdt::time::Timestamp;
use protocol::wire::content::Content;
use storage::late::{LateWork, TRAY_KEPT_MS};
use storage::tx::{TrayError, WriteError};

/// An owner, a writer who is revoked and edits twice before they hear of it, and a reader.
struct Scene {
    owner: Node,
    writer: Node,
    reader: Node,
    memory: MemoryId,
    grant: GrantId,
}

fn scene() -> Scene {
    let [owner, writer, reader] = nodes();
    let memory = owner.create(NOW, "the middle", &["t"]);
    let grant = share(&owner, &writer, Access::Write);
    share(&owner, &reader, Access::Read);
    writer.edit(NOW, memory, title("in time")).expect("edited");
    sync(&owner, &writer);
    sync(&owner, &reader);
    owner.revoke(NOW, grant).expect("revoked");
    writer
        .edit(NOW, memory, insert(0, "late: "))
        .expect("not heard of it yet");
    writer.edit(NOW, memory, title("later")).expect("edited");
    Scene {
        owner,
        writer,
        reader,
        memory,
        grant,
    }
}

/// Hands over what the writer's node finds late; returns what became of it at the owner's.
fn hand_over(from: &Node, to: &Node) -> Vec<&'static str> {
    let late = from.store().late_for(to.person());
    let ids: Vec<EventId> = late.iter().map(|(_, event)| *event).collect();
    let mut codes = Vec::new();
    for frame in frames(&ask(from, to, &ids, &[])) {
        let taken = take(from, to, &frame);
        let refused: Vec<EventId> = taken.refused.iter().map(|(event, _)| *event).collect();
        codes.extend(taken.refused.iter().map(|(_, code)| *code));
        from.transact(NOW, |tx| {
            tx.settle_late(to.person(), &refused);
            Ok(())
        });
    }
    codes
}

fn tray(node: &Node, now: Timestamp) -> Vec<LateWork> {
    node.store().read(|state| state.late_work(now))
}

fn ledger(node: &Node) -> usize {
    node.store().ledger(0, 1_000).expect("reads").len()
}

#[test]
fn late_work_goes_to_the_tray_and_not_into_the_log() {
    let Scene {
        mut owner,
        writer,
        memory,
        grant,
        ..
    } = scene();
    assert!(
        writer.store().late_for(owner.person()).is_empty(),
        "not heard"
    );
    tell(&owner, &writer);
    let refused = writer.edit(NOW, memory, title("after"));
    assert!(matches!(refused, Err(WriteError::ReadOnly)));
    let before = (owner.snapshot(), ledger(&writer));
    let codes = hand_over(&writer, &owner);
    assert_eq!(codes, ["beyond_cut", "missing_previous"]);
    assert_eq!(before.0, owner.snapshot(), "nothing of it is in the log");
    let entry = writer.store().ledger(before.1 as u64, 9).expect("reads");
    assert_eq!(
        (entry.len(), entry[0].events.len()),
        (1, 2),
        "in the ledger"
    );
    assert_eq!(entry[0].grant, Some(grant));
    let work = tray(&owner, NOW);
    assert_eq!((work.len(), work[0].events.len()), (1, 2));
    assert_eq!((work[0].person, work[0].memory), (writer.person(), memory));
    // It is handed over once.
    assert!(writer.store().late_for(owner.person()).is_empty());
    assert_eq!(hand_over(&writer, &owner), [""; 0]);
    // Restart and rebuild leave it where it is; it ends after its time.
    owner.store().rebuild(NOW).expect("rebuilt");
    owner.reopen(NOW);
    assert_eq!(tray(&owner, NOW), work);
    assert!(tray(&owner, NOW.plus_ms(TRAY_KEPT_MS)).is_empty());
}

#[test]
fn only_own_changes_written_before_the_news_may_leave_late() {
    let Scene {
        owner,
        writer,
        reader,
        memory,
        ..
    } = scene();
    let late = head(&writer, memory);
    let root = EventId(memory.0);
    tell(&owner, &writer);
    // Neither someone else's events, nor to someone else, nor without a revocation.
    let asked = ask(&writer, &owner, &[root], &[]);
    assert_eq!((asked.memories.len(), asked.withheld), (0, 1));
    let asked = ask(&writer, &reader, &[late], &[]);
    assert_eq!((asked.memories.len(), asked.withheld), (0, 1));
    let asked = ask(&writer, &owner, &[root, late], &[]);
    assert_eq!((asked.memories[0].events.len(), asked.withheld), (1, 1));
    assert!(reader.store().late_for(owner.person()).is_empty());
}

#[test]
fn late_work_of_a_stranger_is_not_kept() {
    let [owner, writer, reader] = nodes();
    let memory = owner.create(NOW, "text", &["t"]);
    share(&owner, &reader, Access::Read);
    let other = writer.create(NOW, "text", &["t"]);
    share(&writer, &reader, Access::Write);
    reader.edit(NOW, other, title("theirs")).expect("edited");
    let event = reader.store().event(head(&reader, other));
    let content = Content {
        events: vec![event.expect("reads").expect("there").bytes().to_vec()],
        keys: Vec::new(),
    };
    // A change in a memory of someone else does not even come near the tray.
    assert_eq!(take(&reader, &owner, &content).late, 0);
    assert!(tray(&owner, NOW).is_empty());
    assert!(owner.facts(memory).is_some());
}

#[test]
fn salvage_is_an_ordinary_change_of_the_owner_that_merges() {
    let Scene {
        owner,
        writer,
        reader,
        memory,
        ..
    } = scene();
    tell(&owner, &writer);
    hand_over(&writer, &owner);
    owner
        .edit(NOW, memory, insert(10, " and the end"))
        .expect("edited meanwhile");
    let id = tray(&owner, NOW)[0].id;
    let merged = owner.store().transact(NOW, |tx| tx.merge_late(id));
    let merged = merged.expect("it merges");
    assert_eq!(merged.now.body, "the middle and the end");
    assert_eq!(merged.then.body, "late: the middle and the end");
    let before = owner.facts(memory).expect("facts");
    let salvaged = owner.store().transact(NOW, |tx| tx.salvage(id));
    assert_eq!(salvaged.expect("salvaged"), (memory, true));
    let after = owner.facts(memory).expect("facts");
    assert_eq!(after.events().count(), before.events().count() + 1);
    let event = owner.store().event(head(&owner, memory));
    assert_eq!(
        event.expect("reads").expect("there").header().person,
        owner.person()
    );
    let content = owner.content(memory).expect("content");
    assert_eq!(
        (content.title.as_str(), content.body.as_str()),
        ("later", "late: the middle and the end")
    );
    assert!(tray(&owner, NOW).is_empty());
    sync(&owner, &reader);
    assert_eq!(reader.content(memory), Some(content));
    let again: Result<_, TrayError> = owner.store().transact(NOW, |tx| tx.salvage(id));
    assert!(matches!(again, Err(TrayError::Unknown(_))));
}

#[test]
fn what_is_dropped_from_the_tray_is_gone() {
    let Scene {
        mut owner,
        writer,
        memory,
        ..
    } = scene();
    tell(&owner, &writer);
    hand_over(&writer, &owner);
    let id = tray(&owner, NOW)[0].id;
    let dropped = owner.store().transact(NOW, |tx| tx.drop_late(id));
    assert_eq!(dropped.expect("dropped"), memory);
    owner.reopen(NOW);
    assert!(tray(&owner, NOW).is_empty());
    assert_eq!(owner.content(memory).expect("content").title, "in time");
}

#[test]
fn both_views_stay_equal_when_the_revoked_writer_still_reads() {
    let [owner, writer] = nodes();
    let memory = owner.create(NOW, "text", &["t"]);
    let grant = share(&owner, &writer, Access::Write);
    share(&owner, &writer, Access::Read);
    owner.revoke(NOW, grant).expect("revoked");
    writer.edit(NOW, memory, title("late")).expect("edited");
    sync(&owner, &writer);
    hand_over(&writer, &owner);
    assert_eq!(tray(&owner, NOW).len(), 1);
    owner.edit(NOW, memory, title("mine")).expect("edited");
    sync(&owner, &writer);
    // Let write again, the late change counts on both sides and leaves the tray.
    let again = owner.offer(NOW, writer.person(), "tag:t", Access::Write, None);
    tell(&owner, &writer);
    writer.answer(NOW, again, true).expect("accepted");
    sync(&owner, &writer);
    sync(&owner, &writer);
    assert!(tray(&owner, NOW).is_empty());
    assert_eq!(writer.content(memory), owner.content(memory));
}

/// A writer's late change reaches another writer through the owner's other hands, and they build
/// on it before they hear of the revocation.
fn adoption(hears_first: bool) -> (Scene, Node) {
    let [owner, writer, other, reader] = nodes();
    let memory = owner.create(NOW, "text", &["t"]);
    let grant = share(&owner, &writer, Access::Write);
    share(&owner, &other, Access::Write);
    share(&owner, &reader, Access::Read);
    writer.edit(NOW, memory, title("in time")).expect("edited");
    for node in [&writer, &other, &reader] {
        sync(&owner, node);
    }
    writer.edit(NOW, memory, title("late")).expect("edited");
    let late = writer.store().event(head(&writer, memory));
    let late = Content {
        events: vec![late.expect("reads").expect("there").bytes().to_vec()],
        keys: Vec::new(),
    };
    assert_eq!(
        take(&owner, &other, &late).stored,
        1,
        "as from a device of the owner"
    );
    owner.revoke(NOW, grant).expect("revoked");
    if hears_first {
        tell(&owner, &other);
    }
    other
        .edit(NOW, memory, insert(0, "on top: "))
        .expect("a writer still");
    let scene = Scene {
        owner,
        writer,
        reader,
        memory,
        grant,
    };
    (scene, other)
}

#[test]
fn an_honest_writer_adopts_late_work_they_built_on() {
    let (scene, other) = adoption(false);
    let Scene {
        owner,
        reader,
        memory,
        writer,
        ..
    } = scene;
    tell(&other, &owner);
    let refused = give(&other, &owner);
    assert_eq!(refused, ["beyond_cut"], "late first, then adopted");
    let content = owner.content(memory).expect("content");
    assert_eq!(
        (content.title.as_str(), content.body.as_str()),
        ("late", "on top: text")
    );
    assert!(tray(&owner, NOW).is_empty());
    let adopted = owner.store().adopted(memory).expect("reads");
    assert_eq!(adopted.len(), 1);
    assert_eq!(
        (adopted[0].author, adopted[0].adopter),
        (writer.person(), other.person())
    );
    // Everyone else takes it from the owner, and a rebuild gives the same.
    sync(&owner, &other);
    sync(&owner, &reader);
    assert_eq!(reader.content(memory), Some(content));
    let before = owner.snapshot();
    owner.store().rebuild(NOW).expect("rebuilt");
    assert_eq!(before, owner.snapshot());
}

#[test]
fn a_writer_who_heard_of_the_revocation_adopts_nothing() {
    let (scene, other) = adoption(true);
    tell(&other, &scene.owner);
    let refused = give(&other, &scene.owner);
    assert_eq!(refused, ["beyond_cut", "not_permitted"]);
    let title = scene.owner.content(scene.memory).expect("content").title;
    assert_eq!(title, "in time");
    assert!(
        scene
            .owner
            .store()
            .adopted(scene.memory)
            .expect("reads")
            .is_empty()
    );
}
