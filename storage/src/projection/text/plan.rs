//! From a parsed query to ranked hits, each with the reason why it is one.
//!
//! Every part of the query is gathered once, over all its forms and fields, and counts as one word:
//! a document's occurrences are added up, weighed, before BM25 flattens them, and how rare the word
//! is comes from the documents that have it in any form. A part that few have thus leads, whatever
//! the language or the field. The length of a text is held against the mean of the documents found.
//!
//! Flow: units -> [`Plan::new`] (gathers) -> [`Plan::run`]: tally, choose the best -> [`Plan::explain`]
//! those that are shown.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;

use tantivy::{DocId, TERMINATED};

use super::gather::Gather;
use super::query::Unit;
use super::schema::Fields;
use super::sheet::{Found, Lists, Sheet, place};
use super::view::{Segment, View, words_of};
use super::{MatchKind, TextHit, written};
use crate::slots::Slot;

/// How soon more occurrences of a word stop to count, the usual figure.
const K1: f32 = 1.2;
/// How much a text's length counts, the usual figure.
const B: f32 = 0.75;
/// How much more a phrase counts than a word as rare.
const PHRASE_BOOST: f32 = 2.0;
/// How many documents are tallied at a time; a tally takes eight bytes.
const TALLIED: usize = 2048;
/// How many lengths of texts are told apart.
const LENGTHS: usize = 256;
/// In queries of more words than this, a document with all of them has no precedence: who asks in a
/// whole sentence does not expect its every word.
const COMPLETE_WORDS_MAX: usize = 4;

/// A query with the documents that have its parts.
#[derive(Default)]
pub(super) struct Plan {
    parts: Vec<Part>,
}

struct Part {
    need: Need,
    label: Arc<str>,
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

/// How many parts a document has, eight bits for each need.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
struct Parts(u32);

/// What a document has and what that is worth.
#[derive(Clone, Copy, Default)]
struct Tally {
    score: f32,
    parts: Parts,
}

/// The tallies of [`TALLIED`] documents that follow each other. What is added is added without asking
/// what is there: to guess at it would often be wrong.
struct Tallies {
    of: Vec<Tally>,
    /// The places of those that have any part, and how many these are; one more can be written.
    begun: Vec<usize>,
    count: usize,
}

/// A hit, and where what it has is listed.
pub(super) struct Place {
    pub(super) slot: Slot,
    pub(super) score: f32,
    languages: u64,
    segment: usize,
    doc: DocId,
}

/// A document with its score; greater is better, and of equals the smaller slot.
#[derive(Debug, Clone, Copy)]
struct Ranked {
    /// Whether it comes before all that do not pass.
    passes: bool,
    score: f32,
    slot: Slot,
    /// Where it is.
    segment: usize,
    doc: DocId,
}

impl Plan {
    /// Gathers the documents; `limit` is how many hits are wanted.
    pub(super) fn new(
        view: &View<'_>,
        fields: &Fields,
        units: &[Unit],
        limit: usize,
        sheets: &mut [Sheet],
    ) -> tantivy::Result<Self> {
        let mut gather = Gather::new(view, fields, sheets);
        let parts = units.iter().map(|unit| {
            let (need, label, lists) = match unit {
                Unit::Word { word, prefix } => {
                    let lists = gather.word(word, *prefix, limit)?;
                    (Need::Wanted, word.as_str().into(), lists)
                }
                Unit::Quoted(words) => {
                    (Need::Required, written(words).into(), gather.phrase(words)?)
                }
                Unit::Joined(words) => (Need::Bonus, written(words).into(), gather.phrase(words)?),
            };
            Ok(Part { need, label, lists })
        });
        Ok(Self {
            parts: parts.collect::<tantivy::Result<_>>()?,
        })
    }

    /// Returns where the best hits are: of a short query, those with all words before the others.
    pub(super) fn run(&self, view: &View<'_>, limit: usize) -> Vec<Place> {
        let best = self.best(view, limit).into_iter();
        let places = best.map(|ranked| Place {
            slot: ranked.slot,
            score: ranked.score,
            languages: view.segments[ranked.segment].languages(ranked.doc),
            segment: ranked.segment,
            doc: ranked.doc,
        });
        places.collect()
    }

    fn needed(&self, need: Need) -> usize {
        self.parts.iter().filter(|part| part.need == need).count()
    }

