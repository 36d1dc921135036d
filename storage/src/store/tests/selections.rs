//! A remembered selection answers as asking every memory does, whatever happened in between.

use super::*;
use crate::kv::faulty::SplitMix;
use crdt::memory::Status;
use std::collections::BTreeSet;

const STEPS: u64 = 400;
const SELECTORS: [&str; 8] = [
    "",
    "tag:a",
    "tag:a -tag:b",
    "space:work OR tag:b",
    "from:friend",
    "from:pal",
    "status:active kind:note",
    "created:>2020-01-01",
];

/// Asks every memory.
fn asked_anew(store: &Store, selector: &Selector) -> SlotSet {
    store.read(|state| {
        let facts = state.memories.values();
        let fits = facts
            .filter(|facts| state.is_shown(facts) && selector.matches(&state.label(facts, NOW)));
        fits.map(|facts| Slot(facts.slot)).collect()
    })
}

/// Does one of the things that change what a selector takes in.
fn step(bench: &Bench, memories: &mut Vec<MemoryId>, random: &mut SplitMix) {
    let pick = usize::try_from(random.below(1_000)).unwrap();
    let some = memories.get(pick % memories.len().max(1)).copied();
    let tag = if pick % 2 == 0 { "a" } else { "b/below" };
    match (random.below(8), some) {
        (0..=2, _) | (_, None) => memories.push(bench.keep(|content| {
            content.tags = [tag.to_owned()].into();
        })),
        (3, Some(memory)) => {
            let edit = Edit {
                add_tags: BTreeSet::from([tag.to_owned()]),
                ..Edit::default()
            };
            bench.change(memory, edit);
        }
        (4, Some(memory)) => {
            let status = if pick % 3 == 0 {
                Status::Active
            } else {
                Status::Forgotten
            };
            let edit = Edit {
                status: Some(status),
                ..Edit::default()
            };
            bench.change(memory, edit);
        }
        (5, Some(memory)) => {
            let sidecar = SidecarPatch {
                space: Some(if pick % 2 == 0 { "work" } else { "home" }.to_owned()),
                tags: [(tag.to_owned(), pick % 3 == 0)].into(),
                ..SidecarPatch::default()
            };
            bench.label(memory, sidecar);
        }
        (6, Some(memory)) => {
            bench.purge(memory);
            memories.retain(|other| *other != memory);
        }
        (_, Some(_)) => {
            let friend = bench
                .store()
                .read(|state| state.peers.keys().next().copied());
            let name = if pick % 2 == 0 { "friend" } else { "pal" };
            let renamed = bench.store().transact::<_, StoreError>(NOW, |tx| {
                friend.map_or(Ok(false), |friend| {
                    tx.change_peer(friend, Some(name.to_owned()), None)
                })
            });
            assert!(renamed.unwrap());
        }
    }
}

/// Sends a memory under a grant.
fn give(from: &Bench, to: &Bench, grant: GrantId, memory: MemoryId) {
    let (receiver, root) = (to.me(), [EventId(memory.0)]);
    let given = from
        .store()
        .transact(NOW, |tx| tx.disclose(receiver, &root, &[(grant, memory)]));
    for given in given.unwrap().memories {
        let events: Vec<Vec<u8>> = given.events.into_iter().map(|(_, bytes)| bytes).collect();
        let taken = to
            .store()
            .transact::<_, StoreError>(NOW, |tx| tx.take_content(from.me(), &events, &given.keys));
        assert_eq!(taken.unwrap().stored, 1);
    }
}

#[test]
fn a_remembered_selection_is_that_of_asking_all() {
    let (bench, friend) = (Bench::new(1), Bench::new(2));
    bench.pair(&friend);
    friend.pair(&bench);
    let theirs = friend.keep(|content| content.tags = ["t".to_owned()].into());
    let grant = friend.share(&bench);
    give(&friend, &bench, grant, theirs);
    let (mut memories, mut random) = (Vec::new(), SplitMix(20_261_127));
    let selectors = SELECTORS.map(|text| Selector::parse(text).unwrap());
    let mut sizes = [(u64::MAX, 0); SELECTORS.len()];
    for number in 0..STEPS {
        step(&bench, &mut memories, &mut random);
        for (selector, (least, most)) in selectors.iter().zip(&mut sizes) {
            // Not each time, so that several changes come together.
            if random.below(3) > 0 {
                continue;
            }
            let found = bench.store().selected(selector, NOW);
            assert_eq!(
                *found,
                asked_anew(bench.store(), selector),
                "step {number}: {selector}"
            );
            (*least, *most) = (found.len().min(*least), found.len().max(*most));
        }
    }
    for (selector, (least, most)) in selectors.iter().zip(sizes) {
        assert!(least < most, "{selector} selected the same all the time");
    }
}
