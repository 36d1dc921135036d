//! Tests of the vector index against brute force.

use proptest::prelude::*;

use super::*;

const DIMENSIONS: usize = 32;

/// A small linear congruential generator: the tests need variety, not randomness.
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> f32 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        f32::from(u16::try_from(self.0 >> 48).unwrap()) / 32_768.0 - 1.0
    }

    fn vector(&mut self, dimensions: usize) -> Vec<f32> {
        (0..dimensions).map(|_| self.next()).collect()
    }
}

fn filled(slots: u64, chunks: usize, dimensions: usize) -> (VectorIndex, Vec<Vec<Vec<f32>>>) {
    let mut noise = Noise(7);
    let mut index = VectorIndex::new(dimensions);
    let mut all = Vec::new();
    for slot in 0..slots {
        let vectors: Vec<_> = (0..chunks).map(|_| noise.vector(dimensions)).collect();
        index.put(Slot(slot), &vectors).unwrap();
        all.push(vectors);
    }
    (index, all)
}

fn cosine(left: &[f32], right: &[f32]) -> f32 {
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
    dot(left, right) / (dot(left, left) * dot(right, right)).sqrt()
}

fn brute_force(all: &[Vec<Vec<f32>>], query: &[f32], limit: usize) -> Vec<u64> {
    let mut ranked: Vec<(u64, f32)> = (0u64..)
        .zip(all)
        .map(|(slot, chunks)| {
            (
                slot,
                chunks.iter().map(|c| cosine(c, query)).fold(-1.0, f32::max),
            )
        })
        .collect();
    ranked.sort_by(|left, right| right.1.total_cmp(&left.1));
    ranked
        .into_iter()
        .take(limit)
        .map(|(slot, _)| slot)
        .collect()
}

#[test]
fn recall_at_ten_against_exact_brute_force() {
    let (index, all) = filled(2_000, 2, DIMENSIONS);
    let mut noise = Noise(99);
    let mut quantised = 0;
    for _ in 0..50 {
        let query = noise.vector(DIMENSIONS);
        let truth = brute_force(&all, &query, 10);
        let found = index.search(&query, None, 10).unwrap();
        quantised += found.iter().filter(|hit| truth.contains(&hit.0.0)).count();
    }
    // Noise has no neighbours: what is missed lies within the rounding of what is found.
    assert!(quantised >= 475, "recall@10 of codes {quantised} of 500");
}

