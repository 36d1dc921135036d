//! Transactions that come together share a commit, and each is whole or not there.

use super::*;
use crate::kv::{Page, Scan, Stats, Verification};
use std::sync::Barrier;
use std::sync::atomic::{AtomicU64, AtomicUsize};
use std::thread;

/// Writers that stand at the door while the first one runs.
const OTHERS: usize = 6;

/// Counts the commits that reach the disk, and refuses them when told to.
#[derive(Debug)]
pub(super) struct Watched {
    inner: Arc<dyn Kv>,
    commits: AtomicUsize,
    pub(super) refuses: AtomicBool,
}

impl Kv for Watched {
    fn commit(&self, batch: Batch, durability: Durability) -> Result<(), KvError> {
        if self.refuses.load(Ordering::SeqCst) {
            return Err(KvError::Closed);
        }
        self.commits.fetch_add(1, Ordering::SeqCst);
        self.inner.commit(batch, durability)
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

pub(super) struct Scene {
    bench: Bench,
    pub(super) watched: Arc<Watched>,
    pub(super) store: Store,
    _folder: tempfile::TempDir,
}

impl Scene {
    pub(super) fn new() -> Self {
        let (bench, folder) = (Bench::new(1), tempfile::tempdir().unwrap());
        let rows = Sealed::new(Arc::new(MemoryStore::new()), &bench.master);
        let watched = Arc::new(Watched {
            inner: Arc::new(rows),
            commits: AtomicUsize::new(0),
            refuses: AtomicBool::new(false),
        });
        let kv: Arc<dyn Kv> = Arc::clone(&watched) as Arc<dyn Kv>;
        let store = Store::open(bench.parts(kv, &bench.master, folder.path()), NOW).unwrap();
        watched.commits.store(0, Ordering::SeqCst);
        Self {
            bench,
            watched,
            store,
            _folder: folder,
        }
    }

    pub(super) fn keep(&self, body: &str) -> Result<MemoryId, WriteError> {
        let mut content = Content::new(MemoryKind::Note, NOW);
        body.clone_into(&mut content.body);
        self.store
            .transact(NOW, |tx| tx.create(&content, &SidecarPatch::default()))
    }

    /// Lets `first` run while the others stand at the door; returns what became of them.
    fn together<T: Send>(
        &self,
        first: impl FnOnce(&mut Tx<'_>) -> Result<MemoryId, WriteError> + Send,
        other: impl Fn(usize) -> T + Sync,
    ) -> (Result<MemoryId, WriteError>, Vec<T>) {
        thread::scope(|scope| {
            let leader = scope.spawn(|| {
                self.store.transact(NOW, |tx| {
                    while self.store.writers.waiting() < OTHERS {
                        thread::yield_now();
                    }
                    first(tx)
                })
            });
            while !self.store.writers.is_open() {
                thread::yield_now();
            }
            let other = &other;
            let others: Vec<_> = (0..OTHERS)
                .map(|number| scope.spawn(move || other(number)))
                .collect();
            let others = others.into_iter().map(|other| other.join().unwrap());
            let others = others.collect();
            (leader.join().unwrap(), others)
        })
    }

    /// The memories in memory and in the rows, which have to be the same.
    fn memories(&self) -> usize {
        let rows = |keyspace| {
            let page = self.watched.scan(keyspace, &Scan::all()).unwrap();
            page.items.len()
        };
        let (known, head) = self.store.read(|state| (state.memories.len(), state.head));
        assert_eq!(rows(layout::FACTS), known);
        assert_eq!(u64::try_from(rows(layout::LOG)).unwrap(), head);
        known
    }
}

fn note(tx: &mut Tx<'_>) -> Result<MemoryId, WriteError> {
    let content = Content::new(MemoryKind::Note, NOW);
    tx.create(&content, &SidecarPatch::default())
}

#[test]
fn those_who_come_together_share_a_commit_and_all_are_there() {
    let scene = Scene::new();
    let (first, others) = scene.together(note, |number| scene.keep(&format!("harbour {number}")));
    assert!(first.is_ok() && others.iter().all(Result::is_ok));
    assert_eq!(scene.watched.commits.load(Ordering::SeqCst), 1);
    assert_eq!(scene.memories(), 1 + OTHERS);
    let query = TextQuery::parse("harbour");
    let request = SearchRequest {
        query: &query,
        vector: None,
        allowed: None,
        mode: SearchMode::Text,
        limit: 10,
        fusion: Fusion::default(),
    };
    let found = scene.store.search(Generation::BuiltIn, &request);
    assert_eq!(found.unwrap().len(), OTHERS);
}

#[test]
fn a_commit_that_fails_takes_everyone_back() {
    let scene = Scene::new();
    let kept = scene.keep("before").unwrap();
    scene.watched.refuses.store(true, Ordering::SeqCst);
    // One edits what was there, so that putting back in the wrong order would show.
    let edit = |number: usize| MemoryEdit {
        content: Edit {
            title: Some(format!("title {number}")),
            ..Edit::default()
        },
        ..MemoryEdit::default()
    };
    let (first, others) = scene.together(note, |number| {
        scene.store.transact(NOW, |tx| tx.edit(kept, &edit(number)))
    });
    assert!(first.is_err() && others.iter().all(Result::is_err));
    let before = scene
        .store
        .read(|state| state.memories[&kept].events().count());
    assert_eq!((scene.memories(), before), (1, 1));
    scene.watched.refuses.store(false, Ordering::SeqCst);
    scene.keep("after").unwrap();
    assert_eq!(scene.memories(), 2);
}

#[test]
fn one_that_fails_or_panics_does_not_disturb_the_others() {
    let scene = Scene::new();
    let unknown = MemoryId([9; 32]);
    let (first, others) = scene.together(note, |number| match number {
        0 => scene.store.transact(NOW, |tx| {
            note(tx)?;
            tx.edit(unknown, &MemoryEdit::default()).map(|_| ())
        }),
        1 => {
            let panics = std::panic::AssertUnwindSafe(|| {
                scene.store.transact::<(), WriteError>(NOW, |tx| {
                    note(tx)?;
                    panic!("a fault in a transaction")
                })
            });
            assert!(std::panic::catch_unwind(panics).is_err());
            Ok(())
        }
        _ => scene.keep("fine").map(|_| ()),
    });
    assert!(first.is_ok());
    assert_eq!(others.iter().filter(|other| other.is_err()).count(), 1);
    assert_eq!(scene.memories(), 1 + OTHERS - 2);
}

#[test]
fn a_leader_that_panics_leaves_the_door_open_for_the_next() {
    let scene = Scene::new();
    let panics = std::panic::AssertUnwindSafe(|| {
        scene.store.transact::<(), WriteError>(NOW, |tx| {
            note(tx)?;
            panic!("a fault in a transaction")
        })
    });
    assert!(std::panic::catch_unwind(panics).is_err());
    assert_eq!(scene.memories(), 0);
    scene.keep("after").unwrap();
    assert_eq!((scene.memories(), scene.bench.seed), (1, 1));
}

#[test]
fn a_rebuild_beside_writers_forgets_no_text() {
    const REBUILDS: usize = 3;
    const WRITTEN_MIN: u64 = 100;
    let bench = Bench::new(1);
    let (written, may_end) = (AtomicU64::new(0), AtomicBool::new(false));
    let rebuilt = thread::scope(|scope| {
        let writer = scope.spawn(|| {
            while !may_end.load(Ordering::SeqCst) {
                let number = written.load(Ordering::SeqCst);
                bench.create(&format!("a walk, number {number}"));
                written.store(number + 1, Ordering::SeqCst);
            }
        });
        // However quick the machine is, each of them begins and ends among writes.
        let wait_until = |count: u64| {
            while written.load(Ordering::SeqCst) < count && !writer.is_finished() {
                thread::yield_now();
            }
        };
        let rebuilt = [(); REBUILDS].map(|()| {
            wait_until(written.load(Ordering::SeqCst) + WRITTEN_MIN);
            bench.store().rebuild(NOW)
        });
        wait_until(written.load(Ordering::SeqCst) + 1);
        may_end.store(true, Ordering::SeqCst);
        rebuilt
    });
    assert!(rebuilt.iter().all(Result::is_ok), "{rebuilt:?}");
    bench.find("walk");
    assert_eq!(bench.store().text.len(), written.into_inner());
}

#[test]
fn whoever_would_wait_for_a_writer_is_told() {
    let bench = Bench::new(1);
    let (began, may_end) = (Barrier::new(2), Barrier::new(2));
    thread::scope(|scope| {
        scope.spawn(|| {
            let transaction = bench.store().transact::<_, StoreError>(NOW, |_| {
                began.wait();
                may_end.wait();
                Ok(())
            });
            transaction.unwrap();
        });
        began.wait();
        let is_busy = bench.store().is_busy();
        may_end.wait();
        assert!(is_busy);
    });
    assert!(!bench.store().is_busy());
    let memory = bench.create("a walk");
    assert!(!bench.store().is_busy(), "it is found without a commit");
    bench.find("walk");
    bench.store().flush().unwrap();
    let title = Some("changed".to_owned());
    bench.change(
        memory,
        Edit {
            title,
            ..Edit::default()
        },
    );
    assert!(bench.store().is_busy(), "the next search commits first");
    bench.find("walk");
    assert!(!bench.store().is_busy());
}
