//! The layers around every route: what holds whatever the route does.
//!
//! Flow, from outside in: headers on every answer, panics caught, the head admitted
//! ([`admit`]), the load and the time bounded, then the route, or a refusal where there is none.
//! It is not about bodies; see `extract`.
//! Invariant: whatever happens inside, the answer is the route's or a problem document.

use crate::http::PROBES;
use crate::http::edge::{Edge, admit, admit_without_token};
use crate::http::error::Refusal;
use crate::http::extract::Segment;
use crate::http::metrics::method_word;
use crate::telemetry::traces::Span;
use axum::Router;
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderName, HeaderValue, Method, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse as _, Response};
use protocol::api::problem::ErrorCode;
use protocol::trace;
use std::any::Any;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::set_header::SetResponseHeaderLayer;

/// The longest path and query, in bytes: the longest query of a search, percent-encoded, fits.
const TARGET_BYTES_MAX: usize = 4_096;
/// The most requests that are worked on at once by one listener.
const IN_FLIGHT_MAX: usize = 64;
/// The longest that a route may work, which is as long as `brainctl` waits. Rebuilding is the slowest
/// of them: a million memories take longer than a quarter of an hour.
const WORK_TIME_MAX: Duration = Duration::from_hours(1);
/// Headers of every answer: nothing here is a page, nothing may be kept, framed or guessed at.
const HEADERS: [(HeaderName, &str); 5] = [
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
    ),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::CACHE_CONTROL, "no-store"),
    (
        HeaderName::from_static("cross-origin-resource-policy"),
        "same-origin",
    ),
];

/// What the gate of one listener shares between requests.
#[derive(Clone)]
struct Gate {
    edge: Arc<Edge>,
    in_flight: Arc<Semaphore>,
}

/// Puts the guards of a listener around a router, unknown routes and methods included.
pub fn guard(router: Router, edge: Edge) -> Router {
    let gate = Gate {
        edge: Arc::new(edge),
        in_flight: Arc::new(Semaphore::new(IN_FLIGHT_MAX)),
    };
    let guarded = router
        .fallback(no_route)
        .method_not_allowed_fallback(method_not_allowed)
        .layer(from_fn_with_state(gate, pass))
        .layer(CatchPanicLayer::custom(panicked));
    HEADERS.into_iter().fold(guarded, |router, (name, value)| {
        let value = HeaderValue::from_static(value);
        router.layer(SetResponseHeaderLayer::if_not_present(name, value))
    })
}

/// Puts a guard around what needs no token on a loopback listener: it keeps web pages out, also
/// those that had a name resolved to this machine.
pub fn guard_open(router: Router, edge: Edge) -> Router {
    let check = async |State(edge): State<Arc<Edge>>, request: Request, next: Next| {
        let (head, body) = request.into_parts();
        match admit_without_token(&edge, &head) {
            Ok(()) => next.run(Request::from_parts(head, body)).await,
            Err(refusal) => refusal.into_response(),
        }
    };
    router.layer(from_fn_with_state(Arc::new(edge), check))
}

/// Lets a request through to its route, within the bounds.
async fn pass(State(gate): State<Gate>, request: Request, next: Next) -> Response {
    let started = Instant::now();
    let method = request.method().clone();
    // Only the pattern of the route is logged: paths and queries carry ids and words.
    let route = request.extensions().get::<MatchedPath>().cloned();
    let span = traced(&request, route.as_ref());
    let answered = async {
        let response = bounded(gate, request, next)
            .await
            .unwrap_or_else(Refusal::into_response);
        note(&method, route.as_ref(), &response, started);
        response
    };
    let mut response = span.around(answered).await;
    name_trace(&span, &mut response);
    response
}

/// Begins the step of a trace that a request is; probes are none.
fn traced(request: &Request, route: Option<&MatchedPath>) -> Span {
    let route = route.map_or("other", MatchedPath::as_str);
    if PROBES.contains(&route) {
        return Span::none();
    }
    let parent = request.headers().get(trace::HEADER);
    let parent = parent.and_then(|value| value.to_str().ok()?.parse().ok());
    Span::serve(method_word(request.method()), route, parent)
}

/// Says how a step went, and in the answer which trace it is of.
fn name_trace(span: &Span, response: &mut Response) {
    let status = response.status();
    span.count("http.response.status_code", status.as_u16());
    if status.is_server_error() {
        span.fail();
    }
    let name = span.context().map(|step| step.to_string());
    if let Some(name) = name.and_then(|name| HeaderValue::from_str(&name).ok()) {
        response.headers_mut().insert(trace::HEADER, name);
    }
}

fn note(method: &Method, route: Option<&MatchedPath>, response: &Response, started: Instant) {
    tracing::debug!(
        %method,
        route = route.map_or("none", MatchedPath::as_str),
        status = response.status().as_u16(),
        took_ms = started.elapsed().as_millis(),
        "answered"
    );
}

/// Checks the head, takes a place among the requests in flight, and runs the route in time.
async fn bounded(gate: Gate, request: Request, next: Next) -> Result<Response, Refusal> {
    let (head, body) = request.into_parts();
    admit(&gate.edge, &head)?;
    let target = head
        .uri
        .path_and_query()
        .map_or(0, |target| target.as_str().len());
    if target > TARGET_BYTES_MAX {
        let detail = format!("path and query have {target} bytes of {TARGET_BYTES_MAX}");
        return Err(Refusal::new(
            ErrorCode::LimitExceeded,
            "the address is too long",
            detail,
        ));
    }
    let place = gate.in_flight.try_acquire().map_err(|_full_or_closed| {
        let detail = format!("{IN_FLIGHT_MAX} requests are being worked on");
        Refusal::new(ErrorCode::Busy, "too many requests at once", detail)
            .hint("try again in a second")
    })?;
    let answer = tokio::time::timeout(WORK_TIME_MAX, next.run(Request::from_parts(head, body)));
    let answer = answer.await.map_err(|_elapsed| {
        let detail = format!("it was given {} seconds", WORK_TIME_MAX.as_secs());
        Refusal::new(ErrorCode::Timeout, "the work took too long", detail)
    });
    drop(place);
    answer
}

/// Refuses a path that no route has.
async fn no_route() -> Refusal {
    Refusal::new(
        ErrorCode::NoRoute,
        "there is no such route",
        "the path matches nothing",
    )
    .hint("GET /openapi.json lists the routes")
}

/// Refuses a method that the route does not take; the `Allow` header says which it takes.
async fn method_not_allowed() -> Refusal {
    let detail = "the Allow header names the methods it takes";
    Refusal::new(
        ErrorCode::MethodNotAllowed,
        "the route does not take this method",
        detail,
    )
}

/// Refuses a POST to `/v1/noun/{id}` whose last segment ends in no verb of the noun; `allow` are
/// the methods that the path takes without one.
pub(crate) fn no_verb(segment: &Segment, allow: &'static str) -> Refusal {
    if segment.verb().is_some() || allow.is_empty() {
        let detail = "the path ends in no verb that is known here";
        return Refusal::new(ErrorCode::NoRoute, "there is no such route", detail)
            .hint("GET /openapi.json lists the routes");
    }
    let detail = "the Allow header names the methods it takes";
    Refusal::new(
        ErrorCode::MethodNotAllowed,
        "the route does not take this method",
        detail,
    )
    .allow(allow)
}

/// Answers for a route that panicked; the panic hook has logged where.
fn panicked(_payload: Box<dyn Any + Send>) -> Response {
    tracing::error!("a route panicked");
    Refusal::internal().into_response()
}
