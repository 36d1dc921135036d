//! Telemetry: what the node tells an operator of itself, in numbers; the home of the metrics library.
//!
//! Nothing is sent anywhere: whoever may read `/metrics` reads them. The services know what to
//! count; here is how it is counted and written down.
//!
//! Invariant: a label is one of a closed set of words or the pattern of a route. No person, device,
//! memory, text or query is ever one.

pub mod metrics;
mod process;
