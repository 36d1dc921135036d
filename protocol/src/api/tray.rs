//! The tray: `/v1/tray`, what revoked writers wrote too late.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Late work: what one writer changed in one memory beyond the cut of a revocation.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct LateWork {
    /// Its id: that of its first change.
    pub id: String,
    /// Who wrote it, by petname.
    pub from: String,
    /// On which device.
    pub device: String,
    /// The memory.
    pub memory: String,
    /// The memory's title as it stands.
    pub title: String,
    /// How many changes it is.
    pub changes: usize,
    /// How many bytes they are.
    pub bytes: u64,
    /// When the last of them was written, as its author says.
    pub written: String,
    /// When the first of them came.
    pub received: String,
    /// When it leaves the tray by itself.
    pub until: String,
    /// Why it was refused.
    pub reason: String,
    /// What would change, line by line: `- ` goes, `+ ` comes. Only where one is shown.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub difference: Vec<String>,
}

/// What became of late work.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct TrayOutcome {
    /// The late work.
    pub id: String,
    /// The memory.
    pub memory: String,
    /// `salvaged` or `dropped`.
    pub state: String,
    /// Whether the memory changed.
    pub changed: bool,
}
