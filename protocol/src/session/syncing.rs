//! Syncing: prove, and where the proof is unequal, reconcile and transfer; then prove again.
//!
//! The initiator leads the reconciliation: it learns both differences, offers what the peer
//! lacks and asks for what itself lacks. While live, both sides offer what is new as it appears.
//! A window bounds the content frames that wait for an answer.

use super::{Effect, Phase, Role, Session, Timer};
use crate::limits::{
    FRAME_EVENTS_MAX, FRUITLESS_RUNS_MAX, RECONCILE_ROUNDS_MAX, RETRY_MS, WANT_MAX, WINDOW_FRAMES,
};
use crate::reconcile::{Blinded, Run, unblind};
use crate::view::{Item, Summary, View, given_id, membership_id};
use crate::wire::content::Content;
use crate::wire::control::{Control, RefusedEvent};
use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

/// Items that are noted by name when a reconciliation ends; the counts are always whole.
const NAMED_MAX: usize = 200;

#[derive(Debug, Default)]
pub(super) struct Syncing {
    /// Whether the first view has arrived.
    has_view: bool,
    run: Option<Run>,
    rounds: u32,
    /// What the peer lacks and was not offered yet.
    to_offer: VecDeque<Item>,
    /// Content frames without an answer, and offers the guard is looking at.
    frames_out: usize,
    offers_out: usize,
    /// What was asked for and has not come.
    to_want: VecDeque<Blinded>,
    wanted: BTreeSet<Blinded>,
    /// How many of the wanted the peer said will not come.
    withheld: usize,
    /// Content that is being stored here.
    storing: usize,
    /// What came from the peer since the view was last loaded: not to be offered back.
    received: BTreeSet<[u8; 32]>,
    fruitless: u32,
    moved: bool,
}

impl Syncing {
    /// Tells whether anything is on its way.
    pub(super) fn is_busy(&self) -> bool {
        self.run.is_some()
            || !self.to_offer.is_empty()
            || !self.to_want.is_empty()
            || self.frames_out + self.offers_out + self.awaited() + self.storing > 0
    }
    /// Returns how many of the wanted items are still to come.
    fn awaited(&self) -> usize {
        self.wanted.len().saturating_sub(self.withheld)
    }
}

impl Session {
    fn syncing(&mut self) -> Option<&mut Syncing> {
        match &mut self.phase {
            Phase::Syncing(syncing) => Some(syncing),
            _ => None,
        }
    }

    pub(super) fn handle_view(&mut self, view: Arc<View>) -> Vec<Effect> {
        let before = std::mem::replace(&mut self.view, view);
        let view = Arc::clone(&self.view);
        let summary = view.summary();
        let Some(syncing) = self.syncing() else {
            return Vec::new();
        };
        if !std::mem::replace(&mut syncing.has_view, true) {
            return vec![Effect::Send(Control::Proof {
                summary,
                wants_answer: true,
            })];
        }
        let received = std::mem::take(&mut syncing.received);
        if before.summary() == summary {
            // What came changed nothing: only a proof tells both sides how that leaves them.
            return if received.is_empty() {
                Vec::new()
            } else {
                self.prove_when_idle()
            };
        }
        let new: Vec<Item> = view
            .without(&before)
            .filter(|item| !received.contains(&item.id))
            .collect();
        syncing.fruitless = 0;
        if new.is_empty() {
            // Only what the peer sent, or memories that left the view: say how it stands now.
            return self.prove_when_idle();
        }
        syncing.to_offer.extend(new);
        self.pump()
    }

    pub(super) fn handle_syncing(&mut self, message: Control) -> Vec<Effect> {
        match message {
            Control::Proof {
                summary,
                wants_answer,
            } => self.handle_proof(summary, wants_answer),
            Control::Reconcile { first, bytes } => self.handle_reconcile(first, &bytes),
            Control::Want(ids) => self.handle_want(&ids),
            Control::Stored { stored, refused } => self.handle_stored_there(stored, refused),
            Control::Withheld(count) => self.handle_withheld(count),
            _ => self.violation("a message that does not belong in this phase"),
        }
    }

    fn handle_proof(&mut self, summary: Summary, wants_answer: bool) -> Vec<Effect> {
        self.status.theirs = Some(summary);
        self.status.proofs += 1;
        let mine = self.view.summary();
        let role = self.role;
        let mut effects = Vec::new();
        let Some(syncing) = self.syncing().filter(|syncing| syncing.has_view) else {
            return effects;
        };
        if wants_answer && role == Role::Responder {
            // The initiator asks only while idle: its reconciliation is over.
            syncing.run = None;
        }
        if wants_answer {
            effects.push(Effect::Send(Control::Proof {
                summary: mine,
                wants_answer: false,
            }));
        }
        if mine == summary || syncing.is_busy() {
            return effects;
        }
        if syncing.fruitless >= FRUITLESS_RUNS_MAX {
            effects.push(Effect::SetTimer(Timer::Retry, RETRY_MS));
        } else if role == Role::Initiator {
            effects.extend(self.start_run());
        }
        effects
    }

