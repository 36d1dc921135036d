//! Imports: `POST /v1/imports`, `GET /v1/jobs/{id}`.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// `POST /v1/imports`: reads a folder or a file on the node's machine.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewImport {
    /// An absolute path.
    pub path: String,
    /// Report what would happen; store nothing.
    #[serde(default)]
    pub dry_run: bool,
    /// Tags that every imported memory gets.
    #[serde(default)]
    pub tags: Vec<String>,
    /// The drawer they go into.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub space: Option<String>,
    /// Files above this size are skipped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_file_bytes: Option<u64>,
}

/// A job that runs, or ran.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Job {
    /// Its id.
    pub id: String,
    /// `running`, `done` or `failed`.
    pub state: String,
    /// What it does at the moment.
    pub phase: String,
    /// Items done.
    pub done: u64,
    /// Items in all, once known.
    pub total: u64,
    /// What it found, once done.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub report: Option<ImportReport>,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub error: Option<String>,
}

/// What an import did.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
pub struct ImportReport {
    /// Memories that are new.
    pub new: u64,
    /// Memories whose file changed.
    pub changed: u64,
    /// Memories whose file is as it was.
    pub same: u64,
    /// Files that were left out, each with a reason in `skips` or counted by extension.
    pub skipped: u64,
    /// Files that could not be kept.
    pub failed: Vec<Failure>,
    /// Why files were left out.
    pub skips: Vec<Skip>,
    /// Things that were odd but did no harm.
    pub warnings: Vec<Failure>,
    /// Whether nothing was stored.
    pub dry_run: bool,
    /// How long it took, in milliseconds.
    pub took_ms: u64,
}

/// A file and what is wrong with it.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Failure {
    /// The file.
    pub source: String,
    /// What is wrong.
    pub reason: String,
}

/// A file that was left out.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Skip {
    /// The file, or `*.ext` for all files of an extension.
    pub source: String,
    /// The name of the reason.
    pub code: String,
    /// The reason.
    pub reason: String,
    /// How many files.
    pub count: u64,
}
