//! The engine: a BERT-like encoder in the memory of this process, as sentence-transformers runs it.
//!
//! Not a general runner of models: texts are cut by the uncased `WordPiece` of BERT, and the answer
//! is the mean of the last layer, or what the model itself calls the embedding of the sentence.
//!
//! ```text
//! text -> [CLS] pieces [SEP] -> ids, mask, kinds by the names of the inputs -> model -> mean -> unit
//! ```
//!
//! Each text is fed alone, so none is padded, its mask is all ones, and the mean over the mask is the
//! mean over its tokens. A file may ask for any amount of memory and time, and the engine does not
//! bound it: a node runs this in a process of its own ([`super::worker`]).
//!
//! Invariant: vectors are of length one and all of one size, or all zeros for a text without a word.

use super::files::{self, Identity, Unusable, line};
use super::vocabulary::{TOKENS_MAX, Vocabulary};
use crate::config::ModelFiles;
use rten::{DataType, Dimension, Model, NodeId, RunOptions, ThreadPool, Value, ValueType};
use std::sync::Arc;
use storage::projection::vectors::DIMENSIONS_MAX;

/// A model that was tried once.
pub struct Engine {
    identity: Identity,
    model: Model,
    inputs: Vec<(NodeId, Part)>,
    output: Output,
    dimensions: usize,
    vocabulary: Vocabulary,
    options: RunOptions,
}

/// What an input wants, one number a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    /// Which token it is.
    Ids,
    /// Whether it counts: all do.
    Mask,
    /// Which sentence of a pair it is of: all are of the first.
    Kinds,
}

/// Where the answer is.
#[derive(Debug, Clone, Copy)]
struct Output {
    node: NodeId,
    shape: Shape,
}

/// What an answer has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    /// One vector: `[1, width]`.
    Vector,
    /// One vector a token: `[1, tokens, width]`.
    Rows,
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Engine").field(&self.identity).finish()
    }
}

impl Engine {
    /// Reads the files and tries the model once, with the longest text and the last word of the
    /// vocabulary, to say early what is wrong.
    pub fn read(files: &ModelFiles) -> Result<Self, Unusable> {
        let (bytes, words, identity) = files::read(files)?;
        let of_words = |reason: String| Unusable::new(&files.vocabulary, reason);
        let vocabulary = Vocabulary::parse(&words).map_err(of_words)?;
        let of_model = |reason: String| Unusable::new(&files.model, reason);
        // Bytes and no path: a model that keeps parts of it in other files does not get at them.
        let model = Model::load(bytes)
            .map_err(|error| of_model(format!("it is no ONNX file that can be read: {error}")))?;
        let pool = Arc::new(ThreadPool::with_num_threads(1));
        let mut engine = Self {
            identity,
            inputs: inputs(&model).map_err(of_model)?,
            output: output(&model).map_err(of_model)?,
            dimensions: 0,
            model,
            vocabulary,
            options: RunOptions::default().with_thread_pool(Some(pool)),
        };
        let trial = engine.run(&engine.vocabulary.longest());
        let found = trial.map_err(|reason| of_model(format!("it does not run: {reason}")))?;
        if found.len() > DIMENSIONS_MAX {
            let many = found.len();
            let reason =
                format!("its vectors have {many} numbers; at most {DIMENSIONS_MAX} are kept");
            return Err(of_model(reason));
        }
        engine.dimensions = found.len();
        Ok(engine)
    }

    pub(super) fn identity(&self) -> Identity {
        self.identity
    }

    /// Embeds one text; says why if the model cannot take it.
    pub fn embed_one(&self, text: &str) -> Result<Vec<f32>, String> {
        let ids = self.vocabulary.ids(text);
        if Vocabulary::is_empty(&ids) {
            return Ok(vec![0.0; self.dimensions]);
        }
        let vector = self.run(&ids)?;
        let fits = vector.len() == self.dimensions;
        fits.then_some(vector)
            .ok_or_else(|| "its vectors differ in size".to_owned())
    }

    /// Runs the model on the tokens of one text.
    fn run(&self, ids: &[i32]) -> Result<Vec<f32>, String> {
        let feed = self.inputs.iter().map(|(node, part)| {
            let numbers = match part {
                Part::Ids => ids.to_vec(),
                Part::Mask => vec![1; ids.len()],
                Part::Kinds => vec![0; ids.len()],
            };
            let value = Value::from_shape::<i32>([1, ids.len()], numbers);
            Ok((
                *node,
                value.map_err(|error| line(&error.to_string()))?.into(),
            ))
        });
        let feed = feed.collect::<Result<Vec<_>, String>>()?;
        let ran = self
            .model
            .run_n(feed, [self.output.node], Some(self.options.clone()));
        let [answer] = ran.map_err(|error| line(&error.to_string()))?;
        unit(pooled(answer, self.output.shape, ids.len())?)
            .ok_or_else(|| "its vector is empty, zero or not finite".to_owned())
    }
}

