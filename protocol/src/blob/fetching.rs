//! The receiver's side: ask, check the outline, take the chunks that are missing, each checked.

use super::{Answer, Request};
use crate::limits::BLOB_KEYS_MAX;
use crdt::blob::Outline;
use crdt::blob::seal::BlobKey;
use crdt::envelope::ContentKey;
use crdt::hash::Hash;
use crdt::id::MemoryId;
use std::collections::BTreeMap;

/// Something that happened.
#[derive(Debug)]
pub enum Input {
    /// The stream is open.
    Started,
    /// The sender said something.
    Answer(Answer),
    /// The answer to [`Effect::Prepare`]: the first chunk that is missing; none if all are here.
    Prepared(Option<u32>),
}

/// Something to do.
#[derive(Debug, PartialEq, Eq)]
pub enum Effect {
    /// Write a request.
    Send(Request),
    /// Look what of the blob is here already; answer with [`Input::Prepared`].
    Prepare(Outline),
    /// Keep a chunk: it was opened and checked.
    Keep {
        /// Which one.
        index: u32,
        /// Its bytes.
        bytes: Vec<u8>,
    },
    /// All chunks are here.
    Done,
    /// The sender has nothing, or nothing more.
    Refused,
    /// The sender broke the protocol.
    Fault(&'static str),
}

#[derive(Debug)]
enum State {
    Asking,
    Preparing(BlobKey, Outline),
    Taking {
        key: BlobKey,
        outline: Outline,
        next: u32,
    },
    Over,
}

/// A fetch of one blob.
#[derive(Debug)]
pub struct Fetching {
    memory: MemoryId,
    blob: Hash,
    bytes: u64,
    /// By commitment.
    keys: BTreeMap<Hash, ContentKey>,
    state: State,
}

impl Fetching {
    /// Prepares to fetch an attachment of a memory: its size is what the memory says, and these
    /// are the memory's content keys, the newest first.
    pub fn new(memory: MemoryId, blob: Hash, bytes: u64, keys: &[ContentKey]) -> Self {
        let keys = keys.iter().take(BLOB_KEYS_MAX);
        Self {
            memory,
            blob,
            bytes,
            keys: keys.map(|key| (key.commitment(), key.clone())).collect(),
            state: State::Asking,
        }
    }

    /// Tells whether nothing more is to come.
    pub fn is_over(&self) -> bool {
        matches!(self.state, State::Over)
    }

    /// Takes an input and returns what is to be done about it, in order.
    pub fn handle(&mut self, input: Input) -> Vec<Effect> {
        let state = std::mem::replace(&mut self.state, State::Over);
        match (state, input) {
            (State::Over, _) => Vec::new(),
            (State::Asking, Input::Started) => {
                self.state = State::Asking;
                let (memory, blob) = (self.memory, self.blob);
                let keys = self.keys.keys().copied().collect();
                vec![Effect::Send(Request::Ask { memory, blob, keys })]
            }
            (_, Input::Answer(Answer::Refused)) => vec![Effect::Refused],
            (State::Asking, Input::Answer(Answer::Outline { key, sealed })) => {
                self.check(&key, &sealed)
            }
            (State::Preparing(key, outline), Input::Prepared(next)) => {
                self.begin(key, outline, next)
            }
            (taking @ State::Taking { .. }, Input::Answer(Answer::Chunk { index, sealed })) => {
                self.take(taking, index, &sealed)
            }
            _ => vec![Effect::Fault("an answer that does not belong here")],
        }
    }

    fn check(&mut self, key: &Hash, sealed: &[u8]) -> Vec<Effect> {
        let key = self.keys.get(key).map(|key| BlobKey::of(key, self.blob));
        let Some(key) = key else {
            return vec![Effect::Fault("a key that was not named")];
        };
        let Some(Ok(outline)) = key.open_outline(sealed) else {
            return vec![Effect::Fault("an outline that does not open")];
        };
        if outline.bytes() != self.bytes || outline.root() != self.blob {
            return vec![Effect::Fault("the outline is not that of the attachment")];
        }
        self.state = State::Preparing(key, outline.clone());
        vec![Effect::Prepare(outline)]
    }

    fn begin(&mut self, key: BlobKey, outline: Outline, next: Option<u32>) -> Vec<Effect> {
        let Some(next) = next.filter(|next| *next < outline.chunks()) else {
            return vec![Effect::Done];
        };
        self.state = State::Taking { key, outline, next };
        vec![Effect::Send(Request::From(next))]
    }

    fn take(&mut self, taking: State, index: u32, sealed: &[u8]) -> Vec<Effect> {
        let State::Taking { key, outline, next } = taking else {
            return Vec::new();
        };
        let opened = key.open_chunk(index, sealed).filter(|_| index == next);
        let Some(bytes) = opened.filter(|bytes| outline.fits(index, bytes)) else {
            return vec![Effect::Fault("bytes that are not the next chunk")];
        };
        let mut effects = vec![Effect::Keep { index, bytes }];
        let next = next + 1;
        if next < outline.chunks() {
            self.state = State::Taking { key, outline, next };
        } else {
            effects.push(Effect::Done);
        }
        effects
    }
}
