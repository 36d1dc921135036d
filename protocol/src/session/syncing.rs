//! Syncing: prove, and where the proof is unequal, reconcile and transfer; then prove again.
//!
//! The initiator leads the reconciliation: it learns both differences, offers what the peer
//! lacks and asks for what itself lacks. While live, both sides offer what is new as it appears.

use super::acquaintance::Equal;
use super::reconciling::{Misfit, Opening, Reconciling};
use super::transfer::Transfer;
use super::{Effect, Phase, Role, Session, Timer};
use crate::limits::{FRUITLESS_RUNS_MAX, RETRY_MS};
use crate::reconcile::{Blinded, ReconcileError, Run};
use crate::view::{Change, Item, Summary};
use crate::wire::brief::{Digest, Topic};
use crate::wire::content::Content;
use crate::wire::control::{Control, FeedTip, RefusedEvent};

/// Items that are noted by name when a reconciliation ends; the counts are always whole.
const NAMED_MAX: usize = 200;

/// Content flows.
#[derive(Debug)]
pub(super) struct Syncing {
    /// What the peer last said it knows of the pair's consent events.
    pub(super) their_frontier: Vec<FeedTip>,
    /// Whether the first view has arrived.
    has_view: bool,
    /// Whether the peer was told how the view stands by a digest only, and may ask.
    is_named: bool,
    reconciling: Reconciling,
    transfer: Transfer,
    /// Reconciliations in a row that brought nothing.
    fruitless: u32,
}

impl Syncing {
    /// Begins after the exchange of consent.
    pub(super) fn after(their_frontier: Vec<FeedTip>) -> Self {
        Self {
            their_frontier,
            has_view: false,
            is_named: false,
            reconciling: Reconciling::default(),
            transfer: Transfer::default(),
            fruitless: 0,
        }
    }
    /// Tells whether anything is on its way.
    pub(super) fn is_busy(&self) -> bool {
        self.reconciling.is_busy() || self.transfer.is_busy()
    }
    /// Tells whether this side knows its view.
    pub(super) fn has_view(&self) -> bool {
        self.has_view
    }
    /// Something was stored, here or there.
    fn note_progress(&mut self, stored: u32) {
        if stored > 0 {
            self.reconciling.has_moved = true;
            self.fruitless = 0;
        }
    }
}

impl Session {
    fn syncing(&mut self) -> Option<&mut Syncing> {
        match &mut self.phase {
            Phase::Syncing(syncing) => Some(syncing),
            _ => None,
        }
    }

    pub(super) fn handle_view(&mut self, change: Change) -> Vec<Effect> {
        let Change {
            summary,
            newest,
            new,
        } = change;
        let before = std::mem::replace(&mut self.view, summary);
        self.newest = newest;
        let Some(syncing) = self.syncing() else {
            return Vec::new();
        };
        if !std::mem::replace(&mut syncing.has_view, true) {
            // The peer says how it stands when it gets here, or has said so already.
            let mut effects = vec![Effect::Send(self.announce())];
            effects.extend(self.compare());
            return effects;
        }
        let received = syncing.transfer.take_received();
        if before == summary {
            // What came changed nothing: only a proof tells both sides how that leaves them.
            return if received.is_empty() {
                Vec::new()
            } else {
                self.prove_when_idle()
            };
        }
        syncing.fruitless = 0;
        let new = new.into_iter().filter(|item| !received.contains(&item.id));
        if !syncing.transfer.offer_new(new) {
            // Only what the peer has, or memories that left the view: say how it stands now.
            return self.prove_when_idle();
        }
        self.pump()
    }

    /// Says how the view stands: by a digest, if it is as it was when both sides were last equal.
    fn announce(&mut self) -> Control {
        let (summary, is_brief) = (self.view, self.is_brief());
        let equal = self.known.as_ref().and_then(|known| known.equal);
        let is_known = is_brief && equal.is_some_and(|equal| equal.summary == summary);
        if let Some(syncing) = self.syncing().filter(|_| is_known) {
            syncing.is_named = true;
            return Control::ProofIs(Digest::of_view(&summary));
        }
        Control::Proof {
            summary,
            wants_answer: false,
        }
    }

    /// The peer named how its view stands; one that is not known is asked for.
    pub(super) fn handle_proof_is(&mut self, digest: Digest) -> Vec<Effect> {
        let known = self.known.as_ref().filter(|_| self.is_brief());
        match known.and_then(|known| known.equal(digest)) {
            Some(summary) => self.handle_proof(summary, false),
            None if self.is_brief() => vec![Effect::Send(Control::Tell(Topic::Proof))],
            None => self.violation("a view was named to who does not understand it"),
        }
    }

