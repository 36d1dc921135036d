//! Traces: the steps that a piece of work took, sent to a collector over OTLP.
//!
//! Off unless an endpoint is set; then a [`Span`] is nothing. A step belongs below the step that
//! this thread is at ([`here`]), which [`Span::enter`] and [`Span::around`] say, or below one that
//! was named elsewhere: by a header, by a peer, or by a memory ([`super::journeys`]).
//!
//! ```text
//! Span::begin | serve | below -> steps inside -> dropped: ended -> queue -> POST /v1/traces
//! ```
//!
//! The queue drops what an endpoint does not take; no work ever waits for it.
//! Invariant: everything a span says is a number, a word of this program or the pattern of a route:
//! the types take nothing else.

mod courier;

use crate::config::Telemetry;
use courier::Courier;
use data_encoding::HEXLOWER;
use opentelemetry::context::{FutureExt as _, WithContext};
use opentelemetry::trace::{
    SpanBuilder, SpanContext, SpanKind, Status, TraceContextExt as _, TraceState, Tracer as _,
    TracerProvider as _,
};
use opentelemetry::{Context, ContextGuard, KeyValue, SpanId, TraceFlags, TraceId};
use opentelemetry_otlp::{SpanExporter, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider};
use protocol::trace::TraceContext;
use std::sync::OnceLock;
use std::time::{Duration, Instant, SystemTime};
use thiserror::Error;
use tokio::runtime::Handle;
use url::Url;

/// The name of this program in a trace.
const SERVICE: &str = "brain-node";
/// How long the last spans may take to leave when the node ends.
const FLUSH_MAX: Duration = Duration::from_secs(2);

/// What records, once it was started.
static RECORDER: OnceLock<Recorder> = OnceLock::new();

#[derive(Debug)]
struct Recorder {
    tracer: SdkTracer,
    goes_to_peers: bool,
}

/// The reason why traces are not sent.
#[derive(Debug, Error)]
pub enum TracesError {
    /// The endpoint is no address.
    #[error(
        "the endpoint for traces {endpoint:?} is no URL such as http://127.0.0.1:4318: {reason}"
    )]
    Endpoint {
        /// What was set.
        endpoint: String,
        /// Why.
        reason: String,
    },
    /// The exporter cannot be made.
    #[error("no exporter for traces: {0}")]
    Exporter(String),
}

/// Spans on their way to the endpoint, while the node runs.
#[derive(Debug)]
pub struct Exporting(SdkTracerProvider);

impl Exporting {
    /// Sends what is left, within bounds.
    pub fn end(self) {
        if let Err(error) = self.0.shutdown_with_timeout(FLUSH_MAX) {
            tracing::info!(%error, "the last spans did not reach the endpoint");
        }
    }
}

/// Starts recording, if an endpoint is set. Spans leave by tasks of this runtime.
pub fn start(config: &Telemetry, runtime: Handle) -> Result<Option<Exporting>, TracesError> {
    if config.otlp_endpoint.is_empty() {
        return Ok(None);
    }
    let endpoint = url_of(&config.otlp_endpoint)?;
    let failed = |error: String| TracesError::Exporter(error);
    let courier = Courier::new(&endpoint, runtime).map_err(failed)?;
    let exporter = SpanExporter::builder()
        .with_http()
        .with_http_client(courier)
        .with_endpoint(endpoint)
        .build()
        .map_err(|error| failed(error.to_string()))?;
    let mut instance = [0; 16];
    getrandom::fill(&mut instance).map_err(|error| failed(error.to_string()))?;
    let resource = Resource::builder()
        .with_service_name(SERVICE)
        .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
        // A name for this life of the node: it says nothing of whose it is.
        .with_attribute(KeyValue::new(
            "service.instance.id",
            HEXLOWER.encode(&instance),
        ))
        .build();
    let provider = SdkTracerProvider::builder()
        .with_batch_exporter(exporter)
        .with_resource(resource)
        .build();
    let recorder = Recorder {
        tracer: provider.tracer(SERVICE),
        goes_to_peers: config.trace_peers,
    };
    if RECORDER.set(recorder).is_err() {
        return Err(failed("it was started already".to_owned()));
    }
    Ok(Some(Exporting(provider)))
}

/// Returns where spans go: the path of the standard below the endpoint.
fn url_of(endpoint: &str) -> Result<Url, TracesError> {
    let wrong = |reason: String| TracesError::Endpoint {
        endpoint: endpoint.to_owned(),
        reason,
    };
    let mut url = Url::parse(endpoint).map_err(|error| wrong(error.to_string()))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(wrong("it is neither http nor https".to_owned()));
    }
    let path = format!("{}/v1/traces", url.path().trim_end_matches('/'));
    url.set_path(&path);
    Ok(url)
}

/// Tells whether anything is recorded.
pub fn is_on() -> bool {
    RECORDER.get().is_some()
}

/// Tells whether trace contexts go to peers and are taken from those who take them too.
pub fn goes_to_peers() -> bool {
    RECORDER
        .get()
        .is_some_and(|recorder| recorder.goes_to_peers)
}

/// Returns the step that this thread is at.
pub fn here() -> Option<TraceContext> {
    is_on().then(|| context_of(&Context::current()))?
}

fn context_of(context: &Context) -> Option<TraceContext> {
    let span = context.span();
    let at = span.span_context();
    let (trace, span) = (at.trace_id().to_bytes(), at.span_id().to_bytes());
    TraceContext::new(trace, span, at.is_sampled())
}