/// Makes one vector of an answer.
fn pooled(answer: Value, shape: Shape, tokens: usize) -> Result<Vec<f32>, String> {
    let other = |error: rten::TryFromValueError| format!("its answer is another: {error}");
    let (found, vector) = match shape {
        Shape::Vector => {
            let ([texts, _], vector) = answer.into_shape_vec::<f32, 2>().map_err(other)?;
            ([texts, tokens], vector)
        }
        Shape::Rows => {
            let ([texts, rows, width], all) = answer.into_shape_vec::<f32, 3>().map_err(other)?;
            ([texts, rows], mean(&all, rows, width))
        }
    };
    if found == [1, tokens] {
        return Ok(vector);
    }
    let [texts, rows] = found;
    Err(format!(
        "it answers {texts} texts of {rows} tokens to one of {tokens}"
    ))
}

/// Tells the inputs apart by their names, which all exports of such models share.
fn inputs(model: &Model) -> Result<Vec<(NodeId, Part)>, String> {
    let mut inputs = Vec::new();
    for node in model.input_ids() {
        let Some(info) = model.node_info(*node) else {
            continue;
        };
        let name = info.name().unwrap_or_default();
        let part = match name {
            "input_ids" => Part::Ids,
            "attention_mask" => Part::Mask,
            "token_type_ids" => Part::Kinds,
            other => {
                return Err(format!(
                    "it has an input {other:?}, which is not known here"
                ));
            }
        };
        if info
            .dtype()
            .is_some_and(|kind| kind != ValueType::Tensor(DataType::Int32))
        {
            return Err(format!("its input {name:?} takes no whole numbers"));
        }
        let shape = info.shape();
        if let Some(Dimension::Fixed(tokens)) = shape.as_deref().and_then(|shape| shape.get(1)) {
            let hint = "export it with a length that is free";
            return Err(format!("it takes texts of {tokens} tokens only: {hint}"));
        }
        inputs.push((*node, part));
    }
    let has_ids = inputs.iter().any(|(_, part)| *part == Part::Ids);
    has_ids
        .then_some(inputs)
        .ok_or_else(|| "it has no input \"input_ids\": it is no encoder of texts".to_owned())
}

fn output(model: &Model) -> Result<Output, String> {
    let outputs = model.output_ids();
    let named = |wanted: &str| {
        let name = |node: &NodeId| model.node_info(*node)?.name();
        outputs.iter().find(|node| name(node) == Some(wanted))
    };
    let known = [
        "sentence_embedding",
        "last_hidden_state",
        "token_embeddings",
    ];
    let node = known
        .into_iter()
        .find_map(named)
        .or_else(|| outputs.first());
    let node = *node.ok_or("it has no output")?;
    let shape = model.node_info(node).and_then(|info| info.shape());
    let shape = match shape.map(|shape| shape.len()) {
        Some(2) => Shape::Vector,
        Some(3) => Shape::Rows,
        _ => return Err("its output is neither a vector a text nor one a token".to_owned()),
    };
    Ok(Output { node, shape })
}

/// Returns the mean of rows.
fn mean(rows: &[f32], count: usize, width: usize) -> Vec<f32> {
    let mut sum = vec![0.0; width];
    for row in rows.chunks_exact(width.max(1)) {
        for (total, part) in sum.iter_mut().zip(row) {
            *total += part;
        }
    }
    let count = f32::from(u16::try_from(count).unwrap_or(u16::MAX));
    sum.iter().map(|total| total / count).collect()
}

/// Returns a vector at length one; none if it has none.
fn unit(vector: Vec<f32>) -> Option<Vec<f32>> {
    let length = vector.iter().map(|part| part * part).sum::<f32>().sqrt();
    let is_usable = length.is_finite() && length > 0.0;
    is_usable.then(|| vector.into_iter().map(|part| part / length).collect())
}

const _: () = assert!(
    TOKENS_MAX <= u16::MAX as usize,
    "the mean counts tokens so far"
);

#[cfg(test)]
mod tests;
