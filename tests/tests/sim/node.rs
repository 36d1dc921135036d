//! A node without a network: a person, a device and a store, in memory or on a disk that fails.
//!
//! A node in memory draws from the system; one on a failing disk draws everything from its seed.

use crate::guard::LineGuard;
use crdt::codec::Canonical as _;
use crdt::grant::{Access, Terms};
use crdt::id::{EventId, GrantId, MemoryId, PersonId};
use crdt::identity::{DeviceCertificate, DeviceKey, PersonKey};
use crdt::memory::{Content, Edit, MemoryKind};
use crdt::sidecar::SidecarPatch;
use crdt::time::{Hybrid, Timestamp};
use protocol::view::{Item, View, given_id, membership_id};
use protocol::wire::{VERSION_MAX, VERSION_MIN};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use storage::cipher::MasterKey;
use storage::entropy::{Entropy, Source};
use storage::kv::disk::DiskStore;
use storage::kv::faulty::FaultyDisk;
use storage::kv::memory::{MemoryDisk, MemoryStore};
use storage::kv::sealed::Sealed;
use storage::kv::{Batch, Durability, Item as Row, Keyspace, Kv, KvError, Scan};
use storage::records::Facts;
use storage::store::state::Sources;
use storage::store::{Owner, Parts, Store, StoreError};
use storage::tx::{EditOutcome, MemoryEdit, ReleaseError, ShareError, Tx, WriteError};

/// The keyspaces of a store.
const KEYSPACES: [&str; 24] = [
    "log",
    "event",
    "feed",
    "consent",
    "key",
    "member",
    "scope",
    "facts",
    "content",
    "document",
    "vector",
    "chosen vector",
    "ledger",
    "tree",
    "line",
    "witness",
    "echo",
    "peer",
    "invite",
    "tray",
    "late",
    "fork",
    "quarantine",
    "meta",
];

/// What an item of a view stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reference {
    Event(EventId),
    Member(GrantId, MemoryId),
}

/// What a store lies on.
enum Disk {
    Memory(MemoryDisk),
    Faulty(FaultyDisk),
}

impl Disk {
    fn store(&self) -> Result<Arc<dyn Kv>, KvError> {
        Ok(match self {
            Self::Memory(disk) => Arc::new(MemoryStore::open(disk)?),
            Self::Faulty(disk) => Arc::new(DiskStore::with_medium(disk.clone())?),
        })
    }
}

/// Random bytes from a seed.
#[derive(Debug)]
struct Seeded(Mutex<crdt::testing::Entropy>);

impl Source for Seeded {
    fn fill(&self, bytes: &mut [u8]) -> std::io::Result<()> {
        let mut stream = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        stream.fill(bytes);
        Ok(())
    }
}

/// Draws everything from a seed.
fn seeded(seed: u64) -> Entropy {
    let stream = crdt::testing::Entropy::new(seed);
    Entropy::from_source(Arc::new(Seeded(Mutex::new(stream))))
}

/// Returns the first bytes that are drawn from a seed.
fn bytes_of(seed: u64) -> [u8; 32] {
    let mut bytes = [0; 32];
    crdt::testing::Entropy::new(seed).fill(&mut bytes);
    bytes
}

pub(crate) struct Node {
    store: Option<Box<Store>>,
    kv: Option<Arc<dyn Kv>>,
    master: MasterKey,
    disk: Disk,
    entropy: Entropy,
    folder: tempfile::TempDir,
    seed: [u8; 32],
    /// The seed of the root key, if it is here.
    root: Option<u8>,
    pub(crate) certificate: DeviceCertificate,
    /// The oldest and the newest session version that it speaks.
    pub(crate) speaks: (u16, u16),
}

/// Returns a folder that lives in memory where there is such a place.
fn folder() -> tempfile::TempDir {
    let in_memory = std::path::Path::new("/dev/shm");
    let folder = tempfile::tempdir_in(in_memory).or_else(|_| tempfile::tempdir());
    folder.expect("a folder")
}

