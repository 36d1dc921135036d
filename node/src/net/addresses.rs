//! Device ids as libp2p peer ids, and which addresses to tell.

use crdt::id::DeviceId;
use libp2p::identity::{PublicKey, ed25519};
use libp2p::multiaddr::Protocol;
use libp2p::{Multiaddr, PeerId};

/// Returns the peer id of a device: both are the same Ed25519 key.
pub fn peer_of(device: &DeviceId) -> Option<PeerId> {
    let key = ed25519::PublicKey::try_from_bytes(device.as_bytes()).ok()?;
    Some(PublicKey::from(key).to_peer_id())
}

/// Returns the device of a peer id that carries an Ed25519 key.
pub fn device_of(peer: &PeerId) -> Option<DeviceId> {
    let key = PublicKey::try_decode_protobuf(peer.as_ref().digest()).ok()?;
    Some(DeviceId(key.try_into_ed25519().ok()?.to_bytes()))
}

/// Tells whether an address is worth telling others: not an unspecified one.
pub(super) fn is_dialable(address: &Multiaddr) -> bool {
    !address.iter().any(|part| match part {
        Protocol::Ip4(ip) => ip.is_unspecified(),
        Protocol::Ip6(ip) => ip.is_unspecified(),
        _ => false,
    })
}

/// Returns the port of an address.
pub(super) fn port_of(address: &Multiaddr) -> Option<(bool, u16)> {
    address.iter().find_map(|part| match part {
        Protocol::Udp(port) => Some((true, port)),
        Protocol::Tcp(port) => Some((false, port)),
        _ => None,
    })
}

/// Replaces port 0 by the port that was used last time.
pub(super) fn with_port(address: &Multiaddr, is_udp: bool, last: u16) -> Multiaddr {
    address
        .iter()
        .map(|part| match part {
            Protocol::Udp(0) if is_udp => Protocol::Udp(last),
            Protocol::Tcp(0) if !is_udp => Protocol::Tcp(last),
            other => other,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crdt::identity::DeviceKey;

    #[test]
    fn a_device_and_its_peer_id_are_one_key() {
        let device = DeviceKey::from_seed(&[7; 32]).id();
        let peer = peer_of(&device).expect("a key");
        assert_eq!(device_of(&peer), Some(device));
    }

    #[test]
    fn a_port_is_kept_only_where_any_was_asked_for() {
        let any: Multiaddr = "/ip4/0.0.0.0/udp/0/quic-v1".parse().expect("an address");
        assert_eq!(
            with_port(&any, true, 9).to_string(),
            "/ip4/0.0.0.0/udp/9/quic-v1"
        );
        let set: Multiaddr = "/ip4/0.0.0.0/udp/5/quic-v1".parse().expect("an address");
        assert_eq!(with_port(&set, true, 9), set);
        assert_eq!(port_of(&set), Some((true, 5)));
        assert!(!is_dialable(&set));
    }
}