    /// Returns for each length of a text what flattens the weight of a word in it. The length is held
    /// against the mean of the documents found, those with more parts counted more often.
    fn flats(&self) -> [f32; LENGTHS] {
        let words: [u32; LENGTHS] =
            std::array::from_fn(|length| u8::try_from(length).map_or(u32::MAX, words_of));
        let (mut all, mut texts) = (0, 0_u64);
        for list in self.parts.iter().flat_map(|part| &part.lists) {
            all += list.words;
            texts += u64::try_from(list.found.len()).unwrap_or(u64::MAX);
        }
        let mean = (float(all) / float(texts.max(1))).max(1.0);
        words.map(|words| K1 * (1.0 - B + B * (float(words.into()) / mean)))
    }

    /// Scores the documents and returns the best. They are tallied some at a time, so that the tallies
    /// stay in the processor's cache, and only those that have a part without which they could not be
    /// among the best (`MaxScore`; Turtle and Flood, "Query evaluation", 1995).
    fn best(&self, view: &View<'_>, limit: usize) -> Vec<Ranked> {
        let flats = self.flats();
        let mut rarest_first: Vec<(&Part, f32)> = self
            .parts
            .iter()
            .map(|part| (part, part.rarity(view.count)))
            .collect();
        rarest_first.sort_by(|one, other| other.1.total_cmp(&one.1));
        let mut best = Best::new(self, limit);
        let mut tallies = Tallies::new();
        for (ordinal, segment) in view.segments.iter().enumerate() {
            let lists = rarest_first
                .iter()
                .map(|(part, _)| part.lists[ordinal].found.as_slice());
            let mut rest: Vec<&[Found]> = lists.collect();
            loop {
                let leading = best.leading(&rarest_first);
                let ahead = rest.iter().take(leading);
                let next = ahead.filter_map(|list| list.first()).map(|found| found.doc);
                let Some(first) = next.min().map(place) else {
                    break;
                };
                for (number, ((part, rarity), list)) in
                    rarest_first.iter().zip(&mut rest).enumerate()
                {
                    let scored = cut(list, first).iter().map(|found| {
                        let flat = found.weight + flats[usize::from(found.length)];
                        let score = rarity * found.weight * (K1 + 1.0) / flat;
                        (place(found.doc) - first, score)
                    });
                    let one = Parts::one(part.need);
                    if number < leading {
                        scored.for_each(|(at, score)| tallies.begin(at, score, one));
                    } else {
                        scored.for_each(|(at, score)| tallies.go_on(at, score, one));
                    }
                }
                for (at, tally) in tallies.drain() {
                    best.offer(tally, first + at, ordinal, segment);
                }
            }
        }
        best.into_sorted()
    }

    /// Says of a hit which words it has and how they were found.
    pub(super) fn explain(&self, hit: &Place) -> TextHit {
        let reasons = self.parts.iter().filter_map(|part| {
            let list = &part.lists[hit.segment].found;
            let at = list
                .binary_search_by_key(&hit.doc, |found| found.doc)
                .ok()?;
            Some((list[at].kind, &part.label))
        });
        let reasons: Vec<(MatchKind, &Arc<str>)> = reasons.collect();
        let kinds = reasons.iter().map(|(kind, _)| *kind);
        TextHit {
            slot: hit.slot,
            score: hit.score,
            kind: kinds.max().unwrap_or(MatchKind::Exact),
            languages: hit.languages,
            matched: reasons
                .iter()
                .map(|(kind, label)| kind.mark(label))
                .collect(),
        }
    }
}

impl Parts {
    fn one(need: Need) -> Self {
        match need {
            Need::Required => Self(1),
            Need::Wanted => Self(1 << 8),
            Need::Bonus => Self(1 << 16),
        }
    }

    fn has_any(self) -> bool {
        self.0 != 0
    }

    fn required(self) -> usize {
        usize::from(self.0.to_le_bytes()[0])
    }

    fn wanted(self) -> usize {
        usize::from(self.0.to_le_bytes()[1])
    }
}

impl Tallies {
    fn new() -> Self {
        Self {
            of: vec![Tally::default(); TALLIED],
            begun: vec![0; TALLIED + 1],
            count: 0,
        }
    }

    /// Adds a part to what a document has, also if that is nothing.
    #[inline]
    fn begin(&mut self, at: usize, score: f32, one: Parts) {
        let tally = &mut self.of[at];
        self.begun[self.count] = at;
        self.count += usize::from(!tally.parts.has_any());
        tally.score += score;
        tally.parts.0 += one.0;
    }

    /// Adds a part to what a document has, if it has any.
    #[inline]
    fn go_on(&mut self, at: usize, score: f32, one: Parts) {
        let tally = &mut self.of[at];
        let has_any = tally.parts.has_any();
        tally.score += if has_any { score } else { 0.0 };
        tally.parts.0 += if has_any { one.0 } else { 0 };
    }