/// Returns the certificate of a node; signed once, for many nodes with one number.
fn certificate(number: u8, now: Timestamp) -> DeviceCertificate {
    static KNOWN: Mutex<BTreeMap<(u8, Timestamp), DeviceCertificate>> = Mutex::new(BTreeMap::new());
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    let certify = || {
        let person = PersonKey::from_seed(&[number.wrapping_mul(2) + 101; 32]);
        let device = DeviceKey::from_seed(&[number.wrapping_mul(2) + 102; 32]);
        person.certify(&device, now)
    };
    known.entry((number, now)).or_insert_with(certify).clone()
}

impl Node {
    pub(crate) fn new(number: u8, now: Timestamp) -> Self {
        let seed = [number.wrapping_mul(2) + 102; 32];
        let certificate = certificate(number, now);
        let mut node = Self {
            store: None,
            kv: None,
            master: MasterKey::generate().expect("randomness"),
            disk: Disk::Memory(MemoryDisk::new()),
            entropy: Entropy::system(),
            folder: folder(),
            seed,
            root: Some(number.wrapping_mul(2) + 101),
            certificate,
            speaks: (VERSION_MIN, VERSION_MAX),
        };
        node.open(now);
        node
    }

    /// Prepares a node on an empty disk that can fail; it is closed, and draws from its seed.
    pub(crate) fn on_disk(number: u8, seed: u64, now: Timestamp) -> Self {
        let master = bytes_of(seed);
        Self {
            store: None,
            kv: None,
            master: MasterKey::from_bytes(master.into()),
            disk: Disk::Faulty(FaultyDisk::new(seed)),
            entropy: seeded(seed),
            folder: folder(),
            seed: [number.wrapping_mul(2) + 102; 32],
            root: Some(number.wrapping_mul(2) + 101),
            certificate: certificate(number, now),
            speaks: (VERSION_MIN, VERSION_MAX),
        }
    }

    fn open(&mut self, now: Timestamp) {
        self.try_open(now).expect("the store opens");
    }

    /// Opens the store, drawing from another seed than before.
    pub(crate) fn open_from(&mut self, seed: u64, now: Timestamp) -> Result<(), StoreError> {
        self.entropy = seeded(seed);
        self.try_open(now)
    }

    fn try_open(&mut self, now: Timestamp) -> Result<(), StoreError> {
        let (entropy, inner) = (self.entropy.clone(), self.disk.store()?);
        let kv: Arc<dyn Kv> = Arc::new(Sealed::drawing(entropy.clone(), inner, &self.master));
        self.kv = Some(Arc::clone(&kv));
        let owner = Owner {
            certificate: self.certificate.clone(),
            device: DeviceKey::from_seed(&self.seed),
            root: self.root.map(|seed| PersonKey::from_seed(&[seed; 32])),
        };
        let parts = Parts {
            kv,
            master: &self.master,
            owner,
            guard: Arc::new(LineGuard),
            text: self.folder.path(),
            model: ("none", 4),
            entropy,
        };
        self.store = Some(Box::new(Store::open(parts, now)?));
        Ok(())
    }

