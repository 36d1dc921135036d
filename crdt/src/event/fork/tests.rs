//! What counts after a fork: whose branch, in any order, and of what is shown alone.

use super::*;
use crate::envelope::Epoch;
use crate::envelope::pack::Packing;
use crate::hash::Hash;
use crate::id::MemoryId;
use crate::identity::DeviceKey;
use crate::testing::Entropy;
use crate::time::Hybrid;

const OWNER: u8 = 1;

/// Makes an event of a device; each device is a person of its own, and 1 the owner.
fn event(
    device: u8,
    memory: Option<MemoryId>,
    after: Option<&Signed<Event>>,
    parents: &[&Signed<Event>],
    salt: u8,
) -> Signed<Event> {
    let key = DeviceKey::from_seed(&[device; 32]);
    let mut parents: Vec<EventId> = parents.iter().map(|parent| parent.id()).collect();
    parents.sort_unstable();
    let header = Header {
        kind: memory.map_or(Kind::Root, |_| Kind::Change),
        author: key.id(),
        incarnation: Incarnation([1; 16]),
        person: PersonId([device; 32]),
        owner: PersonId([OWNER; 32]),
        feed: memory.map_or(Feed::Root, Feed::Memory),
        number: after.map_or(0, |after| after.header().number + 1),
        previous: after.map(Signed::id),
        time: Hybrid(u64::from(salt)),
        parents,
        authority: Vec::new(),
        epoch: Epoch(0),
        commitment: Some(Hash([3; 32])),
        packing: Packing::Plain,
    };
    let body = vec![salt];
    Event { header, body }.sign(&key)
}

/// A root of the owner, and two events of a writer with number 0, the smaller id first.
fn forked() -> (Signed<Event>, MemoryId, [Signed<Event>; 2]) {
    let root = event(OWNER, None, None, &[], 0);
    let memory = root.id().as_memory();
    let mut both = [1, 2].map(|salt| event(2, Some(memory), None, &[&root], salt));
    both.sort_unstable_by_key(Signed::id);
    (root, memory, both)
}

fn count(events: &[&Signed<Event>]) -> Counting {
    let events: Vec<_> = events.iter().map(|event| (*event).clone()).collect();
    counting(&events, &|_| None)
}

fn ids(events: &[&Signed<Event>]) -> BTreeSet<EventId> {
    events.iter().map(|event| event.id()).collect()
}

#[test]
fn without_a_fork_everything_counts() {
    let (root, memory, [one, _]) = forked();
    let next = event(2, Some(memory), Some(&one), &[&one], 3);
    let found = count(&[&root, &one, &next]);
    assert_eq!(found.counted, ids(&[&root, &one, &next]));
    assert_eq!((found.shown, found.frozen), (found.counted, Vec::new()));
}

#[test]
fn of_a_fork_that_nobody_built_on_neither_counts_and_both_are_shown() {
    let (root, memory, [one, other]) = forked();
    let next = event(2, Some(memory), Some(&one), &[&one], 3);
    let found = count(&[&root, &one, &next, &other]);
    assert_eq!(found.counted, ids(&[&root]));
    assert_eq!(found.shown, ids(&[&root, &one, &other]));
    let [frozen] = found.frozen.as_slice() else {
        panic!("one feed forked: {:?}", found.frozen);
    };
    assert_eq!(
        (frozen.number, frozen.first, frozen.second),
        (0, one.id(), other.id())
    );
}

#[test]
fn what_others_built_on_stays_and_the_owners_choice_goes_first() {
    let (root, memory, [one, other]) = forked();
    let by_reader = event(3, Some(memory), None, &[&one], 3);
    let found = count(&[&root, &one, &other, &by_reader]);
    assert_eq!(found.counted, ids(&[&root, &one, &by_reader]));
    // The owner built on the one with the greater id: that one is it.
    let by_owner = event(OWNER, Some(memory), Some(&root), &[&other], 4);
    let all = [&root, &one, &other, &by_reader, &by_owner];
    let found = count(&all);
    assert_eq!(found.counted, ids(&[&root, &other, &by_owner]));
    assert_eq!(found.shown, ids(&all), "what honest writers wrote is shown");
}