/// Returns a context below which a step can begin that another one named.
fn remote(step: TraceContext) -> SpanContext {
    let flags = TraceFlags::NOT_SAMPLED.with_sampled(step.is_recorded());
    let (trace, span) = (
        TraceId::from_bytes(step.trace()),
        SpanId::from_bytes(step.span()),
    );
    SpanContext::new(trace, span, flags, true, TraceState::NONE)
}

/// Has work that is done on another thread begin its steps where this thread is.
pub fn carried<T>(work: impl FnOnce() -> T) -> impl FnOnce() -> T {
    let at = is_on().then(Context::current);
    move || {
        let _entered = at.map(Context::attach);
        work()
    }
}

/// Has a task begin its steps where whoever begins it is, on whatever thread it runs.
pub fn carried_along<F: Future>(task: F) -> WithContext<F> {
    task.with_current_context()
}

/// A step of work. It ends when it is dropped.
#[derive(Debug)]
pub struct Span(Option<Context>);

impl Span {
    /// Returns a step that is not recorded.
    pub fn none() -> Self {
        Self(None)
    }

    /// Begins a step below the one that this thread is at; a trace, if it is at none.
    pub fn begin(name: &'static str) -> Self {
        Self::build(|| (SpanBuilder::from_name(name), Context::current()))
    }

    /// Begins a step below another one; a trace, if there is none.
    pub fn below(name: &'static str, parent: Option<TraceContext>) -> Self {
        Self::build(|| (SpanBuilder::from_name(name), parent_of(parent)))
    }

    /// Notes a step below another one that began at this time and ends now.
    pub fn since(name: &'static str, parent: TraceContext, began: Instant) -> Self {
        Self::build(|| {
            let builder = SpanBuilder::from_name(name).with_start_time(at_that_time(began));
            (builder, parent_of(Some(parent)))
        })
    }

    /// Begins the answer to a request: by its method and the pattern of its route.
    pub fn serve(method: &'static str, route: &str, parent: Option<TraceContext>) -> Self {
        Self::build(|| {
            let builder = SpanBuilder::from_name(format!("{method} {route}"))
                .with_kind(SpanKind::Server)
                .with_attributes([
                    KeyValue::new("http.request.method", method),
                    KeyValue::new("http.route", route.to_owned()),
                ]);
            (builder, parent_of(parent))
        })
    }

    fn build(what: impl FnOnce() -> (SpanBuilder, Context)) -> Self {
        Self(RECORDER.get().map(|recorder| {
            let (builder, parent) = what();
            let span = recorder.tracer.build_with_context(builder, &parent);
            parent.with_span(span)
        }))
    }

    /// Returns its name in the trace.
    pub fn context(&self) -> Option<TraceContext> {
        self.0.as_ref().and_then(context_of)
    }

    /// Makes this the step that the thread is at, until the guard is dropped.
    #[must_use]
    pub fn enter(&self) -> Option<ContextGuard> {
        self.0.clone().map(Context::attach)
    }

    /// Makes this the step that a future is at, wherever it runs.
    pub fn around<F: Future>(&self, future: F) -> WithContext<F> {
        future.with_context(self.0.clone().unwrap_or_default())
    }

    /// Says a number.
    pub fn count(&self, what: &'static str, count: impl TryInto<i64>) {
        if let Some(context) = &self.0 {
            let count = count.try_into().unwrap_or(i64::MAX);
            context.span().set_attribute(KeyValue::new(what, count));
        }
    }

    /// Says one of our own words.
    pub fn word(&self, what: &'static str, word: &'static str) {
        if let Some(context) = &self.0 {
            context.span().set_attribute(KeyValue::new(what, word));
        }
    }

    /// Says that the step did not do what it was for.
    pub fn fail(&self) {
        if let Some(context) = &self.0 {
            context.span().set_status(Status::error(""));
        }
    }

    /// Says that it has to do with a step elsewhere, which it is not below.
    pub fn link(&self, step: Option<TraceContext>) {
        if let (Some(context), Some(step)) = (&self.0, step) {
            context.span().add_link(remote(step), Vec::new());
        }
    }
}

impl Drop for Span {
    fn drop(&mut self) {
        if let Some(context) = &self.0 {
            // What still runs inside may hold it; the step is over all the same.
            context.span().end();
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "a span has times of the system's clock, as the library takes them"
)]
fn at_that_time(began: Instant) -> SystemTime {
    let now = SystemTime::now();
    now.checked_sub(began.elapsed()).unwrap_or(now)
}

fn parent_of(step: Option<TraceContext>) -> Context {
    let none = Context::new();
    match step {
        Some(step) => none.with_remote_span_context(remote(step)),
        None => none,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_of_the_standard_is_below_the_endpoint() {
        let url = |text: &str| url_of(text).map(|url| url.to_string());
        let expected = "http://127.0.0.1:4318/v1/traces";
        for endpoint in ["http://127.0.0.1:4318", "http://127.0.0.1:4318/"] {
            assert_eq!(url(endpoint).expect("reads"), expected);
        }
        let below = url("https://host/base/").expect("reads");
        assert_eq!(below, "https://host/base/v1/traces");
        for wrong in ["127.0.0.1:4318", "grpc://collector:4317", "http://"] {
            let error = url(wrong).expect_err("it is none").to_string();
            assert!(error.contains(wrong), "{error}");
        }
    }

    #[test]
    fn without_an_endpoint_a_span_is_nothing() {
        let span = Span::begin("work");
        span.count("memories", 3);
        span.fail();
        let _entered = span.enter();
        assert_eq!((span.context(), here()), (None, None));
        assert_eq!(carried(|| 7)(), 7);
    }
}
