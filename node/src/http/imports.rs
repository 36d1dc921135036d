//! Imports and the jobs they run as: `POST /v1/imports`, `/v1/jobs/{id}`.

use crate::http::blocking;
use crate::http::error::{Problems, Refusal};
use crate::http::extract::{Json, Segment};
use crate::service::Services;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
pub(crate) use protocol::api::imports::Job;
use protocol::api::imports::NewImport;

/// Starts to read a folder or a file of the node's machine.
#[utoipa::path(post, path = "/v1/imports", tag = "imports", request_body = NewImport,
    responses(
        (status = 202, description = "It has started.", body = Job,
            headers(("Location" = String, description = "The job."))),
        Problems,
    ))]
pub(crate) async fn start(
    State(services): State<Services>,
    Json(import): Json<NewImport>,
) -> Result<impl IntoResponse, Refusal> {
    let job = blocking::run(services, |services| services.start_import(import)).await?;
    let location = format!("/v1/jobs/{}", job.id);
    Ok((
        StatusCode::ACCEPTED,
        [(header::LOCATION, location)],
        axum::Json(job),
    ))
}

/// Tells how far a job is.
#[utoipa::path(get, path = "/v1/jobs/{id}", tag = "imports",
    params(("id" = String, Path, description = "The job.")),
    responses((status = 200, description = "How far it is.", body = Job), Problems))]
pub(crate) async fn job(
    State(services): State<Services>,
    Segment(id): Segment,
) -> Result<axum::Json<Job>, Refusal> {
    blocking::json(services, move |services| services.job(&id)).await
}

/// Stops a job; what it has stored stays.
#[utoipa::path(delete, path = "/v1/jobs/{id}", tag = "imports",
    params(("id" = String, Path, description = "The job.")),
    responses((status = 200, description = "How far it came.", body = Job), Problems))]
pub(crate) async fn cancel(
    State(services): State<Services>,
    Segment(id): Segment,
) -> Result<axum::Json<Job>, Refusal> {
    blocking::json(services, move |services| services.cancel_job(&id)).await
}
