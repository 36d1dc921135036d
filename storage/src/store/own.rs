//! What the devices of one person know of each other, folded from events.
//!
//! Start at [`Own`]. Keys are rows; what is here says which exist and who was given them.

use super::state::State;
use crate::records::{Facts, Peer};
use crdt::codec::Canonical as _;
use crdt::envelope::Epoch;
use crdt::event::admit::Verified;
use crdt::event::body::Keys;
use crdt::event::body::own::{DeviceName, Keyring, Peering, Retirement};
use crdt::event::{Event, Incarnation, Kind};
use crdt::hash::Hash;
use crdt::id::{DeviceId, EventId, GrantId, MemoryId, PersonId};
use crdt::identity::roster::Enrolment;
use crdt::time::Hybrid;
use std::collections::{BTreeMap, BTreeSet};

/// Where a statement stands among those of all devices: the last one counts.
pub(crate) type Place = (Hybrid, EventId);

/// Under which grants a memory was given, and with the keys of which epochs.
pub type Given = BTreeMap<GrantId, Vec<Epoch>>;

/// A generation of the own scope key.
#[derive(Debug, Clone)]
pub(crate) struct OwnScope {
    /// When it was first named.
    pub(crate) born: Place,
    /// The devices it was wrapped to.
    pub(crate) wrapped: BTreeSet<DeviceId>,
    /// The places in the log of the events with keys under it.
    pub(crate) entries: Vec<u64>,
}

/// What the person's own devices know of each other.
#[derive(Debug, Clone, Default)]
pub struct Own {
    /// Where the other devices can be reached; a record for this person.
    pub contact: Option<Peer>,
    /// Names of devices.
    pub(crate) names: BTreeMap<DeviceId, (Place, String)>,
    /// The generations of the own scope key.
    pub(crate) scopes: BTreeMap<GrantId, OwnScope>,
    /// The commitments of the keys that were brought to all.
    pub(crate) announced: BTreeSet<Hash>,
    /// What was last said of each peer.
    pub(crate) peers: BTreeMap<PersonId, (Place, Peering)>,
    /// Memories of which another device said that their keys are destroyed. Not kept: it is said
    /// again whenever such a memory is handed over.
    pub(crate) doomed: BTreeSet<MemoryId>,
}

/// What devices of this person said to another person about keys and devices.
#[derive(Debug, Clone, Default)]
pub(crate) struct ToldKeys {
    /// The devices whose certificates were shown.
    pub(crate) devices: BTreeSet<DeviceId>,
    /// The wraps that were made: grant, generation, device.
    pub(crate) wraps: BTreeSet<(GrantId, u32, DeviceId)>,
    /// The latest generation of each grant's scope key, and when it was last wrapped.
    pub(crate) generations: BTreeMap<GrantId, (u32, Hybrid)>,
    /// How far retired devices count, as it was said.
    pub(crate) cuts: BTreeMap<(DeviceId, Incarnation, Hash), (u64, EventId)>,
    /// The retired devices of which it was said.
    pub(crate) retired: BTreeSet<DeviceId>,
}

impl ToldKeys {
    pub(crate) fn take(&mut self, event: &Verified<Event>) {
        let (header, body) = (event.header(), event.event().body.as_slice());
        match header.kind {
            Kind::Device => {
                if let Ok(certificate) = crdt::identity::DeviceCertificate::from_bytes(body) {
                    self.devices.insert(certificate.device);
                }
            }
            Kind::Keys | Kind::Handback => {
                if let Ok(keys) = Keys::from_bytes(body) {
                    let (grant, epoch) = (keys.grant, keys.epoch);
                    let wraps = keys.wraps.iter().map(|wrap| (grant, epoch, wrap.device));
                    self.wraps.extend(wraps);
                    let last = self.generations.entry(grant).or_default();
                    *last = (last.0.max(epoch), last.1.max(header.time));
                }
            }
            Kind::Retirement => {
                if let Ok(retirement) = Retirement::from_bytes(body) {
                    self.retired.insert(retirement.device);
                    for cut in retirement.cuts {
                        let key = (retirement.device, cut.incarnation, cut.feed);
                        let last = self.cuts.entry(key).or_insert((cut.number, cut.event));
                        *last = (*last).max((cut.number, cut.event));
                    }
                }
            }
            _ => {}
        }
    }
}

