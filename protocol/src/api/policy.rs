//! The consent policy and what it holds: `/v1/policy`, `/v1/held`.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// `GET /v1/policy`: the policy in force.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Policy {
    /// Which version: 0 is the one that every node begins with.
    pub number: usize,
    /// Its text, in TOML.
    pub text: String,
    /// Why it does not read, if it does not; then nothing leaves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<String>,
    /// Memories that it holds.
    pub held: usize,
    /// Memories that were not screened under it yet; they are held until then.
    pub unscreened: usize,
    /// Things that are right and yet surprising.
    pub remarks: Vec<Remark>,
}

/// `PUT /v1/policy`: puts a policy in force.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PutPolicy {
    /// The text, in TOML.
    pub text: String,
    /// Only tell what would change.
    #[serde(default)]
    pub dry_run: bool,
}

/// `POST /v1/policy:rollback`: puts an earlier version in force again, as a new one.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Rollback {
    /// The version.
    pub number: usize,
    /// Only tell what would change.
    #[serde(default)]
    pub dry_run: bool,
}

/// What a change of the policy changes.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct PolicyChange {
    /// The version that is in force, or would be.
    pub number: usize,
    /// Whether it is in force.
    pub in_force: bool,
    /// Memories that it holds.
    pub held: usize,
    /// Memories that the version before let out and this one holds.
    pub newly_held: usize,
    /// Memories that the version before held and this one lets out.
    pub let_out: usize,
    /// Things that are right and yet surprising.
    pub remarks: Vec<Remark>,
}

/// `POST /v1/policy:lint`: checks a policy.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LintRequest {
    /// The text; the policy in force if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
}

/// What was found in the text of a policy.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Lint {
    /// Whether it reads.
    pub ok: bool,
    /// What is wrong, or surprising.
    pub remarks: Vec<Remark>,
}

/// Something about a line of a policy.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Remark {
    /// The line, from 1, where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<usize>,
    /// `error` or `warning`.
    pub level: String,
    /// What, and what would be right.
    pub text: String,
}

/// `POST /v1/policy:test`: what the policy says of memories.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PolicyTest {
    /// The memories: a selector, or `id:...`.
    pub selector: String,
    /// Tell also whether this person would receive them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub with: Option<String>,
    /// Only what this rule says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// A policy to try; the one in force if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
}

/// What the policy says of a memory.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Tested {
    /// The memory.
    pub id: String,
    /// Its title.
    pub title: String,
    /// `allow`, `redact`, `hold` or `deny`: the strictest.
    pub verdict: String,
    /// Whether the person that was asked about receives it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reaches: Option<bool>,
    /// What each rule says.
    pub findings: Vec<Found>,
}

/// What a rule found; never the thing itself.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Found {
    /// The rule.
    pub rule: String,
    /// What it does.
    pub verdict: String,
    /// What kind of thing matched, and where.
    pub reason: String,
    /// Whether you released it.
    pub released: bool,
}

/// A version of the policy.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct PolicyVersion {
    /// Its number, from 1.
    pub number: usize,
    /// When it was put in force.
    pub time: String,
    /// Its length in bytes.
    pub bytes: usize,
    /// Whether it is in force.
    pub in_force: bool,
    /// Its text.
    pub text: String,
}

/// A memory that does not leave.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct HeldMemory {
    /// The memory.
    pub id: String,
    /// Its title.
    pub title: String,
    /// The rule.
    pub rule: String,
    /// What it does.
    pub verdict: String,
    /// What kind of thing matched, and where.
    pub reason: String,
    /// Whether it can be released.
    pub can_release: bool,
    /// Who would receive it under a grant of yours, by petname.
    pub wanted_by: Vec<String>,
}

/// `POST /v1/held/{id}:release`: lets a memory out although a rule holds it.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Release {
    /// The rule.
    pub rule: String,
    /// Take the release back.
    #[serde(default)]
    pub undo: bool,
}

/// The answer to a release.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Released {
    /// The memory.
    pub id: String,
    /// The rule.
    pub rule: String,
    /// `released` or `held`.
    pub state: String,
    /// Other rules that still hold it.
    pub still_held_by: Vec<String>,
}
