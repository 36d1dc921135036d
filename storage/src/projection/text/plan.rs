//! From a parsed query to index queries, and back from a hit to the reason why it is one.
//!
//! A word becomes up to four steps, from the surest to the least sure: exact, stem, prefix, fuzzy.
//! A hit is looked up in the steps of every word to say which one found it. The fuzzy step is there
//! only when no visible document has the word in a surer form.
//!
//! Flow: units -> [`Plan::new`] -> [`Plan::run`]: best by any word, best by all words, merged.

use std::cmp::Reverse;

use tantivy::query::{
    BooleanQuery, BoostQuery, ConstScoreQuery, EnableScoring, FuzzyTermQuery, Occur, PhraseQuery,
    Query, TermQuery,
};
use tantivy::schema::IndexRecordOption;
use tantivy::{DocId, DocSet as _, Term};

use super::query::Unit;
use super::schema::Fields;
use super::view::{Ranked, View};
use super::{MatchKind, TextHit};

/// What a prefix match scores, times the field's weight; a whole word scores several times that.
const PREFIX_SCORE: f32 = 0.5;
/// What a fuzzy match scores, times the field's weight.
const FUZZY_SCORE: f32 = 0.3;
/// How much more a phrase counts than its words.
const PHRASE_BOOST: f32 = 2.0;
/// Words shorter than this have too many neighbours at distance one to guess at.
const FUZZY_CHARS_MIN: usize = 3;
/// From this length on two typing errors are forgiven.
const FUZZY_CHARS_TWICE: usize = 8;
/// Longer words are not guessed at: the automaton grows with the word.
const FUZZY_CHARS_MAX: usize = 64;

type BoxQuery = Box<dyn Query>;

/// A query in terms of the index.
pub(super) struct Plan {
    parts: Vec<Part>,
}

struct Part {
    need: Need,
    steps: Vec<Step>,
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

struct Step {
    kind: MatchKind,
    label: String,
    query: BoxQuery,
}

impl Plan {
    pub(super) fn new(view: &View<'_>, fields: &Fields, units: &[Unit]) -> tantivy::Result<Self> {
        let parts = units.iter().map(|unit| match unit {
            Unit::Word { word, prefix } => {
                let mut steps = vec![
                    Step {
                        kind: MatchKind::Exact,
                        label: word.exact.clone(),
                        query: any_field(&fields.exact(), |field| {
                            term_query(Term::from_field_text(field, &word.exact))
                        }),
                    },
                    Step {
                        kind: MatchKind::Stem,
                        label: word.exact.clone(),
                        query: any_field(&fields.stemmed(), |field| {
                            term_query(Term::from_field_text(field, &word.stem))
                        }),
                    },
                ];
                if *prefix && word.exact.chars().count() <= FUZZY_CHARS_MAX {
                    steps.push(guess(fields, MatchKind::Prefix, &word.exact, 0));
                }
                if let Some(distance) = fuzzy_distance(&word.exact)
                    && !found(view, &steps)?
                {
                    steps.push(guess(fields, MatchKind::Fuzzy, &word.exact, distance));
                }
                Ok(Part {
                    need: Need::Wanted,
                    steps,
                })
            }
            Unit::Quoted(words) => Ok(phrase(fields, words, Need::Required)),
            Unit::Joined(words) => Ok(phrase(fields, words, Need::Bonus)),
        });
        Ok(Self {
            parts: parts.collect::<tantivy::Result<_>>()?,
        })
    }

    /// Returns the best hits: those with all words before the others.
    pub(super) fn run(&self, view: &View<'_>, limit: usize) -> tantivy::Result<Vec<TextHit>> {
        let mut best = view.best(&self.query(Occur::Should), limit)?;
        let needed = self
            .parts
            .iter()
            .filter(|part| part.need != Need::Bonus)
            .count();
        if needed > 1
            && let Some(top) = best.first().map(|ranked| ranked.score)
        {
            // Raised by the best score of all, a document with every word passes any that lacks one.
            let mut all = view.best(&self.query(Occur::Must), limit)?;
            for ranked in &mut all {
                ranked.score += top;
            }
            let complete: Vec<_> = all.iter().map(|ranked| ranked.slot).collect();
            best.retain(|ranked| !complete.contains(&ranked.slot));
            all.append(&mut best);
            all.sort_by_key(|ranked| Reverse(*ranked));
            all.truncate(limit);
            best = all;
        }
        self.explain(view, &best)
    }

    /// Returns the whole query, where a document may or must have each wanted word.
    fn query(&self, wanted: Occur) -> BooleanQuery {
        let clauses = self.parts.iter().map(|part| {
            let occur = match part.need {
                Need::Required => Occur::Must,
                Need::Wanted => wanted,
                Need::Bonus => Occur::Should,
            };
            let steps = part
                .steps
                .iter()
                .map(|step| (Occur::Should, step.query.box_clone()));
            let any: BoxQuery = Box::new(BooleanQuery::new(steps.collect()));
            (occur, any)
        });
        BooleanQuery::new(clauses.collect())
    }

