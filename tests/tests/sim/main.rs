//! Simulated nodes: real stores and real sessions, virtual time, a seeded scheduler.
//!
//! No sockets, no threads, no clock. What is not here: the daemon around it.
//!
//! ```text
//! world (seed) -> local actions -> node (Store) <- driver (Session) <- frames <- other nodes
//!                                      oracle looks at every frame and at the end
//! ```
//!
//! `SEED=n` replays one run, `SCALE=n` makes n times as many. Outside of [`day`], ids and keys are
//! drawn anew in every run, so what depends on their order may differ between two runs of a seed;
//! a day is the same bit for bit.

mod additions;
mod after_revocation;
mod aftermath;
mod bijection;
mod consent;
mod day;
mod devices;
mod driver;
mod first_sync;
mod forks;
mod guard;
mod guarded;
mod hostile;
mod leases;
mod many_cuts;
mod model;
mod node;
mod oracle;
mod quarantine;
mod reference_view;
mod runs;
mod tray;
mod waiting;
mod wired;
mod world;
