//! The disclosure ledger: `/v1/ledger`, its entries, head and holders, `/v1/ledger:verify`, and
//! the receipt of a grant.

use crate::http::blocking;
use crate::http::error::{Problems, Refusal};
use crate::http::extract::{Maybe, Params, Segment, page_limit};
use crate::service::Services;
use axum::Json;
use axum::extract::State;
use protocol::api::Page;
use protocol::api::ledger::{
    Holders, LedgerCheck, LedgerEntry, LedgerHead, LedgerProof, LedgerVerdict,
};
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

/// Checks that every entry is what was signed, and what peers witnessed.
#[utoipa::path(post, path = "/v1/ledger:verify", tag = "ledger", request_body = Option<LedgerCheck>,
    responses((status = 200, description = "The verdict.", body = LedgerVerdict), Problems))]
pub(crate) async fn verify(
    State(services): State<Services>,
    Maybe(check): Maybe<LedgerCheck>,
) -> Result<Json<LedgerVerdict>, Refusal> {
    blocking::json(services, move |services| services.verify_ledger(&check)).await
}

/// Shows an entry, with the proof that it is in the ledger.
#[utoipa::path(get, path = "/v1/ledger/entries/{seq}", tag = "ledger",
    operation_id = "ledger_entry",
    params(("seq" = u64, Path, description = "The number of the entry.")),
    responses((status = 200, description = "The entry.", body = LedgerProof), Problems))]
pub(crate) async fn entry(
    State(services): State<Services>,
    Segment(seq): Segment,
) -> Result<Json<LedgerProof>, Refusal> {
    blocking::json(services, move |services| services.ledger_entry(&seq)).await
}

/// Tells how the ledger stands, signed, and who witnessed it.
#[utoipa::path(get, path = "/v1/ledger/head", tag = "ledger", operation_id = "ledger_head",
    responses((status = 200, description = "How it stands.", body = LedgerHead), Problems))]
pub(crate) async fn head(State(services): State<Services>) -> Result<Json<LedgerHead>, Refusal> {
    blocking::json(services, Services::ledger_head).await
}

/// Whose copies to look for.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Copies {
    /// The memory, or a unique prefix of its id.
    memory: String,
}

/// Lists who was sent a memory.
#[utoipa::path(get, path = "/v1/ledger/holders", tag = "ledger", params(Copies),
    responses((status = 200, description = "Who was sent it.", body = Holders), Problems))]
pub(crate) async fn holders(
    State(services): State<Services>,
    Params(Copies { memory }): Params<Copies>,
) -> Result<Json<Holders>, Refusal> {
    blocking::json(services, move |services| services.holders(&memory)).await
}

/// Returns the consent receipt of a grant, as JSON-LD.
#[utoipa::path(get, path = "/v1/grants/{id}/receipt", tag = "ledger",
    params(("id" = String, Path, description = "The grant, or a unique prefix of its id.")),
    responses((status = 200, description = "The receipt.", body = serde_json::Value), Problems))]
pub(crate) async fn receipt(
    State(services): State<Services>,
    Segment(id): Segment,
) -> Result<Json<serde_json::Value>, Refusal> {
    blocking::json(services, move |services| services.receipt(&id)).await
}
