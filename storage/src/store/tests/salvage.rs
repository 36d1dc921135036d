//! A real store file is damaged at random, salvaged, and given back what it lost: nothing panics, no row
//! is another than was written, whatever lies in undamaged pages is there, and in the end the store
//! says what it said. `SEED=n` damages once; `SCALE=n` multiplies the number of damages.

use super::*;
use crate::gaps::Halt;
use crate::kv::disk::DiskStore;
use crate::kv::faulty::SplitMix;
use crate::kv::{Item, walk};
use crate::layout::meta;
use crate::salvage::{Salvaged, resume, salvage};
use crdt::codec::Canonical as _;
use crdt::event::Kind;
use std::collections::BTreeSet;
use std::path::PathBuf;

const DAMAGES: u64 = 60;
const PAGE: usize = 4096;

type Raw = BTreeMap<(Keyspace, Vec<u8>), Vec<u8>>;

/// A store that was lived in, as it lies on the disk.
struct Original {
    me: Bench,
    friend: Bench,
    grant: GrantId,
    purged: MemoryId,
    bytes: Vec<u8>,
    /// Every row as it was written, opened and sealed.
    rows: Raw,
    sealed: Raw,
    log: Vec<Signed<Event>>,
    said: BTreeMap<MemoryId, String>,
}

fn rows(kv: &dyn Kv) -> Raw {
    let mut all = Raw::new();
    walk(kv, &layout::ALL, &mut |keyspace, item: &Item| {
        all.insert((keyspace, item.key.clone()), item.value.clone());
    })
    .unwrap();
    all
}

fn open_at(me: &Bench, path: &Path, text: &Path) -> Store {
    let disk = DiskStore::open(path).unwrap();
    let kv = Sealed::drawing(me.entropy.clone(), Arc::new(disk), &me.master);
    Store::open(me.parts(Arc::new(kv), &me.master, text), NOW).unwrap()
}

/// What a store says of each memory, without what depends on the order in which events came.
fn said(store: &Store) -> BTreeMap<MemoryId, String> {
    let all: Vec<Facts> = store.read(|state| {
        let memories = state.memories.values();
        memories.map(|facts| Facts::clone(facts)).collect()
    });
    let mut said = BTreeMap::new();
    for mut facts in all {
        facts.slot = 0;
        facts.rewrite(|parts| {
            parts.events.sort_unstable();
            parts.sidecar_events.sort_unstable();
            parts.heads.sort_unstable();
        });
        let content = store.content(facts.id).unwrap();
        said.insert(facts.id, format!("{facts:?} {content:?}"));
    }
    said
}

/// Lives in a store for a while: memories, edits, labels, disclosures and a purge.
fn live(host: &Bench, friend: &Bench, grant: GrantId) -> MemoryId {
    let mut ids = Vec::new();
    for number in 0..60 {
        ids.push(host.keep(|content| {
            content.title = format!("walk {number}");
            content.body = format!("along the harbour {number} ").repeat(12);
            if number % 3 == 0 {
                content.tags = ["t".to_owned()].into();
            }
        }));
    }
    for (number, id) in ids.iter().enumerate() {
        if number % 4 == 0 {
            for round in 0..2 {
                host.change(
                    *id,
                    Edit {
                        title: Some(format!("walk {number}, again {round}")),
                        ..Edit::default()
                    },
                );
            }
        }
        if number % 5 == 0 {
            let mut patch = SidecarPatch::default();
            patch.tags.insert("mine".to_owned(), true);
            host.label(*id, patch);
        }
        if number % 6 == 0 {
            host.disclose(friend, grant, *id);
        }
    }
    host.purge(ids[7]);
    ids[7]
}

impl Original {
    fn new() -> Self {
        let (me, friend) = (Bench::seeded(1), Bench::seeded(2));
        friend.pair(&me);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store.redb");
        let store = open_at(&me, &path, &folder.path().join("text"));
        let host = Bench {
            store: Some(store),
            ..Bench::seeded(1)
        };
        host.pair(&friend);
        let grant = host.share(&friend);
        let purged = live(&host, &friend, grant);
        let head = host.store().read(|state| state.head);
        let log = (1..=head).map(|at| host.store().event_at(at).unwrap().unwrap());
        let log = log.collect();
        let said = said(host.store());
        host.store().close().unwrap();
        drop(host);
        let disk = Arc::new(DiskStore::open(&path).unwrap());
        let sealed = rows(&*disk);
        let kv = Sealed::new(Arc::clone(&disk) as Arc<dyn Kv>, &me.master);
        let opened = rows(&kv);
        kv.close().unwrap();
        let bytes = std::fs::read(&path).unwrap();
        Self {
            me,
            friend,
            grant,
            purged,
            bytes,
            rows: opened,
            sealed,
            log,
            said,
        }
    }

