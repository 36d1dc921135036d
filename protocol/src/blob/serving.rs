//! The sender's side: look whether it may leave, then part by part, each looked at again.

use super::{Answer, Request};
use crate::limits::BLOB_PART_CHUNKS;
use crdt::blob::seal::BlobKey;
use crdt::blob::{CHUNK_BYTES, Outline};
use crdt::envelope::ContentKey;
use crdt::hash::Hash;
use crdt::id::MemoryId;
use std::collections::BTreeSet;

/// Chunks of a blob that leave together: what one entry of the ledger is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part {
    /// The memory.
    pub memory: MemoryId,
    /// The blob.
    pub blob: Hash,
    /// The first chunk.
    pub first: u32,
    /// How many chunks.
    pub chunks: u32,
    /// The first byte.
    pub from: u64,
    /// How many bytes.
    pub bytes: u64,
}

/// Something that happened.
#[derive(Debug)]
pub enum Input {
    /// The receiver said something.
    Request(Request),
    /// The answer to [`Effect::Look`]: the outline, if the blob may leave now and is here, and the
    /// newest content key that both sides have.
    Found(Option<(Outline, ContentKey)>),
    /// The answer to [`Effect::Clear`] and what it brought: all chunks of the part were written,
    /// or it may not leave any more.
    Sent(bool),
}

/// Something to do.
#[derive(Debug, PartialEq, Eq)]
pub enum Effect {
    /// Look whether a blob may leave; answer with [`Input::Found`].
    Look {
        /// The memory.
        memory: MemoryId,
        /// The blob.
        blob: Hash,
        /// The commitments to the content keys that the receiver holds.
        keys: BTreeSet<Hash>,
    },
    /// Write an answer.
    Send(Answer),
    /// Look again, write the ledger, write the chunks; answer with [`Input::Sent`].
    Clear(Part),
    /// Nothing more will be said.
    Over,
}

#[derive(Debug)]
enum State {
    Idle,
    Looking(MemoryId, Hash),
    Shown(MemoryId, Hash, Outline),
    Sending(MemoryId, Hash, Outline, u32),
    Over,
}

/// The answer to one receiver about one blob.
#[derive(Debug)]
pub struct Serving(State);

impl Default for Serving {
    fn default() -> Self {
        Self(State::Idle)
    }
}

impl Serving {
    /// Tells whether nothing more is to come.
    pub fn is_over(&self) -> bool {
        matches!(self.0, State::Over)
    }

    /// Takes an input and returns what is to be done about it, in order.
    pub fn handle(&mut self, input: Input) -> Vec<Effect> {
        let state = std::mem::replace(&mut self.0, State::Over);
        match (state, input) {
            (State::Idle, Input::Request(Request::Ask { memory, blob, keys })) => {
                self.0 = State::Looking(memory, blob);
                vec![Effect::Look { memory, blob, keys }]
            }
            (State::Looking(memory, blob), Input::Found(Some((outline, key)))) => {
                let sealed = BlobKey::of(&key, blob).seal_outline(&outline);
                self.0 = State::Shown(memory, blob, outline);
                let key = key.commitment();
                vec![Effect::Send(Answer::Outline { key, sealed })]
            }
            (State::Shown(memory, blob, outline), Input::Request(Request::From(first)))
                if first < outline.chunks() =>
            {
                self.next(memory, blob, outline, first)
            }
            (State::Sending(memory, blob, outline, next), Input::Sent(true)) => {
                self.next(memory, blob, outline, next)
            }
            (State::Over, _) => Vec::new(),
            _ => vec![Effect::Send(Answer::Refused), Effect::Over],
        }
    }

    fn next(&mut self, memory: MemoryId, blob: Hash, outline: Outline, first: u32) -> Vec<Effect> {
        let chunks = outline.chunks().saturating_sub(first).min(BLOB_PART_CHUNKS);
        if chunks == 0 {
            return vec![Effect::Over];
        }
        let from = u64::from(first) * CHUNK_BYTES as u64;
        let bytes = u64::from(chunks) * CHUNK_BYTES as u64;
        let part = Part {
            memory,
            blob,
            first,
            chunks,
            from,
            bytes: bytes.min(outline.bytes().saturating_sub(from)),
        };
        self.0 = State::Sending(memory, blob, outline, first + chunks);
        vec![Effect::Clear(part)]
    }
}
