//! Retiring a device: what of it counts, who is told, and which keys are new from then on.
//!
//! Everything follows in the transaction that takes the retirement in, on this node and on every
//! other that learns of it: what was accepted so far is named, the own scope key, the sidecar key
//! and the scope keys of grants are drawn anew, and every memory takes a new content key at its
//! next change.

use super::Tx;
use super::append::AppendError;
use crate::layout::{self, meta};
use crate::records::Facts;
use crate::store::{StoreError, open};
use crdt::codec::Canonical as _;
use crdt::envelope::ScopeKey;
use crdt::event::body::Keys;
use crdt::event::body::own::{FEED_CUTS_MAX, FeedCut, Retirement};
use crdt::event::{Feed, Incarnation, Kind, Signed};
use crdt::grant::authority::{Grant, State as GrantState};
use crdt::hash::Hash;
use crdt::id::{DeviceId, EventId, GrantId, PersonId};
use crdt::identity::DeviceCertificate;
use crdt::identity::roster::Cuts;
use crdt::time::Hybrid;
use std::collections::{BTreeMap, BTreeSet};
use thiserror::Error;

/// The reason why a device was not retired.
#[derive(Debug, Error)]
pub enum RetireError {
    /// There is no such device of this person.
    #[error("this person has no device {0}")]
    Unknown(DeviceId),
    /// It is this very device.
    #[error("a device cannot retire itself")]
    Itself,
    /// It is retired.
    #[error("the device is retired already")]
    Already,
    /// This device is younger and has not the root key.
    #[error("the device is older than this one, and the root key is not here")]
    Older,
    /// The event was not appended.
    #[error(transparent)]
    Append(#[from] AppendError),
}

impl From<StoreError> for RetireError {
    fn from(error: StoreError) -> Self {
        Self::Append(error.into())
    }
}

/// What a device wrote last, by writer and name of the feed.
type Last = BTreeMap<(Incarnation, Hash), (u64, EventId)>;

impl Tx<'_> {
    /// Retires a device of this person; `root` signs if the key was brought for the occasion.
    pub fn retire(
        &mut self,
        device: DeviceId,
        root: Option<&crdt::identity::PersonKey>,
    ) -> Result<(), RetireError> {
        let found = self
            .own_enrolment(device)
            .ok_or(RetireError::Unknown(device))?;
        let mine = &self.owner.certificate;
        if device == mine.device {
            return Err(RetireError::Itself);
        }
        if found.retired {
            return Err(RetireError::Already);
        }
        let root = root.or(self.owner.root.as_ref());
        let root = root.filter(|root| root.id() == self.state.me);
        let age = |certificate: &DeviceCertificate| (certificate.issued, certificate.device);
        if root.is_none() && age(mine) >= age(&found.certificate) {
            return Err(RetireError::Older);
        }
        let proof = root.map(|root| root.retire(device));
        let last = self.last_of(device, false)?;
        let before = self.retired_devices();
        self.state_cuts(Feed::Own, device, &last, proof)?;
        self.follow_retirements(&before)?;
        Ok(())
    }

    /// Returns the devices that are retired, and when it was said first.
    pub(super) fn retired_devices(&self) -> BTreeSet<DeviceId> {
        let devices = self.state.authority.roster().devices();
        let retired = devices.filter(|found| found.retired);
        retired.map(|found| found.certificate.device).collect()
    }

    /// Reads from the log what a device wrote last in each feed; beyond its cuts only, or all.
    fn last_of(&self, device: DeviceId, beyond_only: bool) -> Result<Last, StoreError> {
        let mut last = Last::new();
        let roster = self.state.authority.roster();
        let mut note = |value: &[u8]| {
            let Ok(event) = Signed::from_bytes(value) else {
                return;
            };
            let header = event.header();
            let (writer, number) = (header.incarnation, header.number);
            let is_beyond = || !roster.counts(&device, writer, event.feed(), number, event.id());
            if header.author == device && (!beyond_only || is_beyond()) {
                let this = (number, event.id());
                let entry = last.entry((writer, event.feed().name())).or_insert(this);
                *entry = (*entry).max(this);
            }
        };
        open::each_row(self.kv, layout::LOG, None, &mut |_, value| {
            note(value);
            Ok(true)
        })?;
        for ((keyspace, _), value) in &self.staged {
            if *keyspace == layout::LOG
                && let Some(value) = value
            {
                note(value);
            }
        }
        Ok(last)
    }

