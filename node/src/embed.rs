//! Embeddings: texts become vectors whose cosine tells how alike they are.
//!
//! Not an index and not a search: `storage` keeps the vectors, services decide what to embed.
//! Start at [`Embedder`]; [`builtin::Builtin`] is the model inside the binary.
//!
//! ```text
//! long text --chunk::split--> pieces with title --Embedder::embed--> one unit vector per piece
//! ```
//!
//! Invariant: every vector has [`Embedder::dimensions`] finite numbers and is either of length one
//! or all zeros. All zeros means "nothing in this text is known to the model" (empty, only
//! punctuation of a foreign script, ...): its cosine with anything is zero, so it is never found
//! and never refused. Vectors of embedders with different names must not be compared.

pub mod builtin;
pub mod chunk;
mod matrix;
mod unicode;
mod wordpiece;

/// Turns texts into vectors.
pub trait Embedder: Send + Sync {
    /// Returns the name of the model and its version; it changes whenever the vectors change.
    fn name(&self) -> &str;

    /// Returns how many numbers a vector has.
    fn dimensions(&self) -> usize;

    /// Embeds each text into one vector of length one, or all zeros if no word of it is known.
    fn embed(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>, EmbedError>;
}

/// Why texts could not be embedded.
#[derive(Debug, thiserror::Error)]
pub enum EmbedError {
    /// The model is not in the format this version reads.
    #[error("embedding model is not readable: {part}")]
    Format {
        /// The part of the file that is wrong.
        part: &'static str,
    },
    /// The model behind the embedder did not answer.
    #[error("embedding model did not answer")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Returns the cosine of two unit vectors; zero if their lengths differ.
pub fn cosine(left: &[f32], right: &[f32]) -> f32 {
    if left.len() != right.len() {
        return 0.0;
    }
    left.iter().zip(right).map(|(a, b)| a * b).sum()
}
