//! Metrics: `/metrics`, as text for Prometheus, and the measuring of every request.

use crate::http::blocking;
use crate::http::error::{Problems, Refusal};
use crate::service::Services;
use crate::telemetry::metrics::{CONTENT_TYPE as TEXT, locked_page};
use axum::Router;
use axum::extract::{MatchedPath, Request, State};
use axum::http::Method;
use axum::http::header::CONTENT_TYPE;
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use std::time::Instant;

/// The methods that routes have; others are made up by whoever asks.
const METHODS: [&str; 6] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"];

/// Tells how the node is, in numbers without names.
#[utoipa::path(get, path = "/metrics", tag = "node",
    responses(
        (status = 200, description = "The metrics.", content_type = "text/plain", body = String),
        Problems,
    ))]
pub(crate) async fn metrics(State(services): State<Services>) -> Result<Response, Refusal> {
    let page = blocking::run(services, Services::metrics).await?;
    Ok(self::page(page))
}

/// Notes every request by its route; what has none is counted together.
pub(super) async fn measure(
    State(services): State<Services>,
    route: Option<MatchedPath>,
    request: Request,
    next: Next,
) -> Response {
    let (started, method) = (Instant::now(), method_word(request.method()));
    let working = services.counting().working();
    let answer = next.run(request).await;
    drop(working);
    let route = route.as_ref().map_or("other", MatchedPath::as_str);
    let counting = services.counting();
    counting.request(route, method, answer.status().as_u16(), started.elapsed());
    answer
}

/// Returns the word for a method that routes have, and one for all others.
pub(super) fn method_word(method: &Method) -> &'static str {
    let known = METHODS.iter().find(|known| **known == method.as_str());
    known.copied().unwrap_or("other")
}

/// Builds what the listener for metrics serves: the one page, and nothing else.
pub fn metrics_router(services: Services) -> Router {
    Router::new()
        .route("/metrics", get(metrics))
        .with_state(services)
}

/// Builds the same for a locked node.
pub fn locked_metrics_router() -> Router {
    Router::new().route("/metrics", get(async || page(locked_page())))
}

fn page(text: String) -> Response {
    ([(CONTENT_TYPE, TEXT)], text).into_response()
}
