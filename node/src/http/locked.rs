//! The API of a locked node: health, `unlock`, and one refusal for everything else.
//!
//! Nothing here can read a memory: the keys are not in the process.

use crate::config::Unlock;
use crate::http::error::Refusal;
use crate::http::extract::{Maybe, Nothing};
use crate::http::{Edge, guard, status};
use crate::service::{Failure, state_of};
use crate::unlock::{self, Found, Missing, Secret};
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::{any, get, post};
use axum::{Json, Router};
use protocol::api::key::{LockState, UnlockNode};
use protocol::api::problem::ErrorCode;
use protocol::api::status::Health;
use std::path::PathBuf;
use std::sync::Arc;
use storage::keyring::{Keyring, MASTER_FILE};
use tokio::sync::{Semaphore, mpsc};

/// What stands between a locked node and its secret.
#[derive(Debug, Clone)]
pub struct Gate(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    data: PathBuf,
    config: Unlock,
    opened: mpsc::Sender<Secret>,
    /// One guess at a time: each costs the memory that makes guessing dear.
    guesses: Semaphore,
}

impl Gate {
    /// Makes the gate; the secret that opens goes to `opened`.
    pub fn new(data: PathBuf, config: Unlock, opened: mpsc::Sender<Secret>) -> Self {
        let guesses = Semaphore::new(1);
        Self(Arc::new(Inner {
            data,
            config,
            opened,
            guesses,
        }))
    }
}

/// Builds the API of one listener of a locked node.
pub fn locked_router(gate: Gate, edge: Edge) -> Router {
    let router = Router::new()
        .route("/healthz", get(status::healthz))
        .route("/readyz", get(readyz))
        .route("/v1/node/unlock", post(unlock))
        .route("/v1/node/lock", post(lock))
        .route("/{*path}", any(refuse));
    guard(router.with_state(gate), edge)
}

async fn readyz() -> (StatusCode, Json<Health>) {
    let health = Health {
        status: "locked".to_owned(),
        reason: "the node is locked".to_owned(),
    };
    (StatusCode::SERVICE_UNAVAILABLE, Json(health))
}

async fn refuse() -> Refusal {
    let detail = "its keys are not in memory: it shows, finds, takes and shares nothing";
    Refusal::new(ErrorCode::Locked, "the node is locked", detail).hint("brainctl node unlock")
}

/// A locked node is locked already.
async fn lock(
    State(gate): State<Gate>,
    Maybe(Nothing {}): Maybe<Nothing>,
) -> Result<Json<LockState>, Refusal> {
    Ok(Json(state_now(&gate.0, "locked").await?))
}

/// Opens the node with the secret of the request, or with what the configuration names.
async fn unlock(
    State(gate): State<Gate>,
    Maybe(request): Maybe<UnlockNode>,
) -> Result<Json<LockState>, Refusal> {
    let busy = |_full_or_closed| {
        let detail = "one passphrase is tried at a time";
        Refusal::new(ErrorCode::Busy, "too many requests at once", detail)
    };
    let inner = Arc::clone(&gate.0);
    let place = inner.guesses.try_acquire().map_err(busy)?;
    let trying = Arc::clone(&inner);
    let tried = tokio::task::spawn_blocking(move || try_open(&trying, request));
    let secret = tried.await.map_err(|error| {
        tracing::error!(%error, "trying a passphrase did not return");
        Refusal::internal()
    })??;
    let state = state_now(&inner, "unlocked").await?;
    // A second one that opens too finds the first one's place taken, which opens the node as well.
    if inner.opened.try_send(secret).is_err() {
        tracing::debug!("the node is being unlocked already");
    }
    drop(place);
    Ok(Json(state))
}

/// Says who can unlock the node; the OS keyring is asked, which may take a while.
async fn state_now(inner: &Arc<Inner>, state: &'static str) -> Result<LockState, Refusal> {
    let inner = Arc::clone(inner);
    let looked =
        tokio::task::spawn_blocking(move || state_of(state, &inner.config, &inner.data)).await;
    looked.map_err(|error| {
        tracing::error!(%error, "looking for what opens the node did not return");
        Refusal::internal()
    })
}

/// Says what is missing.
fn needs_secret(missing: &Missing) -> Refusal {
    let detail = missing.to_string();
    Refusal::new(ErrorCode::Locked, "the node is locked", detail).hint(missing.hint())
}

/// Finds the secret and tries it on the key file.
fn try_open(inner: &Inner, request: UnlockNode) -> Result<Secret, Refusal> {
    let secret = match request.passphrase {
        Some(words) => Secret::passphrase(words),
        None => match unlock::find(&inner.config, &inner.data).map_err(Failure::from)? {
            Found::Secret(secret) => secret,
            Found::Ask(missing) => return Err(needs_secret(&missing)),
        },
    };
    if inner.data.join(MASTER_FILE).exists() {
        Keyring::open(&inner.data, secret.key()).map_err(Failure::from)?;
    }
    Ok(secret)
}
