//! What a session knows of how far both sides are.

use crate::reconcile::Step;
use crate::view::Summary;
use crdt::time::Timestamp;

/// How far both sides are. Numbers are what is known, never what is hoped.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Status {
    /// Whether both sides hold equal counts and fingerprints and nothing is on its way.
    pub in_sync: bool,
    /// Whether content may flow.
    pub is_open: bool,
    /// The view here.
    pub mine: Option<Summary>,
    /// The view there, as the peer last said.
    pub theirs: Option<Summary>,
    /// Items that the peer has and this side lacks, as the last reconciliation found.
    pub missing_here: u64,
    /// Items that this side has and the peer lacks.
    pub missing_there: u64,
    /// Events that the peer did not take, and why.
    pub refused_there: Vec<(String, String)>,
    /// When both sides were last equal.
    pub last_equal: Option<Timestamp>,
    /// How many proofs the peer has given in this session.
    pub proofs: u64,
    /// Events that the peer has and this side lacks, blinded; from the last reconciliation.
    pub lacking_here: Vec<[u8; 32]>,
    /// Events that this side has and the peer lacks; from the last reconciliation.
    pub lacking_there: Vec<[u8; 32]>,
}

/// Whether content may flow, and whether any is on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flow {
    /// It may not.
    Shut,
    /// Something is on its way.
    Busy,
    /// Nothing is.
    Idle,
}

impl Status {
    /// Forgets what an earlier reconciliation found.
    pub(super) fn forget_missing(&mut self) {
        self.missing_here = 0;
        self.missing_there = 0;
        self.lacking_here.clear();
        self.lacking_there.clear();
    }
    /// Notes what a step of a reconciliation found: all of it in numbers, so many by name.
    pub(super) fn note_missing(&mut self, step: &Step, named_max: usize) {
        self.missing_there += step.have.len() as u64;
        self.missing_here += step.need.len() as u64;
        let room = named_max.saturating_sub(self.lacking_there.len());
        let have = step.have.iter().map(|item| item.id);
        self.lacking_there.extend(have.take(room));
        let room = named_max.saturating_sub(self.lacking_here.len());
        self.lacking_here
            .extend(step.need.iter().copied().take(room));
    }
    /// Recomputes what follows from the view.
    pub(super) fn refresh(&mut self, view: Summary, flow: Flow, now: Timestamp) {
        let was_in_sync = self.in_sync;
        self.is_open = flow != Flow::Shut;
        self.mine = Some(view);
        self.in_sync = flow == Flow::Idle && self.mine == self.theirs;
        if self.in_sync {
            self.forget_missing();
            if !was_in_sync {
                self.last_equal = Some(now);
            }
        }
    }
}
