//! Several devices of one person, wired directly: joining, retiring one, coming back from words.

use crate::driver::frames;
use crate::node::{Node, Reference};
use crdt::event::{Event, Feed, Header, Kind};
use crdt::grant::Access;
use crdt::id::{DeviceId, EventId, GrantId, MemoryId};
use crdt::identity::{DeviceKey, PersonKey};
use crdt::memory::Edit;
use crdt::sidecar::SidecarPatch;
use crdt::time::{Hybrid, Timestamp};
use protocol::wire::content::Content;
use storage::tx::{RetireError, Taken};

const NOW: Timestamp = Timestamp(1_800_000_000_000);
/// The seed of the root key of node 0.
const ROOT: u8 = 101;

pub(crate) fn later(seconds: u64) -> Timestamp {
    NOW.plus_ms(seconds * 1_000)
}

/// Two persons who are paired: one whose devices multiply, and a friend.
pub(crate) fn persons() -> [Node; 2] {
    let [phone, friend] = [Node::new(0, NOW), Node::new(1, NOW)];
    phone.pair(&friend, NOW);
    friend.pair(&phone, NOW);
    [phone, friend]
}

fn greet(one: &Node, other: &Node) {
    for (here, there) in [(one, other), (other, one)] {
        here.transact(NOW, |tx| {
            tx.greet_own(&there.certificate, Vec::new());
            Ok(())
        });
    }
}

/// Makes a new machine one of a person's devices.
pub(crate) fn join(host: &Node, seed: u8) -> Node {
    let device = DeviceKey::from_seed(&[seed; 32]);
    let shown = PersonKey::from_seed(&[250; 32]).certify(&device, NOW);
    let name = Some(format!("d{seed}"));
    let certificate = host
        .store()
        .transact(later(1), |tx| tx.enrol_device(&shown, name));
    let node = Node::of(seed, certificate.expect("certified"), None, later(1));
    greet(host, &node);
    node
}

/// Hands on the consent events that the other side lacks.
pub(crate) fn tell(from: &Node, to: &Node) -> Taken {
    let known = to.store().consent_frontier(from.person());
    let events = from.store().consent_beyond(to.person(), &known);
    let events = events.expect("consent reads");
    to.transact(later(5), |tx| tx.take_consent(from.person(), &events))
}

/// Returns the frames with everything that `from` may give and `to` lacks.
fn disclose(from: &Node, to: &Node) -> Vec<Content> {
    let (mine, index) = from.view(to.person(), later(5));
    let (theirs, _) = to.view(from.person(), later(5));
    let (mut events, mut members) = (Vec::new(), Vec::new());
    for item in mine.without(&theirs) {
        match index.get(&item.id).expect("an item of the view") {
            Reference::Event(event) => events.push(*event),
            Reference::Member(grant, memory) => members.push((*grant, *memory)),
        }
    }
    let disclosed = from
        .store()
        .transact(later(5), |tx| tx.disclose(to.person(), &events, &members));
    frames(&disclosed.expect("the guard decides"))
}

pub(crate) fn take(from: &Node, to: &Node, content: &Content) -> Taken {
    to.transact(later(5), |tx| {
        tx.take_content(from.person(), &content.events, &content.keys)
    })
}

/// Exchanges everything both ways, as a session does, and returns what was refused.
pub(crate) fn exchange(one: &Node, other: &Node) -> Vec<&'static str> {
    let mut refused = Vec::new();
    for _ in 0..2 {
        for (from, to) in [(one, other), (other, one)] {
            refused.extend(tell(from, to).refused);
        }
    }
    for (from, to) in [(one, other), (other, one)] {
        let frames = disclose(from, to);
        refused.extend(tell(from, to).refused);
        for frame in &frames {
            refused.extend(take(from, to, frame).refused);
        }
    }
    for (from, to) in [(one, other), (other, one)] {
        refused.extend(tell(from, to).refused);
    }
    refused.into_iter().map(|(_, code)| code).collect()
}

