//! Every stack against an ordered map, under the same random commands.

use std::collections::BTreeMap;

use crate::kv::faulty::SplitMix;
use crate::kv::{Batch, Direction, Durability, Scan};

use super::{NOTES, each};

#[test]
fn every_stack_agrees_with_an_ordered_map() {
    each(|stack, store| {
        let mut random = SplitMix(7);
        let mut model: BTreeMap<Vec<u8>, Vec<u8>> = BTreeMap::new();
        for step in 0..120 {
            let batch = random_batch(&mut random, &mut model);
            let durability =
                [Durability::Relaxed, Durability::Durable][usize::from(random.below(4) == 0)];
            store.commit(batch, durability).unwrap();
            let prefix = vec![key(&mut random)[0]; usize::from(random.coin())];
            let scan = Scan {
                direction: [Direction::Ascending, Direction::Descending]
                    [usize::from(random.coin())],
                after: random.coin().then(|| key(&mut random)),
                prefix,
                max: usize::try_from(random.below(8)).unwrap(),
            };
            let page = store.scan(NOTES, &scan).unwrap();
            let found: Vec<_> = page.items.into_iter().map(|i| (i.key, i.value)).collect();
            let expect = expected(&model, &scan);
            let shown: Vec<_> = expect.iter().take(scan.max).cloned().collect();
            assert_eq!(found, shown, "{} step {step} {scan:?}", stack.name);
            assert_eq!(
                page.more,
                expect.len() > scan.max,
                "{} step {step}",
                stack.name
            );
        }
    });
}

fn key(random: &mut SplitMix) -> Vec<u8> {
    let alphabet = [0, 1, 0x61, 0xff];
    (0..=random.below(2))
        .map(|_| alphabet[usize::try_from(random.below(4)).unwrap()])
        .collect()
}

fn random_batch(random: &mut SplitMix, model: &mut BTreeMap<Vec<u8>, Vec<u8>>) -> Batch {
    let mut batch = Batch::new();
    for _ in 0..random.below(6) {
        let key = key(random);
        match random.below(20) {
            0 => {
                model.clear();
                batch.delete_all(NOTES);
            }
            1..=5 => {
                model.remove(&key);
                batch.delete(NOTES, key);
            }
            n => {
                let value = vec![n.to_le_bytes()[0]; usize::try_from(random.below(40)).unwrap()];
                model.insert(key.clone(), value.clone());
                batch.put(NOTES, key, value);
            }
        }
    }
    batch
}

fn expected(model: &BTreeMap<Vec<u8>, Vec<u8>>, scan: &Scan) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut rows: Vec<_> = model
        .iter()
        .filter(|(key, _)| key.starts_with(&scan.prefix))
        .filter(|(key, _)| match (&scan.after, scan.direction) {
            (None, _) => true,
            (Some(after), Direction::Ascending) => *key > after,
            (Some(after), Direction::Descending) => *key < after,
        })
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    if scan.direction == Direction::Descending {
        rows.reverse();
    }
    rows
}
