//! Tests of group commit: every caller gets its own answer.

use std::sync::Barrier;

use super::*;
use crate::kv::Op;
use crate::kv::memory::MemoryStore;

const SPACE: Keyspace = Keyspace("rows");

/// A store that records the sizes of commits and can be held at the next one.
#[derive(Debug)]
struct Gate {
    inner: MemoryStore,
    groups: Mutex<Vec<(usize, Durability)>>,
    hold: Mutex<Option<Arc<Barrier>>>,
    fail: Mutex<Option<KvError>>,
}

impl Gate {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            inner: MemoryStore::new(),
            groups: Mutex::default(),
            hold: Mutex::default(),
            fail: Mutex::default(),
        })
    }
}

impl Kv for Gate {
    fn commit(&self, batch: Batch, durability: Durability) -> Result<(), KvError> {
        let hold = self.hold.lock().unwrap().take();
        if let Some(barrier) = hold {
            barrier.wait();
            barrier.wait();
        }
        self.groups
            .lock()
            .unwrap()
            .push((batch.ops.len(), durability));
        match self.fail.lock().unwrap().clone() {
            Some(error) => Err(error),
            None => self.inner.commit(batch, durability),
        }
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
        self.inner.health()
    }
    fn verify(&self, keyspaces: &[Keyspace]) -> Result<Verification, KvError> {
        self.inner.verify(keyspaces)
    }
    fn stats(&self) -> Result<Stats, KvError> {
        self.inner.stats()
    }
    fn close(&self) -> Result<(), KvError> {
        self.inner.close()
    }
}

fn row(n: u32) -> Batch {
    Batch {
        ops: vec![Op::Put {
            keyspace: SPACE,
            key: n.to_be_bytes().to_vec(),
            value: vec![1],
        }],
    }
}

/// Queues a batch without waiting for its answer.
fn queue(group: &GroupCommit, n: u32, durability: Durability) -> Receiver<Result<(), KvError>> {
    let (reply, answer) = sync_channel(1);
    let request = Request {
        batch: row(n),
        durability,
        reply,
    };
    let sender = group.writer().as_ref().unwrap().queue.clone();
    sender.send(request).unwrap();
    answer
}

/// Holds the writer at one commit while others queue up, then lets it go.
fn held(gate: &Arc<Gate>, group: &GroupCommit, durabilities: &[Durability]) -> Vec<bool> {
    let barrier = Arc::new(Barrier::new(2));
    *gate.hold.lock().unwrap() = Some(Arc::clone(&barrier));
    let mut answers = vec![queue(group, 0, Durability::Durable)];
    barrier.wait();
    for (n, durability) in (1..).zip(durabilities) {
        answers.push(queue(group, n, *durability));
    }
    barrier.wait();
    answers
        .iter()
        .map(|answer| answer.recv().unwrap().is_ok())
        .collect()
}

#[test]
fn what_queues_during_a_commit_shares_the_next_one() {
    let gate = Gate::new();
    let group = GroupCommit::new(Arc::<Gate>::clone(&gate)).unwrap();
    let mut waiting = vec![Durability::Relaxed; 9];
    waiting.push(Durability::Durable);
    assert!(held(&gate, &group, &waiting).iter().all(|ok| *ok));
    let groups = gate.groups.lock().unwrap().clone();
    assert_eq!(
        groups,
        [(1, Durability::Durable), (10, Durability::Durable)]
    );
}

#[test]
fn a_group_is_bounded() {
    let gate = Gate::new();
    let group = GroupCommit::new(Arc::<Gate>::clone(&gate)).unwrap();
    held(&gate, &group, &[Durability::Durable; GROUP_BATCHES_MAX + 5]);
    let sizes: Vec<_> = gate
        .groups
        .lock()
        .unwrap()
        .iter()
        .map(|(n, _)| *n)
        .collect();
    assert_eq!(sizes, [1, GROUP_BATCHES_MAX, 5]);
}

#[test]
fn a_failed_group_is_answered_to_every_caller() {
    let gate = Gate::new();
    let group = GroupCommit::new(Arc::<Gate>::clone(&gate)).unwrap();
    *gate.fail.lock().unwrap() = Some(KvError::DiskFull);
    let answers = held(&gate, &group, &[Durability::Durable; 3]);
    assert_eq!(answers, [false; 4]);
    *gate.fail.lock().unwrap() = None;
    group.commit(row(9), Durability::Durable).unwrap();
}

#[test]
fn closing_answers_what_is_queued() {
    let gate = Gate::new();
    let group = GroupCommit::new(Arc::<Gate>::clone(&gate)).unwrap();
    let barrier = Arc::new(Barrier::new(2));
    *gate.hold.lock().unwrap() = Some(Arc::clone(&barrier));
    let first = queue(&group, 0, Durability::Durable);
    barrier.wait();
    let second = queue(&group, 1, Durability::Durable);
    thread::scope(|scope| {
        let closing = scope.spawn(|| group.close());
        barrier.wait();
        closing.join().unwrap().unwrap();
    });
    assert!(first.recv().unwrap().is_ok());
    assert!(second.recv().unwrap().is_ok());
}

#[test]
fn many_threads_each_find_their_row() {
    let group = GroupCommit::new(Arc::new(MemoryStore::new())).unwrap();
    thread::scope(|scope| {
        for n in 0..16_u32 {
            let group = &group;
            scope.spawn(move || {
                for i in 0..50 {
                    let n = n * 50 + i;
                    group.commit(row(n), Durability::Durable).unwrap();
                    assert!(group.get(SPACE, &n.to_be_bytes()).unwrap().is_some());
                }
            });
        }
    });
    assert_eq!(group.stats().unwrap().rows["rows"], 800);
}
