//! Search: words and meaning, inside what the asker may see.

use super::view::has_text;
use super::{Failure, Services};
use crdt::grant::authority::Grant;
use crdt::selector::Selector;
use protocol::api::PAGE_MAX;
use protocol::api::problem::ErrorCode;
use protocol::api::search::{Hit, QUERY_BYTES_MAX, SearchRequest, SearchResponse, Why};
use std::time::Instant;
use storage::projection::text::{MatchKind, TextQuery};
use storage::records::Facts;
use storage::search::fusion::Fusion;
use storage::search::snippet::snippet;
use storage::search::{self, SearchMode};
use storage::slots::{Slot, SlotSet};

const LIMIT_DEFAULT: usize = 10;
const SNIPPET_CHARS: usize = 200;

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
        let mode = match request.mode.as_deref() {
            None | Some("hybrid") => SearchMode::Hybrid,
            Some("text") => SearchMode::Text,
            Some("vector") => SearchMode::Vector,
            Some(other) => {
                return Err(bad(format!("{other:?} is no mode: hybrid, text or vector")));
            }
        };
        let limit = request.limit.unwrap_or(LIMIT_DEFAULT).clamp(1, PAGE_MAX);
        let allowed = self.allowed(request.selector.as_deref())?;
        let query = TextQuery::parse(&request.query);
        let vector = self.embed(&request.query)?;
        let asked = search::SearchRequest {
            query: &query,
            vector: vector.as_deref(),
            allowed: allowed.as_ref(),
            mode,
            limit,
            fusion: Fusion::default(),
        };
        let found = self.store().search(&asked).map_err(|error| {
            tracing::error!(%error, "a search failed");
            Failure::new(ErrorCode::Internal, "the search failed").because(error.to_string())
        })?;
        let mut hits = Vec::with_capacity(found.len());
        for hit in found {
            hits.extend(self.show(hit)?);
        }
        let head = self.store().read(|state| state.head);
        Ok(SearchResponse {
            hits,
            took_ms: started.elapsed().as_secs_f64() * 1_000.0,
            generation: self.0.embedder.name().to_owned(),
            vector_lag: head.saturating_sub(self.store().vector_cursor()?),
        })
    }

    fn embed(&self, query: &str) -> Result<Option<Vec<f32>>, Failure> {
        let words = query.replace(['"', '*'], " ");
        let vectors = self.0.embedder.embed(&[words.as_str()]).map_err(|error| {
            Failure::new(ErrorCode::Internal, "the embedding model failed")
                .because(error.to_string())
        })?;
        let vector = vectors.into_iter().next();
        Ok(vector.filter(|vector| vector.iter().any(|part| *part != 0.0)))
    }

    /// The slots that may be found; none if all that are indexed may.
    fn allowed(&self, selector: Option<&str>) -> Result<Option<SlotSet>, Failure> {
        let Some(text) = selector.filter(|text| !text.trim().is_empty()) else {
            // What is hidden is left out inside the query, so that it takes no place of others.
            return Ok(self.store().read(|state| {
                // Only what a grant to this person brought and took away can be hidden.
                let was_revoked =
                    |grant: &Grant| grant.grantee == state.me && grant.revoked.is_some();
                let hides = state.authority.grants().any(was_revoked)
                    && state.memories.values().any(|facts| state.is_hidden(facts));
                let shown = state
                    .memories
                    .values()
                    .filter(|facts| state.is_shown(facts));
                hides.then(|| shown.map(|facts| Slot(facts.slot)).collect())
            }));
        };
        let selector = Selector::parse(text)?;
        if !has_text(&selector) {
            // In one pass over the memories as they lie: looking each up costs twice as much.
            let now = crate::clock::now();
            return Ok(Some(self.store().read(|state| {
                let fits = |facts: &&Facts| {
                    selector.matches(&state.label(facts, now)) && state.is_shown(facts)
                };
                let facts = state.memories.values().filter(fits);
                facts.map(|facts| Slot(facts.slot)).collect()
            })));
        }
        let selected = self.select(&selector)?;
        let slots = self.store().read(|state| {
            let facts = selected.iter().filter_map(|id| state.memories.get(id));
            facts
                .filter(|facts| state.is_shown(facts))
                .map(|facts| Slot(facts.slot))
                .collect()
        });
        Ok(Some(slots))
    }

    fn show(&self, hit: search::Hit) -> Result<Option<Hit>, Failure> {
        let found = self.store().read(|state| {
            let facts = state
                .slots
                .get(&hit.slot.0)
                .and_then(|id| state.memories.get(id));
            facts
                .filter(|facts| state.is_shown(facts))
                .map(|facts| (facts.id, state.petname(facts.owner)))
        });
        // A vector may lag behind a memory that is gone by now.
        let Some((id, from)) = found else {
            return Ok(None);
        };
        let Some(content) = self.store().content(id)? else {
            return Ok(None);
        };
        let part = snippet(&content.body, &hit.why.terms, SNIPPET_CHARS);
        let matched_by = match hit.why.match_kind {
            Some(MatchKind::Phrase) => "phrase",
            Some(MatchKind::Exact) => "exact",
            Some(MatchKind::Stem) => "stem",
            Some(MatchKind::Prefix) => "prefix",
            Some(MatchKind::Fuzzy) => "fuzzy",
            None => "meaning",
        };
        Ok(Some(Hit {
            id: id.to_string(),
            title: content.title,
            snippet: part.text,
            highlights: part
                .highlights
                .into_iter()
                .map(|range| (range.start, range.end))
                .collect(),
            score: hit.score,
            from,
            why: Why {
                text: hit.why.text,
                vector: hit.why.vector,
                terms: hit.why.terms,
                matched_by: matched_by.to_owned(),
            },
        }))
    }
}