    /// Returns the pages in which an entry of the log lies.
    fn pages_of(&self, place: u64) -> BTreeSet<usize> {
        let sealed = &self.sealed[&(layout::LOG, ordered(place).to_vec())];
        let probe = &sealed[..sealed.len().min(64)];
        let mut at = 0;
        let mut pages = BTreeSet::new();
        // A copy may lie in a page of another time too; one that is whole is enough.
        while let Some(found) = find(&self.bytes[at..], probe) {
            let start = at + found;
            pages.insert(start / PAGE);
            at = start + 1;
        }
        pages
    }
}

fn find(bytes: &[u8], probe: &[u8]) -> Option<usize> {
    let first = probe[0];
    let mut at = 0;
    while let Some(next) = bytes[at..].iter().position(|byte| *byte == first) {
        let start = at + next;
        if bytes[start..].starts_with(probe) {
            return Some(start);
        }
        at = start + 1;
    }
    None
}

/// Damages a file at random; returns the pages that are not what they were.
fn damage(bytes: &mut [u8], random: &mut SplitMix) -> BTreeSet<usize> {
    let pages = bytes.len() / PAGE;
    let below = |random: &mut SplitMix, count: usize| {
        usize::try_from(random.below(u64::try_from(count).unwrap())).unwrap()
    };
    let before = bytes.to_vec();
    match random.below(3) {
        0 => {
            for _ in 0..=random.below(6) {
                let at = below(random, bytes.len());
                bytes[at] ^= 1 << random.below(8);
            }
        }
        1 => {
            for _ in 0..=random.below(3) {
                let page = below(random, pages);
                bytes[page * PAGE..(page + 1) * PAGE].fill(0);
            }
        }
        _ => {
            let page = below(random, pages);
            for byte in &mut bytes[page * PAGE..(page + 1) * PAGE] {
                *byte = u8::try_from(random.below(256)).unwrap();
            }
        }
    }
    let changed = |page: &usize| {
        let range = page * PAGE..(page + 1) * PAGE;
        before[range.clone()] != bytes[range]
    };
    (0..pages).filter(changed).collect()
}

/// A damaged copy of the original, salvaged.
struct Mended {
    folder: tempfile::TempDir,
    salvaged: Salvaged,
}

impl Mended {
    fn path(&self) -> PathBuf {
        self.folder.path().join("store.redb")
    }
    fn open(&self, me: &Bench) -> Store {
        open_at(me, &self.path(), &self.folder.path().join("text"))
    }
}

/// Writes bytes as a store and salvages it; none if it is not damaged.
fn mend(original: &Original, bytes: &[u8]) -> Option<Mended> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.redb");
    std::fs::write(&path, bytes).unwrap();
    let salvaged = salvage(&path, &original.me.master).unwrap()?;
    // What the engine refuses it may mark as opened; the copy aside is that file.
    assert!(salvaged.aside.exists());
    Some(Mended { folder, salvaged })
}

/// No row is another than was written, and nothing that lies in a whole page is missing from the log.
fn check_rows(original: &Original, mended: &Mended, changed: &BTreeSet<usize>) {
    let disk = Arc::new(DiskStore::open(&mended.path()).unwrap());
    let kv = Sealed::new(disk, &original.me.master);
    let new = rows(&kv);
    kv.close().unwrap();
    let mut kept = BTreeSet::new();
    for ((keyspace, key), value) in &new {
        match *keyspace {
            layout::LOG => {
                kept.insert(Signed::<Event>::from_bytes(value).unwrap().id());
            }
            layout::APART => {
                let apart = crate::gaps::Apart::from_bytes(value).unwrap();
                let event = Signed::<Event>::from_bytes(&apart.event).unwrap();
                kept.insert(event.id());
            }
            layout::LOST => {}
            layout::META if key == meta::FORMAT || key == meta::HALT => {}
            _ => assert_eq!(
                Some(value),
                original.rows.get(&(*keyspace, key.clone())),
                "a row of {keyspace} is another"
            ),
        }
    }
    for (place, event) in (1..).zip(&original.log) {
        let is_whole = original.pages_of(place).is_disjoint(changed);
        if is_whole {
            assert!(kept.contains(&event.id()), "entry {place} is gone");
        }
        kept.remove(&event.id());
    }
    assert!(kept.is_empty(), "entries that never were");
}

