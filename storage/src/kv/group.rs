//! Group commit: many small commits share one fsync.
//!
//! It is a decorator, not an engine, and reads pass straight through. One thread takes whatever
//! batches wait, commits them as one, and answers each caller once the group is as durable as
//! its most demanding member. While one group is being synced the next one gathers, so there is
//! no fixed delay and a lone writer never waits for company; only after a group of several does
//! the thread linger briefly for the same callers to return.
//!
//! Invariant: a caller gets its answer after its batch was committed or refused, and batches
//! are applied in the order in which they entered the queue.

use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::{
    BATCH_BYTES_MAX, Batch, Durability, Health, Keyspace, Kv, KvError, Page, Scan, Stats,
    Verification,
};

/// Most batches committed as one: beyond this the shared fsync is already cheap per batch.
pub const GROUP_BATCHES_MAX: usize = 256;
/// Longest wait for callers of the previous group to come back with their next batch.
pub const LINGER_MAX: Duration = Duration::from_millis(2);
/// Batches that may wait; beyond this a committing caller blocks.
const QUEUE_MAX: usize = 1024;

/// Commits on behalf of many callers.
#[derive(Debug)]
pub struct GroupCommit {
    inner: Arc<dyn Kv>,
    writer: Mutex<Option<Writer>>,
}

#[derive(Debug)]
struct Writer {
    queue: SyncSender<Request>,
    thread: JoinHandle<()>,
}

#[derive(Debug)]
struct Request {
    batch: Batch,
    durability: Durability,
    reply: SyncSender<Result<(), KvError>>,
}

impl GroupCommit {
    /// Starts the writer thread over a store.
    pub fn new(inner: Arc<dyn Kv>) -> Result<Self, KvError> {
        let (queue, requests) = sync_channel(QUEUE_MAX);
        let store = Arc::clone(&inner);
        let thread = thread::Builder::new()
            .name("kv-writer".to_owned())
            .spawn(move || run(store.as_ref(), &requests))?;
        Ok(Self {
            inner,
            writer: Mutex::new(Some(Writer { queue, thread })),
        })
    }

    fn writer(&self) -> MutexGuard<'_, Option<Writer>> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets the thread finish what is queued and joins it.
    fn stop(&self) {
        let Some(writer) = self.writer().take() else {
            return;
        };
        drop(writer.queue);
        if writer.thread.join().is_err() {
            tracing::error!("writer thread panicked");
        }
    }
}

impl Drop for GroupCommit {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Kv for GroupCommit {
    fn commit(&self, batch: Batch, durability: Durability) -> Result<(), KvError> {
        // Refused here, so that one bad batch does not fail the group it would have joined.
        batch.check()?;
        let queue = match self.writer().as_ref() {
            Some(writer) => writer.queue.clone(),
            None => return Err(KvError::Closed),
        };
        let (reply, answer) = sync_channel(1);
        let request = Request {
            batch,
            durability,
            reply,
        };
        if queue.send(request).is_err() {
            return Err(KvError::Closed);
        }
        drop(queue);
        answer.recv().unwrap_or(Err(KvError::Closed))
    }

    fn get(&self, keyspace: Keyspace, key: &[u8]) -> Result<Option<Vec<u8>>, KvError> {
        self.inner.get(keyspace, key)
    }

    fn get_many(
        &self,
        keyspace: Keyspace,
        keys: &[Vec<u8>],
    ) -> Result<Vec<Option<Vec<u8>>>, KvError> {
        self.inner.get_many(keyspace, keys)
    }

    fn scan(&self, keyspace: Keyspace, scan: &Scan) -> Result<Page, KvError> {
        self.inner.scan(keyspace, scan)
    }

    fn health(&self) -> Health {
        if self.writer().is_none() {
            return Health::Closed;
        }
        self.inner.health()
    }

    fn verify(&self, keyspaces: &[Keyspace]) -> Result<Verification, KvError> {
        self.inner.verify(keyspaces)
    }

    fn stats(&self) -> Result<Stats, KvError> {
        self.inner.stats()
    }

    fn close(&self) -> Result<(), KvError> {
        self.stop();
        self.inner.close()
    }
}

/// Commits group after group until every sender is gone and the queue is empty.
fn run(store: &dyn Kv, requests: &Receiver<Request>) {
    let mut previous = 1;
    let mut left_over = None;
    while let Some(first) = left_over.take().or_else(|| requests.recv().ok()) {
        let mut group = Group::new(first);
        let deadline = Instant::now() + LINGER_MAX;
        while group.replies.len() < GROUP_BATCHES_MAX {
            let wait = if group.replies.len() < previous {
                deadline.saturating_duration_since(Instant::now())
            } else {
                Duration::ZERO
            };
            match requests.recv_timeout(wait) {
                Ok(request) if group.has_room(&request) => group.add(request),
                Ok(request) => {
                    left_over = Some(request);
                    break;
                }
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => break,
            }
        }
        previous = group.replies.len();
        group.commit(store);
    }
}

/// The batches of one commit.
struct Group {
    batch: Batch,
    bytes: usize,
    durability: Durability,
    replies: Vec<SyncSender<Result<(), KvError>>>,
}

impl Group {
    fn new(first: Request) -> Self {
        Self {
            bytes: first.batch.bytes(),
            batch: first.batch,
            durability: first.durability,
            replies: vec![first.reply],
        }
    }

    fn has_room(&self, request: &Request) -> bool {
        self.bytes + request.batch.bytes() <= BATCH_BYTES_MAX
    }

    fn add(&mut self, request: Request) {
        self.bytes += request.batch.bytes();
        self.durability = self.durability.max(request.durability);
        self.batch.append(request.batch);
        self.replies.push(request.reply);
    }

    fn commit(self, store: &dyn Kv) {
        let done = store.commit(self.batch, self.durability);
        for reply in self.replies {
            if reply.send(done.clone()).is_err() {
                // The caller's thread is gone; its batch is committed all the same.
                tracing::debug!("nobody waits for a commit");
            }
        }
    }
}

#[cfg(test)]
mod tests;
