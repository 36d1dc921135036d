//! Everything said between processes: to peers over the wire, and to local clients over the API.
//!
//! Sans-IO: no sockets, no clock, no randomness. See `docs/architecture.md`.

pub mod api;
pub mod blob;
pub mod limits;
pub mod reconcile;
pub mod session;
pub mod ticket;
pub mod trace;
pub mod view;
pub mod wire;
