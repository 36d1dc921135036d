//! The best hits are those that a look at every document gives, though most documents are passed over.

use crdt::testing::Entropy;

use super::*;

/// More than are tallied at a time, several times over.
const DOCUMENTS: u64 = 7_000;
const QUERIES: usize = 300;
/// Words without other forms, each rarer than the one before.
const WORDS: [&str; 8] = ["qa", "qb", "qc", "qd", "qe", "qf", "qg", "qh"];

/// Writes some of the words, most often none; the rarest is in one document of some thousands.
fn text(random: &mut Entropy) -> String {
    let mut text = String::new();
    for (rank, word) in WORDS.iter().enumerate() {
        if random.below(100 << rank) < 5 {
            for _ in 0..=random.below(3) {
                text += word;
                text.push(' ');
            }
        }
    }
    for _ in 0..=random.below(30) {
        text += "zz ";
    }
    text
}

fn place(number: u64) -> usize {
    usize::try_from(number).unwrap()
}

fn query(random: &mut Entropy) -> String {
    let words = (0..=random.below(6)).map(|_| {
        let mut word = || WORDS[place(random.below(8))];
        match (word(), word(), word()) {
            (first, second, "qa") => format!("\"{first} {second}\""),
            (first, second, "qb") => format!("{first}_{second}"),
            (word, ..) => word.to_owned(),
        }
    });
    words.collect::<Vec<_>>().join(" ") + " "
}

#[test]
fn the_best_are_the_first_of_all_whatever_is_passed_over() {
    let mut random = Entropy::new(11);
    let docs: Vec<TextDoc> = (0..DOCUMENTS)
        .map(|slot| {
            let title = if random.below(100) == 0 { "qc qd" } else { "" };
            doc(slot, title, &text(&mut random), &[])
        })
        .collect();
    let (_folder, index) = index(&docs);
    let mut cut_short = 0;
    for _ in 0..QUERIES {
        let asked = query(&mut random);
        let query = TextQuery::parse(&asked);
        let all = hits(&index, &query, None, HITS_MAX);
        let limit = place(1 + random.below(40));
        let best = hits(&index, &query, None, limit);
        // With as many hits as are given at most, some would have been passed over there too.
        assert!(all.len() < HITS_MAX, "{asked:?}");
        cut_short += usize::from(all.len() > limit);
        assert_eq!(best, all[..limit.min(all.len())], "{asked:?}, {limit} hits");
    }
    assert!(cut_short > QUERIES / 2, "{cut_short}");
}

#[test]
fn of_equals_the_first_slots_are_given_however_many_there_are() {
    // The later a document lies, the smaller its slot: each is better than those before it.
    let docs: Vec<TextDoc> = (0..DOCUMENTS)
        .rev()
        .map(|slot| doc(slot, "", "qa", &[]))
        .collect();
    let (_folder, index) = index(&docs);
    for limit in [1, 3, 40] {
        let best = hits(&index, &TextQuery::parse("qa "), None, limit);
        let slots: Vec<u64> = best.iter().map(|hit| hit.slot.0).collect();
        let first: Vec<u64> = (0..DOCUMENTS).take(limit).collect();
        assert_eq!(slots, first);
    }
}
