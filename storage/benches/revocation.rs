//! What a revocation costs: one selector, ten grantees, 10,000 memories, one of the ten goes.
//!
//! ```sh
//! cargo bench --workspace --profile dev --bench revocation
//! ```
//!
//! Prints the time of the transaction, the events it wrote, the bytes for each person, and what
//! the next change of one memory costs; once for a grantee who only read, once for one who wrote
//! in every memory. The owner's store is on disk, the grantees' stores are in memory.

use crdt::event::{Kind, Signed};
use crdt::grant::{Access, Terms};
use crdt::id::{EventId, GrantId, MemoryId, PersonId};
use crdt::identity::{DeviceKey, PersonKey};
use crdt::memory::{Content, Edit, MemoryKind};
use crdt::sidecar::SidecarPatch;
use crdt::time::Timestamp;
use std::sync::Arc;
use std::time::Instant;
use storage::cipher::MasterKey;
use storage::entropy::Entropy;
use storage::kv::Kv;
use storage::kv::disk::DiskStore;
use storage::kv::memory::MemoryStore;
use storage::kv::sealed::Sealed;
use storage::screen::open::Open;
use storage::store::query::Frontier;
use storage::store::{Owner, Parts, Store, StoreError};
use storage::tx::{Disclosure, MemoryEdit, ShareError, WriteError};

const NOW: Timestamp = Timestamp(1_800_000_000_000);
const MEMORIES: usize = 10_000;
const GRANTEES: u8 = 10;
/// Memories that one transaction makes or gives.
const BATCH: usize = 500;

struct Node {
    store: Store,
    _folder: tempfile::TempDir,
}

