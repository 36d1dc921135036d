//! Thousands of damaged changes: none panics, and what is admitted does no harm later.
//!
//! `SCALE=10` runs ten times as many; a failure names its seed.

use super::attacks::{chunk, data};
use super::*;
use std::collections::BTreeMap;

const MUTANTS: u64 = 3_000;

#[expect(
    clippy::disallowed_methods,
    reason = "a test is configured by its environment"
)]
fn scale() -> u64 {
    std::env::var("SCALE").map_or(1, |scale| scale.parse().unwrap())
}

/// Documents, each with a change of device 1 that it would admit and some that come after.
fn scenes() -> Vec<(Document, Vec<u8>, Vec<Change>)> {
    let mut author = document();
    let tags = Edit {
        title: Some("Rain".to_owned()),
        add_tags: ["a".to_owned(), "b".to_owned()].into(),
        remove_tags: ["rain".to_owned()].into(),
        source: Some(SourceEdit::Clear),
        add_attachments: vec![attachment(2)],
        ..Edit::default()
    };
    let edits = [
        body("We stayed in. It rained."),
        tags,
        splice(3, 4, "zz"),
        splice(0, 10, ""),
    ];
    let states: Vec<_> = edits
        .iter()
        .map(|next| (author.clone(), edit(&mut author, 1, next)))
        .collect();
    let changes: Vec<_> = states.iter().map(|(_, change)| change.clone()).collect();
    states
        .into_iter()
        .enumerate()
        .map(|(at, (state, change))| (state, change.bytes, changes[at + 1..].to_vec()))
        .collect()
}

fn mutate(random: &mut Random, bytes: &mut Vec<u8>) {
    for _ in 0..=random.below(3) {
        let at = random.below(bytes.len());
        let value = u8::try_from(random.below(256)).unwrap();
        match random.below(7) {
            0 => bytes[at] ^= 1 << random.below(8),
            1 => bytes[at] = [0, 1, 0x40, 0x7f, 0x80, 0xff][random.below(6)],
            2 => bytes.insert(at, value),
            3 if bytes.len() > 1 => drop(bytes.remove(at)),
            4 => bytes[at] = bytes[at].wrapping_add(value % 7).wrapping_sub(3),
            5 => {
                let other = random.below(bytes.len());
                bytes.swap(at, other);
            }
            _ => {
                let end = (at + 1 + random.below(12)).min(bytes.len());
                let copy = bytes[at..end].to_vec();
                bytes.splice(at..at, copy);
            }
        }
    }
}

/// Does everything that a node does after it admitted a change.
fn live_on(mut document: Document, later: &[Change]) {
    for change in later {
        // It builds on the change that was damaged: refused, but never with a panic.
        assert!(admit(&mut document, 1, change).is_err());
    }
    let base = document.heads();
    let rewrite = Edit {
        title: Some("New".to_owned()),
        add_tags: ["new".to_owned()].into(),
        add_attachments: vec![attachment(9)],
        ..body("A new text.")
    };
    edit(&mut document, 2, &rewrite);
    document
        .edit(&writer(&document, 3), Some(&base), &body("Another."))
        .unwrap();
    edit(&mut document, 1, &splice(0, 1, "y"));
    let restored = Document::restore(MEMORY, &document.save()).unwrap();
    assert_eq!(restored.content(), document.content());
    assert_eq!(restored.heads(), document.heads());
    assert_eq!(document.content().check(), Ok(()));
}

#[test]
fn mutants_neither_panic_nor_harm() {
    let scenes = scenes();
    let mut verdicts: BTreeMap<&str, u64> = BTreeMap::new();
    for seed in 0..MUTANTS * scale() {
        let mut random = Random(seed);
        let (document, bytes, later) = &scenes[random.below(scenes.len())];
        let mut inside = data(bytes).to_vec();
        mutate(&mut random, &mut inside);
        let mutant = chunk(1, &inside);
        if mutant == *bytes {
            continue;
        }
        let mut copy = document.clone();
        let verdict = copy.admit(device(1), INCARNATION, &mutant);
        let code = verdict.as_ref().map_or_else(Refusal::code, |_| "admitted");
        *verdicts.entry(code).or_default() += 1;
        match verdict {
            Ok(_) => {
                let lived = std::panic::catch_unwind(|| live_on(copy, later));
                assert!(lived.is_ok(), "the mutant of seed {seed} did harm");
            }
            Err(_) => assert_eq!(copy.heads(), document.heads(), "seed {seed}"),
        }
    }
    // The test is worth something only if mutants reach every stage.
    for stage in [
        "admitted",
        "unreadable",
        "not_canonical",
        "truncated",
        "unknown_dependency",
    ] {
        assert!(
            verdicts.contains_key(stage),
            "no mutant was {stage}: {verdicts:?}"
        );
    }
}