    /// States that a device is retired and what counts of it, in as many events as it takes.
    fn state_cuts(
        &mut self,
        feed: Feed,
        device: DeviceId,
        last: &Last,
        proof: Option<[u8; crdt::identity::SIGNATURE_BYTES]>,
    ) -> Result<(), AppendError> {
        let mut cuts: Vec<FeedCut> = last
            .iter()
            .map(|((incarnation, feed), (number, event))| FeedCut {
                incarnation: *incarnation,
                feed: *feed,
                number: *number,
                event: *event,
            })
            .collect();
        cuts.sort_unstable();
        let mut rest = cuts.as_slice();
        loop {
            let (chunk, after) = rest.split_at(rest.len().min(FEED_CUTS_MAX));
            rest = after;
            let retirement = Retirement {
                device,
                cuts: chunk.to_vec(),
                proof,
            };
            let body = retirement.to_bytes();
            match feed {
                Feed::Pair(other) => {
                    let me = self.state.me;
                    self.write_consent(Kind::Retirement, other, me, body)?;
                }
                _ => self.write_own(Kind::Retirement, body)?,
            }
            if rest.is_empty() {
                return Ok(());
            }
        }
    }

    /// Does what has to be done for devices that were not retired `before` and are now.
    pub(super) fn follow_retirements(
        &mut self,
        before: &BTreeSet<DeviceId>,
    ) -> Result<(), AppendError> {
        let fresh: Vec<DeviceId> = self
            .retired_devices()
            .into_iter()
            .filter(|device| !before.contains(device))
            .collect();
        // A device that hears that it is retired itself has nothing more to say.
        if fresh.is_empty() || self.is_replaying || self.am_retired() {
            return Ok(());
        }
        let mut persons = BTreeSet::new();
        for device in &fresh {
            let found = self.state.authority.device(device);
            persons.extend(found.map(|found| found.certificate.person));
        }
        self.raise_floor();
        let me = self.state.me;
        if persons.remove(&me) {
            for device in &fresh {
                self.follow_own_retirement(*device)?;
            }
            self.keep_keyring()?;
            persons.extend(self.state.consent.keys().copied().filter(|p| *p != me));
        }
        for person in persons {
            self.renew_scope_keys(person, &fresh)?;
        }
        Ok(())
    }

    /// Tells whether this very device was retired.
    pub(super) fn am_retired(&self) -> bool {
        self.state.is_retired(&self.owner.certificate.device)
    }

    /// Every memory takes a new content key at its next change.
    fn raise_floor(&mut self) {
        let rotation = self.state.rotation.saturating_add(1);
        (self.state.rotation, self.state.floor) = (rotation, rotation);
        for row in [meta::ROTATION, meta::FLOOR] {
            let value = rotation.to_le_bytes().to_vec();
            self.put(layout::META, row.to_vec(), value);
        }
    }

    fn follow_own_retirement(&mut self, device: DeviceId) -> Result<(), AppendError> {
        let Some(found) = self.own_enrolment(device) else {
            return Ok(());
        };
        // What this node accepted before it heard of it goes on counting.
        let beyond = self.last_of(device, true)?;
        if !beyond.is_empty() {
            self.state_cuts(Feed::Own, device, &beyond, None)?;
        }
        let peers: Vec<PersonId> = self.state.peers.keys().copied().collect();
        for person in peers {
            let is_told = self
                .state
                .consent
                .get(&person)
                .is_some_and(|known| known.told.retired.contains(&device));
            if is_told {
                continue;
            }
            self.introduce(person, device)?;
            let cuts = self
                .own_enrolment(device)
                .map(|found| found.cuts)
                .unwrap_or_default();
            let known = self.cuts_known_to(person, &cuts);
            let proof = self.proof_of(device);
            self.state_cuts(Feed::Pair(person), found.certificate.device, &known, proof)?;
        }
        Ok(())
    }

