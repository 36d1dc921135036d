//! Who may connect, read from the store for the network's door.
//!
//! Known are the devices of paired persons and of this one, unless they are retired, blocked or
//! have to wait after they broke the protocol. A stranger may come while a ticket is open.

use super::Sync;
use crate::net::door::Guests;
use crdt::id::DeviceId;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};
use storage::store::state::State;

/// How often the door is looked after without being asked: pauses and tickets end by themselves.
const LOOK: Duration = Duration::from_millis(500);

impl Sync {
    /// Names who may connect, as the store has it now.
    pub fn mind_the_door(&self) {
        let mut guests = self.0.store.read(guests);
        let table = self.table();
        guests.paused = table.patience.paused(Instant::now()).collect();
        drop(table);
        self.0.door.admit(guests);
    }

    /// Keeps the door as the store has it, until the node stops.
    pub(super) async fn keep_the_door(self) {
        let mut changes = self.0.changes.subscribe();
        loop {
            tokio::task::block_in_place(|| self.mind_the_door());
            tokio::select! {
                () = self.0.shutdown.cancelled() => return,
                () = tokio::time::sleep(LOOK) => {}
                changed = changes.changed() => if changed.is_err() { return },
            }
        }
    }
}

fn guests(state: &State) -> Guests {
    let is_guest = |device: &DeviceId| !state.is_retired(device);
    let certified = state.authority.roster().devices();
    let certified = certified.filter(|found| {
        let person = found.certificate.person;
        person == state.me || state.is_paired(person)
    });
    let certified = certified.map(|found| found.certificate.device);
    let paired = state.peers.values();
    let paired = paired.filter(|peer| state.is_paired(peer.person));
    let contacts = paired.chain(state.own.contact.as_ref());
    let contacts = contacts.flat_map(|peer| peer.devices.iter().map(|(device, _)| *device));
    // Whoever comes with a ticket that someone else has used is to hear just that.
    let tickets = state.invites.iter();
    Guests {
        known: certified.chain(contacts).filter(is_guest).collect(),
        paused: BTreeSet::new(),
        tickets_until: tickets.map(|ticket| ticket.expires).max(),
    }
}
