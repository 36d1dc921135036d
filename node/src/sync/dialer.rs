//! The dialler: keeps a session with every paired person, with growing pauses.

use super::{Party, Sync};
use crate::clock;
use crdt::id::{DeviceId, PersonId};
use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use protocol::session::Role;
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};
use storage::tx::ShareError;

const TICK: Duration = Duration::from_millis(500);
const PAUSE_MIN: Duration = Duration::from_secs(1);
const PAUSE_MAX: Duration = Duration::from_mins(1);
/// How often leases are looked at; only those of persons who are here now are renewed.
const RENEWAL: Duration = Duration::from_secs(30);

/// Peers that are dialled at the same time: one that does not answer must not hold up the others.
const DIALS_MAX: usize = 16;

struct Attempt {
    next: Instant,
    pause: Duration,
}

/// When each absent party is tried next, and who is being tried.
#[derive(Default)]
struct Attempts {
    next: BTreeMap<Party, Attempt>,
    now: BTreeSet<Party>,
}

impl Attempts {
    fn is_due(&self, party: Party) -> bool {
        let next = self.next.get(&party);
        self.now.len() < DIALS_MAX
            && !self.now.contains(&party)
            && next.is_none_or(|attempt| attempt.next <= Instant::now())
    }

    /// Notes how an attempt ended; returns the pause that follows.
    fn note(&mut self, party: Party, worked: bool) -> Duration {
        self.now.remove(&party);
        let pause = match self.next.get(&party) {
            Some(attempt) if !worked => (attempt.pause * 2).min(PAUSE_MAX),
            _ => PAUSE_MIN,
        };
        let next = Instant::now() + pause;
        self.next.insert(party, Attempt { next, pause });
        pause
    }
}

/// Dials until the node stops.
pub(super) async fn run(sync: Sync) {
    let mut attempts = Attempts::default();
    let mut dials = FuturesUnordered::new();
    let mut wake = sync.0.wake.subscribe();
    let mut renewal = Instant::now();
    loop {
        tokio::select! {
            () = sync.0.shutdown.cancelled() => return,
            () = tokio::time::sleep(TICK) => {}
            Some((party, failed)) = dials.next() => {
                let failed: Option<String> = failed;
                let pause = attempts.note(party, failed.is_none());
                if let Some(reason) = failed {
                    sync.note_unreachable(party, &reason, pause);
                }
            }
            changed = wake.changed() => match changed {
                Ok(()) => attempts.next.clear(),
                Err(_) => return,
            },
        }
        if renewal <= Instant::now() {
            renewal = Instant::now() + RENEWAL;
            renew_leases(&sync);
        }
        for (party, devices) in absent(&sync) {
            if attempts.is_due(party) {
                attempts.now.insert(party);
                let sync = sync.clone();
                dials.push(async move { (party, dial(&sync, devices).await) });
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

/// Tries the devices of a party one after the other; returns why there is no session.
async fn dial(sync: &Sync, devices: Devices) -> Option<String> {
    let mut last = "no device of theirs is known".to_owned();
    for (device, addresses) in devices {
        if sync.is_paused(&device) {
            "it broke the protocol and has to wait".clone_into(&mut last);
            continue;
        }
        match sync.0.network.open(device, &addresses).await {
            Ok(stream) => {
                sync.spawn(stream, Role::Initiator, None);
                return None;
            }
            Err(error) => last = error.to_string(),
        }
    }
    Some(last)
}
