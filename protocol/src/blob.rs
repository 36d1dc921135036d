//! Blobs between nodes: the bytes of an attachment on a stream of their own, one blob a stream.
//!
//! ```text
//! receiver                          sender
//! Ask(memory, blob)         ->      is it in the view? no: Refused
//!                           <-      Outline: checked against the hash of the attachment
//! From(first chunk missing) ->      each part: looked at again, in the ledger, then the chunks
//!                           <-      Chunk, Chunk, .. or Refused, if that is over meanwhile
//! ```
//!
//! Both sides are state machines like the session: [`Fetching`] and [`Serving`] take inputs and
//! return effects; a driver has the stream, the store and the guard. The receiver trusts nothing
//! but the hash in the memory that it holds.
//!
//! Invariant: the refusal is the same bytes whatever its reason, to a stranger too; a chunk is
//! handed on only if it is the next one and fits the outline, and the outline only if its root is
//! the hash.

pub mod fetching;
pub mod serving;
#[cfg(test)]
mod tests;

pub use fetching::Fetching;
pub use serving::{Part, Serving};

use crdt::blob::{CHUNK_BYTES, Outline};
use crdt::codec::{Canonical, DecodeError, Reader, Writer};
use crdt::hash::Hash;
use crdt::id::MemoryId;

/// The protocol on a libp2p stream.
pub const PROTOCOL: &str = "/second-brain/blob/1";

/// What a receiver says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Request {
    /// Asks for a blob of a memory that the receiver holds.
    Ask {
        /// The memory.
        memory: MemoryId,
        /// The hash of its attachment.
        blob: Hash,
    },
    /// Asks for the chunks from this one on.
    From(u32),
}

/// What a sender says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// There is nothing to be had, or nothing more.
    Refused,
    /// What checks the chunks.
    Outline(Outline),
    /// A chunk.
    Chunk {
        /// Which one.
        index: u32,
        /// Its bytes.
        bytes: Vec<u8>,
    },
}

impl Canonical for Request {
    fn encode(&self, out: &mut Writer) {
        match self {
            Self::Ask { memory, blob } => {
                out.u8(1);
                memory.encode(out);
                blob.encode(out);
            }
            Self::From(index) => {
                out.u8(2);
                out.u32(*index);
            }
        }
    }
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        match input.u8("blob request")? {
            1 => Ok(Self::Ask {
                memory: MemoryId::decode(input)?,
                blob: Hash::decode(input)?,
            }),
            2 => Ok(Self::From(input.u32("first chunk")?)),
            found => Err(DecodeError::Unknown {
                what: "blob request",
                found,
            }),
        }
    }
}

impl Canonical for Answer {
    fn encode(&self, out: &mut Writer) {
        match self {
            Self::Refused => out.u8(1),
            Self::Outline(outline) => {
                out.u8(2);
                outline.encode(out);
            }
            Self::Chunk { index, bytes } => {
                out.u8(3);
                out.u32(*index);
                out.bytes(bytes);
            }
        }
    }
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        match input.u8("blob answer")? {
            1 => Ok(Self::Refused),
            2 => Ok(Self::Outline(Outline::decode(input)?)),
            3 => Ok(Self::Chunk {
                index: input.u32("chunk")?,
                bytes: input.bytes(CHUNK_BYTES, "chunk")?.to_vec(),
            }),
            found => Err(DecodeError::Unknown {
                what: "blob answer",
                found,
            }),
        }
    }
}

/// Puts a message into a frame: four bytes of length, and the message.
pub fn frame(message: &impl Canonical) -> Vec<u8> {
    let mut framed = Writer::default();
    framed.bytes(&message.to_bytes());
    framed.into_bytes()
}
