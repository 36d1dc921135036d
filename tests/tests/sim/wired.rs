//! Two and three stores wired directly, without sessions: what sharing means, rule by rule.

use crate::driver::frames;
use crate::node::{Node, Reference};
use crdt::envelope::Epoch;
use crdt::envelope::pack::Packing;
use crdt::event::{Event, Feed, Header, Incarnation, Kind};
use crdt::grant::Access;
use crdt::hash::Hash;
use crdt::id::{EventId, GrantId, MemoryId};
use crdt::memory::{BodyEdit, Edit};
use crdt::sidecar::{Sensitivity, SidecarPatch};
use crdt::time::{Hybrid, Timestamp};
use protocol::wire::content::Content;
use storage::store::query::Frontier;
use storage::tx::{AppendError, Taken, WriteError};

pub(crate) const NOW: Timestamp = Timestamp(1_800_000_000_000);

pub(crate) fn nodes<const N: usize>() -> [Node; N] {
    let nodes = std::array::from_fn(|number| Node::new(u8::try_from(number).expect("few"), NOW));
    for (a, one) in nodes.iter().enumerate() {
        for (b, other) in nodes.iter().enumerate() {
            if a != b {
                one.pair(other, NOW);
            }
        }
    }
    nodes
}

/// Hands on the consent events that the other side lacks.
pub(crate) fn tell(from: &Node, to: &Node) -> Taken {
    let known = to.store().consent_frontier(from.person());
    let events = from.store().consent_beyond(to.person(), &known);
    let events = events.expect("consent reads");
    to.transact(NOW, |tx| tx.take_consent(from.person(), &events))
}

/// Returns the frames with everything that `from` may give and `to` lacks.
pub(crate) fn disclose(from: &Node, to: &Node) -> Vec<Content> {
    let (mine, index) = from.view(to.person(), NOW);
    let (theirs, _) = to.view(from.person(), NOW);
    let (mut events, mut members) = (Vec::new(), Vec::new());
    for item in mine.without(&theirs) {
        match index.get(&item.id).expect("an item of the view") {
            Reference::Event(event) => events.push(*event),
            Reference::Member(grant, memory) => members.push((*grant, *memory)),
        }
    }
    frames(&ask(from, to, &events, &members))
}

pub(crate) fn ask(
    from: &Node,
    to: &Node,
    events: &[EventId],
    members: &[(GrantId, MemoryId)],
) -> storage::tx::Disclosure {
    from.store()
        .transact(NOW, |tx| tx.disclose(to.person(), events, members))
        .expect("the guard decides")
}

pub(crate) fn take(from: &Node, to: &Node, content: &Content) -> Taken {
    to.transact(NOW, |tx| {
        tx.take_content(from.person(), &content.events, &content.keys)
    })
}

/// Gives what may be given; returns the codes of what was refused.
pub(crate) fn give(from: &Node, to: &Node) -> Vec<&'static str> {
    let frames = disclose(from, to);
    tell(from, to);
    let taken = frames
        .iter()
        .flat_map(|frame| take(from, to, frame).refused);
    taken.map(|(_, code)| code).collect()
}

/// Exchanges everything both ways, as a session does; nothing may be refused.
pub(crate) fn sync(one: &Node, other: &Node) {
    tell(one, other);
    tell(other, one);
    assert_eq!(give(one, other), [""; 0]);
    assert_eq!(give(other, one), [""; 0]);
    assert_same_view(one, other);
}

pub(crate) fn assert_same_view(one: &Node, other: &Node) {
    let (mine, _) = one.view(other.person(), NOW);
    let (theirs, _) = other.view(one.person(), NOW);
    assert_eq!(mine, theirs);
}

/// Offers everything with the tag `t` and has it accepted.
pub(crate) fn share(owner: &Node, grantee: &Node, access: Access) -> GrantId {
    let grant = owner.offer(NOW, grantee.person(), "tag:t", access, None);
    tell(owner, grantee);
    grantee.answer(NOW, grant, true).expect("accepted");
    sync(owner, grantee);
    grant
}

pub(crate) fn title(title: &str) -> Edit {
    Edit {
        title: Some(title.to_owned()),
        ..Edit::default()
    }
}

pub(crate) fn tags(add: &[&str], remove: &[&str]) -> Edit {
    let list = |tags: &[&str]| tags.iter().map(|tag| (*tag).to_owned()).collect();
    Edit {
        add_tags: list(add),
        remove_tags: list(remove),
        ..Edit::default()
    }
}

