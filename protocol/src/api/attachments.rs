//! Attachments: `/v1/memories/{id}/attachments`.

use super::memories::Written;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A file that belongs to a memory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Attachment {
    /// Its name.
    pub name: String,
    /// The BLAKE3 hash of its bytes, in hexadecimal.
    pub hash: String,
    /// Its media type, as whoever attached it says.
    pub media_type: String,
    /// How many bytes it has.
    pub bytes: u64,
    /// How many of them are here.
    pub bytes_here: u64,
}

/// The answer to attaching a file.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Attached {
    /// What it did to the memory.
    #[serde(flatten)]
    pub written: Written,
    /// The attachment.
    pub attachment: Attachment,
}

/// All attachments of a node, or of the view shared with a peer.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Attachments {
    /// How many.
    pub count: u64,
    /// How many bytes they have, each blob counted once.
    pub bytes: u64,
    /// How many are not here, or not all of them.
    pub missing: u64,
    /// How many bytes are not here.
    pub bytes_missing: u64,
    /// How many bytes one may have.
    pub bytes_max: u64,
}
