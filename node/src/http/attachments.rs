//! Attachments: `/v1/memories/{id}/attachments`. Bytes pass through in pieces, both ways.
//!
//! What is handed out is always a download: no page of this node ever shows a file that someone
//! else attached.

use crate::http::blocking;
use crate::http::error::{Problems, Refusal};
use crate::http::extract::{Pair, Params, Segment};
use crate::service::{Failure, Found, Services};
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures::StreamExt as _;
use protocol::api::attachments::Attached;
use protocol::api::memories::Written;
use protocol::api::problem::ErrorCode;
use serde::Deserialize;
use std::fmt::Write as _;
use std::io;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

/// How long the next piece of a file may take.
const PIECE_TIME_MAX: Duration = Duration::from_secs(30);
/// Pieces between the connection and the disk.
const PIECES_MAX: usize = 4;
/// What is still read of a body that was refused.
const DRAINED_BYTES_MAX: usize = 8 << 20;
const DRAIN_TIME_MAX: Duration = Duration::from_secs(2);
/// What a file is called that was not named.
const UNNAMED: &str = "unnamed";

/// How the file is called.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Called {
    /// The name of the file; `unnamed` if absent.
    name: Option<String>,
}

/// Attaches a file to a memory; its media type is that of the request.
#[utoipa::path(post, path = "/v1/memories/{id}/attachments", tag = "memories", operation_id = "memories_attach",
    params(("id" = String, Path, description = "The memory, or a unique prefix of its id."), Called),
    request_body(content = Vec<u8>, content_type = "application/octet-stream", description = "The bytes of the file, of any media type."),
    responses((status = 201, description = "It is attached.", body = Attached), Problems))]
pub(crate) async fn attach(
    State(services): State<Services>,
    Segment(id): Segment,
    Params(Called { name }): Params<Called>,
    headers: HeaderMap,
    body: Body,
) -> Result<impl IntoResponse, Refusal> {
    let text = |name: &header::HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    let announced = text(&header::CONTENT_LENGTH).and_then(|length| length.parse().ok());
    let media_type = text(&header::CONTENT_TYPE).map(str::to_owned);
    let (pieces, mut inbox) = mpsc::channel::<Bytes>(PIECES_MAX);
    // The blocking side begins at once: what it refuses, it refuses before the bytes come.
    let keep = blocking::run(services, move |services| {
        let name = name.unwrap_or_else(|| UNNAMED.to_owned());
        let mut arriving = services.begin_attachment(&id, name, media_type, announced)?;
        let mut is_whole = false;
        while let Some(piece) = inbox.blocking_recv() {
            // An empty piece says that the body ended as it should.
            is_whole = piece.is_empty();
            arriving.upload.write(&piece)?;
        }
        if !is_whole {
            let title = "the body broke off";
            return Err(Failure::new(ErrorCode::BadRequest, title));
        }
        services.attach(arriving)
    });
    let (kept, carried) = tokio::join!(keep, carry(body, pieces));
    carried?;
    Ok((StatusCode::CREATED, axum::Json(kept?)))
}

/// Carries a body to the disk, piece by piece, and an empty piece at its end.
async fn carry(body: Body, pieces: mpsc::Sender<Bytes>) -> Result<(), Refusal> {
    let mut arriving = body.into_data_stream();
    loop {
        let next = tokio::time::timeout(PIECE_TIME_MAX, arriving.next()).await;
        let next = next.map_err(|_elapsed| {
            let detail = format!("nothing came for {} seconds", PIECE_TIME_MAX.as_secs());
            Refusal::new(
                ErrorCode::Timeout,
                "the body did not arrive in time",
                detail,
            )
        })?;
        let piece = match next {
            None => Bytes::new(),
            Some(Ok(piece)) if piece.is_empty() => continue,
            Some(Ok(piece)) => piece,
            Some(Err(error)) => {
                let detail = error.to_string();
                return Err(Refusal::new(
                    ErrorCode::BadRequest,
                    "the body broke off",
                    detail,
                ));
            }
        };
        let is_last = piece.is_empty();
        if pieces.send(piece).await.is_err() {
            // Nobody takes it: the other side refused and says why.
            drain(arriving).await;
            return Ok(());
        }
        if is_last {
            return Ok(());
        }
    }
}

