//! The keyring: the own scope key and every other key, brought to all devices of this person.
//!
//! ```text
//! a key appears, a device is added or retired -> keep_keyring -> Keyring event -> own devices
//! ```
//!
//! [`Tx::keep_keyring`] can be called at any time: it says only what was not said. An own scope
//! key that was ever wrapped to a device that is retired now is never used again.

use super::Tx;
use super::append::{AppendError, Draft};
use crate::records::Peer;
use crate::store::StoreError;
use crdt::codec::Canonical as _;
use crdt::envelope::{ContentKey, Epoch, ScopeKey, SealedKey};
use crdt::event::body::own::{
    DeviceName, KEYRING_KEYS_MAX, Keyring, PEER_ADDRESSES_MAX, PEER_DEVICES_MAX, Peering, Standing,
};
use crdt::event::{Feed, Kind};
use crdt::hash::Hash;
use crdt::id::{DeviceId, GrantId, MemoryId, PersonId};
use crdt::identity::DeviceCertificate;
use crdt::identity::roster::Enrolment;
use crdt::time::Timestamp;
use thiserror::Error;

/// The reason why a device was not added.
#[derive(Debug, Error)]
pub enum EnrolError {
    /// The root key is on another device.
    #[error("the root key is not on this device")]
    NoRoot,
    /// The event was not appended.
    #[error(transparent)]
    Append(#[from] AppendError),
}

impl From<StoreError> for EnrolError {
    fn from(error: StoreError) -> Self {
        Self::Append(error.into())
    }
}

/// A key that own devices should have: the grant it is for, its generation, its bytes.
struct Held {
    grant: GrantId,
    epoch: u32,
    key: ContentKey,
}

impl Tx<'_> {
    pub(super) fn write_own(&mut self, kind: Kind, body: Vec<u8>) -> Result<(), AppendError> {
        let draft = Draft {
            kind,
            owner: self.state.me,
            feed: Feed::Own,
            parents: Vec::new(),
            epoch: Epoch(0),
        };
        self.write_plain(draft, body).map(|_| ())
    }

    /// Certifies a device as one of this person's and brings it everything it needs.
    ///
    /// `shown` is the certificate that the device gave itself: only its public keys count.
    pub fn enrol_device(
        &mut self,
        shown: &DeviceCertificate,
        name: Option<String>,
    ) -> Result<DeviceCertificate, EnrolError> {
        let known = self
            .state
            .own_devices()
            .find(|found| found.certificate.device == shown.device);
        if let Some(found) = known {
            return Ok(found.certificate.clone());
        }
        let root = self.owner.root.as_ref().ok_or(EnrolError::NoRoot)?;
        // Age decides who can retire whom: a clock that went back must not make it older.
        let youngest = self
            .state
            .own_devices()
            .map(|found| found.certificate.issued.0)
            .max();
        let issued = youngest.map_or(0, |youngest| youngest + 1).max(self.now.0);
        let certificate = root.certify_public(shown.device, shown.kem.clone(), Timestamp(issued));
        self.write_own(Kind::Device, certificate.to_bytes())?;
        if let Some(name) = name {
            self.name_device(shown.device, name)?;
        }
        self.keep_keyring()?;
        // Everybody is told of it at the end of the transaction.
        self.unaware.extend(self.state.peers.keys());
        Ok(certificate)
    }

    /// Names one of this person's devices.
    pub fn name_device(&mut self, device: DeviceId, name: String) -> Result<(), AppendError> {
        let named = DeviceName { device, name };
        self.write_own(Kind::DeviceName, named.to_bytes())
    }

    /// Notes where another device of this person can be reached.
    pub fn greet_own(&mut self, certificate: &DeviceCertificate, addresses: Vec<String>) {
        self.save_authority();
        self.state.authority.enrol(certificate.clone());
        let me = self.state.me;
        let mut contact = self.state.own.contact.clone().unwrap_or_else(|| Peer {
            person: me,
            petname: "me".to_owned(),
            state: crate::records::PeerState::Paired,
            certificates: Vec::new(),
            devices: Vec::new(),
            paired: self.now,
            last_contact: None,
        });
        contact.last_contact = Some(self.now);
        let device = certificate.device;
        if !contact
            .certificates
            .iter()
            .any(|known| known.device == device)
        {
            contact.certificates.push(certificate.clone());
        }
        super::peers::set_addresses(&mut contact, device, addresses);
        self.put_contact(contact);
    }

