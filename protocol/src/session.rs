//! The session: everything that two paired nodes say to each other, as a state machine.
//!
//! No sockets, no clock, no store: [`Session::handle`] takes an [`Input`] and the time and
//! returns [`Effect`]s; a driver runs them and answers with further inputs. The same code runs
//! in the daemon and in the simulator.
//!
//! ```text
//! Greeting -> Consenting -> Syncing (prove, reconcile, transfer, and again) -> Closed
//!                           and beside it: witness each other's ledgers
//! ```
//!
//! Each phase is a type of its own, in a file of its own. Consent goes first: no content is
//! offered or taken before both sides have exchanged the events that say who may see what.
//! Content leaves only through [`Effect::Offer`], which the node's egress guard answers; the
//! session cannot send it by itself. The view itself stays with the driver: a session knows its
//! summary and what came into it, and asks for a [`crate::reconcile::Run`] where sides differ.
//!
//! Invariant: [`Status::in_sync`] is true only while the last summaries of both sides are equal
//! and nothing is on its way.

mod acquaintance;
mod consenting;
mod greeting;
mod input;
mod reconciling;
mod status;
mod syncing;
mod tracing;
mod transfer;
mod witness;

pub use acquaintance::Acquaintance;
pub use greeting::Admission;
pub use input::{Effect, Input, Timer};
pub use status::Status;