    pub(super) fn handle_syncing(&mut self, message: Control) -> Vec<Effect> {
        match message {
            Control::Proof {
                summary,
                wants_answer,
            } => self.handle_proof(summary, wants_answer),
            Control::Reconcile { first, bytes } => self.handle_reconcile(first, bytes),
            Control::Recent(recent) if self.role == Role::Responder => {
                let since = Some(recent.since);
                self.prepare_run(Opening::Recent(recent), since)
            }
            Control::ProofIs(digest) => self.handle_proof_is(digest),
            Control::Tell(Topic::Proof) => {
                let summary = self.view;
                let is_named = self.syncing().map(|s| std::mem::take(&mut s.is_named));
                if is_named != Some(true) {
                    return self.violation("a view was asked for that was never named");
                }
                vec![Effect::Send(Control::Proof {
                    summary,
                    wants_answer: false,
                })]
            }
            Control::Tell(Topic::Whole) if self.role == Role::Initiator => {
                if let Some(known) = &mut self.known {
                    known.equal = None;
                }
                self.prepare_run(Opening::Mine(None), None)
            }
            Control::Want(ids) => self.handle_want(&ids),
            Control::Stored { stored, refused } => self.handle_stored_there(stored, refused),
            Control::Withheld(count) => self.handle_withheld(count),
            _ => self.violation("a message that does not belong in this phase"),
        }
    }

    pub(super) fn handle_proof(&mut self, summary: Summary, wants_answer: bool) -> Vec<Effect> {
        self.status.theirs = Some(summary);
        if matches!(self.phase, Phase::Consenting(_)) {
            // The peer is a step ahead; what it said is compared when we get there.
            return Vec::new();
        }
        self.status.proofs += 1;
        let (mine, role) = (self.view, self.role);
        let Some(syncing) = self.syncing().filter(|syncing| syncing.has_view) else {
            return Vec::new();
        };
        if wants_answer && role == Role::Responder {
            // The initiator asks only while idle: its reconciliation is over.
            syncing.reconciling.stop();
        }
        let answer = wants_answer.then_some(Effect::Send(Control::Proof {
            summary: mine,
            wants_answer: false,
        }));
        answer.into_iter().chain(self.compare()).collect()
    }

    /// Both sides said how they stand: where that is unequal, the initiator finds out why.
    fn compare(&mut self) -> Vec<Effect> {
        let (mine, role, newest) = (self.view, self.role, self.newest);
        let Some(theirs) = self.status.theirs else {
            return Vec::new();
        };
        let Some(syncing) = self.syncing() else {
            return Vec::new();
        };
        if syncing.is_busy() {
            return Vec::new();
        }
        if mine == theirs {
            syncing.reconciling.settle();
            syncing.transfer.begin_anew();
            if let Some(known) = &mut self.known {
                let summary = mine;
                known.equal = Some(Equal { summary, newest });
            }
            return Vec::new();
        }
        if syncing.fruitless >= FRUITLESS_RUNS_MAX {
            return vec![Effect::SetTimer(Timer::Retry, RETRY_MS)];
        }
        if role == Role::Responder {
            return Vec::new();
        }
        let known = self.known.as_ref().filter(|_| self.is_brief());
        let equal = known.and_then(|known| known.equal);
        let since = equal.map(|equal| equal.newest.saturating_add(1));
        self.prepare_run(Opening::Mine(since), since)
    }

    fn prepare_run(&mut self, opening: Opening, since: Option<u64>) -> Vec<Effect> {
        let salt = self.salt;
        let Some(syncing) = self.syncing() else {
            return Vec::new();
        };
        syncing.reconciling.prepare(opening);
        syncing.transfer.begin_anew();
        vec![Effect::LoadRun { salt, since }]
    }

    /// The driver prepared a run.
    pub(super) fn handle_run(&mut self, run: Result<Box<Run>, ReconcileError>) -> Vec<Effect> {
        let Ok(run) = run else {
            return self.close("the view cannot be reconciled");
        };
        let Some(syncing) = self.syncing() else {
            return Vec::new();
        };
        match syncing.reconciling.begin(run) {
            Ok(None) => Vec::new(),
            Ok(Some(message)) => {
                if self.role == Role::Initiator {
                    self.status.forget_missing();
                }
                vec![Effect::Send(message)]
            }
            Err(Misfit(what)) => self.violation(what),
        }
    }