    /// Returns the tally of each document that has any part, by its place, and clears it.
    fn drain(&mut self) -> impl Iterator<Item = (usize, Tally)> + '_ {
        let of = &mut self.of;
        let begun = &self.begun[..std::mem::take(&mut self.count)];
        let places = begun.iter().copied();
        places.map(|at| (at, std::mem::take(&mut of[at])))
    }
}

/// The best documents so far.
struct Best {
    limit: usize,
    /// How many parts a document must have to be found, and how many to have every one.
    required: usize,
    needed: usize,
    /// Whether one that has every part comes before all that lack one.
    is_short: bool,
    /// The best score of all.
    score: f32,
    /// The worst is on top.
    heap: BinaryHeap<Reverse<Ranked>>,
}

impl Best {
    fn new(plan: &Plan, limit: usize) -> Self {
        let required = plan.needed(Need::Required);
        let needed = required + plan.needed(Need::Wanted);
        Self {
            limit,
            required,
            needed,
            is_short: (2..=COMPLETE_WORDS_MAX).contains(&needed),
            score: 0.0,
            heap: BinaryHeap::new(),
        }
    }

    /// Returns how many of the parts, the rarest first, lead: a document without any of these cannot
    /// be among the best any more.
    fn leading(&self, rarest_first: &[(&Part, f32)]) -> usize {
        let all = rarest_first.len();
        let Some(Reverse(worst)) = self.heap.peek().filter(|_| self.heap.len() == self.limit)
        else {
            return all;
        };
        // A document that passes has each of the needed parts.
        let is_needed = |(part, _): &(&Part, f32)| part.need != Need::Bonus;
        let least = if self.is_short {
            rarest_first
                .iter()
                .position(is_needed)
                .map_or(all, |first| first + 1)
        } else {
            1
        };
        // No part is ever worth more than this, however often a document has it.
        let worths = rarest_first.iter().map(|(_, rarity)| rarity * (K1 + 1.0));
        let (mut leading, mut others) = (all, 0.0);
        for worth in worths.rev() {
            others += worth;
            if leading <= least || (!worst.passes && others >= worst.score) {
                break;
            }
            leading -= 1;
        }
        leading
    }

    fn offer(&mut self, tally: Tally, at: usize, ordinal: usize, segment: &Segment<'_>) {
        self.score = self.score.max(tally.score);
        let has = tally.parts;
        if has.required() < self.required {
            return;
        }
        let passes = self.is_short && has.required() + has.wanted() == self.needed;
        let score = tally.score;
        let is_full = self.heap.len() == self.limit;
        let worst = self.heap.peek().filter(|_| is_full);
        if worst.is_some_and(|Reverse(worst)| (passes, score) < (worst.passes, worst.score)) {
            return;
        }
        let doc = DocId::try_from(at).unwrap_or(TERMINATED);
        let Some(slot) = segment.slot(doc) else {
            return;
        };
        self.heap.push(Reverse(Ranked {
            passes,
            score,
            slot,
            segment: ordinal,
            doc,
        }));
        if is_full {
            self.heap.pop();
        }
    }

    /// Returns them, best first. Raised by the best score of all, those that pass have greater ones
    /// than the others.
    fn into_sorted(self) -> Vec<Ranked> {
        let sorted = self.heap.into_sorted_vec().into_iter();
        let raised = sorted.map(|Reverse(ranked)| Ranked {
            score: ranked.score + if ranked.passes { self.score } else { 0.0 },
            ..ranked
        });
        raised.collect()
    }
}

impl Part {
    /// Returns how much a document with this part stands out among all.
    fn rarity(&self, all: u64) -> f32 {
        let having: usize = self.lists.iter().map(|list| list.found.len()).sum();
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

/// Takes the next documents off a list and returns those with a place in the tallies.
fn cut<'a>(list: &mut &'a [Found], first: usize) -> &'a [Found] {
    let is_before = |end: usize| move |found: &Found| place(found.doc) < end;
    if list.first().is_some_and(is_before(first)) {
        *list = &list[list.partition_point(is_before(first))..];
    }
    // As documents are in a list once, no more of them have a place. They are read one after the other
    // in any case, which memory serves faster than a search by halves.
    let some = list.iter().take(TALLIED);
    let (near, later) = list.split_at(
        some.take_while(|found| is_before(first + TALLIED)(found))
            .count(),
    );
    *list = later;
    near
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
