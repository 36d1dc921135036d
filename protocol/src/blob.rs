//! Blobs between nodes: the bytes of an attachment on a stream of their own, one blob a stream.
//!
//! ```text
//! receiver                          sender
//! Ask(memory, blob, keys)   ->      is it in the view? no: Refused
//!                           <-      Outline: checked against the hash of the attachment
//! From(first chunk missing) ->      each part: looked at again, in the ledger, then the chunks
//!                           <-      Chunk, Chunk, .. or Refused, if that is over meanwhile
//! ```
//!
//! Outline and chunks are sealed under a key that follows from a content key of the memory which both
//! sides have; the receiver says by their commitments which it holds.
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

use crate::limits::{BLOB_KEYS_MAX, FRAME_BYTES_MAX};
use crdt::blob::seal::SEALED_CHUNK_BYTES_MAX;
use crdt::codec::{Canonical, DecodeError, Reader, Writer, ascending};
use crdt::hash::Hash;
use crdt::id::MemoryId;
use std::collections::BTreeSet;

/// The protocol on a libp2p stream.
pub const PROTOCOL: &str = "/second-brain/blob/1";

/// What a receiver says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// Asks for a blob of a memory that the receiver holds.
    Ask {
        /// The memory.
        memory: MemoryId,
        /// The hash of its attachment.
        blob: Hash,
        /// The commitments to the content keys of the memory that the receiver holds, ascending.
        keys: BTreeSet<Hash>,
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
    Outline {
        /// The commitment to the content key that is used.
        key: Hash,
        /// The outline, sealed.
        sealed: Vec<u8>,
    },
    /// A chunk.
    Chunk {
        /// Which one.
        index: u32,
        /// Its bytes, sealed.
        sealed: Vec<u8>,
    },
}

impl Canonical for Request {
    fn encode(&self, out: &mut Writer) {
        match self {
            Self::Ask { memory, blob, keys } => {
                out.u8(1);
                memory.encode(out);
                blob.encode(out);
                out.length(keys.len());
                for key in keys {
                    key.encode(out);
                }
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
                keys: read_keys(input)?,
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
            Self::Outline { key, sealed } => {
                out.u8(2);
                key.encode(out);
                out.bytes(sealed);
            }
            Self::Chunk { index, sealed } => {
                out.u8(3);
                out.u32(*index);
                out.bytes(sealed);
            }
        }
    }
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        match input.u8("blob answer")? {
            1 => Ok(Self::Refused),
            2 => Ok(Self::Outline {
                key: Hash::decode(input)?,
                sealed: input.bytes(FRAME_BYTES_MAX, "outline")?.to_vec(),
            }),
            3 => Ok(Self::Chunk {
                index: input.u32("chunk")?,
                sealed: input.bytes(SEALED_CHUNK_BYTES_MAX, "chunk")?.to_vec(),
            }),
            found => Err(DecodeError::Unknown {
                what: "blob answer",
                found,
            }),
        }
    }
}

fn read_keys(input: &mut Reader<'_>) -> Result<BTreeSet<Hash>, DecodeError> {
    let keys = input.list::<Hash>(BLOB_KEYS_MAX, "keys")?;
    ascending(&keys, "keys")?;
    Ok(keys.into_iter().collect())
}

/// Puts a message into a frame: four bytes of length, and the message.
pub fn frame(message: &impl Canonical) -> Vec<u8> {
    let mut framed = Writer::default();
    framed.bytes(&message.to_bytes());
    framed.into_bytes()
}
