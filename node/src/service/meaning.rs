//! Meaning: which generation of vectors answers a search, and what is said of the other.
//!
//! The chosen model answers once its vectors have been complete and are little behind; while they
//! are not, or while it does not answer, the built-in one does, and the response says so.
//!
//! Invariant: the vector of the query and the vectors it is compared with are of one model.

use super::{Failure, Services};
use crate::embed::Purpose;
use crate::embed::chosen::Chosen;
use protocol::api::problem::ErrorCode;
use protocol::api::search::NotAnswering;
use protocol::api::status::Projection;
use storage::search::SearchMode;
use storage::store::generations::Generation;

/// How many log entries the chosen vectors may be behind and still answer: what one writes in a
/// day is found by words meanwhile, a fresh import is not worth missing.
const LAG_MAX: u64 = 256;

/// The vector of a query, and whose it is.
pub(super) struct Meaning {
    pub(super) generation: Generation,
    pub(super) model: String,
    pub(super) lag: u64,
    pub(super) vector: Option<Vec<f32>>,
    pub(super) chosen: Option<NotAnswering>,
    /// The vector of the probe that came with it.
    probe: Option<Vec<f32>>,
}

impl Services {
    /// Refuses a search by meaning where there are no vectors.
    pub(super) fn check_mode(&self, mode: SearchMode) -> Result<(), Failure> {
        if mode != SearchMode::Vector || self.0.models.is_on {
            return Ok(());
        }
        let title = "this node searches by words only";
        Err(Failure::new(ErrorCode::BadRequest, title)
            .because("index.embeddings is off")
            .hint("set index.embeddings to builtin and start the node again"))
    }

    /// Embeds a query by the model that answers now.
    pub(super) fn meaning(&self, query: &str, mode: SearchMode) -> Result<Meaning, Failure> {
        self.check_mode(mode)?;
        let Some(chosen) = self.0.models.chosen.as_ref() else {
            return self.built_in_meaning(query, None);
        };
        if mode == SearchMode::Text {
            return self.built_in_meaning(query, None);
        }
        let lag = self.lag(Generation::Chosen)?;
        let reason = match self.not_ready(lag)? {
            Some(reason) => match chosen.problem() {
                Some(problem) => format!("{reason}; {problem}"),
                None => reason,
            },
            None => match chosen.ask(&[words(query).as_str()], Purpose::Query) {
                Ok(answer) if self.stands(&answer.probe)? => {
                    let vector = answer.vectors.into_iter().next();
                    return Ok(Meaning {
                        generation: Generation::Chosen,
                        model: chosen.name().to_owned(),
                        lag,
                        vector: vector.filter(|vector| is_known(vector)),
                        chosen: None,
                        probe: Some(answer.probe),
                    });
                }
                Ok(answer) if self.store().is_agreed(&answer.probe)? => {
                    "its vectors are being made anew".to_owned()
                }
                Ok(_) => {
                    chosen.suspect();
                    "another model answers under its name".to_owned()
                }
                Err(error) => error.to_string(),
            },
        };
        let not_answering = NotAnswering {
            model: chosen.name().to_owned(),
            lag,
            reason,
        };
        self.built_in_meaning(query, Some(not_answering))
    }

    /// Embeds a query by the built-in model, if that is used.
    pub(super) fn built_in_meaning(
        &self,
        query: &str,
        chosen: Option<NotAnswering>,
    ) -> Result<Meaning, Failure> {
        let models = &self.0.models;
        let vector = models
            .is_on
            .then(|| models.built_in.embed_one(&words(query)));
        let lag = if models.is_on {
            self.lag(Generation::BuiltIn)?
        } else {
            0
        };
        Ok(Meaning {
            generation: Generation::BuiltIn,
            model: models.built_in_name().to_owned(),
            lag,
            vector: vector.filter(|vector| is_known(vector)),
            chosen,
            probe: None,
        })
    }

    /// Tells whether the vectors that a query was compared with are still of the query's model.
    pub(super) fn is_of_one_model(&self, meaning: &Meaning) -> Result<bool, Failure> {
        meaning
            .probe
            .as_ref()
            .map_or(Ok(true), |probe| self.stands(probe))
    }

    /// Tells whether the chosen generation is whole and of the model that has this vector of the
    /// probe. It may begin anew at any moment, also while a query is embedded.
    fn stands(&self, probe: &[f32]) -> Result<bool, Failure> {
        Ok(self.store().is_agreed(probe)? && self.store().is_complete()?)
    }

    /// Tells how far each generation of vectors is.
    pub(super) fn generations(&self, head: u64) -> Result<Vec<Projection>, Failure> {
        let models = &self.0.models;
        let projection = |name: &str, cursor: u64, model: &str, note: String| Projection {
            name: name.to_owned(),
            cursor,
            lag: head.saturating_sub(cursor),
            model: Some(model.to_owned()),
            note: Some(note),
        };
        if !models.is_on {
            return Ok(Vec::new());
        }
        let chosen = match &models.chosen {
            Some(chosen) => Some(self.chosen_glance(chosen)?),
            None => None,
        };
        let answers = chosen.as_ref().is_none_or(|(note, _)| note != ANSWERS);
        let note = if answers { ANSWERS } else { "stands by" };
        let cursor = self.store().vector_cursor(Generation::BuiltIn)?;
        let name = models.built_in_name();
        let mut all = vec![projection("vectors", cursor, name, note.to_owned())];
        if let (Some(model), Some((note, cursor))) = (&models.chosen, chosen) {
            all.push(projection("chosen vectors", cursor, model.name(), note));
        }
        Ok(all)
    }

    fn chosen_glance(&self, chosen: &Chosen) -> Result<(String, u64), Failure> {
        let note = match (
            chosen.problem(),
            self.not_ready(self.lag(Generation::Chosen)?)?,
        ) {
            (Some(problem), _) => problem,
            (None, Some(reason)) => reason,
            (None, None) => ANSWERS.to_owned(),
        };
        Ok((note, self.store().vector_cursor(Generation::Chosen)?))
    }

    /// Returns why the chosen vectors cannot answer yet, if they cannot.
    fn not_ready(&self, lag: u64) -> Result<Option<String>, Failure> {
        if !self.store().is_complete()? {
            return Ok(Some(format!(
                "its vectors are being made, {lag} events to go"
            )));
        }
        Ok((lag > LAG_MAX).then(|| format!("its vectors are {lag} events behind")))
    }

    pub(super) fn lag(&self, generation: Generation) -> Result<u64, Failure> {
        let head = self.store().read(|state| state.head);
        Ok(head.saturating_sub(self.store().vector_cursor(generation)?))
    }
}

/// What is said of the generation that answers.
const ANSWERS: &str = "answers";

/// Takes the signs out of a query that only words need.
fn words(query: &str) -> String {
    query.replace(['"', '*'], " ")
}

fn is_known(vector: &[f32]) -> bool {
    vector.iter().any(|part| *part != 0.0)
}
