//! From a parsed query to ranked hits, each with the reason why it is one.
//!
//! Every part of the query is gathered once, over all its forms and fields, and counts as one word:
//! a document's occurrences are added up, weighed, before BM25 flattens them, and how rare the word
//! is comes from the documents that have it in any form. A part that few have thus leads, whatever
//! the language or the field. The length of a text is held against the mean of the documents found.
//!
//! Flow: units -> [`Plan::new`] (gathers) -> [`Plan::run`]: tally, choose, explain.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

use tantivy::{DocAddress, DocId};

use super::gather::{Gather, Lists, place};
use super::query::Unit;
use super::room::Room;
use super::schema::Fields;
use super::view::{View, words_of};
use super::{MatchKind, TextHit, written};
use crate::slots::Slot;

/// How soon more occurrences of a word stop to count, the usual figure.
const K1: f32 = 1.2;
/// How much a text's length counts, the usual figure.
const B: f32 = 0.75;
/// How much more a phrase counts than a word as rare.
const PHRASE_BOOST: f32 = 2.0;
/// How many lengths of texts are told apart.
const LENGTHS: usize = 256;
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

/// What a document has and what that is worth.
#[derive(Clone, Copy, Default)]
struct Tally {
    score: f32,
    parts: Parts,
}

/// The tallies of a segment.
#[derive(Default)]
pub(super) struct Tallies {
    /// By the place of the document; nothing where no part was found.
    of: Vec<Tally>,
    /// The documents that have any part.
    found: Vec<DocId>,
}

