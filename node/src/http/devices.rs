//! Devices of this person: `/v1/devices`, `/v1/identity:phrase`, `/v1/identity:recover`.

use crate::http::blocking;
use crate::http::error::{Problems, Refusal};
use crate::http::extract::{Json, Maybe, Nothing, Segment};
use crate::http::guard::no_verb;
use crate::service::Services;
use axum::extract::State;
use axum::http::StatusCode;
use protocol::api::Page;
use protocol::api::devices::{
    Device, DevicePatch, JoinDevice, NewDevice, NewIdentity, Phrase, RetireDevice, Retired,
};
use protocol::api::peers::Invite;

/// Lists the devices of this person.
#[utoipa::path(get, path = "/v1/devices", tag = "devices", operation_id = "devices_list",
    responses((status = 200, description = "The devices.", body = Page<Device>), Problems))]
pub(crate) async fn list(
    State(services): State<Services>,
) -> Result<axum::Json<Page<Device>>, Refusal> {
    blocking::json(services, Services::devices).await
}

/// Makes a one-use ticket for a new device; it is shown this once.
#[utoipa::path(post, path = "/v1/devices", tag = "devices", operation_id = "devices_add",
    request_body = Option<NewDevice>,
    responses((status = 201, description = "The ticket.", body = Invite), Problems))]
pub(crate) async fn add(
    State(services): State<Services>,
    Maybe(new): Maybe<NewDevice>,
) -> Result<(StatusCode, axum::Json<Invite>), Refusal> {
    let invite = blocking::json(services, |services| services.add_device(new)).await?;
    Ok((StatusCode::CREATED, invite))
}

/// Makes this machine a device of the person who made a ticket; the node starts again.
#[utoipa::path(post, path = "/v1/devices:join", tag = "devices", request_body = JoinDevice,
    responses((status = 200, description = "Who this node is now.", body = NewIdentity), Problems))]
pub(crate) async fn join(
    State(services): State<Services>,
    Json(join): Json<JoinDevice>,
) -> Result<axum::Json<NewIdentity>, Refusal> {
    let joined = async move |services: Services| services.join_devices(join).await;
    blocking::wait(services, joined).await.map(axum::Json)
}

/// Names a device.
#[utoipa::path(patch, path = "/v1/devices/{id}", tag = "devices", operation_id = "devices_edit",
    request_body = DevicePatch,
    params(("id" = String, Path, description = "The device: its name or a unique prefix of its id.")),
    responses((status = 200, description = "The device.", body = Device), Problems))]
pub(crate) async fn edit(
    State(services): State<Services>,
    Segment(device): Segment,
    Json(patch): Json<DevicePatch>,
) -> Result<axum::Json<Device>, Refusal> {
    blocking::json(services, move |services| {
        services.patch_device(&device, patch)
    })
    .await
}

/// Does what the verb behind the device says.
pub(crate) async fn act(
    State(services): State<Services>,
    segment: Segment,
    Maybe(request): Maybe<RetireDevice>,
) -> Result<axum::Json<Retired>, Refusal> {
    match segment.verb() {
        Some((device, "retire")) => retire(services, device.to_owned(), request).await,
        _ => Err(no_verb(&segment, "PATCH")),
    }
}

/// Retires a device: nothing that it writes from now on counts, and it can read nothing new.
#[utoipa::path(post, path = "/v1/devices/{id}:retire", tag = "devices",
    request_body = Option<RetireDevice>,
    params(("id" = String, Path, description = "The device: its name or a unique prefix of its id.")),
    responses((status = 200, description = "It is retired.", body = Retired), Problems))]
pub(crate) async fn retire(
    services: Services,
    device: String,
    request: RetireDevice,
) -> Result<axum::Json<Retired>, Refusal> {
    blocking::json(services, move |services| {
        services.retire_device(&device, request)
    })
    .await
}

/// Shows the recovery phrase: whoever has it is this person.
#[utoipa::path(post, path = "/v1/identity:phrase", tag = "devices",
    responses((status = 200, description = "The phrase.", body = Phrase), Problems))]
pub(crate) async fn phrase(
    State(services): State<Services>,
    Maybe(Nothing {}): Maybe<Nothing>,
) -> Result<axum::Json<Phrase>, Refusal> {
    blocking::json(services, Services::phrase).await
}

/// Makes this machine a device of the person whose recovery phrase it is; the node starts again.
#[utoipa::path(post, path = "/v1/identity:recover", tag = "devices", request_body = Phrase,
    responses((status = 200, description = "Who this node is now.", body = NewIdentity), Problems))]
pub(crate) async fn recover(
    State(services): State<Services>,
    Json(phrase): Json<Phrase>,
) -> Result<axum::Json<NewIdentity>, Refusal> {
    blocking::json(services, move |services| services.recover(phrase)).await
}
