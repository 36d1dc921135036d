//! Sync: how far this node and its peers are. Numbers are what is known, never what is hoped.

use super::{Failure, Services};
use crate::clock;
use crate::sync::{Handle, Party, Record};
use crdt::identity::did::to_did;
use protocol::api::problem::ErrorCode;
use protocol::api::status::PeerGlance;
use protocol::api::sync::{Missing, PeerSync, Proof, SyncStatus};
use protocol::session::Status;
use std::time::{Duration, Instant};
use storage::records::PeerState;

/// How long a proof may take, with the transfers it starts.
const PROVE_MAX: Duration = Duration::from_secs(10);
/// How long `now` waits for sessions.
const NOW_MAX: Duration = Duration::from_secs(5);
const POLL: Duration = Duration::from_millis(20);

/// The states of a peer.
pub(super) const STATES: [&str; 5] = ["in_sync", "syncing", "unreachable", "waiting", "offline"];

/// Returns the state of a peer without a session, and the seconds until that is looked at again.
fn absence(record: &Record) -> (&'static str, Option<u64>) {
    let now = Instant::now();
    let seconds = |until: Instant| Some(until.saturating_duration_since(now).as_secs());
    match (
        record.waits_until.filter(|until| *until > now),
        &record.outage,
    ) {
        (Some(until), _) => ("waiting", seconds(until)),
        (None, Some(outage)) => ("unreachable", seconds(outage.next)),
        (None, None) => ("offline", None),
    }
}

impl Services {
    /// Tells how each peer is, at a glance.
    pub(super) fn peer_states(&self) -> Result<Vec<PeerGlance>, Failure> {
        let glance = |peer: PeerSync| PeerGlance {
            alias: peer.alias,
            state: peer.state,
            since: peer.unreachable_since,
            reason: peer.last_error,
            missing_here: peer.missing_here,
            missing_there: peer.missing_there,
        };
        Ok(self.sync_status()?.peers.into_iter().map(glance).collect())
    }

    fn show_sync(&self, party: Party) -> PeerSync {
        let person = party.person;
        let record = self.0.sync.record(party);
        let session = self.0.sync.session(party);
        let live = session
            .as_ref()
            .map(|handle| handle.status.borrow().clone());
        let online = live.as_ref().is_some_and(|status| status.is_open);
        let status = live.filter(|status| status.is_open);
        let status = status.unwrap_or_else(|| record.last.clone());
        let mine = self.0.sync.view(person);
        // The session may not have looked yet: what it proved counts for the view it proved.
        let in_sync = online && status.in_sync && status.mine == Some(mine);
        let theirs = status.theirs.map_or(0, |summary| summary.events);
        let behind = |known: u64, here: u64, there: u64| {
            if in_sync {
                0
            } else {
                known.max(here.saturating_sub(there))
            }
        };
        let (alias, last_contact) = self.store().read(|state| {
            let peer = state.peers.get(&person).or(state.own.contact.as_ref());
            let name = party.device.map(|device| state.device_name(&device));
            (
                name.unwrap_or_else(|| state.petname(person)),
                peer.and_then(|peer| peer.last_contact),
            )
        });
        let is_own = person == self.store().owner().certificate.person;
        let (attachments_missing, attachment_bytes_missing) =
            self.lacking(|owner| is_own || owner == person);
        let (state, next_try_s) = match online {
            true if in_sync => ("in_sync", None),
            true => ("syncing", None),
            false => absence(&record),
        };
        let stale_s = record
            .last_equal
            .map(|at| clock::now().0.saturating_sub(at.0) / 1_000);
        let time = crdt::time::Timestamp::to_rfc3339;
        let outage = record.outage.filter(|_| !online);
        PeerSync {
            state: state.to_owned(),
            unreachable_since: outage.map(|outage| time(outage.since)),
            next_try_s,
            last_equal: record.last_equal.map(time),
            stale_s: if in_sync { Some(0) } else { stale_s },
            person: to_did(&person),
            alias,
            online,
            in_sync,
            mine: mine.events,
            theirs,
            missing_here: behind(status.missing_here, theirs, mine.events),
            missing_there: behind(status.missing_there, mine.events, theirs),
            attachments_missing,
            attachment_bytes_missing,
            fingerprint: crdt::id::to_base32(&mine.fingerprint.0),
            last_contact: last_contact.map(crdt::time::Timestamp::to_rfc3339),
            bytes_in: record.bytes_in,
            bytes_out: record.bytes_out,
            last_error: record.last_error,
        }
    }

