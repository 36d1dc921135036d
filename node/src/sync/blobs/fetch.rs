//! Fetching: what is missing, from whoever is here and may have it, a few at a time.
//!
//! Events go first: a peer is asked for blobs once the session with it has settled. What somebody
//! waits for is asked for at once and before the rest, then small ones before large ones. A fetch
//! that breaks off goes on later where it was, with the same or another peer.

use super::frames::{Broken, read, write};
use super::{Missing, wanted_of};
use crate::sync::Sync;
use crate::{clock, net};
use crdt::hash::Hash;
use crdt::id::{DeviceId, PersonId};
use protocol::blob::Answer;
use protocol::blob::fetching::{Effect, Fetching, Input};
use protocol::limits::{BLOB_ANSWER_MS, BLOB_FETCHES_MAX};
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};
use storage::blob::{BlobError, Fetch};
use storage::store::StoreError;
use storage::store::state::State;
use thiserror::Error;
use tokio::sync::watch;
use tokio::task::JoinSet;

/// The longest time between two looks at what is missing.
const TICK: Duration = Duration::from_millis(500);
/// The shortest time between two looks: a burst of writes is one look.
const LOOK_PAUSE: Duration = Duration::from_millis(20);
/// How long the events of a session go first, if both sides are not equal earlier.
const EVENTS_FIRST: Duration = Duration::from_secs(3);
const PAUSE_MIN: Duration = Duration::from_secs(1);
const PAUSE_MAX: Duration = Duration::from_mins(1);

