//! The running daemon: services, edges, network driver, egress guard. See `docs/architecture.md`.

pub mod embed;
pub mod import;
