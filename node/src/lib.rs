//! The running daemon: services, edges, network driver, egress guard. See `docs/architecture.md`.
//!
//! ```text
//! request   http -> service::<noun> -> storage::tx (event, log, projections) -> reply
//! incoming  net -> sync::driver -> protocol::session -> storage::tx (verify, append)
//! outgoing  protocol::session -> egress::review (ledger) -> Cleared -> sync::driver -> net
//! ```

mod client;
pub mod clock;
pub mod config;
pub mod egress;
pub mod embed;
pub mod health;
pub mod http;
pub mod identity;
pub mod import;
pub mod index;
pub mod net;
pub mod notices;
pub mod os_keyring;
pub mod program;
pub mod runtime;
pub mod salvage;
pub mod service;
pub mod sync;
pub mod tasks;
pub mod telemetry;
pub mod unlock;
