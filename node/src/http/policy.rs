//! The consent policy and what it holds: `/v1/policy`, `/v1/held`.

use crate::http::blocking;
use crate::http::error::{Problems, Refusal};
use crate::http::extract::{Json, Maybe, Segment};
use crate::http::guard::no_verb;
use crate::service::Services;
use axum::extract::State;
use protocol::api::Page;
use protocol::api::policy::{
    HeldMemory, Lint, LintRequest, Policy, PolicyChange, PolicyTest, PolicyVersion, PutPolicy,
    Release, Released, Rollback, Tested,
};

/// Shows the policy in force.
#[utoipa::path(get, path = "/v1/policy", tag = "policy", operation_id = "policy_read",
    responses((status = 200, description = "The policy.", body = Policy), Problems))]
pub(crate) async fn read(State(services): State<Services>) -> Result<axum::Json<Policy>, Refusal> {
    blocking::json(services, Services::policy).await
}

/// Puts a policy in force, or tells what that would change.
#[utoipa::path(put, path = "/v1/policy", tag = "policy", operation_id = "policy_put",
    request_body = PutPolicy,
    responses((status = 200, description = "What changed.", body = PolicyChange), Problems))]
pub(crate) async fn put(
    State(services): State<Services>,
    Json(put): Json<PutPolicy>,
) -> Result<axum::Json<PolicyChange>, Refusal> {
    blocking::json(services, |services| services.put_policy(put)).await
}

/// Checks a policy, or the one in force.
#[utoipa::path(post, path = "/v1/policy:lint", tag = "policy",
    request_body = Option<LintRequest>,
    responses((status = 200, description = "What was found.", body = Lint), Problems))]
pub(crate) async fn lint(
    State(services): State<Services>,
    Maybe(LintRequest { text }): Maybe<LintRequest>,
) -> Result<axum::Json<Lint>, Refusal> {
    blocking::json(services, |services| services.lint_policy(text)).await
}

/// Tells what the policy says of memories.
#[utoipa::path(post, path = "/v1/policy:test", tag = "policy", request_body = PolicyTest,
    responses((status = 200, description = "What it says.", body = Page<Tested>), Problems))]
pub(crate) async fn test(
    State(services): State<Services>,
    Json(test): Json<PolicyTest>,
) -> Result<axum::Json<Page<Tested>>, Refusal> {
    blocking::json(services, |services| services.test_policy(test)).await
}

/// Lists the versions of the policy.
#[utoipa::path(get, path = "/v1/policy/versions", tag = "policy",
    responses((status = 200, description = "The versions.", body = Page<PolicyVersion>), Problems))]
pub(crate) async fn versions(
    State(services): State<Services>,
) -> Result<axum::Json<Page<PolicyVersion>>, Refusal> {
    blocking::json(services, Services::policy_versions).await
}

/// Puts an earlier version in force again.
#[utoipa::path(post, path = "/v1/policy:rollback", tag = "policy", request_body = Rollback,
    responses((status = 200, description = "What changed.", body = PolicyChange), Problems))]
pub(crate) async fn rollback(
    State(services): State<Services>,
    Json(Rollback { number, dry_run }): Json<Rollback>,
) -> Result<axum::Json<PolicyChange>, Refusal> {
    blocking::json(services, move |services| {
        services.rollback_policy(number, dry_run)
    })
    .await
}

/// Lists the memories that do not leave, and why.
#[utoipa::path(get, path = "/v1/held", tag = "policy", operation_id = "held_list",
    responses((status = 200, description = "The memories.", body = Page<HeldMemory>), Problems))]
pub(crate) async fn held(
    State(services): State<Services>,
) -> Result<axum::Json<Page<HeldMemory>>, Refusal> {
    blocking::json(services, Services::held).await
}

/// Does what the verb behind the memory says.
pub(crate) async fn act(
    State(services): State<Services>,
    segment: Segment,
    Json(request): Json<Release>,
) -> Result<axum::Json<Released>, Refusal> {
    match segment.verb() {
        Some((id, "release")) => release(services, id.to_owned(), request).await,
        _ => Err(no_verb(&segment, "")),
    }
}

/// Lets a memory out although a rule holds it, or takes that word back.
#[utoipa::path(post, path = "/v1/held/{id}:release", tag = "policy", request_body = Release,
    params(("id" = String, Path, description = "The memory, or a unique prefix of its id.")),
    responses((status = 200, description = "It is released, or held again.", body = Released), Problems))]
pub(crate) async fn release(
    services: Services,
    id: String,
    request: Release,
) -> Result<axum::Json<Released>, Refusal> {
    blocking::json(services, move |services| services.release(&id, request)).await
}
