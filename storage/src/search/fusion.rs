//! Fusion: one ranking out of two, as a convex sum of normalised scores.
//!
//! A score is normalised between the least it can be (0 for BM25, the floor for a cosine) and the
//! greatest one seen in this search. The least seen would not do: of two hits nearly alike it makes
//! a 1 and a 0. Rank fusion was measured to lower nDCG where words lead, and here words lead.
//! See Bruch, Gai and Ingber, "An Analysis of Fusion Functions for Hybrid Retrieval" (2023).
//!
//! Invariant: a hit of either side is in the result; the weights decide only where.

use std::collections::BTreeMap;

use super::{Hit, SearchMode, Why};
use crate::projection::text::TextHit;
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

/// Fuses hits by words and hits by meaning, best first, equals by slot.
pub fn fuse(
    text: Vec<TextHit>,
    vectors: &[(Slot, f32)],
    mode: SearchMode,
    fusion: Fusion,
) -> Vec<Hit> {
    let floor = fusion.cosine_floor;
    let near: Vec<_> = vectors
        .iter()
        .copied()
        .filter(|(_, cosine)| *cosine >= floor)
        .collect();
    let best_text = greatest(text.iter().map(|hit| hit.score));
    let best_cosine = greatest(near.iter().map(|(_, cosine)| *cosine));
    let weight = match mode {
        SearchMode::Text => 0.0,
        SearchMode::Vector => 1.0,
        SearchMode::Hybrid => fusion.vector_weight.clamp(0.0, 1.0),
    };
    let mut hits: BTreeMap<Slot, Hit> = BTreeMap::new();
    if mode != SearchMode::Vector {
        for found in text {
            let hit = hits
                .entry(found.slot)
                .or_insert_with(|| unexplained(found.slot));
            hit.score += (1.0 - weight) * normalised(found.score, 0.0, best_text);
            hit.why.text = Some(found.score);
            hit.why.terms = found.matched;
            hit.why.match_kind = Some(found.kind);
            hit.languages = Some(found.languages);
        }
    }
    if mode != SearchMode::Text {
        for (slot, cosine) in near {
            let hit = hits.entry(slot).or_insert_with(|| unexplained(slot));
            hit.score += weight * normalised(cosine, floor, best_cosine);
            hit.why.vector = Some(cosine);
        }
    }
    let mut hits: Vec<Hit> = hits.into_values().collect();
    hits.sort_by(|left, right| {
        right
            .score
            .total_cmp(&left.score)
            .then(left.slot.cmp(&right.slot))
    });
    hits
}

fn unexplained(slot: Slot) -> Hit {
    Hit {
        slot,
        score: 0.0,
        why: Why::default(),
        languages: None,
    }
}

fn greatest(scores: impl Iterator<Item = f32>) -> f32 {
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
    use crate::projection::text::MatchKind;

    fn check(mode: SearchMode, text: &[(u64, f32)], vectors: &[(u64, f32)], expect: &[(u64, f32)]) {
        let text = text.iter().map(|(slot, score)| TextHit {
            slot: Slot(*slot),
            score: *score,
            matched: vec!["w".into()],
            kind: MatchKind::Exact,
            languages: 0,
        });
        let vectors: Vec<_> = vectors
            .iter()
            .map(|(slot, cosine)| (Slot(*slot), *cosine))
            .collect();
        let fusion = Fusion {
            vector_weight: 0.25,
            cosine_floor: 0.5,
        };
        let hits = fuse(text.collect(), &vectors, mode, fusion);
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