    /// Returns the own scope key that is used now: the newest that no retired device knows.
    pub(super) fn current_scope(&self) -> Result<Option<(GrantId, ScopeKey)>, StoreError> {
        let scopes = &self.state.own.scopes;
        let mut clean: Vec<_> = scopes
            .iter()
            .filter(|(_, scope)| !scope.wrapped.iter().any(|d| self.state.is_retired(d)))
            .map(|(name, scope)| (scope.born, *name))
            .collect();
        clean.sort_unstable();
        for (_, name) in clean.into_iter().rev() {
            if let Some(key) = self.scope_key(name)? {
                return Ok(Some((name, key)));
            }
        }
        Ok(None)
    }

    /// Opens what another own device sealed, under whichever own scope key it did.
    pub(super) fn open_own(&self, sealed: &SealedKey) -> Result<Option<ContentKey>, StoreError> {
        for name in self.state.own.scopes.keys() {
            for (_, scope) in self.scope_keys(*name)? {
                if let Ok(key) = scope.open_key(sealed) {
                    return Ok(Some(key));
                }
            }
        }
        Ok(None)
    }

    /// Says what own devices should have and were not told: the own scope key, wrapped to each,
    /// and all other keys under it.
    pub(super) fn keep_keyring(&mut self) -> Result<(), AppendError> {
        let mine = self.owner.device.id();
        let devices: Vec<DeviceCertificate> = self
            .state
            .own_devices()
            .filter(|found| !found.retired)
            .map(|found| found.certificate.clone())
            .collect();
        let is_alone = !devices.iter().any(|device| device.device != mine);
        let is_mute = self.is_replaying || self.am_retired();
        if is_mute || (is_alone && self.state.own.scopes.is_empty()) {
            return Ok(());
        }
        let current = self.current_scope()?;
        let is_new = current.is_none();
        let (name, scope) = match current {
            Some(current) => current,
            None if self.may_open_keyring(&devices) => self.draw_scope()?,
            None => return Ok(()),
        };
        let wrapped = self
            .state
            .own
            .scopes
            .get(&name)
            .map(|scope| scope.wrapped.clone())
            .unwrap_or_default();
        let lacking: Vec<&DeviceCertificate> = devices
            .iter()
            .filter(|device| !wrapped.contains(&device.device))
            .collect();
        if is_new {
            let peers: Vec<PersonId> = self.state.peers.keys().copied().collect();
            self.met.extend(peers);
        }
        if !is_new {
            self.sidecar_key()?;
        }
        // A device that comes new needs all keys; the others what appeared since.
        let is_full = lacking.iter().any(|device| device.device != mine);
        let mut held = self.held_keys(name)?;
        let announced = &self.state.own.announced;
        held.retain(|held| is_full || !announced.contains(&held.key.commitment()));
        let rng = &mut self.rng();
        let mut wraps = Vec::new();
        for device in lacking {
            let wrap = device.kem.wrap_key(device.device, name, 0, &scope, rng);
            wraps.push(wrap.map_err(|error| AppendError::Unreadable(error.to_string()))?);
        }
        if wraps.is_empty() && held.is_empty() {
            return Ok(());
        }
        let mut keys = held.iter().map(|held| {
            let name = MemoryId(held.key.commitment().0);
            scope.seal_key(held.grant, name, Epoch(held.epoch), &held.key, rng)
        });
        loop {
            let chunk: Vec<SealedKey> = keys.by_ref().take(KEYRING_KEYS_MAX).collect();
            if chunk.is_empty() && wraps.is_empty() {
                return Ok(());
            }
            let keyring = Keyring {
                scope: name,
                wraps: std::mem::take(&mut wraps),
                keys: chunk,
            };
            self.write_own(Kind::Keyring, keyring.to_bytes())?;
        }
    }

