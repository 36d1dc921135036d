//! Embeddings: texts become vectors whose cosine tells how alike they are.
//!
//! Not an index and not a search: `storage` keeps the vectors, services decide what to embed.
//! Start at [`Embedder`]; [`builtin::Builtin`] is the model inside the binary,
//! [`endpoint::HttpEmbedder`] one behind HTTP, [`onnx::OnnxEmbedder`] one from a file,
//! [`chosen::Chosen`] what keeps these two in bounds, and [`models::Models`] those that this node has.
//!
//! ```text
//! long text --chunk::split--> pieces with title --Embedder::embed--> one unit vector per piece
//! ```
//!
//! Invariant: all vectors of one answer have the same number of finite numbers. Those of the
//! built-in model are of length one or all zeros. All zeros means "nothing in this text is known to
//! the model" (empty, only punctuation of a foreign script, ...): its cosine with anything is zero,
//! so it is never found and never refused. Vectors of different models must not be compared.

pub mod builtin;
pub mod chosen;
pub mod chunk;
pub mod endpoint;
mod matrix;
pub mod models;
pub mod onnx;
mod unicode;
mod wordpiece;

use std::path::PathBuf;
use std::time::Duration;

/// Turns texts into vectors.
pub trait Embedder: Send + Sync {
    /// Returns the name of the model and its version.
    fn name(&self) -> &str;

    /// Returns which model it is, so that vectors of another are not kept; none if that cannot be
    /// told now. It begins with the name.
    fn identity(&self) -> Option<&str> {
        Some(self.name())
    }

    /// Embeds each text into one vector. Blocks, for a chosen model as long as the purpose allows.
    fn embed(&self, texts: &[&str], purpose: Purpose) -> Result<Vec<Vec<f32>>, EmbedError>;
}

/// What vectors are wanted for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Texts to be found, made in the background.
    Text,
    /// A query: somebody waits for it.
    Query,
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
    /// The configuration is wrong.
    #[error("[index]: {0}")]
    Config(String),
    /// The HTTP client cannot be made.
    #[error("no HTTP client for the embedding endpoint: {0}")]
    Client(String),
    /// The file with the key cannot be read.
    #[error("the key of the embedding endpoint cannot be read from {path}: {source}")]
    Key {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The endpoint cannot be reached, or the connection broke.
    #[error("the embedding endpoint at {host} cannot be reached: {reason}")]
    Unreachable {
        /// Where it should be.
        host: String,
        /// Why not.
        reason: String,
    },
    /// The endpoint took too long.
    #[error("the embedding endpoint did not answer within {} s", .within.as_secs())]
    Slow {
        /// How long it had.
        within: Duration,
    },
    /// The endpoint said no. Its words are not repeated: they may contain the text.
    #[error("the embedding endpoint answered {status}: {hint}")]
    Refused {
        /// The status of HTTP.
        status: u16,
        /// What to do.
        hint: &'static str,
        /// How long it asks to be left alone.
        wait: Option<Duration>,
    },
    /// The answer is not usable.
    #[error("the embedding endpoint's answer is not usable: {what}")]
    Answer {
        /// What is wrong.
        what: &'static str,
    },
    /// A model from a file cannot be used. It is tried again at the next start.
    #[error("it cannot be used: {0}; put a model in its place and start the node again")]
    Unusable(String),
    /// A model from a file is not in memory yet.
    #[error("it is being read from its file")]
    Asleep,
    /// The process of a model from a file ended, or cannot be started.
    #[error("it is of no use now: {0}")]
    Broken(String),
    /// A model from a file took too long.
    #[error("it did not answer within {} s", .within.as_secs())]
    Overdue {
        /// How long it had.
        within: Duration,
    },
    /// A model from a file cannot take a text.
    #[error("it cannot take a text: {0}")]
    Run(String),
    /// It was not asked, because it did not answer a moment ago.
    #[error("{reason} (asked again in {} s)", .again_in.as_secs().max(1))]
    Resting {
        /// Why it did not answer.
        reason: String,
        /// When it is asked again.
        again_in: Duration,
    },
    /// The node is stopping.
    #[error("the node is stopping")]
    Stopping,
}

/// Returns the cosine of two unit vectors; zero if their lengths differ.
pub fn cosine(left: &[f32], right: &[f32]) -> f32 {
    if left.len() != right.len() {
        return 0.0;
    }
    left.iter().zip(right).map(|(a, b)| a * b).sum()
}