pub(crate) fn insert(at: usize, text: &str) -> Edit {
    let (delete, insert) = (0, text.to_owned());
    Edit {
        body: Some(BodyEdit::Splice { at, delete, insert }),
        ..Edit::default()
    }
}

pub(crate) fn head(node: &Node, memory: MemoryId) -> EventId {
    node.facts(memory).expect("facts").heads()[0]
}

#[test]
fn a_grantee_reads_what_the_selector_takes_in_and_nothing_else() {
    let [owner, grantee] = nodes();
    let shared = owner.create(NOW, "shared", &["t"]);
    let private = owner.create(NOW, "private", &["other"]);
    share(&owner, &grantee, Access::Read);
    assert_eq!(grantee.content(shared), owner.content(shared));
    assert!(grantee.content(shared).is_some());
    assert_eq!(grantee.facts(private), None);
    // A new match follows without another word.
    let later = owner.create(NOW, "later", &["t"]);
    sync(&owner, &grantee);
    assert_eq!(grantee.content(later), owner.content(later));
}

#[test]
fn nothing_goes_before_the_grantee_accepted_or_after_they_declined() {
    let [owner, grantee] = nodes();
    let memory = owner.create(NOW, "shared", &["t"]);
    let grant = owner.offer(NOW, grantee.person(), "tag:t", Access::Read, None);
    tell(&owner, &grantee);
    let asked = ask(&owner, &grantee, &[EventId(memory.0)], &[(grant, memory)]);
    assert_eq!((asked.memories.len(), asked.withheld), (0, 2));
    grantee.answer(NOW, grant, false).expect("declined");
    tell(&grantee, &owner);
    let asked = ask(&owner, &grantee, &[EventId(memory.0)], &[(grant, memory)]);
    assert_eq!((asked.memories.len(), asked.withheld), (0, 2));
    assert!(grantee.answer(NOW, grant, true).is_err(), "a no is final");
}

#[test]
fn concurrent_edits_of_owner_and_writer_converge() {
    let [owner, writer] = nodes();
    let memory = owner.create(NOW, "middle", &["t"]);
    share(&owner, &writer, Access::Write);
    owner
        .edit(NOW, memory, insert(0, "front "))
        .expect("edited");
    writer
        .edit(NOW, memory, insert(6, " back"))
        .expect("edited");
    writer.edit(NOW, memory, title("named")).expect("edited");
    sync(&owner, &writer);
    let content = owner.content(memory).expect("content");
    assert_eq!(
        (content.title.as_str(), content.body.as_str()),
        ("named", "front middle back")
    );
    assert_eq!(writer.content(memory), Some(content));
    assert_eq!(
        owner.facts(memory).expect("facts").heads(),
        writer.facts(memory).expect("facts").heads()
    );
}

/// Makes a change of a memory that its author has no right to make.
fn intrusion(by: &Node, owner: &Node, memory: MemoryId, epoch: Epoch) -> Vec<u8> {
    let header = Header {
        kind: Kind::Change,
        author: by.certificate.device,
        incarnation: Incarnation([7; 16]),
        person: by.person(),
        owner: owner.person(),
        feed: Feed::Memory(memory),
        number: 0,
        previous: None,
        time: Hybrid(1 << 40),
        parents: vec![EventId(memory.0)],
        authority: Vec::new(),
        epoch,
        commitment: Some(Hash([1; 32])),
        packing: Packing::Plain,
    };
    let body = vec![0; 64];
    Event { header, body }.sign(&by.device()).bytes().to_vec()
}

#[test]
fn a_reader_cannot_write_neither_here_nor_by_forging() {
    let [owner, reader] = nodes();
    let memory = owner.create(NOW, "text", &["t"]);
    share(&owner, &reader, Access::Read);
    let refused = reader.edit(NOW, memory, title("mine"));
    assert!(matches!(refused, Err(WriteError::ReadOnly)));
    let content = Content {
        events: vec![intrusion(&reader, &owner, memory, Epoch(0))],
        keys: Vec::new(),
    };
    let taken = take(&reader, &owner, &content);
    assert_eq!((taken.stored, taken.refused[0].1), (0, "not_permitted"));
}

