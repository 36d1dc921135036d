//! Greeting: who is there, and are they welcome?
//!
//! The initiator shows its certificate first. The responder answers only a paired person or the
//! holder of a ticket; everyone else gets the same refusal.

use super::{Effect, Phase, Role, Session, Timer};
use crate::limits::GREETING_MS;
use crate::reconcile::Salt;
use crate::wire::control::{Control, Enrolled, Hello, RefusedBecause};
use crate::wire::{VERSION_MAX, VERSION_MIN};
use crdt::id::PersonId;

/// Whether the peer is welcome.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Admission {
    /// It speaks for a person that is paired, or was just paired by a ticket.
    Welcome(PersonId),
    /// It becomes one of this person's own devices, and comes back as that.
    Enrol(Box<Enrolled>),
    /// It is not.
    Refuse(RefusedBecause),
}

impl Session {
    pub(super) fn start(&mut self) -> Vec<Effect> {
        let mut effects = vec![Effect::SetTimer(Timer::Greeting, GREETING_MS)];
        if self.role == Role::Initiator {
            effects.push(Effect::Send(Control::Hello(Box::new(self.hello.clone()))));
        }
        effects
    }

    pub(super) fn handle_greeting(&mut self, message: Control) -> Vec<Effect> {
        match message {
            Control::Hello(hello) => self.handle_hello(hello),
            Control::Refused(because) if self.role == Role::Initiator => {
                self.phase = Phase::Closed;
                let reason = "the peer refused the greeting";
                vec![
                    Effect::Refused(because),
                    Effect::Close {
                        reason,
                        fault: false,
                    },
                ]
            }
            Control::Enrolled(enrolled) if self.role == Role::Initiator => {
                if enrolled.host.device != self.peer
                    || enrolled.certificate.device != self.hello.certificate.device
                    || enrolled.certificate.person != enrolled.host.person
                {
                    return self.violation("the certificates are for others");
                }
                self.phase = Phase::Closed;
                let reason = "this machine was made an own device";
                vec![
                    Effect::Enrolled(enrolled),
                    Effect::Close {
                        reason,
                        fault: false,
                    },
                ]
            }
            _ => self.violation("a message before the greeting"),
        }
    }

    fn handle_hello(&mut self, hello: Box<Hello>) -> Vec<Effect> {
        if hello.certificate.device != self.peer {
            return self.violation("the certificate is for another device");
        }
        if hello.version_max < VERSION_MIN || hello.version_min > VERSION_MAX {
            return self.refuse(RefusedBecause::Version);
        }
        let (initiator, responder) = match self.role {
            Role::Initiator => (self.hello.nonce, hello.nonce),
            Role::Responder => (hello.nonce, self.hello.nonce),
        };
        self.salt = Salt::new(&initiator, &responder);
        vec![Effect::Admit(hello)]
    }

    pub(super) fn handle_admission(&mut self, admission: &Admission) -> Vec<Effect> {
        if !matches!(self.phase, Phase::Greeting) {
            return Vec::new();
        }
        match admission {
            Admission::Refuse(because) => self.refuse(*because),
            Admission::Enrol(enrolled) => {
                self.phase = Phase::Closed;
                let reason = "the machine was made an own device";
                vec![
                    Effect::Send(Control::Enrolled(enrolled.clone())),
                    Effect::Close {
                        reason,
                        fault: false,
                    },
                ]
            }
            Admission::Welcome(_) => {
                self.phase = Phase::Consent {
                    sent: false,
                    received: false,
                };
                let mut effects = Vec::new();
                if self.role == Role::Responder {
                    effects.push(Effect::Send(Control::Hello(Box::new(self.hello.clone()))));
                }
                effects.push(Effect::LoadFrontier);
                effects
            }
        }
    }
}
