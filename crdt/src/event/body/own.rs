//! The records about a person's own devices: retirement, keyring, peers, names.
//!
//! All but [`Retirement`] stay on the person's own devices.

use crate::codec::{Canonical, DecodeError, Reader, Writer, ascending};
use crate::envelope::SealedKey;
use crate::envelope::wrap::Wrap;
use crate::event::Incarnation;
use crate::event::body::WRAPS_MAX;
use crate::hash::Hash;
use crate::id::{DeviceId, EventId, GrantId, PersonId};
use crate::identity::{DeviceCertificate, SIGNATURE_BYTES};

/// The most cuts in one retirement; a device with more feeds takes several events.
pub const FEED_CUTS_MAX: usize = 4_096;
/// The most keys in one keyring event: 144 bytes each stay far below the largest body.
pub const KEYRING_KEYS_MAX: usize = 2_048;
/// The longest name of a device or a peer, in bytes.
pub const NAME_BYTES_MAX: usize = 256;
/// The most devices of one peer that are noted.
pub const PEER_DEVICES_MAX: usize = 64;
/// The most addresses of one device that are noted.
pub const PEER_ADDRESSES_MAX: usize = 16;
/// The longest address that is noted, in bytes.
const ADDRESS_BYTES_MAX: usize = 256;

/// The last event of a device in a feed that still counts. The feed is named by a hash, so that
/// a cut tells nothing to those who do not know the feed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct FeedCut {
    /// The writer on the device.
    pub incarnation: Incarnation,
    /// The name of the feed.
    pub feed: Hash,
    /// The number of the last event that counts.
    pub number: u64,
    /// Its id.
    pub event: EventId,
}

/// Retires a device, or adds to what counts of a device that is retired.
///
/// Without a cut nothing of a feed counts. Cuts of several statements combine by union.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retirement {
    /// The device.
    pub device: DeviceId,
    /// What counts of it, ascending.
    pub cuts: Vec<FeedCut>,
    /// The root's signature; without it only an older device can retire a younger one.
    pub proof: Option<[u8; SIGNATURE_BYTES]>,
}

/// Brings keys to the person's own devices.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keyring {
    /// The name of the own scope key: drawn at random, one for each generation.
    pub scope: GrantId,
    /// The own scope key, wrapped to devices that may not have it yet.
    pub wraps: Vec<Wrap>,
    /// Keys sealed under it: the sidecar key, and scope keys of grants.
    pub keys: Vec<SealedKey>,
}

/// How a peer stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Standing {
    /// Not paired any more.
    Removed = 0,
    /// Paired.
    Paired = 1,
    /// Not spoken to.
    Blocked = 2,
}

/// A peer as the person's own devices know them; the latest event counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peering {
    /// The person.
    pub person: PersonId,
    /// My name for them.
    pub petname: String,
    /// How they stand.
    pub standing: Standing,
    /// The certificates of their devices.
    pub certificates: Vec<DeviceCertificate>,
    /// Where their devices can be reached.
    pub addresses: Vec<(DeviceId, Vec<String>)>,
}

/// Names a device; the latest event counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceName {
    /// The device.
    pub device: DeviceId,
    /// The name.
    pub name: String,
}

impl Canonical for FeedCut {
    fn encode(&self, out: &mut Writer) {
        out.raw(&self.incarnation.0);
        self.feed.encode(out);
        out.u64(self.number);
        self.event.encode(out);
    }
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            incarnation: Incarnation(input.array("incarnation")?),
            feed: Hash::decode(input)?,
            number: input.u64("number")?,
            event: EventId::decode(input)?,
        })
    }
}

impl Canonical for Retirement {
    fn encode(&self, out: &mut Writer) {
        self.device.encode(out);
        out.list(&self.cuts);
        out.option(self.proof.as_ref(), |out, proof| out.raw(proof));
    }
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let device = DeviceId::decode(input)?;
        let cuts = input.list(FEED_CUTS_MAX, "feed cuts")?;
        ascending(&cuts, "feed cuts")?;
        let proof = input.option("proof", |input| input.array("proof"))?;
        Ok(Self {
            device,
            cuts,
            proof,
        })
    }
}

