//! Writers: transactions that come at the same time share one durable commit.
//!
//! Waiting for the disk takes a hundred times as long as a small transaction. So the first writer
//! leads: it takes the state, runs its own transaction, lets those that are at the door run theirs
//! one after the other on top, and commits what all of them staged as one batch. Those who come
//! while it waits for the disk make up the next group; a lone writer waits for nobody.
//!
//! ```text
//! leader:   take the state -> own transaction -> [door open: others run theirs] -> commit -> put
//!           the state back -> tell the others
//! follower: own transaction on the leader's state -> wait for the leader's word
//! ```
//!
//! Invariant: nobody reads a state that is not committed, for the lock on the state is the leader's
//! until the commit is done; and a commit that fails takes every transaction of the group back, the
//! last one first.

use super::state::State;
use super::{Store, StoreError};
use crate::kv::overlay::{Overlay, STAGED_BYTES_MAX, Staged};
use crate::kv::{Durability, KvError};
use crate::projection::text::TextError;
use crate::tx::{Done, Tx};
use crdt::id::MemoryId;
use crdt::memory::Content;
use crdt::time::Timestamp;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError, RwLockWriteGuard};
use std::time::{Duration, Instant};

/// Most transactions of one group.
const GROUP_MAX: usize = 256;

/// Who writes.
#[derive(Debug, Default)]
pub(super) struct Writers {
    /// Writers that came and did not begin yet.
    coming: AtomicUsize,
    group: Mutex<Group>,
    /// Tells that a transaction began, or that a group is over.
    moved: Condvar,
    spent: Spent,
}

/// What groups took since the store was opened.
#[derive(Debug, Default)]
struct Spent {
    busy_us: AtomicU64,
    transactions: AtomicU64,
    committed: AtomicU64,
    failed: AtomicU64,
}

/// How busy the store is with writing: one group of transactions at a time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct WriteLoad {
    /// Writers that wait for their turn right now.
    pub waiting: usize,
    /// How long somebody wrote, since the store was opened.
    pub busy: Duration,
    /// Transactions in groups that were committed.
    pub transactions: u64,
    /// Groups that were committed, each with one wait for the disk.
    pub committed: u64,
    /// Groups whose commit failed.
    pub failed: u64,
}

/// The transactions that are committed together.
#[derive(Debug, Default)]
struct Group {
    phase: Phase,
    /// The state, while the door is open.
    state: Option<State>,
    staged: Mutex<Staged>,
    done: Vec<Done>,
    outcome: Arc<Outcome>,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Nobody writes.
    #[default]
    Idle,
    /// Others may join.
    Open,
    /// What was staged is on its way to the disk.
    Closed,
}

/// How the commit of a group ended.
type Outcome = OnceLock<Result<(), Failed>>;

/// Why the commit of a group failed, for everyone in it.
#[derive(Debug, Clone)]
enum Failed {
    Kv(KvError),
    Text(String),
    /// The leader panicked.
    Alone,
}

impl From<Failed> for StoreError {
    fn from(failed: Failed) -> Self {
        match failed {
            Failed::Kv(error) => error.into(),
            Failed::Text(why) => TextError::Folder(std::io::Error::other(why)).into(),
            Failed::Alone => KvError::Closed.into(),
        }
    }
}

impl Writers {
    fn lock(&self) -> MutexGuard<'_, Group> {
        // A transaction that panics puts the state back as it unwinds, so the group is whole.
        self.group.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, group: MutexGuard<'a, Group>) -> MutexGuard<'a, Group> {
        self.moved
            .wait(group)
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns how many came and did not begin yet.
    pub(super) fn waiting(&self) -> usize {
        self.coming.load(Ordering::Acquire)
    }

    /// Tells whether a transaction is under way that others may join.
    #[cfg(test)]
    pub(super) fn is_open(&self) -> bool {
        match self.group.try_lock() {
            Ok(group) => group.phase == Phase::Open,
            // Whoever runs a transaction has the lock.
            Err(_) => true,
        }
    }

    /// Notes a group that is over.
    fn note(&self, began: Instant, transactions: usize, is_committed: bool) {
        let spent = &self.spent;
        let busy = u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX);
        spent.busy_us.fetch_add(busy, Ordering::Relaxed);
        if is_committed {
            let transactions = transactions as u64;
            spent
                .transactions
                .fetch_add(transactions, Ordering::Relaxed);
            spent.committed.fetch_add(1, Ordering::Relaxed);
        } else {
            spent.failed.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Takes a writer's place in the group, so that the leader waits for one less.
    fn begin(&self) {
        self.coming.fetch_sub(1, Ordering::AcqRel);
        self.moved.notify_all();
    }
}

impl Group {
    fn has_room(&self) -> bool {
        let staged = self.staged.lock().unwrap_or_else(PoisonError::into_inner);
        self.done.len() < GROUP_MAX && staged.bytes() < STAGED_BYTES_MAX
    }
}

/// The leader of a group: whatever happens, the state is put back and the others are told.
struct Leader<'a> {
    writers: &'a Writers,
    shared: RwLockWriteGuard<'a, State>,
    outcome: Arc<Outcome>,
}

impl Drop for Leader<'_> {
    fn drop(&mut self) {
        let mut group = self.writers.lock();
        if let Some(mut state) = group.state.take() {
            // Only after a panic: what was staged is forgotten.
            take_back(&mut state, std::mem::take(&mut group.done));
            *self.shared = state;
        }
        group.staged = Mutex::default();
        group.done.clear();
        group.phase = Phase::Idle;
        // It is set already unless the leader panicked.
        let _known = self.outcome.set(Err(Failed::Alone));
        drop(group);
        self.writers.moved.notify_all();
    }
}

