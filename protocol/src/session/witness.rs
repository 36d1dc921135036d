//! Witnessing: each side shows the other how its ledger stands, and what it held of the other's.
//!
//! ```text
//! session opens    -> Echo: "this is the last I saw of your ledger"
//! Echo came        -> compare it with the own ledger; Checkpoint, which continues what they hold
//! Checkpoint came  -> Echo: "this is what I hold now"
//! both in sync     -> Checkpoint again, if something was sent since
//! ```
//!
//! What is shown is the line to the peer: entries about what the peer was sent, and nothing else.
//! A checkpoint is sent when a session opens and when that line has grown, never because of what
//! goes to others: the moment it is sent would tell.
//!
//! Nothing here holds up the dialogue: a ledger that does not fit is for persons to look at.

use super::{Effect, Session};
use crate::wire::control::Control;
use crdt::hash::Hash;
use crdt::ledger::Checkpoint;

/// How far the witnessing of this session is.
#[derive(Debug, Default)]
pub(super) struct Witnessing {
    /// Whether the peer has shown what it held.
    has_echo: bool,
    /// How many entries of the line the peer knows of, once it was told in this session.
    shown: Option<u64>,
    /// How many checkpoints the peer has not answered.
    unanswered: u32,
}

impl Session {
    /// Shows the peer what is held of its ledger.
    pub(super) fn handle_held(held: Option<Box<Checkpoint>>) -> Vec<Effect> {
        vec![Effect::Send(Control::Echo(held))]
    }

    /// The peer showed what it holds of this ledger: compare, and the first time show how the line
    /// stands now.
    pub(super) fn handle_echo(&mut self, held: Option<Box<Checkpoint>>) -> Vec<Effect> {
        let is_answer = std::mem::replace(&mut self.witnessing.has_echo, true);
        if is_answer {
            let Some(unanswered) = self.witnessing.unanswered.checked_sub(1) else {
                return self.violation("a ledger was shown back that was never shown");
            };
            self.witnessing.unanswered = unanswered;
        }
        let since = held.as_ref().map_or(0, |held| held.size);
        let compare = held.map(Effect::TakeEcho);
        let show = Some(Effect::LoadCheckpoint { since }).filter(|_| !is_answer);
        compare.into_iter().chain(show).collect()
    }

    /// The line as it stands goes to the peer, unless it has not grown since the last time.
    pub(super) fn handle_checkpoint(
        &mut self,
        checkpoint: Box<Checkpoint>,
        proof: Vec<Hash>,
    ) -> Vec<Effect> {
        if self.witnessing.shown == Some(checkpoint.size) {
            return Vec::new();
        }
        self.witnessing.shown = Some(checkpoint.size);
        self.witnessing.unanswered = self.witnessing.unanswered.saturating_add(1);
        vec![Effect::Send(Control::Checkpoint { checkpoint, proof })]
    }

    /// Both sides are equal again: what was sent on the way there is to be witnessed.
    pub(super) fn witness_again(&self) -> Option<Effect> {
        let since = self.witnessing.shown?;
        Some(Effect::LoadCheckpoint { since })
    }
}
