//! A revocation of someone who wrote in more memories than one event can name.

use crate::node::Node;
use crdt::envelope::Epoch;
use crdt::envelope::pack::Packing;
use crdt::event::body::CUTS_MAX;
use crdt::event::{Event, Feed, Header, Incarnation, Kind, Signed};
use crdt::grant::Access;
use crdt::hash::Hash;
use crdt::id::{EventId, MemoryId};
use crdt::time::{Hybrid, Timestamp};

const NOW: Timestamp = Timestamp(1_800_000_000_000);

/// Makes a change of a purged memory, where nothing looks inside: the cheapest of all changes.
fn change(by: &Node, owner: &Node, memory: MemoryId, after: Option<EventId>) -> Signed<Event> {
    let header = Header {
        kind: Kind::Change,
        author: by.certificate.device,
        incarnation: Incarnation([7; 16]),
        person: by.person(),
        owner: owner.person(),
        feed: Feed::Memory(memory),
        number: u64::from(after.is_some()),
        previous: after,
        time: Hybrid(1 << 40),
        parents: vec![EventId(memory.0)],
        authority: Vec::new(),
        epoch: Epoch(0),
        commitment: Some(Hash([1; 32])),
        packing: Packing::Plain,
    };
    let body = vec![0; 64];
    Event { header, body }.sign(&by.device())
}

fn tell(from: &Node, to: &Node) -> Vec<Vec<u8>> {
    let known = to.store().consent_frontier(from.person());
    let events = from.store().consent_beyond(to.person(), &known);
    let events = events.expect("consent reads");
    let taken = to.transact(NOW, |tx| tx.take_consent(from.person(), &events));
    assert_eq!(taken.refused, []);
    events
}

#[test]
fn a_revocation_names_more_memories_than_fit_into_one_event() {
    let [owner, writer] = [0, 1].map(|number| Node::new(number, NOW));
    owner.pair(&writer, NOW);
    writer.pair(&owner, NOW);
    let memories = owner.create_many(NOW, CUTS_MAX + 10, "t");
    let grant = owner.offer(NOW, writer.person(), "tag:t", Access::Write, None);
    tell(&owner, &writer);
    writer.answer(NOW, grant, true).expect("accepted");
    tell(&writer, &owner);
    let members: Vec<_> = memories.iter().map(|memory| (grant, *memory)).collect();
    let given = owner
        .store()
        .transact(NOW, |tx| tx.disclose(writer.person(), &[], &members));
    assert_eq!(given.expect("the guard decides").withheld, 0);
    let purged = owner.store().transact(NOW, |tx| {
        memories
            .iter()
            .try_for_each(|memory| tx.purge(*memory).map(|_| ()))
    });
    purged.expect("purged");
    let written = memories
        .iter()
        .map(|memory| change(&writer, &owner, *memory, None));
    let written: Vec<Signed<Event>> = written.collect();
    let bytes: Vec<Vec<u8>> = written.iter().map(|event| event.bytes().to_vec()).collect();
    let person = writer.person();
    let taken = owner.transact(NOW, |tx| tx.take_content(person, &bytes, &[]));
    assert_eq!(
        (taken.stored as usize, taken.refused),
        (memories.len(), Vec::new())
    );

    owner.revoke(NOW, grant).expect("revoked");
    assert_eq!(
        tell(&owner, &writer).len(),
        2,
        "one revocation in two parts"
    );
    // What came in time counts everywhere, in the first part and in the last; what follows does
    // not, whatever it builds on.
    for event in &written {
        let memory = event.memory().expect("a memory");
        for node in [&owner, &writer] {
            let permit = node.store().read(|state| {
                let header = event.header();
                let writer = (header.person, header.author, header.incarnation);
                let delivered = [grant].into_iter().collect();
                let authority = &state.authority;
                authority.permit(header.owner, writer, memory, &delivered)
            });
            let up_to = crdt::grant::authority::Permit::UpTo(0, event.id());
            assert_eq!(permit, up_to);
        }
    }
    let late = [written.first(), written.last()].map(|event| {
        let event = event.expect("there are many");
        let memory = event.memory().expect("a memory");
        let late = change(&writer, &owner, memory, Some(event.id()));
        late.bytes().to_vec()
    });
    let taken = owner.transact(NOW, |tx| tx.take_content(person, &late, &[]));
    let codes: Vec<&str> = taken.refused.iter().map(|(_, code)| *code).collect();
    assert_eq!(codes, ["beyond_cut"; 2]);
    let before = owner.snapshot();
    owner.store().rebuild(NOW).expect("rebuilt");
    assert_eq!(before, owner.snapshot());
}
