//! The local API: the JSON that the daemon and its clients exchange, one file per noun.
//!
//! Conventions: times are RFC 3339 in UTC, ids are base32 text, unknown fields are refused when
//! writing and tolerated when reading. Errors are [`problem::Problem`] documents (RFC 9457).
//! The routes stand beside each type; `docs/openapi.json` is generated from them.

pub mod alike;
pub mod attachments;
pub mod circles;
pub mod devices;
pub mod imports;
pub mod key;
pub mod ledger;
pub mod memories;
pub mod peers;
pub mod policy;
pub mod problem;
pub mod search;
pub mod sharing;
pub mod status;
pub mod sync;
pub mod tray;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The most items of one page.
pub const PAGE_MAX: usize = 200;
/// The number of items of a page when none is asked for.
pub const PAGE_DEFAULT: usize = 50;

/// A page of a list.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Page<T> {
    /// The items, in the order that was asked for.
    pub items: Vec<T>,
    /// Where the next page begins; absent on the last one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub next_cursor: Option<String>,
}
