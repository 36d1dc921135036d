//! Serving: whoever opens a stream may ask for one blob.
//!
//! No session is needed: the transport proves the device, and the guard looks whom it speaks for
//! and what they may have, before every part and every chunk. A stranger hears what everyone hears
//! who may not have the blob.

use super::frames::{Broken, read, write};
use crate::clock;
use crate::egress::blob::{may_have, review, welcome};
use crate::net::Stream;
use crate::sync::Sync;
use crdt::blob::seal::BlobKey;
use crdt::envelope::ContentKey;
use crdt::hash::Hash;
use crdt::id::{DeviceId, MemoryId};
use futures::AsyncWriteExt as _;
use protocol::blob::serving::{Effect, Input, Part, Serving};
use protocol::limits::{BLOB_REQUEST_MS, BLOB_STREAMS_MAX, BLOB_STREAMS_PER_DEVICE_MAX};
use std::collections::{BTreeMap, BTreeSet};
use storage::blob::Reader;
use storage::store::StoreError;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

/// The most streams of devices that nobody here knows, all together: they hear the refusal, and
/// cannot take the places of those who are known.
const STRANGERS_MAX: usize = 4;

/// How many streams are answered now.
#[derive(Debug, Default)]
struct AtWork {
    by_device: BTreeMap<DeviceId, usize>,
    strangers: usize,
    known: usize,
}

impl AtWork {
    /// Takes a place for a stream; false if there is none.
    fn enter(&mut self, device: DeviceId, is_known: bool) -> bool {
        let own = self.by_device.get(&device).copied().unwrap_or_default();
        let (all, limit) = if is_known {
            (&mut self.known, BLOB_STREAMS_MAX)
        } else {
            (&mut self.strangers, STRANGERS_MAX)
        };
        if *all >= limit || own >= BLOB_STREAMS_PER_DEVICE_MAX {
            return false;
        }
        *all += 1;
        self.by_device.insert(device, own + 1);
        true
    }
    fn leave(&mut self, device: DeviceId, is_known: bool) {
        let all = if is_known {
            &mut self.known
        } else {
            &mut self.strangers
        };
        *all = all.saturating_sub(1);
        let own = self.by_device.remove(&device).unwrap_or_default();
        if own > 1 {
            self.by_device.insert(device, own - 1);
        }
    }
}

/// Answers streams until the node stops. A stream over the limits is dropped.
pub(crate) async fn run(sync: Sync, mut incoming: mpsc::Receiver<Stream>) {
    let mut at_work = AtWork::default();
    let mut streams: JoinSet<(DeviceId, bool)> = JoinSet::new();
    loop {
        tokio::select! {
            () = sync.0.shutdown.cancelled() => return,
            Some(done) = streams.join_next() => match done {
                Ok((device, is_known)) => at_work.leave(device, is_known),
                Err(error) => {
                    // Whose it was is not known: all begin anew.
                    tracing::error!(%error, "the answer to a peer did not end well");
                    streams.shutdown().await;
                    at_work = AtWork::default();
                }
            },
            stream = incoming.recv() => {
                let Some(stream) = stream else { return };
                let device = stream.device;
                let is_known = sync.0.store.read(|state| welcome(state, device).is_some());
                if !at_work.enter(device, is_known) {
                    tracing::debug!("too many blobs at once: a stream was dropped");
                    continue;
                }
                let sync = sync.clone();
                streams.spawn(async move {
                    if let Err(error) = answer(&sync, stream).await {
                        tracing::debug!(%error, "the stream of a blob broke off");
                    }
                    (device, is_known)
                });
            }
        }
    }
}

/// One blob to one device.
struct Server<'a> {
    sync: &'a Sync,
    stream: Stream,
    reader: Option<Reader>,
    key: Option<BlobKey>,
}

async fn answer(sync: &Sync, stream: Stream) -> Result<(), Broken> {
    let mut server = Server {
        sync,
        stream,
        reader: None,
        key: None,
    };
    let mut serving = Serving::default();
    while !serving.is_over() {
        let request = read(&mut server.stream.stream, BLOB_REQUEST_MS).await?;
        let mut effects = serving.handle(Input::Request(request));
        while let Some(effect) = next(&mut effects) {
            if let Some(input) = server.run(effect).await? {
                effects.extend(serving.handle(input));
            }
        }
    }
    let closed = server.stream.stream.close().await;
    closed.map_err(|_error| Broken::Ended)
}

