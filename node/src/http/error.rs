//! What a refused request is told: one problem document (RFC 9457) for every refusal of this edge.
//!
//! Flow: services fail with a [`Failure`], extractors and guards with a code; both become a
//! [`Refusal`], which renders itself. It is not where anything is decided.
//! Invariant: [`status`] is the only place where a code meets an HTTP status.

use crate::service::Failure;
use crate::telemetry::traces;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use protocol::api::problem::{ErrorCode, Problem};
use std::collections::BTreeMap;
use utoipa::openapi::{ContentBuilder, Ref, RefOr, ResponseBuilder};

/// The media type of every refusal.
pub(crate) const PROBLEM_JSON: &str = "application/problem+json";

/// A request that was refused, and why.
#[derive(Debug)]
pub(crate) struct Refusal {
    code: ErrorCode,
    title: String,
    detail: String,
    hints: Vec<String>,
    allow: Option<&'static str>,
}

impl Refusal {
    /// Makes a refusal: `title` says what, `detail` why.
    pub(crate) fn new(code: ErrorCode, title: &str, detail: impl Into<String>) -> Self {
        Self {
            code,
            title: title.to_owned(),
            detail: detail.into(),
            hints: Vec::new(),
            allow: None,
        }
    }

    /// Adds what to do next.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// Names the methods that the path does take.
    pub(crate) fn allow(mut self, methods: &'static str) -> Self {
        self.allow = Some(methods);
        self
    }

    /// Makes the refusal for a fault of our own; what broke goes to the log, not to the caller.
    pub(crate) fn internal() -> Self {
        Self::new(
            ErrorCode::Internal,
            "the node made a mistake",
            "the log of the node says more",
        )
    }
}

impl From<Failure> for Refusal {
    fn from(failure: Failure) -> Self {
        let Failure {
            code,
            title,
            detail,
            hints,
        } = failure;
        Self {
            code,
            title,
            detail,
            hints,
            allow: None,
        }
    }
}

/// Returns the HTTP status of a code.
pub(crate) fn status(code: ErrorCode) -> StatusCode {
    match code {
        ErrorCode::BadRequest
        | ErrorCode::BadSelector
        | ErrorCode::BadPolicy
        | ErrorCode::InvalidUtf8
        | ErrorCode::BadTicket => StatusCode::BAD_REQUEST,
        ErrorCode::Unauthorized => StatusCode::UNAUTHORIZED,
        ErrorCode::Forbidden | ErrorCode::WrongPassphrase | ErrorCode::EgressDenied => {
            StatusCode::FORBIDDEN
        }
        ErrorCode::Locked => StatusCode::LOCKED,
        ErrorCode::NotFound | ErrorCode::NoRoute | ErrorCode::TicketUnknown => {
            StatusCode::NOT_FOUND
        }
        ErrorCode::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
        ErrorCode::AmbiguousId | ErrorCode::TicketUsed => StatusCode::CONFLICT,
        ErrorCode::TicketExpired => StatusCode::GONE,
        ErrorCode::PreviewChanged | ErrorCode::Conflict => StatusCode::PRECONDITION_FAILED,
        ErrorCode::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        ErrorCode::UnsupportedMediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        ErrorCode::WrongHost => StatusCode::MISDIRECTED_REQUEST,
        ErrorCode::LimitExceeded => StatusCode::UNPROCESSABLE_ENTITY,
        ErrorCode::StoreDamaged | ErrorCode::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        ErrorCode::PeerUnreachable => StatusCode::BAD_GATEWAY,
        ErrorCode::StoreReadOnly
        | ErrorCode::Busy
        | ErrorCode::OsKeyring
        | ErrorCode::NotHereYet => StatusCode::SERVICE_UNAVAILABLE,
        ErrorCode::Timeout => StatusCode::GATEWAY_TIMEOUT,
        ErrorCode::DiskFull => StatusCode::INSUFFICIENT_STORAGE,
    }
}

/// Returns the header that a status must carry, if any.
fn obligation(code: ErrorCode) -> Option<(HeaderName, HeaderValue)> {
    match code {
        ErrorCode::Unauthorized => {
            Some((header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer")))
        }
        ErrorCode::Busy => Some((header::RETRY_AFTER, HeaderValue::from_static("1"))),
        _ => None,
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let status = status(self.code);
        let problem = Problem {
            // Relative, so that a problem never names a host.
            kind: format!("/docs/errors#{}", self.code.as_str()),
            title: self.title,
            status: status.as_u16(),
            detail: self.detail,
            code: self.code,
            hints: self.hints,
            trace_id: traces::here().map(|step| step.trace_id()),
        };
        let body = serde_json::to_vec(&problem).unwrap_or_default();
        let mut response = (status, [(header::CONTENT_TYPE, PROBLEM_JSON)], body).into_response();
        if let Some((name, value)) = obligation(self.code) {
            response.headers_mut().insert(name, value);
        }
        if let Some(methods) = self.allow {
            response
                .headers_mut()
                .insert(header::ALLOW, HeaderValue::from_static(methods));
        }
        response
    }
}

/// The responses that every route of the `OpenAPI` document has besides its own.
pub(crate) struct Problems;

impl utoipa::IntoResponses for Problems {
    fn responses() -> BTreeMap<String, RefOr<utoipa::openapi::Response>> {
        let content = ContentBuilder::new()
            .schema(Some(Ref::from_schema_name("Problem")))
            .build();
        let response = ResponseBuilder::new()
            .description("The request was refused; `code` says why.")
            .content(PROBLEM_JSON, content)
            .build();
        BTreeMap::from([("default".to_owned(), RefOr::T(response))])
    }
}
