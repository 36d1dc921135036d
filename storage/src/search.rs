//! Search: words and meaning, fused into one ranking with reasons.
//!
//! It owns no index: text and vectors are projections, and the vector of the query comes from the
//! caller, who has the embedder. Filters are the caller's too, as one set of allowed slots that both
//! sides apply inside their own search.
//!
//! Flow: [`SearchRequest`] -> found by words and near in meaning -> [`fusion::fuse`] -> the best, with
//! reasons: [`Hit`]s, whose texts the caller shortens with [`snippet::snippet`].
//!
//! Invariant: every hit says why it is there, in [`Why`], and none is outside the allowed slots.

use crate::projection::text::{MatchKind, TextAside, TextError, TextFound, TextIndex, TextQuery};
use crate::projection::vectors::{VectorError, VectorIndex};
use crate::slots::{Slot, SlotSet};
use std::collections::BTreeSet;
use std::sync::Arc;

pub mod duplicates;
pub mod fusion;
pub mod snippet;

use fusion::{Fused, Fusion};

/// Hits each side contributes for every hit wanted, so that one good on both sides is not missed.
const DEPTH_FACTOR: usize = 4;
/// Hits each side contributes at least.
const DEPTH_MIN: usize = 100;
/// Hits that meaning contributes at least beside words. Fewer do: what words found is compared as well,
/// and words lead.
const NEAR_MIN: usize = 40;

/// Which sides of the search take part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SearchMode {
    /// Words and meaning.
    #[default]
    Hybrid,
    /// Words only.
    Text,
    /// Meaning only.
    Vector,
}

/// What to search for.
#[derive(Debug, Clone)]
pub struct SearchRequest<'a> {
    /// The words.
    pub query: &'a TextQuery,
    /// The query's vector; without one a hybrid search is one by words.
    pub vector: Option<&'a [f32]>,
    /// The slots that may be found; all if absent.
    pub allowed: Option<&'a SlotSet>,
    /// Which sides take part.
    pub mode: SearchMode,
    /// The most hits to return.
    pub limit: usize,
    /// How the sides are weighed.
    pub fusion: Fusion,
}

/// A found memory.
#[derive(Debug, Clone, PartialEq)]
pub struct Hit {
    /// The memory.
    pub slot: Slot,
    /// The fused score, 0 to 1; comparable only within one search.
    pub score: f32,
    /// Why it was found.
    pub why: Why,
    /// The languages its text may be in, a bit each, if it was found by words.
    pub languages: Option<u64>,
}

/// The reasons for a hit.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Why {
    /// The BM25 score, if it was found by words.
    pub text: Option<f32>,
    /// The cosine, if it is near in meaning; what words found is compared as well.
    pub vector: Option<f32>,
    /// The parts of the query it has.
    pub terms: Vec<Arc<str>>,
    /// How surely these were found.
    pub match_kind: Option<MatchKind>,
}

