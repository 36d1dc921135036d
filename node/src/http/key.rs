//! The key of the node and its lock: `/v1/node/key`, `/v1/node/lock`, `/v1/node/unlock`.
//!
//! What a locked node answers is in `locked`.

use crate::http::blocking;
use crate::http::error::{Problems, Refusal};
use crate::http::extract::{Json, Maybe, Nothing};
use crate::service::Services;
use axum::extract::State;
use protocol::api::key::{KeyState, LockState, NewKey, UnlockNode};

/// Tells how the master key is kept, and what the next start needs.
#[utoipa::path(get, path = "/v1/node/key", tag = "node", operation_id = "key_read",
    responses((status = 200, description = "How it is kept.", body = KeyState), Problems))]
pub(crate) async fn read(
    State(services): State<Services>,
) -> Result<axum::Json<KeyState>, Refusal> {
    blocking::json(services, Services::key).await
}

/// Keeps the same master key in another way; no memory is written anew.
#[utoipa::path(put, path = "/v1/node/key", tag = "node", operation_id = "key_put",
    request_body = NewKey,
    responses((status = 200, description = "How it is kept now.", body = KeyState), Problems))]
pub(crate) async fn put(
    State(services): State<Services>,
    Json(new): Json<NewKey>,
) -> Result<axum::Json<KeyState>, Refusal> {
    blocking::json(services, move |services| services.change_key(new)).await
}

/// Locks the node: what was opened leaves its memory, and it answers nothing but `unlock`.
#[utoipa::path(post, path = "/v1/node/lock", tag = "node",
    responses((status = 200, description = "It is about to be locked.", body = LockState), Problems))]
pub(crate) async fn lock(
    State(services): State<Services>,
    Maybe(Nothing {}): Maybe<Nothing>,
) -> Result<axum::Json<LockState>, Refusal> {
    blocking::json(services, Services::lock).await
}

/// Unlocks the node, with a passphrase or with what the configuration names.
#[utoipa::path(post, path = "/v1/node/unlock", tag = "node", request_body = Option<UnlockNode>,
    responses((status = 200, description = "It is about to be open.", body = LockState), Problems))]
pub(crate) async fn unlock(
    State(services): State<Services>,
    Maybe(_opened_already): Maybe<UnlockNode>,
) -> Result<axum::Json<LockState>, Refusal> {
    blocking::json(services, Services::unlock).await
}
