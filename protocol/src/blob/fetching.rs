//! The receiver's side: ask, check the outline, take the chunks that are missing, each checked.

use super::{Answer, Request};
use crdt::blob::Outline;
use crdt::hash::Hash;
use crdt::id::MemoryId;

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
    /// Keep a chunk: it was checked.
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
    Preparing(Outline),
    Taking { outline: Outline, next: u32 },
    Over,
}

/// A fetch of one blob.
#[derive(Debug)]
pub struct Fetching {
    memory: MemoryId,
    blob: Hash,
    bytes: u64,
    state: State,
}

impl Fetching {
    /// Prepares to fetch an attachment of a memory; its size is what the memory says.
    pub fn new(memory: MemoryId, blob: Hash, bytes: u64) -> Self {
        Self {
            memory,
            blob,
            bytes,
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
                vec![Effect::Send(Request::Ask { memory, blob })]
            }
            (_, Input::Answer(Answer::Refused)) => vec![Effect::Refused],
            (State::Asking, Input::Answer(Answer::Outline(outline))) => self.check(outline),
            (State::Preparing(outline), Input::Prepared(next)) => self.begin(outline, next),
            (State::Taking { outline, next }, Input::Answer(Answer::Chunk { index, bytes })) => {
                self.take(outline, next, (index, bytes))
            }
            _ => vec![Effect::Fault("an answer that does not belong here")],
        }
    }

    fn check(&mut self, outline: Outline) -> Vec<Effect> {
        if outline.bytes() != self.bytes || outline.root() != self.blob {
            return vec![Effect::Fault("the outline is not that of the attachment")];
        }
        self.state = State::Preparing(outline.clone());
        vec![Effect::Prepare(outline)]
    }

    fn begin(&mut self, outline: Outline, next: Option<u32>) -> Vec<Effect> {
        let Some(next) = next.filter(|next| *next < outline.chunks()) else {
            return vec![Effect::Done];
        };
        self.state = State::Taking { outline, next };
        vec![Effect::Send(Request::From(next))]
    }

    fn take(&mut self, outline: Outline, next: u32, chunk: (u32, Vec<u8>)) -> Vec<Effect> {
        let (index, bytes) = chunk;
        if index != next || !outline.fits(index, &bytes) {
            return vec![Effect::Fault("bytes that are not the next chunk")];
        }
        let mut effects = vec![Effect::Keep { index, bytes }];
        let next = next + 1;
        if next < outline.chunks() {
            self.state = State::Taking { outline, next };
        } else {
            effects.push(Effect::Done);
        }
        effects
    }
}