use crate::limits::STALLED_MS;
use crate::reconcile::Salt;
use crate::view::{Summary, View};
use crate::wire::control::{Control, Hello, RefusedBecause};
use crate::wire::{VERSION_BRIEF, VERSION_MIN};
use consenting::Consenting;
use crdt::id::DeviceId;
use crdt::time::Timestamp;
use greeting::Greeting;
use status::Flow;
use syncing::Syncing;
use tracing::Tracing;
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
    Greeting(Greeting),
    /// Consent events are exchanged.
    Consenting(Consenting),
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
    /// What is remembered of the peer from an earlier session, and learnt in this one.
    known: Option<Acquaintance>,
    has_greeted: bool,
    /// The session version that both sides speak.
    version: u16,
    salt: Salt,
    phase: Phase,
    /// How the view stood when the driver last said so.
    view: Summary,
    /// The time of the newest item in it.
    newest: u64,
    /// When the peer last said anything.
    heard: Timestamp,
    /// Whether the driver was asked to look again whether the peer goes on.
    is_watched: bool,
    witnessing: Witnessing,
    tracing: Tracing,
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
            known: None,
            has_greeted: false,
            version: VERSION_MIN,
            salt: Salt::new(&[0; 16], &[0; 16]),
            phase: Phase::Greeting(Greeting::default()),
            view: View::default().summary(),
            newest: 0,
            heard: Timestamp(0),
            is_watched: false,
            witnessing: Witnessing::default(),
            tracing: Tracing::default(),
            status: Status::default(),
            reported: Status::default(),
        }
    }

    /// Goes on from what an earlier session with this device learnt. Only for a device that is
    /// welcome: a stranger must not be able to tell that it was known once.
    #[must_use]
    pub fn knowing(mut self, known: Option<Acquaintance>) -> Self {
        self.known = known;
        self
    }

    /// Returns what the next session with this device may build on; none before both greeted.
    pub fn acquaintance(&self) -> Option<Acquaintance> {
        self.known.clone().filter(|_| self.has_greeted)
    }
    /// Returns how far both sides are.
    pub fn status(&self) -> &Status {
        &self.status
    }
    /// Returns the device on the other side.
    pub fn peer(&self) -> DeviceId {
        self.peer
    }
    /// Returns the session version that both sides speak, once they greeted.
    pub fn version(&self) -> u16 {
        self.version
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
        if matches!(input, Input::Message(_) | Input::Content(_)) {
            self.heard = now;
        }
        match input {
            Input::Started => self.start(),
            Input::Admission(admission) => self.handle_admission(&admission),
            Input::Message(message) => self.handle_message(message),
            Input::Content(content) => self.handle_content(content),
            Input::Frontier(tips) => self.handle_own_frontier(tips),
            Input::ConsentFor(events) => self.handle_consent_for(&events),
            Input::ConsentTaken => self.handle_consent_taken(),
            Input::View(change) => self.handle_view(change),
            Input::Run(run) => self.handle_run(run),
            Input::Stored { stored, refused } => self.handle_stored_here(stored, refused),
            Input::Offered { frames, withheld } => self.handle_offered(frames, withheld),
            Input::Late(items) => self.handle_late(items),
            Input::ConsentChanged => self.handle_consent_changed(),
            Input::ProveAsked => self.handle_prove_asked(),
            Input::Held(held) => self.handle_held(held),
            Input::Checkpoint { checkpoint, proof } => self.handle_checkpoint(checkpoint, proof),
            Input::Fired(timer) => self.handle_timer(timer, now),
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
            (Phase::Greeting(_), message) => self.handle_greeting(message),
            (_, Control::Trace(step)) => self.handle_trace(step),
            (Phase::Consenting(_), Control::FrontierIs(digest)) => self.handle_frontier_is(digest),
            (_, Control::Frontier(tips)) => self.handle_their_frontier(tips),
            (_, Control::Consent { events, last }) => self.handle_consent(events, last),
            (_, message) if witness::is_about_ledgers(&message) => self.handle_witness(message),
            (Phase::Syncing(_), message) => self.handle_syncing(message),
            (Phase::Consenting(_), Control::Proof { summary, .. }) => {
                self.handle_proof(summary, false)
            }
            (Phase::Consenting(_), Control::ProofIs(digest)) => self.handle_proof_is(digest),
            (..) => self.violation("a message that does not belong in this phase"),
        }
    }

    fn handle_timer(&mut self, timer: Timer, now: Timestamp) -> Vec<Effect> {
        match (timer, &self.phase) {
            (Timer::Greeting, Phase::Greeting(_)) => self.close("the peer did not greet in time"),
            (Timer::Retry, Phase::Syncing(_)) => self.retry(),
            (Timer::Stalled, _) => {
                self.is_watched = false;
                if self.is_waiting() && now >= self.heard.plus_ms(STALLED_MS) {
                    return self.close("the peer does not go on");
                }
                Vec::new()
            }
            _ => Vec::new(),
        }
    }

    /// Tells whether the next thing is the peer's to say.
    fn is_waiting(&self) -> bool {
        match &self.phase {
            Phase::Consenting(_) => true,
            Phase::Syncing(syncing) => syncing.is_busy(),
            Phase::Greeting(_) | Phase::Closed => false,
        }
    }

    /// Has the driver look again later whether a peer that is waited for goes on.
    fn watch(&mut self) -> Option<Effect> {
        if self.is_watched || !self.is_waiting() {
            return None;
        }
        self.is_watched = true;
        Some(Effect::SetTimer(Timer::Stalled, STALLED_MS))
    }

    /// Tells whether both sides understand digests.
    fn is_brief(&self) -> bool {
        self.version >= VERSION_BRIEF
    }

    /// Ends the session because the peer broke the protocol.
    fn violation(&mut self, what: &'static str) -> Vec<Effect> {
        self.end(what, true)
    }
    fn close(&mut self, reason: &'static str) -> Vec<Effect> {
        self.end(reason, false)
    }
    fn end(&mut self, reason: &'static str, fault: bool) -> Vec<Effect> {
        self.phase = Phase::Closed;
        vec![Effect::Close { reason, fault }]
    }
    fn refuse(&mut self, because: RefusedBecause) -> Vec<Effect> {
        let mut effects = vec![Effect::Send(Control::Refused(because))];
        effects.extend(self.close("the greeting was refused"));
        effects
    }

    /// Tells the driver when the status changed.
    fn report(&mut self, now: Timestamp) -> Vec<Effect> {
        let flow = match &self.phase {
            Phase::Syncing(syncing) if syncing.is_busy() => Flow::Busy,
            Phase::Syncing(syncing) if syncing.has_view() => Flow::Idle,
            Phase::Syncing(_) => Flow::Busy,
            _ => Flow::Shut,
        };
        self.status.refresh(self.view, flow, now);
        let mut effects: Vec<Effect> = self.watch().into_iter().collect();
        if self.status == self.reported {
            return effects;
        }
        let is_news = self.status.in_sync && !self.reported.in_sync;
        self.reported.clone_from(&self.status);
        effects.push(Effect::Report(self.status.clone()));
        effects.extend(self.witness_again().filter(|_| is_news));
        effects
    }
}

#[cfg(test)]
mod tests;
