//! The adversary: every byte the owner ever sent to anyone, every key the revoked person had.

use crate::node::Node;
use crdt::codec::Canonical as _;
use crdt::envelope::{ContentKey, ScopeKey};
use crdt::event::body::Keys;
use crdt::event::{Kind, Signed};
use crdt::id::{EventId, PersonId};
use crdt::identity::DeviceKey;
use protocol::wire::content::Content;
use std::collections::BTreeSet;

/// Everything that left the owner, and where the revocation lies in it.
#[derive(Default)]
pub(super) struct Wire {
    frames: Vec<(PersonId, Content)>,
    pub(super) consent: Vec<Vec<u8>>,
    mark: Option<(usize, usize)>,
    /// What had been written when the owner revoked.
    written: BTreeSet<EventId>,
}

impl Wire {
    pub(super) fn content(&mut self, to: PersonId, frames: &[Content]) {
        let frames = frames.iter().map(|frame| (to, frame.clone()));
        self.frames.extend(frames);
    }
    /// Notes that the owner knows of the revocation from here on.
    pub(super) fn mark(&mut self, owner: &Node) {
        self.mark = Some((self.frames.len(), self.consent.len()));
        self.written = owner.store().read(|state| {
            let events = state.memories.values().flat_map(|facts| facts.events());
            events.map(|(_, id)| id).collect()
        });
    }
    /// What left after the revocation, to one person or to anyone.
    pub(super) fn after(&self, to: Option<PersonId>) -> impl Iterator<Item = &Content> {
        let (from, _) = self.mark.expect("the owner revoked");
        let after = self.frames.iter().skip(from);
        let for_them = after.filter(move |(person, _)| to.is_none_or(|to| to == *person));
        for_them.map(|(_, frame)| frame)
    }
    /// What was sent before it, to anyone: what a stale mailbox may still hold.
    pub(super) fn before(&self) -> impl Iterator<Item = &Content> {
        let (until, _) = self.mark.expect("the owner revoked");
        self.frames.iter().take(until).map(|(_, frame)| frame)
    }
}

pub(super) struct Adversary {
    device: DeviceKey,
    keys: BTreeSet<[u8; 32]>,
}

/// What an attack brought.
pub(super) struct Loot {
    pub(super) tries: usize,
    /// Bodies that opened and were not written yet when the owner revoked.
    pub(super) bodies: Vec<EventId>,
    /// Content and scope keys that opened.
    pub(super) keys: usize,
}

impl Adversary {
    /// Takes every key of a node's store, and all that these open in what was sent before.
    pub(super) fn of(revoked: &Node, wire: &Wire) -> Self {
        let mut adversary = Self {
            device: revoked.device(),
            keys: revoked.keys(),
        };
        assert!(!adversary.keys.is_empty(), "they had keys");
        let (_, until) = wire.mark.expect("the owner revoked");
        let unwrapped = adversary.unwrap(&wire.consent[..until]);
        adversary.keys.extend(unwrapped);
        for frame in wire.before() {
            let opened = adversary.open_keys(frame);
            adversary.keys.extend(opened);
        }
        adversary
    }

    fn unwrap(&self, consent: &[Vec<u8>]) -> Vec<[u8; 32]> {
        let events = consent
            .iter()
            .map(|bytes| Signed::from_bytes(bytes).expect("an event"));
        let keys = events.filter(|event| event.header().kind == Kind::Keys);
        let mut found = Vec::new();
        for keys in keys.map(|event| Keys::from_bytes(&event.event().body).expect("keys")) {
            for wrap in &keys.wraps {
                let secret = &self.device.secret;
                let scope = secret.unwrap_key(keys.grant, keys.epoch, wrap);
                found.extend(scope.ok().map(|scope| *scope.expose()));
            }
        }
        found
    }

    fn open_keys(&self, frame: &Content) -> Vec<[u8; 32]> {
        let mut opened = Vec::new();
        for sealed in &frame.keys {
            for key in &self.keys {
                let content = ScopeKey::from_bytes(*key).open_key(sealed);
                opened.extend(content.ok().map(|content| *content.expose()));
            }
        }
        opened
    }

    /// Tries every key on everything that left after the revocation.
    pub(super) fn attack(&self, wire: &Wire) -> Loot {
        let (_, from) = wire.mark.expect("the owner revoked");
        let mut loot = Loot {
            tries: 0,
            bodies: Vec::new(),
            keys: self.unwrap(&wire.consent[from..]).len(),
        };
        for frame in wire.after(None) {
            loot.keys += self.open_keys(frame).len();
            loot.tries += frame.keys.len() * self.keys.len();
            for bytes in &frame.events {
                let event = Signed::from_bytes(bytes).expect("an event");
                if !event.header().kind.is_sealed() || wire.written.contains(&event.id()) {
                    continue;
                }
                for key in &self.keys {
                    loot.tries += 1;
                    if event.event().open(&ContentKey::from_bytes(*key)).is_ok() {
                        loot.bodies.push(event.id());
                    }
                }
            }
        }
        loot
    }

    /// Tells whether the keys open a body, to show that the attack works at all.
    pub(super) fn reads(&self, bytes: &[u8]) -> bool {
        let event = Signed::from_bytes(bytes).expect("an event");
        let mut keys = self.keys.iter();
        keys.any(|key| event.event().open(&ContentKey::from_bytes(*key)).is_ok())
    }
}