/// Brings everything one way, as a device does that nobody answers.
fn bring(from: &Node, to: &Node) {
    tell(from, to);
    for frame in &disclose(from, to) {
        take(from, to, frame);
    }
}

/// Exchanges everything; nothing may be refused and both must have the same.
pub(crate) fn sync(one: &Node, other: &Node) {
    assert_eq!(exchange(one, other), [""; 0]);
    let (mine, _) = one.view(other.person(), later(5));
    let (theirs, _) = other.view(one.person(), later(5));
    assert_eq!(mine, theirs);
}

pub(crate) fn share(owner: &Node, grantee: &Node) -> GrantId {
    let grant = owner.offer(NOW, grantee.person(), "tag:t", Access::Write, None);
    tell(owner, grantee);
    grantee.answer(NOW, grant, true).expect("accepted");
    sync(owner, grantee);
    grant
}

fn title(title: &str) -> Edit {
    Edit {
        title: Some(title.to_owned()),
        ..Edit::default()
    }
}

fn titled(node: &Node, memory: MemoryId) -> Option<String> {
    node.content(memory).map(|content| content.title)
}

fn space(name: &str) -> SidecarPatch {
    SidecarPatch {
        space: Some(name.to_owned()),
        ..SidecarPatch::default()
    }
}

fn event_bytes(node: &Node, id: EventId) -> Vec<u8> {
    let event = node.store().event(id).expect("reads").expect("there");
    event.bytes().to_vec()
}

fn content(events: Vec<Vec<u8>>) -> Content {
    Content {
        events,
        keys: Vec::new(),
    }
}

fn retire(by: &Node, device: DeviceId) -> Result<(), RetireError> {
    by.store().transact(later(9), |tx| tx.retire(device, None))
}

fn device(node: &Node) -> DeviceId {
    node.certificate.device
}

/// What two devices of one person must agree on, wherever it is kept.
fn picture(node: &Node) -> String {
    node.store().read(|state| {
        let memories = state.memories.values().map(|facts| {
            let mut events: Vec<EventId> = facts.events().map(|e| e.1).collect();
            events.sort_unstable();
            let content = node.content(facts.id);
            let labels = (&facts.tags, &facts.sidecar, facts.purged, facts.status);
            format!("{:?} {events:?} {labels:?} {content:?}", facts.id)
        });
        let memories: Vec<String> = memories.collect();
        let grants: Vec<String> = state
            .authority
            .grants()
            .map(|grant| format!("{:?} {:?}", grant.id, grant.state(NOW)))
            .collect();
        let peers: Vec<String> = state
            .peers
            .values()
            .map(|peer| format!("{} {:?}", peer.petname, peer.state))
            .collect();
        format!("{memories:#?} {grants:?} {peers:?} {:?}", state.members)
    })
}

#[test]
fn a_device_that_joins_gets_everything_and_takes_nothing_away() {
    let [phone, friend] = persons();
    let theirs = friend.create(NOW, "theirs", &["t"]);
    share(&friend, &phone);
    let shared = phone.create(NOW, "shared", &["t"]);
    let private = phone.create(NOW, "private", &[]);
    let gone = phone.create(NOW, "gone", &["t"]);
    phone.label(NOW, private, space("attic"));
    share(&phone, &friend);
    friend
        .edit(NOW, shared, title("by the friend"))
        .expect("edited");
    phone
        .edit(NOW, theirs, title("by the phone"))
        .expect("edited");
    sync(&phone, &friend);
    let purged = phone.store().transact(NOW, |tx| tx.purge(gone));
    purged.expect("purged");
    let before = picture(&phone);
    let laptop = join(&phone, 30);
    sync(&phone, &laptop);
    assert_eq!(picture(&phone), before, "the old device lost something");
    assert_eq!(picture(&laptop), before);
    laptop.store().rebuild(later(6)).expect("rebuilt");
    assert_eq!(picture(&laptop), before, "a rebuild changed something");
    // It reads, writes, labels and shares like the first one.
    laptop
        .edit(later(2), shared, title("by the laptop"))
        .expect("edited");
    laptop
        .edit(later(2), theirs, title("also by it"))
        .expect("a grant is for the person");
    laptop.label(later(2), private, space("cellar"));
    friend.pair(&laptop, later(2));
    sync(&laptop, &friend);
    sync(&laptop, &phone);
    for node in [&phone, &laptop, &friend] {
        assert_eq!(titled(node, shared).as_deref(), Some("by the laptop"));
        assert_eq!(titled(node, theirs).as_deref(), Some("also by it"));
    }
    assert_eq!(picture(&phone), picture(&laptop));
    sync(&phone, &friend);
    // What the friend never got from the phone comes from the laptop alone.
    let new = laptop.create(later(3), "new", &["t"]);
    sync(&laptop, &friend);
    assert_eq!(friend.content(new), laptop.content(new));
}