#[test]
fn a_memory_leaves_the_view_with_its_tag_and_returns_with_it() {
    let [owner, grantee] = nodes();
    let memory = owner.create(NOW, "text", &["t"]);
    share(&owner, &grantee, Access::Write);
    assert_eq!(owner.view(grantee.person(), NOW).0.summary().events, 1);
    owner.edit(NOW, memory, tags(&[], &["t"])).expect("edited");
    sync(&owner, &grantee);
    assert_eq!(owner.view(grantee.person(), NOW).0.summary().items, 0);
    let refused = grantee.edit(NOW, memory, title("mine"));
    assert!(matches!(refused, Err(WriteError::ReadOnly)));
    owner.edit(NOW, memory, title("unseen")).expect("edited");
    sync(&owner, &grantee);
    assert_eq!(grantee.content(memory).expect("the copy").title, "title");
    owner.edit(NOW, memory, tags(&["t"], &[])).expect("edited");
    sync(&owner, &grantee);
    assert_eq!(grantee.content(memory), owner.content(memory));
    assert_eq!(grantee.content(memory).expect("content").title, "unseen");
}

#[test]
fn a_secret_memory_is_held_back() {
    let [owner, grantee] = nodes();
    let memory = owner.create(NOW, "text", &["t"]);
    let secret = |level| SidecarPatch {
        sensitivity: Some(level),
        ..SidecarPatch::default()
    };
    owner.label(NOW, memory, secret(Sensitivity::Secret));
    let grant = share(&owner, &grantee, Access::Read);
    assert_eq!(grantee.facts(memory), None);
    let asked = ask(&owner, &grantee, &[EventId(memory.0)], &[(grant, memory)]);
    assert_eq!((asked.memories.len(), asked.withheld), (0, 2));
    owner.label(NOW, memory, secret(Sensitivity::Normal));
    sync(&owner, &grantee);
    assert_eq!(grantee.content(memory), owner.content(memory));
}

#[test]
fn after_a_revocation_nothing_more_can_be_read() {
    let [owner, revoked, other] = nodes();
    let memory = owner.create(NOW, "text", &["t"]);
    let grant = share(&owner, &revoked, Access::Read);
    share(&owner, &other, Access::Read);
    owner.edit(NOW, memory, title("before")).expect("edited");
    sync(&owner, &revoked);
    let epoch = owner.facts(memory).expect("facts").epoch;
    owner.revoke(NOW, grant).expect("revoked");
    owner.edit(NOW, memory, title("after")).expect("edited");
    assert!(
        owner.facts(memory).expect("facts").epoch > epoch,
        "a new key"
    );
    let after = head(&owner, memory);
    let asked = ask(&owner, &revoked, &[after], &[(grant, memory)]);
    assert_eq!((asked.memories.len(), asked.withheld), (0, 2));
    assert!(disclose(&owner, &revoked).is_empty());
    // Even with the bytes in hand: no key here opens them.
    let bytes = owner.store().event(after).expect("reads").expect("there");
    let content = Content {
        events: vec![bytes.bytes().to_vec()],
        keys: Vec::new(),
    };
    assert_eq!(take(&owner, &revoked, &content).refused[0].1, "no_key");
    assert_eq!(revoked.content(memory).expect("the copy").title, "before");
    sync(&owner, &revoked);
    sync(&owner, &other);
    assert_eq!(other.content(memory).expect("content").title, "after");
}

#[test]
fn late_changes_of_a_revoked_writer_are_refused() {
    let [owner, writer, silent] = nodes();
    let memory = owner.create(NOW, "text", &["t"]);
    let grant = share(&owner, &writer, Access::Write);
    let second = share(&owner, &silent, Access::Write);
    writer.edit(NOW, memory, title("in time")).expect("edited");
    sync(&owner, &writer);
    owner.revoke(NOW, grant).expect("revoked");
    owner.revoke(NOW, second).expect("revoked");
    for late in [&writer, &silent] {
        late.edit(NOW, memory, title("late"))
            .expect("not heard of it yet");
        let event = late.store().event(head(late, memory));
        let content = Content {
            events: vec![event.expect("reads").expect("there").bytes().to_vec()],
            keys: Vec::new(),
        };
        let code = take(late, &owner, &content).refused[0].1;
        assert!(matches!(code, "beyond_cut" | "not_permitted"), "{code}");
    }
    assert_eq!(owner.content(memory).expect("content").title, "in time");
}