/// Why a search failed.
#[derive(Debug, thiserror::Error)]
pub enum SearchError {
    /// The text index failed.
    #[error(transparent)]
    Text(#[from] TextError),
    /// The query's vector does not fit the index.
    #[error(transparent)]
    Vector(#[from] VectorError),
}

/// What is searched beside the allowed slots, as if it were in the two indices; no slot of it is
/// among those.
#[derive(Debug)]
pub struct Aside {
    /// Words.
    pub text: TextAside,
    /// Meanings, by the model of the index beside which it is searched.
    pub vectors: VectorIndex,
}

/// Searches both indices as the request says and returns the fused hits, best first.
pub fn search(
    text: &TextIndex,
    vectors: &VectorIndex,
    request: &SearchRequest<'_>,
) -> Result<Vec<Hit>, SearchError> {
    search_with(text, vectors, None, request)
}

/// Searches as [`search()`] does, with what lies beside the indices.
pub fn search_with(
    text: &TextIndex,
    vectors: &VectorIndex,
    aside: Option<&Aside>,
    request: &SearchRequest<'_>,
) -> Result<Vec<Hit>, SearchError> {
    let depth = request.limit.saturating_mul(DEPTH_FACTOR).max(DEPTH_MIN);
    let by_text = match request.mode {
        SearchMode::Vector => TextFound::default(),
        _ => text.search(
            request.query,
            request.allowed,
            aside.map(|aside| &aside.text),
            depth,
        )?,
    };
    let by_vector = match (request.mode, request.vector) {
        (SearchMode::Text, _) | (_, None) => Vec::new(),
        (_, Some(vector)) => by_meaning(vectors, aside, request, vector, &by_text)?,
    };
    let scores: Vec<(Slot, f32)> = by_text.scores().collect();
    let mut fused = fusion::fuse(&scores, &by_vector, request.mode, request.fusion);
    fused.truncate(request.limit);
    let hits = fused.into_iter().map(|fused| explained(fused, &by_text));
    Ok(hits.collect())
}

/// Says why a memory was found.
fn explained(fused: Fused, by_text: &TextFound) -> Hit {
    let found = fused.text.and_then(|_| by_text.hit(fused.slot));
    let languages = found.as_ref().map(|found| found.languages);
    let match_kind = found.as_ref().map(|found| found.kind);
    Hit {
        slot: fused.slot,
        score: fused.score,
        why: Why {
            text: fused.text,
            vector: fused.vector,
            terms: found.map(|found| found.matched).unwrap_or_default(),
            match_kind,
        },
        languages,
    }
}

/// Returns what is nearest in meaning, and how near it is that words found, however far.
fn by_meaning(
    vectors: &VectorIndex,
    aside: Option<&Aside>,
    request: &SearchRequest<'_>,
    vector: &[f32],
    found: &TextFound,
) -> Result<Vec<(Slot, f32)>, VectorError> {
    let least = match request.mode {
        SearchMode::Vector => DEPTH_MIN,
        _ => NEAR_MIN,
    };
    let depth = request.limit.saturating_mul(DEPTH_FACTOR).max(least);
    let mut near = vectors.search(vector, request.allowed, depth)?;
    if let Some(aside) = aside {
        near = nearest(near, aside.vectors.search(vector, None, depth)?, depth);
    }
    let known: BTreeSet<Slot> = near.iter().map(|(slot, _)| *slot).collect();
    let others = found.scores().map(|(slot, _)| slot);
    let others = others.filter(|slot| !known.contains(slot));
    // What lies beside the indices may be in them as well, as it is now.
    let is_aside = |slot: &Slot| {
        request
            .allowed
            .is_some_and(|allowed| !allowed.contains(*slot))
    };
    let (beside, inside): (Vec<Slot>, Vec<Slot>) = others.partition(is_aside);
    near.extend(vectors.cosines(vector, &inside)?);
    if let Some(aside) = aside {
        near.extend(aside.vectors.cosines(vector, &beside)?);
    }
    Ok(near)
}

/// Returns the nearest of two lists, nearest first, equals by slot.
fn nearest(mut near: Vec<(Slot, f32)>, beside: Vec<(Slot, f32)>, limit: usize) -> Vec<(Slot, f32)> {
    near.extend(beside);
    near.sort_by(|left, right| right.1.total_cmp(&left.1).then(left.0.cmp(&right.0)));
    near.truncate(limit);
    near
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::cipher::{Context, tests::cipher};
    use crate::projection::text::TextDoc;

    /// Slot 1 has the word, slot 2 only the meaning, slot 3 neither, slot 4 both but is hidden.
    fn find(mode: SearchMode) -> Vec<(u64, bool, bool)> {
        let folder = tempfile::tempdir().unwrap();
        let text = TextIndex::open(folder.path(), cipher(Context::TextIndex)).unwrap();
        let mut vectors = VectorIndex::new(2);
        let rows = [
            (1, "the cat sat", [0.0, 1.0]),
            (2, "a feline rested", [0.9, 0.1]),
            (3, "tax return", [0.0, 1.0]),
            (4, "cat cat cat", [1.0, 0.0]),
        ];
        for (slot, body, vector) in rows {
            let (slot, body) = (Slot(slot), body.to_owned());
            let doc = TextDoc {
                slot,
                title: String::new(),
                body,
                tags: Vec::new(),
            };
            text.apply(&[doc], &[], slot.0).unwrap();
            vectors.put(slot, &[vector.to_vec()]).unwrap();
        }
        let allowed: SlotSet = [1, 2, 3].map(Slot).into_iter().collect();
        let request = SearchRequest {
            query: &TextQuery::parse("cat"),
            vector: Some(&[1.0, 0.0]),
            allowed: Some(&allowed),
            mode,
            limit: 10,
            fusion: Fusion::default(),
        };
        let hits = search(&text, &vectors, &request).unwrap();
        let reasons = |hit: Hit| (hit.slot.0, hit.why.text.is_some(), hit.why.vector.is_some());
        hits.into_iter().map(reasons).collect()
    }

    #[test]
    fn each_mode_finds_what_it_should() {
        assert_eq!(
            find(SearchMode::Hybrid),
            [(1, true, false), (2, false, true)]
        );
        assert_eq!(find(SearchMode::Text), [(1, true, false)]);
        assert_eq!(find(SearchMode::Vector), [(2, false, true)]);
    }

    #[test]
    fn each_hit_says_its_own_words() {
        let folder = tempfile::tempdir().unwrap();
        let text = TextIndex::open(folder.path(), cipher(Context::TextIndex)).unwrap();
        let bodies = ["a feline", "cats and a feline", "the cat", "nothing of it"];
        let docs = (1..).zip(bodies).map(|(slot, body)| TextDoc {
            slot: Slot(slot),
            title: String::new(),
            body: body.to_owned(),
            tags: Vec::new(),
        });
        text.apply(&docs.collect::<Vec<_>>(), &[], 1).unwrap();
        let mut vectors = VectorIndex::new(2);
        vectors.put(Slot(4), &[vec![1.0, 0.0]]).unwrap();
        let request = SearchRequest {
            query: &TextQuery::parse("cat feline "),
            vector: Some(&[1.0, 0.0]),
            allowed: None,
            mode: SearchMode::Hybrid,
            limit: 10,
            fusion: Fusion::default(),
        };
        let hits = search(&text, &vectors, &request).unwrap();
        let reasons = hits.iter().map(|hit| {
            let terms = hit.why.terms.iter().map(|term| &**term);
            (hit.slot.0, (terms.collect(), hit.why.match_kind))
        });
        let reasons: BTreeMap<u64, (Vec<&str>, Option<MatchKind>)> = reasons.collect();
        let expect = [
            (1, (vec!["feline"], Some(MatchKind::Exact))),
            (2, (vec!["cat", "feline"], Some(MatchKind::Stem))),
            (3, (vec!["cat"], Some(MatchKind::Exact))),
            (4, (vec![], None)),
        ];
        assert_eq!(reasons, BTreeMap::from(expect));
        let spoken = |hit: &Hit| hit.languages.is_some() == hit.why.text.is_some();
        assert!(hits.iter().all(spoken));
    }

    #[test]
    fn what_words_found_says_how_near_it_is_however_many_are_nearer() {
        let folder = tempfile::tempdir().unwrap();
        let text = TextIndex::open(folder.path(), cipher(Context::TextIndex)).unwrap();
        let mut vectors = VectorIndex::new(2);
        let doc = TextDoc {
            slot: Slot(1),
            title: String::new(),
            body: "the cat sat".to_owned(),
            tags: Vec::new(),
        };
        text.apply(&[doc], &[], 1).unwrap();
        vectors.put(Slot(1), &[vec![3.0, 4.0]]).unwrap();
        for slot in 0..100 {
            vectors.put(Slot(2 + slot), &[vec![1.0, 0.0]]).unwrap();
        }
        let request = SearchRequest {
            query: &TextQuery::parse("cat"),
            vector: Some(&[1.0, 0.0]),
            allowed: None,
            mode: SearchMode::Hybrid,
            limit: 1,
            fusion: Fusion::default(),
        };
        let hits = search(&text, &vectors, &request).unwrap();
        assert_eq!(hits[0].slot, Slot(1));
        assert!((hits[0].why.vector.unwrap() - 0.6).abs() < 0.01);
    }

    #[test]
    fn what_lies_beside_is_compared_as_it_was_and_not_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let text = TextIndex::open(folder.path(), cipher(Context::TextIndex)).unwrap();
        let (mut now, mut then) = (VectorIndex::new(2), VectorIndex::new(2));
        now.put(Slot(1), &[vec![1.0, 0.0]]).unwrap();
        then.put(Slot(1), &[vec![3.0, 4.0]]).unwrap();
        for slot in 2..200 {
            then.put(Slot(slot), &[vec![1.0, 0.0]]).unwrap();
        }
        let doc = TextDoc {
            slot: Slot(1),
            title: String::new(),
            body: "the cat sat".to_owned(),
            tags: Vec::new(),
        };
        let aside = Aside {
            text: TextAside::of(&[doc]).unwrap(),
            vectors: then,
        };
        let request = SearchRequest {
            query: &TextQuery::parse("cat"),
            vector: Some(&[1.0, 0.0]),
            allowed: Some(&SlotSet::new()),
            mode: SearchMode::Hybrid,
            limit: 1,
            fusion: Fusion::default(),
        };
        let hits = search_with(&text, &now, Some(&aside), &request).unwrap();
        assert_eq!(hits[0].slot, Slot(1));
        // Words 0.75, and a quarter of how far 0.6 is between the floor and one.
        assert!((hits[0].score - 0.846).abs() < 0.01);
        assert!((hits[0].why.vector.unwrap() - 0.6).abs() < 0.01);
    }

    #[test]
    fn of_two_lists_the_nearest_are_kept() {
        let near = vec![(Slot(1), 0.9), (Slot(4), 0.5), (Slot(2), 0.2)];
        let beside = vec![(Slot(3), 0.5), (Slot(5), 0.1)];
        let kept = nearest(near, beside, 3);
        assert_eq!(kept, [(Slot(1), 0.9), (Slot(3), 0.5), (Slot(4), 0.5)]);
    }

    #[test]
    fn a_vector_of_another_model_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let text = TextIndex::open(folder.path(), cipher(Context::TextIndex)).unwrap();
        let request = SearchRequest {
            query: &TextQuery::parse("cat"),
            vector: Some(&[1.0]),
            allowed: None,
            mode: SearchMode::Hybrid,
            limit: 10,
            fusion: Fusion::default(),
        };
        let error = search(&text, &VectorIndex::new(2), &request).unwrap_err();
        assert!(matches!(error, SearchError::Vector(_)));
    }
}
