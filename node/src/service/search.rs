//! Search: words and meaning, inside what the asker may see.

use super::past::Moment;
use super::{Failure, Services, facets};
use crate::telemetry::traces::Span;
use crate::telemetry::{journeys, traces};
use crdt::id::MemoryId;
use crdt::memory::Content;
use crdt::selector::Selector;
use protocol::api::PAGE_MAX;
use protocol::api::problem::ErrorCode;
use protocol::api::search::{
    Facets, Hit, NotAnswering, QUERY_BYTES_MAX, SearchRequest, SearchResponse, Why,
};
use std::sync::Arc;
use std::time::Instant;
use storage::projection::text::{MatchKind, TextQuery};
use storage::search::fusion::Fusion;
use storage::search::snippet::{Snippet, Snippets};
use storage::search::{self, SearchError, SearchMode};
use storage::slots::{Slot, SlotSet};
use storage::store::state::State;

const LIMIT_DEFAULT: usize = 10;
const SNIPPET_CHARS: usize = 200;
/// Hits whose texts are read at a time; a text may have 256 KiB.
const READ_TOGETHER: usize = 16;

/// What was found, and by what.
pub(super) struct Answer {
    pub(super) hits: Vec<Hit>,
    pub(super) facets: Option<Facets>,
    pub(super) model: String,
    pub(super) lag: u64,
    pub(super) chosen: Option<NotAnswering>,
    /// Memories of the past that cannot be shown any more.
    pub(super) gone: usize,
}

impl Services {
    /// Searches this person's memories, their own and those given to them.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "the edge hands over what it decoded"
    )]
    pub fn search(&self, request: SearchRequest) -> Result<SearchResponse, Failure> {
        let started = Instant::now();
        let bad = |title: String| Failure::new(ErrorCode::BadRequest, title);
        if request.query.trim().is_empty() {
            return Err(bad("the query is empty".to_owned()).hint("brainctl search \"rye bread\""));
        }
        if request.query.len() > QUERY_BYTES_MAX {
            let title = format!("a query has at most {QUERY_BYTES_MAX} bytes");
            return Err(Failure::new(ErrorCode::LimitExceeded, title));
        }
        let (mode, name) = match request.mode.as_deref() {
            None | Some("hybrid") => (SearchMode::Hybrid, "hybrid"),
            Some("text") => (SearchMode::Text, "text"),
            Some("vector") => (SearchMode::Vector, "vector"),
            Some(other) => {
                return Err(bad(format!("{other:?} is no mode: hybrid, text or vector")));
            }
        };
        let query = TextQuery::parse(&request.query);
        let asked = search::SearchRequest {
            query: &query,
            vector: None,
            allowed: None,
            mode,
            limit: request.limit.unwrap_or(LIMIT_DEFAULT).clamp(1, PAGE_MAX),
            fusion: Fusion::default(),
        };
        let as_of = request.as_of.as_deref().map(Moment::read).transpose()?;
        let answer = match as_of {
            Some(Moment::Past(moment)) => self.search_past(&request, &asked, moment)?,
            Some(Moment::Present(_)) | None => self.search_now(&request, &asked)?,
        };
        self.counting().search(name, started.elapsed());
        note_journeys(&answer.hits, started);
        Ok(SearchResponse {
            hits: answer.hits,
            facets: answer.facets,
            took_ms: started.elapsed().as_secs_f64() * 1_000.0,
            generation: answer.model,
            vector_lag: answer.lag,
            chosen: answer.chosen,
            as_of: as_of.map(|moment| moment.time().to_rfc3339()),
            gone: answer.gone,
        })
    }

    /// Tells whether a search takes milliseconds and waits for no model: not one of the past, of
    /// which texts are read again, nor one that reads texts to choose where to search.
    pub fn is_quick(&self, request: &SearchRequest) -> bool {
        let selector = request.selector.as_deref().unwrap_or_default();
        let selector = Selector::parse(selector).ok();
        request.as_of.is_none()
            && !request.facets
            && self.0.models.chosen.is_none()
            && !selector.is_some_and(|selector| selector.looks_into_texts())
    }

    fn search_now(
        &self,
        request: &SearchRequest,
        asked: &search::SearchRequest<'_>,
    ) -> Result<Answer, Failure> {
        let allowed = self.allowed(request.selector.as_deref())?;
        let allowed = allowed.as_deref();
        let mut asked = search::SearchRequest {
            allowed,
            ..asked.clone()
        };
        let meaning = self.meaning(&request.query, asked.mode)?;
        asked.vector = meaning.vector.as_deref();
        let mut found = self.store().search(meaning.generation, &asked);
        let (model, lag, chosen) = if self.is_of_one_model(&meaning)? {
            (meaning.model, meaning.lag, meaning.chosen)
        } else {
            // The chosen model changed in between: what was found says nothing.
            let meaning = self.built_in_meaning(&request.query, None)?;
            let vector = meaning.vector.as_deref();
            let again = search::SearchRequest {
                vector,
                ..asked.clone()
            };
            found = self.store().search(meaning.generation, &again);
            (meaning.model, meaning.lag, meaning.chosen)
        };
        let found = found.map_err(failed)?;
        let hits = self.show(found)?;
        let facets = if request.facets {
            Some(self.facets(asked.query, asked.allowed)?)
        } else {
            None
        };
        Ok(Answer {
            hits,
            facets,
            model,
            lag,
            chosen,
            gone: 0,
        })
    }

    fn facets(&self, query: &TextQuery, allowed: Option<&SlotSet>) -> Result<Facets, Failure> {
        let found = self.store().with_words(query, allowed).map_err(failed)?;
        let count =
            |state: &State| facets::count(state, &found, |slot| facets::present(state, slot));
        Ok(self.store().read(count))
    }

    /// The slots that may be found; none if all that are indexed may.
    fn allowed(&self, selector: Option<&str>) -> Result<Option<Arc<SlotSet>>, Failure> {
        let selector = selector.filter(|text| !text.trim().is_empty());
        let selector = match selector {
            Some(text) => Selector::parse(text)?,
            // What is hidden is left out inside the query, so that it takes no place of others.
            None if self.store().read(may_hide) => Selector::All,
            None => return Ok(None),
        };
        if !selector.looks_into_texts() {
            return Ok(Some(self.store().selected(&selector, crate::clock::now())));
        }
        let selected = self.select(&selector)?;
        let slots = self.store().read(|state| {
            let facts = selected.iter().filter_map(|id| state.memories.get(id));
            facts
                .filter(|facts| state.is_shown(facts))
                .map(|facts| Slot(facts.slot))
                .collect()
        });
        Ok(Some(Arc::new(slots)))
    }

    fn show(&self, found: Vec<search::Hit>) -> Result<Vec<Hit>, Failure> {
        // A vector may lag behind a memory that is gone by now.
        let found: Vec<(search::Hit, MemoryId, String)> = self.store().read(|state| {
            let known = found.into_iter().filter_map(|hit| {
                let facts = state.memories.get(state.slots.get(&hit.slot.0)?)?;
                let is_shown = state.is_shown(facts);
                is_shown.then(|| (hit, facts.id, state.petname(facts.owner)))
            });
            known.collect()
        });
        let (mut hits, mut snippets) = (Vec::with_capacity(found.len()), Snippets::default());
        let mut found = found.into_iter().peekable();
        while found.peek().is_some() {
            let some: Vec<_> = found.by_ref().take(READ_TOGETHER).collect();
            let ids: Vec<MemoryId> = some.iter().map(|(_, id, _)| *id).collect();
            let contents = self.store().contents(&ids)?;
            for ((hit, id, from), content) in some.into_iter().zip(contents) {
                hits.extend(content.map(|content| shown(id, from, &content, &hit, &mut snippets)));
            }
        }
        Ok(hits)
    }
}