    /// Lets go of the store without closing it, as a crash does.
    pub(crate) fn drop_store(&mut self) {
        self.store = None;
        self.kv = None;
    }
    pub(crate) fn is_open(&self) -> bool {
        self.store.is_some()
    }
    /// Returns the disk that can fail.
    pub(crate) fn faulty(&self) -> &FaultyDisk {
        match &self.disk {
            Disk::Faulty(disk) => disk,
            Disk::Memory(_) => panic!("this node has a disk that cannot fail"),
        }
    }
    /// Puts another disk in place of the one it had, without a text index.
    pub(crate) fn put_disk(&mut self, disk: FaultyDisk) {
        self.drop_store();
        self.disk = Disk::Faulty(disk);
        self.folder = folder();
    }
    /// Returns every row of some keyspaces, unsealed.
    pub(crate) fn rows(&self, keyspaces: &[&'static str]) -> Vec<Row> {
        let kv = self.kv.as_ref().expect("the store is open");
        let mut rows = Vec::new();
        for keyspace in keyspaces {
            let mut scan = Scan::all();
            loop {
                let page = kv.scan(Keyspace(keyspace), &scan).expect("rows read");
                scan.after = page.items.last().map(|row| row.key.clone());
                rows.extend(page.items);
                if !page.more {
                    break;
                }
            }
        }
        rows
    }

    /// Closes the store and opens it again, as a restart does.
    pub(crate) fn reopen(&mut self, now: Timestamp) {
        self.store = None;
        self.kv = None;
        self.open(now);
    }

    /// Copies the rows of the store, as a backup of a machine does that knows nothing of it.
    pub(crate) fn backup(&self) -> Vec<(Keyspace, Vec<u8>, Vec<u8>)> {
        let kv = self.kv.as_ref().expect("the store is open");
        let mut rows = Vec::new();
        for keyspace in KEYSPACES.map(Keyspace) {
            let mut scan = Scan::all();
            loop {
                let page = kv.scan(keyspace, &scan).expect("rows read");
                let items = page.items.iter();
                rows.extend(items.map(|item| (keyspace, item.key.clone(), item.value.clone())));
                match page.items.last() {
                    Some(last) if page.more => scan.after = Some(last.key.clone()),
                    _ => break,
                }
            }
        }
        rows
    }

    /// Puts a backup in the place of the store.
    pub(crate) fn restore(&mut self, rows: Vec<(Keyspace, Vec<u8>, Vec<u8>)>, now: Timestamp) {
        self.store = None;
        self.kv = None;
        self.disk = Disk::Memory(MemoryDisk::new());
        self.folder = folder();
        let inner = self.disk.store().expect("a store in memory");
        let kv = Sealed::new(inner, &self.master);
        let mut batch = Batch::new();
        for (keyspace, key, value) in rows {
            batch.put(keyspace, key, value);
        }
        kv.commit(batch, Durability::Durable).expect("restored");
        drop(kv);
        self.open(now);
    }

    /// Returns the number of rows in the store.
    pub(crate) fn row_count(&self) -> u64 {
        let kv = self.kv.as_ref().expect("the store is open");
        kv.stats().expect("rows are counted").rows.values().sum()
    }

    /// Damages what Automerge loads of every memory that was edited: one bit of each snapshot.
    pub(crate) fn damage_documents(&self) -> usize {
        let kv = self.kv.as_ref().expect("the store is open");
        let page = kv
            .scan(Keyspace("document"), &Scan::all())
            .expect("rows read");
        let mut batch = Batch::new();
        for item in &page.items {
            let mut value = item.value.clone();
            value[20] ^= 1;
            batch.put(Keyspace("document"), item.key.clone(), value);
        }
        kv.commit(batch, Durability::Durable).expect("written");
        page.items.len()
    }

    pub(crate) fn store(&self) -> &Store {
        self.store.as_deref().expect("the store is open")
    }
    pub(crate) fn device(&self) -> DeviceKey {
        DeviceKey::from_seed(&self.seed)
    }
    /// Returns everything in the store that may be a key: every row of 32 bytes.
    pub(crate) fn keys(&self) -> BTreeSet<[u8; 32]> {
        let rows = self.rows(&["key", "scope", "meta"]);
        let values = rows.iter().map(|row| row.value.as_slice());
        values.filter_map(|value| value.try_into().ok()).collect()
    }
    pub(crate) fn person(&self) -> PersonId {
        self.certificate.person
    }
    pub(crate) fn content(&self, memory: MemoryId) -> Option<Content> {
        self.store().content(memory).expect("content reads")
    }
    pub(crate) fn facts(&self, memory: MemoryId) -> Option<Facts> {
        let facts = self
            .store()
            .read(|state| state.memories.get(&memory).cloned());
        facts.map(Arc::unwrap_or_clone)
    }

    pub(crate) fn transact<T>(
        &self,
        now: Timestamp,
        f: impl FnOnce(&mut Tx<'_>) -> Result<T, StoreError>,
    ) -> T {
        self.store()
            .transact(now, f)
            .expect("the transaction commits")
    }

    pub(crate) fn pair(&self, other: &Self, now: Timestamp) {
        let name = format!("p{}", other.seed.first().copied().unwrap_or_default());
        self.transact(now, |tx| {
            tx.pair(&other.certificate, &name, Vec::new());
            Ok(())
        });
    }

    pub(crate) fn create(&self, now: Timestamp, body: &str, tags: &[&str]) -> MemoryId {
        let mut content = Content::new(MemoryKind::Note, now);
        "title".clone_into(&mut content.title);
        body.clone_into(&mut content.body);
        content.tags = tags.iter().map(|tag| (*tag).to_owned()).collect();
        self.store()
            .transact(now, |tx| tx.create(&content, &SidecarPatch::default()))
            .expect("the memory is kept")
    }

    /// Keeps many memories with one tag in one transaction.
    pub(crate) fn create_many(&self, now: Timestamp, count: usize, tag: &str) -> Vec<MemoryId> {
        let mut content = Content::new(MemoryKind::Note, now);
        content.tags = BTreeSet::from([tag.to_owned()]).into_iter().collect();
        let created = self.store().transact(now, |tx| {
            let many = (0..count).map(|number| {
                content.title = format!("title {number}");
                tx.create(&content, &SidecarPatch::default())
            });
            many.collect::<Result<Vec<_>, WriteError>>()
        });
        created.expect("the memories are kept")
    }

    pub(crate) fn edit(
        &self,
        now: Timestamp,
        memory: MemoryId,
        content: Edit,
    ) -> Result<EditOutcome, WriteError> {
        let edit = MemoryEdit {
            content,
            ..MemoryEdit::default()
        };
        self.store().transact(now, |tx| tx.edit(memory, &edit))
    }

    pub(crate) fn label(&self, now: Timestamp, memory: MemoryId, sidecar: SidecarPatch) {
        let edit = MemoryEdit {
            sidecar,
            ..MemoryEdit::default()
        };
        self.store()
            .transact(now, |tx| tx.edit(memory, &edit))
            .expect("labels are one's own");
    }

    pub(crate) fn offer(
        &self,
        now: Timestamp,
        to: PersonId,
        selector: &str,
        access: Access,
        expires: Option<Timestamp>,
    ) -> GrantId {
        let terms = Terms {
            expires,
            purpose: "a test".to_owned(),
            ..Terms::of(access)
        };
        self.store()
            .transact(now, |tx| tx.offer(to, selector.to_owned(), terms))
            .expect("the offer is made")
    }

    pub(crate) fn answer(
        &self,
        now: Timestamp,
        grant: GrantId,
        accept: bool,
    ) -> Result<(), ShareError> {
        self.store().transact(now, |tx| tx.answer(grant, accept))
    }

    pub(crate) fn revoke(&self, now: Timestamp, grant: GrantId) -> Result<u32, ShareError> {
        self.store()
            .transact(now, |tx| tx.revoke(grant, String::new()))
    }

    /// Puts a policy in force and screens everything under it.
    pub(crate) fn put_policy(&self, now: Timestamp, text: &str) {
        self.store()
            .transact(now, |tx| tx.put_policy(text))
            .expect("the policy is in force");
        self.store().rescreen(now).expect("everything is screened");
    }
    /// Lets a memory out for a rule, or takes that back.
    pub(crate) fn release(
        &self,
        now: Timestamp,
        memory: MemoryId,
        rule: &str,
        approved: bool,
    ) -> Result<(), ReleaseError> {
        self.store()
            .transact(now, |tx| tx.release(memory, rule, approved))
    }
    /// Returns the rule that holds a memory.
    pub(crate) fn held_by(&self, memory: MemoryId) -> Option<String> {
        self.store().read(|state| {
            let facts = state.memories.get(&memory)?;
            state.held_by(facts).map(|hold| hold.rule.to_owned())
        })
    }

    /// Starts a machine with keys of its own that a person certified, or with the root key.
    pub(crate) fn of(
        seed: u8,
        certificate: DeviceCertificate,
        root: Option<u8>,
        now: Timestamp,
    ) -> Self {
        let mut node = Self {
            store: None,
            kv: None,
            master: MasterKey::generate().expect("randomness"),
            disk: Disk::Memory(MemoryDisk::new()),
            entropy: Entropy::system(),
            folder: folder(),
            seed: [seed; 32],
            root,
            certificate,
            speaks: (VERSION_MIN, VERSION_MAX),
        };
        node.open(now);
        node
    }

    /// Lists the view that this node and a peer share.
    pub(crate) fn view(
        &self,
        peer: PersonId,
        now: Timestamp,
    ) -> (View, BTreeMap<[u8; 32], Reference>) {
        let mut items = Vec::new();
        let mut known = BTreeMap::new();
        let mut events = 0;
        self.store().read(|state| {
            if peer == state.me {
                state.own_view(&mut |facts, given| {
                    let root = facts.events().next().map_or(Hybrid(0), |event| event.0);
                    for (time, event) in
                        facts.events().chain(facts.sidecar_events().iter().copied())
                    {
                        let (time, id) = (time.0, event.0);
                        items.push(Item { time, id });
                        known.insert(id, Reference::Event(event));
                        events += 1;
                    }
                    for (grant, epochs) in given {
                        for epoch in epochs {
                            let (time, id) = (root.0, given_id(*grant, facts.id, *epoch));
                            items.push(Item { time, id });
                            known.insert(id, Reference::Member(*grant, facts.id));
                        }
                    }
                });
                return;
            }
            state.pair_view(peer, now, &mut |facts, grants| {
                let root = facts.events().next().map_or(Hybrid(0), |event| event.0);
                for (time, event) in facts.events() {
                    let (time, id) = (time.0, event.0);
                    items.push(Item { time, id });
                    known.insert(id, Reference::Event(event));
                    events += 1;
                }
                for grant in grants {
                    let (time, id) = (root.0, membership_id(*grant, facts.id));
                    items.push(Item { time, id });
                    known.insert(id, Reference::Member(*grant, facts.id));
                }
            });
        });
        (View::new(items, events), known)
    }

    /// Everything that a rebuild or a restart must give again.
    pub(crate) fn snapshot(&self) -> Snapshot {
        let mut snapshot = self.store().read(|state| Snapshot {
            head: state.head,
            rotation: state.rotation,
            memories: state.memories.clone(),
            slots: state.slots.clone(),
            sources: state.sources.clone(),
            members: format!("{:?}", state.members),
            authority: format!("{:?}", state.authority),
            peers: state.peers.keys().copied().collect(),
            contents: BTreeMap::new(),
        });
        for memory in snapshot.memories.keys() {
            let content = self.content(*memory).map(|content| content.to_bytes());
            snapshot.contents.insert(*memory, content);
        }
        snapshot
    }
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Snapshot {
    head: u64,
    rotation: u32,
    memories: BTreeMap<MemoryId, Arc<Facts>>,
    slots: BTreeMap<u64, MemoryId>,
    sources: Sources,
    members: String,
    authority: String,
    peers: BTreeSet<PersonId>,
    contents: BTreeMap<MemoryId, Option<Vec<u8>>>,
}
