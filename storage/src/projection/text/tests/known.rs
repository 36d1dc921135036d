//! A word that was asked for before is answered as it would be the first time: after changes, and in
//! another view.

use crdt::testing::Entropy;

use super::*;

const ROUNDS: u64 = 12;
const DOCUMENTS: u64 = 300;
/// Words with other forms, some of them each other's, and the beginnings of longer ones.
const WORDS: [&str; 9] = [
    "run",
    "running",
    "runs",
    "baker",
    "bakers",
    "bread",
    "breads",
    "breadcrumb",
    "oven",
];

pub(super) fn text(random: &mut Entropy) -> String {
    let words = (0..random.below(8)).map(|_| word(random));
    words.collect::<Vec<_>>().join(" ")
}

pub(super) fn word(random: &mut Entropy) -> &'static str {
    WORDS[usize::try_from(random.below(9)).unwrap()]
}

/// A whole word, the beginning of one, or one that is mistyped.
pub(super) fn query(random: &mut Entropy) -> TextQuery {
    let (first, second) = (word(random), word(random));
    let asked = match random.below(5) {
        0 => format!("{first} {second}"),
        1 => first.chars().take(3).collect(),
        2 => format!("{first}x "),
        _ => format!("{first} {second} "),
    };
    TextQuery::parse(&asked)
}

fn slots(docs: &BTreeMap<u64, TextDoc>) -> SlotSet {
    docs.keys().copied().map(Slot).collect()
}

#[test]
fn a_word_asked_for_again_is_found_as_the_first_time() {
    let mut random = Entropy::new(5);
    let (_folder, asked_often) = index(&[]);
    let mut docs = BTreeMap::new();
    for round in 1..=ROUNDS {
        for _ in 0..40 {
            let slot = random.below(DOCUMENTS);
            // Some rounds add no segment, only deletions.
            if round % 4 == 0 || random.below(4) == 0 {
                docs.remove(&slot);
                asked_often.apply(&[], &[Slot(slot)], round).unwrap();
            } else {
                let put = doc(slot, word(&mut random), &text(&mut random), &[]);
                asked_often
                    .apply(std::slice::from_ref(&put), &[], round)
                    .unwrap();
                docs.insert(slot, put);
            }
        }
        let mut some = docs.clone();
        some.retain(|_, _| random.below(3) == 0);
        let made =
            |docs: &BTreeMap<u64, TextDoc>| index(&docs.values().cloned().collect::<Vec<_>>());
        for _ in 0..6 {
            let query = query(&mut random);
            // Neither of these was ever asked for anything.
            let ((_one, whole), (_other, part)) = (made(&docs), made(&some));
            let all = |index: &TextIndex, seen| hits(index, &query, seen, 500);
            let narrow = slots(&some);
            assert_eq!(all(&asked_often, None), all(&whole, None));
            let seen = all(&part, Some(&narrow));
            assert_eq!(all(&asked_often, Some(&narrow)), seen);
            // In this order the narrow view recalls what the whole one found, and then again.
            assert_eq!(all(&asked_often, None), all(&whole, None));
        }
    }
}
