//! The model of a person's choice, kept in bounds: what it was asked with, and when it rests.
//!
//! Not a transport: an [`Embedder`] is. Each request carries one known text beside the others, the
//! *probe*. Its vector says which model really answered: a name such as `latest` stays the same
//! when the model behind it changes, and so does an address. The size of its vectors is known by
//! it too, from the first answer on.
//!
//! Invariant: after a failure nothing is asked for a second, then two, up to a minute, or for as
//! long as the endpoint said; queries and texts rest apart, so that a query that came while the
//! endpoint was busy with texts does not stop these.

use super::{EmbedError, Embedder, Purpose};
use crate::config::Index;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The known text in each request.
const PROBE: &str = "The quick brown fox jumps over the lazy dog.";
/// The longest rest after failures.
const REST_MAX: Duration = Duration::from_mins(1);

/// The model of a person's choice.
pub struct Chosen {
    embedder: Box<dyn Embedder>,
    text_prefix: String,
    query_prefix: String,
    /// Whether texts stay on this device.
    pub is_local: bool,
    /// Texts in a request.
    pub batch_texts: usize,
    texts_per_s: u32,
    texts: Mutex<Reach>,
    queries: Mutex<Reach>,
    is_suspect: AtomicBool,
}

/// Vectors, and the vector of the probe that tells which model made them.
#[derive(Debug)]
pub struct Answer {
    /// The probe's.
    pub probe: Vec<f32>,
    /// One per text.
    pub vectors: Vec<Vec<f32>>,
}

/// How the last requests went.
#[derive(Debug, Default)]
struct Reach {
    failures: u32,
    rests_until: Option<Instant>,
    reason: String,
}

impl std::fmt::Debug for Chosen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Chosen").field(&self.name()).finish()
    }
}

impl Chosen {
    /// Takes an embedder under the bounds of the configuration.
    pub fn new(embedder: Box<dyn Embedder>, index: &Index, is_local: bool) -> Self {
        Self {
            embedder,
            text_prefix: index.text_prefix.clone(),
            query_prefix: index.query_prefix.clone(),
            is_local,
            batch_texts: index.batch_texts,
            texts_per_s: index.texts_per_s,
            texts: Mutex::default(),
            queries: Mutex::default(),
            // Nothing is known of it before it has answered once.
            is_suspect: AtomicBool::new(true),
        }
    }

    /// Returns the model's name.
    pub fn name(&self) -> &str {
        self.embedder.name()
    }

    /// Returns which model it is; none if that cannot be told now.
    pub fn identity(&self) -> Option<&str> {
        self.embedder.identity()
    }

    /// Embeds texts, or refuses at once while the model rests.
    pub fn ask(&self, texts: &[&str], purpose: Purpose) -> Result<Answer, EmbedError> {
        if let Some(resting) = self.resting(purpose) {
            return Err(resting);
        }
        let answer = self.ask_now(texts, purpose);
        match &answer {
            Ok(_) => self.reach(purpose, Reach::answered),
            Err(EmbedError::Stopping) => {}
            // It is read in the background, by whoever looks at it.
            Err(EmbedError::Asleep) => self.suspect(),
            Err(error) => self.reach(purpose, |reach| reach.failed(error)),
        }
        answer
    }

    /// Embeds texts although the model may rest: to find out which of them it cannot take.
    pub fn ask_now(&self, texts: &[&str], purpose: Purpose) -> Result<Answer, EmbedError> {
        let prefix = match purpose {
            Purpose::Text => &self.text_prefix,
            Purpose::Query => &self.query_prefix,
        };
        let probe = format!("{}{PROBE}", self.text_prefix);
        let texts = texts.iter().map(|text| format!("{prefix}{text}"));
        let all: Vec<String> = std::iter::once(probe).chain(texts).collect();
        let all: Vec<&str> = all.iter().map(String::as_str).collect();
        let mut vectors = self.embedder.embed(&all, purpose)?.into_iter();
        let probe = vectors
            .next()
            .filter(|probe| probe.iter().any(|part| *part != 0.0));
        let what = "the vector of an English sentence is all zeros";
        Ok(Answer {
            probe: probe.ok_or(EmbedError::Answer { what })?,
            vectors: vectors.collect(),
        })
    }

    /// Says that the model answered after all.
    pub fn recovered(&self) {
        self.reach(Purpose::Text, Reach::answered);
    }

    /// Returns why it is not asked now, if it is not.
    pub fn resting(&self, purpose: Purpose) -> Option<EmbedError> {
        self.reach(purpose, |reach| {
            let again_in = reach.rests_until?.checked_duration_since(Instant::now())?;
            let reason = reach.reason.clone();
            Some(EmbedError::Resting { reason, again_in })
        })
    }

    /// Returns why the last request with texts failed, if it did.
    pub fn problem(&self) -> Option<String> {
        self.reach(Purpose::Text, |reach| {
            (reach.failures > 0).then(|| reach.reason.clone())
        })
    }

    /// Asks for a look at which model it is, before more is taken from it.
    pub fn suspect(&self) {
        self.is_suspect.store(true, Ordering::Release);
    }

    /// Says that it is known which model it is.
    pub fn trust(&self) {
        self.is_suspect.store(false, Ordering::Release);
    }

    /// Tells whether a look was asked for.
    pub fn is_suspect(&self) -> bool {
        self.is_suspect.load(Ordering::Acquire)
    }

    /// Returns how long to leave it alone after a request: as long as that took, so that at most
    /// half of its time goes to texts, or what the configured pace asks.
    pub fn pause(&self, texts: usize, took: Duration) -> Duration {
        let texts = u32::try_from(texts).unwrap_or(u32::MAX);
        let paced = Duration::from_secs(1).checked_div(self.texts_per_s);
        let paced = paced.unwrap_or_default().saturating_mul(texts);
        took.max(paced.saturating_sub(took))
    }

    fn reach<T>(&self, purpose: Purpose, f: impl FnOnce(&mut Reach) -> T) -> T {
        let reach = match purpose {
            Purpose::Text => &self.texts,
            Purpose::Query => &self.queries,
        };
        f(&mut reach.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Reach {
    fn answered(&mut self) {
        if self.failures > 0 {
            tracing::info!("the chosen embedding model answers again");
        }
        *self = Self::default();
    }

    fn failed(&mut self, error: &EmbedError) {
        self.reason = error.to_string();
        // Said once an outage; status and searches go on saying it.
        if self.failures == 0 {
            tracing::warn!(%error, "the chosen embedding model does not answer");
        }
        let asked = match error {
            EmbedError::Refused { wait, .. } => wait.unwrap_or_default(),
            _ => Duration::ZERO,
        };
        let rest = Duration::from_secs(1 << self.failures.min(6)).min(REST_MAX);
        self.failures = self.failures.saturating_add(1);
        self.rests_until = Instant::now().checked_add(rest.max(asked));
    }
}

#[cfg(test)]
mod tests;