    fn start_run(&mut self) -> Vec<Effect> {
        let Ok(mut run) = Run::new(&self.view, &self.salt) else {
            return self.close("the view cannot be reconciled");
        };
        let Ok(bytes) = run.initiate() else {
            return self.close("the view cannot be reconciled");
        };
        self.status.missing_here = 0;
        self.status.missing_there = 0;
        self.status.lacking_here.clear();
        self.status.lacking_there.clear();
        if let Some(syncing) = self.syncing() {
            syncing.run = Some(run);
            syncing.rounds = 0;
            syncing.moved = false;
        }
        vec![Effect::Send(Control::Reconcile { first: true, bytes })]
    }

    fn handle_reconcile(&mut self, first: bool, bytes: &[u8]) -> Vec<Effect> {
        match self.role {
            Role::Responder => self.answer_run(first, bytes),
            Role::Initiator => self.step_run(bytes),
        }
    }

    fn answer_run(&mut self, first: bool, bytes: &[u8]) -> Vec<Effect> {
        let fresh = if first {
            Run::new(&self.view, &self.salt).ok()
        } else {
            None
        };
        let Some(syncing) = self.syncing() else {
            return Vec::new();
        };
        if first {
            syncing.run = None;
            syncing.rounds = 0;
        }
        syncing.rounds += 1;
        if syncing.rounds > RECONCILE_ROUNDS_MAX {
            return self.violation("a reconciliation without end");
        }
        let Some(mut run) = fresh.or_else(|| syncing.run.take()) else {
            return self.violation("a reconciliation that was never begun");
        };
        match run.answer(bytes) {
            Ok(bytes) => {
                // An answer of one byte says that nothing is left to ask.
                let over = bytes.len() <= 1;
                if let Some(syncing) = self.syncing().filter(|_| !over) {
                    syncing.run = Some(run);
                }
                vec![Effect::Send(Control::Reconcile {
                    first: false,
                    bytes,
                })]
            }
            Err(_) => self.violation("a reconciliation message that does not read"),
        }
    }

    fn step_run(&mut self, bytes: &[u8]) -> Vec<Effect> {
        let Some(syncing) = self.syncing() else {
            return Vec::new();
        };
        let Some(mut run) = syncing.run.take() else {
            return self.violation("a reconciliation that was never begun");
        };
        syncing.rounds += 1;
        if syncing.rounds > RECONCILE_ROUNDS_MAX {
            return self.violation("a reconciliation without end");
        }
        let Ok(mut step) = run.step(bytes) else {
            return self.violation("a reconciliation message that does not read");
        };
        // Oldest first: what an event builds on goes before it.
        step.have.sort_unstable();
        let (have, need) = (step.have.len() as u64, step.need.len() as u64);
        self.status.missing_there += have;
        self.status.missing_here += need;
        let named = self.status.lacking_there.len();
        let have_ids = step.have.iter().map(|item| item.id);
        self.status
            .lacking_there
            .extend(have_ids.take(NAMED_MAX.saturating_sub(named)));
        let named = self.status.lacking_here.len();
        let need_ids = step.need.iter().copied();
        self.status
            .lacking_here
            .extend(need_ids.take(NAMED_MAX.saturating_sub(named)));
        let Some(syncing) = self.syncing() else {
            return Vec::new();
        };
        syncing.to_offer.extend(step.have);
        syncing.to_want.extend(step.need);
        let mut effects = Vec::new();
        if let Some(bytes) = step.next {
            syncing.run = Some(run);
            effects.push(Effect::Send(Control::Reconcile {
                first: false,
                bytes,
            }));
        } else if !syncing.moved {
            // Counts as fruitless until something is stored on either side.
            syncing.fruitless += 1;
        }
        effects.extend(self.pump());
        // A view that changed meanwhile shows in the next proof only.
        effects.extend(self.prove_when_idle());
        effects
    }

    fn handle_want(&mut self, ids: &[Blinded]) -> Vec<Effect> {
        let items = unblind(&self.view, &self.salt, ids);
        let unknown = ids.len().saturating_sub(items.len());
        let mut effects = Vec::new();
        if unknown > 0 {
            let unknown = u32::try_from(unknown).unwrap_or(u32::MAX);
            effects.push(Effect::Send(Control::Withheld(unknown)));
        }
        if let Some(syncing) = self.syncing() {
            syncing.to_offer.extend(items);
        }
        effects.extend(self.pump());
        effects
    }

