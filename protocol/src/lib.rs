//! Everything said between processes: to peers over the wire, and to local clients over the API.
//!
//! Sans-IO: no sockets, no clock, no randomness. See `docs/architecture.md`.

pub mod api;
