//! The node itself: `/healthz`, `/readyz`, `/v1/node`, `/v1/identity`, `/v1/indexes:rebuild`,
//! `/v1/node:verify`.

use crate::http::blocking;
use crate::http::error::{Problems, Refusal};
use crate::http::extract::{Maybe, Nothing};
use crate::service::Services;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use protocol::api::status::{ClockAccepted, Health, Identity, NodeStatus, NodeVerdict, Rebuilt};

/// Says that the process answers.
#[utoipa::path(get, path = "/healthz", tag = "node", security(()),
    responses((status = 200, description = "It answers.", body = Health), Problems))]
pub(crate) async fn healthz() -> Json<Health> {
    Json(Health {
        status: "ok".to_owned(),
        reason: String::new(),
    })
}

/// Says whether the node can work: its store is open and its indexes answer.
#[utoipa::path(get, path = "/readyz", tag = "node", security(()),
    responses(
        (status = 200, description = "It can work.", body = Health),
        (status = 503, description = "It cannot work; the reason says why.", body = Health),
        Problems,
    ))]
pub(crate) async fn readyz(
    State(services): State<Services>,
) -> Result<(StatusCode, Json<Health>), Refusal> {
    let health = blocking::run(services, |services| Ok(services.ready())).await?;
    let ready = health.status == "ok";
    let status = if ready {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    Ok((status, Json(health)))
}

/// Tells how the node is.
#[utoipa::path(get, path = "/v1/node", tag = "node",
    responses((status = 200, description = "How it is.", body = NodeStatus), Problems))]
pub(crate) async fn node(State(services): State<Services>) -> Result<Json<NodeStatus>, Refusal> {
    blocking::json(services, Services::status).await
}

/// Tells who the node is.
#[utoipa::path(get, path = "/v1/identity", tag = "node",
    responses((status = 200, description = "Who it is.", body = Identity), Problems))]
pub(crate) async fn identity(State(services): State<Services>) -> Result<Json<Identity>, Refusal> {
    blocking::json(services, Services::identity).await
}

/// Takes the system clock as right although this node has seen a later time.
#[utoipa::path(post, path = "/v1/clock:accept", tag = "node",
    responses((status = 200, description = "It is taken.", body = ClockAccepted), Problems))]
pub(crate) async fn accept_clock(
    State(services): State<Services>,
    Maybe(Nothing {}): Maybe<Nothing>,
) -> Result<Json<ClockAccepted>, Refusal> {
    blocking::json(services, Services::accept_clock).await
}

/// Builds every index anew from the log.
#[utoipa::path(post, path = "/v1/indexes:rebuild", tag = "node",
    responses((status = 200, description = "They are built.", body = Rebuilt), Problems))]
pub(crate) async fn rebuild(
    State(services): State<Services>,
    Maybe(Nothing {}): Maybe<Nothing>,
) -> Result<Json<Rebuilt>, Refusal> {
    blocking::json(services, Services::rebuild).await
}

/// Reads everything that is kept and names what is damaged. Changes nothing.
#[utoipa::path(post, path = "/v1/node:verify", tag = "node", operation_id = "node_verify",
    responses((status = 200, description = "It was read.", body = NodeVerdict), Problems))]
pub(crate) async fn verify(
    State(services): State<Services>,
    Maybe(Nothing {}): Maybe<Nothing>,
) -> Result<Json<NodeVerdict>, Refusal> {
    blocking::json(services, Services::verify).await
}