/// The reason why a fetch did not bring all of a blob.
#[derive(Debug, Error)]
enum Ended {
    #[error("the peer has it not, or does not give it")]
    Refused,
    #[error("the peer broke the protocol: {0}")]
    Fault(&'static str),
    #[error("it is not wanted any more")]
    Unwanted,
    #[error(transparent)]
    Broken(#[from] Broken),
    #[error(transparent)]
    Network(#[from] net::NetworkError),
    #[error(transparent)]
    Here(#[from] BlobError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A blob, and whom to ask.
#[derive(Debug, Clone)]
struct Job {
    missing: Missing,
    person: PersonId,
    device: DeviceId,
}

type Pauses = BTreeMap<(Hash, DeviceId), (Instant, Duration)>;

/// Fetches until the node stops.
pub(crate) async fn run(sync: Sync) {
    let mut changes = sync.0.changes.subscribe();
    let mut wake = sync.0.desk.wake.subscribe();
    let mut at_work: BTreeSet<Hash> = BTreeSet::new();
    let mut jobs: JoinSet<(Job, Result<(), Ended>)> = JoinSet::new();
    let mut pauses = Pauses::new();
    let mut referred = BTreeSet::new();
    sweep(&sync);
    loop {
        tokio::select! {
            () = sync.0.shutdown.cancelled() => return,
            Some(done) = jobs.join_next() => match done {
                Ok((job, outcome)) => {
                    at_work.remove(&job.missing.attachment.hash);
                    settle(&sync, &mut pauses, &job, outcome);
                }
                Err(error) => {
                    // Which one it was is not known: all are looked at again.
                    tracing::error!(%error, "a fetch did not end well");
                    jobs.shutdown().await;
                    at_work.clear();
                }
            },
            () = woken(&mut changes, &mut wake) => {}
            () = tokio::time::sleep(TICK) => {}
        }
        let now = sync.0.store.read(State::blobs);
        if !referred.is_subset(&now) {
            sweep(&sync);
            pauses.retain(|(blob, _), _| now.contains(blob));
            sync.0.desk.urgent().retain(|blob| now.contains(blob));
        }
        referred = now;
        for job in due(&sync, &pauses, &at_work) {
            at_work.insert(job.missing.attachment.hash);
            let sync = sync.clone();
            jobs.spawn(async move {
                let outcome = fetch(&sync, &job).await;
                (job, outcome)
            });
        }
    }
}

/// Waits until something was written here or somebody waits for a blob.
async fn woken(changes: &mut watch::Receiver<u64>, wake: &mut watch::Receiver<u64>) {
    let is_over = tokio::select! {
        changed = changes.changed() => changed.is_err(),
        changed = wake.changed() => changed.is_err(),
    };
    if is_over {
        // The node stops; whoever waits here is told otherwise.
        std::future::pending::<()>().await;
    }
    tokio::time::sleep(LOOK_PAUSE).await;
}

fn sweep(sync: &Sync) {
    if let Err(error) = tokio::task::block_in_place(|| sync.sweep_blobs()) {
        tracing::warn!(%error, "blobs that are not needed could not be removed");
    }
}

/// Notes how a fetch ended, and how long to leave that peer alone with that blob.
fn settle(sync: &Sync, pauses: &mut Pauses, job: &Job, outcome: Result<(), Ended>) {
    let blob = job.missing.attachment.hash;
    let key = (blob, job.device);
    match outcome {
        Ok(()) => {
            pauses.retain(|(other, _), _| *other != blob);
            sync.0.desk.urgent().remove(&blob);
            let memory = job.missing.memory.to_string();
            sync.0.notices.send("attachment.arrived", Some(memory));
        }
        Err(error) => {
            tracing::debug!(%error, "an attachment did not arrive");
            if let Ended::Fault(reason) = error {
                tracing::info!(reason, "a peer sent bytes that are not the attachment");
                let party = sync.party(job.person, job.device);
                sync.note_error(party, Some(format!("attachments: {reason}")));
            }
            if let Ended::Here(error) = &error {
                let party = sync.party(job.person, job.device);
                sync.note_error(party, Some(format!("attachments: {error}")));
            }
            let is_lasting = matches!(error, Ended::Refused | Ended::Fault(_) | Ended::Here(_));
            let pause = match pauses.get(&key) {
                Some((_, pause)) if is_lasting => (*pause * 2).min(PAUSE_MAX),
                _ => PAUSE_MIN,
            };
            pauses.insert(key, (Instant::now() + pause, pause));
        }
    }
}

/// Returns what to begin with now.
fn due(sync: &Sync, pauses: &Pauses, at_work: &BTreeSet<Hash>) -> Vec<Job> {
    let room = BLOB_FETCHES_MAX.saturating_sub(at_work.len());
    if room == 0 {
        return Vec::new();
    }
    let mut missing = sync.missing_blobs();
    let urgent = sync.0.desk.urgent().clone();
    missing.retain(|missing| {
        let attachment = &missing.attachment;
        attachment.bytes <= sync.0.desk.bytes_max() && !at_work.contains(&attachment.hash)
    });
    let full = over_quota(sync, &missing);
    missing.retain(|missing| !full.contains(&missing.attachment.hash));
    missing.sort_by_key(|missing| {
        let attachment = &missing.attachment;
        (
            !urgent.contains(&attachment.hash),
            attachment.bytes,
            attachment.hash,
        )
    });
    missing.dedup_by_key(|missing| missing.attachment.hash);
    let mut jobs = Vec::new();
    for missing in missing {
        let blob = missing.attachment.hash;
        let is_urgent = urgent.contains(&blob);
        let is_due = |device: &DeviceId| {
            let pause = pauses.get(&(blob, *device));
            // Whoever waits is not made to wait for the end of a long pause.
            let earlier = |pause: Duration| {
                let less = pause.saturating_sub(PAUSE_MIN);
                if is_urgent { less } else { Duration::ZERO }
            };
            pause.is_none_or(|(next, pause)| *next <= Instant::now() + earlier(*pause))
        };
        let mut holders = holders(sync, &missing, is_urgent);
        holders.retain(|(_, device)| is_due(device));
        if let Some((person, device)) = holders.first().copied() {
            jobs.push(Job {
                missing,
                person,
                device,
            });
        }
        if jobs.len() == room {
            break;
        }
    }
    jobs
}

/// Returns what the policy leaves no room for: texts and files of a peer count together.
fn over_quota(sync: &Sync, missing: &[Missing]) -> BTreeSet<Hash> {
    let owners: BTreeSet<PersonId> = missing.iter().map(|missing| missing.owner).collect();
    let blobs = sync.0.desk.blobs();
    let mut full = BTreeSet::new();
    sync.0.store.read(|state| {
        for owner in owners.into_iter().filter(|owner| *owner != state.me) {
            let Some(limit) = state.peer_rules(owner).max_bytes else {
                continue;
            };
            let theirs = state.memories.values().filter(|facts| facts.owner == owner);
            let taken = theirs.map(|facts| {
                let here = state.attachments(facts.id).iter();
                let here = here.filter(|file| blobs.holds(file.hash));
                facts.bytes + here.map(|file| file.bytes).sum::<u64>()
            });
            let left = limit.saturating_sub(taken.sum());
            let of_owner = missing.iter().filter(|missing| missing.owner == owner);
            let beyond = of_owner.filter(|missing| missing.attachment.bytes > left);
            full.extend(beyond.map(|missing| missing.attachment.hash));
        }
    });
    full
}

/// Returns who is here and may have a blob, own devices first.
fn holders(sync: &Sync, missing: &Missing, is_urgent: bool) -> Vec<(PersonId, DeviceId)> {
    let here: Vec<(PersonId, DeviceId)> = {
        let table = sync.table();
        let settled = table.sessions.iter().filter(|(_, handle)| {
            let status = handle.status.borrow();
            let is_settled = status.in_sync || handle.opened.elapsed() > EVENTS_FIRST;
            status.is_open && (is_settled || is_urgent)
        });
        settled.map(|(key, _)| *key).collect()
    };
    sync.0.store.read(|state| {
        let Some(facts) = state.memories.get(&missing.memory) else {
            return Vec::new();
        };
        let mut holders = here;
        holders.retain(|(person, _)| {
            let is_reader = || {
                let mut grants = state.grants_over(facts, *person, clock::now());
                facts.owner == state.me && grants.next().is_some()
            };
            *person == state.me || *person == facts.owner || is_reader()
        });
        holders.sort_by_key(|(person, device)| (*person != state.me, *device));
        holders
    })
}

/// Tells whether a blob still belongs here.
fn is_wanted(sync: &Sync, missing: &Missing) -> bool {
    sync.0.store.read(|state| {
        let attachments = state.attachments(missing.memory);
        let is_attached = attachments
            .iter()
            .any(|attachment| attachment.hash == missing.attachment.hash);
        is_attached && wanted_of(state, missing.memory).is_some()
    })
}

/// Fetches one blob from one device, as far as it goes.
async fn fetch(sync: &Sync, job: &Job) -> Result<(), Ended> {
    let Missing {
        memory, attachment, ..
    } = &job.missing;
    let mut stream = sync.0.network.open_blob(job.device).await?.stream;
    let keys = tokio::task::block_in_place(|| {
        let store = &sync.0.store;
        store.transact::<_, StoreError>(clock::now(), |tx| tx.blob_keys(*memory))
    })?;
    let mut fetching = Fetching::new(*memory, attachment.hash, attachment.bytes, &keys);
    let mut kept: Option<Fetch> = None;
    let mut effects = fetching.handle(Input::Started);
    loop {
        if effects.is_empty() {
            let answer: Answer = read(&mut stream, BLOB_ANSWER_MS).await?;
            if let Answer::Chunk { sealed, .. } = &answer {
                let party = sync.party(job.person, job.device);
                sync.count(party, sealed.len() as u64, 0);
            }
            effects = fetching.handle(Input::Answer(answer));
            continue;
        }
        match effects.remove(0) {
            Effect::Send(request) => {
                write(&mut stream, &request).await?;
            }
            Effect::Prepare(outline) => {
                let blobs = sync.0.desk.blobs();
                let begun = tokio::task::block_in_place(|| blobs.fetch(attachment.hash, outline))?;
                effects.extend(fetching.handle(Input::Prepared(begun.next())));
                kept = Some(begun);
            }
            Effect::Keep { index, bytes } => {
                if !is_wanted(sync, &job.missing) {
                    return Err(Ended::Unwanted);
                }
                if let Some(kept) = &mut kept {
                    tokio::task::block_in_place(|| kept.put(index, &bytes))?;
                }
            }
            Effect::Done => {
                if let Some(kept) = kept.take() {
                    drop(tokio::task::block_in_place(|| kept.finish())?);
                }
                return Ok(());
            }
            Effect::Refused => return Err(Ended::Refused),
            Effect::Fault(reason) => return Err(Ended::Fault(reason)),
        }
    }
}
