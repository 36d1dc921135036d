//! The disclosure ledger: `/v1/ledger`, `/v1/ledger:verify`.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// One disclosure.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct LedgerEntry {
    /// Its number, from 1.
    pub seq: u64,
    /// When.
    pub time: String,
    /// To whom, by petname.
    pub to: String,
    /// To whom, as `did:key`.
    pub person: String,
    /// What kind: `content`.
    pub kind: String,
    /// The memory.
    pub memory: String,
    /// The events that left.
    pub events: Vec<String>,
    /// How many bytes left.
    pub bytes: u64,
    /// Under which grant.
    pub grant: String,
}

/// The answer of `POST /v1/ledger:verify`.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct LedgerVerdict {
    /// How many entries there are.
    pub entries: u64,
    /// Whether all of them are what was signed.
    pub ok: bool,
    /// The first entry that is not.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub first_bad: Option<u64>,
    /// What is wrong.
    #[serde(default)]
    pub reason: String,
}