impl Canonical for Keyring {
    fn encode(&self, out: &mut Writer) {
        self.scope.encode(out);
        out.list(&self.wraps);
        out.list(&self.keys);
    }
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            scope: GrantId::decode(input)?,
            wraps: input.list(WRAPS_MAX, "wraps")?,
            keys: input.list(KEYRING_KEYS_MAX, "keys")?,
        })
    }
}

impl Canonical for Peering {
    fn encode(&self, out: &mut Writer) {
        self.person.encode(out);
        out.text(&self.petname);
        out.u8(self.standing as u8);
        out.list(&self.certificates);
        out.length(self.addresses.len());
        for (device, addresses) in &self.addresses {
            device.encode(out);
            out.length(addresses.len());
            for address in addresses {
                out.text(address);
            }
        }
    }
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            person: PersonId::decode(input)?,
            petname: input.text(NAME_BYTES_MAX, "petname")?,
            standing: match input.u8("standing")? {
                0 => Standing::Removed,
                1 => Standing::Paired,
                2 => Standing::Blocked,
                found => {
                    return Err(DecodeError::Unknown {
                        what: "standing",
                        found,
                    });
                }
            },
            certificates: input.list(PEER_DEVICES_MAX, "certificates")?,
            addresses: {
                let count = input.length(PEER_DEVICES_MAX, "devices")?;
                let mut devices = Vec::new();
                for _ in 0..count {
                    let device = DeviceId::decode(input)?;
                    let addresses = input.length(PEER_ADDRESSES_MAX, "addresses")?;
                    let addresses =
                        (0..addresses).map(|_| input.text(ADDRESS_BYTES_MAX, "address"));
                    devices.push((device, addresses.collect::<Result<_, _>>()?));
                }
                devices
            },
        })
    }
}

impl Canonical for DeviceName {
    fn encode(&self, out: &mut Writer) {
        self.device.encode(out);
        out.text(&self.name);
    }
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            device: DeviceId::decode(input)?,
            name: input.text(NAME_BYTES_MAX, "name")?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::envelope::wrap::DeviceSecret;
    use crate::envelope::{ContentKey, Epoch, ScopeKey};
    use crate::id::MemoryId;
    use crate::identity::{DeviceKey, PersonKey};
    use crate::testing::Entropy;
    use crate::time::Timestamp;

    #[test]
    fn own_records_read_back() {
        let rng = &mut Entropy::new(1);
        let (device, person) = (
            DeviceKey::from_seed(&[1; 32]),
            PersonKey::from_seed(&[2; 32]),
        );
        let cut = |number| FeedCut {
            incarnation: Incarnation([3; 16]),
            feed: Hash([4; 32]),
            number,
            event: EventId([5; 32]),
        };
        let retirement = Retirement {
            device: device.id(),
            cuts: vec![cut(1), cut(2)],
            proof: Some([6; SIGNATURE_BYTES]),
        };
        assert_eq!(
            Retirement::from_bytes(&retirement.to_bytes()),
            Ok(retirement.clone())
        );
        let unsorted = Retirement {
            cuts: vec![cut(2), cut(1)],
            ..retirement
        };
        assert!(Retirement::from_bytes(&unsorted.to_bytes()).is_err());
        let (scope, key) = (GrantId([7; 32]), ScopeKey::random(rng));
        let public = DeviceSecret::from_seed(&[8; 32]).public();
        let wrap = public.wrap_key(device.id(), scope, 0, &key, rng);
        let content = ContentKey::random(rng);
        let keyring = Keyring {
            scope,
            wraps: vec![wrap.expect("wraps")],
            keys: vec![key.seal_key(scope, MemoryId([0; 32]), Epoch(0), &content, rng)],
        };
        assert_eq!(Keyring::from_bytes(&keyring.to_bytes()), Ok(keyring));
        let peering = Peering {
            person: person.id(),
            petname: "bob".to_owned(),
            standing: Standing::Blocked,
            certificates: vec![person.certify(&device, Timestamp(9))],
            addresses: vec![(device.id(), vec!["/ip4/127.0.0.1/udp/1/quic-v1".to_owned()])],
        };
        assert_eq!(Peering::from_bytes(&peering.to_bytes()), Ok(peering));
        let name = DeviceName {
            device: device.id(),
            name: "phone".to_owned(),
        };
        assert_eq!(DeviceName::from_bytes(&name.to_bytes()), Ok(name));
    }
}
