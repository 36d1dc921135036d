//! Peers and invites: who this node is paired with.

use super::Tx;
use crate::layout;
use crate::records::{Invite, Peer, PeerState};
use crate::store::StoreError;
use crdt::codec::Canonical as _;
use crdt::hash::Hash;
use crdt::id::{DeviceId, PersonId};
use crdt::identity::DeviceCertificate;

/// What became of a ticket that a stranger presented.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TicketUse {
    /// It was good; the person is paired now.
    Accepted(Box<Invite>),
    /// Nobody knows it.
    Unknown,
    /// Someone else used it.
    Used,
    /// It is past its time.
    Expired,
}

impl Tx<'_> {
    /// Keeps a ticket that is given out.
    pub fn add_invite(&mut self, invite: Invite) {
        self.save_invites();
        self.put(layout::INVITE, invite.secret.0.to_vec(), invite.to_bytes());
        self.state
            .invites
            .retain(|known| known.secret != invite.secret);
        self.state.invites.push(invite);
    }

    /// Uses a ticket up. The person who used it may present it again; nobody else may.
    pub fn use_invite(&mut self, secret: Hash, person: PersonId) -> TicketUse {
        let invite = self
            .state
            .invites
            .iter()
            .find(|invite| invite.secret == secret)
            .cloned();
        let Some(mut invite) = invite else {
            return TicketUse::Unknown;
        };
        match invite.used_by {
            Some(user) if user == person => return TicketUse::Accepted(Box::new(invite)),
            Some(_) => return TicketUse::Used,
            None if invite.expires <= self.now => return TicketUse::Expired,
            None => {}
        }
        invite.used_by = Some(person);
        self.add_invite(invite.clone());
        TicketUse::Accepted(Box::new(invite))
    }

    /// Pairs with a person, or learns another device or address of theirs.
    ///
    /// A petname that is taken gets a number.
    pub fn pair(
        &mut self,
        certificate: &DeviceCertificate,
        petname: &str,
        addresses: Vec<String>,
    ) -> Peer {
        let (person, device) = (certificate.person, certificate.device);
        if self.state.authority.device(&device).is_none() {
            self.save_authority();
            self.state.authority.enrol(certificate.clone());
        }
        let mut peer = match self.state.peers.get(&person) {
            Some(peer) => peer.clone(),
            None => Peer {
                person,
                petname: self.free_petname(petname),
                state: PeerState::Paired,
                certificates: Vec::new(),
                devices: Vec::new(),
                paired: self.now,
                last_contact: None,
            },
        };
        if !peer.certificates.iter().any(|known| known.device == device) {
            peer.certificates.push(certificate.clone());
        }
        set_addresses(&mut peer, device, addresses);
        self.put_peer(peer.clone());
        peer
    }

    fn free_petname(&self, wanted: &str) -> String {
        let is_taken =
            |name: &str| name == "me" || self.state.peers.values().any(|peer| peer.petname == name);
        if !is_taken(wanted) {
            return wanted.to_owned();
        }
        let numbered = (2_u32..).map(|number| format!("{wanted}-{number}"));
        numbered
            .take(1_000)
            .find(|name| !is_taken(name))
            .unwrap_or_else(|| wanted.to_owned())
    }

    /// Notes that a session with a peer is open, and where its device can be reached.
    pub fn note_contact(&mut self, person: PersonId, device: DeviceId, addresses: Vec<String>) {
        let now = self.now;
        if let Some(mut peer) = self.state.peers.get(&person).cloned() {
            peer.last_contact = Some(now);
            set_addresses(&mut peer, device, addresses);
            self.put_peer(peer);
        }
    }

    /// Changes my name for a peer or how they stand; false if the name is taken.
    #[expect(
        clippy::unnecessary_wraps,
        reason = "every change of a transaction may come to need the disk"
    )]
    pub fn change_peer(
        &mut self,
        person: PersonId,
        petname: Option<String>,
        state: Option<PeerState>,
    ) -> Result<bool, StoreError> {
        let Some(mut peer) = self.state.peers.get(&person).cloned() else {
            return Ok(false);
        };
        if let Some(petname) = petname.filter(|name| *name != peer.petname) {
            if self.free_petname(&petname) != petname {
                return Ok(false);
            }
            peer.petname = petname;
        }
        peer.state = state.unwrap_or(peer.state);
        self.put_peer(peer);
        Ok(true)
    }

    /// Parts from a peer. Grants are not touched: revoke them first.
    pub fn unpair(&mut self, person: PersonId) {
        self.save_peers();
        self.delete(layout::PEER, self.opaque.opaque(person.as_bytes()).to_vec());
        self.state.peers.remove(&person);
        self.met.insert(person);
    }

    fn put_peer(&mut self, peer: Peer) {
        self.met.insert(peer.person);
        self.put_peer_row(peer);
    }

    /// Notes where the other devices of this person can be reached.
    pub(super) fn put_contact(&mut self, contact: Peer) {
        self.save_contact();
        let row = self.opaque.opaque(contact.person.as_bytes()).to_vec();
        self.put(layout::PEER, row, contact.to_bytes());
        self.state.own.contact = Some(contact);
    }

    pub(super) fn put_peer_row(&mut self, peer: Peer) {
        self.save_peers();
        let row = self.opaque.opaque(peer.person.as_bytes()).to_vec();
        self.put(layout::PEER, row, peer.to_bytes());
        self.state.peers.insert(peer.person, peer);
    }
}

pub(super) fn set_addresses(peer: &mut Peer, device: DeviceId, addresses: Vec<String>) {
    if addresses.is_empty() && peer.devices.iter().any(|(known, _)| *known == device) {
        return;
    }
    peer.devices.retain(|(known, _)| *known != device);
    peer.devices.push((device, addresses));
}
