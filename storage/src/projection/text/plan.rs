//! From a parsed query to ranked hits, each with the reason why it is one.
//!
//! Every part of the query is gathered once, over all its forms and fields, and counts as one word:
//! a document's occurrences are added up, weighed, before BM25 flattens them, and how rare the word
//! is comes from the documents that have it in any form. A part that few have thus leads, whatever
//! the language or the field. The length of a text is held against the mean of the documents found.
//!
//! Flow: units -> [`Plan::new`] (gathers) -> [`Plan::run`]: count, score, choose, explain.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use tantivy::DocAddress;

use super::gather::{Gather, Lists, place};
use super::query::Unit;
use super::schema::Fields;
use super::view::View;
use super::{MatchKind, TextHit, written};
use crate::slots::Slot;

/// How soon more occurrences of a word stop to count, the usual figure.
const K1: f32 = 1.2;
/// How much a text's length counts, the usual figure.
const B: f32 = 0.75;
/// How much more a phrase counts than a word as rare.
const PHRASE_BOOST: f32 = 2.0;
/// In queries of more words than this, a document with all of them has no precedence: who asks in a
/// whole sentence does not expect its every word.
const COMPLETE_WORDS_MAX: usize = 4;

/// A query with the documents that have its parts.
pub(super) struct Plan {
    parts: Vec<Part>,
}

struct Part {
    need: Need,
    label: String,
    lists: Lists,
}

/// What a part means for the documents that lack it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Need {
    /// They are not found.
    Required,
    /// They are found by other words, after those that have all.
    Wanted,
    /// They score less.
    Bonus,
}

/// How many parts a document has.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
struct Parts {
    required: u8,
    wanted: u8,
    bonus: u8,
}

/// A document with its score; greater is better, and of equals the smaller slot.
#[derive(Debug, Clone, Copy)]
struct Ranked {
    score: f32,
    slot: Slot,
    address: DocAddress,
}

impl Plan {
    /// Gathers the documents; `limit` is how many hits are wanted.
    pub(super) fn new(
        view: &View<'_>,
        fields: &Fields,
        units: &[Unit],
        limit: usize,
    ) -> tantivy::Result<Self> {
        let mut gather = Gather::new(view, fields);
        let parts = units.iter().map(|unit| {
            let (need, label, lists) = match unit {
                Unit::Word { word, prefix } => {
                    let lists = gather.word(word, *prefix, limit)?;
                    (Need::Wanted, word.clone(), lists)
                }
                Unit::Quoted(words) => (Need::Required, written(words), gather.phrase(words)?),
                Unit::Joined(words) => (Need::Bonus, written(words), gather.phrase(words)?),
            };
            Ok(Part { need, label, lists })
        });
        Ok(Self {
            parts: parts.collect::<tantivy::Result<_>>()?,
        })
    }

    /// Returns the best hits: of a short query, those with all words before the others.
    pub(super) fn run(&self, view: &View<'_>, limit: usize) -> Vec<TextHit> {
        let counted: Vec<Vec<Parts>> = (0..view.segments.len())
            .map(|ordinal| self.count(view, ordinal))
            .collect();
        let mean = self.mean_length(view);
        let scores: Vec<Vec<f32>> = (0..view.segments.len())
            .map(|ordinal| self.score(view, ordinal, mean))
            .collect();
        let best = self.choose(view, &counted, &scores, limit);
        self.explain(view, &best)
    }

    fn needed(&self, need: Need) -> usize {
        self.parts.iter().filter(|part| part.need == need).count()
    }

    /// Counts the parts of the query that each document of a segment has.
    fn count(&self, view: &View<'_>, ordinal: usize) -> Vec<Parts> {
        let mut counted = vec![Parts::default(); documents(view, ordinal)];
        for part in &self.parts {
            for found in &part.lists[ordinal] {
                let has = &mut counted[place(found.doc)];
                match part.need {
                    Need::Required => has.required += 1,
                    Need::Wanted => has.wanted += 1,
                    Need::Bonus => has.bonus += 1,
                }
            }
        }
        counted
    }

    /// Returns the mean length of the documents found, those with more parts counted more often.
    fn mean_length(&self, view: &View<'_>) -> f32 {
        let (mut words, mut texts) = (0_u64, 0_u64);
        for part in &self.parts {
            for (segment, list) in view.segments.iter().zip(&part.lists) {
                let lengths = list
                    .iter()
                    .map(|found| u64::from(segment.length(found.doc)));
                words += lengths.sum::<u64>();
                texts += u64::try_from(list.len()).unwrap_or(u64::MAX);
            }
        }
        (float(words) / float(texts.max(1))).max(1.0)
    }