/// Takes the rest of a body that was refused, up to a limit: whoever is still sending it would not
/// read why.
async fn drain(mut arriving: axum::body::BodyDataStream) {
    let drained = async {
        let mut bytes = 0;
        while let Some(Ok(piece)) = arriving.next().await {
            bytes += piece.len();
            if bytes > DRAINED_BYTES_MAX {
                return;
            }
        }
    };
    if tokio::time::timeout(DRAIN_TIME_MAX, drained).await.is_err() {
        tracing::debug!("the rest of a refused body did not come");
    }
}

/// Hands an attachment out, as a download. One that is not here is fetched first, if somebody who
/// has it is online.
#[utoipa::path(get, path = "/v1/memories/{id}/attachments/{attachment}", tag = "memories", operation_id = "memories_attachment",
    params(
        ("id" = String, Path, description = "The memory, or a unique prefix of its id."),
        ("attachment" = String, Path, description = "Its hash, at least 8 characters of it, or its name."),
    ),
    responses(
        (status = 200, description = "Its bytes.", body = Vec<u8>, content_type = "application/octet-stream",
            headers(("ETag" = String, description = "Its hash."))),
        Problems,
    ))]
pub(crate) async fn read(
    State(services): State<Services>,
    Pair(id, name): Pair,
) -> Result<Response, Refusal> {
    let found = async move |services: Services| services.attachment(&id, &name).await;
    let Found { attachment, reader } = blocking::wait(services.clone(), found).await?;
    // The first chunk is read before anything is promised.
    let (first, reader) = blocking::run(services.clone(), move |_| {
        let is_empty = reader.outline().chunks() == 0;
        let first = if is_empty {
            Vec::new()
        } else {
            reader.chunk(0)?
        };
        Ok((first, reader))
    })
    .await?;
    let (pieces, outbox) = mpsc::channel::<io::Result<Bytes>>(PIECES_MAX);
    tokio::task::spawn_blocking(move || {
        let rest = (1..reader.outline().chunks()).map(|index| reader.chunk(index));
        for piece in std::iter::once(Ok(first)).chain(rest) {
            let is_damaged = piece.is_err();
            let piece = piece.map(Bytes::from).map_err(io::Error::other);
            // Whoever read it has gone, or the answer breaks off: a part is never the whole.
            if pieces.blocking_send(piece).is_err() || is_damaged {
                return;
            }
        }
    });
    let body = Body::from_stream(ReceiverStream::new(outbox));
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    let octets = HeaderValue::from_static("application/octet-stream");
    headers.insert(header::CONTENT_TYPE, octets);
    headers.insert(header::CONTENT_LENGTH, attachment.bytes.into());
    let values = [
        (header::CONTENT_DISPOSITION, disposition(&attachment.name)),
        (header::ETAG, format!("\"{}\"", attachment.hash)),
    ];
    for (name, value) in values {
        let value = HeaderValue::try_from(value).map_err(|_invalid| Refusal::internal())?;
        headers.insert(name, value);
    }
    Ok(response)
}

/// Takes an attachment away.
#[utoipa::path(delete, path = "/v1/memories/{id}/attachments/{attachment}", tag = "memories", operation_id = "memories_detach",
    params(
        ("id" = String, Path, description = "The memory, or a unique prefix of its id."),
        ("attachment" = String, Path, description = "Its hash, at least 8 characters of it, or its name."),
    ),
    responses((status = 200, description = "It is taken away.", body = Written), Problems))]
pub(crate) async fn detach(
    State(services): State<Services>,
    Pair(id, name): Pair,
) -> Result<axum::Json<Written>, Refusal> {
    blocking::json(services, move |services| services.detach(&id, &name)).await
}

/// Returns the header that names a download (RFC 6266, RFC 8187).
fn disposition(name: &str) -> String {
    let mut header = "attachment; filename*=UTF-8''".to_owned();
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            header.push(char::from(byte));
        } else {
            write!(header, "%{byte:02X}").expect("writing to a string does not fail");
        }
    }
    header
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_leave_its_header() {
        assert_eq!(
            disposition("a \"b\"\r\nX: y/../é.html"),
            "attachment; filename*=UTF-8''a%20%22b%22%0D%0AX%3A%20y%2F..%2F%C3%A9.html"
        );
    }
}
