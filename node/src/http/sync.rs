//! Sync: `/v1/sync`, `/v1/sync:now`, `/v1/sync/{person}:prove`.

use crate::http::blocking;
use crate::http::error::{Problems, Refusal};
use crate::http::extract::{Maybe, Nothing, Segment};
use crate::http::guard::no_verb;
use crate::service::Services;
use axum::Json;
use axum::extract::State;
use protocol::api::sync::{Proof, SyncStatus};

/// Tells how far this node and its peers are.
#[utoipa::path(get, path = "/v1/sync", tag = "sync",
    responses((status = 200, description = "How far they are.", body = SyncStatus), Problems))]
pub(crate) async fn status(State(services): State<Services>) -> Result<Json<SyncStatus>, Refusal> {
    blocking::json(services, Services::sync_status).await
}

/// Reaches for every peer at once.
#[utoipa::path(post, path = "/v1/sync:now", tag = "sync",
    responses((status = 200, description = "How far they are.", body = SyncStatus), Problems))]
pub(crate) async fn now(
    State(services): State<Services>,
    Maybe(Nothing {}): Maybe<Nothing>,
) -> Result<Json<SyncStatus>, Refusal> {
    let tried = async move |services: Services| services.sync_now().await;
    blocking::wait(services, tried).await.map(Json)
}

/// Does what the verb behind the person says.
pub(crate) async fn act(
    State(services): State<Services>,
    segment: Segment,
    Maybe(Nothing {}): Maybe<Nothing>,
) -> Result<Json<Proof>, Refusal> {
    match segment.verb() {
        Some((person, "prove")) => prove(services, person.to_owned()).await,
        _ => Err(no_verb(&segment, "")),
    }
}

/// Proves with a peer that both have the same, or finds what is missing.
#[utoipa::path(post, path = "/v1/sync/{person}:prove", tag = "sync",
    params(("person" = String, Path,
        description = "The person: petname, `did:key` or a unique prefix of it.")),
    responses((status = 200, description = "The proof.", body = Proof), Problems))]
pub(crate) async fn prove(services: Services, person: String) -> Result<Json<Proof>, Refusal> {
    let proven = async move |services: Services| services.prove(&person).await;
    blocking::wait(services, proven).await.map(Json)
}
