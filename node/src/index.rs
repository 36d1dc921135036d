//! The indexer: embeds what was written, behind the log, and keeps the text index durable.

use crate::embed::{Embedder, chunk};
use std::sync::Arc;
use std::time::{Duration, Instant};
use storage::store::{Store, StoreError};
use tokio_util::sync::CancellationToken;

/// Log entries embedded in one go.
const BATCH_ENTRIES: u64 = 256;
/// How long the indexer rests when it has caught up.
const REST: Duration = Duration::from_millis(150);
/// How often the text index is made durable.
const FLUSH_EVERY: Duration = Duration::from_secs(3);

/// Embeds until the node stops. Blocks: runs on a thread of its own.
pub fn run(store: &Arc<Store>, embedder: &Arc<dyn Embedder>, shutdown: &CancellationToken) {
    let mut flushed = Instant::now();
    while !shutdown.is_cancelled() {
        if flushed.elapsed() >= FLUSH_EVERY {
            flushed = Instant::now();
            if let Err(error) = store.flush() {
                tracing::warn!(%error, "the text index could not be made durable");
            }
        }
        match embed_some(store, &**embedder) {
            Ok(true) => continue,
            Ok(false) => {}
            Err(error) => tracing::warn!(%error, "the indexer could not go on; trying again"),
        }
        std::thread::sleep(REST);
    }
}

/// Embeds one batch; false if there was nothing to do.
fn embed_some(store: &Store, embedder: &dyn Embedder) -> Result<bool, StoreError> {
    let (memories, cursor) = store.to_embed(BATCH_ENTRIES)?;
    if cursor == store.vector_cursor()? {
        return Ok(false);
    }
    let mut vectors = Vec::with_capacity(memories.len());
    for memory in memories {
        let mut made = Vec::new();
        if memory.listed {
            let chunks = chunk::split(&memory.title, &memory.body);
            let texts: Vec<&str> = chunks.iter().map(String::as_str).collect();
            match embedder.embed(&texts) {
                Ok(found) => {
                    let is_known = |vector: &Vec<f32>| vector.iter().any(|part| *part != 0.0);
                    made = found.into_iter().filter(is_known).collect();
                }
                Err(error) => tracing::warn!(%error, "a memory could not be embedded"),
            }
        }
        vectors.push((memory.memory, made));
    }
    store.put_vectors(&vectors, cursor)?;
    Ok(true)
}
