//! The tray: `/v1/tray`, what revoked writers wrote too late.

use crate::http::blocking;
use crate::http::error::{Problems, Refusal};
use crate::http::extract::{Maybe, Nothing, Segment};
use crate::http::guard::no_verb;
use crate::service::Services;
use axum::extract::State;
use protocol::api::Page;
use protocol::api::tray::{LateWork, TrayOutcome};

/// Lists late work.
#[utoipa::path(get, path = "/v1/tray", tag = "tray", operation_id = "tray_list",
    responses((status = 200, description = "The late work.", body = Page<LateWork>), Problems))]
pub(crate) async fn list(
    State(services): State<Services>,
) -> Result<axum::Json<Page<LateWork>>, Refusal> {
    blocking::json(services, Services::tray).await
}

/// Shows late work, with what it would change.
#[utoipa::path(get, path = "/v1/tray/{id}", tag = "tray", operation_id = "tray_read",
    params(("id" = String, Path, description = "The late work, or a unique prefix of its id.")),
    responses((status = 200, description = "The late work.", body = LateWork), Problems))]
pub(crate) async fn read(
    State(services): State<Services>,
    Segment(id): Segment,
) -> Result<axum::Json<LateWork>, Refusal> {
    blocking::json(services, move |services| services.late_work(&id)).await
}

/// Does what the verb behind the late work says.
pub(crate) async fn act(
    State(services): State<Services>,
    segment: Segment,
    Maybe(Nothing {}): Maybe<Nothing>,
) -> Result<axum::Json<TrayOutcome>, Refusal> {
    match segment.verb() {
        Some((id, "salvage")) => salvage(services, id.to_owned()).await,
        Some((id, "drop")) => drop(services, id.to_owned()).await,
        _ => Err(no_verb(&segment, "GET,HEAD")),
    }
}

/// Writes late work as an own change, merged with what happened since.
#[utoipa::path(post, path = "/v1/tray/{id}:salvage", tag = "tray", operation_id = "tray_salvage",
    params(("id" = String, Path, description = "The late work, or a unique prefix of its id.")),
    responses((status = 200, description = "It is salvaged.", body = TrayOutcome), Problems))]
pub(crate) async fn salvage(
    services: Services,
    id: String,
) -> Result<axum::Json<TrayOutcome>, Refusal> {
    blocking::json(services, move |services| services.salvage(&id)).await
}

/// Takes late work out of the tray.
#[utoipa::path(post, path = "/v1/tray/{id}:drop", tag = "tray", operation_id = "tray_drop",
    params(("id" = String, Path, description = "The late work, or a unique prefix of its id.")),
    responses((status = 200, description = "It is out of the tray.", body = TrayOutcome), Problems))]
pub(crate) async fn drop(
    services: Services,
    id: String,
) -> Result<axum::Json<TrayOutcome>, Refusal> {
    blocking::json(services, move |services| services.drop_late(&id)).await
}