/// Brings everything that the original had, as another device of the same person would.
fn refetch(original: &Original, store: &Store) {
    let me = original.me.me();
    let is_consent = |event: &&Signed<Event>| event.memory().is_none();
    let bytes = |event: &Signed<Event>| event.bytes().to_vec();
    let consent: Vec<_> = original.log.iter().filter(is_consent).map(bytes).collect();
    let others = original.log.iter().filter(|event| event.memory().is_some());
    let others: Vec<_> = others.map(bytes).collect();
    let taken: Result<_, StoreError> = store.transact(NOW, |tx| tx.take_consent(me, &consent));
    taken.unwrap();
    let taken: Result<_, StoreError> = store.transact(NOW, |tx| tx.take_content(me, &others, &[]));
    taken.unwrap();
}

#[expect(
    clippy::disallowed_methods,
    reason = "seeds come from the environment of the test"
)]
fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

#[test]
fn a_damaged_store_is_salvaged_and_what_it_lost_comes_back() {
    let original = Original::new();
    let only = setting("SEED");
    let count = DAMAGES * setting("SCALE").unwrap_or(1);
    let seeds = only.map_or_else(|| 0..count, |seed| seed..seed + 1);
    let (mut sound, mut lost, mut apart, mut halted, mut whole, mut refused) = (0, 0, 0, 0, 0, 0);
    for seed in seeds {
        let mut random = SplitMix(seed);
        let mut bytes = original.bytes.clone();
        let changed = damage(&mut bytes, &mut random);
        println!("SEED={seed}");
        let Some(mended) = mend(&original, &bytes) else {
            sound += 1;
            continue;
        };
        refused += 1;
        check_rows(&original, &mended, &changed);
        let (gaps, dropped) = (&mended.salvaged.gaps, &mended.salvaged.dropped);
        lost += gaps.lost().count();
        apart += gaps.apart().count();
        halted += u64::from(gaps.is_halted());
        let store = mended.open(&original.me);
        assert_eq!(store.read(|state| state.gaps.halt()), gaps.halt());
        if gaps.is_halted() {
            assert_nothing_leaves(&original, &store);
        }
        refetch(&original, &store);
        let after = store.scrub().unwrap();
        assert!(after.bad_events.is_empty() && after.damaged.is_empty());
        let has_keys = !dropped.contains_key(&layout::KEY) && !dropped.contains_key(&layout::META);
        // The root of a purged memory comes with the word that its keys are destroyed, which only
        // a session says.
        let is_purged = |lost: &crate::gaps::Lost| lost.event == Some(EventId(original.purged.0));
        let has_keys = has_keys && !gaps.lost().any(is_purged);
        if has_keys {
            let left = store.read(|state| state.gaps.lost().cloned().collect::<Vec<_>>());
            let nameless = left.iter().all(|lost| lost.event.is_none());
            let is_told = left.is_empty();
            assert!(is_told || nameless, "{left:?}");
            assert_eq!(store.read(|state| state.gaps.apart().count()), 0);
            assert!(said(&store) == original.said, "it says something else");
            if gaps.halt() == Halt::UntilBack && is_told {
                assert!(!store.read(|state| state.gaps.is_halted()), "all is back");
            }
            whole += 1;
        }
        let before = said(&store);
        store.rebuild(NOW).unwrap();
        assert!(said(&store) == before, "a rebuild says something else");
        store.close().unwrap();
        // Its log has no gap any more, and it opens as any other.
        assert!(
            salvage(&mended.path(), &original.me.master)
                .unwrap()
                .is_none()
        );
    }
    println!(
        "{refused} salvaged, {sound} not damaged, {lost} entries lost, {apart} apart, {halted} halted, \
         {whole} whole again"
    );
    assert!(only.is_some() || (lost > 0 && apart > 0 && halted > 0 && whole > 0));
}

fn assert_nothing_leaves(original: &Original, store: &Store) {
    let (me, to) = (original.me.me(), original.friend.me());
    let ids: Vec<EventId> = original.log.iter().map(Signed::id).collect();
    for person in [me, to] {
        let given = store.transact(NOW, |tx| tx.disclose(person, &ids, &[]));
        let given = given.unwrap();
        assert!(given.memories.is_empty(), "something left");
    }
    store.read(|state| {
        state.own_view(&mut |_, _| panic!("it is in the view of a device"));
        state.pair_view(to, NOW, &mut |facts, _| {
            assert_ne!(facts.owner, me, "it is in the view of a friend");
        });
    });
    let own = store.consent_beyond(me, &Frontier::new()).unwrap();
    assert!(own.is_empty());
}

