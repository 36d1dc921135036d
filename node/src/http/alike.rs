//! What is like what: `/v1/memories/{id}/related`, `/v1/duplicates`.

use crate::http::blocking;
use crate::http::error::{Problems, Refusal};
use crate::http::extract::{Params, Segment, page_limit};
use crate::service::Services;
use axum::Json;
use axum::extract::State;
use protocol::api::alike::{Duplicates, RelatedMemories};
use serde::Deserialize;

/// How many to show.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct HowMany {
    /// The most memories, 1 to 200; 10 if absent.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<usize>,
}

/// Which memories to compare.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Which {
    /// A selector, such as `tag:recipes`; all if absent.
    q: Option<String>,
    /// The most groups, 1 to 200; 50 if absent.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<usize>,
}

/// Shows what is near a memory: what it is linked with, and the nearest in meaning.
#[utoipa::path(get, path = "/v1/memories/{id}/related", tag = "search",
    params(HowMany, ("id" = String, Path, description = "The memory, or a unique prefix of its id.")),
    responses((status = 200, description = "What is near.", body = RelatedMemories), Problems))]
pub(crate) async fn related(
    State(services): State<Services>,
    Segment(id): Segment,
    Params(HowMany { limit }): Params<HowMany>,
) -> Result<Json<RelatedMemories>, Refusal> {
    let limit = page_limit(limit)?;
    blocking::json(services, move |services| services.related(&id, limit)).await
}

/// Compares memories with each other and groups those that say nearly the same. Reads each of them.
#[utoipa::path(get, path = "/v1/duplicates", tag = "search", params(Which),
    responses((status = 200, description = "The groups.", body = Duplicates), Problems))]
pub(crate) async fn duplicates(
    State(services): State<Services>,
    Params(Which { q, limit }): Params<Which>,
) -> Result<Json<Duplicates>, Refusal> {
    let limit = page_limit(limit)?;
    blocking::json(services, move |services| {
        services.duplicates(q.as_deref(), limit)
    })
    .await
}
