//! The session: everything that two paired nodes say to each other, as a state machine.
//!
//! No sockets, no clock, no store: [`Session::handle`] takes an [`Input`] and the time and
//! returns [`Effect`]s; a driver runs them and answers with further inputs. The same code runs
//! in the daemon and in the simulator.
//!
//! ```text
//! Greeting -> Consent -> Syncing (reconcile, transfer, prove, and again) -> Closed
//!                        and beside it: witness each other's ledgers
//! ```
//!
//! Consent goes first: no content is offered or taken before both sides have exchanged the
//! events that say who may see what. Content leaves only through [`Effect::Offer`], which the
//! node's egress guard answers; the session cannot send it by itself.
//!
//! Invariant: [`Status::in_sync`] is true only while the last summaries of both sides are equal
//! and nothing is on its way.

mod consent;
mod greeting;
mod input;
mod status;
mod syncing;
mod witness;

pub use greeting::Admission;
pub use input::{Effect, Input, Timer};
pub use status::Status;

use crate::reconcile::Salt;
use crate::view::View;
use crate::wire::control::{Control, FeedTip, Hello, RefusedBecause};
use crdt::id::DeviceId;
use crdt::time::Timestamp;
use status::Flow;
use std::sync::Arc;
use syncing::Syncing;
use witness::Witnessing;

/// Which side opened the connection; it leads the reconciliation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// It dialled.
    Initiator,
    /// It was dialled.
    Responder,
}

/// How far the dialogue is.
#[derive(Debug)]
enum Phase {
    /// Nothing is trusted.
    Greeting,
    /// Consent events are exchanged.
    Consent { sent: bool, received: bool },
    /// Content flows.
    Syncing(Box<Syncing>),
    /// Over.
    Closed,
}

/// The state machine of one connected peer.
#[derive(Debug)]
pub struct Session {
    role: Role,
    /// The device that the transport proved.
    peer: DeviceId,
    hello: Hello,
    salt: Salt,
    phase: Phase,
    /// What the peer last said it knows of the pair's consent events.
    their_frontier: Vec<FeedTip>,
    view: Arc<View>,
    witnessing: Witnessing,
    status: Status,
    /// The status that was last told.
    reported: Status,
}

impl Session {
    /// Prepares a session with the device that the transport proved.
    pub fn new(role: Role, peer: DeviceId, hello: Hello) -> Self {
        Self {
            role,
            peer,
            hello,
            salt: Salt::new(&[0; 16], &[0; 16]),
            phase: Phase::Greeting,
            their_frontier: Vec::new(),
            view: Arc::new(View::default()),
            witnessing: Witnessing::default(),
            status: Status::default(),
            reported: Status::default(),
        }
    }

    /// Returns how far both sides are.
    pub fn status(&self) -> &Status {
        &self.status
    }
    /// Returns the device on the other side.
    pub fn peer(&self) -> DeviceId {
        self.peer
    }
    /// Tells whether the session is over.
    pub fn is_closed(&self) -> bool {
        matches!(self.phase, Phase::Closed)
    }

    /// Takes an input and returns what is to be done about it, in order.
    pub fn handle(&mut self, input: Input, now: Timestamp) -> Vec<Effect> {
        if self.is_closed() {
            return Vec::new();
        }
        match input {
            Input::Started => self.start(),
            Input::Admission(admission) => self.handle_admission(&admission),
            Input::Message(message) => self.handle_message(message),
            Input::Content(content) => self.handle_content(content),
            Input::Frontier(tips) => Self::handle_own_frontier(tips),
            Input::ConsentFor(events) => self.handle_consent_for(&events),
            Input::ConsentTaken => self.handle_consent_taken(),
            Input::View(view) => self.handle_view(view),
            Input::Stored { stored, refused } => self.handle_stored_here(stored, refused),
            Input::Offered { frames, withheld } => self.handle_offered(frames, withheld),
            Input::Late(items) => self.handle_late(items),
            Input::ConsentChanged => self.handle_consent_changed(),
            Input::ProveAsked => self.handle_prove_asked(),
            Input::Held(held) => Self::handle_held(held),
            Input::Checkpoint { checkpoint, proof } => self.handle_checkpoint(checkpoint, proof),
            Input::Fired(timer) => self.handle_timer(timer),
            Input::Disconnected => self.close("disconnected"),
        }
        .into_iter()
        .chain(self.report(now))
        .collect()
    }

    fn handle_message(&mut self, message: Control) -> Vec<Effect> {
        if matches!(message, Control::Bye) {
            return self.close("the peer said goodbye");
        }
        match (&self.phase, message) {
            (Phase::Greeting, message) => self.handle_greeting(message),
            (_, Control::Frontier(tips)) => self.handle_their_frontier(tips),
            (_, Control::Consent { events, last }) => self.handle_consent(events, last),
            (_, Control::Echo(held)) => self.handle_echo(held),
            (_, Control::Checkpoint { checkpoint, proof }) => {
                vec![Effect::TakeCheckpoint { checkpoint, proof }]
            }
            (Phase::Syncing(_), message) => self.handle_syncing(message),
            (Phase::Consent { .. }, Control::Proof { summary, .. }) => {
                // The peer is a step ahead; its summary is asked for again when we get there.
                self.status.theirs = Some(summary);
                Vec::new()
            }
            (Phase::Consent { .. }, Control::Reconcile { .. }) => Vec::new(),
            (..) => self.violation("a message that does not belong in this phase"),
        }
    }

    fn handle_timer(&mut self, timer: Timer) -> Vec<Effect> {
        match (timer, &self.phase) {
            (Timer::Greeting, Phase::Greeting) => self.close("the peer did not greet in time"),
            (Timer::Retry, Phase::Syncing(_)) => self.retry(),
            _ => Vec::new(),
        }
    }

    /// Ends the session because the peer broke the protocol.
    fn violation(&mut self, what: &'static str) -> Vec<Effect> {
        self.phase = Phase::Closed;
        vec![Effect::Close {
            reason: what,
            fault: true,
        }]
    }

    fn close(&mut self, reason: &'static str) -> Vec<Effect> {
        self.phase = Phase::Closed;
        vec![Effect::Close {
            reason,
            fault: false,
        }]
    }

    fn refuse(&mut self, because: RefusedBecause) -> Vec<Effect> {
        self.phase = Phase::Closed;
        vec![
            Effect::Send(Control::Refused(because)),
            Effect::Close {
                reason: "the greeting was refused",
                fault: false,
            },
        ]
    }

    /// Tells the driver when the status changed.
    fn report(&mut self, now: Timestamp) -> Vec<Effect> {
        let flow = match &self.phase {
            Phase::Syncing(syncing) if syncing.is_busy() => Flow::Busy,
            Phase::Syncing(_) => Flow::Idle,
            _ => Flow::Shut,
        };
        self.status.refresh(&self.view, flow, now);
        if self.status == self.reported {
            return Vec::new();
        }
        let is_news = self.status.in_sync && !self.reported.in_sync;
        self.reported.clone_from(&self.status);
        let mut effects = vec![Effect::Report(self.status.clone())];
        effects.extend(self.witness_again().filter(|_| is_news));
        effects
    }
}

#[cfg(test)]
mod tests;
