//! The bridge from a handler to a service that blocks: off the threads of the API, panics included.
//!
//! What only reads stays on its thread of the API where it need not wait; see [`read`].
//! It is not a queue; `guard` bounds how many requests are at work.

use crate::http::error::Refusal;
use crate::service::{Failure, Services};
use crate::telemetry::traces;
use axum::Json;
use tokio::task::JoinError;

/// Runs a blocking call of a service on a thread of its own.
pub(crate) async fn run<T, F>(services: Services, work: F) -> Result<T, Refusal>
where
    T: Send + 'static,
    F: FnOnce(&Services) -> Result<T, Failure> + Send + 'static,
{
    match tokio::task::spawn_blocking(traces::carried(move || work(&services))).await {
        Ok(done) => done.map_err(Refusal::from),
        Err(error) => Err(broken(&error)),
    }
}

/// Runs a call of a service that waits for peers, as a task of the node's.
pub(crate) async fn wait<T, F, W>(services: Services, work: F) -> Result<T, Refusal>
where
    T: Send + 'static,
    F: FnOnce(Services) -> W,
    W: Future<Output = Result<T, Failure>> + Send + 'static,
{
    let tasks = services.tasks().clone();
    match tasks.run(work(services)).await {
        Ok(done) => done.map_err(Refusal::from),
        Err(error) => Err(broken(&error)),
    }
}

fn broken(error: &JoinError) -> Refusal {
    tracing::error!(%error, "a service did not return");
    Refusal::internal()
}

/// Runs a blocking call of a service and answers with what it returns, as JSON.
pub(crate) async fn json<T, F>(services: Services, work: F) -> Result<Json<T>, Refusal>
where
    T: Send + 'static,
    F: FnOnce(&Services) -> Result<T, Failure> + Send + 'static,
{
    run(services, work).await.map(Json)
}

/// Runs a call of a service that only reads and waits for nothing but writers: here, while nobody
/// writes, since to hand it over takes as long as a small one does.
pub(crate) async fn read<T, F>(services: Services, work: F) -> Result<T, Refusal>
where
    T: Send + 'static,
    F: FnOnce(&Services) -> Result<T, Failure> + Send + 'static,
{
    if services.is_busy() {
        return run(services, work).await;
    }
    Ok(work(&services)?)
}
