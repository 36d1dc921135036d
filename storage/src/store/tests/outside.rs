//! Memories outside the asker's view influence nothing of what a search says.
//!
//! Two stores: one holds the view and much else, the other the view alone. The first is searched
//! within the view, the second without any filter, which is brute force over what may be seen. Hits,
//! order, scores and reasons have to be the same, bit by bit: what is outside cannot have moved a
//! length, a rarity, a guess at a misspelt word or a nearest neighbour.

use super::*;
use crate::kv::faulty::SplitMix;
use crate::search::Hit;
use crate::search::snippet::snippet;

const MEMORIES: u64 = 2_000;
/// Memories in the view, of a thousand.
const SELECTED: [u64; 4] = [1, 10, 100, 500];
/// Words inside are drawn from the first ones; those outside use all, and far more often.
const WORDS: [&str; 12] = [
    "harbour",
    "violin",
    "granite",
    "orchard",
    "umbrella",
    "telescope",
    "harbor",
    "violet",
    "granitic",
    "orchid",
    "umbra",
    "telegraph",
];
const INSIDE: u64 = 8;
/// As written, misspelt, begun, quoted, of several words, and unknown inside.
const QUERIES: [&str; 10] = [
    "harbour",
    "harbuor",
    "viol",
    "violin granite",
    "\"granite orchard\"",
    "orchards",
    "telegraph",
    "umbrela telescope",
    "tag1 harbour",
    "title",
];

struct Doc {
    title: String,
    body: String,
    tags: Vec<String>,
}

fn doc(number: u64, is_inside: bool, random: &mut SplitMix) -> Doc {
    let words = if is_inside { INSIDE } else { 12 };
    let length = if is_inside {
        3 + random.below(12)
    } else {
        1 + random.below(60)
    };
    let mut word = || {
        let place = usize::try_from(random.below(words)).unwrap();
        WORDS[place]
    };
    let body: Vec<&str> = (0..length).map(|_| word()).collect();
    Doc {
        title: format!("title {}", word()),
        body: body.join(" "),
        tags: vec![format!("tag{}", number % 3)],
    }
}

fn vector(number: u64) -> Vec<f32> {
    let hash = blake3::hash(&number.to_le_bytes());
    let parts = hash.as_bytes().iter().take(4);
    parts.map(|byte| f32::from(*byte) - 127.5).collect()
}

/// Keeps documents in one store, each under its number, and returns the numbers by slot.
fn keep(bench: &Bench, docs: &[(u64, &Doc)]) -> BTreeMap<u64, u64> {
    let mut kept = Vec::new();
    for part in docs.chunks(200) {
        let made = bench.store().transact::<_, WriteError>(NOW, |tx| {
            for (number, doc) in part {
                let mut content = Content::new(MemoryKind::Note, NOW);
                content.title.clone_from(&doc.title);
                content.body.clone_from(&doc.body);
                content.tags = doc.tags.iter().cloned().collect();
                kept.push((*number, tx.create(&content, &SidecarPatch::default())?));
            }
            Ok(())
        });
        made.unwrap();
    }
    let vectors: Vec<_> = kept
        .iter()
        .map(|(number, memory)| (*memory, vec![vector(*number)]))
        .collect();
    let (_, span) = bench.store().due(Generation::BuiltIn, u64::MAX).unwrap();
    let put = bench
        .store()
        .put_vectors(Generation::BuiltIn, &vectors, span);
    assert!(put.unwrap());
    let slot = |memory: &MemoryId| bench.store().read(|state| state.memories[memory].slot);
    kept.iter()
        .map(|(number, memory)| (slot(memory), *number))
        .collect()
}

fn ask(bench: &Bench, query: &str, allowed: Option<&SlotSet>, mode: SearchMode) -> Vec<Hit> {
    let parsed = TextQuery::parse(query);
    let vector = vector(u64::try_from(query.len()).unwrap());
    let request = SearchRequest {
        query: &parsed,
        vector: Some(&vector),
        allowed,
        mode,
        limit: 25,
        fusion: Fusion::default(),
    };
    bench.store().search(Generation::BuiltIn, &request).unwrap()
}

