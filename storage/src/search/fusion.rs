//! Fusion: one ranking out of two, as a convex sum of normalised scores.
//!
//! A score is normalised between the least it can be (0 for BM25, the floor for a cosine) and the
//! greatest one seen in this search. The least seen would not do: of two hits nearly alike it makes
//! a 1 and a 0. Rank fusion was measured to lower nDCG where words lead, and here words lead.
//! See Bruch, Gai and Ingber, "An Analysis of Fusion Functions for Hybrid Retrieval" (2023).
//!
//! Invariant: a hit of either side is in the result; the weights decide only where.

use super::SearchMode;
use crate::slots::Slot;

/// How the two sides are weighed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Fusion {
    /// The part of the score that comes from meaning, 0 to 1: about 0.2 for a static model and 0.3
    /// for a sentence model. More lets far meanings pass good words.
    pub vector_weight: f32,
    /// The least cosine of a hit by meaning. Less shows noise, more hides distant relatives; it
    /// depends on the embedding model.
    pub cosine_floor: f32,
}

impl Default for Fusion {
    fn default() -> Self {
        Self {
            vector_weight: 0.25,
            cosine_floor: 0.35,
        }
    }
}

/// A memory that was found by words, by meaning or by both.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Fused {
    /// The memory.
    pub slot: Slot,
    /// The fused score, 0 to 1; comparable only within one search.
    pub score: f32,
    /// The BM25 score, if it was found by words.
    pub text: Option<f32>,
    /// The cosine, if it is near in meaning.
    pub vector: Option<f32>,
}

/// Fuses what was found by words and what by meaning, each memory once in either, best first, equals
/// by slot.
pub fn fuse(
    text: &[(Slot, f32)],
    vectors: &[(Slot, f32)],
    mode: SearchMode,
    fusion: Fusion,
) -> Vec<Fused> {
    let floor = fusion.cosine_floor;
    let text = if mode == SearchMode::Vector {
        &[]
    } else {
        text
    };
    let near = vectors.iter().filter(|(_, cosine)| *cosine >= floor);
    let near: Vec<(Slot, f32)> = match mode {
        SearchMode::Text => Vec::new(),
        _ => near.copied().collect(),
    };
    let best_text = greatest(text);
    let best_cosine = greatest(&near);
    let weight = match mode {
        SearchMode::Text => 0.0,
        SearchMode::Vector => 1.0,
        SearchMode::Hybrid => fusion.vector_weight.clamp(0.0, 1.0),
    };
    let by_words = text.iter().map(|(slot, score)| Fused {
        slot: *slot,
        score: (1.0 - weight) * normalised(*score, 0.0, best_text),
        text: Some(*score),
        vector: None,
    });
    let by_meaning = near.iter().map(|(slot, cosine)| Fused {
        slot: *slot,
        score: weight * normalised(*cosine, floor, best_cosine),
        text: None,
        vector: Some(*cosine),
    });
    let mut found: Vec<Fused> = by_words.chain(by_meaning).collect();
    found.sort_by_key(|found| found.slot);
    found.dedup_by(|by_meaning, by_words| {
        let is_same = by_meaning.slot == by_words.slot;
        if is_same {
            by_words.score += by_meaning.score;
            by_words.vector = by_meaning.vector;
        }
        is_same
    });
    found.sort_by(|left, right| {
        let by_score = right.score.total_cmp(&left.score);
        by_score.then(left.slot.cmp(&right.slot))
    });
    found
}

fn greatest(found: &[(Slot, f32)]) -> f32 {
    let scores = found.iter().map(|(_, score)| *score);
    scores.fold(f32::NEG_INFINITY, f32::max)
}

/// Scales a score so that the least possible is 0 and the best seen is 1.
fn normalised(score: f32, least: f32, best: f32) -> f32 {
    let span = best - least;
    if span > 0.0 {
        ((score - least) / span).clamp(0.0, 1.0)
    } else {
        1.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(mode: SearchMode, text: &[(u64, f32)], vectors: &[(u64, f32)], expect: &[(u64, f32)]) {
        let slots = |found: &[(u64, f32)]| -> Vec<(Slot, f32)> {
            let found = found.iter().map(|(slot, score)| (Slot(*slot), *score));
            found.collect()
        };
        let fusion = Fusion {
            vector_weight: 0.25,
            cosine_floor: 0.5,
        };
        let hits = fuse(&slots(text), &slots(vectors), mode, fusion);
        let slots: Vec<_> = hits.iter().map(|hit| hit.slot.0).collect();
        assert_eq!(
            slots,
            expect.iter().map(|(slot, _)| *slot).collect::<Vec<_>>()
        );
        for (hit, (_, score)) in hits.iter().zip(expect) {
            assert!((hit.score - score).abs() < 1e-6, "{hit:?}, not {score}");
        }
    }

    #[test]
    fn words_lead_and_meaning_adds() {
        use SearchMode::{Hybrid, Text, Vector};
        check(Hybrid, &[(1, 8.0), (2, 4.0)], &[], &[(1, 0.75), (2, 0.375)]);
        check(
            Hybrid,
            &[(1, 8.0), (2, 7.0)],
            &[(2, 1.0)],
            &[(2, 0.906_25), (1, 0.75)],
        );
        check(
            Hybrid,
            &[(1, 8.0)],
            &[(3, 0.9), (4, 0.7)],
            &[(1, 0.75), (3, 0.25), (4, 0.125)],
        );
        check(Hybrid, &[], &[(3, 0.49), (4, 0.5)], &[(4, 0.25)]);
        check(Text, &[(1, 8.0)], &[(3, 0.9)], &[(1, 1.0)]);
        check(
            Vector,
            &[(1, 8.0)],
            &[(4, 0.75), (3, 1.0)],
            &[(3, 1.0), (4, 0.5)],
        );
        check(Hybrid, &[], &[], &[]);
    }
}
