//! Forged events: well-formed, about memories that there are, and none of them may be taken.

use crdt::envelope::pack::Packing;
use crdt::envelope::{ContentKey, Epoch};
use crdt::event::{Event, Feed, Header, Incarnation, Kind};
use crdt::id::{DeviceId, EventId, MemoryId, PersonId};
use crdt::testing::Entropy;
use crdt::time::Hybrid;
use node::clock;
use storage::store::Owner;

/// Returns events that a device with real keys can make and nobody may take: in memories of the
/// victim that it may not write in, in the victim's name, and with a signature that does not hold.
pub(super) fn events(
    owner: &Owner,
    victim: DeviceId,
    person: PersonId,
    told: &[MemoryId],
) -> Vec<Vec<u8>> {
    let (me, device) = (owner.certificate.person, owner.device.id());
    let root = header(device, person, person, None);
    let mut forged = vec![signed(owner, root)];
    for memory in told {
        let change = |author, by| signed(owner, header(author, by, person, Some(*memory)));
        let mut unsigned = change(device, me);
        if let Some(last) = unsigned.last_mut() {
            *last ^= 1;
        }
        forged.extend([change(device, me), change(device, person)]);
        forged.extend([change(victim, person), unsigned]);
    }
    forged
}

/// Returns the header of a change of a memory, or of a root.
fn header(author: DeviceId, person: PersonId, owner: PersonId, memory: Option<MemoryId>) -> Header {
    Header {
        kind: memory.map_or(Kind::Root, |_| Kind::Change),
        author,
        incarnation: Incarnation([13; 16]),
        person,
        owner,
        feed: memory.map_or(Feed::Root, Feed::Memory),
        number: 0,
        previous: None,
        time: Hybrid::default().tick(clock::now(), Hybrid::default()),
        parents: memory.map(|memory| EventId(memory.0)).into_iter().collect(),
        authority: Vec::new(),
        epoch: Epoch(0),
        commitment: None,
        packing: Packing::Plain,
    }
}

/// Seals something under a key of nobody's and signs with the device's own key, whoever is named.
fn signed(owner: &Owner, header: Header) -> Vec<u8> {
    let rng = &mut Entropy::new(13);
    let key = ContentKey::random(rng);
    let event = Event::sealed(header, b"forged", &key, rng);
    event.sign(&owner.device).bytes().to_vec()
}
