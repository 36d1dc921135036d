//! The power is cut at every write of what follows a revocation: all of it is there, or nothing.

use super::*;
use crate::kv::disk::DiskStore;
use crate::kv::faulty::FaultyDisk;
use crdt::event::body::Outcome;
use crdt::grant::History;

/// Cuts tried at most; each transaction writes far fewer times.
const CUTS_MAX: u64 = 300;
const WORD: &str = "harbour";

/// A receiver on a disk that fails, and whoever shares with them.
struct Scene {
    owner: Bench,
    /// Lends its keys and its identity; its own store is not used.
    receiver: Bench,
    disk: FaultyDisk,
    grant: GrantId,
    memories: Vec<MemoryId>,
}

impl Scene {
    fn new() -> Self {
        let (owner, receiver) = (Bench::new(1), Bench::new(2));
        let disk = FaultyDisk::new(7);
        let folder = tempfile::tempdir().unwrap();
        owner.pair(&receiver);
        let memories: Vec<MemoryId> = (0..3)
            .map(|_| {
                owner.keep(|content| {
                    WORD.clone_into(&mut content.body);
                    content.tags = ["t".to_owned()].into();
                })
            })
            .collect();
        let grant = offer(&owner, receiver.me());
        let store = Self::open(&receiver, &disk, folder.path()).unwrap();
        store
            .transact::<_, StoreError>(NOW, |tx| {
                tx.pair(&owner.owner().certificate, "friend", Vec::new());
                Ok(())
            })
            .unwrap();
        let mut scene = Self {
            owner,
            receiver,
            disk,
            grant,
            memories,
        };
        scene.take(&store).unwrap();
        store.transact(NOW, |tx| tx.answer(grant, true)).unwrap();
        let answer = store.consent_beyond(scene.owner.me(), &Frontier::new());
        let (from, answer) = (scene.receiver.me(), answer.unwrap());
        let heard = scene
            .owner
            .store()
            .transact::<_, StoreError>(NOW, |tx| tx.take_consent(from, &answer));
        assert_eq!(heard.unwrap().refused, []);
        for memory in scene.memories.clone() {
            let (to, root) = (scene.receiver.me(), [EventId(memory.0)]);
            let given = scene
                .owner
                .store()
                .transact(NOW, |tx| tx.disclose(to, &root, &[(grant, memory)]))
                .unwrap();
            for given in given.memories {
                let events: Vec<Vec<u8>> =
                    given.events.into_iter().map(|(_, bytes)| bytes).collect();
                let from = scene.owner.me();
                let taken = store.transact::<_, StoreError>(NOW, |tx| {
                    tx.take_content(from, &events, &given.keys)
                });
                assert_eq!(taken.unwrap().stored, 1);
            }
        }
        store.close().unwrap();
        drop(store);
        scene.disk = scene.disk.copy();
        scene
    }
    fn open(identity: &Bench, disk: &FaultyDisk, text: &Path) -> Result<Store, StoreError> {
        let inner = DiskStore::with_medium(disk.clone())?;
        let kv = Arc::new(Sealed::new(Arc::new(inner), &identity.master));
        Store::open(identity.parts(kv, &identity.master, text), NOW)
    }
    /// Takes in what the owner has said so far.
    fn take(&self, store: &Store) -> Result<crate::tx::Taken, StoreError> {
        let events = self
            .owner
            .store()
            .consent_beyond(self.receiver.me(), &Frontier::new());
        let (from, events) = (self.owner.me(), events.unwrap());
        store.transact(NOW, |tx| tx.take_consent(from, &events))
    }

    /// Cuts the power at each write of `act` in turn. `is_done` says from the log whether it
    /// happened; how many copies then are gone is told by `gone`.
    fn cut_everywhere(
        &self,
        act: &dyn Fn(&Store) -> bool,
        is_done: &dyn Fn(&State) -> bool,
        gone: usize,
    ) {
        let (mut nothing, mut everything) = (0, 0);
        for cut in 0..CUTS_MAX {
            let (disk, folder) = (self.disk.copy(), tempfile::tempdir().unwrap());
            let store = Self::open(&self.receiver, &disk, folder.path()).unwrap();
            store.flush().unwrap();
            disk.cut_power_in(cut);
            let acknowledged = act(&store);
            drop(store);
            disk.restore_power();
            let store = Self::open(&self.receiver, &disk, folder.path()).unwrap();
            let done = store.read(|state| is_done(state));
            assert!(done || !acknowledged, "cut {cut}: acknowledged and lost");
            self.check(&store, cut, if done { gone } else { 0 });
            (nothing, everything) = (nothing + u32::from(!done), everything + u32::from(done));
            if acknowledged {
                assert!(
                    nothing > 3,
                    "cuts come too late to show anything: {nothing}"
                );
                return;
            }
        }
        panic!("it was never acknowledged; {everything} times it was whole");
    }
    fn check(&self, store: &Store, cut: u64, gone: usize) {
        let mut left = 0;
        for memory in &self.memories {
            let content = store.content(*memory).unwrap();
            let key = store
                .transact::<_, StoreError>(NOW, |tx| {
                    tx.holds_key(*memory, crdt::envelope::Epoch(0))
                })
                .unwrap();
            let (purged, member) = store.read(|state| {
                let purged = state.memories[memory].purged;
                (purged, state.members.contains_key(memory))
            });
            let is_here = content.is_some();
            assert_eq!(
                (key, member, purged),
                (is_here, is_here, !is_here),
                "cut {cut}"
            );
            left += usize::from(is_here);
        }
        assert_eq!(self.memories.len() - left, gone, "cut {cut}: in part");
        let query = TextQuery::parse(WORD);
        let request = SearchRequest {
            query: &query,
            vector: None,
            allowed: None,
            mode: SearchMode::Text,
            limit: 10,
            fusion: Fusion::default(),
        };
        assert_eq!(
            store.search(Generation::BuiltIn, &request).unwrap().len(),
            left,
            "cut {cut}"
        );
    }
}

