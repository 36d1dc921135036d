//! Attacks on the edge, the document it keeps, and its listeners: nothing here needs a service.

mod attacks;
mod bodies;
mod document;
mod listeners;

use super::extract::{Json, Maybe, Nothing, Params, Segment};
use super::{Edge, Transport, guard};
use axum::Router;
use axum::body::Body;
use axum::http::{Request, header, request};
use axum::routing::{get, post};
use protocol::api::problem::Problem;
use serde::Deserialize;
use std::sync::Arc;
use tower::ServiceExt as _;

const TOKEN: &str = "correct-horse";
const PORT: u16 = 4_242;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Thing {
    name: String,
}

/// A router as small as can be, behind the guards of a listener.
fn small(transport: Transport) -> Router {
    let router = Router::new()
        .route("/healthz", get(async || "ok"))
        .route("/v1/things", get(async |Params(t): Params<Thing>| t.name))
        .route("/v1/things", post(async |Json(t): Json<Thing, 64>| t.name))
        .route("/v1/things/{id}", get(async |Segment(id): Segment| id))
        .route(
            "/v1/things:count",
            post(async |Maybe(Nothing {}): Maybe<Nothing>| "3"),
        )
        .route("/v1/panic", get(async || panic!("on purpose") as &str));
    let allowed_hosts = vec!["brain.lan".to_owned(), "box:99".to_owned()];
    guard(
        router,
        Edge {
            transport,
            token: Arc::from(TOKEN),
            allowed_hosts,
        },
    )
}

/// A request that TCP admits, to be spoilt by a test.
fn good(method: &str, target: &str) -> request::Builder {
    Request::builder()
        .method(method)
        .uri(target)
        .header(header::HOST, format!("localhost:{PORT}"))
        .header(header::AUTHORIZATION, format!("Bearer {TOKEN}"))
}

/// Answers a request on TCP: `ok`, or the code of the problem; checks what every answer has.
async fn answer(request: Request<Body>) -> String {
    answer_on(Transport::Loopback { port: PORT }, request).await
}

async fn answer_on(transport: Transport, request: Request<Body>) -> String {
    let response = small(transport).oneshot(request).await.unwrap();
    let (head, body) = response.into_parts();
    assert_eq!(head.headers[header::X_CONTENT_TYPE_OPTIONS], "nosniff");
    let csp = head.headers[header::CONTENT_SECURITY_POLICY]
        .to_str()
        .unwrap();
    assert!(csp.starts_with("default-src 'none'"));
    assert!(
        !head
            .headers
            .contains_key(header::ACCESS_CONTROL_ALLOW_ORIGIN)
    );
    if head.status.is_success() {
        return "ok".to_owned();
    }
    assert_eq!(
        head.headers[header::CONTENT_TYPE],
        "application/problem+json"
    );
    let body = axum::body::to_bytes(body, 1 << 16).await.unwrap();
    let problem: Problem = serde_json::from_slice(&body).unwrap();
    assert_eq!(problem.status, head.status.as_u16());
    assert_eq!(
        problem.kind,
        format!("/docs/errors#{}", problem.code.as_str())
    );
    let challenged = head.headers.contains_key(header::WWW_AUTHENTICATE);
    assert_eq!(challenged, problem.status == 401);
    assert_eq!(
        head.headers.contains_key(header::ALLOW),
        problem.status == 405
    );
    problem.code.as_str().to_owned()
}
