//! The indexer of the chosen model: slow, far behind at first, and often interrupted.
//!
//! Its place in the log is kept with its vectors, so it goes on where it was after any end. A
//! batch that fails while the probe alone is answered has a text that the model cannot take: each
//! is tried alone then, and what fails twice is left out, with a line in the log; words still find
//! it. If the probe is not answered either, all of it waits.
//!
//! Invariant: to an endpoint that is not on this device goes no text that is not this person's, or
//! that the egress guard holds at that moment.

use super::{REST, rest};
use crate::embed::chosen::Chosen;
use crate::embed::{EmbedError, Purpose, chunk};
use crdt::id::MemoryId;
use std::sync::Arc;
use std::time::Instant;
use storage::store::generations::Generation;
use storage::store::{Store, StoreError};
use thiserror::Error;
use tokio_util::sync::CancellationToken;

/// Log entries embedded in one go: what a crash costs at most.
const BATCH_ENTRIES: u64 = 32;

/// A piece of a memory's text: the memory's place in the batch, and the text.
type Piece = (usize, String);

/// Why a batch was given up.
#[derive(Debug, Error)]
enum Halt {
    #[error(transparent)]
    Model(#[from] EmbedError),
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Another model answers than before.
    #[error("another model answers under the name of the chosen one")]
    Changed,
}

/// The indexer.
struct Indexer<'a> {
    store: &'a Store,
    chosen: &'a Chosen,
    shutdown: &'a CancellationToken,
}

/// Embeds until the node stops. Blocks: runs on a thread of its own.
pub(super) fn run(store: &Arc<Store>, chosen: &Chosen, shutdown: &CancellationToken) {
    let indexer = Indexer {
        store,
        chosen,
        shutdown,
    };
    while !shutdown.is_cancelled() {
        match indexer.step() {
            Ok(true) => continue,
            Ok(false) | Err(Halt::Model(_)) => {}
            Err(changed @ Halt::Changed) => {
                tracing::warn!("{changed}");
                continue;
            }
            Err(error) => tracing::warn!(%error, "the indexer could not go on; trying again"),
        }
        match chosen.resting(Purpose::Text) {
            Some(EmbedError::Resting { again_in, .. }) => rest(again_in, shutdown),
            _ => rest(REST, shutdown),
        }
    }
}

impl Indexer<'_> {
    /// Embeds one batch; false if there was nothing to do.
    fn step(&self) -> Result<bool, Halt> {
        if self.chosen.is_suspect() {
            let answer = self.chosen.ask(&[], Purpose::Text)?;
            if !self.store.agree(&answer.probe)? {
                let (model, dimensions) = (self.chosen.name(), answer.probe.len());
                tracing::info!(
                    model,
                    dimensions,
                    "the chosen model's vectors are made anew"
                );
            }
            self.chosen.trust();
        }
        let (memories, span) = self.store.due(Generation::Chosen, BATCH_ENTRIES)?;
        if span.from == span.until {
            return Ok(false);
        }
        let began = Instant::now();
        let mut made = Vec::with_capacity(memories.len());
        let mut pieces: Vec<Piece> = Vec::new();
        for (at, memory) in memories.into_iter().enumerate() {
            if let Some(content) = &memory.content
                && (self.chosen.is_local || memory.may_leave)
            {
                let texts = chunk::split(&content.title, &content.body);
                pieces.extend(texts.into_iter().map(|text| (at, text)));
            }
            made.push((memory.memory, Vec::new()));
        }
        for batch in pieces.chunks(self.chosen.batch_texts) {
            let may_go = |(at, _): &&Piece| made.get(*at).is_some_and(|it| self.may_go(it.0));
            let batch: Vec<&Piece> = batch.iter().filter(may_go).collect();
            let texts: Vec<&str> = batch.iter().map(|(_, text)| text.as_str()).collect();
            if texts.is_empty() {
                continue;
            }
            let vectors = self.embed(&texts)?;
            for ((at, _), vector) in batch.into_iter().zip(vectors) {
                let is_known = |vector: &Vec<f32>| vector.iter().any(|part| *part != 0.0);
                if let Some((_, of_memory)) = made.get_mut(*at) {
                    of_memory.extend(vector.filter(is_known));
                }
            }
        }
        self.store.put_vectors(Generation::Chosen, &made, span)?;
        super::note_embedding("chosen", &made, began);
        Ok(true)
    }

    /// Tells whether a memory's text may go to the endpoint now.
    fn may_go(&self, memory: MemoryId) -> bool {
        self.chosen.is_local || self.store.may_leave(memory)
    }

    /// Embeds texts; nothing in place of one that the model cannot take.
    fn embed(&self, texts: &[&str]) -> Result<Vec<Option<Vec<f32>>>, Halt> {
        let started = Instant::now();
        let vectors = match self.chosen.ask(texts, Purpose::Text) {
            Ok(answer) => {
                self.agree(&answer.probe)?;
                answer.vectors.into_iter().map(Some).collect()
            }
            Err(error @ (EmbedError::Resting { .. } | EmbedError::Stopping)) => {
                return Err(error.into());
            }
            Err(error) => {
                tracing::debug!(%error, "a batch failed; its texts are tried one by one");
                self.embed_each(texts)?
            }
        };
        rest(
            self.chosen.pause(texts.len(), started.elapsed()),
            self.shutdown,
        );
        Ok(vectors)
    }

    fn embed_each(&self, texts: &[&str]) -> Result<Vec<Option<Vec<f32>>>, Halt> {
        let mut vectors = Vec::with_capacity(texts.len());
        for text in texts {
            // The probe alone tells a text that cannot be taken from an endpoint that is away.
            self.agree(&self.chosen.ask_now(&[], Purpose::Text)?.probe)?;
            let once = || self.chosen.ask_now(&[text], Purpose::Text);
            let answer = once().or_else(|_| {
                self.chosen.ask_now(&[], Purpose::Text)?;
                once()
            });
            let answer = match answer {
                Ok(answer) => Some(answer),
                Err(error) => {
                    self.agree(&self.chosen.ask_now(&[], Purpose::Text)?.probe)?;
                    tracing::warn!(%error, "a text is left out: the chosen model cannot take it");
                    None
                }
            };
            if let Some(answer) = &answer {
                self.agree(&answer.probe)?;
            }
            vectors.push(answer.and_then(|answer| answer.vectors.into_iter().next()));
        }
        self.chosen.recovered();
        Ok(vectors)
    }

    /// Makes sure that the generation is of the model that answered.
    fn agree(&self, probe: &[f32]) -> Result<(), Halt> {
        if self.store.is_agreed(probe)? {
            return Ok(());
        }
        self.chosen.suspect();
        Err(Halt::Changed)
    }
}