#[test]
fn peers_and_grants_of_one_device_are_those_of_all() {
    let [phone, friend] = persons();
    let laptop = join(&phone, 30);
    sync(&phone, &laptop);
    let other = Node::new(2, NOW);
    laptop.pair(&other, later(2));
    other.pair(&laptop, later(2));
    let memory = phone.create(later(2), "text", &["t"]);
    sync(&phone, &laptop);
    assert!(phone.store().read(|state| state.is_paired(other.person())));
    // One device offers, the other one serves, and the other one takes it back.
    let grant = share(&laptop, &other);
    sync(&phone, &laptop);
    other.pair(&phone, later(3));
    phone
        .edit(later(3), memory, title("served"))
        .expect("edited");
    sync(&phone, &other);
    assert_eq!(titled(&other, memory).as_deref(), Some("served"));
    phone.revoke(later(4), grant).expect("revoked");
    sync(&phone, &laptop);
    laptop
        .edit(later(4), memory, title("after"))
        .expect("edited");
    tell(&laptop, &other);
    sync(&laptop, &other);
    assert_eq!(titled(&other, memory).as_deref(), Some("served"));
    phone.transact(later(4), |tx| {
        tx.unpair(friend.person());
        Ok(())
    });
    sync(&phone, &laptop);
    assert!(
        !laptop
            .store()
            .read(|state| state.is_paired(friend.person()))
    );
}

/// Tells whether a node knows a device, and so lets it in.
fn lets_in(node: &Node, device: DeviceId) -> bool {
    node.store()
        .read(|state| state.authority.device(&device).is_some())
}

#[test]
fn friends_know_a_device_that_never_wrote_anything() {
    let [phone, friend] = persons();
    let laptop = join(&phone, 30);
    tell(&phone, &friend);
    assert!(lets_in(&friend, device(&laptop)), "it was there already");
    // Whoever is paired later, by either device, hears of the other one.
    sync(&phone, &laptop);
    let [late, later_still] = [2, 3].map(|seed| Node::new(seed, NOW));
    for (host, new) in [(&laptop, &late), (&phone, &later_still)] {
        host.pair(new, later(2));
        new.pair(host, later(2));
        sync(&phone, &laptop);
        tell(host, new);
    }
    assert!(lets_in(&late, device(&phone)), "paired by the laptop");
    assert!(
        lets_in(&later_still, device(&laptop)),
        "paired by the phone"
    );
    // A friend whom another device met, by a device that this one did not know then.
    let tablet = join(&phone, 31);
    let last = Node::new(4, NOW);
    laptop.pair(&last, later(3));
    last.pair(&laptop, later(3));
    sync(&phone, &laptop);
    tell(&laptop, &last);
    assert!(
        lets_in(&last, device(&tablet)),
        "met before they knew of each other"
    );
    // Nothing is said twice.
    let events = |friend: &Node| {
        let frontier = phone.store().consent_frontier(friend.person());
        frontier.values().sum::<u64>()
    };
    let before = events(&friend);
    phone.transact(later(4), |tx| {
        tx.note_contact(friend.person(), friend.certificate.device, Vec::new());
        Ok(())
    });
    assert_eq!(events(&friend), before);
    assert!(!lets_in(&Node::new(5, NOW), device(&laptop)));
}

