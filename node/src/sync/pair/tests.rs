//! A view that is kept up to date equals one that is made from nothing, whatever happens.

use super::*;
use crate::clock;
use crdt::grant::{Access, Terms};
use crdt::identity::{DeviceKey, PersonKey};
use crdt::memory::{Content, Edit, MemoryKind, Status};
use crdt::sidecar::{Sensitivity, SidecarPatch};
use crdt::testing::Entropy;
use storage::cipher::MasterKey;
use storage::kv::memory::MemoryStore;
use storage::kv::sealed::Sealed;
use storage::store::query::Frontier;
use storage::store::{Owner, Parts, StoreError};
use storage::tx::{MemoryEdit, ShareError, WriteError};

const SEEDS: u64 = 12;
const STEPS: usize = 60;

fn node(seed: u8, text: &std::path::Path, now: Timestamp) -> Store {
    let device = DeviceKey::from_seed(&[seed + 100; 32]);
    let person = PersonKey::from_seed(&[seed; 32]);
    let certificate = person.certify(&device, now);
    let master = MasterKey::generate().unwrap();
    let kv = Arc::new(Sealed::new(Arc::new(MemoryStore::new()), &master));
    let owner = Owner {
        certificate,
        device,
        root: None,
    };
    let parts = Parts {
        kv,
        master: &master,
        owner,
        guard: Arc::new(storage::screen::open::Open),
        text,
        model: ("none", 4),
        entropy: storage::entropy::Entropy::system(),
    };
    Store::open(parts, now).unwrap()
}

fn tell(from: &Store, to: &Store, now: Timestamp) {
    let (me, you) = (
        from.owner().certificate.person,
        to.owner().certificate.person,
    );
    let events = from.consent_beyond(you, &Frontier::new()).unwrap();
    to.transact::<_, StoreError>(now, |tx| tx.take_consent(me, &events))
        .unwrap();
}

fn tag(rng: &mut Entropy) -> String {
    ["red", "green"][usize::from(rng.below(2) == 1)].to_owned()
}

fn create(owner: &Store, now: Timestamp, rng: &mut Entropy) {
    let mut text = Content::new(MemoryKind::Note, now);
    text.title = format!("note {}", rng.below(1_000_000));
    text.tags = [tag(rng)].into();
    owner
        .transact::<_, WriteError>(now, |tx| tx.create(&text, &SidecarPatch::default()))
        .unwrap();
}

/// Changes a memory in a way that may move it into a view or out of it.
fn change(kind: u64, rng: &mut Entropy) -> MemoryEdit {
    let mut edit = MemoryEdit::default();
    match kind {
        0 => {
            edit.content.add_tags = [tag(rng)].into();
            edit.content.remove_tags = [tag(rng)].into();
        }
        1 => {
            edit.content = Edit {
                title: Some(format!("other {}", rng.below(1_000))),
                status: (rng.below(3) == 0).then_some(Status::Forgotten),
                ..Edit::default()
            };
        }
        _ => {
            let is_secret = rng.below(2) == 0;
            edit.sidecar.sensitivity = Some(if is_secret {
                Sensitivity::Secret
            } else {
                Sensitivity::Normal
            });
        }
    }
    edit
}

fn share(owner: &Store, other: &Store, now: Timestamp, rng: &mut Entropy) {
    let to = other.owner().certificate.person;
    let expires = (rng.below(2) == 0).then(|| now.plus_ms(1 + rng.below(40_000)));
    let terms = Terms {
        expires,
        ..Terms::of(Access::Write)
    };
    let selector = format!("tag:{}", tag(rng));
    let grant = owner
        .transact::<_, ShareError>(now, |tx| tx.offer(to, selector, terms))
        .unwrap();
    tell(owner, other, now);
    other
        .transact::<_, ShareError>(now, |tx| tx.answer(grant, true))
        .unwrap();
    tell(other, owner, now);
}

fn revoke(owner: &Store, to: PersonId, now: Timestamp) {
    let grant = owner.read(|state| {
        let mut open = state.authority.grants_to(state.me, to, now);
        open.next().map(|grant| grant.id)
    });
    if let Some(grant) = grant {
        owner
            .transact::<_, ShareError>(now, |tx| tx.revoke(grant, String::new()))
            .unwrap();
    }
}

/// One thing that may change who sees what.
fn step(owner: &Store, other: &Store, now: Timestamp, rng: &mut Entropy) {
    let memories: Vec<MemoryId> = owner.read(|state| state.memories.keys().copied().collect());
    let at = usize::try_from(rng.below(memories.len().max(1) as u64)).unwrap();
    match (rng.below(20), memories.get(at)) {
        (0..6, _) | (_, None) => create(owner, now, rng),
        (kind @ 6..15, Some(memory)) => {
            let edit = change(kind % 3, rng);
            // A forgotten memory may refuse an edit; then nothing changed.
            let edited = owner.transact::<_, WriteError>(now, |tx| tx.edit(*memory, &edit));
            drop(edited);
        }
        (15..18, _) => share(owner, other, now, rng),
        (18, _) => revoke(owner, other.owner().certificate.person, now),
        _ => drop(owner.rebuild(now).unwrap()),
    }
}

#[test]
fn a_view_kept_up_to_date_equals_one_made_from_nothing() {
    let mut moved = 0;
    for seed in 0..SEEDS {
        let mut rng = Entropy::new(seed);
        let mut now = clock::now();
        let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
        let [owner, other] = [
            node(1, folders[0].path(), now),
            node(2, folders[1].path(), now),
        ];
        for (one, two) in [(&owner, &other), (&other, &owner)] {
            one.transact::<_, StoreError>(now, |tx| {
                tx.pair(&two.owner().certificate, "friend", Vec::new());
                Ok(())
            })
            .unwrap();
        }
        let persons = [
            other.owner().certificate.person,
            owner.owner().certificate.person,
        ];
        let mut kept = persons.map(Pair::new);
        let mut seen = persons.map(|_| None);
        let mut told = persons.map(|_| BTreeSet::new());
        for number in 0..STEPS {
            now = now.plus_ms(rng.below(20_000));
            step(&owner, &other, now, &mut rng);
            if rng.below(3) == 0 {
                continue;
            }
            for (at, pair) in kept.iter_mut().enumerate() {
                moved += usize::from(pair.refresh(&owner, now));
                let mut fresh = Pair::new(persons[at]);
                fresh.refresh(&owner, now);
                assert_eq!(pair.view, fresh.view, "seed {seed}, step {number}");
                assert_eq!(pair.memberships, fresh.memberships);
                assert_eq!(pair.summary(), fresh.summary());
                // A session that was told of all that came holds all that is there.
                let (change, now_seen) = pair.since(seen[at]);
                if seen[at].is_none() {
                    told[at].extend(pair.view.items().copied());
                }
                told[at].extend(change.new);
                seen[at] = Some(now_seen);
                assert!(pair.view.items().all(|item| told[at].contains(item)));
            }
        }
    }
    assert!(moved > 100, "the views hardly moved: {moved}");
}

#[test]
fn nothing_new_costs_no_look_at_any_memory() {
    let folder = tempfile::tempdir().unwrap();
    let now = clock::now();
    let store = node(1, folder.path(), now);
    let mut pair = Pair::new(store.owner().certificate.person);
    assert!(pair.refresh(&store, now));
    assert!(!pair.refresh(&store, now));
    let (_, seen) = pair.since(None);
    assert_eq!(pair.since(Some(seen)).0.new, []);
}
