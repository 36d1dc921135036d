//! The table: a verb as a person would say it, and how the other person notices.

use serde_json::Value;

/// Something done to a memory; `ID` stands for it, `OTHER` for another one.
#[derive(Debug)]
pub(super) enum Act {
    /// Words after `brainctl`.
    Cli(&'static str),
    /// A method, a path, and a body if there is one.
    Http(&'static str, &'static str, &'static str),
}

/// Tells from the copy, if there is one, and the id of the other memory, whether it is noticed.
type Seen = fn(Option<&Value>, &str) -> bool;

/// A verb that changes what the other person has.
#[derive(Debug)]
pub(super) struct Verb {
    /// What is done before.
    pub(super) first: Option<Act>,
    /// What is done.
    pub(super) act: Act,
    /// How it is noticed.
    pub(super) seen: Seen,
}

const fn verb(act: Act, seen: Seen) -> Verb {
    let first = None;
    Verb { first, act, seen }
}

const fn after(first: Act, act: Act, seen: Seen) -> Verb {
    let first = Some(first);
    Verb { first, act, seen }
}

const fn patch(body: &'static str) -> Act {
    Act::Http("PATCH", "/v1/memories/ID", body)
}

const LINK: &str = r#"{"add_links": [{"to": "OTHER", "relation": "cites"}]}"#;
const UNLINK: &str = r#"{"remove_links": [{"to": "OTHER", "relation": "cites"}]}"#;

/// The verbs that change a memory.
pub(super) const VERBS: [Verb; 26] = [
    verb(Act::Cli("edit ID --title Changed"), is_retitled),
    verb(Act::Cli("edit ID --body Rewritten"), is_rewritten),
    verb(Act::Cli("edit ID --add-tag extra"), is_tagged),
    after(
        Act::Cli("tag add ID extra"),
        Act::Cli("edit ID --remove-tag extra"),
        is_untagged,
    ),
    verb(Act::Cli("tag add ID extra"), is_tagged),
    after(
        Act::Cli("tag add ID extra"),
        Act::Cli("tag rm ID extra"),
        is_untagged,
    ),
    verb(Act::Cli("link ID OTHER --as cites"), is_linked),
    verb(Act::Cli("attachment add ID Cargo.toml"), has_file),
    after(
        Act::Cli("attachment add ID Cargo.toml"),
        Act::Cli("attachment rm ID Cargo.toml"),
        has_no_file,
    ),
    verb(
        Act::Http("POST", "/v1/memories/ID/attachments", "{}"),
        has_file,
    ),
    after(
        Act::Http("POST", "/v1/memories/ID/attachments", "{}"),
        Act::Http("DELETE", "/v1/memories/ID/attachments/unnamed", ""),
        has_no_file,
    ),
    verb(Act::Cli("rm ID"), is_forgotten),
    after(Act::Cli("rm ID"), Act::Cli("restore ID"), is_active),
    verb(Act::Cli("--yes purge ID"), is_gone),
    verb(patch(r#"{"title": "Changed"}"#), is_retitled),
    verb(patch(r#"{"body": "Rewritten"}"#), is_rewritten),
    verb(patch(r#"{"kind": "task"}"#), is_task),
    verb(patch(r#"{"add_tags": ["extra"]}"#), is_tagged),
    after(
        patch(r#"{"add_tags": ["extra"]}"#),
        patch(r#"{"remove_tags": ["extra"]}"#),
        is_untagged,
    ),
    verb(patch(LINK), is_linked),
    after(patch(LINK), patch(UNLINK), is_unlinked),
    verb(Act::Http("DELETE", "/v1/memories/ID", ""), is_forgotten),
    after(
        Act::Http("DELETE", "/v1/memories/ID", ""),
        Act::Http("POST", "/v1/memories/ID:restore", ""),
        is_active,
    ),
    verb(Act::Http("POST", "/v1/memories/ID:purge", ""), is_gone),
    after(
        Act::Cli("rm ID"),
        Act::Http("POST", "/v1/memories/ID:purge", ""),
        is_gone,
    ),
    after(Act::Cli("rm ID"), Act::Cli("--yes purge ID"), is_gone),
];

/// Fields of a change that stay with the person, and the one that is no change.
pub(super) const FIELDS_PRIVATE: [&str; 5] = [
    "add_private_tags",
    "base",
    "remove_private_tags",
    "sensitivity",
    "space",
];

/// Routes that write, but not to memories.
pub(super) const ROUTES_ELSEWHERE: [&str; 41] = [
    "DELETE /v1/circles/{name}",
    "DELETE /v1/jobs/{id}",
    "DELETE /v1/peers/{person}",
    "PATCH /v1/circles/{name}",
    "PATCH /v1/devices/{id}",
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
    "POST /v1/indexes:rebuild",
    "POST /v1/invites",
    "POST /v1/invites:accept",
    "POST /v1/ledger:verify",
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

/// Commands that change no memory.
pub(super) const COMMANDS_ELSEWHERE: [&str; 21] = [
    "circle",
    "completion",
    "device",
    "duplicates",
    "help",
    "id",
    "index",
    "ledger",
    "ls",
    "node",
    "peer",
    "policy",
    "related",
    "request",
    "revoke",
    "search",
    "share",
    "show",
    "status",
    "sync",
    "tray",
];

fn field<'a>(copy: Option<&'a Value>, name: &str) -> Option<&'a str> {
    copy?.get(name)?.as_str()
}

fn has_extra(copy: &Value) -> bool {
    let tags = copy["tags"].as_array().expect("a memory has tags");
    tags.iter().any(|tag| tag == "extra")
}

fn has_link(copy: &Value, to: &str) -> bool {
    let links = copy["links"].as_array().expect("a memory has links");
    links
        .iter()
        .any(|link| link["to"] == to && link["relation"] == "cites")
}

fn is_retitled(copy: Option<&Value>, _: &str) -> bool {
    field(copy, "title") == Some("Changed")
}

fn is_rewritten(copy: Option<&Value>, _: &str) -> bool {
    field(copy, "body") == Some("Rewritten")
}

fn is_task(copy: Option<&Value>, _: &str) -> bool {
    field(copy, "kind") == Some("task")
}

fn is_tagged(copy: Option<&Value>, _: &str) -> bool {
    copy.is_some_and(has_extra)
}

fn is_untagged(copy: Option<&Value>, _: &str) -> bool {
    copy.is_some_and(|copy| !has_extra(copy))
}

fn is_linked(copy: Option<&Value>, other: &str) -> bool {
    copy.is_some_and(|copy| has_link(copy, other))
}

fn is_unlinked(copy: Option<&Value>, other: &str) -> bool {
    copy.is_some_and(|copy| !has_link(copy, other))
}

fn files(copy: &Value) -> usize {
    copy["attachments"].as_array().map_or(0, Vec::len)
}

fn has_file(copy: Option<&Value>, _: &str) -> bool {
    copy.is_some_and(|copy| files(copy) == 1)
}

fn has_no_file(copy: Option<&Value>, _: &str) -> bool {
    copy.is_some_and(|copy| files(copy) == 0)
}

fn is_forgotten(copy: Option<&Value>, _: &str) -> bool {
    field(copy, "status") == Some("forgotten")
}

fn is_active(copy: Option<&Value>, _: &str) -> bool {
    field(copy, "status") == Some("active")
}

fn is_gone(copy: Option<&Value>, _: &str) -> bool {
    copy.is_none()
}
