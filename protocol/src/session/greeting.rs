//! Greeting: who is there, and are they welcome?
//!
//! The initiator shows its certificate first. The responder answers only a paired person or the
//! holder of a ticket; everyone else gets the same refusal. Nodes that met before greet with
//! digests of what they said then; whoever does not recognise one asks for the whole, in the same
//! words whether it knew the peer once or never.
//!
//! ```text
//! Hello or Again ->
//!                <- Hello or Again | Tell(Hello), and it begins again with Hello | Refused
//! ```

use super::consenting::Consenting;
use super::{Acquaintance, Effect, Phase, Role, Session, Timer};
use crate::limits::GREETING_MS;
use crate::reconcile::Salt;
use crate::wire::VERSION_BRIEF;
use crate::wire::brief::{Again, Digest, Topic};
use crate::wire::control::{Control, Enrolled, Hello, RefusedBecause};
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

/// Nothing is trusted yet.
#[derive(Debug, Default)]
pub(super) struct Greeting {
    /// The peer's greeting, while the driver decides about it.
    heard: Option<Box<Hello>>,
    /// Whether the peer greeted by a digest, and so knows this side's greeting already.
    peer_knows: bool,
    /// Whether the initiator greeted in full, or was asked to: once is enough.
    is_full: bool,
}

impl Session {
    pub(super) fn start(&mut self) -> Vec<Effect> {
        let mut effects = vec![Effect::SetTimer(Timer::Greeting, GREETING_MS)];
        if self.role == Role::Initiator {
            effects.push(Effect::Send(self.greet()));
        }
        effects
    }

    /// Says hello, in full or by digests.
    fn greet(&mut self) -> Control {
        let mine = Digest::of_hello(&self.hello);
        let met = self.known.as_ref().filter(|known| {
            known.mine == mine
                && known.theirs.version_max >= VERSION_BRIEF
                && self.hello.version_max >= VERSION_BRIEF
                && self.hello.ticket.is_none()
        });
        if let Some(known) = met {
            return Control::Again(Again {
                nonce: self.hello.nonce,
                both: Digest::of_greetings(&self.hello, &known.theirs),
            });
        }
        if let Phase::Greeting(greeting) = &mut self.phase {
            greeting.is_full = true;
        }
        Control::Hello(Box::new(self.hello.clone()))
    }

    pub(super) fn handle_greeting(&mut self, message: Control) -> Vec<Effect> {
        match message {
            Control::Hello(hello) => self.handle_hello(hello),
            Control::Again(again) => self.handle_again(again),
            Control::Tell(Topic::Hello) if self.role == Role::Initiator => {
                let Phase::Greeting(greeting) = &mut self.phase else {
                    return Vec::new();
                };
                if std::mem::replace(&mut greeting.is_full, true) {
                    return self.violation("a greeting was asked for that was given");
                }
                vec![Effect::Send(Control::Hello(Box::new(self.hello.clone())))]
            }
            Control::Refused(because) if self.role == Role::Initiator => {
                let mut effects = vec![Effect::Refused(because)];
                effects.extend(self.close("the peer refused the greeting"));
                effects
            }
            Control::Enrolled(enrolled) if self.role == Role::Initiator => {
                if enrolled.host.device != self.peer
                    || enrolled.certificate.device != self.hello.certificate.device
                    || enrolled.certificate.person != enrolled.host.person
                {
                    return self.violation("the certificates are for others");
                }
                let mut effects = vec![Effect::Enrolled(enrolled)];
                effects.extend(self.close("this machine was made an own device"));
                effects
            }
            _ => self.violation("a message before the greeting"),
        }
    }

    /// The peer greeted by digests.
    fn handle_again(&mut self, again: Again) -> Vec<Effect> {
        let known = self.known.as_ref();
        let greeting = known.and_then(|known| known.greeting(&self.hello, again.both));
        let greeting = greeting.cloned();
        let Phase::Greeting(phase) = &mut self.phase else {
            return Vec::new();
        };
        phase.peer_knows = greeting.is_some();
        match greeting {
            Some(hello) => self.handle_hello(Box::new(Hello {
                nonce: again.nonce,
                ..hello
            })),
            None if self.role == Role::Responder
                && !std::mem::replace(&mut phase.is_full, true) =>
            {
                vec![Effect::Send(Control::Tell(Topic::Hello))]
            }
            None => self.violation("a greeting that was never said"),
        }
    }

    fn handle_hello(&mut self, hello: Box<Hello>) -> Vec<Effect> {
        if hello.certificate.device != self.peer {
            return self.violation("the certificate is for another device");
        }
        // Both sides speak the newest version that both understand.
        let newest = self.hello.version_max.min(hello.version_max);
        let oldest = self.hello.version_min.max(hello.version_min);
        if newest < oldest {
            return self.refuse(RefusedBecause::Version);
        }
        self.version = newest;
        let (initiator, responder) = match self.role {
            Role::Initiator => (self.hello.nonce, hello.nonce),
            Role::Responder => (hello.nonce, self.hello.nonce),
        };
        self.salt = Salt::new(&initiator, &responder);
        let Phase::Greeting(greeting) = &mut self.phase else {
            return Vec::new();
        };
        if greeting.heard.replace(hello.clone()).is_some() {
            return self.violation("a second greeting");
        }
        vec![Effect::Admit(hello)]
    }

    pub(super) fn handle_admission(&mut self, admission: &Admission) -> Vec<Effect> {
        let Phase::Greeting(greeting) = &mut self.phase else {
            return Vec::new();
        };
        match admission {
            Admission::Refuse(because) => self.refuse(*because),
            Admission::Enrol(enrolled) => {
                let mut effects = vec![Effect::Send(Control::Enrolled(enrolled.clone()))];
                effects.extend(self.close("the machine was made an own device"));
                effects
            }
            Admission::Welcome(_) => {
                let Some(theirs) = greeting.heard.take() else {
                    return Vec::new();
                };
                let peer_knows = greeting.peer_knows;
                let mut effects = Vec::new();
                if self.role == Role::Responder {
                    let answer = if peer_knows && self.is_brief() {
                        self.greet()
                    } else {
                        Control::Hello(Box::new(self.hello.clone()))
                    };
                    effects.push(Effect::Send(answer));
                }
                let before = self.known.take();
                self.known = Some(Acquaintance {
                    theirs: *theirs,
                    mine: Digest::of_hello(&self.hello),
                    witnessed: before.as_ref().and_then(|known| known.witnessed.clone()),
                    equal: before.and_then(|known| known.equal),
                });
                self.has_greeted = true;
                self.phase = Phase::Consenting(Consenting::default());
                effects.extend(self.welcome_traces());
                effects.push(Effect::LoadFrontier);
                effects
            }
        }
    }
}
