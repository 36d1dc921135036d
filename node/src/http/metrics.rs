//! Metrics: `/metrics`, as text for Prometheus.

use crate::http::blocking;
use crate::http::error::{Problems, Refusal};
use crate::service::Services;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse as _, Response};

/// The form of the page.
const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Tells how the node is, in numbers without names.
#[utoipa::path(get, path = "/metrics", tag = "node",
    responses(
        (status = 200, description = "The metrics.", content_type = "text/plain", body = String),
        Problems,
    ))]
pub(crate) async fn metrics(State(services): State<Services>) -> Result<Response, Refusal> {
    let page = blocking::run(services, Services::metrics).await?;
    Ok(([(CONTENT_TYPE, TEXT)], page).into_response())
}
