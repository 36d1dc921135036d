//! Peers: invite, accept, list, rename, block, part.

use super::{Failure, Services};
use crate::clock;
use crate::sync::{Introduction, Outcome};
use crdt::id::PersonId;
use crdt::identity::did::to_did;
use crdt::identity::words::safety_words;
use protocol::api::Page;
use protocol::api::peers::{AcceptInvite, Invite, NewInvite, Peer, PeerPatch};
use protocol::api::problem::ErrorCode;
use protocol::session::Role;
use protocol::ticket::{Purpose, Ticket};
use protocol::wire::control::RefusedBecause;
use std::time::Duration;
use storage::records::{Invite as Given, PeerState};
use storage::store::StoreError;
use tokio::sync::oneshot;

const INVITE_SECONDS_DEFAULT: u64 = 3_600;
const INVITE_SECONDS_MAX: u64 = 30 * 86_400;
/// How long accepting waits for the inviter to answer.
const ACCEPT_MAX: Duration = Duration::from_secs(10);
const PETNAME_CHARS_MAX: usize = 64;

fn check_petname(name: &str) -> Result<(), Failure> {
    let fits = !name.trim().is_empty()
        && name != "me"
        && name.chars().count() <= PETNAME_CHARS_MAX
        && !name
            .chars()
            .any(|c| c.is_control() || matches!(c, '"' | ',' | '/'));
    if fits {
        Ok(())
    } else {
        Err(Failure::new(
            ErrorCode::BadRequest,
            format!("{name:?} is no name for a peer"),
        ))
    }
}

impl Services {
    fn show_peer(&self, person: PersonId) -> Option<Peer> {
        let peer = self
            .store()
            .read(|state| state.peers.get(&person).cloned())?;
        let is_open = self.0.sync.session(person).is_some();
        Some(Peer {
            person: to_did(&person),
            alias: peer.petname,
            words: safety_words(&person),
            state: match peer.state {
                PeerState::Paired => "paired",
                PeerState::Blocked => "blocked",
            }
            .to_owned(),
            path: if is_open { "direct" } else { "offline" }.to_owned(),
            addresses: peer
                .devices
                .into_iter()
                .flat_map(|(_, addresses)| addresses)
                .collect(),
            last_contact: peer.last_contact.map(crdt::time::Timestamp::to_rfc3339),
        })
    }

    /// Lists everyone this node is paired with.
    #[expect(clippy::unnecessary_wraps, reason = "every use case answers alike")]
    pub fn peers(&self) -> Result<Page<Peer>, Failure> {
        let persons: Vec<PersonId> = self
            .store()
            .read(|state| state.peers.keys().copied().collect());
        let items = persons
            .into_iter()
            .filter_map(|person| self.show_peer(person))
            .collect();
        Ok(Page {
            items,
            next_cursor: None,
        })
    }

    /// Returns one peer.
    pub fn peer(&self, name: &str) -> Result<Peer, Failure> {
        let person = self.find_person(name)?;
        self.show_peer(person)
            .ok_or_else(|| Failure::not_found("peer", name))
    }

    /// Renames, blocks or unblocks a peer.
    pub fn patch_peer(&self, name: &str, patch: PeerPatch) -> Result<Peer, Failure> {
        let person = self.find_person(name)?;
        if let Some(alias) = &patch.alias {
            check_petname(alias)?;
        }
        let state = match patch.state.as_deref() {
            None => None,
            Some("paired") => Some(PeerState::Paired),
            Some("blocked") => Some(PeerState::Blocked),
            Some(other) => {
                let title = format!("{other:?} is neither paired nor blocked");
                return Err(Failure::new(ErrorCode::BadRequest, title));
            }
        };
        let changed = self.store().transact::<_, StoreError>(clock::now(), |tx| {
            tx.change_peer(person, patch.alias, state)
        })?;
        if !changed {
            return Err(Failure::new(
                ErrorCode::Conflict,
                "another peer has this name already",
            ));
        }
        if state == Some(PeerState::Blocked) {
            self.end_session(person);
        } else {
            self.0.sync.dial_now();
        }
        self.peer(&to_did(&person))
    }

    /// Parts from a peer. Grants to them must be revoked first, so that nothing is left half open.
    pub fn remove_peer(&self, name: &str) -> Result<(), Failure> {
        let person = self.find_person(name)?;
        let open = self.store().read(|state| {
            state
                .authority
                .grants_to(state.me, person, clock::now())
                .count()
        });
        if open > 0 {
            let title = format!("{name} still holds {open} grants of yours");
            return Err(Failure::new(ErrorCode::Conflict, title)
                .hint(format!("brainctl revoke {name}      take them back first")));
        }
        self.store().transact::<_, StoreError>(clock::now(), |tx| {
            tx.unpair(person);
            Ok(())
        })?;
        self.end_session(person);
        Ok(())
    }

    pub(super) fn end_session(&self, person: PersonId) {
        let sync = self.0.sync.clone();
        self.0.tasks.spawn(async move { sync.close(person).await });
    }