impl Node {
    fn new(number: u8, on_disk: bool) -> Self {
        let person = PersonKey::from_seed(&[2 * number + 1; 32]);
        let device = DeviceKey::from_seed(&[2 * number + 2; 32]);
        let certificate = person.certify(&device, NOW);
        let folder = tempfile::tempdir().expect("a folder");
        let master = MasterKey::generate().expect("randomness");
        let inner: Arc<dyn Kv> = if on_disk {
            let path = folder.path().join("store");
            Arc::new(DiskStore::open(&path).expect("a store on disk"))
        } else {
            Arc::new(MemoryStore::new())
        };
        let kv = Arc::new(Sealed::new(inner, &master));
        let owner = Owner {
            certificate,
            device,
            root: None,
        };
        let text = folder.path().join("text");
        let parts = Parts {
            kv,
            master: &master,
            owner,
            guard: Arc::new(Open),
            text: &text,
            model: ("none", 4),
            entropy: Entropy::system(),
        };
        Self {
            store: Store::open(parts, NOW).expect("the store opens"),
            _folder: folder,
        }
    }
    fn person(&self) -> PersonId {
        self.store.owner().certificate.person
    }
    fn tx<T>(&self, f: impl FnOnce(&mut storage::tx::Tx<'_>) -> Result<T, StoreError>) -> T {
        self.store
            .transact(NOW, f)
            .expect("the transaction commits")
    }
    fn pair(&self, other: &Self, name: &str) {
        let certificate = &other.store.owner().certificate;
        self.tx(|tx| {
            tx.pair(certificate, name, Vec::new());
            Ok(())
        });
    }
    /// Returns the consent events that a person lacks.
    fn consent_for(&self, to: &Self) -> Vec<Vec<u8>> {
        let known = to.store.consent_frontier(self.person());
        let events = self.store.consent_beyond(to.person(), &known);
        events.expect("consent reads")
    }
    fn tell(&self, to: &Self) {
        let events = self.consent_for(to);
        let taken = to.tx(|tx| tx.take_consent(self.person(), &events));
        assert_eq!(taken.refused, []);
    }
    fn share(&self, with: &Self, access: Access) -> GrantId {
        let terms = Terms::of(access);
        let grant = self.store.transact::<_, ShareError>(NOW, |tx| {
            tx.offer(with.person(), "tag:t".to_owned(), terms)
        });
        let grant = grant.expect("offered");
        self.tell(with);
        let yes = with.store.transact(NOW, |tx| tx.answer(grant, true));
        yes.expect("accepted");
        with.tell(self);
        grant
    }
    /// Gives events and memberships; only the store of `takes` takes them in.
    fn give(&self, to: PersonId, memories: &[MemoryId], takes: Option<&Self>) -> Disclosure {
        let mut given = Disclosure::default();
        for batch in memories.chunks(BATCH) {
            let (events, members) = self.lacking(to, batch);
            let part = self
                .store
                .transact::<_, storage::tx::AppendError>(NOW, |tx| {
                    tx.disclose(to, &events, &members)
                });
            let part = part.expect("the guard decides");
            assert_eq!(part.withheld, 0);
            if let Some(takes) = takes {
                self.tell(takes);
                take(takes, self.person(), &part);
            }
            given.memories.extend(part.memories);
        }
        given
    }
    fn lacking(&self, to: PersonId, of: &[MemoryId]) -> (Vec<EventId>, Vec<(GrantId, MemoryId)>) {
        let (mut events, mut members) = (Vec::new(), Vec::new());
        self.store.read(|state| {
            for memory in of {
                let facts = state.memories.get(memory).expect("a memory");
                events.extend(facts.events().last().map(|event| event.1));
                let has = state.members.get(memory);
                let is_new = |id| has.is_none_or(|has| !has.contains_key(&id));
                let grants = state.grants_over(facts, to, NOW);
                let grants = grants.filter(|grant| is_new(grant.id));
                members.extend(grants.map(|grant| (grant.id, *memory)));
            }
        });
        (events, members)
    }
}

fn take(node: &Node, from: PersonId, given: &Disclosure) {
    let memories = given.memories.iter();
    let keys: Vec<_> = memories.clone().flat_map(|m| m.keys.clone()).collect();
    let events = memories.flat_map(|m| m.events.iter().map(|event| event.1.clone()));
    let events: Vec<_> = events.collect();
    let taken = node.tx(|tx| tx.take_content(from, &events, &keys));
    assert_eq!(taken.refused, []);
}

fn create(owner: &Node) -> Vec<MemoryId> {
    let mut memories = Vec::new();
    for batch in 0..MEMORIES / BATCH {
        let made = owner.store.transact::<_, WriteError>(NOW, |tx| {
            let many = (0..BATCH).map(|number| {
                let mut content = Content::new(MemoryKind::Note, NOW);
                content.title = format!("note {batch} {number}");
                content.body = "A few words, as a short note has them. ".repeat(10);
                content.tags = ["t".to_owned()].into_iter().collect();
                tx.create(&content, &SidecarPatch::default())
            });
            many.collect::<Result<Vec<_>, _>>()
        });
        memories.extend(made.expect("kept"));
    }
    memories
}

fn retitle(title: &str) -> MemoryEdit {
    MemoryEdit {
        content: Edit {
            title: Some(title.to_owned()),
            ..Edit::default()
        },
        ..MemoryEdit::default()
    }
}

/// The grantee writes in every memory, and the owner takes it in.
fn write_everywhere(owner: &Node, writer: &Node, memories: &[MemoryId]) {
    for batch in memories.chunks(BATCH) {
        let edit = retitle("theirs");
        let edited = writer.store.transact::<_, WriteError>(NOW, |tx| {
            batch
                .iter()
                .try_for_each(|memory| tx.edit(*memory, &edit).map(|_| ()))
        });
        edited.expect("edited");
        let events = writer.store.read(|state| {
            let last = |memory| {
                state
                    .memories
                    .get(memory)?
                    .events()
                    .last()
                    .map(|event| event.1)
            };
            batch.iter().filter_map(last).collect::<Vec<_>>()
        });
        let given = writer
            .store
            .transact::<_, storage::tx::AppendError>(NOW, |tx| {
                tx.disclose(owner.person(), &events, &[])
            });
        take(owner, writer.person(), &given.expect("the guard decides"));
    }
}

#[expect(clippy::print_stdout, reason = "a benchmark prints its figures")]
fn measure(what: &str, writes: bool) {
    let owner = Node::new(0, true);
    let grantees: Vec<Node> = (1..=GRANTEES)
        .map(|number| Node::new(number, false))
        .collect();
    let memories = create(&owner);
    let mut grants = Vec::new();
    for (number, grantee) in grantees.iter().enumerate() {
        owner.pair(grantee, &format!("p{number}"));
        grantee.pair(&owner, "owner");
        grants.push(owner.share(grantee, if writes { Access::Write } else { Access::Read }));
    }
    let (first, others) = grantees.split_first().expect("ten");
    owner.give(first.person(), &memories, Some(first));
    if writes {
        write_everywhere(&owner, first, &memories);
    }
    for other in others {
        owner.give(other.person(), &memories, None);
        owner.tell(other);
    }
    println!("## {what}: {MEMORIES} memories, {GRANTEES} grantees, one is revoked");
    let head = owner.store.read(|state| state.head);
    let start = Instant::now();
    let revoked = owner.store.transact::<_, ShareError>(NOW, |tx| {
        tx.revoke(*grants.first().expect("ten"), String::new())
    });
    revoked.expect("revoked");
    println!("the transaction, durable          {:?}", start.elapsed());
    let after = owner.store.read(|state| state.head);
    println!("events written                    {}", after - head);
    for (name, node) in [
        ("the revoked one", first),
        ("each of the others", &others[0]),
    ] {
        let events = owner.consent_for(node);
        let bytes: usize = events.iter().map(Vec::len).sum();
        let wraps = events.iter().filter(|bytes| is_wrap(bytes)).count();
        let count = events.len();
        println!("for {name:<20}          {bytes} bytes in {count} events, {wraps} wraps");
    }
    let start = Instant::now();
    owner.tell(first);
    println!("the revoked one takes it in       {:?}", start.elapsed());
    next_change(&owner, others, &memories[..1]);
    let known = owner
        .store
        .consent_beyond(first.person(), &Frontier::default());
    assert!(known.is_ok() && owner.lacking(first.person(), &memories).1.is_empty());
}

fn is_wrap(bytes: &[u8]) -> bool {
    Signed::from_bytes(bytes).is_ok_and(|event| event.header().kind == Kind::Keys)
}

#[expect(clippy::print_stdout, reason = "a benchmark prints its figures")]
fn next_change(owner: &Node, others: &[Node], memory: &[MemoryId]) {
    let edit = retitle("after");
    let start = Instant::now();
    let edited = owner.store.transact(NOW, |tx| tx.edit(memory[0], &edit));
    edited.expect("edited");
    println!("the next change of one memory     {:?}", start.elapsed());
    let start = Instant::now();
    let (mut keys, mut bytes) = (0, 0);
    for other in others {
        let given = owner.give(other.person(), memory, None);
        for memory in &given.memories {
            keys += memory.keys.len();
            bytes += memory
                .keys
                .iter()
                .map(|key| key.sealed.len())
                .sum::<usize>();
            bytes += memory
                .events
                .iter()
                .map(|event| event.1.len())
                .sum::<usize>();
        }
    }
    let (count, took) = (others.len(), start.elapsed());
    println!("given to the {count} others             {took:?}, {keys} sealed keys, {bytes} bytes");
}

fn main() {
    measure("a reader", false);
    measure("a writer who wrote in all of them", true);
}
