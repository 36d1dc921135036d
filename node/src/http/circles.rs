//! Circles: `/v1/circles`.

use crate::http::blocking;
use crate::http::error::{Problems, Refusal};
use crate::http::extract::{Json, Maybe, Segment, Untyped};
use crate::http::guard::no_verb;
use crate::service::Services;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use protocol::api::Page;
use protocol::api::circles::{
    Circle, CircleChanged, CirclePatch, NewCircle, ShareWithCircle, UnshareRequest,
};

/// Lists my circles.
#[utoipa::path(get, path = "/v1/circles", tag = "circles", operation_id = "circles_list",
    responses((status = 200, description = "The circles.", body = Page<Circle>), Problems))]
pub(crate) async fn list(
    State(services): State<Services>,
) -> Result<axum::Json<Page<Circle>>, Refusal> {
    blocking::json(services, Services::circles).await
}

/// Makes a circle.
#[utoipa::path(post, path = "/v1/circles", tag = "circles", operation_id = "circles_create",
    request_body = NewCircle,
    responses((status = 201, description = "It is made.", body = CircleChanged), Problems))]
pub(crate) async fn create(
    State(services): State<Services>,
    Json(new): Json<NewCircle>,
) -> Result<impl IntoResponse, Refusal> {
    let made = blocking::run(services, |services| services.create_circle(new)).await?;
    Ok((StatusCode::CREATED, axum::Json(made)))
}

/// Shows a circle.
#[utoipa::path(get, path = "/v1/circles/{name}", tag = "circles", operation_id = "circles_read",
    params(("name" = String, Path, description = "The circle.")),
    responses((status = 200, description = "The circle.", body = Circle), Problems))]
pub(crate) async fn read(
    State(services): State<Services>,
    Segment(name): Segment,
) -> Result<axum::Json<Circle>, Refusal> {
    blocking::json(services, move |services| services.circle(&name)).await
}

/// Changes who is in a circle; grants follow.
#[utoipa::path(patch, path = "/v1/circles/{name}", tag = "circles", operation_id = "circles_edit",
    request_body = CirclePatch,
    params(("name" = String, Path, description = "The circle.")),
    responses((status = 200, description = "The circle as changed.", body = CircleChanged), Problems))]
pub(crate) async fn edit(
    State(services): State<Services>,
    Segment(name): Segment,
    Json(patch): Json<CirclePatch>,
) -> Result<axum::Json<CircleChanged>, Refusal> {
    blocking::json(services, move |services| {
        services.change_circle(&name, patch)
    })
    .await
}

/// Removes a circle; what its members were given because of it is revoked.
#[utoipa::path(delete, path = "/v1/circles/{name}", tag = "circles", operation_id = "circles_remove",
    params(("name" = String, Path, description = "The circle.")),
    responses((status = 200, description = "It is no more.", body = CircleChanged), Problems))]
pub(crate) async fn remove(
    State(services): State<Services>,
    Segment(name): Segment,
) -> Result<axum::Json<CircleChanged>, Refusal> {
    blocking::json(services, move |services| services.remove_circle(&name)).await
}

/// Does what the verb behind the circle says.
pub(crate) async fn act(
    State(services): State<Services>,
    segment: Segment,
    Maybe(body): Maybe<Untyped>,
) -> Result<axum::Json<CircleChanged>, Refusal> {
    match segment.verb() {
        Some((name, "share")) => share(services, name.to_owned(), body.typed()?).await,
        Some((name, "unshare")) => unshare(services, name.to_owned(), body.typed()?).await,
        _ => Err(no_verb(&segment, "GET,HEAD,PATCH,DELETE")),
    }
}

/// Gives the same to all members, now and as they join.
#[utoipa::path(post, path = "/v1/circles/{name}:share", tag = "circles",
    request_body = ShareWithCircle,
    params(("name" = String, Path, description = "The circle.")),
    responses((status = 200, description = "It is given.", body = CircleChanged), Problems))]
pub(crate) async fn share(
    services: Services,
    name: String,
    share: ShareWithCircle,
) -> Result<axum::Json<CircleChanged>, Refusal> {
    blocking::json(services, move |services| {
        services.share_with_circle(&name, share)
    })
    .await
}

/// Takes back what a circle is given.
#[utoipa::path(post, path = "/v1/circles/{name}:unshare", tag = "circles",
    request_body = Option<UnshareRequest>,
    params(("name" = String, Path, description = "The circle.")),
    responses((status = 200, description = "It is taken back.", body = CircleChanged), Problems))]
pub(crate) async fn unshare(
    services: Services,
    name: String,
    request: UnshareRequest,
) -> Result<axum::Json<CircleChanged>, Refusal> {
    blocking::json(services, move |services| services.unshare(&name, request)).await
}