proptest! {
    #[test]
    fn a_filtered_search_equals_brute_force_over_the_filtered_set(
        allowed in prop::collection::btree_set(0u64..120, 0..120),
        removed in prop::collection::btree_set(0u64..100, 0..20),
        seed in 1u64..1000,
        limit in 0usize..40,
    ) {
        let (mut index, all) = filled(100, 2, DIMENSIONS);
        for slot in &removed {
            prop_assert!(index.remove(Slot(*slot)));
        }
        let query = Noise(seed).vector(DIMENSIONS);
        let set: SlotSet = allowed.iter().copied().map(Slot).collect();
        let mut only = VectorIndex::new(DIMENSIONS);
        for slot in allowed.difference(&removed).filter(|slot| **slot < 100) {
            only.put(Slot(*slot), &all[usize::try_from(*slot).unwrap()]).unwrap();
        }
        prop_assert_eq!(
            index.search(&query, Some(&set), limit).unwrap(),
            only.search(&query, None, limit).unwrap()
        );
    }

    #[test]
    fn whatever_was_put_and_removed_searches_equal_those_of_a_fresh_index(
        steps in prop::collection::vec((0u64..20, 0usize..4, any::<u64>()), 1..120),
        query in any::<u64>(),
    ) {
        let mut index = VectorIndex::new(8);
        let mut standing = std::collections::BTreeMap::new();
        for (slot, count, seed) in steps {
            let mut random = Noise(seed);
            let chunks: Vec<Vec<f32>> = (0..count).map(|_| random.vector(8)).collect();
            if chunks.is_empty() {
                prop_assert_eq!(index.remove(Slot(slot)), standing.remove(&slot).is_some());
            } else {
                index.put(Slot(slot), &chunks).unwrap();
                standing.insert(slot, chunks);
            }
        }
        let mut fresh = VectorIndex::new(8);
        for (slot, chunks) in &standing {
            fresh.put(Slot(*slot), chunks).unwrap();
        }
        let query = Noise(query).vector(8);
        let some: SlotSet = (0..4).map(|slot| Slot(slot * 5)).collect();
        for allowed in [None, Some(&some)] {
            let found = index.search(&query, allowed, 30).unwrap();
            prop_assert_eq!(&found, &fresh.search(&query, allowed, 30).unwrap());
        }
        prop_assert_eq!(index.len(), standing.len());
        // What is dead is a quarter at most, so the index is as large as what stands.
        prop_assert!(index.dead * DEAD_PART <= index.rows.len());
    }

    #[test]
    fn stored_vectors_survive_a_round_trip(
        chunks in prop::collection::vec(prop::collection::vec(-3.0f32..3.0, 8), 1..4),
    ) {
        let stored = SlotVectors::new(8, &chunks).unwrap();
        prop_assert_eq!(SlotVectors::decode(8, &stored.encode()).unwrap(), stored);
    }

    #[test]
    fn damaged_bytes_never_panic_and_what_is_read_is_what_would_be_written(
        at in 0usize..17, value in any::<u8>(),
    ) {
        let stored = SlotVectors::new(8, &[vec![0.5; 8]]).unwrap();
        let mut bytes = stored.encode();
        let changed = bytes[at] != value;
        bytes[at] = value;
        let decoded = SlotVectors::decode(8, &bytes);
        prop_assert!(!changed || at >= 5 || decoded.is_err());
        prop_assert!(decoded.is_err() || decoded.unwrap().encode() == bytes);
    }
}

#[test]
fn what_is_not_a_vector_is_refused() {
    fn check(chunks: &[Vec<f32>], expect: &VectorError) {
        let mut index = VectorIndex::new(2);
        assert_eq!(&index.put(Slot(1), chunks).unwrap_err(), expect);
        assert!(index.is_empty());
    }
    check(
        &[vec![1.0]],
        &VectorError::Dimensions {
            expected: 2,
            found: 1,
        },
    );
    check(&[vec![1.0, f32::NAN]], &VectorError::NotFinite);
    check(&[], &VectorError::Chunks { found: 0 });
    check(
        &vec![vec![1.0, 0.0]; CHUNKS_MAX + 1],
        &VectorError::Chunks {
            found: CHUNKS_MAX + 1,
        },
    );
    let index = VectorIndex::new(2);
    assert!(index.search(&[1.0], None, 1).is_err());
}

#[test]
fn stored_bytes_are_read_strictly() {
    let good = SlotVectors::new(2, &[vec![3.0, 4.0]]).unwrap().encode();
    let mut long = good.clone();
    long.push(0);
    assert_eq!(SlotVectors::decode(2, &long), Err(DecodeError::Length));
    assert_eq!(
        SlotVectors::decode(2, &good[..good.len() - 1]),
        Err(DecodeError::Length)
    );
    assert_eq!(SlotVectors::decode(2, &[]), Err(DecodeError::Length));
    assert!(SlotVectors::decode(3, &good).is_err());
    let mut newer = good;
    newer[0] = 4;
    assert_eq!(SlotVectors::decode(2, &newer), Err(DecodeError::Version(4)));
}

#[test]
fn vectors_of_the_first_version_are_read() {
    // Two dimensions, one chunk: a scale, two codes, and the values 0.6 and 0.8.
    let mut bytes = vec![1, 2, 0, 1, 0];
    bytes.extend((0.8_f32 / 127.0).to_le_bytes());
    bytes.extend([95, 127]);
    bytes.extend([0.6_f32, 0.8].iter().flat_map(|value| value.to_le_bytes()));
    let expect = SlotVectors::new(2, &[vec![3.0, 4.0]]).unwrap();
    assert_eq!(SlotVectors::decode(2, &bytes), Ok(expect));
}

