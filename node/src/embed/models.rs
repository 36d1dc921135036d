//! The models of this node: the one in the binary, and the one that its person chose.

use super::builtin::Builtin;
use super::chosen::Chosen;
use super::endpoint::HttpEmbedder;
use super::onnx::OnnxEmbedder;
use super::{EmbedError, Embedder as _};
use crate::config::{Embeddings, Index};
use storage::store::{Store, StoreError};
use tokio_util::sync::CancellationToken;

/// The models of this node.
#[derive(Debug)]
pub struct Models {
    /// The one in the binary.
    pub built_in: Builtin,
    /// Whether it is used.
    pub is_on: bool,
    /// The one that the person chose.
    pub chosen: Option<Chosen>,
}

impl Models {
    /// Makes what the configuration names. Must be called within a runtime.
    pub fn new(index: &Index, shutdown: CancellationToken) -> Result<Self, EmbedError> {
        let embeddings = index.embeddings().map_err(EmbedError::Config)?;
        let is_on = embeddings != Embeddings::Off;
        let chosen = match embeddings {
            Embeddings::Off | Embeddings::BuiltIn => None,
            Embeddings::Http(endpoint) => {
                let (url, is_local) = (endpoint.url.clone(), endpoint.is_local);
                if is_local {
                    tracing::info!(%url, "texts are embedded by an endpoint on this device");
                } else if url.scheme() == "http" {
                    tracing::warn!(%url, "your texts and queries LEAVE THIS DEVICE for the \
                        embedding endpoint, in plain text, because index.allow_remote is set");
                } else {
                    tracing::warn!(%url, "your texts and queries LEAVE THIS DEVICE for the \
                        embedding endpoint, because index.allow_remote is set");
                }
                let embedder = HttpEmbedder::new(endpoint, index, shutdown)?;
                Some(Chosen::new(Box::new(embedder), index, is_local))
            }
            Embeddings::Onnx(files) => {
                let embedder = OnnxEmbedder::new(files, index, shutdown);
                let model = embedder.name();
                tracing::info!(model, "texts are embedded by a model from a file");
                // Nothing leaves this device: it may embed what the built-in model may.
                Some(Chosen::new(Box::new(embedder), index, true))
            }
        };
        Ok(Self {
            built_in: Builtin::load()?,
            is_on,
            chosen,
        })
    }

    /// Makes a store's generations those of these models.
    pub fn settle(&self, store: &Store) -> Result<(), StoreError> {
        let of_this_name = |known: &String| {
            let chosen = self.chosen.as_ref();
            chosen.is_some_and(|chosen| known.starts_with(chosen.name()))
        };
        match self.chosen.as_ref().map(Chosen::identity) {
            // Its file cannot be read now. The work of hours waits for it, and answers nothing.
            Some(None) if store.chosen_model()?.as_ref().is_some_and(of_this_name) => {}
            identity => store.choose(identity.flatten())?,
        }
        if self.is_on {
            return Ok(());
        }
        tracing::info!("search is by words only, because index.embeddings is off");
        store.drop_built_in()
    }

    /// Returns the name of the built-in model; empty if it is not used.
    pub fn built_in_name(&self) -> &str {
        if self.is_on { self.built_in.name() } else { "" }
    }
}
