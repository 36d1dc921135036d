//! The disclosure ledger: `/v1/ledger`, `/v1/ledger:verify`.

use crate::http::blocking;
use crate::http::error::{Problems, Refusal};
use crate::http::extract::{Maybe, Nothing, Params, page_limit};
use crate::service::Services;
use axum::Json;
use axum::extract::State;
use protocol::api::Page;
use protocol::api::ledger::{LedgerEntry, LedgerVerdict};
use serde::Deserialize;

/// Which disclosures to list.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Which {
    /// Only those to this person: petname, `did:key` or a unique prefix of it.
    peer: Option<String>,
    /// Only those after this number.
    after: Option<u64>,
    /// The most entries, 1 to 200; 50 if absent.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<usize>,
}

/// Lists what left the node.
#[utoipa::path(get, path = "/v1/ledger", tag = "ledger", operation_id = "ledger_list", params(Which),
    responses((status = 200, description = "The entries.", body = Page<LedgerEntry>), Problems))]
pub(crate) async fn list(
    State(services): State<Services>,
    Params(Which { peer, after, limit }): Params<Which>,
) -> Result<Json<Page<LedgerEntry>>, Refusal> {
    let limit = page_limit(limit)?;
    blocking::json(services, move |services| {
        services.ledger(peer.as_deref(), after, limit)
    })
    .await
}

/// Checks that every entry is what was signed.
#[utoipa::path(post, path = "/v1/ledger:verify", tag = "ledger",
    responses((status = 200, description = "The verdict.", body = LedgerVerdict), Problems))]
pub(crate) async fn verify(
    State(services): State<Services>,
    Maybe(Nothing {}): Maybe<Nothing>,
) -> Result<Json<LedgerVerdict>, Refusal> {
    blocking::json(services, Services::verify_ledger).await
}
