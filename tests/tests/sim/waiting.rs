//! Events that come before what they build on wait, within bounds; nothing is lost or stuck.

use crate::driver::frames;
use crate::hostile::{Forger, orphans};
use crate::node::Node;
use crate::wired::{NOW, ask, assert_same_view, nodes, share, sync, tell, title};
use crdt::event::{Event, Signed};
use crdt::grant::Access;
use crdt::id::MemoryId;
use crdt::time::Timestamp;
use protocol::limits::FRAME_EVENTS_MAX;
use protocol::wire::content::Content;
use storage::tx::Taken;
use storage::waiting::{WAITING_EVENTS_MAX, WAITING_KEPT_MS};

fn scene() -> ([Node; 3], MemoryId) {
    let [owner, writer, other] = nodes();
    let memory = owner.create(NOW, "text", &["t"]);
    share(&owner, &writer, Access::Write);
    share(&owner, &other, Access::Write);
    ([owner, writer, other], memory)
}

fn bring(from: &Node, to: &Node, events: &[&Signed<Event>], now: Timestamp) -> Taken {
    let events: Vec<_> = events.iter().map(|event| event.bytes().to_vec()).collect();
    to.transact(now, |tx| tx.take_content(from.person(), &events, &[]))
}

fn waits(at: &Node, of: &Node) -> usize {
    at.store().read(|state| state.waiting(of.person()).events)
}

#[test]
fn what_comes_in_the_wrong_order_is_taken_when_the_first_comes() {
    let ([owner, writer, _], memory) = scene();
    let mut forger = Forger::new(&writer, memory, 60);
    let [first, second, third] = ["c", "b", "a"].map(|text| forger.write(text));
    for late in [&third, &second] {
        let taken = bring(&writer, &owner, &[late], NOW);
        assert_eq!((taken.stored, taken.waiting), (0, 1));
    }
    assert_eq!(waits(&owner, &writer), 2);
    assert_eq!(owner.content(memory).expect("content").body, "text");
    let taken = bring(&writer, &owner, &[&first], NOW);
    assert_eq!(
        (taken.stored, taken.refused),
        (3, Vec::new()),
        "one transaction"
    );
    assert_eq!(owner.content(memory).expect("content").body, "abctext");
    assert_eq!(waits(&owner, &writer), 0);
    // In one frame turned around it is the same.
    let mut forger = Forger::new(&writer, memory, 61);
    let [first, second] = ["y", "x"].map(|text| forger.write(text));
    let taken = bring(&writer, &owner, &[&second, &first], NOW);
    assert_eq!((taken.stored, taken.refused), (2, Vec::new()));
}

#[test]
fn a_memorys_changes_may_come_before_its_root() {
    let [owner, reader, _] = nodes();
    let grant = share(&owner, &reader, Access::Read);
    let memory = owner.create(NOW, "text", &["t"]);
    owner.edit(NOW, memory, title("edited")).expect("edited");
    let events: Vec<_> = owner.facts(memory).expect("facts").events().collect();
    let ids: Vec<_> = events.iter().map(|(_, id)| *id).collect();
    let asked = ask(&owner, &reader, &ids, &[(grant, memory)]);
    tell(&owner, &reader);
    let mut frame = frames(&asked).remove(0);
    frame.events.reverse();
    let taken = reader.transact(NOW, |tx| {
        tx.take_content(owner.person(), &frame.events, &frame.keys)
    });
    assert_eq!((taken.stored, taken.refused), (2, Vec::new()));
    assert_eq!(reader.content(memory), owner.content(memory));
    assert_same_view(&owner, &reader);
}

#[test]
fn a_flood_of_orphans_costs_its_sender_and_nobody_else() {
    let ([owner, hostile, other], memory) = scene();
    let mut honest = Forger::new(&other, memory, 60);
    let [first, second] = ["b", "a"].map(|text| honest.write(text));
    bring(&other, &owner, &[&second], NOW);
    let rows = owner.row_count();
    let frame = u32::try_from(FRAME_EVENTS_MAX).expect("small");
    let floods = 2 + WAITING_EVENTS_MAX / FRAME_EVENTS_MAX;
    let all = orphans(
        &hostile,
        memory,
        frame * u32::try_from(floods).expect("few"),
    );
    for events in all.events.chunks(FRAME_EVENTS_MAX) {
        let content = Content {
            events: events.to_vec(),
            keys: Vec::new(),
        };
        let taken = crate::wired::take(&hostile, &owner, &content);
        assert_eq!(taken.stored, 0);
    }
    assert_eq!(owner.row_count(), rows, "not a row was written");
    let share = owner.store().read(|state| state.waiting(hostile.person()));
    assert_eq!(share.events, WAITING_EVENTS_MAX);
    assert_eq!(
        usize::try_from(share.dropped).expect("few"),
        all.events.len() - WAITING_EVENTS_MAX
    );
    // What another peer sent still waits, and is taken.
    assert_eq!(bring(&other, &owner, &[&first], NOW).stored, 2);
    // After its time nothing of the flood is left.
    let later = NOW.plus_ms(WAITING_KEPT_MS);
    bring(&other, &owner, &[], later);
    assert_eq!(waits(&owner, &hostile), 0);
}

#[test]
fn what_waited_in_vain_is_found_again_by_reconciliation() {
    let ([mut owner, writer, _], memory) = scene();
    writer.edit(NOW, memory, title("one")).expect("edited");
    writer.edit(NOW, memory, title("two")).expect("edited");
    let last = crate::wired::head(&writer, memory);
    let last = writer.store().event(last).expect("reads").expect("there");
    bring(&writer, &owner, &[&last], NOW);
    assert_eq!(waits(&owner, &writer), 1);
    // It waits in memory only: a restart forgets it, and the next session brings both.
    owner.reopen(NOW);
    assert_eq!(waits(&owner, &writer), 0);
    sync(&owner, &writer);
    assert_eq!(owner.content(memory).expect("content").title, "two");
}