/// Returns a hit as the API shows it, with this content.
pub(super) fn shown(
    id: MemoryId,
    from: String,
    content: &Content,
    hit: &search::Hit,
    snippets: &mut Snippets,
) -> Hit {
    let part = snippets.of(&content.body, hit, SNIPPET_CHARS);
    let matched_by = match hit.why.match_kind {
        Some(MatchKind::Phrase) => "phrase",
        Some(MatchKind::Exact) => "exact",
        Some(MatchKind::Stem) => "stem",
        Some(MatchKind::Prefix) => "prefix",
        Some(MatchKind::Fuzzy) => "fuzzy",
        None => "meaning",
    };
    Hit {
        id: id.to_string(),
        title: content.title.clone(),
        highlights: in_characters(&part),
        snippet: part.text,
        score: hit.score,
        from,
        why: Why {
            text: hit.why.text,
            vector: hit.why.vector,
            terms: hit.why.terms.iter().map(ToString::to_string).collect(),
            matched_by: matched_by.to_owned(),
        },
    }
}

/// Lets the trace that brought a memory here go on to the first search that finds it.
fn note_journeys(hits: &[Hit], began: Instant) {
    if !traces::is_on() {
        return;
    }
    let found = hits.iter().filter_map(|hit| hit.id.parse().ok());
    for step in found.filter_map(journeys::found) {
        let span = Span::since("search hit", step, began);
        span.link(traces::here());
    }
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "it is what map_err hands over"
)]
pub(super) fn failed(error: SearchError) -> Failure {
    tracing::error!(%error, "a search failed");
    Failure::new(ErrorCode::Internal, "the search failed").because(error.to_string())
}

/// Tells whether a memory may be hidden: only what a grant brought and took away can be.
fn may_hide(state: &State) -> bool {
    let mut grants = state.authority.grants();
    grants.any(|grant| grant.grantee == state.me && grant.revoked.is_some())
}

/// Returns the found words as ranges of characters: what a program counts in, whatever its language.
fn in_characters(part: &Snippet) -> Vec<(usize, usize)> {
    let before = |at| part.text.get(..at).map_or(0, |text| text.chars().count());
    let found = part.highlights.iter();
    found
        .map(|range| (before(range.start), before(range.end)))
        .collect()
}