    /// Scores the documents of a segment.
    fn score(&self, view: &View<'_>, ordinal: usize, mean: f32) -> Vec<f32> {
        let mut scores = vec![0.0; documents(view, ordinal)];
        let segment = &view.segments[ordinal];
        for part in &self.parts {
            let rarity = part.rarity(view.count);
            for found in &part.lists[ordinal] {
                let length = float(segment.length(found.doc).into()) / mean;
                let flat = found.weight + K1 * (1.0 - B + B * length);
                scores[place(found.doc)] += rarity * found.weight * (K1 + 1.0) / flat;
            }
        }
        scores
    }

    fn choose(
        &self,
        view: &View<'_>,
        counted: &[Vec<Parts>],
        scores: &[Vec<f32>],
        limit: usize,
    ) -> Vec<Ranked> {
        let required = self.needed(Need::Required);
        let needed = required + self.needed(Need::Wanted);
        // Raised by the best score of all, a document with every word passes any that lacks one.
        let is_short = (2..=COMPLETE_WORDS_MAX).contains(&needed);
        let best = scores.iter().flatten().copied().fold(0.0, f32::max);
        let raise = if is_short { best } else { 0.0 };
        let mut heap: BinaryHeap<Reverse<Ranked>> = BinaryHeap::new();
        let segments = (0_u32..).zip(&view.segments);
        for ((ordinal, segment), (scores, counted)) in segments.zip(scores.iter().zip(counted)) {
            for ((doc, &score), has) in (0_u32..).zip(scores).zip(counted) {
                if *has == Parts::default() || usize::from(has.required) < required {
                    continue;
                }
                let is_complete = usize::from(has.required + has.wanted) == needed;
                let score = score + if is_complete { raise } else { 0.0 };
                let is_full = heap.len() == limit;
                if is_full && heap.peek().is_some_and(|worst| score < worst.0.score) {
                    continue;
                }
                let Some(slot) = segment.slot(doc) else {
                    continue;
                };
                let address = DocAddress::new(ordinal, doc);
                heap.push(Reverse(Ranked {
                    score,
                    slot,
                    address,
                }));
                if is_full {
                    heap.pop();
                }
            }
        }
        let sorted = heap.into_sorted_vec();
        sorted.into_iter().map(|Reverse(ranked)| ranked).collect()
    }

    /// Says for every hit which words it has and how they were found.
    fn explain(&self, view: &View<'_>, best: &[Ranked]) -> Vec<TextHit> {
        // The place of a document among the hits, and one.
        let mut places: Vec<Vec<usize>> = (0..view.segments.len())
            .map(|ordinal| vec![0; documents(view, ordinal)])
            .collect();
        for (index, ranked) in best.iter().enumerate() {
            let DocAddress {
                segment_ord,
                doc_id,
            } = ranked.address;
            places[place(segment_ord)][place(doc_id)] = index + 1;
        }
        let mut reasons: Vec<Vec<(MatchKind, &str)>> = vec![Vec::new(); best.len()];
        for part in &self.parts {
            for (list, places) in part.lists.iter().zip(&places) {
                for found in list {
                    if let Some(index) = places[place(found.doc)].checked_sub(1) {
                        reasons[index].push((found.kind, part.label.as_str()));
                    }
                }
            }
        }
        let hits = best.iter().zip(reasons).map(|(ranked, reasons)| {
            let kinds = reasons.iter().map(|(kind, _)| *kind);
            TextHit {
                slot: ranked.slot,
                score: ranked.score,
                kind: kinds.max().unwrap_or(MatchKind::Exact),
                matched: reasons
                    .iter()
                    .map(|(kind, label)| kind.mark(label))
                    .collect(),
            }
        });
        hits.collect()
    }
}

impl Part {
    /// Returns how much a document with this part stands out among all.
    fn rarity(&self, all: u64) -> f32 {
        let having: usize = self.lists.iter().map(Vec::len).sum();
        let having = u64::try_from(having).unwrap_or(u64::MAX);
        let others = float(all.saturating_sub(having));
        let rarity = (1.0 + (others + 0.5) / (float(having) + 0.5)).ln();
        let is_phrase = self.need != Need::Wanted;
        if is_phrase {
            PHRASE_BOOST * rarity
        } else {
            rarity
        }
    }
}

fn documents(view: &View<'_>, ordinal: usize) -> usize {
    view.segments
        .get(ordinal)
        .map_or(0, |segment| place(segment.reader.max_doc()))
}

#[expect(clippy::cast_precision_loss, reason = "a statistic, not an identity")]
fn float(number: u64) -> f32 {
    number as f32
}

impl Ord for Ranked {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.score
            .total_cmp(&other.score)
            .then(other.slot.cmp(&self.slot))
    }
}

impl PartialOrd for Ranked {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Ranked {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Ranked {}
