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
//! A peer that understands digests is shown the digest of a checkpoint; it asks for the whole only if
//! it does not know which one is meant. Where the line has not grown since the peer took a
//! checkpoint, a new one is shown only once that one is an hour old.
//!
//! Nothing here holds up the dialogue: a ledger that does not fit is for persons to look at.

use super::{Effect, Session};
use crate::limits::CHECKPOINT_FRESH_MS;
use crate::wire::brief::{Digest, Topic};
use crate::wire::control::Control;
use crdt::hash::Hash;
use crdt::ledger::Checkpoint;

/// How far the witnessing of this session is.
#[derive(Debug, Default)]
pub(super) struct Witnessing {
    /// What the peer said it holds of this side's ledger.
    heard: Heard,
    /// How many entries of the line the peer knows of, once it was told in this session.
    shown: Option<u64>,
    /// The checkpoint that was last shown to the peer.
    last: Option<Box<Checkpoint>>,
    /// How many checkpoints the peer has not answered.
    unanswered: u32,
    /// What is held of the peer's ledger.
    held: Option<Box<Checkpoint>>,
    /// Whether the peer was shown only the digest of it, and may ask.
    is_named: bool,
}

/// What the peer said it holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Heard {
    /// Nothing yet.
    #[default]
    Nothing,
    /// Something unknown by its digest: it was asked for the whole, for the first time or again.
    Asked { again: bool },
    /// All of it.
    Shown,
}

/// Tells whether a message is about ledgers.
pub(super) fn is_about_ledgers(message: &Control) -> bool {
    matches!(
        message,
        Control::Echo(_)
            | Control::EchoIs(_)
            | Control::Checkpoint { .. }
            | Control::Tell(Topic::Held)
    )
}

impl Session {
    pub(super) fn handle_witness(&mut self, message: Control) -> Vec<Effect> {
        match message {
            Control::Echo(held) => self.handle_echo(held),
            Control::EchoIs(digest) => self.handle_echo_is(digest),
            Control::Checkpoint { checkpoint, proof } => {
                vec![Effect::TakeCheckpoint {
                    checkpoint,
                    proof,
                    shown: self.witnessing.held.clone(),
                }]
            }
            Control::Tell(Topic::Held) if std::mem::take(&mut self.witnessing.is_named) => {
                vec![Effect::Send(Control::Echo(self.witnessing.held.clone()))]
            }
            _ => self.violation("something was asked for that was never named"),
        }
    }

    /// Shows the peer what is held of its ledger.
    pub(super) fn handle_held(&mut self, held: Option<Box<Checkpoint>>) -> Vec<Effect> {
        let is_brief = self.is_brief();
        self.witnessing.held.clone_from(&held);
        self.witnessing.is_named = is_brief;
        let shown = if is_brief {
            Control::EchoIs(Digest::of_held(held.as_deref()))
        } else {
            Control::Echo(held)
        };
        vec![Effect::Send(shown)]
    }

    /// The peer named what it holds of this ledger: what was just shown to it, what it showed in an
    /// earlier session, nothing, or something that it has to show.
    fn handle_echo_is(&mut self, digest: Digest) -> Vec<Effect> {
        let known = self.known.as_ref();
        let before = known.and_then(|known| known.witnessed.clone());
        let may_be = [self.witnessing.last.clone(), before, None];
        let named = may_be
            .into_iter()
            .find(|held| Digest::of_held(held.as_deref()) == digest);
        match named {
            Some(held) => self.handle_echo(held),
            None if matches!(self.witnessing.heard, Heard::Asked { .. }) => {
                self.violation("something else was named before it was shown")
            }
            None => {
                let again = self.witnessing.heard == Heard::Shown;
                self.witnessing.heard = Heard::Asked { again };
                vec![Effect::Send(Control::Tell(Topic::Held))]
            }
        }
    }

    /// The peer showed what it holds of this ledger: compare, and the first time show how the line
    /// stands now.
    fn handle_echo(&mut self, held: Option<Box<Checkpoint>>) -> Vec<Effect> {
        let heard = std::mem::replace(&mut self.witnessing.heard, Heard::Shown);
        let is_answer = matches!(heard, Heard::Shown | Heard::Asked { again: true });
        if is_answer {
            let Some(unanswered) = self.witnessing.unanswered.checked_sub(1) else {
                return self.violation("a ledger was shown back that was never shown");
            };
            self.witnessing.unanswered = unanswered;
        }
        if let Some(known) = &mut self.known {
            known.witnessed.clone_from(&held);
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
        let held = self
            .known
            .as_ref()
            .and_then(|known| known.witnessed.as_ref());
        let is_fresh = held.is_some_and(|held| {
            held.size == checkpoint.size
                && held.root == checkpoint.root
                && checkpoint.time < held.time.plus_ms(CHECKPOINT_FRESH_MS)
        });
        let is_shown = self.witnessing.shown.replace(checkpoint.size) == Some(checkpoint.size);
        if is_shown || (is_fresh && self.is_brief()) {
            return Vec::new();
        }
        self.witnessing.last = Some(checkpoint.clone());
        self.witnessing.unanswered = self.witnessing.unanswered.saturating_add(1);
        vec![Effect::Send(Control::Checkpoint { checkpoint, proof })]
    }

    /// Both sides are equal again: what was sent on the way there is to be witnessed.
    pub(super) fn witness_again(&self) -> Option<Effect> {
        let since = self.witnessing.shown?;
        Some(Effect::LoadCheckpoint { since })
    }
}
