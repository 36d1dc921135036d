//! After a revocation: what the revoked person can open of what is sent from then on.
//!
//! The [adversary] holds every byte that the owner ever sent to anyone, which is more than any
//! mailbox holds, and every key that the revoked person's node ever had. Of what is sent after
//! the owner revoked, nothing may open.

mod adversary;

use crate::driver::{End, frames};
use crate::node::{Node, Reference};
use adversary::{Adversary, Wire};
use crdt::codec::Canonical as _;
use crdt::event::body::Answer;
use crdt::event::{Event, Kind, Signed};
use crdt::grant::Access;
use crdt::id::{EventId, GrantId, MemoryId};
use crdt::memory::Edit;
use crdt::time::Timestamp;
use protocol::session::{Input, Role};
use protocol::wire::content::Content;
use storage::store::query::Frontier;

const NOW: Timestamp = Timestamp(1_800_000_000_000);

/// An owner, the one who will be revoked, one who stays, and one who comes later.
struct Scene {
    owner: Node,
    revoked: Node,
    stays: Node,
    late: Node,
    wire: Wire,
    memory: MemoryId,
    grant: GrantId,
}

fn title(title: &str) -> Edit {
    Edit {
        title: Some(title.to_owned()),
        ..Edit::default()
    }
}

impl Scene {
    /// Shares a memory for writing with the first two.
    fn new() -> Self {
        let [owner, revoked, stays, late] = [0, 1, 2, 3].map(|number| Node::new(number, NOW));
        for peer in [&revoked, &stays, &late] {
            owner.pair(peer, NOW);
            peer.pair(&owner, NOW);
        }
        let memory = owner.create(NOW, "text", &["t"]);
        let mut scene = Self {
            grant: owner.offer(NOW, revoked.person(), "tag:t", Access::Write, None),
            owner,
            revoked,
            stays,
            late,
            wire: Wire::default(),
            memory,
        };
        let grant = scene.offer(|scene| &scene.stays);
        scene.accept(scene.grant, |scene| &scene.revoked);
        scene.accept(grant, |scene| &scene.stays);
        scene
    }

    fn offer(&self, to: impl Fn(&Self) -> &Node) -> GrantId {
        let person = to(self).person();
        self.owner.offer(NOW, person, "tag:t", Access::Write, None)
    }

    fn accept(&mut self, grant: GrantId, who: impl Fn(&Self) -> &Node) {
        self.tell(&who);
        who(self).answer(NOW, grant, true).expect("accepted");
        self.sync(who);
    }

    /// Sends the owner's consent events to a peer.
    fn tell(&mut self, to: impl Fn(&Self) -> &Node) {
        let (owner, peer) = (&self.owner, to(self));
        let known = peer.store().consent_frontier(owner.person());
        let events = owner.store().consent_beyond(peer.person(), &known);
        let events = events.expect("consent reads");
        peer.transact(NOW, |tx| tx.take_consent(owner.person(), &events));
        self.wire.consent.extend(events);
    }

