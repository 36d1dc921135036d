//! Reconciling: the initiator leads a run over the view, the responder answers it.
//!
//! ```text
//! unequal proof -> LoadRun -> Run -> first message -> answer -> ... -> both differences are known
//! ```
//!
//! A run begins with what is new since both sides were last equal, if they remember that they were:
//! what is older is one fingerprint. Where that differs, the run begins again over everything.
//!
//! The driver prepares the run, since it keeps the view. What the peer asks for afterwards is
//! looked up among the items of the run.

use crate::limits::RECONCILE_ROUNDS_MAX;
use crate::reconcile::{Blinded, Index, ReconcileError, Run, Step};
use crate::view::Item;
use crate::wire::brief::{Recent, Topic};
use crate::wire::control::Control;
use std::sync::Arc;

/// How far a run is.
#[derive(Debug, Default)]
enum Stage {
    /// There is none.
    #[default]
    Idle,
    /// The driver prepares one.
    Preparing(Opening),
    /// The next message is the peer's.
    Running(Box<Run>),
}

/// How a run begins.
#[derive(Debug)]
pub(super) enum Opening {
    /// This side begins it, over what is new since a time, or over everything.
    Mine(Option<u64>),
    /// The initiator began it, over everything, with these bytes.
    Whole(Vec<u8>),
    /// The initiator began it over what is new.
    Recent(Recent),
}

/// One run after the other.
#[derive(Debug, Default)]
pub(super) struct Reconciling {
    stage: Stage,
    rounds: u32,
    index: Option<Arc<Index>>,
    /// Whether anything was stored on either side since the last run began.
    pub(super) has_moved: bool,
}

/// What the peer's message does not fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Misfit(pub(super) &'static str);

impl From<ReconcileError> for Misfit {
    fn from(_: ReconcileError) -> Self {
        Self("a reconciliation message that does not read")
    }
}

const NEVER_BEGUN: Misfit = Misfit("a reconciliation that was never begun");
const ENDLESS: Misfit = Misfit("a reconciliation without end");

impl Reconciling {
    pub(super) fn is_busy(&self) -> bool {
        !matches!(self.stage, Stage::Idle)
    }
    /// Waits for the driver to prepare a run.
    pub(super) fn prepare(&mut self, opening: Opening) {
        self.stage = Stage::Preparing(opening);
        self.rounds = 0;
        self.has_moved = false;
    }
    /// Forgets a run that the peer does not go on with.
    pub(super) fn stop(&mut self) {
        self.stage = Stage::Idle;
    }
    /// Forgets the items of the last run: both sides are equal.
    pub(super) fn settle(&mut self) {
        self.index = None;
    }
    /// Returns the item behind an id that the last run spoke of.
    pub(super) fn item(&self, blinded: &Blinded) -> Option<Item> {
        self.index.as_ref()?.get(blinded)
    }

    /// The driver prepared a run: returns the first message, or the answer to it. None if no run
    /// is wanted any more.
    pub(super) fn begin(&mut self, mut run: Box<Run>) -> Result<Option<Control>, Misfit> {
        let Stage::Preparing(opening) = std::mem::take(&mut self.stage) else {
            return Ok(None);
        };
        self.index = Some(run.index());
        let (since, bytes) = match opening {
            Opening::Mine(since) => {
                let bytes = run.initiate()?;
                let before = run.before();
                self.stage = Stage::Running(run);
                return Ok(Some(match (since, before) {
                    (Some(since), Some(before)) => Control::Recent(Recent {
                        since,
                        before,
                        bytes,
                    }),
                    _ => Control::Reconcile { first: true, bytes },
                }));
            }
            Opening::Whole(bytes) => (None, bytes),
            Opening::Recent(recent) => (Some(recent.before), recent.bytes),
        };
        if since.is_some() && since != run.before() {
            // What is older differs too: nothing of this is of use.
            return Ok(Some(Control::Tell(Topic::Whole)));
        }
        self.stage = Stage::Running(run);
        let bytes = self.answer(&bytes)?;
        let first = false;
        Ok(Some(Control::Reconcile { first, bytes }))
    }

    /// Answers the initiator.
    pub(super) fn answer(&mut self, bytes: &[u8]) -> Result<Vec<u8>, Misfit> {
        let mut run = self.take()?;
        let answer = run.answer(bytes)?;
        // An answer of one byte says that nothing is left to ask.
        if answer.len() > 1 {
            self.stage = Stage::Running(run);
        }
        Ok(answer)
    }

    /// Takes in the responder's answer.
    pub(super) fn step(&mut self, bytes: &[u8]) -> Result<Step, Misfit> {
        let mut run = self.take()?;
        let step = run.step(bytes)?;
        if step.next.is_some() {
            self.stage = Stage::Running(run);
        }
        Ok(step)
    }

    /// Takes the run out for one more round.
    fn take(&mut self) -> Result<Box<Run>, Misfit> {
        let Stage::Running(run) = std::mem::take(&mut self.stage) else {
            return Err(NEVER_BEGUN);
        };
        self.rounds += 1;
        if self.rounds > RECONCILE_ROUNDS_MAX {
            return Err(ENDLESS);
        }
        Ok(run)
    }
}
