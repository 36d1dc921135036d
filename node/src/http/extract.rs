//! What a request says: the parts of its path, its query and its body, checked as they are read.
//!
//! Flow: a body is read only after its media type is known, never beyond its limit and never for
//! longer than [`BODY_TIME_MAX`]; then it must be UTF-8, then JSON, then exactly the type.
//! It is not about meaning; services judge that.
//! Invariant: nothing is replaced or guessed. Bytes that are not text are refused.

use crate::http::error::Refusal;
use axum::body::Body;
use axum::extract::path::ErrorKind;
use axum::extract::rejection::PathRejection;
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use futures::StreamExt as _;
use protocol::api::PAGE_MAX;
use protocol::api::problem::ErrorCode;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::time::Duration;

/// The largest body, in bytes.
pub(crate) const BODY_BYTES_MAX: usize = 1 << 20;
/// The largest body that holds a memory, in bytes.
pub(crate) const MEMORY_BYTES_MAX: usize = protocol::api::memories::BODY_BYTES_MAX;
/// How long a body may take to arrive.
const BODY_TIME_MAX: Duration = Duration::from_secs(15);
/// The longest id in a path, in bytes; a `did:key` has less than a hundred.
const ID_BYTES_MAX: usize = 256;

/// A JSON body of at most `MAX` bytes.
#[derive(Debug)]
pub(crate) struct Json<T, const MAX: usize = BODY_BYTES_MAX>(pub(crate) T);

impl<T: DeserializeOwned, S: Sync, const MAX: usize> FromRequest<S> for Json<T, MAX> {
    type Rejection = Refusal;

    async fn from_request(req: Request, _state: &S) -> Result<Self, Refusal> {
        let (head, body) = req.into_parts();
        json_only(&head.headers)?;
        parse(&read(&head.headers, body, MAX, BODY_TIME_MAX).await?).map(Self)
    }
}

/// A JSON body that may be left out, with its content type, or be `null`.
#[derive(Debug)]
pub(crate) struct Maybe<T>(pub(crate) T);

impl<T: DeserializeOwned + Default, S: Sync> FromRequest<S> for Maybe<T> {
    type Rejection = Refusal;

    async fn from_request(req: Request, _state: &S) -> Result<Self, Refusal> {
        let (head, body) = req.into_parts();
        let typed = head.headers.contains_key(header::CONTENT_TYPE);
        if typed {
            json_only(&head.headers)?;
        }
        let bytes = read(&head.headers, body, BODY_BYTES_MAX, BODY_TIME_MAX).await?;
        if bytes.is_empty() {
            return Ok(Self(T::default()));
        }
        json_only(&head.headers)?;
        parse::<Option<T>>(&bytes).map(|body| Self(body.unwrap_or_default()))
    }
}

/// The body of a verb that takes none: nothing, or `{}`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Nothing {}

/// The body of a verb before it is known which verb it is.
#[derive(Debug, Default, Deserialize)]
#[serde(transparent)]
pub(crate) struct Untyped(serde_json::Value);

impl Untyped {
    /// Reads the body as what the verb takes; nothing at all is the default.
    pub(crate) fn typed<T: DeserializeOwned + Default>(self) -> Result<T, Refusal> {
        if self.0.is_null() {
            return Ok(T::default());
        }
        parse(self.0.to_string().as_bytes())
    }
}

/// The one variable segment of a path, percent-decoded.
#[derive(Debug)]
pub(crate) struct Segment(pub(crate) String);

impl<S: Send + Sync> FromRequestParts<S> for Segment {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refusal> {
        let path = Path::<String>::from_request_parts(parts, state).await;
        let Path(segment) = path.map_err(|rejection| path_refusal(&rejection))?;
        if segment.len() > ID_BYTES_MAX {
            let detail = format!("it has {} bytes of {ID_BYTES_MAX}", segment.len());
            return Err(Refusal::new(
                ErrorCode::LimitExceeded,
                "the id is too long",
                detail,
            ));
        }
        Ok(Self(segment))
    }
}

/// The two variable segments of a path, percent-decoded.
#[derive(Debug)]
pub(crate) struct Pair(pub(crate) String, pub(crate) String);

impl<S: Send + Sync> FromRequestParts<S> for Pair {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refusal> {
        let path = Path::<(String, String)>::from_request_parts(parts, state).await;
        let Path((one, other)) = path.map_err(|rejection| path_refusal(&rejection))?;
        let longest = one.len().max(other.len());
        if longest > ID_BYTES_MAX {
            let detail = format!("it has {longest} bytes of {ID_BYTES_MAX}");
            let title = "an id is too long";
            return Err(Refusal::new(ErrorCode::LimitExceeded, title, detail));
        }
        Ok(Self(one, other))
    }
}

impl Segment {
    /// Splits `{id}:{verb}`; the id may hold colons of its own.
    pub(crate) fn verb(&self) -> Option<(&str, &str)> {
        self.0.rsplit_once(':').filter(|(id, _)| !id.is_empty())
    }
}