    /// Takes a peer's consent events and what they wrote; returns why some was refused.
    fn hear(&self, from: impl Fn(&Self) -> &Node) -> Vec<&'static str> {
        let (owner, peer) = (&self.owner, from(self));
        let known = owner.store().consent_frontier(peer.person());
        let events = peer.store().consent_beyond(owner.person(), &known);
        let events = events.expect("consent reads");
        owner.transact(NOW, |tx| tx.take_consent(peer.person(), &events));
        let mut refused = Vec::new();
        for frame in lacking(peer, owner) {
            let taken = owner.transact(NOW, |tx| {
                tx.take_content(peer.person(), &frame.events, &frame.keys)
            });
            refused.extend(taken.refused.into_iter().map(|(_, code)| code));
        }
        refused
    }

    /// Sends what the owner may send to a peer now.
    fn send(&mut self, to: impl Fn(&Self) -> &Node) -> Vec<Content> {
        let sent = lacking(&self.owner, to(self));
        self.tell(&to);
        let person = to(self).person();
        self.wire.content(person, &sent);
        sent
    }

    fn sync(&mut self, with: impl Fn(&Self) -> &Node) {
        self.tell(&with);
        self.hear(&with);
        for frame in self.send(&with) {
            let owner = self.owner.person();
            let taken =
                with(self).transact(NOW, |tx| tx.take_content(owner, &frame.events, &frame.keys));
            assert_eq!(taken.refused, []);
        }
    }

    /// From here on, everything that leaves is held against the owner.
    fn revoke(&mut self) {
        self.owner.revoke(NOW, self.grant).expect("revoked");
        self.wire.mark(&self.owner);
    }

    fn titles(&self) -> [String; 2] {
        [&self.revoked, &self.stays].map(|node| title_at(node, self.memory))
    }

    fn edit(&self, who: &Node, text: &str) {
        who.edit(NOW, self.memory, title(text)).expect("edited");
    }

    /// Asks the owner, as the revoked person, for everything there is.
    fn ask_for_everything(&mut self) {
        let (owner, revoked) = (&self.owner, &self.revoked);
        let (events, members) = owner.store().read(|state| {
            let of_all = state.memories.values();
            let events = of_all.flat_map(|facts| facts.events().map(|event| event.1));
            let members = state.members.iter();
            let members =
                members.flat_map(|(memory, grants)| grants.keys().map(|grant| (*grant, *memory)));
            (events.collect::<Vec<_>>(), members.collect::<Vec<_>>())
        });
        let asked = disclose(owner, revoked, &events, &members);
        assert_eq!(asked.len(), 0, "content left for a revoked person");
    }

    /// Nothing that was written or sealed since the revocation opens, whoever it went to; to the
    /// revoked person not even what does not open was sent.
    fn assert_nothing_opens(&self) {
        let loot = self.loot();
        assert!(loot.tries > 0, "nothing was sent, so nothing was tried");
        assert_eq!(loot.bodies, [], "a body opened");
    }

    fn loot(&self) -> adversary::Loot {
        let direct = self.wire.after(Some(self.revoked.person()));
        assert_eq!(direct.count(), 0, "content left for a revoked person");
        let adversary = Adversary::of(&self.revoked, &self.wire);
        let old = self.wire.before().find_map(|frame| frame.events.first());
        assert!(adversary.reads(old.expect("it was shared")), "no attack");
        let loot = adversary.attack(&self.wire);
        assert_eq!(loot.keys, 0, "a key opened");
        loot
    }
}

/// Returns frames with everything that one may give and the other lacks.
fn lacking(from: &Node, to: &Node) -> Vec<Content> {
    let (mine, index) = from.view(to.person(), NOW);
    let (theirs, _) = to.view(from.person(), NOW);
    let (mut events, mut members) = (Vec::new(), Vec::new());
    for item in mine.without(&theirs) {
        match index.get(&item.id).expect("an item of the view") {
            Reference::Event(event) => events.push(*event),
            Reference::Member(grant, memory) => members.push((*grant, *memory)),
        }
    }
    disclose(from, to, &events, &members)
}

fn disclose(
    from: &Node,
    to: &Node,
    events: &[EventId],
    members: &[(GrantId, MemoryId)],
) -> Vec<Content> {
    let disclosure = from
        .store()
        .transact(NOW, |tx| tx.disclose(to.person(), events, members));
    frames(&disclosure.expect("the guard decides"))
}

#[test]
fn zero_openable_bytes_under_partition() {
    let mut scene = Scene::new();
    scene.revoke();
    for text in ["one", "two"] {
        scene.edit(&scene.owner, text);
        scene.sync(|scene| &scene.stays);
    }
    // The revoked person comes back, has heard nothing, and asks for everything.
    scene.ask_for_everything();
    assert_eq!(scene.send(|scene| &scene.revoked).len(), 0);
    scene.hear(|scene| &scene.revoked);
    scene.ask_for_everything();
    scene.assert_nothing_opens();
    assert_eq!(scene.titles(), ["title", "two"]);
}

