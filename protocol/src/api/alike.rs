//! What is like what: `/v1/memories/{id}/related`, `/v1/duplicates`.

use super::memories::Summary;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// `GET /v1/memories/{id}/related`: what is near a memory.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct RelatedMemories {
    /// Those that are linked with it, then the nearest in meaning, nearest first.
    pub items: Vec<Related>,
    /// How many events the vectors are behind; what is newer has no neighbours yet.
    pub vector_lag: u64,
}

/// A memory near another.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Related {
    /// The memory.
    #[serde(flatten)]
    pub memory: Summary,
    /// How near it is in meaning, as a cosine; absent if it is here for its link alone.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub score: Option<f32>,
    /// Whether one of the two links to the other.
    pub linked: bool,
}

/// `GET /v1/duplicates`: memories that say nearly the same.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Duplicates {
    /// The groups, the largest first.
    pub groups: Vec<DuplicateGroup>,
    /// How many groups there are, shown or not.
    pub found: usize,
    /// How many memories were compared.
    pub compared: usize,
}

/// Memories that say nearly the same.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct DuplicateGroup {
    /// The oldest first.
    pub items: Vec<Duplicate>,
}

/// One of several that say nearly the same.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Duplicate {
    /// The memory.
    #[serde(flatten)]
    pub memory: Summary,
    /// The part of the runs of three words that it and the first of the group both have, 0 to 1.
    pub likeness: f32,
}
