//! Grants, previews and requests: `/v1/grants`, `/v1/grant-previews`, `/v1/requests`.

use crate::http::blocking;
use crate::http::error::{Problems, Refusal};
use crate::http::extract::{Json, Maybe, Nothing, Segment, Untyped};
use crate::http::guard::no_verb;
use crate::service::Services;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use protocol::api::Page;
use protocol::api::sharing::{
    GivenBack, Grant, NewGrant, Offered, Preview, PreviewRequest, RenewRequest, ReplaceRequest,
    Request, Resolved, RevokeRequest, Revoked,
};

/// Shows what a person would see under a grant.
#[utoipa::path(post, path = "/v1/grant-previews", tag = "sharing", request_body = PreviewRequest,
    responses((status = 200, description = "What they would see.", body = Preview), Problems))]
pub(crate) async fn preview(
    State(services): State<Services>,
    Json(request): Json<PreviewRequest>,
) -> Result<axum::Json<Preview>, Refusal> {
    blocking::json(services, |services| services.preview(request)).await
}

/// Lists the grants given and received.
#[utoipa::path(get, path = "/v1/grants", tag = "sharing", operation_id = "grants_list",
    responses((status = 200, description = "The grants.", body = Page<Grant>), Problems))]
pub(crate) async fn list(
    State(services): State<Services>,
) -> Result<axum::Json<Page<Grant>>, Refusal> {
    blocking::json(services, Services::grants).await
}

/// Offers a grant.
#[utoipa::path(post, path = "/v1/grants", tag = "sharing", request_body = NewGrant,
    responses(
        (status = 201, description = "It is offered.", body = Offered,
            headers(("Location" = String, description = "The grant."))),
        Problems,
    ))]
pub(crate) async fn offer(
    State(services): State<Services>,
    Json(grant): Json<NewGrant>,
) -> Result<impl IntoResponse, Refusal> {
    let offered = blocking::run(services, |services| services.offer(grant)).await?;
    let location = format!("/v1/grants/{}", offered.grant);
    Ok((
        StatusCode::CREATED,
        [(header::LOCATION, location)],
        axum::Json(offered),
    ))
}

/// Shows a grant.
#[utoipa::path(get, path = "/v1/grants/{id}", tag = "sharing", operation_id = "grants_read",
    params(("id" = String, Path, description = "The grant, or a unique prefix of its id.")),
    responses((status = 200, description = "The grant.", body = Grant), Problems))]
pub(crate) async fn read(
    State(services): State<Services>,
    Segment(id): Segment,
) -> Result<axum::Json<Grant>, Refusal> {
    blocking::json(services, move |services| services.grant(&id)).await
}

/// Does what the verb behind the grant says.
pub(crate) async fn act(
    State(services): State<Services>,
    segment: Segment,
    Maybe(body): Maybe<Untyped>,
) -> Result<Response, Refusal> {
    match segment.verb() {
        Some((id, "revoke")) => {
            let revoked = revoke(services, id.to_owned(), body.typed()?).await?;
            Ok(revoked.into_response())
        }
        Some((id, "renew")) => {
            let renewed = renew(services, id.to_owned(), body.typed()?).await?;
            Ok(renewed.into_response())
        }
        Some((id, "return")) => {
            let given = give_back(services, id.to_owned()).await?;
            Ok(given.into_response())
        }
        Some((id, "replace")) => {
            let replaced = replace(services, id.to_owned(), body.typed()?).await?;
            Ok(replaced.into_response())
        }
        _ => Err(no_verb(&segment, "GET,HEAD")),
    }
}

/// Revokes a grant: nothing written from now on can be read under it.
#[utoipa::path(post, path = "/v1/grants/{id}:revoke", tag = "sharing",
    request_body = Option<RevokeRequest>,
    params(("id" = String, Path, description = "The grant, or a unique prefix of its id.")),
    responses((status = 200, description = "It is revoked.", body = Revoked), Problems))]
pub(crate) async fn revoke(
    services: Services,
    id: String,
    request: RevokeRequest,
) -> Result<axum::Json<Revoked>, Refusal> {
    let revoked = async move |services: Services| services.revoke(&id, request).await;
    blocking::wait(services, revoked).await.map(axum::Json)
}

