//! A view that was searched in before shows what it would show the first time, after any change.

use crdt::testing::Entropy;

use super::known::{query, text, word};
use super::*;

const ROUNDS: u64 = 12;
const DOCUMENTS: u64 = 240;
/// More than are kept, so that some are kept and some were let go of.
const VIEWS: u64 = 6;

#[test]
fn a_view_asked_again_shows_what_is_there_now() {
    let mut random = Entropy::new(11);
    let (_folder, index_of_all) = index(&[]);
    let views = (0..VIEWS).map(|number| {
        // Two of each size.
        let (part, rest) = (2 + number / 2, number % 2);
        let slots = (0..DOCUMENTS).filter(|slot| slot % part == rest);
        slots.map(Slot).collect()
    });
    let views: Vec<SlotSet> = views.collect();
    let mut docs = BTreeMap::new();
    for round in 1..=ROUNDS {
        for _ in 0..30 {
            let slot = random.below(DOCUMENTS);
            // Some rounds change no segment but by deletions.
            if round % 3 == 0 || random.below(4) == 0 {
                docs.remove(&slot);
                index_of_all.apply(&[], &[Slot(slot)], round).unwrap();
            } else {
                let put = doc(slot, word(&mut random), &text(&mut random), &[]);
                let put = std::slice::from_ref(&put);
                index_of_all.apply(put, &[], round).unwrap();
                docs.extend(put.iter().map(|doc| (slot, doc.clone())));
            }
        }
        for _ in 0..12 {
            let view = &views[usize::try_from(random.below(VIEWS)).unwrap()];
            let shown = docs.values().filter(|doc| view.contains(doc.slot));
            let (_folder, alone) = index(&shown.cloned().collect::<Vec<_>>());
            let query = query(&mut random);
            let seen = |index: &TextIndex| hits(index, &query, Some(view), 500);
            assert_eq!(seen(&index_of_all), seen(&alone));
        }
    }
}
