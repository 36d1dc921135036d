//! The door: which devices may connect at all, as the network asks before any stream exists.
//!
//! Not the place where anyone is welcomed: that takes a greeting with a certificate. A [`Door`]
//! is a handle; whoever knows the store says who the [`Guests`] are, and the network only looks.
//! A look takes no lock of the store, so a long transaction never holds up a handshake.
//!
//! Invariant: a device that is not a guest gets in only while a ticket is open, and nobody gets
//! in before guests were named.

use crate::clock;
use crdt::id::DeviceId;
use crdt::time::Timestamp;
use std::collections::BTreeSet;
use std::sync::{Arc, PoisonError, RwLock};

/// Who may connect.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Guests {
    /// Devices of paired persons and of this one, without the retired.
    pub known: BTreeSet<DeviceId>,
    /// Devices that broke the protocol and have to wait.
    pub paused: BTreeSet<DeviceId>,
    /// Until when a stranger may come and show a ticket.
    pub tickets_until: Option<Timestamp>,
}

/// What a device is to the door.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// A device of a paired person, or an own one.
    Known,
    /// Unknown, while a ticket is open.
    Stranger,
    /// Not to be let in.
    Unwelcome,
}

/// The door of a node.
#[derive(Debug, Clone, Default)]
pub struct Door(Arc<RwLock<Guests>>);

impl Door {
    /// Names who may connect from now on.
    pub fn admit(&self, guests: Guests) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = guests;
    }

    /// Tells what a device is to the door.
    pub fn standing(&self, device: &DeviceId) -> Standing {
        let guests = self.0.read().unwrap_or_else(PoisonError::into_inner);
        if guests.paused.contains(device) {
            Standing::Unwelcome
        } else if guests.known.contains(device) {
            Standing::Known
        } else if guests.tickets_until.is_some_and(|end| clock::now() < end) {
            Standing::Stranger
        } else {
            Standing::Unwelcome
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strangers_come_in_only_while_a_ticket_is_open() {
        let (friend, other) = (DeviceId([1; 32]), DeviceId([2; 32]));
        let door = Door::default();
        assert_eq!(door.standing(&friend), Standing::Unwelcome);
        let known = BTreeSet::from([friend]);
        let mut guests = Guests {
            known,
            ..Guests::default()
        };
        door.admit(guests.clone());
        assert_eq!(door.standing(&friend), Standing::Known);
        assert_eq!(door.standing(&other), Standing::Unwelcome);
        guests.tickets_until = Some(clock::now().plus_ms(60_000));
        door.admit(guests.clone());
        assert_eq!(door.standing(&other), Standing::Stranger);
        guests.tickets_until = Some(clock::now());
        guests.paused.insert(friend);
        door.admit(guests);
        assert_eq!(door.standing(&other), Standing::Unwelcome);
        assert_eq!(door.standing(&friend), Standing::Unwelcome);
    }
}
