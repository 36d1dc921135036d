//! What goes into a session and what comes out of it.

use super::greeting::Admission;
use super::status::Status;
use crate::reconcile::{ReconcileError, Run, Salt};
use crate::trace::TraceContext;
use crate::view::{Change, Item};
use crate::wire::content::Content;
use crate::wire::control::{Control, Enrolled, FeedTip, Hello, RefusedBecause, RefusedEvent};
use crdt::hash::Hash;
use crdt::id::EventId;
use crdt::ledger::Checkpoint;

/// Something that happened.
#[derive(Debug)]
pub enum Input {
    /// The transport is connected.
    Started,
    /// The answer to [`Effect::Admit`].
    Admission(Box<Admission>),
    /// The peer said something about the session.
    Message(Control),
    /// The peer sent content.
    Content(Content),
    /// The answer to [`Effect::LoadFrontier`].
    Frontier(Vec<FeedTip>),
    /// The answer to [`Effect::LoadConsent`]: signed events that the peer lacks.
    ConsentFor(Vec<Vec<u8>>),
    /// The answer to [`Effect::TakeConsent`].
    ConsentTaken,
    /// How the view stands and what came into it since the session last heard: the answer to
    /// [`Effect::LoadView`], and again when it changes.
    View(Change),
    /// The answer to [`Effect::LoadRun`].
    Run(Result<Box<Run>, ReconcileError>),
    /// The answer to [`Effect::Store`]: what is durable and what is refused.
    Stored {
        /// Events and memberships that are here now and were not before.
        stored: u32,
        /// Events that are not, and why.
        refused: Vec<RefusedEvent>,
    },
    /// The answer to [`Effect::Offer`]: how many frames left, how many items were withheld.
    Offered {
        /// Content frames that were sent.
        frames: usize,
        /// Items that the guard or the store did not let out.
        withheld: u32,
    },
    /// Own changes that a revocation cut off: to be handed to the owner.
    Late(Vec<Item>),
    /// Consent changed on this side: tell the peer.
    ConsentChanged,
    /// Someone asks for a proof right now.
    ProveAsked,
    /// The answer to [`Effect::LoadHeld`] and [`Effect::TakeCheckpoint`]: what is held of the
    /// peer's ledger.
    Held(Option<Box<Checkpoint>>),
    /// The answer to [`Effect::LoadCheckpoint`]: how the line to the peer stands.
    Checkpoint {
        /// The line, signed.
        checkpoint: Box<Checkpoint>,
        /// The proof that it continues what the peer holds.
        proof: Vec<Hash>,
    },
    /// A timer fired.
    Fired(Timer),
    /// The transport is gone.
    Disconnected,
}

/// Named timers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Timer {
    /// The peer has to have greeted.
    Greeting,
    /// An unequal proof is tried again.
    Retry,
    /// The peer has to have gone on.
    Stalled,
}

/// Something to do.
#[derive(Debug)]
pub enum Effect {
    /// Write a control message.
    Send(Control),
    /// Decide whether the peer is welcome; answer with [`Input::Admission`].
    Admit(Box<Hello>),
    /// The inviter did not take the ticket, or the peer does not know us.
    Refused(RefusedBecause),
    /// The device at the other side made this machine one of its person's own.
    Enrolled(Box<Enrolled>),
    /// Load how far the pair's consent events are known.
    LoadFrontier,
    /// Load the pair's consent events beyond a frontier.
    LoadConsent(Vec<FeedTip>),
    /// Verify and append consent events.
    TakeConsent(Vec<Vec<u8>>),
    /// The peer knows consent events up to here.
    PeerKnows(Vec<FeedTip>),
    /// Say how the view stands.
    LoadView,
    /// Prepare a reconciliation over the view as it was last told.
    LoadRun {
        /// Blinds the ids.
        salt: Salt,
        /// Leaves out what is older than this time.
        since: Option<u64>,
    },
    /// Send the content behind these items, as far as the egress guard clears it.
    Offer(Vec<Item>),
    /// The next content is a step of this trace.
    Trace(TraceContext),
    /// Verify and append content.
    Store(Content),
    /// Load what is held of the peer's ledger.
    LoadHeld,
    /// Compare what the peer held of this ledger with the ledger.
    TakeEcho(Box<Checkpoint>),
    /// Sign how the line to the peer stands, and prove that it continues one of so many entries.
    LoadCheckpoint {
        /// How many entries the peer knows of.
        since: u64,
    },
    /// Hold the peer's checkpoint, if it continues the one that is held.
    TakeCheckpoint {
        /// Their line to this person, signed.
        checkpoint: Box<Checkpoint>,
        /// The proof that it continues what the peer was shown.
        proof: Vec<Hash>,
        /// What the peer was shown as held.
        shown: Option<Box<Checkpoint>>,
    },
    /// The peer did not take these events.
    RefusedThere(Vec<EventId>),
    /// Fire a timer after so many milliseconds.
    SetTimer(Timer, u64),
    /// The status changed.
    Report(Status),
    /// End the connection.
    Close {
        /// Why.
        reason: &'static str,
        /// Whether the peer broke the protocol.
        fault: bool,
    },
}
