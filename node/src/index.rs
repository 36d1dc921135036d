//! The indexer: embeds what was written, behind the log, and keeps the text index durable.
//!
//! The built-in model keeps up with the log; [`chosen`] is the indexer of the other one, on a
//! thread of its own, because it is slow and may be away.

mod chosen;

use crate::embed::chunk;
use crate::embed::models::Models;
use crate::tasks::Tasks;
use crate::telemetry::journeys;
use crate::telemetry::traces::Span;
use crdt::id::MemoryId;
use std::sync::Arc;
use std::time::{Duration, Instant};
use storage::store::generations::Generation;
use storage::store::{Store, StoreError};
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

/// Log entries embedded in one go.
const BATCH_ENTRIES: u64 = 256;
/// How long the indexer rests when it has caught up.
const REST: Duration = Duration::from_millis(150);
/// How often the text index is made durable.
const FLUSH_EVERY: Duration = Duration::from_secs(3);

/// Starts the indexers; they end with the node.
pub fn start(
    store: &Arc<Store>,
    models: &Arc<Models>,
    tasks: &Tasks,
    shutdown: &CancellationToken,
) {
    let of = || (Arc::clone(store), Arc::clone(models), shutdown.clone());
    if models.chosen.is_some() {
        let (store, models, stop) = of();
        tasks.spawn_blocking(move || {
            if let Some(model) = &models.chosen {
                chosen::run(&store, model, &stop);
            }
        });
    }
    let (store, models, stop) = of();
    tasks.spawn_blocking(move || run(&store, &models, &stop));
}

/// Embeds by the built-in model until the node stops. Blocks: runs on a thread of its own.
fn run(store: &Arc<Store>, models: &Models, shutdown: &CancellationToken) {
    let (mut flushed, mut head) = (Instant::now(), 0);
    while !shutdown.is_cancelled() {
        if flushed.elapsed() >= FLUSH_EVERY {
            flushed = Instant::now();
            let before = std::mem::replace(&mut head, store.read(|state| state.head));
            let is_quiet = before == head;
            if let Err(error) = keep_text(store, is_quiet, shutdown) {
                tracing::warn!(%error, "the text index could not be made durable");
            }
        }
        let done = if models.is_on {
            embed_some(store, models)
        } else {
            Ok(false)
        };
        match done {
            Ok(true) => continue,
            Ok(false) => {}
            Err(error) => tracing::warn!(%error, "the indexer could not go on; trying again"),
        }
        rest(REST, shutdown);
    }
}

/// Makes the text index durable, and merges its parts while nobody writes.
fn keep_text(
    store: &Store,
    is_quiet: bool,
    shutdown: &CancellationToken,
) -> Result<(), StoreError> {
    store.flush()?;
    if is_quiet && store.condense(&|| shutdown.is_cancelled())? {
        tracing::debug!("parts of the text index were merged");
    }
    Ok(())
}

/// Waits, but no longer than the node runs.
fn rest(time: Duration, shutdown: &CancellationToken) {
    Handle::current().block_on(async {
        tokio::select! {
            () = tokio::time::sleep(time) => {}
            () = shutdown.cancelled() => {}
        }
    });
}

/// Embeds one batch; false if there was nothing to do.
fn embed_some(store: &Store, models: &Models) -> Result<bool, StoreError> {
    let (memories, span) = store.due(Generation::BuiltIn, BATCH_ENTRIES)?;
    if span.from == span.until {
        return Ok(false);
    }
    let began = Instant::now();
    let mut vectors = Vec::with_capacity(memories.len());
    for memory in memories {
        let content = memory.content.as_ref();
        let made = content.map(|it| chunk::embedded(models.built_in, &it.title, &it.body));
        vectors.push((memory.memory, made.unwrap_or_default()));
    }
    store.put_vectors(Generation::BuiltIn, &vectors, span)?;
    note_embedding("built_in", &vectors, began);
    Ok(true)
}

/// Notes that memories were embedded, in the trace that brought each.
fn note_embedding(model: &'static str, vectors: &[(MemoryId, Vec<Vec<f32>>)], began: Instant) {
    for step in journeys::of(vectors.iter().map(|(memory, _)| *memory)) {
        let span = Span::since("embed", step, began);
        span.word("brain.model", model);
        span.count("brain.memories", vectors.len());
    }
}
