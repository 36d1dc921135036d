//! Events: from bytes through admission into the fold of who may do what.

use super::bodies::{answers, offers};
use super::memory::full;
use super::persons::{certified, device, person};
use super::{Subject, Target, slow, target};
use crdt::codec::{Canonical, Writer};
use crdt::envelope::pack::{Packing, pack, unpack};
use crdt::envelope::{ContentKey, Epoch};
use crdt::event::admit::{Holdings, admit};
use crdt::event::{BODY_BYTES_MAX, Event, Feed, Header, Incarnation, Kind, Signed};
use crdt::grant::authority::Authority;
use crdt::hash::Hash;
use crdt::id::{DeviceId, EventId, GrantId, MemoryId, PersonId};
use crdt::identity::SIGNATURE_BYTES;
use crdt::testing::Entropy;
use crdt::time::Hybrid;
use std::collections::BTreeSet;

/// The targets.
pub(super) const TARGETS: [Target; 4] = [
    slow("packed body of an event", 200_000, packed),
    slow("event, signed anew", 200_000, signed_anew),
    slow("event", 200_000, event),
    target("header of an event", header),
];

const MEMORY: MemoryId = MemoryId([7; 32]);
const PARENT: EventId = EventId([6; 32]);
const KEY: [u8; 32] = [5; 32];

fn header_of(kind: Kind, feed: Feed) -> Header {
    Header {
        kind,
        author: device(1).id(),
        incarnation: Incarnation([1; 16]),
        person: person(1).id(),
        owner: person(1).id(),
        feed,
        number: 0,
        previous: None,
        time: Hybrid(1 << 20),
        parents: Vec::new(),
        authority: Vec::new(),
        epoch: Epoch(0),
        commitment: None,
        packing: Packing::Plain,
    }
}

fn events() -> Vec<Event> {
    let rng = &mut Entropy::new(1);
    let key = ContentKey::from_bytes(KEY);
    let root = header_of(Kind::Root, Feed::Root);
    let mut change = header_of(Kind::Change, Feed::Memory(MEMORY));
    change.parents = vec![PARENT];
    change.authority = vec![Hash([1; 32]), Hash([2; 32])];
    let mut sidecar = header_of(Kind::Sidecar, Feed::Sidecar(MEMORY));
    sidecar.epoch = Epoch(3);
    let pair = Feed::Pair(person(2).id());
    let plain = |kind, feed, body: Vec<u8>| Event {
        header: header_of(kind, feed),
        body,
    };
    let offer = offers().first().map(Canonical::to_bytes);
    let answer = answers().first().map(Canonical::to_bytes);
    vec![
        Event::sealed(root, &full().to_bytes(), &key, rng),
        Event::sealed(change, b"a change", &key, rng),
        Event::sealed(sidecar, b"labels", &key, rng),
        plain(Kind::Device, Feed::Own, certified(1).to_bytes()),
        plain(Kind::Offer, pair, offer.unwrap_or_default()),
        plain(Kind::Acceptance, pair, answer.unwrap_or_default()),
    ]
}

/// The bytes of one event of several kinds, signed by device 1.
pub(super) fn signed() -> Vec<Vec<u8>> {
    let sign = |event: Event| event.sign(&device(1)).bytes().to_vec();
    events().into_iter().map(sign).collect()
}

/// A node that knows persons 1 and 2, one memory and one event of it.
#[derive(Debug)]
struct Held(Authority);

impl Held {
    fn new() -> Self {
        let mut authority = Authority::default();
        authority.enrol(certified(1));
        authority.enrol(certified(2));
        Self(authority)
    }
}

impl Holdings for Held {
    fn authority(&self) -> &Authority {
        &self.0
    }
    fn feed_tip(&self, _: &DeviceId, _: Incarnation, _: Feed) -> Option<(u64, EventId)> {
        None
    }
    fn feed_event(&self, _: &DeviceId, _: Incarnation, _: Feed, _: u64) -> Option<EventId> {
        None
    }
    fn owner_of(&self, memory: MemoryId) -> Option<PersonId> {
        (memory == MEMORY).then(|| person(1).id())
    }
    fn holds(&self, event: EventId) -> bool {
        event == PARENT
    }
    fn delivered_under(&self, _: MemoryId) -> BTreeSet<GrantId> {
        BTreeSet::new()
    }
}

/// Reads an event and checks that its bytes are kept.
fn read(bytes: &[u8]) -> Option<Signed<Event>> {
    let event = Signed::from_bytes(bytes).ok()?;
    let mut out = Writer::default();
    event.header().encode(&mut out);
    out.bytes(&event.event().body);
    assert!(bytes.starts_with(out.as_slice()), "another encoding");
    assert_eq!(event.bytes(), bytes, "other bytes are kept");
    Some(event)
}

fn header() -> Subject {
    let headers: Vec<Header> = events().into_iter().map(|event| event.header).collect();
    Subject::canonical(&headers, |header: Header| {
        std::hint::black_box(header.feed.name());
    })
}

/// Mutants of what lies under the seal of a memory's event.
fn packed() -> Subject {
    let contents = [full().to_bytes(), vec![b'a'; 1 << 18], signed().concat()];
    let packed = contents.iter().filter_map(|content| pack(content));
    Subject::new(packed.collect(), |bytes| {
        let unpacked = unpack(bytes, BODY_BYTES_MAX);
        assert!(
            unpacked.as_ref().map_or(0, Vec::len) <= BODY_BYTES_MAX,
            "more than a body may hold"
        );
        unpacked.is_ok()
    })
}

/// Mutants of signed bytes: none but the genuine ones is admitted.
fn event() -> Subject {
    let (held, genuine) = (Held::new(), signed());
    Subject::new(signed(), move |bytes| {
        let Some(event) = read(bytes) else {
            return false;
        };
        let admitted = admit(event, &held).is_ok();
        let is_genuine = genuine.iter().any(|one| one == bytes);
        assert!(!admitted || is_genuine, "a forged event is admitted");
        true
    })
}

/// Mutants of what a device signs, signed by it: a paired peer that says anything at all.
fn signed_anew() -> Subject {
    let unsigned = signed().into_iter().map(|mut bytes| {
        bytes.truncate(bytes.len() - SIGNATURE_BYTES);
        bytes
    });
    let (held, signer) = (Held::new(), device(1));
    let key = ContentKey::from_bytes(KEY);
    Subject::new(unsigned.collect(), move |bytes| {
        let Some(event) = read(bytes) else {
            return false;
        };
        if let Ok(verified) = admit(event, &held) {
            if verified.event().header.kind.is_sealed() {
                std::hint::black_box(verified.event().open(&key).is_ok());
            }
            std::hint::black_box(held.0.clone().apply(&verified).is_ok());
        }
        true
    })
    .wrapped(move |unsigned| {
        let id = Hash::of("second-brain 2026 v1 event id", &[unsigned]);
        let hash = Hash::of("second-brain 2026 v1 event signature", &[&id.0]);
        [unsigned, &signer.sign(&hash)].concat()
    })
}
