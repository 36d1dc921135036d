//! A command as the first step of a trace, if a collector is set.
//!
//! ```text
//! OTEL_EXPORTER_OTLP_ENDPOINT -> Trace::begin -> traceparent of each request -> Trace::end
//! ```
//!
//! `TRACEPARENT` names a step of somebody else's that the command is below. Without a collector
//! that is handed on as it is, and nothing is recorded. The span says which command it was and how
//! it ended, never what it was about. The home of the library for it.

use opentelemetry::trace::{
    Span as _, SpanContext, SpanKind, Status, TraceContextExt as _, TraceState, Tracer as _,
    TracerProvider as _,
};
use opentelemetry::{Context, KeyValue, SpanId, TraceFlags, TraceId};
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{SpanExporter, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{SdkTracerProvider, Span};
use protocol::trace::TraceContext;
use reqwest::blocking::Client;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// The name of this program in a trace.
const SERVICE: &str = "brainctl";
/// How long the collector may take: nobody wants to wait for it at a prompt.
const SEND_MAX: Duration = Duration::from_secs(2);

/// Where the environment says that traces go, and what this command is below.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tracing {
    /// `OTEL_EXPORTER_OTLP_ENDPOINT`.
    pub(crate) endpoint: Option<String>,
    /// `TRACEPARENT`.
    pub(crate) parent: Option<TraceContext>,
}

/// The trace of one command.
#[derive(Debug)]
pub(crate) struct Trace {
    recording: Option<Recording>,
    step: Option<TraceContext>,
}

#[derive(Debug)]
struct Recording {
    provider: SdkTracerProvider,
    span: Span,
    fault: Fault,
}

/// Why the span did not get there.
type Fault = Arc<Mutex<Option<String>>>;

impl Trace {
    /// Begins; an error says why nothing can be sent to the collector.
    pub(crate) fn begin(tracing: &Tracing, command: &str) -> Result<Self, String> {
        let Some(endpoint) = &tracing.endpoint else {
            return Ok(Self::silent(tracing));
        };
        let fault = Fault::default();
        let http = Client::builder().timeout(SEND_MAX).build();
        let courier = Courier {
            http: http.map_err(|error| error.to_string())?,
            fault: Arc::clone(&fault),
        };
        let exporter = SpanExporter::builder()
            .with_http()
            .with_http_client(courier)
            .with_endpoint(format!("{}/v1/traces", endpoint.trim_end_matches('/')))
            .build()
            .map_err(|error| error.to_string())?;
        let version = KeyValue::new("service.version", env!("CARGO_PKG_VERSION"));
        let resource = Resource::builder()
            .with_service_name(SERVICE)
            .with_attribute(version)
            .build();
        let provider = SdkTracerProvider::builder()
            .with_simple_exporter(exporter)
            .with_resource(resource)
            .build();
        let tracer = provider.tracer(SERVICE);
        let builder = tracer
            .span_builder(format!("{SERVICE} {command}"))
            .with_kind(SpanKind::Client);
        let span = tracer.build_with_context(builder, &below(tracing.parent));
        let at = span.span_context();
        let (trace, number) = (at.trace_id().to_bytes(), at.span_id().to_bytes());
        Ok(Self {
            step: TraceContext::new(trace, number, at.is_sampled()),
            recording: Some(Recording {
                provider,
                span,
                fault,
            }),
        })
    }

    /// Records nothing, and hands on what the command is below.
    pub(crate) fn silent(tracing: &Tracing) -> Self {
        Self {
            recording: None,
            step: tracing.parent,
        }
    }

    /// Returns the step that requests are below.
    pub(crate) fn step(&self) -> Option<TraceContext> {
        self.step
    }

    /// Ends with the exit code; returns why the collector did not take it, if it did not.
    pub(crate) fn end(self, exit: u8) -> Option<String> {
        let mut recording = self.recording?;
        let code = KeyValue::new("process.exit.code", i64::from(exit));
        recording.span.set_attribute(code);
        if exit != 0 {
            recording.span.set_status(Status::error(""));
        }
        recording.span.end();
        // Each span is sent when it ends; there is nothing left to wait for.
        let ended = recording.provider.shutdown();
        let fault = recording.fault.lock();
        let fault = fault.unwrap_or_else(PoisonError::into_inner).take();
        fault.or_else(|| ended.err().map(|error| error.to_string()))
    }
}

/// Returns the context of a step that was named by somebody else.
fn below(parent: Option<TraceContext>) -> Context {
    let none = Context::new();
    let Some(parent) = parent else { return none };
    let flags = TraceFlags::NOT_SAMPLED.with_sampled(parent.is_recorded());
    let trace = TraceId::from_bytes(parent.trace());
    let span = SpanId::from_bytes(parent.span());
    let parent = SpanContext::new(trace, span, flags, true, TraceState::NONE);
    none.with_remote_span_context(parent)
}

/// Carries the span to the collector and notes if that fails.
#[derive(Debug)]
struct Courier {
    http: Client,
    fault: Fault,
}

impl Courier {
    fn carry(&self, request: Request<Bytes>) -> Result<Response<Bytes>, reqwest::Error> {
        let request = request.map(reqwest::blocking::Body::from);
        let answer = self.http.execute(request.try_into()?)?;
        let answer = answer.error_for_status()?;
        let status = answer.status();
        let mut taken = Response::new(answer.bytes()?);
        *taken.status_mut() = status;
        Ok(taken)
    }
}

impl HttpClient for Courier {
    fn send_bytes<'a, 'b>(&'a self, request: Request<Bytes>) -> Sending<'b>
    where
        'a: 'b,
        Self: 'b,
    {
        Box::pin(async {
            let carried = self.carry(request);
            if let Err(error) = &carried {
                let mut fault = self.fault.lock().unwrap_or_else(PoisonError::into_inner);
                *fault = Some(error.to_string());
            }
            carried.map_err(HttpError::from)
        })
    }
}

type Sending<'a> =
    std::pin::Pin<Box<dyn Future<Output = Result<Response<Bytes>, HttpError>> + Send + 'a>>;