    /// Says for every hit which words it has and how they were found.
    fn explain(&self, view: &View<'_>, best: &[Ranked]) -> tantivy::Result<Vec<TextHit>> {
        let mut reasons: Vec<Vec<&Step>> = vec![Vec::new(); best.len()];
        let mut by_document: Vec<(usize, &Ranked)> = best.iter().enumerate().collect();
        by_document.sort_by_key(|(_, ranked)| ranked.address);
        for part in &self.parts {
            let mut known = vec![false; best.len()];
            for step in &part.steps {
                for index in step.holding(view, &by_document)? {
                    if !std::mem::replace(&mut known[index], true) {
                        reasons[index].push(step);
                    }
                }
            }
        }
        let hits = best.iter().zip(reasons).map(|(ranked, steps)| TextHit {
            slot: ranked.slot,
            score: ranked.score,
            kind: steps
                .iter()
                .map(|step| step.kind)
                .max()
                .unwrap_or(MatchKind::Exact),
            matched: steps.into_iter().map(|step| step.label.clone()).collect(),
        });
        Ok(hits.collect())
    }
}

impl Step {
    /// Returns the places in the ranking of the documents that match this step.
    fn holding(
        &self,
        view: &View<'_>,
        by_document: &[(usize, &Ranked)],
    ) -> tantivy::Result<Vec<usize>> {
        let weight = self
            .query
            .weight(EnableScoring::disabled_from_searcher(view.searcher))?;
        let mut holding = Vec::new();
        for group in by_document.chunk_by(|l, r| l.1.address.segment_ord == r.1.address.segment_ord)
        {
            let Some((_, first)) = group.first() else {
                continue;
            };
            let segment = view.searcher.segment_reader(first.address.segment_ord);
            let mut matching = weight.scorer(segment, 1.0)?;
            for (index, ranked) in group {
                let doc: DocId = ranked.address.doc_id;
                if matching.doc() < doc {
                    matching.seek(doc);
                }
                if matching.doc() == doc {
                    holding.push(*index);
                }
            }
        }
        Ok(holding)
    }
}

fn found(view: &View<'_>, steps: &[Step]) -> tantivy::Result<bool> {
    for step in steps {
        if view.any(&*step.query)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Returns how many typing errors are forgiven in a word, or none if it is not to be guessed at.
fn fuzzy_distance(word: &str) -> Option<u8> {
    let length = word.chars().count();
    let number = word.chars().all(char::is_numeric);
    match length {
        _ if number => None,
        FUZZY_CHARS_TWICE..=FUZZY_CHARS_MAX => Some(2),
        FUZZY_CHARS_MIN..FUZZY_CHARS_TWICE => Some(1),
        _ => None,
    }
}

/// Builds the step for words that begin with this one, or differ from it by some letters.
fn guess(fields: &Fields, kind: MatchKind, word: &str, distance: u8) -> Step {
    let (mark, score) = match kind {
        MatchKind::Fuzzy => ('~', FUZZY_SCORE),
        _ => ('*', PREFIX_SCORE),
    };
    let query = any_field(&fields.exact(), |field| {
        let term = Term::from_field_text(field, word);
        let words = match kind {
            MatchKind::Fuzzy => FuzzyTermQuery::new(term, distance, true),
            _ => FuzzyTermQuery::new_prefix(term, distance, true),
        };
        Box::new(ConstScoreQuery::new(Box::new(words), score))
    });
    Step {
        kind,
        label: format!("{word}{mark}"),
        query,
    }
}

fn phrase(fields: &Fields, words: &[String], need: Need) -> Part {
    let query = any_field(&fields.exact(), |field| {
        let mut terms: Vec<Term> = words
            .iter()
            .map(|word| Term::from_field_text(field, word))
            .collect();
        match terms.pop() {
            Some(only) if terms.is_empty() => term_query(only),
            last => {
                terms.extend(last);
                Box::new(PhraseQuery::new(terms))
            }
        }
    });
    let kind = if words.len() == 1 {
        MatchKind::Exact
    } else {
        MatchKind::Phrase
    };
    let query = Box::new(BoostQuery::new(query, PHRASE_BOOST));
    Part {
        need,
        steps: vec![Step {
            kind,
            label: words.join(" "),
            query,
        }],
    }
}

fn term_query(term: Term) -> BoxQuery {
    Box::new(TermQuery::new(term, IndexRecordOption::WithFreqs))
}

/// Builds a query that matches in any of the fields and adds up their weighted scores.
fn any_field(
    fields: &[(tantivy::schema::Field, f32)],
    build: impl Fn(tantivy::schema::Field) -> BoxQuery,
) -> BoxQuery {
    let clauses = fields.iter().map(|(field, weight)| {
        let boosted: BoxQuery = Box::new(BoostQuery::new(build(*field), *weight));
        (Occur::Should, boosted)
    });
    Box::new(BooleanQuery::new(clauses.collect()))
}
