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
use super::view::{View, words_of};
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
/// How many may be among the best while they are looked for, for each that is wanted.
const CANDIDATES_FACTOR: usize = 16;
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

/// How good a document is; greater is better.
#[derive(Debug, Clone, Copy)]
struct Rank {
    /// Whether it comes before all that do not pass.
    passes: bool,
    score: f32,
}

/// A document that may be among the best.
#[derive(Debug, Clone, Copy)]
struct Candidate {
    rank: Rank,
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
        let places = best.map(|(slot, candidate)| Place {
            slot,
            score: candidate.rank.score,
            languages: view.segments[candidate.segment].languages(candidate.doc),
            segment: candidate.segment,
            doc: candidate.doc,
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
    fn best(&self, view: &View<'_>, limit: usize) -> Vec<(Slot, Candidate)> {
        let flats = self.flats();
        let mut rarest_first: Vec<(&Part, f32)> = self
            .parts
            .iter()
            .map(|part| (part, part.rarity(view.count)))
            .collect();
        rarest_first.sort_by(|one, other| other.1.total_cmp(&one.1));
        let mut best = Best::new(self, limit);
        let mut tallies = Tallies::new();
        for ordinal in 0..view.segments.len() {
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
                    best.offer(tally, first + at, ordinal, view);
                }
            }
        }
        best.raised(view)
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
    /// The best ranks, the worst of them on top.
    ranks: BinaryHeap<Reverse<Rank>>,
    /// Who had one of the best ranks at the time, or one as good.
    candidates: Vec<Candidate>,
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
            ranks: BinaryHeap::new(),
            candidates: Vec::new(),
        }
    }

    /// Returns how many of the parts, the rarest first, lead: a document without any of these cannot
    /// be among the best any more.
    fn leading(&self, rarest_first: &[(&Part, f32)]) -> usize {
        let all = rarest_first.len();
        let Some(worst) = self.worst() else {
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

    /// Returns the worst of the best ranks once there are as many as are wanted.
    fn worst(&self) -> Option<Rank> {
        let worst = self.ranks.peek();
        let worst = worst.filter(|_| self.ranks.len() == self.limit);
        worst.map(|Reverse(worst)| *worst)
    }

    fn offer(&mut self, tally: Tally, at: usize, segment: usize, view: &View<'_>) {
        self.score = self.score.max(tally.score);
        let has = tally.parts;
        if has.required() < self.required {
            return;
        }
        let passes = self.is_short && has.required() + has.wanted() == self.needed;
        let rank = Rank {
            passes,
            score: tally.score,
        };
        let worst = self.worst();
        if worst.is_some_and(|worst| rank < worst) {
            return;
        }
        let doc = DocId::try_from(at).unwrap_or(TERMINATED);
        self.candidates.push(Candidate { rank, segment, doc });
        if worst.is_none_or(|worst| rank > worst) {
            self.ranks.push(Reverse(rank));
        }
        if self.ranks.len() > self.limit {
            self.ranks.pop();
        }
        // Nearly always fewer come this far; many are as good as each other where a word is in all.
        if self.candidates.len() > CANDIDATES_FACTOR * self.limit.max(1) {
            let best = self.sorted(view).into_iter();
            self.candidates = best.map(|(_, candidate)| candidate).collect();
        }
    }

    /// Takes the best out with their slots, best first and of equals the smaller slot. Slots lie all over
    /// the memory, so only those of the best are read.
    fn sorted(&mut self, view: &View<'_>) -> Vec<(Slot, Candidate)> {
        let worst = self.worst();
        let candidates = std::mem::take(&mut self.candidates).into_iter();
        let best = candidates.filter(|candidate| worst.is_none_or(|worst| candidate.rank >= worst));
        let best = best.filter_map(|candidate| {
            let segment = view.segments.get(candidate.segment)?;
            Some((segment.slot(candidate.doc)?, candidate))
        });
        let mut best: Vec<(Slot, Candidate)> = best.collect();
        best.sort_unstable_by_key(|(slot, candidate)| (Reverse(candidate.rank), *slot));
        best.truncate(self.limit);
        best
    }

    /// Returns them as [`Best::sorted`] does. Raised by the best score of all, those that pass have
    /// greater ones than the others.
    fn raised(mut self, view: &View<'_>) -> Vec<(Slot, Candidate)> {
        let mut best = self.sorted(view);
        for (_, Candidate { rank, .. }) in &mut best {
            rank.score += if rank.passes { self.score } else { 0.0 };
        }
        best
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

impl Ord for Rank {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        let by_passing = self.passes.cmp(&other.passes);
        by_passing.then(self.score.total_cmp(&other.score))
    }
}

impl PartialOrd for Rank {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Rank {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Rank {}
