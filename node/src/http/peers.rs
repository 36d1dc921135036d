//! Peers and invites: `/v1/peers`, `/v1/invites`, `/v1/invites:accept`.

use crate::http::blocking;
use crate::http::error::{Problems, Refusal};
use crate::http::extract::{Json, Maybe, Segment};
use crate::service::Services;
use axum::extract::State;
use axum::http::StatusCode;
use protocol::api::Page;
use protocol::api::peers::{AcceptInvite, Invite, NewInvite, Peer, PeerPatch};

/// Lists the persons this node is paired with.
#[utoipa::path(get, path = "/v1/peers", tag = "peers", operation_id = "peers_list",
    responses((status = 200, description = "The persons.", body = Page<Peer>), Problems))]
pub(crate) async fn list(
    State(services): State<Services>,
) -> Result<axum::Json<Page<Peer>>, Refusal> {
    blocking::json(services, Services::peers).await
}

/// Shows a person.
#[utoipa::path(get, path = "/v1/peers/{person}", tag = "peers", operation_id = "peers_read",
    params(("person" = String, Path,
        description = "The person: petname, `did:key` or a unique prefix of it.")),
    responses((status = 200, description = "The person.", body = Peer), Problems))]
pub(crate) async fn read(
    State(services): State<Services>,
    Segment(person): Segment,
) -> Result<axum::Json<Peer>, Refusal> {
    blocking::json(services, move |services| services.peer(&person)).await
}

/// Renames a person, blocks them, or ends the block.
#[utoipa::path(patch, path = "/v1/peers/{person}", tag = "peers", operation_id = "peers_edit", request_body = PeerPatch,
    params(("person" = String, Path,
        description = "The person: petname, `did:key` or a unique prefix of it.")),
    responses((status = 200, description = "The person as changed.", body = Peer), Problems))]
pub(crate) async fn edit(
    State(services): State<Services>,
    Segment(person): Segment,
    Json(patch): Json<PeerPatch>,
) -> Result<axum::Json<Peer>, Refusal> {
    blocking::json(services, move |services| {
        services.patch_peer(&person, patch)
    })
    .await
}

/// Ends the pairing with a person.
#[utoipa::path(delete, path = "/v1/peers/{person}", tag = "peers",
    params(("person" = String, Path,
        description = "The person: petname, `did:key` or a unique prefix of it.")),
    responses((status = 204, description = "The pairing is over."), Problems))]
pub(crate) async fn remove(
    State(services): State<Services>,
    Segment(person): Segment,
) -> Result<StatusCode, Refusal> {
    blocking::run(services, move |services| services.remove_peer(&person)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Makes a one-use ticket; it is shown this once.
#[utoipa::path(post, path = "/v1/invites", tag = "peers", request_body = Option<NewInvite>,
    responses((status = 201, description = "The ticket.", body = Invite), Problems))]
pub(crate) async fn invite(
    State(services): State<Services>,
    Maybe(invite): Maybe<NewInvite>,
) -> Result<(StatusCode, axum::Json<Invite>), Refusal> {
    let invite = blocking::json(services, |services| services.invite(invite)).await?;
    Ok((StatusCode::CREATED, invite))
}

/// Pairs with the person who made a ticket.
#[utoipa::path(post, path = "/v1/invites:accept", tag = "peers", request_body = AcceptInvite,
    responses((status = 200, description = "The person.", body = Peer), Problems))]
pub(crate) async fn accept(
    State(services): State<Services>,
    Json(invite): Json<AcceptInvite>,
) -> Result<axum::Json<Peer>, Refusal> {
    let accepted = async move |services: Services| services.accept_invite(invite).await;
    blocking::wait(services, accepted).await.map(axum::Json)
}
