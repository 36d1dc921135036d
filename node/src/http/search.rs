//! Search: `POST /v1/search`. A POST, so that what is searched for is in no address and no log.

use crate::http::blocking;
use crate::http::error::{Problems, Refusal};
use crate::http::extract::{Json, page_limit};
use crate::service::Services;
use axum::extract::State;
use protocol::api::search::{SearchRequest, SearchResponse};

/// Finds memories by words and by meaning.
#[utoipa::path(post, path = "/v1/search", tag = "search", request_body = SearchRequest,
    responses((status = 200, description = "The hits.", body = SearchResponse), Problems))]
pub(crate) async fn search(
    State(services): State<Services>,
    Json(request): Json<SearchRequest>,
) -> Result<axum::Json<SearchResponse>, Refusal> {
    page_limit(request.limit)?;
    let is_quick = services.is_quick(&request);
    let work = |services: &Services| services.search(request);
    let found = if is_quick {
        blocking::read(services, work).await
    } else {
        blocking::run(services, work).await
    };
    found.map(axum::Json)
}