    /// Returns the root's signature under a retirement, made here or taken from what was said.
    fn proof_of(&self, device: DeviceId) -> Option<[u8; crdt::identity::SIGNATURE_BYTES]> {
        let root = self.owner.root.as_ref();
        let root = root.filter(|root| root.id() == self.state.me);
        root.map(|root| root.retire(device))
            .or_else(|| self.state.authority.roster().proof(&device))
    }

    /// Keeps of the cuts those of feeds that a person knows: the pair's, and what is in the view.
    fn cuts_known_to(&self, person: PersonId, cuts: &Cuts) -> Last {
        let mut names = BTreeSet::from([Feed::Pair(person).name()]);
        self.state
            .pair_view(person, self.now, &mut |facts: &Facts, _| {
                names.insert(Feed::Memory(facts.id).name());
            });
        cuts.iter()
            .filter(|((_, name), _)| names.contains(name))
            .map(|(place, last)| (*place, *last))
            .collect()
    }

    /// Tells a person of a device of mine, and how far it counts in a memory if it was retired.
    pub(super) fn tell_of_writer(
        &mut self,
        person: PersonId,
        device: DeviceId,
        feed: Feed,
    ) -> Result<(), AppendError> {
        let Some(found) = self.own_enrolment(device) else {
            return Ok(());
        };
        self.introduce(person, device)?;
        if !found.retired {
            return Ok(());
        }
        let name = feed.name();
        let told = self.state.consent.get(&person).map(|known| &known.told);
        let is_told = |place: &(Incarnation, Hash), last: &(u64, EventId)| {
            let said = told.and_then(|told| told.cuts.get(&(device, place.0, place.1)));
            said.is_some_and(|said| said >= last)
        };
        let lacking: Last = found
            .cuts
            .iter()
            .filter(|(place, last)| place.1 == name && !is_told(place, last))
            .map(|(place, last)| (*place, *last))
            .collect();
        if lacking.is_empty() {
            return Ok(());
        }
        let proof = self.proof_of(device);
        self.state_cuts(Feed::Pair(person), device, &lacking, proof)
    }

    /// Draws new scope keys for the grants to a person if a device that is retired now, theirs or
    /// mine, may know the ones in use, and wraps them to the devices that remain.
    fn renew_scope_keys(
        &mut self,
        person: PersonId,
        retired: &[DeviceId],
    ) -> Result<(), AppendError> {
        let said = self.said_of(retired);
        for grant in self.grants_in_use(person) {
            if grant.owner != self.state.me {
                continue;
            }
            let told = self.state.consent.get(&person).map(|known| &known.told);
            let last = told.and_then(|told| told.generations.get(&grant.id).copied());
            let Some((generation, _)) = last.filter(|(_, at)| *at < said) else {
                continue;
            };
            let held = self.scope_keys(grant.id)?;
            let newest = held.last().map_or(generation, |(epoch, _)| *epoch);
            let epoch = newest.max(generation).saturating_add(1);
            let key = ScopeKey::random(&mut self.rng());
            self.put_scope_key(grant.id, epoch, &key);
            let devices: Vec<_> = self.state.authority.devices_of(person).cloned().collect();
            self.wrap_scope_key(Kind::Keys, person, &grant, (epoch, &key), &devices)?;
        }
        self.keep_keyring()
    }

    /// Returns when the last of these retirements was said.
    fn said_of(&self, retired: &[DeviceId]) -> Hybrid {
        let roster = self.state.authority.roster();
        let times = retired
            .iter()
            .filter_map(|device| roster.retired_at(device));
        times.max().unwrap_or(Hybrid(u64::MAX))
    }

    fn grants_in_use(&self, person: PersonId) -> Vec<Grant> {
        let me = self.state.me;
        let between = |grant: &&Grant| {
            (grant.owner == me && grant.grantee == person)
                || (grant.owner == person && grant.grantee == me)
        };
        let in_use = |grant: &&Grant| {
            let state = grant.state(self.now);
            matches!(state, GrantState::Active | GrantState::Offered)
        };
        let grants = self.state.authority.grants();
        grants.filter(between).filter(in_use).cloned().collect()
    }