    /// Tells whether this device draws the own scope key: the first one when there is none, and
    /// whoever holds an older one when that may not be used any more.
    fn may_open_keyring(&self, devices: &[DeviceCertificate]) -> bool {
        let mine = self.owner.device.id();
        let oldest = devices
            .iter()
            .min_by_key(|device| (device.issued, device.device));
        oldest.is_some_and(|oldest| oldest.device == mine)
            || self
                .state
                .own
                .scopes
                .values()
                .any(|scope| scope.wrapped.contains(&mine))
    }

    fn draw_scope(&mut self) -> Result<(GrantId, ScopeKey), StoreError> {
        let rng = &mut self.rng();
        let name = GrantId(*ScopeKey::random(rng).expose());
        let key = ScopeKey::random(rng);
        self.put_scope_key(name, 0, &key);
        // The first own scope key takes the sidecar key along that this device has used alone.
        if self.state.own.scopes.is_empty() {
            let alone = self.sidecar_key()?;
            self.put_sidecar_scope(name, &alone)?;
        } else {
            let fresh = ContentKey::random(rng);
            self.put_sidecar_scope(name, &fresh)?;
        }
        Ok((name, key))
    }

    /// Lists the keys that own devices should have.
    fn held_keys(&self, scope: GrantId) -> Result<Vec<Held>, StoreError> {
        let mut held = Vec::new();
        let current = self.sidecar_of(scope)?.map(|key| key.commitment());
        for key in self.sidecar_keys()? {
            let is_current = current == Some(key.commitment());
            // An older sidecar key is for reading only: it names no own scope key.
            let grant = if is_current { scope } else { GrantId([0; 32]) };
            held.push(Held {
                grant,
                epoch: 0,
                key,
            });
        }
        let grants: Vec<GrantId> = self.state.authority.grants().map(|g| g.id).collect();
        for grant in grants {
            for (epoch, key) in self.scope_keys(grant)? {
                let key = ContentKey::from_bytes(*key.expose());
                held.push(Held { grant, epoch, key });
            }
        }
        Ok(held)
    }

    /// Takes in the keys that another own device brings.
    pub(super) fn take_keyring(&mut self, keyring: &Keyring) -> Result<(), AppendError> {
        let mine = self.owner.device.id();
        let is_known = !self.scope_keys(keyring.scope)?.is_empty();
        let wrap = keyring.wraps.iter().find(|wrap| wrap.device == mine);
        if let Some(wrap) = wrap.filter(|_| !is_known) {
            let secret = &self.owner.device.secret;
            if let Ok(key) = secret.unwrap_key(keyring.scope, 0, wrap) {
                self.put_scope_key(keyring.scope, 0, &key);
                // What came under this key before it did opens now.
                let earlier = self.state.own.scopes.get(&keyring.scope);
                for place in earlier.map(|e| e.entries.clone()).unwrap_or_default() {
                    self.take_keyring_at(place)?;
                }
            }
        }
        self.take_keyring_keys(keyring)?;
        Ok(())
    }

    fn take_keyring_at(&mut self, place: u64) -> Result<(), StoreError> {
        let row = crate::layout::ordered(place);
        let bytes = self.get(crate::layout::LOG, &row)?.unwrap_or_default();
        let event = crdt::event::Signed::from_bytes(&bytes).ok();
        let keyring = event.and_then(|event| Keyring::from_bytes(&event.event().body).ok());
        match keyring {
            Some(keyring) => self.take_keyring_keys(&keyring),
            None => Ok(()),
        }
    }

    fn take_keyring_keys(&mut self, keyring: &Keyring) -> Result<(), StoreError> {
        let Some(scope) = self.scope_key(keyring.scope)? else {
            return Ok(());
        };
        for sealed in &keyring.keys {
            let Ok(key) = scope.open_key(sealed) else {
                continue;
            };
            if Hash(sealed.memory.0) != key.commitment() {
                continue;
            }
            if sealed.grant == keyring.scope {
                self.put_sidecar_scope(keyring.scope, &key)?;
            } else if sealed.grant == GrantId([0; 32]) {
                self.put_sidecar_key(&key);
            } else {
                let key = ScopeKey::from_bytes(*key.expose());
                self.put_scope_key(sealed.grant, sealed.epoch.0, &key);
            }
        }
        Ok(())
    }

