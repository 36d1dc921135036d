//! Search: `POST /v1/search`.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The longest query, in bytes.
pub const QUERY_BYTES_MAX: usize = 1_024;

/// `POST /v1/search`.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SearchRequest {
    /// Words, "phrases in quotes", prefix*.
    pub query: String,
    /// Search only inside this selector.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selector: Option<String>,
    /// `hybrid` (default), `text` or `vector`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<String>,
    /// The most hits, 1 to 200; 10 if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
    /// Also count what was found by words, by kind, tag, person and year.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub facets: bool,
    /// Search what there was at the end of this day (`2026-10-31`, in UTC) or moment (RFC 3339),
    /// as it was then. What was purged since is gone. A day that is not over means now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub as_of: Option<String>,
}

/// The answer of a search.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct SearchResponse {
    /// The hits, best first.
    pub hits: Vec<Hit>,
    /// How long it took, in milliseconds.
    pub took_ms: f64,
    /// The embedding model whose vectors answered; empty if only words did.
    pub generation: String,
    /// How many events the vectors are behind; text is never behind.
    pub vector_lag: u64,
    /// What was found by words, counted, if that was asked for.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub facets: Option<Facets>,
    /// The model of your choice, while it is not the one that answered.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub chosen: Option<NotAnswering>,
    /// The moment at whose end things stood as they are shown here, if one was asked for.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub as_of: Option<String>,
    /// How many memories that there were then, found or not, cannot be shown any more: purged
    /// since, or damaged.
    #[serde(skip_serializing_if = "is_zero", default)]
    pub gone: usize,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
fn is_zero(number: &usize) -> bool {
    *number == 0
}

/// The memories that were found by words, counted. Each list has the most frequent first.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
pub struct Facets {
    /// How many were counted: all that have a word of the query, up to the best 1,000.
    pub counted: usize,
    /// By kind.
    pub kinds: Vec<Facet>,
    /// By tag, shared and private ones; up to 20.
    pub tags: Vec<Facet>,
    /// By whose they are: `me`, or a petname; up to 20.
    pub from: Vec<Facet>,
    /// By the year in which they were made; up to 20.
    pub years: Vec<Facet>,
}

/// How many have something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Facet {
    /// What they have.
    pub value: String,
    /// How many do.
    pub count: usize,
    /// The selector that takes them in.
    pub selector: String,
}

/// A chosen embedding model that did not answer a search, and why not.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct NotAnswering {
    /// The model.
    pub model: String,
    /// How many events its vectors are behind.
    pub lag: u64,
    /// Why another answered.
    pub reason: String,
}

/// One hit.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Hit {
    /// The memory.
    pub id: String,
    /// Its title.
    pub title: String,
    /// The part of the text that fits best.
    pub snippet: String,
    /// Character ranges of the snippet that matched.
    pub highlights: Vec<(usize, usize)>,
    /// The fused score, 0 to 1.
    pub score: f32,
    /// `me`, or the petname of its owner.
    pub from: String,
    /// Why it is here.
    pub why: Why,
}

/// Why a hit is here.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Why {
    /// Its BM25 score, if words matched.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub text: Option<f32>,
    /// Its cosine, if the meaning matched.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub vector: Option<f32>,
    /// The words that matched.
    pub terms: Vec<String>,
    /// `exact`, `stem`, `phrase`, `prefix`, `fuzzy` or `meaning`.
    pub matched_by: String,
}