    /// Offers and asks as far as the windows allow.
    fn pump(&mut self) -> Vec<Effect> {
        let mut effects = Vec::new();
        let Some(syncing) = self.syncing() else {
            return effects;
        };
        while syncing.frames_out + syncing.offers_out < WINDOW_FRAMES
            && !syncing.to_offer.is_empty()
        {
            let count = syncing.to_offer.len().min(FRAME_EVENTS_MAX);
            let items = syncing.to_offer.drain(..count).collect();
            syncing.offers_out += 1;
            effects.push(Effect::Offer(items));
        }
        if syncing.awaited() == 0 && !syncing.to_want.is_empty() {
            let count = syncing.to_want.len().min(WANT_MAX);
            let ids: Vec<Blinded> = syncing.to_want.drain(..count).collect();
            syncing.wanted = ids.iter().copied().collect();
            syncing.withheld = 0;
            effects.push(Effect::Send(Control::Want(ids)));
        }
        effects
    }

    pub(super) fn handle_offered(&mut self, frames: usize, withheld: u32) -> Vec<Effect> {
        let mut effects = Vec::new();
        if withheld > 0 {
            effects.push(Effect::Send(Control::Withheld(withheld)));
        }
        if let Some(syncing) = self.syncing() {
            syncing.offers_out = syncing.offers_out.saturating_sub(1);
            syncing.frames_out += frames;
        }
        effects.extend(self.pump());
        effects.extend(self.prove_when_idle());
        effects
    }

    pub(super) fn handle_content(&mut self, content: Content) -> Vec<Effect> {
        let salt = self.salt;
        let Some(syncing) = self.syncing() else {
            return self.violation("content before consent");
        };
        syncing.storing += 1;
        let events = content.events.iter();
        let events = events.filter_map(|event| crdt::event::Signed::from_bytes(event).ok());
        let keys = content.keys.iter();
        let ids = events.map(|event| event.id().0).chain(keys.flat_map(|key| {
            let (grant, memory) = (key.grant, key.memory);
            [
                membership_id(grant, memory),
                given_id(grant, memory, key.epoch),
            ]
        }));
        for id in ids {
            syncing.wanted.remove(&salt.blind(&id));
            syncing.received.insert(id);
        }
        vec![Effect::Store(content)]
    }

    pub(super) fn handle_stored_here(
        &mut self,
        stored: u32,
        refused: Vec<RefusedEvent>,
    ) -> Vec<Effect> {
        let Some(syncing) = self.syncing() else {
            return Vec::new();
        };
        syncing.storing = syncing.storing.saturating_sub(1);
        if stored > 0 {
            syncing.moved = true;
            syncing.fruitless = 0;
        }
        let mut effects = vec![Effect::Send(Control::Stored { stored, refused })];
        if syncing.storing == 0 {
            effects.push(Effect::LoadView);
        }
        effects.extend(self.pump());
        effects
    }

    /// Offers changes that are in no view: the guard decides whether they may leave.
    pub(super) fn handle_late(&mut self, items: Vec<Item>) -> Vec<Effect> {
        let Some(syncing) = self.syncing() else {
            return Vec::new();
        };
        syncing.to_offer.extend(items);
        self.pump()
    }

    fn handle_stored_there(&mut self, stored: u32, refused: Vec<RefusedEvent>) -> Vec<Effect> {
        let ids: Vec<_> = refused.iter().map(|refused| refused.event).collect();
        self.status.refused_there = refused
            .into_iter()
            .map(|event| (event.event.to_string(), event.code))
            .collect();
        let Some(syncing) = self.syncing() else {
            return Vec::new();
        };
        let Some(frames_out) = syncing.frames_out.checked_sub(1) else {
            return self.violation("an answer to content that was never sent");
        };
        syncing.frames_out = frames_out;
        if stored > 0 {
            syncing.moved = true;
            syncing.fruitless = 0;
        }
        let mut effects = self.pump();
        if !ids.is_empty() {
            effects.push(Effect::RefusedThere(ids));
        }
        effects.extend(self.prove_when_idle());
        effects
    }

    fn handle_withheld(&mut self, count: u32) -> Vec<Effect> {
        if let Some(syncing) = self.syncing() {
            let count = usize::try_from(count).unwrap_or(usize::MAX);
            syncing.withheld = syncing.withheld.saturating_add(count);
        }
        let mut effects = self.pump();
        effects.extend(self.prove_when_idle());
        effects
    }

    /// Says how this side stands once nothing is on its way.
    fn prove_when_idle(&mut self) -> Vec<Effect> {
        let summary = self.view.summary();
        match self.syncing() {
            Some(syncing) if syncing.has_view && !syncing.is_busy() => {
                vec![Effect::Send(Control::Proof {
                    summary,
                    wants_answer: true,
                })]
            }
            _ => Vec::new(),
        }
    }

    pub(super) fn handle_prove_asked(&mut self) -> Vec<Effect> {
        if let Some(syncing) = self.syncing() {
            syncing.fruitless = 0;
        }
        // A busy session proves by itself as soon as it is idle.
        self.prove_when_idle()
    }

    pub(super) fn retry(&mut self) -> Vec<Effect> {
        if let Some(syncing) = self.syncing() {
            syncing.fruitless = 0;
            syncing.run = None;
            // What never came will not come: let the next reconciliation find it again.
            syncing.wanted.clear();
        }
        self.prove_when_idle()
    }
}