/// What a search says: which, in which order, how much, why, and in which words.
fn said(bench: &Bench, hits: Vec<Hit>, numbers: &BTreeMap<u64, u64>) -> Vec<String> {
    let told = hits.into_iter().map(|hit| {
        let memory = bench.store().read(|state| state.slots[&hit.slot.0]);
        let content = bench.store().content(memory).unwrap().unwrap();
        let snippet = snippet(&content.body, &hit.why.terms, 80);
        let number = numbers[&hit.slot.0];
        format!("{number} {} {:?} {snippet:?}", hit.score.to_bits(), hit.why)
    });
    told.collect()
}

#[test]
fn what_is_outside_the_view_influences_nothing() {
    let mut compared = 0;
    for selected in SELECTED {
        let mut random = SplitMix(selected);
        let inside = |number: u64| number % 1_000 < selected;
        let docs: Vec<(u64, Doc)> = (0..MEMORIES)
            .map(|number| (number, doc(number, inside(number), &mut random)))
            .collect();
        let (all, alone) = (Bench::new(1), Bench::new(2));
        let everything: Vec<_> = docs.iter().map(|(number, doc)| (*number, doc)).collect();
        let seen: Vec<_> = everything
            .iter()
            .filter(|(number, _)| inside(*number))
            .copied()
            .collect();
        let (of_all, of_alone) = (keep(&all, &everything), keep(&alone, &seen));
        let view: SlotSet = of_all
            .iter()
            .filter(|(_, number)| inside(**number))
            .map(|(slot, _)| Slot(*slot))
            .collect();
        assert_eq!(view.len(), u64::try_from(seen.len()).unwrap());
        for mode in [SearchMode::Hybrid, SearchMode::Text, SearchMode::Vector] {
            for query in QUERIES {
                let within = said(&all, ask(&all, query, Some(&view), mode), &of_all);
                let brute = said(&alone, ask(&alone, query, None, mode), &of_alone);
                assert_eq!(within, brute, "{query} {mode:?}, {selected} of 1000");
                compared += within.len();
            }
        }
    }
    println!("{compared} hits compared with those of a store that holds the view alone");
    assert!(compared > 500);
}

#[test]
fn what_is_outside_changes_and_nothing_is_said_differently() {
    let bench = Bench::new(1);
    let mut random = SplitMix(9);
    let docs: Vec<(u64, Doc)> = (0..60)
        .map(|number| (number, doc(number, true, &mut random)))
        .collect();
    let docs: Vec<_> = docs.iter().map(|(number, doc)| (*number, doc)).collect();
    let numbers = keep(&bench, &docs);
    let view: SlotSet = numbers.keys().map(|slot| Slot(*slot)).collect();
    let answers = || {
        let modes = [SearchMode::Hybrid, SearchMode::Text, SearchMode::Vector];
        let asked = modes
            .into_iter()
            .flat_map(|mode| QUERIES.map(|query| (mode, query)));
        asked
            .map(|(mode, query)| said(&bench, ask(&bench, query, Some(&view), mode), &numbers))
            .collect::<Vec<_>>()
    };
    let before = answers();
    for step in 0..12 {
        let outside: Vec<(u64, Doc)> = (0..10)
            .map(|at| (1_000 + step * 10 + at, doc(at, false, &mut random)))
            .collect();
        let outside: Vec<_> = outside.iter().map(|(number, doc)| (*number, doc)).collect();
        let made = keep(&bench, &outside);
        if step % 3 == 2 {
            let slot = made.keys().next().unwrap();
            let memory = bench.store().read(|state| state.slots[slot]);
            bench.purge(memory);
        }
        assert!(
            before == answers(),
            "step {step}: what is outside was noticed"
        );
    }
}
