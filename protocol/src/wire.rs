//! The peer wire in one page: a frame is four bytes of length and one message.
//!
//! Two kinds of message exist, and two types: [`control::Control`] is all that a session says by
//! itself, and none of its variants can hold what is in a memory. [`content::Content`] carries
//! sealed events and keys; the node's egress guard is the only one who sends it.

pub mod brief;
pub mod content;
pub mod control;

use crate::limits::FRAME_BYTES_MAX;
use crdt::codec::{Canonical as _, DecodeError, Reader, Writer};

/// The number of bytes in front of a message.
pub const FRAME_HEADER_BYTES: usize = 4;
/// The protocol on a libp2p stream.
pub const PROTOCOL: &str = "/second-brain/session/1";
/// The oldest session version that is understood.
pub const VERSION_MIN: u16 = 2;
/// The newest session version that is understood. Two sides speak the newest that both do:
///
/// 1. fingerprints were hashes over sorted ids; not understood any more, and said so;
/// 2. fingerprints are sums ([`crate::view`]), everything is said in full;
/// 3. what the other side may know already is said by its digest ([`brief`]);
/// 4. where both sides allow it, content comes with the trace that it belongs to.
pub const VERSION_MAX: u16 = 4;
/// From this version on, digests are understood.
pub const VERSION_BRIEF: u16 = 3;
/// From this version on, traces are understood.
pub const VERSION_TRACED: u16 = 4;

const CONTENT_TAG: u8 = 128;

/// Either kind of message, as it arrives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// About the session.
    Control(control::Control),
    /// What is in memories.
    Content(content::Content),
}

impl Message {
    /// Reads the bytes of a frame.
    pub fn from_frame(bytes: &[u8]) -> Result<Self, DecodeError> {
        if bytes.len() > FRAME_BYTES_MAX {
            let (found, limit) = (bytes.len(), FRAME_BYTES_MAX);
            return Err(DecodeError::TooLong {
                what: "frame",
                found,
                limit,
            });
        }
        match bytes.split_first() {
            Some((&CONTENT_TAG, rest)) => content::Content::from_bytes(rest).map(Self::Content),
            _ => control::Control::from_bytes(bytes).map(Self::Control),
        }
    }
}

/// Puts a control message into a frame.
pub fn control_frame(message: &control::Control) -> Vec<u8> {
    frame(|out| message.encode(out))
}

/// Puts a content message into a frame.
pub fn content_frame(message: &content::Content) -> Vec<u8> {
    frame(|out| {
        out.u8(CONTENT_TAG);
        message.encode(out);
    })
}

fn frame(write: impl FnOnce(&mut Writer)) -> Vec<u8> {
    let mut out = Writer::default();
    write(&mut out);
    let message = out.into_bytes();
    let mut framed = Writer::default();
    framed.bytes(&message);
    framed.into_bytes()
}

/// Reads the length in front of a frame; none if it is over the limit.
pub fn frame_length(header: [u8; FRAME_HEADER_BYTES]) -> Option<usize> {
    Reader::new(&header).length(FRAME_BYTES_MAX, "frame").ok()
}
