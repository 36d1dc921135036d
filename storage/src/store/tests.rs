//! Tests of the store: one node alone. What several do with each other is tested in `tests/`.

mod attached;
mod cuts;
mod entropy;
mod flips;
mod generations;
mod integrity;
mod ledger;
mod outside;
mod past;
mod power_cut;
mod salvage;
mod selections;
mod witness;
mod writers;
mod writing;

use super::*;
use crate::cipher::MasterKey;
use crate::entropy::Source;
use crate::kv::memory::{MemoryDisk, MemoryStore};
use crate::kv::sealed::Sealed;
use crate::projection::text::TextQuery;
use crate::search::fusion::Fusion;
use crate::search::{SearchMode, SearchRequest};
use crate::store::generations::Generation;
use crate::store::query::Frontier;
use crate::tx::{EditOutcome, MemoryEdit, WriteError};
use crdt::grant::{Access, Terms};
use crdt::id::{GrantId, PersonId};
use crdt::memory::{Edit, MemoryKind};
use crdt::sidecar::SidecarPatch;

/// The same bytes for the same seed.
#[derive(Debug)]
struct Seeded(std::sync::Mutex<crdt::testing::Entropy>);

impl Source for Seeded {
    fn fill(&self, bytes: &mut [u8]) -> std::io::Result<()> {
        self.0.lock().unwrap().fill(bytes);
        Ok(())
    }
}

fn seeded(seed: u64) -> Entropy {
    let stream = crdt::testing::Entropy::new(seed);
    Entropy::from_source(Arc::new(Seeded(std::sync::Mutex::new(stream))))
}

const NOW: Timestamp = Timestamp(1_800_000_000_000);

/// A store on a disk in memory that outlives it.
struct Bench {
    store: Option<Store>,
    kv: Arc<dyn Kv>,
    disk: MemoryDisk,
    master: MasterKey,
    entropy: Entropy,
    folder: tempfile::TempDir,
    seed: u8,
}