/// Offers everything tagged `t`.
fn offer(owner: &Bench, to: PersonId) -> GrantId {
    let terms = Terms {
        access: Access::Write,
        expires: None,
        purpose: String::new(),
        reshare: false,
        history: History::Full,
        lease_ms: None,
    };
    let selector = "tag:t".to_owned();
    let offered = owner
        .store()
        .transact(NOW, |tx| tx.offer(to, selector, terms));
    offered.unwrap()
}

#[test]
fn a_revocation_with_a_purge_is_followed_whole_or_not_at_all() {
    let scene = Scene::new();
    let grant = scene.grant;
    let revoked = scene
        .owner
        .store()
        .transact(NOW, |tx| tx.revoke_and_purge(grant, String::new()));
    revoked.unwrap();
    let device = scene.receiver.owner().device.id();
    let is_done = |state: &State| {
        let grant = state.authority.grant(grant).unwrap();
        let receipt = grant.aftermath.receipt(&device);
        let complied = receipt.is_some_and(|(_, receipt)| receipt.outcome == Outcome::Complied);
        assert_eq!(grant.revoked.is_some(), complied, "one without the other");
        complied
    };
    let act = |store: &Store| scene.take(store).is_ok_and(|taken| taken.stored > 0);
    scene.cut_everywhere(&act, &is_done, 3);
}

#[test]
fn giving_back_is_whole_or_not_at_all() {
    let scene = Scene::new();
    let (grant, memory) = (scene.grant, scene.memories[1]);
    let is_done = |state: &State| {
        let grant = state.authority.grant(grant).unwrap();
        grant.aftermath.has_returned(memory)
    };
    let act = |store: &Store| store.transact(NOW, |tx| tx.give_back(memory)).is_ok();
    scene.cut_everywhere(&act, &is_done, 1);
}

#[test]
fn what_a_failed_fsync_left_behind_is_seen_at_the_next_write() {
    let (bench, content) = (Bench::new(1), Content::new(MemoryKind::Note, NOW));
    let mut ghosts = 0;
    for seed in 0..12 {
        let (disk, folder) = (FaultyDisk::new(seed), tempfile::tempdir().unwrap());
        let open = || Scene::open(&bench, &disk, folder.path()).unwrap();
        let known = |store: &Store| store.read(|state| (state.head, state.memories.len()));
        let store = open();
        disk.fail_sync_in(seed % 3);
        let keep = || {
            let write = |tx: &mut Tx<'_>| tx.create(&content, &SidecarPatch::default());
            store.transact::<_, WriteError>(NOW, write).is_ok()
        };
        let kept = (0..5).filter(|_| keep()).count();
        let before = known(&store);
        drop(store);
        assert_eq!(before, known(&open()), "seed {seed}");
        ghosts += before.1 - kept;
    }
    assert!(
        ghosts > 0,
        "every failed commit was lost: nothing was shown"
    );
}

#[test]
fn a_copy_that_is_put_back_writes_as_another_writer() {
    let bench = Bench::new(1);
    let folders = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let disk = FaultyDisk::new(1);
    drop(Scene::open(&bench, &disk, folders[0].path()).unwrap());
    let disks = [disk.copy(), disk];
    let writers = [0, 1].map(|which| {
        let store = Scene::open(&bench, &disks[which], folders[which].path()).unwrap();
        let content = Content::new(MemoryKind::Note, NOW);
        let write = |tx: &mut Tx<'_>| tx.create(&content, &SidecarPatch::default());
        let memory = store.transact::<_, WriteError>(NOW, write).unwrap();
        let event = store.event(EventId(memory.0)).unwrap().unwrap();
        event.header().incarnation
    });
    assert_ne!(writers[0], writers[1]);
}
