//! Telemetry: what the node tells an operator of itself: numbers, a log, and traces.
//!
//! Nothing is sent anywhere unless an endpoint for traces is set; whoever may read `/metrics`
//! reads the numbers. The services know what to count and where a step of work begins; here is how
//! it is counted and written down. The home of the libraries for it.
//!
//! Invariant: a label and what a span says is a number, one of our own words or the pattern of a
//! route. No person, device, memory, text or query is ever one.

pub mod journeys;
pub mod log;
pub mod metrics;
mod process;
pub mod traces;