/// A document with its score; greater is better, and of equals the smaller slot.
#[derive(Debug, Clone, Copy)]
struct Ranked {
    /// Whether it comes before all that do not pass.
    passes: bool,
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
        rooms: &mut [Room],
    ) -> tantivy::Result<Self> {
        let mut gather = Gather::new(view, fields, rooms);
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
    pub(super) fn run(&self, view: &View<'_>, limit: usize, rooms: &mut [Room]) -> Vec<TextHit> {
        let flats = self.flats();
        for (ordinal, room) in rooms.iter_mut().enumerate() {
            self.tally(view, ordinal, &flats, &mut room.tallies);
        }
        let best = self.choose(view, rooms, limit);
        self.explain(rooms, &best)
    }

    fn needed(&self, need: Need) -> usize {
        self.parts.iter().filter(|part| part.need == need).count()
    }

    /// Returns for each length of a text what flattens the weight of a word in it. The length is held
    /// against the mean of the documents found, those with more parts counted more often.
    fn flats(&self) -> [f32; LENGTHS] {
        let words: [u32; LENGTHS] =
            std::array::from_fn(|length| u8::try_from(length).map_or(u32::MAX, words_of));
        let mut texts_of = [0_u64; LENGTHS];
        for found in self.parts.iter().flat_map(|part| &part.lists).flatten() {
            texts_of[usize::from(found.length)] += 1;
        }
        let texts: u64 = texts_of.iter().sum();
        let all = words.iter().zip(&texts_of);
        let all: u64 = all.map(|(words, texts)| u64::from(*words) * texts).sum();
        let mean = (float(all) / float(texts.max(1))).max(1.0);
        words.map(|words| K1 * (1.0 - B + B * (float(words.into()) / mean)))
    }

    /// Counts the parts of the query that each document of a segment has, and scores it.
    fn tally(
        &self,
        view: &View<'_>,
        ordinal: usize,
        flats: &[f32; LENGTHS],
        tallies: &mut Tallies,
    ) {
        for part in &self.parts {
            let rarity = part.rarity(view.count);
            for found in &part.lists[ordinal] {
                let tally = &mut tallies.of[place(found.doc)];
                if tally.parts == Parts::default() {
                    tallies.found.push(found.doc);
                }
                match part.need {
                    Need::Required => tally.parts.required += 1,
                    Need::Wanted => tally.parts.wanted += 1,
                    Need::Bonus => tally.parts.bonus += 1,
                }
                let flat = found.weight + flats[usize::from(found.length)];
                tally.score += rarity * found.weight * (K1 + 1.0) / flat;
            }
        }
    }

    /// Returns the best of those that were tallied, and clears the tallies.
    fn choose(&self, view: &View<'_>, rooms: &mut [Room], limit: usize) -> Vec<Ranked> {
        let required = self.needed(Need::Required);
        let needed = required + self.needed(Need::Wanted);
        // Of a short query, a document with every word passes any that lacks one.
        let is_short = (2..=COMPLETE_WORDS_MAX).contains(&needed);
        let mut best = 0.0_f32;
        let mut heap: BinaryHeap<Reverse<Ranked>> = BinaryHeap::new();
        for ((ordinal, segment), room) in (0_u32..).zip(&view.segments).zip(rooms) {
            for (doc, tally) in room.tallies.drain() {
                best = best.max(tally.score);
                let has = tally.parts;
                if usize::from(has.required) < required {
                    continue;
                }
                let passes = is_short && usize::from(has.required + has.wanted) == needed;
                let score = tally.score;
                let is_full = heap.len() == limit;
                let worst = heap.peek().filter(|_| is_full);
                if worst.is_some_and(|Reverse(worst)| (passes, score) < (worst.passes, worst.score))
                {
                    continue;
                }
                let Some(slot) = segment.slot(doc) else {
                    continue;
                };
                let address = DocAddress::new(ordinal, doc);
                heap.push(Reverse(Ranked {
                    passes,
                    score,
                    slot,
                    address,
                }));
                if is_full {
                    heap.pop();
                }
            }
        }
        let sorted = heap.into_sorted_vec().into_iter();
        let raised = sorted.map(|Reverse(ranked)| Ranked {
            score: ranked.score + if ranked.passes { best } else { 0.0 },
            ..ranked
        });
        raised.collect()
    }

    /// Says for every hit which words it has and how they were found.
    fn explain(&self, rooms: &mut [Room], best: &[Ranked]) -> Vec<TextHit> {
        let places: HashMap<DocAddress, usize> = (0..)
            .zip(best)
            .map(|(index, ranked)| (ranked.address, index))
            .collect();
        let mut reasons: Vec<Vec<(MatchKind, &str)>> = vec![Vec::new(); best.len()];
        for (segment, (ordinal, room)) in (0_u32..).zip(rooms.iter_mut().enumerate()) {
            // Looked at first: few of those found are hits.
            let is_hit = &mut room.is_hit;
            let hits = || best.iter().filter(|hit| hit.address.segment_ord == segment);
            for ranked in hits() {
                is_hit[place(ranked.address.doc_id)] = true;
            }
            for part in &self.parts {
                let hits = part.lists[ordinal].iter();
                for found in hits.filter(|found| is_hit[place(found.doc)]) {
                    if let Some(index) = places.get(&DocAddress::new(segment, found.doc)) {
                        reasons[*index].push((found.kind, part.label.as_str()));
                    }
                }
            }
            for ranked in hits() {
                is_hit[place(ranked.address.doc_id)] = false;
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

impl Tallies {
    /// Has a place for so many documents.
    pub(super) fn make_room(&mut self, documents: usize) {
        let documents = documents.max(self.of.len());
        self.of.resize(documents, Tally::default());
    }

    /// Returns the tally of each document that has any part, and clears it.
    fn drain(&mut self) -> impl Iterator<Item = (DocId, Tally)> + '_ {
        let of = &mut self.of;
        let found = self.found.drain(..);
        found.map(|doc| (doc, std::mem::take(&mut of[place(doc)])))
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

#[expect(clippy::cast_precision_loss, reason = "a statistic, not an identity")]
fn float(number: u64) -> f32 {
    number as f32
}

impl Ord for Ranked {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.passes
            .cmp(&other.passes)
            .then(self.score.total_cmp(&other.score))
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
