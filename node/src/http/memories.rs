//! Memories: `/v1/memories`.

mod shown;

use crate::http::error::{Problems, Refusal};
use crate::http::extract::{Json, MEMORY_BYTES_MAX, Maybe, Nothing, Params, Segment, page_limit};
use crate::http::guard::no_verb;
use crate::http::{blocking, etag};
use crate::service::Services;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use protocol::api::Page;
use protocol::api::memories::{Memory, NewMemory, Patch, Summary, Written};
use protocol::api::problem::ErrorCode;
use serde::Deserialize;

/// Which memories to list.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Which {
    /// A selector, such as `tag:recipes -tag:private`.
    q: Option<String>,
    /// The most memories, 1 to 200; 50 if absent.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<usize>,
    /// The `next_cursor` of the page before.
    cursor: Option<String>,
    /// List what there was at the end of this day (in UTC) or moment (RFC 3339), as it was then.
    as_of: Option<String>,
}

/// At which moment to look at a memory.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct When {
    /// The end of this day (in UTC) or moment (RFC 3339): the memory as it was then.
    as_of: Option<String>,
}

/// Lists memories, the last changed first.
#[utoipa::path(get, path = "/v1/memories", tag = "memories", operation_id = "memories_list", params(Which),
    responses((status = 200, description = "The memories.", body = Page<Summary>), Problems))]
pub(crate) async fn list(
    State(services): State<Services>,
    Params(which): Params<Which>,
) -> Result<axum::Json<Page<Summary>>, Refusal> {
    let limit = page_limit(which.limit)?;
    let work = move |services: &Services| {
        let (q, cursor) = (which.q.as_deref(), which.cursor.as_deref());
        services.list_memories(q, limit, cursor, which.as_of.as_deref())
    };
    blocking::json(services, work).await
}

/// Keeps a new memory.
#[utoipa::path(post, path = "/v1/memories", tag = "memories", request_body = NewMemory,
    responses(
        (status = 201, description = "It is kept.", body = Written,
            headers(("Location" = String, description = "The memory."))),
        Problems,
    ))]
pub(crate) async fn create(
    State(services): State<Services>,
    Json(memory): Json<NewMemory, MEMORY_BYTES_MAX>,
) -> Result<impl IntoResponse, Refusal> {
    let written = blocking::run(services, |services| services.create_memory(memory)).await?;
    let location = format!("/v1/memories/{}", written.id);
    Ok((
        StatusCode::CREATED,
        [(header::LOCATION, location)],
        axum::Json(written),
    ))
}

/// Shows a memory, as JSON or as Markdown.
#[utoipa::path(get, path = "/v1/memories/{id}", tag = "memories", operation_id = "memories_read",
    params(
        ("id" = String, Path, description = "The memory, or a unique prefix of its id."),
        ("If-None-Match" = Option<String>, Header, description = "Versions that are at hand."),
        When,
    ),
    responses(
        (status = 200, description = "The memory.",
            content((Memory = "application/json"), (String = "text/markdown")),
            headers(("ETag" = String, description = "The version of what is shown."))),
        (status = 304, description = "It is a version that is at hand."),
        Problems,
    ))]
pub(crate) async fn read(
    State(services): State<Services>,
    Segment(id): Segment,
    Params(When { as_of }): Params<When>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let is_past = as_of.is_some();
    let work = move |services: &Services| services.memory(&id, as_of.as_deref());
    let memory = if is_past {
        blocking::run(services, work).await?
    } else {
        blocking::read(services, work).await?
    };
    Ok(shown::answer(&headers, &memory))
}

/// Changes a memory; a change on older heads merges, unless `If-Match` forbids it.
#[utoipa::path(patch, path = "/v1/memories/{id}", tag = "memories", operation_id = "memories_edit", request_body = Patch,
    params(
        ("id" = String, Path, description = "The memory, or a unique prefix of its id."),
        ("If-Match" = Option<String>, Header, description = "Refuse if it is another version."),
    ),
    responses((status = 200, description = "It is changed.", body = Written), Problems))]
pub(crate) async fn edit(
    State(services): State<Services>,
    Segment(id): Segment,
    headers: HeaderMap,
    Json(mut patch): Json<Patch, MEMORY_BYTES_MAX>,
) -> Result<axum::Json<Written>, Refusal> {
    if headers.contains_key(header::IF_MATCH) {
        let sought = id.clone();
        let memory = blocking::run(services.clone(), move |s| s.memory(&sought, None)).await?;
        unchanged(&headers, &memory)?;
        // A write that slips in between is merged with, never overwritten.
        patch.base.get_or_insert(memory.heads);
    }
    blocking::json(services, move |services| services.edit_memory(&id, patch)).await
}

/// Refuses if `If-Match` does not list the version that stands.
fn unchanged(headers: &HeaderMap, memory: &Memory) -> Result<(), Refusal> {
    let (json, markdown) = (etag::of(memory), etag::of_markdown(memory));
    match etag::listed(headers, &header::IF_MATCH, &[&json, &markdown]) {
        Some(false) => {
            let detail = format!("If-Match does not list {json}");
            Err(Refusal::new(
                ErrorCode::Conflict,
                "the memory has changed meanwhile",
                detail,
            )
            .hint("read it again, or send the heads you know as `base` to merge"))
        }
        Some(true) | None => Ok(()),
    }
}

/// Forgets a memory; it can be restored until it is purged.
#[utoipa::path(delete, path = "/v1/memories/{id}", tag = "memories",
    params(("id" = String, Path, description = "The memory, or a unique prefix of its id.")),
    responses((status = 200, description = "It is forgotten.", body = Written), Problems))]
pub(crate) async fn forget(
    State(services): State<Services>,
    Segment(id): Segment,
) -> Result<axum::Json<Written>, Refusal> {
    blocking::json(services, move |services| services.forget_memory(&id)).await
}

/// Does what the verb behind the memory says.
pub(crate) async fn act(
    State(services): State<Services>,
    segment: Segment,
    Maybe(Nothing {}): Maybe<Nothing>,
) -> Result<axum::Json<Written>, Refusal> {
    match segment.verb() {
        Some((id, "restore")) => restore(services, id.to_owned()).await,
        Some((id, "purge")) => purge(services, id.to_owned()).await,
        _ => Err(no_verb(&segment, "GET,HEAD,PATCH,DELETE")),
    }
}

/// Brings a forgotten memory back.
#[utoipa::path(post, path = "/v1/memories/{id}:restore", tag = "memories",
    params(("id" = String, Path, description = "The memory, or a unique prefix of its id.")),
    responses((status = 200, description = "It is back.", body = Written), Problems))]
pub(crate) async fn restore(
    services: Services,
    id: String,
) -> Result<axum::Json<Written>, Refusal> {
    blocking::json(services, move |services| services.restore_memory(&id)).await
}

/// Destroys a forgotten memory's content on this node, for good.
#[utoipa::path(post, path = "/v1/memories/{id}:purge", tag = "memories",
    params(("id" = String, Path, description = "The memory, or a unique prefix of its id.")),
    responses((status = 200, description = "Its content is destroyed.", body = Written), Problems))]
pub(crate) async fn purge(services: Services, id: String) -> Result<axum::Json<Written>, Refusal> {
    blocking::json(services, move |services| services.purge_memory(&id)).await
}