/// Takes transactions back, the last one first.
fn take_back(state: &mut State, done: Vec<Done>) {
    for done in done.into_iter().rev() {
        done.take_back(state);
    }
}

impl Store {
    /// Returns how busy the store is with writing.
    pub fn write_load(&self) -> WriteLoad {
        let (writers, spent) = (&self.writers, &self.writers.spent);
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        WriteLoad {
            waiting: writers.waiting(),
            busy: Duration::from_micros(read(&spent.busy_us)),
            transactions: read(&spent.transactions),
            committed: read(&spent.committed),
            failed: read(&spent.failed),
        }
    }

    /// Runs a transaction, alone or with those that come at the same time.
    pub(super) fn run<T, E: From<StoreError>>(
        &self,
        now: Timestamp,
        durability: Durability,
        f: impl FnOnce(&mut Tx<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        let writers = &self.writers;
        writers.coming.fetch_add(1, Ordering::AcqRel);
        let mut group = writers.lock();
        while group.phase == Phase::Closed || (group.phase == Phase::Open && !group.has_room()) {
            group = writers.wait(group);
        }
        writers.begin();
        if group.phase == Phase::Idle {
            return self.lead(group, now, durability, f);
        }
        let outcome = Arc::clone(&group.outcome);
        let value = self.take_part(&mut group, now, durability, f)?;
        loop {
            match outcome.get() {
                None => group = writers.wait(group),
                Some(Ok(())) => return Ok(value),
                Some(Err(failed)) => return Err(StoreError::from(failed.clone()).into()),
            }
        }
    }

    fn lead<T, E: From<StoreError>>(
        &self,
        mut group: MutexGuard<'_, Group>,
        now: Timestamp,
        durability: Durability,
        f: impl FnOnce(&mut Tx<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        self.look_again(now).map_err(E::from)?;
        let writers = &self.writers;
        let outcome = Arc::new(Outcome::new());
        let mut shared = self.state.write().unwrap_or_else(PoisonError::into_inner);
        let began = Instant::now();
        let hollow = shared.hollow();
        group.state = Some(std::mem::replace(&mut *shared, hollow));
        group.outcome = Arc::clone(&outcome);
        group.phase = Phase::Open;
        // It locks the group when it is dropped, so the lock below has to go first.
        let mut leader = Leader {
            writers,
            shared,
            outcome,
        };
        let mut group = group;
        let value = self.take_part(&mut group, now, durability, f);
        while writers.coming.load(Ordering::Acquire) > 0 && group.has_room() {
            group = writers.wait(group);
        }
        group.phase = Phase::Closed;
        let staged = std::mem::take(&mut group.staged);
        let (state, done) = (group.state.take(), std::mem::take(&mut group.done));
        drop(group);
        let Some(mut state) = state else {
            return value;
        };
        let transactions = done.len();
        let committed = self.commit(&mut state, staged, done);
        *leader.shared = state;
        writers.note(began, transactions, committed.is_ok());
        let told = committed.as_ref().copied().map_err(|error| match error {
            StoreError::Kv(error) => Failed::Kv(error.clone()),
            other => Failed::Text(other.to_string()),
        });
        let _first = leader.outcome.set(told);
        drop(leader);
        let value = value?;
        committed.map_err(E::from)?;
        Ok(value)
    }

    /// Runs one transaction of the group.
    fn take_part<T, E: From<StoreError>>(
        &self,
        group: &mut Group,
        now: Timestamp,
        durability: Durability,
        f: impl FnOnce(&mut Tx<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        let Some(state) = group.state.as_mut() else {
            return Err(StoreError::from(KvError::Closed).into());
        };
        let rows = Overlay::new(&*self.kv, &group.staged);
        let (head, by) = (state.head, (&self.owner, &self.entropy));
        let mut tx = Tx::new(state, &rows, &self.opaque, by, now);
        let value = match f(&mut tx) {
            Ok(value) => value,
            Err(error) => {
                let broken = tx.take_broken();
                drop(tx);
                if let Some((memory, reason)) = broken {
                    let mut tx = Tx::new(state, &rows, &self.opaque, by, now);
                    tx.quarantine(memory, reason);
                    match tx.commit(Durability::Durable) {
                        Ok(done) => group.done.push(done),
                        // The next who needs the document finds it again.
                        Err(error) => tracing::warn!(%error, "a quarantine was not noted"),
                    }
                }
                return Err(error);
            }
        };
        let durability = if tx.state().head == head {
            durability
        } else {
            Durability::Durable
        };
        group.done.push(tx.commit(durability).map_err(E::from)?);
        Ok(value)
    }

    /// Commits what a group staged and tells the text index; or takes all of it back.
    fn commit(
        &self,
        state: &mut State,
        staged: Mutex<Staged>,
        done: Vec<Done>,
    ) -> Result<(), StoreError> {
        let mut staged = staged.into_inner().unwrap_or_else(PoisonError::into_inner);
        let (batch, durability) = staged.take();
        if !batch.is_empty()
            && let Err(error) = self.kv.commit(batch, durability)
        {
            self.is_suspect.store(true, Ordering::Release);
            take_back(state, done);
            return Err(error.into());
        }
        let mut touched: BTreeMap<MemoryId, Option<Content>> = BTreeMap::new();
        for done in done {
            touched.extend(done.touched);
        }
        // Under the lock, so that the index takes commits in their order.
        self.index_touched(touched, state, state.head)
    }
}