#[test]
fn zero_openable_bytes_under_concurrent_edits() {
    let mut scene = Scene::new();
    scene.edit(&scene.revoked, "in time");
    assert_eq!(scene.hear(|scene| &scene.revoked), [""; 0]);
    scene.sync(|scene| &scene.stays);
    scene.revoke();
    // Both write on, and neither has heard of it.
    scene.edit(&scene.revoked, "late");
    scene.edit(&scene.stays, "concurrent");
    let concurrent = scene.stays.facts(scene.memory).expect("facts").heads()[0];
    let refused = scene.hear(|scene| &scene.revoked);
    assert_eq!(refused.last(), Some(&"beyond_cut"), "{refused:?}");
    assert_eq!(scene.hear(|scene| &scene.stays), [""; 0]);
    assert_eq!(scene.send(|scene| &scene.revoked).len(), 0);
    let grant = scene.offer(|scene| &scene.late);
    scene.accept(grant, |scene| &scene.late);
    // Sealed by someone who could not know: it goes to others only, never to the revoked person.
    let loot = scene.loot();
    assert_eq!(loot.bodies, [concurrent]);
    // The owner's next change takes a new key, and everyone writes under it from then on.
    scene.edit(&scene.owner, "after");
    scene.sync(|scene| &scene.stays);
    scene.edit(&scene.stays, "later still");
    scene.hear(|scene| &scene.stays);
    scene.sync(|scene| &scene.late);
    scene.ask_for_everything();
    let loot = scene.loot();
    assert_eq!(loot.bodies, [concurrent], "and nothing more");
    let content = scene.late.content(scene.memory).expect("a copy");
    assert_eq!(content.title, "later still");
}

#[test]
fn zero_openable_bytes_after_a_replayed_grant() {
    let mut scene = Scene::new();
    let (owner, revoked) = (scene.owner.person(), scene.revoked.person());
    let said = scene.revoked.store();
    let said = said.consent_beyond(owner, &Frontier::default());
    let said = said.expect("consent reads");
    scene.revoke();
    scene.edit(&scene.owner, "after");
    let take = |events: &[Vec<u8>]| {
        let owner = &scene.owner;
        owner.transact(NOW, |tx| tx.take_consent(revoked, events))
    };
    assert_eq!(take(&said).stored, 0, "an old yes counted again");
    // A fresh yes to the same grant is a true event by a party of it, and changes nothing.
    let read = said.iter().map(|bytes| Signed::from_bytes(bytes));
    let mut yes = read.filter_map(|event| event.ok().filter(is_yes));
    let yes = yes.next().expect("they said yes");
    let mut header = yes.header().clone();
    header.previous = Some(yes.id());
    header.number += 1;
    let grant = scene.grant;
    let body = Answer { grant }.to_bytes();
    let fresh = Event { header, body }.sign(&scene.revoked.device());
    assert_eq!(take(&[fresh.bytes().to_vec()]).stored, 1);
    scene.ask_for_everything();
    assert_eq!(scene.send(|scene| &scene.revoked).len(), 0);
    scene.sync(|scene| &scene.stays);
    scene.assert_nothing_opens();
}

fn is_yes(event: &Signed<Event>) -> bool {
    event.header().kind == Kind::Acceptance
}

#[test]
fn zero_openable_bytes_with_a_stale_mailbox() {
    let mut scene = Scene::new();
    // Sent before the revocation, and held up on the way.
    scene.edit(&scene.owner, "before");
    let held_up = scene.send(|scene| &scene.revoked);
    assert!(!held_up.is_empty());
    scene.revoke();
    scene.edit(&scene.owner, "after");
    scene.sync(|scene| &scene.stays);
    // The mailbox hands over what it had, twice; what came out before the revocation is theirs.
    let owner = scene.owner.person();
    for frame in held_up.iter().chain(&held_up) {
        scene
            .revoked
            .transact(NOW, |tx| tx.take_content(owner, &frame.events, &frame.keys));
    }
    scene.ask_for_everything();
    scene.assert_nothing_opens();
    assert_eq!(scene.titles(), ["before", "after"]);
    // Once they heard of the revocation, even that opens no more in an honest node.
    scene.tell(|scene| &scene.revoked);
    for frame in &held_up {
        let again = scene
            .revoked
            .transact(NOW, |tx| tx.take_content(owner, &frame.events, &frame.keys));
        assert_eq!((again.stored, again.members), (0, 0));
    }
}