impl Bench {
    fn new(seed: u8) -> Self {
        Self::drawing(seed, MasterKey::generate().unwrap(), Entropy::system())
    }
    /// A store that is the same, byte for byte, whenever it is done the same to.
    fn seeded(seed: u8) -> Self {
        let master = MasterKey::from_bytes(zeroize::Zeroizing::new([seed; 32]));
        Self::drawing(seed, master, seeded(seed.into()))
    }
    fn drawing(seed: u8, master: MasterKey, entropy: Entropy) -> Self {
        let mut bench = Self {
            store: None,
            kv: Arc::new(MemoryStore::new()),
            disk: MemoryDisk::new(),
            master,
            entropy,
            folder: tempfile::tempdir().unwrap(),
            seed,
        };
        bench.open();
        bench
    }
    fn owner(&self) -> Owner {
        let device = DeviceKey::from_seed(&[self.seed + 100; 32]);
        let person = PersonKey::from_seed(&[self.seed; 32]);
        Owner {
            certificate: person.certify(&device, NOW),
            device,
            root: None,
        }
    }
    fn open(&mut self) {
        let inner = MemoryStore::open(&self.disk).unwrap();
        let entropy = self.entropy.clone();
        self.kv = Arc::new(Sealed::drawing(entropy, Arc::new(inner), &self.master));
        let parts = self.parts(Arc::clone(&self.kv), &self.master, self.folder.path());
        self.store = Some(Store::open(parts, NOW).unwrap());
    }
    fn parts<'a>(&self, kv: Arc<dyn Kv>, master: &'a MasterKey, text: &'a Path) -> Parts<'a> {
        Parts {
            kv,
            master,
            owner: self.owner(),
            guard: Arc::new(crate::screen::open::Open),
            text,
            model: ("none", 4),
            entropy: self.entropy.clone(),
        }
    }
    fn reopen(&mut self) {
        self.store = None;
        self.kv = Arc::new(MemoryStore::new());
        self.open();
    }
    fn store(&self) -> &Store {
        self.store.as_ref().unwrap()
    }
    fn me(&self) -> PersonId {
        self.owner().certificate.person
    }
    fn keep(&self, fill: impl FnOnce(&mut Content)) -> MemoryId {
        let mut content = Content::new(MemoryKind::Note, NOW);
        fill(&mut content);
        let sidecar = SidecarPatch::default();
        let created = self
            .store()
            .transact(NOW, |tx| tx.create(&content, &sidecar));
        created.unwrap()
    }
    fn create(&self, body: &str) -> MemoryId {
        self.keep(|content| body.clone_into(&mut content.body))
    }
    fn edit(&self, memory: MemoryId, edit: &MemoryEdit) -> Result<EditOutcome, WriteError> {
        self.store().transact(NOW, |tx| tx.edit(memory, edit))
    }
    fn change(&self, memory: MemoryId, content: Edit) -> EditOutcome {
        let edit = MemoryEdit {
            content,
            ..MemoryEdit::default()
        };
        self.edit(memory, &edit).unwrap()
    }
    fn label(&self, memory: MemoryId, sidecar: SidecarPatch) -> EditOutcome {
        let edit = MemoryEdit {
            sidecar,
            ..MemoryEdit::default()
        };
        self.edit(memory, &edit).unwrap()
    }
    fn purge(&self, memory: MemoryId) {
        self.store().transact(NOW, |tx| tx.purge(memory)).unwrap();
    }
    fn find(&self, words: &str) -> Vec<MemoryId> {
        let query = TextQuery::parse(words);
        let request = SearchRequest {
            query: &query,
            vector: None,
            allowed: None,
            mode: SearchMode::Text,
            limit: 10,
            fusion: Fusion::default(),
        };
        let hits = self.store().search(Generation::BuiltIn, &request).unwrap();
        self.store().read(|state| {
            let memories = hits.iter().map(|hit| state.slots[&hit.slot.0]);
            memories.collect()
        })
    }
    /// Everything that a restart, a rebuild or a failed transaction must leave as it was.
    fn snapshot(&self) -> String {
        let ids: Vec<_> = self
            .store()
            .read(|state| state.memories.keys().copied().collect());
        let contents: Vec<_> = ids.iter().map(|id| self.store().content(*id)).collect();
        self.store().read(|state| {
            let head = (state.head, state.rotation);
            let memories = (
                &state.memories,
                &state.slots,
                &state.sources,
                &state.members,
            );
            let others = (
                &state.authority,
                &state.peers,
                &state.invites,
                &state.consent,
            );
            format!("{head:?} {memories:?} {others:?} {contents:?}")
        })
    }
    fn rows(&self, keyspace: Keyspace) -> usize {
        let mut count = 0;
        let mut visit = |_: &[u8], _: &[u8]| {
            count += 1;
            Ok(true)
        };
        open::each_row(&*self.kv, keyspace, None, &mut visit).unwrap();
        count
    }
    fn rows_of_all(&self) -> Vec<usize> {
        let keyspaces = layout::ALL.iter();
        keyspaces.map(|keyspace| self.rows(*keyspace)).collect()
    }
    fn pair(&self, other: &Self) {
        let paired: Result<(), StoreError> = self.store().transact(NOW, |tx| {
            tx.pair(&other.owner().certificate, "friend", Vec::new());
            Ok(())
        });
        paired.unwrap();
    }
    fn tell(&self, other: &Self) {
        let events = self.store().consent_beyond(other.me(), &Frontier::new());
        let events = events.unwrap();
        let taken: Result<_, StoreError> = other
            .store()
            .transact(NOW, |tx| tx.take_consent(self.me(), &events));
        taken.unwrap();
    }
    /// Shares everything tagged `t` and has it accepted.
    fn share(&self, other: &Self) -> GrantId {
        let terms = Terms::of(Access::Write);
        let (to, selector) = (other.me(), "tag:t".to_owned());
        let grant = self
            .store()
            .transact(NOW, |tx| tx.offer(to, selector, terms));
        let grant = grant.unwrap();
        self.tell(other);
        let answered = other.store().transact(NOW, |tx| tx.answer(grant, true));
        answered.unwrap();
        other.tell(self);
        grant
    }
    /// Discloses the root of a memory.
    fn disclose(&self, other: &Self, grant: GrantId, memory: MemoryId) -> u64 {
        let (to, events) = (other.me(), [EventId(memory.0)]);
        let given = self
            .store()
            .transact(NOW, |tx| tx.disclose(to, &events, &[(grant, memory)]));
        given.unwrap().memories[0].entry
    }
}