#[test]
fn a_proof_made_later_takes_nothing_from_those_who_built_on_it() {
    let (root, memory, [one, other]) = forked();
    let next = event(2, Some(memory), Some(&one), &[&one], 3);
    let last = event(2, Some(memory), Some(&next), &[&next], 4);
    let by_owner = event(OWNER, Some(memory), Some(&root), &[&next], 5);
    let found = count(&[&root, &one, &next, &by_owner, &last, &other]);
    assert_eq!(found.counted, ids(&[&root, &one, &next, &by_owner]));
}

#[test]
fn what_the_owners_cut_names_was_accepted() {
    let (root, memory, [one, other]) = forked();
    let next = event(2, Some(memory), Some(&other), &[&other], 3);
    let by_reader = event(3, Some(memory), None, &[&one], 4);
    let events: Vec<_> = [&root, &one, &other, &next, &by_reader]
        .into_iter()
        .cloned()
        .collect();
    let found = counting(&events, &|header| {
        (header.author == next.header().author).then(|| next.id())
    });
    assert_eq!(found.counted, ids(&[&root, &other, &next]));
}

#[test]
fn a_root_counts_whatever_its_author_signs_beside_it() {
    let (root, memory, _) = forked();
    let beside = event(OWNER, Some(memory), None, &[&root], 9);
    let found = count(&[&root, &beside]);
    assert_eq!(found.counted, ids(&[&root]));
    assert_eq!(
        (found.frozen[0].first, found.frozen[0].second),
        (root.id(), beside.id())
    );
}

/// Draws a memory in which three devices write and fork, each on what it may have seen.
fn drawn(seed: u64) -> Vec<Signed<Event>> {
    let mut rng = Entropy::new(seed);
    let mut below = |end: usize| usize::try_from(rng.below(end as u64)).unwrap();
    let root = event(OWNER, None, None, &[], 0);
    let memory = root.id().as_memory();
    let mut events = vec![root];
    for salt in 1..16 {
        let device = u8::try_from(1 + below(3)).unwrap();
        let author = DeviceKey::from_seed(&[device; 32]).id();
        let own: Vec<_> = events
            .iter()
            .filter(|e| e.header().author == author)
            .collect();
        // Often the last, sometimes an earlier one: a fork.
        let back = if below(3) == 0 {
            below(own.len() + 1)
        } else {
            0
        };
        let after = own.len().checked_sub(back + 1).map(|at| own[at]);
        let seen = &events[below(events.len())];
        let parents: Vec<_> = after.into_iter().chain([seen]).collect();
        let parents: BTreeMap<_, _> = parents.into_iter().map(|e| (e.id(), e)).collect();
        let parents: Vec<_> = parents.into_values().collect();
        events.push(event(device, Some(memory), after, &parents, salt));
    }
    events
}

#[test]
fn the_answer_is_one_of_the_set_and_of_what_is_shown() {
    let (mut forks, mut hidden) = (0, 0);
    for seed in 0..2_000 {
        let events = drawn(seed);
        let found = counting(&events, &|_| None);
        let mut turned = events.clone();
        turned.reverse();
        turned.rotate_left(usize::try_from(seed % 7).unwrap());
        assert_eq!(found, counting(&turned, &|_| None), "seed {seed}");
        let shown: Vec<_> = events
            .iter()
            .filter(|event| found.shown.contains(&event.id()))
            .cloned()
            .collect();
        assert_eq!(
            found,
            counting(&shown, &|_| None),
            "seed {seed}: of what is shown"
        );
        assert!(found.counted.is_subset(&found.shown), "seed {seed}");
        // No place has two events that count: the document could not hold both.
        let mut places = BTreeSet::new();
        for event in events.iter().filter(|e| found.counted.contains(&e.id())) {
            let is_free = places.insert((event.header().author, event.header().number));
            assert!(is_free || event.header().kind == Kind::Root, "seed {seed}");
        }
        forks += usize::from(!found.frozen.is_empty());
        hidden += usize::from(shown.len() < events.len());
    }
    assert!(
        forks > 1_000 && hidden > 100,
        "{forks} forks, {hidden} hidden"
    );
}