/// The query of a request, with nothing in it that `T` does not know.
#[derive(Debug)]
pub(crate) struct Params<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Params<T> {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Refusal> {
        // The form decoder would put replacement characters where the bytes are not text.
        if !is_text(parts.uri.query().unwrap_or_default()) {
            return Err(not_utf8("the query"));
        }
        match Query::<T>::try_from_uri(&parts.uri) {
            Ok(Query(params)) => Ok(Self(params)),
            Err(rejection) => {
                let detail = rejection.body_text();
                Err(Refusal::new(
                    ErrorCode::BadRequest,
                    "the query does not read",
                    detail,
                ))
            }
        }
    }
}

/// Checks the number of items that a page was asked for.
pub(crate) fn page_limit(limit: Option<usize>) -> Result<Option<usize>, Refusal> {
    match limit {
        Some(limit) if !(1..=PAGE_MAX).contains(&limit) => {
            let detail = format!("limit is {limit}; it goes from 1 to {PAGE_MAX}");
            Err(Refusal::new(
                ErrorCode::LimitExceeded,
                "that is no size for a page",
                detail,
            ))
        }
        fitting => Ok(fitting),
    }
}

/// Refuses every media type but JSON: a form or plain text is what a foreign page can send unasked.
fn json_only(headers: &HeaderMap) -> Result<(), Refusal> {
    let mut types = headers.get_all(header::CONTENT_TYPE).iter();
    let given = types
        .next()
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let mut parts = given.split(';').map(str::trim);
    let is_json = parts
        .next()
        .is_some_and(|kind| kind.eq_ignore_ascii_case("application/json"));
    let is_utf8 = parts.all(|p| p.is_empty() || p.eq_ignore_ascii_case("charset=utf-8"));
    if is_json && is_utf8 && types.next().is_none() {
        return Ok(());
    }
    let detail = format!("the Content-Type is {given:?}");
    Err(Refusal::new(
        ErrorCode::UnsupportedMediaType,
        "the body must be JSON",
        detail,
    )
    .hint("send `Content-Type: application/json`"))
}

/// Reads a body up to its limits of size and time.
pub(crate) async fn read(
    headers: &HeaderMap,
    body: Body,
    max: usize,
    within: Duration,
) -> Result<Vec<u8>, Refusal> {
    let too_large = || {
        let detail = format!("a body here has at most {max} bytes");
        Refusal::new(ErrorCode::TooLarge, "the body is too large", detail)
    };
    let announced = headers
        .get(header::CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok());
    if announced.and_then(|length| length.parse::<u64>().ok()) > u64::try_from(max).ok() {
        return Err(too_large());
    }
    let arrive = async {
        let mut bytes = Vec::new();
        let mut chunks = body.into_data_stream();
        while let Some(chunk) = chunks.next().await {
            let chunk = chunk.map_err(|error| {
                Refusal::new(
                    ErrorCode::BadRequest,
                    "the body broke off",
                    error.to_string(),
                )
            })?;
            if bytes.len() + chunk.len() > max {
                return Err(too_large());
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(bytes)
    };
    tokio::time::timeout(within, arrive)
        .await
        .map_err(|_elapsed| {
            let detail = format!("it was given {} seconds", within.as_secs());
            Refusal::new(
                ErrorCode::Timeout,
                "the body did not arrive in time",
                detail,
            )
        })?
}

/// Parses a body that was read whole.
fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Refusal> {
    let text = std::str::from_utf8(bytes).map_err(|_invalid| not_utf8("the body"))?;
    serde_json::from_str(text).map_err(|error| {
        Refusal::new(
            ErrorCode::BadRequest,
            "the JSON does not fit",
            error.to_string(),
        )
    })
}

/// Returns whether a percent-encoded query decodes to UTF-8.
fn is_text(query: &str) -> bool {
    let mut decoded = Vec::with_capacity(query.len());
    let mut rest = query.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        let escaped = tail
            .first_chunk::<2>()
            .filter(|_| *first == b'%')
            .and_then(|digits| {
                data_encoding::HEXLOWER_PERMISSIVE
                    .decode(digits)
                    .ok()?
                    .first()
                    .copied()
            });
        decoded.push(escaped.unwrap_or(*first));
        rest = if escaped.is_some() {
            tail.get(2..).unwrap_or_default()
        } else {
            tail
        };
    }
    std::str::from_utf8(&decoded).is_ok()
}

/// Makes the refusal for bytes that are not text.
fn not_utf8(what: &str) -> Refusal {
    Refusal::new(
        ErrorCode::InvalidUtf8,
        "the text is not UTF-8",
        format!("{what} is not UTF-8"),
    )
}

/// Makes the refusal for a path that does not read.
fn path_refusal(rejection: &PathRejection) -> Refusal {
    match rejection {
        PathRejection::FailedToDeserializePathParams(error)
            if matches!(error.kind(), ErrorKind::InvalidUtf8InPathParam { .. }) =>
        {
            not_utf8("the path")
        }
        _ => Refusal::new(
            ErrorCode::BadRequest,
            "the path does not read",
            rejection.body_text(),
        ),
    }
}
