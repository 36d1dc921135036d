//! The `OpenAPI` document against the one in `docs`, and against what is served.

use crate::http::openapi::{document, render};
use std::collections::BTreeSet;
use std::path::Path;

#[test]
fn the_document_is_the_one_in_docs() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/openapi.json");
    let now = render(&document());
    if std::env::var_os("SNAPSHOTS").is_some_and(|mode| mode == "overwrite") {
        std::fs::write(&path, &now).unwrap();
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        kept == now,
        "the API changed: run the tests with SNAPSHOTS=overwrite and read the diff"
    );
}

/// Every route, in order.
const ROUTES: [&str; 82] = [
    "DELETE /v1/circles/{name}",
    "DELETE /v1/jobs/{id}",
    "DELETE /v1/memories/{id}",
    "DELETE /v1/memories/{id}/attachments/{attachment}",
    "DELETE /v1/peers/{person}",
    "GET /healthz",
    "GET /metrics",
    "GET /readyz",
    "GET /v1/circles",
    "GET /v1/circles/{name}",
    "GET /v1/devices",
    "GET /v1/duplicates",
    "GET /v1/events",
    "GET /v1/grants",
    "GET /v1/grants/{id}",
    "GET /v1/grants/{id}/receipt",
    "GET /v1/held",
    "GET /v1/identity",
    "GET /v1/jobs/{id}",
    "GET /v1/ledger",
    "GET /v1/ledger/entries/{seq}",
    "GET /v1/ledger/head",
    "GET /v1/ledger/holders",
    "GET /v1/memories",
    "GET /v1/memories/{id}",
    "GET /v1/memories/{id}/attachments/{attachment}",
    "GET /v1/memories/{id}/related",
    "GET /v1/node",
    "GET /v1/node/key",
    "GET /v1/peers",
    "GET /v1/peers/{person}",
    "GET /v1/policy",
    "GET /v1/policy/versions",
    "GET /v1/requests",
    "GET /v1/requests/{id}",
    "GET /v1/sync",
    "GET /v1/tray",
    "GET /v1/tray/{id}",
    "PATCH /v1/circles/{name}",
    "PATCH /v1/devices/{id}",
    "PATCH /v1/memories/{id}",
    "PATCH /v1/peers/{person}",
    "POST /v1/circles",
    "POST /v1/circles/{name}:share",
    "POST /v1/circles/{name}:unshare",
    "POST /v1/clock:accept",
    "POST /v1/devices",
    "POST /v1/devices/{id}:retire",
    "POST /v1/devices:join",
    "POST /v1/grant-previews",
    "POST /v1/grants",
    "POST /v1/grants/{id}:renew",
    "POST /v1/grants/{id}:replace",
    "POST /v1/grants/{id}:return",
    "POST /v1/grants/{id}:revoke",
    "POST /v1/held/{id}:release",
    "POST /v1/identity:phrase",
    "POST /v1/identity:recover",
    "POST /v1/imports",
    "POST /v1/indexes:rebuild",
    "POST /v1/invites",
    "POST /v1/invites:accept",
    "POST /v1/ledger:verify",
    "POST /v1/memories",
    "POST /v1/memories/{id}/attachments",
    "POST /v1/memories/{id}:purge",
    "POST /v1/memories/{id}:restore",
    "POST /v1/node/lock",
    "POST /v1/node/unlock",
    "POST /v1/node:verify",
    "POST /v1/policy:lint",
    "POST /v1/policy:rollback",
    "POST /v1/policy:test",
    "POST /v1/requests/{id}:approve",
    "POST /v1/requests/{id}:deny",
    "POST /v1/search",
    "POST /v1/sync/{person}:prove",
    "POST /v1/sync:now",
    "POST /v1/tray/{id}:drop",
    "POST /v1/tray/{id}:salvage",
    "PUT /v1/node/key",
    "PUT /v1/policy",
];

#[test]
fn every_route_is_documented() {
    let text = render(&document());
    let document: serde_json::Value = serde_json::from_str(&text).unwrap();
    let (mut routes, mut names) = (BTreeSet::new(), BTreeSet::new());
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            routes.insert(format!("{} {path}", method.to_uppercase()));
            let name = operation["operationId"].as_str().unwrap();
            assert!(names.insert(name), "two operations are named {name}");
            let problem = &operation["responses"]["default"]["content"];
            let schema = &problem["application/problem+json"]["schema"]["$ref"];
            assert_eq!(schema, "#/components/schemas/Problem", "{method} {path}");
        }
    }
    assert_eq!(routes.into_iter().collect::<Vec<_>>(), ROUTES);
}

#[test]
fn every_reference_of_the_document_resolves() {
    let text = render(&document());
    let document: serde_json::Value = serde_json::from_str(&text).unwrap();
    for part in text.split("\"$ref\": \"#").skip(1) {
        let pointer = part.split('"').next().unwrap();
        assert!(document.pointer(pointer).is_some(), "{pointer}");
    }
}
