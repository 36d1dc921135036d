//! The past: searching and showing memories as they were at the end of a moment.
//!
//! Only how a person asks for it; what was there then is [`storage::store::past`]'s to say. The
//! present is one of its moments: whoever asks for today or later gets what is here now.
//!
//! Meaning is compared by the built-in model alone, because texts of the past are embedded while
//! the person waits, and none of them leaves the device for it.

use super::memories::{Row, Stretch, paged};
use super::search::{Answer, failed, shown};
use super::view::{memory, summary};
use super::{Failure, Services, facets};
use crate::clock;
use crate::embed::chunk;
use crdt::id::MemoryId;
use crdt::selector::Selector;
use crdt::time::Timestamp;
use protocol::api::Page;
use protocol::api::memories::{Memory, Summary};
use protocol::api::problem::ErrorCode;
use protocol::api::search::{Facets, Hit, NotAnswering, SearchRequest};
use storage::records::Facts;
use storage::search::snippet::Snippets;
use storage::search::{self, Aside, SearchMode};
use storage::slots::Slot;
use storage::store::past::{CHANGED_MAX, Past, PastError, Wanted};
use storage::store::state::State;

/// How often the past is looked at again because what was there then is changed meanwhile.
const TRIES_MAX: usize = 4;

/// Tells whether the asker is shown a memory.
type Shows<'a> = &'a dyn Fn(&State, &Facts) -> bool;

/// The moment at whose end things are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Moment {
    /// It is over.
    Past(Timestamp),
    /// It is not over, so what is here now counts; this is the present.
    Present(Timestamp),
}

impl Moment {
    /// Reads what a person wrote.
    pub(super) fn read(text: &str) -> Result<Self, Failure> {
        let now = clock::now();
        let end = Timestamp::parse_end(text.trim()).ok_or_else(|| {
            Failure::new(ErrorCode::BadRequest, format!("{text:?} is no date"))
                .because(
                    "a date is YYYY-MM-DD, to its end in UTC, or RFC 3339 with a zone, from 1970 on",
                )
                .hint("brainctl search \"rye bread\" --as-of 2026-10-31")
                .hint("brainctl search \"rye bread\" --as-of 2026-10-31T18:00:00Z")
        })?;
        Ok(if end < now {
            Self::Past(end)
        } else {
            Self::Present(now)
        })
    }

    /// Returns the time at whose end things are looked at.
    pub(super) fn time(self) -> Timestamp {
        match self {
            Self::Past(time) | Self::Present(time) => time,
        }
    }
}

impl Services {
    /// Searches what there was at the end of a moment.
    pub(super) fn search_past(
        &self,
        request: &SearchRequest,
        asked: &search::SearchRequest<'_>,
        moment: Timestamp,
    ) -> Result<Answer, Failure> {
        let selector = Selector::parse(request.selector.as_deref().unwrap_or_default())?;
        check(&selector)?;
        // It says that there are no vectors, if there are none.
        self.check_mode(asked.mode)?;
        let chosen = self.0.models.chosen.as_ref().map(|model| NotAnswering {
            model: model.name().to_owned(),
            lag: 0,
            reason: "the past is compared by the built-in model".to_owned(),
        });
        let meaning = self.built_in_meaning(&request.query, chosen)?;
        let vector = meaning.vector.as_deref();
        let asked = search::SearchRequest {
            vector,
            ..asked.clone()
        };
        let (hits, facets, gone) = self.look(moment, (&selector, &State::is_shown), |past| {
            let aside = self
                .store()
                .aside(past, &|title, body| self.pieces(title, body));
            let found = (past, &aside.map_err(failed)?);
            let hits = self.hits_of(found, &asked)?;
            let facets = if request.facets {
                Some(self.facets_of(found, &asked)?)
            } else {
                None
            };
            Ok((hits, facets, past.gone))
        })?;
        Ok(Answer {
            hits,
            facets,
            model: meaning.model,
            lag: meaning.lag,
            chosen: meaning.chosen.filter(|_| asked.mode != SearchMode::Text),
            gone,
        })
    }

