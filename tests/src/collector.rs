//! A collector of traces: takes spans over OTLP/HTTP on loopback and keeps them.
//!
//! It reads what the standard says and nothing of ours: a request it cannot read is answered with
//! 400, and the test that waits for its spans fails.

use data_encoding::HEXLOWER;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message as _;
use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The path of the standard.
const PATH: &str = "/v1/traces";

/// A span as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Collected {
    /// The program, by its name.
    pub service: String,
    /// The process.
    pub instance: String,
    /// What was done.
    pub name: String,
    /// The trace, in hexadecimal digits.
    pub trace: String,
    /// The span.
    pub span: String,
    /// The span it is below; nothing, if it began the trace.
    pub parent: String,
    /// What it says of itself.
    pub attributes: BTreeMap<String, String>,
    /// The traces of spans that it is linked to.
    pub links: Vec<String>,
}

/// A running collector. Clones are the same one; it ends with the process.
#[derive(Debug, Clone)]
pub struct Collector {
    address: SocketAddr,
    kept: Arc<Mutex<Kept>>,
}

#[derive(Debug, Default)]
struct Kept {
    spans: Vec<Collected>,
    /// Everything that came, as it came.
    bytes: Vec<u8>,
}

impl Collector {
    /// Starts a collector on a free port of loopback.
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
        let collector = Self {
            address: listener.local_addr().expect("a bound socket has one"),
            kept: Arc::default(),
        };
        let serving = collector.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let serving = serving.clone();
                std::thread::spawn(move || while serving.serve(&stream).is_some() {});
            }
        });
        collector
    }

    /// Returns what `OTEL_EXPORTER_OTLP_ENDPOINT` has to be.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Returns every span that came so far.
    pub fn spans(&self) -> Vec<Collected> {
        self.lock().spans.clone()
    }

    /// Returns the bytes that came so far.
    pub fn bytes(&self) -> Vec<u8> {
        self.lock().bytes.clone()
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Answers one request; `None` if the connection is over.
    fn serve(&self, stream: &TcpStream) -> Option<()> {
        let (path, body) = read(stream)?;
        let taken = ExportTraceServiceRequest::decode(body.as_slice());
        let status = match taken {
            Ok(request) if path == PATH => {
                let mut kept = self.lock();
                kept.spans.extend(spans_of(request));
                kept.bytes.extend(body);
                200
            }
            _ => 400,
        };
        let answer = format!("HTTP/1.1 {status} Answer\r\nContent-Length: 0\r\n\r\n");
        { stream }.write_all(answer.as_bytes()).ok()
    }
}

/// Reads a request: its path and its body.
fn read(stream: &TcpStream) -> Option<(String, Vec<u8>)> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let path = line.split(' ').nth(1)?.to_owned();
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(':') else {
            break;
        };
        if name.eq_ignore_ascii_case("content-length") {
            length = value.trim().parse().ok()?;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some((path, body))
}

fn spans_of(request: ExportTraceServiceRequest) -> Vec<Collected> {
    let mut all = Vec::new();
    for group in request.resource_spans {
        let resource = group.resource.unwrap_or_default();
        for scope in group.scope_spans {
            all.extend(scope.spans.iter().map(|span| collected(&resource, span)));
        }
    }
    all
}

fn collected(resource: &Resource, span: &Span) -> Collected {
    let of = pairs(&resource.attributes);
    let say = |name: &str| of.get(name).cloned().unwrap_or_default();
    Collected {
        service: say("service.name"),
        instance: say("service.instance.id"),
        name: span.name.clone(),
        trace: HEXLOWER.encode(&span.trace_id),
        span: HEXLOWER.encode(&span.span_id),
        parent: HEXLOWER.encode(&span.parent_span_id),
        attributes: pairs(&span.attributes),
        links: span
            .links
            .iter()
            .map(|link| HEXLOWER.encode(&link.trace_id))
            .collect(),
    }
}

fn pairs(attributes: &[KeyValue]) -> BTreeMap<String, String> {
    let pairs = attributes.iter();
    pairs
        .map(|pair| (pair.key.clone(), text(pair.value.as_ref())))
        .collect()
}

fn text(value: Option<&AnyValue>) -> String {
    match value.and_then(|value| value.value.as_ref()) {
        Some(any_value::Value::StringValue(text)) => text.clone(),
        Some(any_value::Value::IntValue(number)) => number.to_string(),
        other => format!("{other:?}"),
    }
}