impl Own {
    pub(crate) fn take(&mut self, number: u64, event: &Verified<Event>) {
        let (header, body) = (event.header(), event.event().body.as_slice());
        let place = (header.time, event.id());
        match header.kind {
            Kind::Keyring => {
                let Ok(keyring) = Keyring::from_bytes(body) else {
                    return;
                };
                let scope = self.scopes.entry(keyring.scope).or_insert(OwnScope {
                    born: place,
                    wrapped: BTreeSet::new(),
                    entries: Vec::new(),
                });
                scope.born = scope.born.min(place);
                let devices = keyring.wraps.iter().map(|wrap| wrap.device);
                scope.wrapped.extend(devices);
                scope.entries.push(number);
                let names = keyring.keys.iter().map(|key| Hash(key.memory.0));
                self.announced.extend(names);
            }
            Kind::Peering => {
                let Ok(peering) = Peering::from_bytes(body) else {
                    return;
                };
                let is_newer = self
                    .peers
                    .get(&peering.person)
                    .is_none_or(|(last, _)| *last < place);
                if is_newer {
                    self.peers.insert(peering.person, (place, peering));
                }
            }
            Kind::DeviceName => {
                let Ok(named) = DeviceName::from_bytes(body) else {
                    return;
                };
                let is_newer = self
                    .names
                    .get(&named.device)
                    .is_none_or(|(last, _)| *last < place);
                if is_newer {
                    self.names.insert(named.device, (place, named.name));
                }
            }
            _ => {}
        }
    }
}

impl State {
    /// Returns this person's devices, retired ones too.
    pub fn own_devices(&self) -> impl Iterator<Item = &Enrolment> {
        let me = self.me;
        let devices = self.authority.roster().devices();
        devices.filter(move |found| found.certificate.person == me)
    }
    /// Returns the name of one of this person's devices, or the beginning of its id.
    pub fn device_name(&self, device: &DeviceId) -> String {
        self.own.names.get(device).map_or_else(
            || device.to_string().chars().take(8).collect(),
            |(_, name)| name.clone(),
        )
    }
    /// Returns one of this person's devices by its name or a unique beginning of its id.
    pub fn own_device(&self, text: &str) -> Option<DeviceId> {
        let named = |found: &&Enrolment| self.device_name(&found.certificate.device) == text;
        // A name can be used again for the device that takes a retired one's place.
        let by_name = self
            .own_devices()
            .filter(named)
            .min_by_key(|found| found.retired);
        by_name.map(|found| found.certificate.device).or_else(|| {
            let ids: Vec<DeviceId> = self
                .own_devices()
                .map(|found| found.certificate.device)
                .filter(|id| text.len() >= 4 && id.to_string().starts_with(text))
                .collect();
            <[DeviceId; 1]>::try_from(ids).ok().map(|[id]| id)
        })
    }
    /// Tells whether a device was retired by its person.
    pub fn is_retired(&self, device: &DeviceId) -> bool {
        self.authority
            .device(device)
            .is_some_and(|found| found.retired)
    }

    /// Calls `visit` for every memory with the grants and epochs under which it was given: what
    /// the devices of one person share with each other, which is everything, and nothing while this
    /// node is halted: a device may have been retired.
    pub fn own_view(&self, visit: &mut dyn FnMut(&Facts, &Given)) {
        if self.gaps.is_halted() {
            return;
        }
        let none = BTreeMap::new();
        for facts in self.memories.values() {
            visit(facts, self.members.get(&facts.id).unwrap_or(&none));
        }
    }
    /// Calls `visit` as [`State::own_view`] does, for one memory.
    pub fn own_view_of(&self, memory: MemoryId, visit: &mut dyn FnMut(&Facts, &Given)) {
        if self.gaps.is_halted() {
            return;
        }
        let none = BTreeMap::new();
        if let Some(facts) = self.memories.get(&memory) {
            visit(facts, self.members.get(&memory).unwrap_or(&none));
        }
    }
}