#[test]
fn zero_openable_bytes_in_collusion_with_a_mailbox() {
    let mut scene = Scene::new();
    scene.revoke();
    // A new grantee gets the whole memory, old and new, and a new memory is made and shared.
    scene.edit(&scene.owner, "after");
    let other = scene.owner.create(NOW, "made afterwards", &["t"]);
    let grant = scene.offer(|scene| &scene.late);
    scene.accept(grant, |scene| &scene.late);
    scene.sync(|scene| &scene.stays);
    // One who stays writes under the new key, and that goes to the other.
    scene.edit(&scene.stays, "by another");
    assert_eq!(scene.hear(|scene| &scene.stays), [""; 0]);
    scene.sync(|scene| &scene.late);
    // The one who was revoked is handed all of it by the mailbox.
    let everything: Vec<Content> = scene.wire.after(None).cloned().collect();
    let owner = scene.owner.person();
    for frame in &everything {
        scene
            .revoked
            .transact(NOW, |tx| tx.take_content(owner, &frame.events, &frame.keys));
    }
    scene.assert_nothing_opens();
    assert_eq!(scene.revoked.content(other), None);
    assert_eq!(scene.titles(), ["title", "by another"]);
}

#[test]
fn revoking_one_leaves_the_others_reading_and_writing() {
    let mut scene = Scene::new();
    scene.revoke();
    // At once, with no edit by the owner between: the other writes, the owner reads.
    scene.edit(&scene.stays, "still here");
    assert_eq!(scene.hear(|scene| &scene.stays), [""; 0]);
    assert_eq!(title_at(&scene.owner, scene.memory), "still here");
    scene.edit(&scene.owner, "and I");
    scene.sync(|scene| &scene.stays);
    assert_eq!(title_at(&scene.stays, scene.memory), "and I");
}

#[test]
fn a_new_grantee_opens_everything_as_soon_as_it_arrived() {
    let mut scene = Scene::new();
    scene.edit(&scene.revoked, "under the first key");
    assert_eq!(scene.hear(|scene| &scene.revoked), [""; 0]);
    scene.revoke();
    scene.edit(&scene.owner, "under the second key");
    let grant = scene.offer(|scene| &scene.late);
    scene.accept(grant, |scene| &scene.late);
    assert_eq!(
        scene.late.content(scene.memory),
        scene.owner.content(scene.memory)
    );
    assert_eq!(title_at(&scene.late, scene.memory), "under the second key");
}

fn title_at(node: &Node, memory: MemoryId) -> String {
    node.content(memory).expect("a copy").title
}

/// Memories on the way when the revocation comes: more than fit into the window of frames.
const ON_THE_WAY: usize = 1_400;

#[test]
fn zero_bytes_from_a_revocation_at_any_point_of_a_transfer() {
    let mut cut_short = 0;
    for point in 0.. {
        let [owner, grantee] = [0, 1].map(|number| Node::new(number, NOW));
        owner.pair(&grantee, NOW);
        grantee.pair(&owner, NOW);
        owner.create_many(NOW, ON_THE_WAY, "t");
        let grant = owner.offer(NOW, grantee.person(), "tag:t", Access::Read, None);
        let mut ends = [
            End::new(Role::Initiator, &owner, &grantee, [1; 16]),
            End::new(Role::Responder, &grantee, &owner, [2; 16]),
        ];
        let nodes = [&owner, &grantee];
        for side in [0, 1] {
            ends[side].handle(nodes[side], Input::Started, NOW);
        }
        // Up to the yes, everything goes; from then on, frame by frame.
        while deliver(&mut ends, nodes) {}
        grantee.answer(NOW, grant, true).expect("accepted");
        ends[1].refresh(&grantee, NOW);
        let is_done = !(0..point).all(|_| deliver(&mut ends, nodes));
        owner.revoke(NOW, grant).expect("revoked");
        let sent = ends[0].disclosed.len();
        ends[0].refresh(&owner, NOW);
        while deliver(&mut ends, nodes) {}
        assert_eq!(ends[0].disclosed.len(), sent, "content left at {point}");
        assert_eq!(owner.view(grantee.person(), NOW).0.summary().items, 0);
        cut_short += usize::from(sent > 0 && sent < ON_THE_WAY);
        if is_done {
            break;
        }
    }
    assert!(cut_short > 1, "the revocation never came in between");
}

/// Delivers one frame of each side; tells whether there was any.
fn deliver(ends: &mut [End; 2], nodes: [&Node; 2]) -> bool {
    let mut is_any = false;
    for side in [0, 1] {
        if ends[side].out.is_empty() {
            continue;
        }
        let frame = ends[side].out.remove(0);
        ends[1 - side].receive(nodes[1 - side], &frame, NOW);
        if std::mem::take(&mut ends[1 - side].changed) {
            ends[1 - side].refresh(nodes[1 - side], NOW);
        }
        is_any = true;
    }
    is_any
}
