//! Tracing: content comes with the trace that it belongs to, between two who both take that.
//!
//! ```text
//! Trace(none) ->              <- Trace(none)
//! Trace(step), then content -> the driver notes the step for what comes next
//! ```

use super::{Effect, Session};
use crate::trace::TraceContext;
use crate::wire::VERSION_TRACED;
use crate::wire::control::Control;

/// Who takes trace contexts.
#[derive(Debug, Default)]
pub(super) struct Tracing {
    /// This side does.
    pub(super) here: bool,
    /// The peer said that it does.
    there: bool,
}

impl Session {
    /// Takes the peer's trace contexts, and has the peer know.
    #[must_use]
    pub fn taking_traces(mut self, takes: bool) -> Self {
        self.tracing.here = takes;
        self
    }

    /// Tells whether both sides take trace contexts.
    pub fn is_traced(&self) -> bool {
        self.tracing.here && self.tracing.there
    }

    /// The peer takes trace contexts, or names one.
    pub(super) fn handle_trace(&mut self, step: Option<TraceContext>) -> Vec<Effect> {
        match step {
            _ if self.version < VERSION_TRACED => {
                self.violation("a trace in a version that has none")
            }
            None => {
                self.tracing.there = true;
                Vec::new()
            }
            Some(step) if self.tracing.here => vec![Effect::Trace(step)],
            Some(_) => self.violation("a trace for who takes none"),
        }
    }

    /// Says that trace contexts are taken, if they are and the peer understands it.
    pub(super) fn welcome_traces(&self) -> Option<Effect> {
        let says = self.tracing.here && self.version >= VERSION_TRACED;
        says.then_some(Effect::Send(Control::Trace(None)))
    }
}
