//! The local HTTP edge: the route table, and the two listeners that serve it.
//!
//! Flow: `serve` accepts a connection, [`guard()`] admits a request by its head, an extractor
//! reads it, a handler of the noun's file calls the service of the same name, and `error` renders
//! every refusal. It is not where anything is decided about memories or people.
//! Invariant: what is routed here is what `docs/openapi.json` says; a test compares them.

mod alike;
mod attachments;
mod blocking;
mod circles;
mod devices;
mod edge;
mod error;
mod etag;
mod events;
mod extract;
mod guard;
mod imports;
mod key;
mod ledger;
pub mod locked;
mod memories;
mod metrics;
mod openapi;
mod peers;
mod policy;
mod search;
mod serve;
mod sharing;
mod status;
mod sync;
#[cfg(test)]
mod tests;
mod threads;
mod tray;

pub use axum::Router;
pub use edge::{Edge, Transport};
pub use guard::{guard, guard_open};
pub use locked::locked_router;
pub use metrics::{locked_metrics_router, metrics_router};
pub use openapi::document;
pub use serve::{serve_tcp, serve_unix};
pub use threads::Threads;

use crate::service::Services;
use axum::extract::{MatchedPath, Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use axum::routing::{get, post};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// Routes that are asked again and again to see whether the node is well.
const PROBES: [&str; 3] = ["/healthz", "/readyz", "/metrics"];

/// Builds the API of one listener.
pub fn router(services: Services, edge: Edge) -> Router {
    let (routes, document) = routes().split_for_parts();
    let text = openapi::render(&document);
    let routes = routes.route("/openapi.json", get(async || openapi::answer(text)));
    let routes = routes.layer(from_fn_with_state(services.clone(), writes_first));
    let routes = routes.layer(from_fn_with_state(services.clone(), metrics::measure));
    let routes = routes.layer(from_fn_with_state(services.clone(), is_used));
    guard(routes.with_state(services), edge)
}

/// Notes that the node is used; a probe is no use.
async fn is_used(
    State(services): State<Services>,
    route: Option<MatchedPath>,
    request: Request,
    next: Next,
) -> Response {
    let is_probe = route.is_some_and(|route| PROBES.contains(&route.as_str()));
    let _use = (!is_probe).then(|| services.used());
    next.run(request).await
}

/// Has peers stand back while a request is worked on that may write.
async fn writes_first(State(services): State<Services>, request: Request, next: Next) -> Response {
    let _writing = (!request.method().is_safe()).then(|| services.writing());
    next.run(request).await
}

/// Returns every route with its documentation.
///
/// `/v1/noun/{id}:verb` has no form in the route matcher: such a POST arrives at
/// `/v1/noun/{id}`, where the noun's `act` splits the verb off.
fn routes() -> OpenApiRouter<Services> {
    OpenApiRouter::with_openapi(openapi::head())
        .routes(routes!(status::healthz))
        .routes(routes!(status::readyz))
        .routes(routes!(status::node))
        .routes(routes!(status::identity))
        .routes(routes!(key::read, key::put))
        .routes(routes!(key::lock))
        .routes(routes!(key::unlock))
        .routes(routes!(status::rebuild))
        .routes(routes!(status::verify))
        .routes(routes!(metrics::metrics))
        .routes(routes!(status::accept_clock))
        .routes(routes!(events::events))
        .routes(routes!(memories::list, memories::create))
        .routes(routes!(memories::read, memories::edit, memories::forget))
        .route("/v1/memories/{id}", post(memories::act))
        .routes(routes!(attachments::attach))
        .routes(routes!(attachments::read, attachments::detach))
        .routes(routes!(search::search))
        .routes(routes!(alike::related))
        .routes(routes!(alike::duplicates))
        .routes(routes!(peers::list))
        .routes(routes!(peers::read, peers::edit, peers::remove))
        .routes(routes!(peers::invite))
        .routes(routes!(peers::accept))
        .routes(routes!(devices::list, devices::add))
        .routes(routes!(devices::join))
        .routes(routes!(devices::edit))
        .route("/v1/devices/{id}", post(devices::act))
        .routes(routes!(devices::phrase))
        .routes(routes!(devices::recover))
        .routes(routes!(sharing::preview))
        .routes(routes!(sharing::list, sharing::offer))
        .routes(routes!(sharing::read))
        .route("/v1/grants/{id}", post(sharing::act))
        .routes(routes!(sharing::requests))
        .routes(routes!(sharing::request))
        .route("/v1/requests/{id}", post(sharing::resolve))
        .routes(routes!(circles::list, circles::create))
        .routes(routes!(circles::read, circles::edit, circles::remove))
        .route("/v1/circles/{name}", post(circles::act))
        .routes(routes!(tray::list))
        .routes(routes!(tray::read))
        .route("/v1/tray/{id}", post(tray::act))
        .routes(routes!(policy::read, policy::put))
        .routes(routes!(policy::lint))
        .routes(routes!(policy::test))
        .routes(routes!(policy::versions))
        .routes(routes!(policy::rollback))
        .routes(routes!(policy::held))
        .route("/v1/held/{id}", post(policy::act))
        .routes(routes!(sync::status))
        .routes(routes!(sync::now))
        .route("/v1/sync/{person}", post(sync::act))
        .routes(routes!(ledger::list))
        .routes(routes!(ledger::verify))
        .routes(routes!(ledger::entry))
        .routes(routes!(ledger::head))
        .routes(routes!(ledger::holders))
        .routes(routes!(ledger::receipt))
        .routes(routes!(imports::start))
        .routes(routes!(imports::job, imports::cancel))
}