/// Overwrites every copy of an entry of the log.
fn lose(
    original: &Original,
    bytes: &mut [u8],
    is_it: impl Fn(&Signed<Event>) -> bool,
) -> Vec<EventId> {
    let mut lost = Vec::new();
    for (place, event) in (1..).zip(&original.log) {
        if !is_it(event) {
            continue;
        }
        let sealed = &original.sealed[&(layout::LOG, ordered(place).to_vec())];
        while let Some(at) = find(bytes, &sealed[..64]) {
            bytes[at + 30] ^= 1;
        }
        lost.push(event.id());
    }
    lost
}

/// An event of consent is asked for again: what is known of its writer ends before it.
fn assert_asked_for(original: &Original, store: &Store, id: EventId) {
    let it = original.log.iter().find(|event| event.id() == id).unwrap();
    let header = it.header();
    let writer = (header.author, header.incarnation, header.feed.name());
    let known = store.consent_frontier(original.friend.me());
    assert!(known.get(&writer).copied().unwrap_or_default() <= header.number);
}

#[test]
fn a_lost_revocation_lets_nothing_leave_until_it_is_back() {
    let mut original = Original::new();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.redb");
    std::fs::write(&path, &original.bytes).unwrap();
    let store = open_at(&original.me, &path, &folder.path().join("text"));
    let grant = original.grant;
    store
        .transact(NOW, |tx| tx.revoke(grant, "enough".to_owned()))
        .unwrap();
    let head = store.read(|state| state.head);
    let log = (1..=head).map(|at| store.event_at(at).unwrap().unwrap());
    original.log = log.collect();
    store.close().unwrap();
    drop(store);
    let disk = DiskStore::open(&path).unwrap();
    original.sealed = rows(&disk);
    disk.close().unwrap();
    original.bytes = std::fs::read(&path).unwrap();

    let mut bytes = original.bytes.clone();
    let is_it = |event: &Signed<Event>| event.header().kind == Kind::Revocation;
    let lost = lose(&original, &mut bytes, is_it);
    assert_eq!(lost.len(), 1);
    let mended = mend(&original, &bytes).unwrap();
    let gaps = &mended.salvaged.gaps;
    assert_eq!(gaps.halt(), Halt::UntilBack);
    let named: Vec<_> = gaps
        .lost()
        .map(|lost| (lost.event, lost.is_consent))
        .collect();
    assert_eq!(named, [(Some(lost[0]), true)]);

    let store = mended.open(&original.me);
    let to = original.friend.me();
    let is_open = |store: &Store| {
        store.read(|state| {
            state
                .authority
                .grants_to(state.me, to, NOW)
                .next()
                .is_some()
        })
    };
    assert!(is_open(&store), "the node does not know better");
    assert_nothing_leaves(&original, &store);
    // A peer that shows everything else does not get it to go on.
    let me = original.me.me();
    let rest: Vec<_> = original
        .log
        .iter()
        .filter(|event| event.memory().is_none() && event.id() != lost[0])
        .map(|event| event.bytes().to_vec())
        .collect();
    let taken: Result<_, StoreError> = store.transact(NOW, |tx| tx.take_consent(me, &rest));
    taken.unwrap();
    assert_nothing_leaves(&original, &store);
    assert_asked_for(&original, &store, lost[0]);
    refetch(&original, &store);
    assert!(!is_open(&store));
    assert!(store.read(|state| state.gaps.is_empty()));
}