#[test]
fn vectors_of_the_second_version_are_read() {
    // Two dimensions, one chunk: a scale, and codes of two bytes for 0.6 and 0.8.
    let mut bytes = vec![2, 2, 0, 1, 0];
    bytes.extend((0.8_f32 / 32_767.0).to_le_bytes());
    bytes.extend(
        [24_575_i16, 32_767]
            .iter()
            .flat_map(|code| code.to_le_bytes()),
    );
    let expect = SlotVectors::new(2, &[vec![3.0, 4.0]]).unwrap();
    let read = SlotVectors::decode(2, &bytes).unwrap();
    assert_eq!(read.vectors().codes(), expect.vectors().codes());
}

#[test]
fn codes_that_nobody_writes_are_refused() {
    let good = SlotVectors::new(2, &[vec![3.0, 4.0]]).unwrap().encode();
    for (at, value) in [(8, 0x7f), (8, 0xff), (10, 0x10)] {
        let mut bytes = good.clone();
        bytes[at] = value;
        assert_eq!(
            SlotVectors::decode(2, &bytes),
            Err(DecodeError::Codes),
            "{at}"
        );
    }
}

/// Rows in clusters, as texts are; uniform noise has no neighbours that a sieve could find.
#[test]
fn the_sieve_finds_what_a_full_scan_finds() {
    const WIDE: usize = 128;
    let mut noise = Noise(5);
    let centres: Vec<Vec<f32>> = (0..400).map(|_| noise.vector(WIDE)).collect();
    let near = |centre: &[f32], noise: &mut Noise| -> Vec<f32> {
        let other = noise.vector(WIDE);
        let pairs = centre.iter().zip(other);
        pairs.map(|(one, other)| one + 0.6 * other).collect()
    };
    let mut index = VectorIndex::new(WIDE);
    for slot in 0..SIEVE_ROWS_MIN as u64 + 500 {
        let centre = &centres[usize::try_from(slot).unwrap() % centres.len()];
        index.put(Slot(slot), &[near(centre, &mut noise)]).unwrap();
    }
    for slot in 0..200 {
        assert!(index.remove(Slot(slot * 3)));
    }
    let everything: SlotSet = (0..SIEVE_ROWS_MIN as u64 + 500).map(Slot).collect();
    let mut found = 0;
    for centre in centres.iter().take(40) {
        let query = near(centre, &mut noise);
        let sieved = index.search(&query, None, 10).unwrap();
        let full = index.search(&query, Some(&everything), 10).unwrap();
        found += sieved.iter().filter(|hit| full.contains(hit)).count();
    }
    assert!(found >= 390, "{found} of 400");
}

#[test]
fn a_put_replaces_and_the_best_chunk_counts() {
    let mut index = VectorIndex::new(2);
    index
        .put(Slot(1), &[vec![0.0, 1.0], vec![1.0, 0.0]])
        .unwrap();
    index.put(Slot(2), &[vec![0.7, 0.7]]).unwrap();
    let hits = index.search(&[1.0, 0.0], None, 5).unwrap();
    assert_eq!(hits.iter().map(|hit| hit.0.0).collect::<Vec<_>>(), [1, 2]);
    assert!((hits[0].1 - 1.0).abs() < 0.01 && (hits[1].1 - 0.707).abs() < 0.01);
    index.put(Slot(1), &[vec![0.0, 1.0]]).unwrap();
    let hits = index.search(&[1.0, 0.0], None, 5).unwrap();
    assert_eq!(hits.iter().map(|hit| hit.0.0).collect::<Vec<_>>(), [2, 1]);
    assert_eq!(index.len(), 2);
}