    /// Makes a one-use ticket.
    pub fn invite(&self, new: NewInvite) -> Result<Invite, Failure> {
        if let Some(alias) = &new.alias {
            check_petname(alias)?;
        }
        let seconds = new
            .expires_in_s
            .unwrap_or(INVITE_SECONDS_DEFAULT)
            .min(INVITE_SECONDS_MAX);
        let offer = match &new.share {
            None => None,
            Some(spec) => {
                Self::read_spec(spec)?;
                serde_json::to_string(spec).ok()
            }
        };
        let now = clock::now();
        let mut secret = [0; 16];
        getrandom::fill(&mut secret).map_err(|error| {
            Failure::new(ErrorCode::Internal, "the system gives no randomness")
                .because(error.to_string())
        })?;
        let owner = self.store().owner();
        let mut addresses = self.0.sync.network().listen();
        addresses.truncate(protocol::limits::ADDRESSES_MAX);
        let ticket = Ticket {
            purpose: Purpose::Invite,
            person: owner.certificate.person,
            device: owner.device.id(),
            secret,
            expires: now.plus_ms(seconds.saturating_mul(1_000)),
            addresses,
        };
        let given = Given {
            secret: Ticket::secret_hash(&secret),
            expires: ticket.expires,
            petname: new.alias,
            used_by: None,
            offer,
            is_device: false,
        };
        self.store().transact::<_, StoreError>(now, |tx| {
            tx.add_invite(given);
            Ok(())
        })?;
        self.0.sync.mind_the_door();
        Ok(Invite {
            ticket: ticket.to_string(),
            expires: ticket.expires.to_rfc3339(),
            words: safety_words(&owner.certificate.person),
        })
    }

    /// Accepts a ticket: dials the inviter and pairs.
    pub async fn accept_invite(&self, accept: AcceptInvite) -> Result<Peer, Failure> {
        if let Some(alias) = &accept.alias {
            check_petname(alias)?;
        }
        let ticket: Ticket = accept.ticket.parse().map_err(|error| {
            Failure::new(ErrorCode::BadTicket, format!("this is no ticket: {error}"))
                .hint("ask for the whole line that begins with brain:invite/1/")
        })?;
        if ticket.purpose == Purpose::Device {
            let title = "this ticket is for a new device of its maker, not for another person";
            return Err(Failure::new(ErrorCode::BadTicket, title)
                .hint("ask for a ticket for you:  brainctl peer invite")
                .hint("on a new device of yours:  brainctl device join TICKET"));
        }
        if ticket.person == self.store().owner().certificate.person {
            return Err(
                Failure::new(ErrorCode::BadTicket, "this ticket is your own")
                    .hint("give it to the person you want to pair with"),
            );
        }
        if ticket.expires <= clock::now() {
            return Err(expired());
        }
        let stream = self
            .0
            .sync
            .network()
            .open(ticket.device, &ticket.addresses)
            .await;
        let stream = stream.map_err(|error| unreachable(&error.to_string()))?;
        let (outcome, answer) = oneshot::channel();
        let person = ticket.person;
        let introduction = Introduction {
            ticket,
            petname: accept.alias,
            outcome,
        };
        self.0
            .sync
            .spawn(stream, Role::Initiator, Some(introduction));
        match tokio::time::timeout(ACCEPT_MAX, answer).await {
            Ok(Ok(Outcome::Paired(paired))) if paired == person => {
                let person = to_did(&paired);
                tokio::task::block_in_place(|| self.peer(&person))
            }
            Ok(Ok(Outcome::Refused(because))) => Err(refused(because)),
            Ok(_) => Err(unreachable("the connection ended before an answer")),
            Err(_) => Err(unreachable("no answer in time")),
        }
    }
}

pub(super) fn expired() -> Failure {
    Failure::new(ErrorCode::TicketExpired, "the ticket is past its time")
        .hint("ask for a new one: brainctl peer invite")
}

pub(super) fn unreachable(why: &str) -> Failure {
    Failure::new(
        ErrorCode::PeerUnreachable,
        "the inviter's node does not answer",
    )
    .because(why)
    .hint("is their node running, and on the same network? try again: the ticket is unused")
}

pub(super) fn refused(because: RefusedBecause) -> Failure {
    match because {
        RefusedBecause::TicketUsed => {
            Failure::new(ErrorCode::TicketUsed, "someone else has used this ticket")
                .hint("ask for a new one: brainctl peer invite")
        }
        RefusedBecause::TicketExpired => expired(),
        RefusedBecause::TicketUnknown => Failure::new(
            ErrorCode::TicketUnknown,
            "the inviter does not know this ticket",
        )
        .hint("ask for a new one: brainctl peer invite"),
        RefusedBecause::Version => Failure::new(
            ErrorCode::PeerUnreachable,
            "the inviter's node speaks another version",
        )
        .hint("update the older of the two nodes"),
        RefusedBecause::NotPaired => {
            Failure::new(ErrorCode::Forbidden, "the inviter's node refused to talk")
        }
    }
}
