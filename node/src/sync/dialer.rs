//! The dialler: keeps a session with every paired person, with growing pauses.

use super::{Party, Sync};
use crate::clock;
use crdt::id::{DeviceId, PersonId};
use protocol::session::Role;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use storage::tx::ShareError;

const TICK: Duration = Duration::from_millis(500);
const PAUSE_MIN: Duration = Duration::from_secs(1);
const PAUSE_MAX: Duration = Duration::from_mins(1);
/// How often leases are looked at; only those of persons who are here now are renewed.
const RENEWAL: Duration = Duration::from_secs(30);

struct Attempt {
    next: Instant,
    pause: Duration,
}

/// Dials until the node stops.
pub(super) async fn run(sync: Sync) {
    let mut attempts: BTreeMap<Party, Attempt> = BTreeMap::new();
    let mut wake = sync.0.wake.subscribe();
    let mut renewal = Instant::now();
    loop {
        tokio::select! {
            () = sync.0.shutdown.cancelled() => return,
            () = tokio::time::sleep(TICK) => {}
            changed = wake.changed() => match changed {
                Ok(()) => attempts.clear(),
                Err(_) => return,
            },
        }
        if renewal <= Instant::now() {
            renewal = Instant::now() + RENEWAL;
            renew_leases(&sync);
        }
        for (party, devices) in absent(&sync) {
            let due = attempts
                .get(&party)
                .is_none_or(|attempt| attempt.next <= Instant::now());
            if due {
                let worked = dial(&sync, party, &devices).await;
                note(&mut attempts, party, worked);
            }
        }
    }
}

/// Renews the leases of everyone who is connected: both sides are alive and willing.
fn renew_leases(sync: &Sync) {
    let persons: Vec<PersonId> = sync
        .table()
        .sessions
        .keys()
        .map(|(person, _)| *person)
        .collect();
    for person in persons {
        let renewed = sync
            .0
            .store
            .transact::<_, ShareError>(clock::now(), |tx| tx.renew_due(person));
        match renewed {
            Ok(grants) if grants.is_empty() => {}
            Ok(grants) => {
                for grant in grants {
                    let grant = Some(grant.to_string());
                    sync.0.notices.send("grant.renewed", grant);
                }
                sync.changed();
            }
            Err(error) => tracing::warn!(%error, "a lease was not renewed"),
        }
    }
}

type Devices = Vec<(DeviceId, Vec<String>)>;

/// Returns paired persons and own devices without a session, with the devices to try.
fn absent(sync: &Sync) -> Vec<(Party, Devices)> {
    let mine = sync.0.store.owner().device.id();
    let all: Vec<(Party, Devices)> = sync.0.store.read(|state| {
        let is_live = |(device, _): &&(DeviceId, Vec<String>)| !state.is_retired(device);
        let paired = state
            .peers
            .values()
            .filter(|peer| state.is_paired(peer.person));
        let peers = paired.map(|peer| {
            let devices = peer.devices.iter().filter(is_live).cloned().collect();
            (Party::from(peer.person), devices)
        });
        let own = state.own.contact.iter().flat_map(|own| &own.devices);
        let own = own.filter(is_live).filter(|(device, _)| *device != mine);
        let own = own.map(|(device, addresses)| {
            let party = sync.party(state.me, *device);
            (party, vec![(*device, addresses.clone())])
        });
        peers.chain(own).collect()
    });
    all.into_iter()
        .filter(|(party, _)| sync.session(*party).is_none())
        .collect()
}

async fn dial(sync: &Sync, party: Party, devices: &Devices) -> bool {
    let mut last = "no device of theirs is known".to_owned();
    for (device, addresses) in devices {
        match sync.0.network.open(*device, addresses).await {
            Ok(stream) => {
                sync.spawn(stream, Role::Initiator, None);
                return true;
            }
            Err(error) => last = error.to_string(),
        }
    }
    if sync.record(party).last_error.is_none() {
        // Said once per outage, at a level an operator sees; no names.
        tracing::info!(reason = %last, "a peer cannot be reached; trying again");
    }
    sync.note_error(party, Some(last));
    false
}

fn note(attempts: &mut BTreeMap<Party, Attempt>, party: Party, worked: bool) {
    let pause = match attempts.get(&party) {
        Some(attempt) if !worked => (attempt.pause * 2).min(PAUSE_MAX),
        _ => PAUSE_MIN,
    };
    attempts.insert(
        party,
        Attempt {
            next: Instant::now() + pause,
            pause,
        },
    );
}
