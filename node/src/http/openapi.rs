//! The `OpenAPI` document: what the routes say about themselves, and the parts they share.
//!
//! The verbs behind `{id}:verb` are listed here, since the route matcher does not know them.
//! It is not written by hand; `docs/openapi.json` is its snapshot.

use crate::http::{circles, devices, imports, memories, policy, sharing, sync, tray};
use axum::http::header;
use axum::response::{IntoResponse as _, Response};
use protocol::api::problem::Problem;
use utoipa::OpenApi as _;
use utoipa::openapi::OpenApi;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};

/// What stands at the head of the document.
#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "Second Brain",
        description = "The local API of a memory node, on a Unix socket and on loopback TCP.",
    ),
    paths(
        memories::restore,
        memories::purge,
        circles::share,
        circles::unshare,
        policy::release,
        devices::retire,
        sharing::revoke,
        sharing::renew,
        sharing::replace,
        sharing::give_back,
        sharing::approve,
        sharing::deny,
        sync::prove,
        tray::salvage,
        tray::drop,
    ),
    components(schemas(Problem, imports::Job)),
    security((), ("token" = [])),
)]
struct Head;

/// Returns the document without the routes that document themselves.
pub(crate) fn head() -> OpenApi {
    let mut head = Head::openapi();
    let token = SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
    head.components
        .get_or_insert_default()
        .add_security_scheme("token", token);
    head
}

/// Returns the `OpenAPI` document of the API.
pub fn document() -> OpenApi {
    super::routes().into_openapi()
}

/// Renders the document as it is served and kept.
pub(crate) fn render(document: &OpenApi) -> String {
    let mut text = document.to_pretty_json().unwrap_or_default();
    text.push('\n');
    text
}

/// Answers `GET /openapi.json`.
pub(crate) fn answer(text: String) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], text).into_response()
}