/// Moves the end of a grant, nearer or further away.
#[utoipa::path(post, path = "/v1/grants/{id}:renew", tag = "sharing",
    request_body = Option<RenewRequest>,
    params(("id" = String, Path, description = "The grant, or a unique prefix of its id.")),
    responses((status = 200, description = "The grant as it stands.", body = Grant), Problems))]
pub(crate) async fn renew(
    services: Services,
    id: String,
    request: RenewRequest,
) -> Result<axum::Json<Grant>, Refusal> {
    blocking::json(services, move |services| services.renew(&id, request)).await
}

/// Puts another grant to the same person in the place of one.
#[utoipa::path(post, path = "/v1/grants/{id}:replace", tag = "sharing",
    request_body = ReplaceRequest,
    params(("id" = String, Path, description = "The grant, or a unique prefix of its id.")),
    responses((status = 200, description = "The new grant.", body = Offered), Problems))]
pub(crate) async fn replace(
    services: Services,
    id: String,
    request: ReplaceRequest,
) -> Result<axum::Json<Offered>, Refusal> {
    blocking::json(services, move |services| services.replace(&id, request)).await
}

/// Gives a grant back: purges the copies here that only it covers, and tells the sender.
#[utoipa::path(post, path = "/v1/grants/{id}:return", tag = "sharing",
    params(("id" = String, Path, description = "The grant, or a unique prefix of its id.")),
    responses((status = 200, description = "It is given back.", body = GivenBack), Problems))]
pub(crate) async fn give_back(
    services: Services,
    id: String,
) -> Result<axum::Json<GivenBack>, Refusal> {
    blocking::json(services, move |services| services.return_grant(&id)).await
}

/// Lists what waits for a yes or a no.
#[utoipa::path(get, path = "/v1/requests", tag = "sharing",
    responses((status = 200, description = "What waits.", body = Page<Request>), Problems))]
pub(crate) async fn requests(
    State(services): State<Services>,
) -> Result<axum::Json<Page<Request>>, Refusal> {
    blocking::json(services, Services::requests).await
}

/// Shows one thing that waits, with the memories it is about.
#[utoipa::path(get, path = "/v1/requests/{id}", tag = "sharing", operation_id = "requests_read",
    params(("id" = String, Path, description = "The request, or a unique prefix of its id.")),
    responses((status = 200, description = "The request.", body = Request), Problems))]
pub(crate) async fn request(
    State(services): State<Services>,
    Segment(id): Segment,
) -> Result<axum::Json<Request>, Refusal> {
    blocking::json(services, move |services| services.request(&id)).await
}

/// Does what the verb behind the request says.
pub(crate) async fn resolve(
    State(services): State<Services>,
    segment: Segment,
    Maybe(Nothing {}): Maybe<Nothing>,
) -> Result<axum::Json<Resolved>, Refusal> {
    match segment.verb() {
        Some((id, "approve")) => approve(services, id.to_owned()).await,
        Some((id, "deny")) => deny(services, id.to_owned()).await,
        _ => Err(no_verb(&segment, "")),
    }
}

/// Says yes to a request.
#[utoipa::path(post, path = "/v1/requests/{id}:approve", tag = "sharing",
    params(("id" = String, Path, description = "The request, or a unique prefix of its id.")),
    responses((status = 200, description = "It is approved.", body = Resolved), Problems))]
pub(crate) async fn approve(
    services: Services,
    id: String,
) -> Result<axum::Json<Resolved>, Refusal> {
    blocking::json(services, move |services| {
        services.resolve_request(&id, true)
    })
    .await
}

/// Says no to a request.
#[utoipa::path(post, path = "/v1/requests/{id}:deny", tag = "sharing",
    params(("id" = String, Path, description = "The request, or a unique prefix of its id.")),
    responses((status = 200, description = "It is denied.", body = Resolved), Problems))]
pub(crate) async fn deny(services: Services, id: String) -> Result<axum::Json<Resolved>, Refusal> {
    blocking::json(services, move |services| {
        services.resolve_request(&id, false)
    })
    .await
}
