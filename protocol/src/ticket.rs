//! Tickets: the one-use string that introduces two persons.
//!
//! `brain:invite/1/`, or `brain:device/1/` for a machine of one's own, and base32 of: its purpose, the inviter's person and device, a secret of 16
//! bytes, the end of its time, addresses, and a checksum of four bytes. The device id is the key
//! that the transport proves, so whoever dials can be sure to reach the inviter, and the secret
//! goes to nobody else.

use crate::limits::{ADDRESS_BYTES_MAX, ADDRESSES_MAX};
use crdt::codec::{Canonical, DecodeError, Reader, Writer};
use crdt::hash::Hash;
use crdt::id::{DeviceId, PersonId, from_base32, to_base32};
use crdt::time::Timestamp;
use thiserror::Error;

const PREFIX: &str = "brain:invite/1/";
const DEVICE_PREFIX: &str = "brain:device/1/";
const CHECKSUM_BYTES: usize = 4;

/// What a ticket is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// It introduces two persons.
    Invite,
    /// It makes a machine one of the person's own devices.
    Device,
}

/// What a ticket says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ticket {
    /// What it is for.
    pub purpose: Purpose,
    /// Who invites.
    pub person: PersonId,
    /// The device to dial.
    pub device: DeviceId,
    /// What proves that the ticket was received.
    pub secret: [u8; 16],
    /// When it ends.
    pub expires: Timestamp,
    /// Where the device can be reached, as multiaddrs.
    pub addresses: Vec<String>,
}

/// The reason why text is no ticket.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum TicketError {
    /// It does not begin like one.
    #[error("a ticket begins with {PREFIX}")]
    NotATicket,
    /// A newer node made it.
    #[error("the ticket is of a newer version; update this node")]
    Newer,
    /// Letters are missing or wrong.
    #[error("the ticket is damaged: copy it again, whole")]
    Damaged,
}

impl Ticket {
    /// Returns what is stored of the secret: enough to recognise it, not to use it.
    pub fn secret_hash(secret: &[u8; 16]) -> Hash {
        Hash::of("second-brain 2026 v1 ticket secret", &[secret])
    }
}

impl std::fmt::Display for Ticket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut bytes = self.to_bytes();
        bytes.extend_from_slice(&checksum(&bytes));
        let prefix = match self.purpose {
            Purpose::Invite => PREFIX,
            Purpose::Device => DEVICE_PREFIX,
        };
        write!(f, "{prefix}{}", to_base32(&bytes))
    }
}

impl std::str::FromStr for Ticket {
    type Err = TicketError;
    fn from_str(text: &str) -> Result<Self, TicketError> {
        let text = text.trim();
        let invite = text
            .strip_prefix(PREFIX)
            .map(|rest| (rest, Purpose::Invite));
        let device = || {
            let rest = text.strip_prefix(DEVICE_PREFIX)?;
            Some((rest, Purpose::Device))
        };
        let Some((base32, purpose)) = invite.or_else(device) else {
            let newer = text.starts_with("brain:invite/") || text.starts_with("brain:device/");
            return Err(if newer {
                TicketError::Newer
            } else {
                TicketError::NotATicket
            });
        };
        let bytes = from_base32(base32).ok_or(TicketError::Damaged)?;
        let body = bytes
            .len()
            .checked_sub(CHECKSUM_BYTES)
            .and_then(|at| bytes.split_at_checked(at))
            .filter(|(body, sum)| checksum(body) == *sum)
            .ok_or(TicketError::Damaged)?
            .0;
        // The purpose stands in the letters before it and inside: neither can be exchanged.
        Self::from_bytes(body)
            .ok()
            .filter(|ticket| ticket.purpose == purpose)
            .ok_or(TicketError::Damaged)
    }
}

fn checksum(bytes: &[u8]) -> [u8; CHECKSUM_BYTES] {
    let hash = Hash::of("second-brain 2026 v1 ticket checksum", &[bytes]);
    let [a, b, c, d, ..] = hash.0;
    [a, b, c, d]
}

impl Canonical for Ticket {
    fn encode(&self, out: &mut Writer) {
        out.bool(self.purpose == Purpose::Device);
        self.person.encode(out);
        self.device.encode(out);
        out.raw(&self.secret);
        self.expires.encode(out);
        write_addresses(out, &self.addresses);
    }
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            purpose: if input.bool("purpose")? {
                Purpose::Device
            } else {
                Purpose::Invite
            },
            person: PersonId::decode(input)?,
            device: DeviceId::decode(input)?,
            secret: input.array("ticket secret")?,
            expires: Timestamp::decode(input)?,
            addresses: read_addresses(input)?,
        })
    }
}

pub(crate) fn write_addresses(out: &mut Writer, addresses: &[String]) {
    out.length(addresses.len());
    for address in addresses {
        out.text(address);
    }
}

pub(crate) fn read_addresses(input: &mut Reader<'_>) -> Result<Vec<String>, DecodeError> {
    let count = input.length(ADDRESSES_MAX, "addresses")?;
    (0..count)
        .map(|_| input.text(ADDRESS_BYTES_MAX, "address"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ticket_reads_back_and_no_letter_can_change() {
        let ticket = Ticket {
            purpose: Purpose::Invite,
            person: PersonId([1; 32]),
            device: DeviceId([2; 32]),
            secret: [3; 16],
            expires: Timestamp(4),
            addresses: vec!["/ip4/127.0.0.1/udp/5/quic-v1".into()],
        };
        let text = ticket.to_string();
        assert_eq!(text.parse(), Ok(ticket.clone()));
        let device = Ticket {
            purpose: Purpose::Device,
            ..ticket
        };
        let other = device.to_string();
        assert_eq!(other.parse(), Ok(device));
        let exchanged = other.replace(DEVICE_PREFIX, PREFIX);
        assert_eq!(exchanged.parse::<Ticket>(), Err(TicketError::Damaged));
        for at in PREFIX.len()..text.len() {
            let mut changed: Vec<char> = text.chars().collect();
            changed[at] = if changed[at] == 'a' { 'b' } else { 'a' };
            let changed: String = changed.into_iter().collect();
            assert_eq!(changed.parse::<Ticket>(), Err(TicketError::Damaged));
        }
        assert_eq!("hello".parse::<Ticket>(), Err(TicketError::NotATicket));
        assert_eq!(
            "brain:invite/2/aa".parse::<Ticket>(),
            Err(TicketError::Newer)
        );
    }
}
