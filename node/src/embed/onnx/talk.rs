//! What a node and the process of a model say to each other, over one socket.
//!
//! ```text
//! process: answer(ready | failed)          then for each text, in order
//! node:    u32 bytes, text                 process: answer(vector | failed)
//! answer:  u8 kind, u32 bytes, body        numbers are little-endian
//! ```
//!
//! Invariant: neither side takes more from the other than [`TEXT_BYTES_MAX`] or [`BODY_BYTES_MAX`].

use super::files::{Identity, line};
use std::io::{self, Read, Write};
use storage::projection::vectors::DIMENSIONS_MAX;

/// The most bytes of a text. The model reads 256 tokens; this is far beyond.
pub(super) const TEXT_BYTES_MAX: usize = 64 << 10;
/// The most bytes of an answer's body: a vector.
const BODY_BYTES_MAX: usize = 4 * DIMENSIONS_MAX;
/// Bytes in front of a body.
const HEAD_BYTES: usize = 5;

/// What the process says.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Answer {
    /// It has read these files, and takes texts.
    Ready(Identity),
    /// The vector of a text.
    Vector(Vec<f32>),
    /// The files cannot be used, or the text cannot be embedded.
    Failed(String),
}

/// The other side said what is no answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Garbled;

impl Answer {
    /// Returns the bytes of the answer.
    pub(super) fn encode(&self) -> Vec<u8> {
        let (kind, body) = match self {
            Self::Ready(identity) => (0, identity.0.to_vec()),
            Self::Vector(vector) => (1, vector.iter().flat_map(|it| it.to_le_bytes()).collect()),
            Self::Failed(reason) => (2, line(reason).into_bytes()),
        };
        let mut bytes = vec![kind];
        bytes.extend(length(&body));
        bytes.extend(body);
        bytes
    }

    /// Takes the first answer out of what has arrived, if it has arrived whole.
    pub(super) fn take(inbox: &mut Vec<u8>) -> Result<Option<Self>, Garbled> {
        let Some(([kind, a, b, c, d], rest)) = inbox.split_first_chunk::<HEAD_BYTES>() else {
            return Ok(None);
        };
        let kind = *kind;
        let bytes = usize::try_from(u32::from_le_bytes([*a, *b, *c, *d])).unwrap_or(usize::MAX);
        if bytes > BODY_BYTES_MAX {
            return Err(Garbled);
        }
        let Some(body) = rest.get(..bytes) else {
            return Ok(None);
        };
        let answer = Self::decode(kind, body)?;
        inbox.drain(..HEAD_BYTES + bytes);
        Ok(Some(answer))
    }

    fn decode(kind: u8, body: &[u8]) -> Result<Self, Garbled> {
        match kind {
            0 => body.try_into().ok().map(|hash| Self::Ready(Identity(hash))),
            1 => vector(body).map(Self::Vector),
            2 => Some(Self::Failed(line(&String::from_utf8_lossy(body)))),
            _ => None,
        }
        .ok_or(Garbled)
    }
}

/// Reads a vector of finite numbers.
fn vector(body: &[u8]) -> Option<Vec<f32>> {
    let (numbers, rest) = body.as_chunks();
    let vector: Vec<f32> = numbers.iter().map(|it| f32::from_le_bytes(*it)).collect();
    let is_usable = rest.is_empty() && !vector.is_empty() && vector.iter().all(|it| it.is_finite());
    is_usable.then_some(vector)
}

/// Returns the bytes of a question; of a text that is too long, of its beginning.
pub(super) fn question(text: &str) -> Vec<u8> {
    let text = text.get(..text.floor_char_boundary(TEXT_BYTES_MAX));
    let text = text.unwrap_or_default().as_bytes();
    let mut bytes = Vec::with_capacity(4 + text.len());
    bytes.extend(length(text));
    bytes.extend(text);
    bytes
}

/// Waits for a question; none at the end of the stream.
pub(super) fn listen(stream: &mut impl Read) -> io::Result<Option<String>> {
    let mut head = [0; 4];
    match stream.read_exact(&mut head) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        other => other?,
    }
    let bytes = usize::try_from(u32::from_le_bytes(head)).unwrap_or(usize::MAX);
    if bytes > TEXT_BYTES_MAX {
        return Err(io::Error::other("a text is longer than texts are"));
    }
    let mut text = vec![0; bytes];
    stream.read_exact(&mut text)?;
    Ok(Some(String::from_utf8_lossy(&text).into_owned()))
}

/// Says an answer.
pub(super) fn say(stream: &mut impl Write, answer: &Answer) -> io::Result<()> {
    stream.write_all(&answer.encode())
}

fn length(bytes: &[u8]) -> [u8; 4] {
    // What is sent is bounded far below.
    u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_le_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_arrive_in_any_pieces() {
        let said = [
            Answer::Ready(Identity([7; 32])),
            Answer::Vector(vec![0.5, -2.0]),
            Answer::Failed("no\nreason".to_owned()),
        ];
        let (mut inbox, mut heard) = (Vec::new(), Vec::new());
        for byte in said.iter().flat_map(Answer::encode) {
            inbox.push(byte);
            heard.extend(Answer::take(&mut inbox).unwrap());
        }
        assert_eq!(heard[..2], said[..2]);
        assert_eq!(heard[2], Answer::Failed("no reason".to_owned()));
        assert!(inbox.is_empty());
    }

    #[test]
    fn what_is_no_answer_is_not_waited_for() {
        let garbled = |bytes: &[u8]| Answer::take(&mut bytes.to_vec()) == Err(Garbled);
        assert!(garbled(&[9, 0, 0, 0, 0]), "of no kind");
        assert!(garbled(&[1, 0, 0, 0, 0]), "a vector of nothing");
        assert!(garbled(&[1, 3, 0, 0, 0, 1, 2, 3]), "a part of a number");
        assert!(garbled(&[1, 4, 0, 0, 0, 0, 0, 0xC0, 0x7F]), "not a number");
        assert!(garbled(&[0, 1, 0, 0, 0, 1]), "a short hash");
        assert!(garbled(&[2, 0xFF, 0xFF, 0xFF, 0xFF]), "four gigabytes");
    }

    #[test]
    fn questions_are_heard_and_the_longest_is_cut() {
        let mut stream = question("dog");
        stream.extend(question(&"\u{1F642}".repeat(TEXT_BYTES_MAX)));
        let mut stream = stream.as_slice();
        assert_eq!(listen(&mut stream).unwrap().as_deref(), Some("dog"));
        let cut = listen(&mut stream).unwrap().unwrap();
        assert_eq!(cut.len(), TEXT_BYTES_MAX);
        assert_eq!(listen(&mut stream).unwrap(), None);
        assert!(listen(&mut [0xFF; 8].as_slice()).is_err());
    }
}