#[test]
fn a_second_grant_over_the_same_memory_outlives_the_first() {
    let [owner, grantee] = nodes();
    let memory = owner.create(NOW, "text", &["t"]);
    let first = share(&owner, &grantee, Access::Write);
    let events = grantee.facts(memory).expect("facts").events().count();
    share(&owner, &grantee, Access::Write);
    assert_eq!(
        grantee.facts(memory).expect("facts").events().count(),
        events
    );
    owner.revoke(NOW, first).expect("revoked");
    sync(&owner, &grantee);
    owner.edit(NOW, memory, title("still")).expect("edited");
    sync(&owner, &grantee);
    assert_eq!(grantee.content(memory).expect("content").title, "still");
    grantee.edit(NOW, memory, title("mine")).expect("may write");
    sync(&owner, &grantee);
    assert_eq!(owner.content(memory).expect("content").title, "mine");
}

#[test]
fn a_purge_reaches_the_grantee_even_with_changes_they_never_saw() {
    let [owner, grantee] = nodes();
    let memory = owner.create(NOW, "text", &["t"]);
    share(&owner, &grantee, Access::Read);
    owner.edit(NOW, memory, title("unseen")).expect("edited");
    owner
        .store()
        .transact(NOW, |tx| tx.purge(memory))
        .expect("purged");
    assert_eq!(owner.content(memory), None);
    sync(&owner, &grantee);
    assert_eq!(grantee.content(memory), None);
    assert!(grantee.facts(memory).expect("facts").purged);
    for node in [&owner, &grantee] {
        let before = node.snapshot();
        node.store().rebuild(NOW).expect("rebuilt");
        assert_eq!(before, node.snapshot());
    }
}

#[test]
fn a_purge_overtakes_a_memory_that_was_lost_on_the_way() {
    let [owner, grantee] = nodes();
    share(&owner, &grantee, Access::Read);
    let memory = owner.create(NOW, "text", &["t"]);
    assert!(
        !disclose(&owner, &grantee).is_empty(),
        "and the connection breaks"
    );
    let purged = owner.store().transact(NOW, |tx| tx.purge(memory));
    assert_eq!(purged.expect("purged").len(), 1);
    sync(&owner, &grantee);
    assert!(grantee.facts(memory).expect("facts").purged);
}

#[test]
fn a_writer_who_names_an_absurd_key_epoch_costs_nothing() {
    let [owner, writer, reader] = nodes();
    let memory = owner.create(NOW, "text", &["t"]);
    share(&owner, &writer, Access::Write);
    share(&owner, &reader, Access::Read);
    let purged = owner.store().transact(NOW, |tx| tx.purge(memory));
    assert_eq!(purged.expect("purged").len(), 1);
    // Of a purged memory nothing can be opened, so nothing tells that no such key was ever made.
    let content = Content {
        events: vec![intrusion(&writer, &owner, memory, Epoch(u32::MAX))],
        keys: Vec::new(),
    };
    assert_eq!(take(&writer, &owner, &content).stored, 1);
    let events: Vec<EventId> = owner
        .facts(memory)
        .expect("facts")
        .events()
        .map(|event| event.1)
        .collect();
    let grants = owner
        .store()
        .read(|state| state.members[&memory].keys().copied().collect::<Vec<_>>());
    for grant in grants {
        ask(&owner, &reader, &events, &[(grant, memory)]);
    }
    sync(&owner, &reader);
    owner.store().rebuild(NOW).expect("rebuilt");
}

#[test]
fn changes_of_one_writer_reach_the_others_until_the_writer_is_revoked() {
    let [owner, writer, reader] = nodes();
    let memory = owner.create(NOW, "text", &["t"]);
    let grant = share(&owner, &writer, Access::Write);
    share(&owner, &reader, Access::Read);
    let titled = |node: &Node| node.content(memory).expect("content").title;
    writer.edit(NOW, memory, title("one")).expect("edited");
    sync(&owner, &writer);
    sync(&owner, &reader);
    assert_eq!(titled(&reader), "one");
    owner.revoke(NOW, grant).expect("revoked");
    writer
        .edit(NOW, memory, title("late"))
        .expect("not heard of it");
    tell(&owner, &reader);
    // Should the late change reach the reader through the owner's own hands, it is refused.
    let late = writer.store().event(head(&writer, memory));
    let content = Content {
        events: vec![late.expect("reads").expect("there").bytes().to_vec()],
        keys: Vec::new(),
    };
    assert_eq!(
        take(&owner, &reader, &content).refused[0].1,
        "not_permitted"
    );
    // Granting again lets the writer in again, here and there.
    tell(&owner, &writer);
    let again = owner.offer(NOW, writer.person(), "tag:t", Access::Write, None);
    tell(&owner, &writer);
    writer.answer(NOW, again, true).expect("accepted");
    sync(&owner, &writer);
    sync(&owner, &reader);
    assert_eq!(titled(&reader), "late");
}

