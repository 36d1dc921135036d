//! The peer network: libp2p over QUIC, with TCP + Noise + Yamux beside it.
//!
//! A narrow seam: dial a device, open a stream, accept streams. Who may speak is decided by the
//! session on the stream; here are the limits on connections. No DHT, no gossip, no identify.
//!
//! ```text
//! bytes -> waiting room (handshake) -> gate (asks the door) -> stream -> session (greeting)
//! ```
//!
//! Invariant: a [`Stream`] comes with the device whose key the transport proved.

mod addresses;
pub mod door;
mod gate;
mod silence;
mod swarm;
mod waiting;

pub use addresses::{device_of, peer_of};
pub use swarm::{Incoming, Network, NetworkError};

use crdt::id::DeviceId;

/// The bytes to and from a device.
pub type Bytes = libp2p::Stream;

/// A stream to a device that the transport proved.
#[derive(Debug)]
pub struct Stream {
    /// The device on the other side.
    pub device: DeviceId,
    /// The bytes.
    pub stream: Bytes,
}