#[test]
fn two_devices_that_draw_a_key_for_the_same_epoch_read_each_other() {
    let [phone, friend] = persons();
    let laptop = join(&phone, 30);
    let memory = phone.create(NOW, "text", &["t"]);
    let grant = share(&phone, &friend);
    sync(&phone, &laptop);
    phone.revoke(later(2), grant).expect("revoked");
    sync(&phone, &laptop);
    phone.edit(later(3), memory, title("one")).expect("edited");
    laptop.edit(later(3), memory, title("two")).expect("edited");
    sync(&phone, &laptop);
    assert_eq!(picture(&phone), picture(&laptop));
}

/// The events of a device after the moment of the theft, as its thief would bring them.
struct Loot {
    events: Vec<EventId>,
}

/// A phone, a laptop that was stolen, a tablet, and a friend; all have what was before.
fn theft() -> ([Node; 4], MemoryId, Loot) {
    let [phone, friend] = persons();
    let (laptop, tablet) = (join(&phone, 30), join(&phone, 31));
    let memory = phone.create(NOW, "text", &["t"]);
    share(&phone, &friend);
    for _ in 0..2 {
        sync(&phone, &laptop);
        sync(&phone, &tablet);
    }
    friend.pair(&laptop, later(2));
    friend.pair(&tablet, later(2));
    laptop
        .edit(later(2), memory, title("in time"))
        .expect("edited");
    sync(&laptop, &phone);
    sync(&phone, &tablet);
    sync(&phone, &friend);
    laptop
        .edit(later(3), memory, title("late"))
        .expect("edited");
    let late = laptop.facts(memory).expect("facts").heads();
    let events = late;
    ([phone, laptop, tablet, friend], memory, Loot { events })
}

#[test]
fn what_a_retired_device_writes_later_is_refused_and_what_it_wrote_before_stays() {
    let ([phone, laptop, tablet, friend], memory, loot) = theft();
    retire(&phone, device(&laptop)).expect("retired");
    sync(&phone, &tablet);
    sync(&phone, &friend);
    let mut events: Vec<Vec<u8>> = loot
        .events
        .iter()
        .map(|id| event_bytes(&laptop, *id))
        .collect();
    // And one with the clock set back to the beginning of time.
    let back_dated = Header {
        kind: Kind::Root,
        author: device(&laptop),
        incarnation: crdt::event::Incarnation([9; 16]),
        person: laptop.person(),
        owner: laptop.person(),
        feed: Feed::Root,
        number: 0,
        previous: None,
        time: Hybrid(1),
        parents: Vec::new(),
        authority: Vec::new(),
        epoch: crdt::envelope::Epoch(0),
        commitment: Some(crdt::hash::Hash([1; 32])),
        packing: crdt::envelope::pack::Packing::Plain,
    };
    let body = vec![0; 64];
    let forged = Event {
        header: back_dated,
        body,
    };
    events.push(forged.sign(&laptop.device()).bytes().to_vec());
    for node in [&phone, &tablet, &friend] {
        let refused = take(&laptop, node, &content(events.clone())).refused;
        let codes: Vec<&str> = refused.iter().map(|(_, code)| *code).collect();
        assert!(codes.contains(&"retired_device"), "{codes:?}");
        assert_eq!(codes.len(), events.len(), "{codes:?}");
        assert_eq!(titled(node, memory).as_deref(), Some("in time"));
    }
    // Those who come later take what counts, and no more.
    let fresh = join(&phone, 32);
    sync(&phone, &fresh);
    assert_eq!(titled(&fresh, memory).as_deref(), Some("in time"));
    let newcomer = Node::new(3, NOW);
    newcomer.pair(&phone, later(3));
    phone.pair(&newcomer, later(3));
    share(&phone, &newcomer);
    assert_eq!(titled(&newcomer, memory).as_deref(), Some("in time"));
    let refused = take(&laptop, &newcomer, &content(events)).refused;
    assert!(refused.iter().any(|(_, code)| *code == "retired_device"));
    // Everything goes on.
    phone
        .edit(later(20), memory, title("goes on"))
        .expect("edited");
    sync(&phone, &friend);
    sync(&phone, &tablet);
    for node in [&tablet, &friend] {
        assert_eq!(titled(node, memory).as_deref(), Some("goes on"));
    }
}

