//! Who is welcome: paired persons, holders of a ticket, and this person's own devices.
//!
//! Everyone else, a retired device too, hears the same refusal.

use super::driver::Driver;
use crate::clock;
use crdt::identity::DeviceCertificate;
use protocol::session::Role;
use protocol::ticket::Ticket;
use protocol::wire::control::{Enrolled, Hello, RefusedBecause};
use storage::store::StoreError;
use storage::tx::{EnrolError, TicketUse, Tx};

impl Driver {
    /// Decides whether the peer is welcome, and pairs or enrols it.
    pub(super) fn is_welcome(&self, hello: &Hello) -> Result<Welcome, String> {
        let store = &self.sync.0.store;
        let person = hello.certificate.person;
        let invited = self
            .introduction
            .as_ref()
            .filter(|i| i.ticket.person == person);
        let device = hello.certificate.device;
        let (known, paired, retired, familiar) = store.read(|state| {
            let known = state.peers.get(&person);
            let certificates = known.map_or(&[][..], |peer| &peer.certificates);
            let familiar = certificates.iter().any(|known| known.device == device);
            let retired = state.is_retired(&device);
            (known.is_some(), state.is_paired(person), retired, familiar)
        });
        // A retired device hears what a stranger hears.
        if retired || (known && !paired) {
            return Ok(Welcome::Refused(RefusedBecause::NotPaired));
        }
        if person == store.owner().certificate.person {
            return self.greet_own(hello);
        }
        if paired && familiar && invited.is_none() && hello.ticket.is_none() {
            return self.meet_again(hello);
        }
        let result = store.transact::<_, EnrolError>(clock::now(), |tx| {
            let mut petname =
                invited.map(|i| i.petname.clone().unwrap_or_else(|| hello.alias.clone()));
            if let Some(secret) = hello.ticket.filter(|_| self.role == Role::Responder) {
                let secret = Ticket::secret_hash(&secret);
                let was_used = tx
                    .state()
                    .invites
                    .iter()
                    .any(|invite| invite.secret == secret && invite.used_by.is_some());
                let is_own = tx.state().authority.person_of(&self.device) == Some(tx.state().me);
                match tx.use_invite(secret, person) {
                    // Whoever lost the answer may ask again, with the machine that was enrolled;
                    // a used ticket brings no other machine in, a retired one under a new key.
                    TicketUse::Accepted(invite) if invite.is_device && was_used && !is_own => {
                        return Ok(Welcome::Refused(RefusedBecause::TicketUsed));
                    }
                    TicketUse::Accepted(invite) if invite.is_device => {
                        return enrol(tx, &hello.certificate, invite.petname);
                    }
                    TicketUse::Accepted(invite) => {
                        petname = Some(invite.petname.unwrap_or_else(|| hello.alias.clone()));
                    }
                    _ if paired => {}
                    TicketUse::Unknown => {
                        return Ok(Welcome::Refused(RefusedBecause::TicketUnknown));
                    }
                    TicketUse::Used => return Ok(Welcome::Refused(RefusedBecause::TicketUsed)),
                    TicketUse::Expired => {
                        return Ok(Welcome::Refused(RefusedBecause::TicketExpired));
                    }
                }
            }
            if !paired && petname.is_none() {
                return Ok(Welcome::Refused(RefusedBecause::NotPaired));
            }
            let petname = petname.unwrap_or_default();
            tx.pair(
                &hello.certificate,
                &clean(&petname),
                hello.addresses.clone(),
            );
            tx.note_contact(person, self.device, hello.addresses.clone());
            Ok(Welcome::In)
        });
        result.map_err(|error| error.to_string())
    }

    /// Welcomes a device that is known. Where it was met is noted without waiting for the disk: should
    /// that be lost, the next session tells it again.
    fn meet_again(&self, hello: &Hello) -> Result<Welcome, String> {
        let store = &self.sync.0.store;
        let noted = store.jot::<_, StoreError>(clock::now(), |tx| {
            let (person, addresses) = (hello.certificate.person, hello.addresses.clone());
            tx.note_contact(person, self.device, addresses);
            Ok(Welcome::In)
        });
        noted.map_err(|error| error.to_string())
    }

    /// Welcomes another device of this person: its certificate is by the root.
    fn greet_own(&self, hello: &Hello) -> Result<Welcome, String> {
        let store = &self.sync.0.store;
        if hello.certificate.device == store.owner().device.id() {
            return Ok(Welcome::Refused(RefusedBecause::NotPaired));
        }
        let greeted = store.transact::<_, StoreError>(clock::now(), |tx| {
            tx.greet_own(&hello.certificate, hello.addresses.clone());
            Ok(())
        });
        greeted.map_err(|error| error.to_string())?;
        Ok(Welcome::In)
    }
}

/// How a greeting is answered.
pub(super) enum Welcome {
    /// The peer is welcome.
    In,
    /// It becomes an own device, and comes back as that.
    Enrolled(Box<Enrolled>),
    /// It is not welcome.
    Refused(RefusedBecause),
}

fn enrol(
    tx: &mut Tx<'_>,
    shown: &DeviceCertificate,
    name: Option<String>,
) -> Result<Welcome, EnrolError> {
    let host = tx.owner().certificate.clone();
    let certificate = tx.enrol_device(shown, name)?;
    let enrolled = Enrolled { certificate, host };
    Ok(Welcome::Enrolled(Box::new(enrolled)))
}

/// A name that a stranger gave itself, made fit to be shown.
fn clean(name: &str) -> String {
    let name: String = name
        .chars()
        .filter(|c| c.is_alphanumeric() || matches!(c, '-' | '_' | '.' | '@' | ' '))
        .take(64)
        .collect();
    let name = name.trim();
    if name.is_empty() {
        "someone".to_owned()
    } else {
        name.to_owned()
    }
}