    /// Lists what a selector took in at the end of a moment, the last changed of then first.
    pub(super) fn list_past(
        &self,
        (selector, shows): (&Selector, Shows<'_>),
        stretch: Stretch,
        moment: Timestamp,
    ) -> Result<Page<Summary>, Failure> {
        check(selector)?;
        self.look(moment, (selector, shows), |past| {
            let rows: Vec<Row> = self.store().read(|state| {
                let same = past.unchanged.iter();
                let same = same.filter_map(|slot| facets::present(state, slot));
                let others = past.changed.values().map(|was| &was.facts);
                let all = same.chain(others);
                all.map(|facts| (facts.updated.0, facts.slot, facts.id))
                    .collect()
            });
            let (rows, next_cursor) = paged(rows, stretch);
            let mut items = Vec::with_capacity(rows.len());
            for (_, slot, id) in rows {
                let was = past.changed.get(&Slot(slot));
                let title = match was {
                    Some(was) => Some(was.content.title.clone()),
                    None => self.store().content(id)?.map(|content| content.title),
                };
                items.extend(self.store().read(|state| {
                    let facts = was.map(|was| &was.facts);
                    let facts = facts.or_else(|| facets::present(state, Slot(slot)))?;
                    Some(summary(state, facts, title.unwrap_or_default()))
                }));
            }
            Ok(Page { items, next_cursor })
        })
    }

    /// Returns a memory as it was at the end of a moment.
    pub(super) fn memory_past(&self, id: MemoryId, moment: Timestamp) -> Result<Memory, Failure> {
        let was = self.store().memory_at(id, moment)?.ok_or_else(|| {
            Failure::not_found("memory", &id.to_string())
                .because(format!(
                    "it was not here yet at {}, or cannot be read as it was then",
                    moment.to_rfc3339()
                ))
                .hint(format!("brainctl show {id}      show it as it is now"))
        })?;
        Ok(self
            .store()
            .read(|state| memory(state, &was.facts, was.content, self.0.sync.desk())))
    }

    /// Looks at the memories that a selector took in, as they were; again, if some of them are
    /// changed meanwhile.
    fn look<T>(
        &self,
        moment: Timestamp,
        (selector, shows): (&Selector, Shows<'_>),
        at: impl Fn(&Past) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        for _ in 0..TRIES_MAX {
            let now = clock::now();
            let wanted = Wanted {
                selector,
                shows,
                now,
            };
            let past = self.store().past(moment, wanted)?;
            let seen = at(&past)?;
            if self.store().still_stands(&past) {
                return Ok(seen);
            }
        }
        Err(
            Failure::new(ErrorCode::Busy, "memories of then are changed just now")
                .because("an answer about the past needs a moment in which none of them is")
                .hint("try again"),
        )
    }

    /// Embeds the pieces of a text by the built-in model, if it is used.
    fn pieces(&self, title: &str, body: &str) -> Vec<Vec<f32>> {
        let models = &self.0.models;
        if models.is_on {
            chunk::embedded(models.built_in, title, body)
        } else {
            Vec::new()
        }
    }

    fn hits_of(
        &self,
        found: (&Past, &Aside),
        asked: &search::SearchRequest<'_>,
    ) -> Result<Vec<Hit>, Failure> {
        let mut hits = Vec::new();
        let mut snippets = Snippets::default();
        for hit in self.store().search_past(found, asked).map_err(failed)? {
            let was = found.0.changed.get(&hit.slot);
            let known = self.store().read(|state| {
                let facts = was.map(|was| &was.facts);
                let facts = facts.or_else(|| facets::present(state, hit.slot))?;
                Some((facts.id, state.petname(facts.owner)))
            });
            let Some((id, from)) = known else {
                continue;
            };
            let content = match was {
                Some(was) => Some(was.content.clone()),
                None => self.store().content(id)?,
            };
            hits.extend(content.map(|content| shown(id, from, &content, &hit, &mut snippets)));
        }
        Ok(hits)
    }

    fn facets_of(
        &self,
        found: (&Past, &Aside),
        asked: &search::SearchRequest<'_>,
    ) -> Result<Facets, Failure> {
        let slots = self.store().with_words_past(found, asked).map_err(failed)?;
        Ok(self.store().read(|state| {
            let of = |slot: Slot| match found.0.changed.get(&slot) {
                Some(was) => Some(&was.facts),
                None => facets::present(state, slot),
            };
            facets::count(state, &slots, of)
        }))
    }
}

/// Refuses what is not known of the past.
fn check(selector: &Selector) -> Result<(), Failure> {
    if !selector.asks_about_grants() {
        return Ok(());
    }
    Err(Failure::new(
        ErrorCode::BadSelector,
        "shared-with: cannot be asked about the past",
    )
    .because("who could see a memory then is not kept")
    .hint("leave it out, or ask without a date"))
}

impl From<PastError> for Failure {
    fn from(error: PastError) -> Self {
        match error {
            PastError::Store(error) => error.into(),
            PastError::TooMany(changed) => {
                let title = format!("{changed} memories were changed since then");
                Self::new(ErrorCode::LimitExceeded, title)
                    .because(format!(
                        "at most {CHANGED_MAX} can be looked at as they were for one answer"
                    ))
                    .hint("take a later date: fewer were changed since then")
            }
            PastError::TooLarge => {
                let title = "too much text was changed since then";
                Self::new(ErrorCode::LimitExceeded, title)
                    .because(error.to_string())
                    .hint("narrow it with a selector, or take a later date")
            }
        }
    }
}