    /// Takes in what another own device says of a peer.
    pub(super) fn take_peering(&mut self, peering: &Peering) {
        let person = peering.person;
        let is_latest = self
            .state
            .own
            .peers
            .get(&person)
            .is_some_and(|(_, latest)| latest == peering);
        if !is_latest || person == self.state.me {
            return;
        }
        self.save_authority();
        for certificate in &peering.certificates {
            self.state.authority.enrol(certificate.clone());
        }
        let state = match peering.standing {
            Standing::Removed => {
                self.unpair(person);
                self.met.remove(&person);
                return;
            }
            Standing::Paired => crate::records::PeerState::Paired,
            Standing::Blocked => crate::records::PeerState::Blocked,
        };
        let mut peer = self
            .state
            .peers
            .get(&person)
            .cloned()
            .unwrap_or_else(|| Peer {
                person,
                petname: peering.petname.clone(),
                state,
                certificates: Vec::new(),
                devices: Vec::new(),
                paired: self.now,
                last_contact: None,
            });
        peer.state = state;
        peer.petname.clone_from(&peering.petname);
        for certificate in &peering.certificates {
            let device = certificate.device;
            if !peer.certificates.iter().any(|known| known.device == device) {
                peer.certificates.push(certificate.clone());
            }
        }
        for (device, addresses) in &peering.addresses {
            super::peers::set_addresses(&mut peer, *device, addresses.clone());
        }
        self.put_peer_row(peer);
        // They were met by another device, which may not know of all devices.
        self.unaware.insert(person);
    }

    /// Tells own devices of the peers of whom something changed, and wraps keys to new devices
    /// of theirs.
    pub(super) fn follow_peers(&mut self) -> Result<(), StoreError> {
        let met = std::mem::take(&mut self.met);
        self.unaware.extend(&met);
        for person in met {
            let told = self.follow_peer(person);
            told.map_err(|error| self.own_failure(error))?;
        }
        for person in std::mem::take(&mut self.unaware) {
            let told = self.introduce_all(person);
            told.map_err(|error| self.own_failure(error))?;
        }
        Ok(())
    }

    fn follow_peer(&mut self, person: PersonId) -> Result<(), AppendError> {
        if self.is_replaying || self.am_retired() {
            return Ok(());
        }
        self.keep_wraps(person)?;
        if self.state.own.scopes.is_empty() {
            return Ok(());
        }
        let last = self.state.own.peers.get(&person);
        let peering = if let Some(peer) = self.state.peers.get(&person) {
            as_peering(peer)
        } else {
            let Some((_, last)) = last else {
                return Ok(());
            };
            Peering {
                standing: Standing::Removed,
                ..last.clone()
            }
        };
        if last.is_some_and(|(_, last)| *last == peering) {
            return Ok(());
        }
        self.write_own(Kind::Peering, peering.to_bytes())
    }

    /// Returns what is known of one of this person's devices.
    pub(super) fn own_enrolment(&self, device: DeviceId) -> Option<Enrolment> {
        let found = self.state.authority.device(&device);
        found
            .filter(|found| found.certificate.person == self.state.me)
            .cloned()
    }
}

fn as_peering(peer: &Peer) -> Peering {
    let addresses = peer.devices.iter().rev().take(PEER_DEVICES_MAX);
    let few = |addresses: &Vec<String>| -> Vec<String> {
        addresses.iter().take(PEER_ADDRESSES_MAX).cloned().collect()
    };
    Peering {
        person: peer.person,
        petname: peer.petname.clone(),
        standing: match peer.state {
            crate::records::PeerState::Paired => Standing::Paired,
            crate::records::PeerState::Blocked => Standing::Blocked,
        },
        certificates: peer
            .certificates
            .iter()
            .take(PEER_DEVICES_MAX)
            .cloned()
            .collect(),
        addresses: addresses.map(|(device, all)| (*device, few(all))).collect(),
    }
}