fn next(effects: &mut Vec<Effect>) -> Option<Effect> {
    (!effects.is_empty()).then(|| effects.remove(0))
}

impl Server<'_> {
    async fn run(&mut self, effect: Effect) -> Result<Option<Input>, Broken> {
        match effect {
            Effect::Look { memory, blob, keys } => {
                let found = tokio::task::block_in_place(|| self.look(memory, blob, &keys));
                let shown = found.map(|(reader, key)| {
                    let outline = reader.outline().clone();
                    self.key = Some(BlobKey::of(&key, blob));
                    self.reader = Some(reader);
                    (outline, key)
                });
                Ok(Some(Input::Found(shown)))
            }
            Effect::Send(answer) => {
                write(&mut self.stream.stream, &answer).await?;
                Ok(None)
            }
            Effect::Clear(part) => Ok(Some(Input::Sent(self.send(part).await?))),
            Effect::Over => Ok(None),
        }
    }

    /// Opens a blob that the device may have, with the newest key of the memory that both sides
    /// have. What is damaged here is not there for others.
    fn look(
        &self,
        memory: MemoryId,
        blob: Hash,
        keys: &BTreeSet<Hash>,
    ) -> Option<(Reader, ContentKey)> {
        let store = &self.sync.0.store;
        may_have(store, self.stream.device, memory, blob)?;
        let ours = store.transact::<_, StoreError>(clock::now(), |tx| tx.blob_keys(memory));
        let ours = ours.inspect_err(|error| tracing::error!(%error, "keys were not read"));
        let both = |key: &ContentKey| keys.contains(&key.commitment());
        let key = ours.ok()?.into_iter().find(both)?;
        match self.sync.0.desk.blobs().read(blob) {
            Ok(reader) => reader.map(|reader| (reader, key)),
            Err(error) => {
                tracing::error!(%error, "a blob was not served");
                None
            }
        }
    }

    /// Sends a part, chunk by chunk; false if it may not leave, or not any more.
    async fn send(&mut self, part: Part) -> Result<bool, Broken> {
        let (Some(reader), Some(key)) = (&self.reader, &self.key) else {
            return Ok(false);
        };
        let store = &self.sync.0.store;
        let device = self.stream.device;
        let passage = match tokio::task::block_in_place(|| review(store, device, part, key)) {
            Ok(Some(passage)) => passage,
            Ok(None) => return Ok(false),
            Err(error) => {
                tracing::error!(%error, "what would leave could not be written down");
                return Ok(false);
            }
        };
        for index in part.first..part.first + part.chunks {
            let chunk = tokio::task::block_in_place(|| reader.chunk(index));
            let chunk = match chunk {
                Ok(chunk) => chunk,
                Err(error) => {
                    tracing::error!(%error, "a blob was not served");
                    return Ok(false);
                }
            };
            self.sync.0.desk.pace.pass(chunk.len()).await;
            // After the wait: what waits is looked at again.
            let Some(cleared) = passage.clear(store, index, &chunk) else {
                tracing::info!("an attachment was held back: it is not shared any more");
                return Ok(false);
            };
            let written = write(&mut self.stream.stream, &cleared.into_inner()).await?;
            self.count(written);
        }
        Ok(true)
    }

    fn count(&self, bytes: usize) {
        let device = self.stream.device;
        let person = self
            .sync
            .0
            .store
            .read(|state| state.authority.person_of(&device));
        if let Some(person) = person {
            let party = self.sync.party(person, device);
            self.sync.count(party, 0, bytes as u64);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strangers_do_not_take_the_places_of_those_who_are_known() {
        let mut at_work = AtWork::default();
        let device = |n: u8| DeviceId([n; 32]);
        let strangers = (0..100)
            .filter(|n| at_work.enter(device(*n), false))
            .count();
        assert_eq!(strangers, STRANGERS_MAX);
        let own = (0..100)
            .filter(|_| at_work.enter(device(200), true))
            .count();
        assert_eq!(own, BLOB_STREAMS_PER_DEVICE_MAX);
        let known = (100..200)
            .filter(|n| at_work.enter(device(*n), true))
            .count();
        assert_eq!(known + own, BLOB_STREAMS_MAX);
        at_work.leave(device(200), true);
        assert!(at_work.enter(device(200), true) && !at_work.enter(device(201), true));
    }
}
