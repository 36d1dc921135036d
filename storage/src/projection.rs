//! Projections: read views computed from the log, each of which may be deleted and rebuilt.
//!
//! A projection is never the only home of anything. It records how far it has read the log (its
//! cursor), takes changes from the one task that tails the log, and answers reads meanwhile.

pub mod text;
pub mod vectors;