#[test]
fn own_devices_end_with_the_same_events_in_whatever_order_they_hear() {
    // The tablet meets the thief before or after it hears of the retirement.
    for heard_first in [false, true] {
        let ([phone, laptop, tablet, _], memory, _) = theft();
        retire(&phone, device(&laptop)).expect("retired");
        if heard_first {
            sync(&phone, &tablet);
            bring(&laptop, &tablet);
        } else {
            sync(&laptop, &tablet);
        }
        sync(&tablet, &phone);
        sync(&phone, &tablet);
        let expected = if heard_first { "in time" } else { "late" };
        assert_eq!(titled(&phone, memory).as_deref(), Some(expected));
        assert_eq!(picture(&phone), picture(&tablet));
        // From now on both refuse the same.
        laptop
            .edit(later(30), memory, title("later"))
            .expect("edited");
        let late = laptop.facts(memory).expect("facts").heads();
        let late: Vec<Vec<u8>> = late.iter().map(|id| event_bytes(&laptop, *id)).collect();
        for node in [&phone, &tablet] {
            let refused = take(&laptop, node, &content(late.clone())).refused;
            assert_eq!(refused.len(), late.len());
            assert_eq!(titled(node, memory).as_deref(), Some(expected));
        }
    }
}

#[test]
fn a_retired_device_can_read_nothing_that_is_written_later() {
    let ([phone, laptop, _, friend], memory, _) = theft();
    retire(&phone, device(&laptop)).expect("retired");
    phone.label(later(20), memory, space("new place"));
    phone
        .edit(later(20), memory, title("after"))
        .expect("edited");
    let facts = phone.facts(memory).expect("facts");
    let label = facts.sidecar_events().last().expect("a label").1;
    // With all bytes in hand, those of the consent events too.
    let known = laptop.store().consent_frontier(laptop.person());
    let consent = phone.store().consent_beyond(phone.person(), &known);
    let consent = consent.expect("reads");
    laptop.transact(later(21), |tx| tx.take_consent(phone.person(), &consent));
    let events = vec![
        event_bytes(&phone, label),
        event_bytes(&phone, facts.heads()[0]),
    ];
    let refused = take(&phone, &laptop, &content(events)).refused;
    let codes: Vec<&str> = refused.iter().map(|(_, code)| *code).collect();
    assert_eq!(codes, ["no_key", "no_key"]);
    // The keys that go to the friend are sealed under scope keys that the thief has not.
    tell(&phone, &friend);
    for frame in disclose(&phone, &friend) {
        assert!(!frame.keys.is_empty());
        let taken = take(&friend, &laptop, &frame);
        assert!(taken.stored == 0, "{taken:?}");
        let opened = laptop.facts(memory).expect("facts").epoch;
        assert!(opened < facts.epoch);
    }
    sync(&phone, &friend);
    assert_eq!(titled(&friend, memory).as_deref(), Some("after"));
}