#[test]
fn what_was_lost_between_two_consents_is_asked_for_again() {
    let original = Original::new();
    let mut bytes = original.bytes.clone();
    let me = original.me.owner().device.id();
    // My device's first consent with the friend: those after it in the same feed are whole.
    let is_mine = |event: &Signed<Event>| {
        let header = event.header();
        header.author == me && matches!(header.feed, crdt::event::Feed::Pair(_))
    };
    let first = original.log.iter().find(|event| is_mine(event)).unwrap();
    let header = first.header();
    let count = original
        .log
        .iter()
        .filter(|event| is_mine(event) && event.header().incarnation == header.incarnation);
    assert!(count.count() > 1);
    let id = first.id();
    lose(&original, &mut bytes, |event| event.id() == id);
    let mended = mend(&original, &bytes).unwrap();
    assert!(mended.salvaged.gaps.apart().count() > 0);
    let store = mended.open(&original.me);
    let writer = (header.author, header.incarnation, header.feed.name());
    let known = store.consent_frontier(original.friend.me());
    assert_eq!(
        known.get(&writer),
        None,
        "nothing beyond the gap is claimed"
    );
    // The friend alone brings it back; what was apart follows by itself.
    let friend = original.friend.me();
    let it = [first.bytes().to_vec()];
    let taken: Result<_, StoreError> = store.transact(NOW, |tx| tx.take_consent(friend, &it));
    assert_eq!(taken.unwrap().stored, 1);
    assert!(store.read(|state| state.gaps.is_empty()));
    assert!(said(&store) == original.said);
}

#[test]
fn own_changes_come_back_and_no_feed_forks() {
    let original = Original::new();
    let mut bytes = original.bytes.clone();
    let edited = original
        .log
        .iter()
        .find(|event| event.header().kind == Kind::Change)
        .unwrap();
    let memory = edited.memory().unwrap();
    let id = edited.id();
    lose(&original, &mut bytes, |event| event.id() == id);
    let mended = mend(&original, &bytes).unwrap();
    let gaps = &mended.salvaged.gaps;
    assert_eq!(gaps.halt(), Halt::None, "it is known to be no consent");
    assert!(gaps.lost().all(|lost| lost.memory == Some(memory)));
    assert!(gaps.lost().all(|lost| lost.title.is_some()));
    assert!(gaps.apart().count() > 0, "a later change builds on it");
    let store = mended.open(&original.me);
    assert!(
        store.content(memory).unwrap().is_some(),
        "as far as it goes"
    );
    // The person goes on writing in the memory before the change is back.
    let host = Bench {
        store: Some(store),
        ..Bench::new(1)
    };
    let tags = Edit {
        title: Some("meanwhile".to_owned()),
        ..Edit::default()
    };
    host.change(memory, tags);
    refetch(&original, host.store());
    let (forks, is_whole) = host
        .store()
        .read(|state| (state.frozen().count(), state.gaps.is_empty()));
    assert_eq!((forks, is_whole), (0, true));
    let facts = host
        .store()
        .read(|state| Facts::clone(&state.memories[&memory]));
    assert!(facts.events().any(|(_, event)| event == id));
    assert_eq!(facts.heads().len(), 2, "both count, side by side");
}

#[test]
fn a_person_can_say_that_things_may_leave_again() {
    let original = Original::new();
    let mut bytes = original.bytes.clone();
    lose(&original, &mut bytes, |event| {
        event.header().kind == Kind::Offer
    });
    let mended = mend(&original, &bytes).unwrap();
    assert!(mended.salvaged.gaps.is_halted());
    assert!(resume(&mended.path(), &original.me.master).unwrap());
    assert!(!resume(&mended.path(), &original.me.master).unwrap());
    let store = mended.open(&original.me);
    assert_eq!(store.read(|state| state.gaps.halt()), Halt::None);
    assert!(
        store.read(|state| state.gaps.lost().count()) > 0,
        "it stays named"
    );
}

#[test]
fn a_salvage_that_stopped_in_between_is_done_again() {
    let original = Original::new();
    let mut bytes = original.bytes.clone();
    lose(&original, &mut bytes, |event| {
        event.header().kind == Kind::Change
    });
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.redb");
    std::fs::write(&path, &bytes).unwrap();
    // Half of a new file, and the second name of the old one.
    std::fs::write(folder.path().join("store.redb.salvaging"), &bytes[..5_000]).unwrap();
    std::fs::hard_link(&path, folder.path().join("store.redb.damaged-1")).unwrap();
    let salvaged = salvage(&path, &original.me.master).unwrap().unwrap();
    assert_eq!(salvaged.aside, folder.path().join("store.redb.damaged-1"));
    assert!(salvage(&path, &original.me.master).unwrap().is_none());
    // Another damage later takes another name.
    std::fs::write(&path, &bytes).unwrap();
    let salvaged = salvage(&path, &original.me.master).unwrap().unwrap();
    assert_eq!(salvaged.aside, folder.path().join("store.redb.damaged-2"));
    let left = std::fs::read_dir(folder.path()).unwrap().count();
    assert_eq!(left, 4, "store, its lock, and two damaged files");
}