#[test]
fn a_new_grantee_takes_what_a_revoked_writer_wrote_in_time() {
    let [owner, writer, late] = nodes();
    let memory = owner.create(NOW, "text", &["t"]);
    let other = owner.create(NOW, "not for the new one", &["w"]);
    let grant = share(&owner, &writer, Access::Write);
    let second = owner.offer(NOW, writer.person(), "tag:w", Access::Write, None);
    tell(&owner, &writer);
    writer.answer(NOW, second, true).expect("accepted");
    sync(&owner, &writer);
    writer.edit(NOW, memory, title("in time")).expect("edited");
    writer.edit(NOW, other, title("elsewhere")).expect("edited");
    sync(&owner, &writer);
    owner.revoke(NOW, grant).expect("revoked");
    owner.revoke(NOW, second).expect("revoked");
    share(&owner, &late, Access::Read);
    assert_eq!(late.content(memory).expect("content").title, "in time");
    let consent = owner
        .store()
        .consent_beyond(late.person(), &Frontier::default());
    for event in consent.expect("consent reads") {
        let leaks = event.windows(32).any(|window| window == other.as_bytes());
        assert!(!leaks, "the new grantee hears of a memory outside the view");
    }
}

#[test]
fn content_that_comes_twice_changes_nothing() {
    let [owner, grantee] = nodes();
    let memory = owner.create(NOW, "text", &["t"]);
    let grant = share(&owner, &grantee, Access::Write);
    owner.edit(NOW, memory, title("new")).expect("edited");
    sync(&owner, &grantee);
    let before = grantee.snapshot();
    let events: Vec<EventId> = owner
        .facts(memory)
        .expect("facts")
        .events()
        .map(|e| e.1)
        .collect();
    let again = ask(&owner, &grantee, &events, &[(grant, memory)]);
    for frame in frames(&again) {
        let taken = take(&owner, &grantee, &frame);
        assert_eq!(
            (taken.stored, taken.members, taken.refused.len()),
            (0, 0, 0)
        );
    }
    assert_eq!(before, grantee.snapshot());
}

#[test]
fn content_outside_the_view_is_refused() {
    let [owner, stranger, third] = nodes();
    let memory = owner.create(NOW, "text", &["t"]);
    let root = owner
        .store()
        .event(EventId(memory.0))
        .expect("reads")
        .expect("there");
    let content = Content {
        events: vec![root.bytes().to_vec()],
        keys: Vec::new(),
    };
    assert_eq!(
        take(&owner, &stranger, &content).refused[0].1,
        "not_in_view"
    );
    share(&owner, &stranger, Access::Write);
    assert_eq!(
        take(&stranger, &third, &content).refused[0].1,
        "not_in_view"
    );
}

#[test]
fn the_log_replays_after_a_peer_is_gone() {
    let [mut owner, writer] = nodes();
    let memory = owner.create(NOW, "text", &["t"]);
    share(&owner, &writer, Access::Write);
    writer.edit(NOW, memory, title("theirs")).expect("edited");
    sync(&owner, &writer);
    owner.transact(NOW, |tx| {
        tx.unpair(writer.person());
        Ok(())
    });
    let content = owner.content(memory);
    owner.store().rebuild(NOW).expect("rebuilt");
    owner.reopen(NOW);
    assert_eq!(owner.content(memory), content);
}

#[test]
fn an_expired_grant_gives_nothing() {
    let [owner, grantee] = nodes();
    let memory = owner.create(NOW, "text", &["t"]);
    let end = NOW.plus_ms(10);
    let grant = owner.offer(NOW, grantee.person(), "tag:t", Access::Read, Some(end));
    tell(&owner, &grantee);
    grantee.answer(NOW, grant, true).expect("accepted");
    sync(&owner, &grantee);
    assert!(owner.view(grantee.person(), NOW).0.summary().items > 0);
    for node in [(&owner, &grantee), (&grantee, &owner)] {
        assert_eq!(node.0.view(node.1.person(), end).0.summary().items, 0);
    }
    let asked: Result<_, AppendError> = owner.store().transact(end, |tx| {
        tx.disclose(grantee.person(), &[EventId(memory.0)], &[(grant, memory)])
    });
    assert!(asked.expect("the guard decides").memories.is_empty());
}