#[test]
fn a_friend_hears_of_the_cut_only_where_they_see_the_memory() {
    let [phone, friend] = persons();
    let laptop = join(&phone, 30);
    sync(&phone, &laptop);
    let seen = laptop.create(later(2), "seen", &["t"]);
    let hidden = laptop.create(later(2), "hidden", &[]);
    laptop.label(later(2), hidden, space("attic"));
    sync(&phone, &laptop);
    share(&phone, &friend);
    retire(&phone, device(&laptop)).expect("retired");
    sync(&phone, &friend);
    let told = phone
        .store()
        .consent_beyond(friend.person(), &std::collections::BTreeMap::new());
    let told = told.expect("reads").concat();
    let says = |bytes: &[u8; 32]| told.windows(32).any(|window| window == bytes);
    assert!(says(&Feed::Memory(seen).name().0));
    let names = [
        Feed::Memory(hidden).name(),
        Feed::Sidecar(hidden).name(),
        Feed::Own.name(),
    ];
    assert!(!names.iter().any(|name| says(&name.0)));
    assert!(!says(hidden.as_bytes()));
}

#[test]
fn only_the_older_device_or_the_words_retire_a_device() {
    let [phone, _] = persons();
    let laptop = join(&phone, 30);
    sync(&phone, &laptop);
    let refused = retire(&laptop, device(&phone));
    assert!(matches!(refused, Err(RetireError::Older)), "{refused:?}");
    let refused = retire(&phone, device(&phone));
    assert!(matches!(refused, Err(RetireError::Itself)), "{refused:?}");
    let root = PersonKey::from_seed(&[ROOT; 32]);
    let by_words = laptop
        .store()
        .transact(later(9), |tx| tx.retire(device(&phone), Some(&root)));
    by_words.expect("the words retire any device");
    assert!(
        laptop
            .store()
            .read(|state| state.is_retired(&device(&phone)))
    );
    let again = laptop
        .store()
        .transact(later(9), |tx| tx.retire(device(&phone), Some(&root)));
    assert!(matches!(again, Err(RetireError::Already)));
}

#[test]
fn the_words_and_a_friend_bring_back_what_was_shared() {
    let [phone, friend] = persons();
    let shared = phone.create(NOW, "shared", &["t"]);
    let alone = phone.create(NOW, "never shared", &[]);
    let grant = share(&phone, &friend);
    phone
        .edit(NOW, shared, title("last words"))
        .expect("edited");
    sync(&phone, &friend);
    friend
        .edit(NOW, shared, title("by the friend"))
        .expect("edited");
    let theirs = friend.create(NOW, "theirs", &["t"]);
    share(&friend, &phone);
    sync(&phone, &friend);
    // The phone is gone. A new machine has the words and nothing else.
    let root = PersonKey::from_seed(&[ROOT; 32]);
    let certificate = root.certify(&DeviceKey::from_seed(&[40; 32]), later(10));
    let back = Node::of(40, certificate, Some(ROOT), later(10));
    back.pair(&friend, later(10));
    friend.pair(&back, later(10));
    sync(&friend, &back);
    assert_eq!(titled(&back, shared).as_deref(), Some("by the friend"));
    assert_eq!(back.content(theirs), friend.content(theirs));
    assert_eq!(back.facts(alone), None, "nobody else had it");
    back.store().rebuild(later(11)).expect("rebuilt");
    // It is the owner again: it retires the old device, writes, and revokes.
    retire(&back, device(&phone)).expect("the root retires it");
    tell(&back, &friend);
    phone
        .edit(later(12), shared, title("by the finder"))
        .expect("edited");
    let late = phone.facts(shared).expect("facts").heads()[0];
    let refused = take(&phone, &friend, &content(vec![event_bytes(&phone, late)])).refused;
    assert_eq!(refused[0].1, "retired_device");
    back.edit(later(13), shared, title("back to work"))
        .expect("edited");
    sync(&back, &friend);
    assert_eq!(titled(&friend, shared).as_deref(), Some("back to work"));
    friend
        .edit(later(14), theirs, title("news"))
        .expect("edited");
    sync(&back, &friend);
    assert_eq!(titled(&back, theirs).as_deref(), Some("news"));
    back.revoke(later(15), grant).expect("revoked");
    back.edit(later(15), shared, title("private now"))
        .expect("edited");
    sync(&back, &friend);
    assert_eq!(titled(&friend, shared).as_deref(), Some("back to work"));
}