    pub(super) fn wrap_scope_key(
        &mut self,
        kind: Kind,
        person: PersonId,
        grant: &Grant,
        key: (u32, &ScopeKey),
        devices: &[DeviceCertificate],
    ) -> Result<(), AppendError> {
        let mut wraps = Vec::new();
        for device in devices {
            let (epoch, key) = key;
            let rng = &mut self.rng();
            let wrap = device
                .kem
                .wrap_key(device.device, grant.id, epoch, key, rng);
            wraps.push(wrap.map_err(|error| AppendError::Unreadable(error.to_string()))?);
        }
        let keys = Keys {
            grant: grant.id,
            epoch: key.0,
            wraps,
        };
        self.write_consent(kind, person, grant.owner, keys.to_bytes())?;
        Ok(())
    }

    /// Wraps the scope keys of the grants to a person to devices of theirs that came later, and
    /// hands the keys of their own grants back to devices that they certified later.
    pub(super) fn keep_wraps(&mut self, person: PersonId) -> Result<(), AppendError> {
        if self.is_replaying || self.am_retired() || !self.state.is_paired(person) {
            return Ok(());
        }
        let devices: Vec<_> = self.state.authority.devices_of(person).cloned().collect();
        for grant in self.grants_in_use(person) {
            let is_mine = grant.owner == self.state.me;
            let kind = if is_mine { Kind::Keys } else { Kind::Handback };
            let held = self.scope_keys(grant.id)?;
            // An owner has lost all generations, a grantee needs the one in use.
            let skip = if is_mine {
                held.len().saturating_sub(1)
            } else {
                0
            };
            for (epoch, key) in held.into_iter().skip(skip) {
                let lacking = self.lacking(person, &grant, epoch, &devices);
                if !lacking.is_empty() {
                    self.wrap_scope_key(kind, person, &grant, (epoch, &key), &lacking)?;
                }
            }
        }
        Ok(())
    }

    fn lacking(
        &self,
        person: PersonId,
        grant: &Grant,
        epoch: u32,
        devices: &[DeviceCertificate],
    ) -> Vec<DeviceCertificate> {
        let told = self.state.consent.get(&person).map(|known| &known.told);
        let is_wrapped = |device: DeviceId| {
            let wrap: (GrantId, u32, DeviceId) = (grant.id, epoch, device);
            told.is_some_and(|told| told.wraps.contains(&wrap))
        };
        let came_later = |device: &DeviceCertificate| {
            grant.owner == self.state.me || device.issued > grant.offered.wall()
        };
        devices
            .iter()
            .filter(|device| !is_wrapped(device.device) && came_later(device))
            .cloned()
            .collect()
    }

    /// Shows a paired person the certificates of my other devices: they let nobody in whom they do
    /// not know, and a device that never wrote anything would stand before their door.
    pub(super) fn introduce_all(&mut self, person: PersonId) -> Result<(), AppendError> {
        if self.is_replaying || self.am_retired() || !self.state.is_paired(person) {
            return Ok(());
        }
        let mine = self.owner.device.id();
        let devices = self.state.own_devices().filter(|found| !found.retired);
        let devices = devices.map(|found| found.certificate.device);
        let others: Vec<DeviceId> = devices.filter(|device| *device != mine).collect();
        if !others.is_empty() {
            // The feed of a device begins with its own certificate.
            self.introduce(person, mine)?;
        }
        for device in others {
            self.introduce(person, device)?;
        }
        Ok(())
    }

    /// Shows a person the certificate of a device of mine, if that was not done.
    pub(super) fn introduce(
        &mut self,
        person: PersonId,
        device: DeviceId,
    ) -> Result<(), AppendError> {
        let is_known = self
            .state
            .consent
            .get(&person)
            .is_some_and(|known| known.told.devices.contains(&device));
        let Some(found) = self.own_enrolment(device).filter(|_| !is_known) else {
            return Ok(());
        };
        let me = self.state.me;
        self.write_consent(Kind::Device, person, me, found.certificate.to_bytes())?;
        Ok(())
    }
}