    fn handle_reconcile(&mut self, first: bool, bytes: Vec<u8>) -> Vec<Effect> {
        match self.role {
            Role::Initiator => self.step_run(&bytes),
            Role::Responder if first => self.prepare_run(Opening::Whole(bytes), None),
            Role::Responder => {
                let Some(syncing) = self.syncing() else {
                    return Vec::new();
                };
                let first = false;
                match syncing.reconciling.answer(&bytes) {
                    Ok(bytes) => vec![Effect::Send(Control::Reconcile { first, bytes })],
                    Err(Misfit(what)) => self.violation(what),
                }
            }
        }
    }

    fn step_run(&mut self, bytes: &[u8]) -> Vec<Effect> {
        let Some(syncing) = self.syncing() else {
            return Vec::new();
        };
        let mut step = match syncing.reconciling.step(bytes) {
            Ok(step) => step,
            Err(Misfit(what)) => return self.violation(what),
        };
        // Oldest first: what an event builds on goes before it.
        step.have.sort_unstable();
        // The engine names them in the order of a hash set; a run is to be repeatable.
        step.need.sort_unstable();
        self.status.note_missing(&step, NAMED_MAX);
        let Some(syncing) = self.syncing() else {
            return Vec::new();
        };
        syncing.transfer.offer(step.have);
        syncing.transfer.want(step.need);
        let mut effects = Vec::new();
        if let Some(bytes) = step.next {
            let first = false;
            effects.push(Effect::Send(Control::Reconcile { first, bytes }));
        } else if !syncing.reconciling.has_moved {
            // Counts as fruitless until something is stored on either side.
            syncing.fruitless += 1;
        }
        effects.extend(self.pump());
        // A view that changed meanwhile shows in the next proof only.
        effects.extend(self.prove_when_idle());
        effects
    }

    fn handle_want(&mut self, ids: &[Blinded]) -> Vec<Effect> {
        let Some(syncing) = self.syncing() else {
            return Vec::new();
        };
        let items = ids.iter().filter_map(|id| syncing.reconciling.item(id));
        let mut items: Vec<Item> = items.collect();
        items.sort_unstable();
        let unknown = ids.len().saturating_sub(items.len());
        let unknown = unknown + syncing.transfer.offer_wanted(items);
        let mut effects = Vec::new();
        if unknown > 0 {
            let unknown = u32::try_from(unknown).unwrap_or(u32::MAX);
            effects.push(Effect::Send(Control::Withheld(unknown)));
        }
        effects.extend(self.pump());
        effects
    }

    /// Offers and asks as far as the windows allow.
    fn pump(&mut self) -> Vec<Effect> {
        self.syncing()
            .map(|syncing| syncing.transfer.pump())
            .unwrap_or_default()
    }

    pub(super) fn handle_offered(&mut self, frames: usize, withheld: u32) -> Vec<Effect> {
        let mut effects = Vec::new();
        if withheld > 0 {
            effects.push(Effect::Send(Control::Withheld(withheld)));
        }
        if let Some(syncing) = self.syncing() {
            syncing.transfer.offered(frames);
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
        syncing.transfer.receive(&content, &salt);
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
        syncing.note_progress(stored);
        let mut effects = vec![Effect::Send(Control::Stored { stored, refused })];
        if syncing.transfer.stored() {
            effects.push(Effect::LoadView);
        }
        effects.extend(self.pump());
        effects
    }

    /// Offers changes that are in no view: the guard decides whether they may leave.
    pub(super) fn handle_late(&mut self, items: Vec<Item>) -> Vec<Effect> {
        if let Some(syncing) = self.syncing() {
            syncing.transfer.offer(items);
        }
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
        if !syncing.transfer.answered() {
            return self.violation("an answer to content that was never sent");
        }
        syncing.note_progress(stored);
        let mut effects = self.pump();
        if !ids.is_empty() {
            effects.push(Effect::RefusedThere(ids));
        }
        effects.extend(self.prove_when_idle());
        effects
    }

    fn handle_withheld(&mut self, count: u32) -> Vec<Effect> {
        if let Some(syncing) = self.syncing() {
            syncing.transfer.withheld(count);
        }
        let mut effects = self.pump();
        effects.extend(self.prove_when_idle());
        effects
    }

    /// Says how this side stands once nothing is on its way.
    fn prove_when_idle(&mut self) -> Vec<Effect> {
        let summary = self.view;
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
            if syncing.reconciling.is_busy() {
                // Its answer is on the way, and would belong to nothing.
                return vec![Effect::SetTimer(Timer::Retry, RETRY_MS)];
            }
            syncing.fruitless = 0;
            syncing.transfer.give_up();
        }
        self.prove_when_idle()
    }
}