    /// Tells how far all peers are.
    #[expect(clippy::unnecessary_wraps, reason = "every use case answers alike")]
    pub fn sync_status(&self) -> Result<SyncStatus, Failure> {
        let mine = self.store().owner().device.id();
        let parties: Vec<Party> = self.store().read(|state| {
            let paired = state
                .peers
                .values()
                .filter(|peer| peer.state == PeerState::Paired);
            let own = state.own_devices().filter(|found| !found.retired);
            let own = own.map(|found| found.certificate.device);
            let own = own.filter(|device| *device != mine);
            paired
                .map(|peer| Party::from(peer.person))
                .chain(own.map(|device| self.0.sync.party(state.me, device)))
                .collect()
        });
        Ok(SyncStatus {
            peers: parties.into_iter().map(|p| self.show_sync(p)).collect(),
        })
    }

    /// Finds a peer, or an own device.
    fn find_party(&self, name: &str) -> Result<Party, Failure> {
        let device = self.store().read(|state| {
            let device = state.own_device(name)?;
            Some(self.0.sync.party(state.me, device))
        });
        match self.find_person(name) {
            Ok(person) => Ok(person.into()),
            Err(failure) => device.ok_or(failure),
        }
    }

    /// Tries all peers at once and tells how far they are.
    pub async fn sync_now(&self) -> Result<SyncStatus, Failure> {
        self.0.sync.dial_now();
        let deadline = tokio::time::Instant::now() + NOW_MAX;
        loop {
            let status = tokio::task::block_in_place(|| self.sync_status())?;
            let settled = status.peers.iter().all(|peer| peer.in_sync);
            if settled || tokio::time::Instant::now() >= deadline {
                return Ok(status);
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// Has a peer prove how far it is, right now.
    pub async fn prove(&self, name: &str) -> Result<Proof, Failure> {
        let party = tokio::task::block_in_place(|| self.find_party(name))?;
        let offline = || {
            Failure::new(
                ErrorCode::PeerUnreachable,
                format!("{name} is not connected"),
            )
            .because(self.0.sync.record(party).last_error.unwrap_or_default())
            .hint("brainctl sync now          try again")
        };
        let handle = self.0.sync.session(party).ok_or_else(offline)?;
        let before = handle.status.borrow().proofs;
        if !handle.prove().await {
            return Err(offline());
        }
        let proven = wait_for_proof(&handle, before).await.ok_or_else(|| {
            Failure::new(ErrorCode::Timeout, format!("{name} gave no proof in time"))
        })?;
        let status = tokio::task::block_in_place(|| self.show_sync(party));
        let there = proven.lacking_there.iter().map(|id| (id, "there"));
        let here = proven.lacking_here.iter().map(|id| (id, "here"));
        let missing = there
            .chain(here)
            .filter(|_| !status.in_sync)
            .map(|(id, side)| Missing {
                event: crdt::id::to_base32(id),
                side: side.to_owned(),
            });
        let theirs = proven
            .theirs
            .map(|summary| crdt::id::to_base32(&summary.fingerprint.0));
        Ok(Proof {
            missing: missing.collect(),
            their_fingerprint: theirs.unwrap_or_default(),
            status,
        })
    }
}

/// Waits until the peer has answered; if what it said is unequal, until that is settled or known.
async fn wait_for_proof(handle: &Handle, before: u64) -> Option<Status> {
    let mut status = handle.status.clone();
    let answered = |status: &Status| status.proofs > before;
    let first = {
        let first = tokio::time::timeout(PROVE_MAX, status.wait_for(answered))
            .await
            .ok()?;
        first.ok()?.clone()
    };
    if first.in_sync {
        return Some(first);
    }
    let settled = |status: &Status| answered(status) && status.in_sync;
    match tokio::time::timeout(PROVE_MAX / 4, status.wait_for(settled)).await {
        Ok(Ok(settled)) => Some(settled.clone()),
        _ => Some(handle.status.borrow().clone()),
    }
}
