//! The model inside the binary: a static table of word pieces, distilled from `MiniLM`.
//!
//! Not a neural network at run time: a text's vector is the sum of its tokens' rows, made unit
//! length, so it does not know word order and costs microseconds. English only; other languages
//! get poor vectors (`node/model/README.md` has the figures), which text search must carry.
//!
//! Invariant: the same text gives the same vector on every machine (one order of addition, no
//! fused or parallel arithmetic).

use std::sync::OnceLock;

use super::matrix::Matrix;
use super::wordpiece::tokens;
use super::{EmbedError, Embedder, Purpose};

static ASSET: &[u8] = include_bytes!("../../assets/builtin-256.bin");

/// The built-in static model.
#[derive(Debug, Clone, Copy)]
pub struct Builtin {
    matrix: &'static Matrix<'static>,
}

impl Builtin {
    /// Returns the model; its header is checked once per process, its table is never copied.
    pub fn load() -> Result<Self, EmbedError> {
        static PARSED: OnceLock<Matrix<'static>> = OnceLock::new();
        let matrix = if let Some(parsed) = PARSED.get() {
            parsed
        } else {
            let parsed = Matrix::parse(ASSET)?;
            PARSED.get_or_init(|| parsed)
        };
        Ok(Self { matrix })
    }

    /// Returns how many numbers a vector has.
    pub fn dimensions(self) -> usize {
        self.matrix.dimensions
    }

    /// Embeds one text; all zeros if no word of it is known.
    pub fn embed_one(self, text: &str) -> Vec<f32> {
        let mut sum = vec![0.0; self.matrix.dimensions];
        tokens(text, self.matrix, |token| {
            if let Some(token) = token {
                self.matrix.add(token, &mut sum);
            }
        });
        let length = sum.iter().map(|value| value * value).sum::<f32>().sqrt();
        if length > 0.0 {
            for value in &mut sum {
                *value /= length;
            }
        }
        sum
    }
}

impl Embedder for Builtin {
    fn name(&self) -> &str {
        self.matrix.name
    }

    fn embed(&self, texts: &[&str], _: Purpose) -> Result<Vec<Vec<f32>>, EmbedError> {
        Ok(texts.iter().map(|text| self.embed_one(text)).collect())
    }
}

#[cfg(test)]
mod tests;
