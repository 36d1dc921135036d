//! Packing: a body is made smaller before it is sealed, as afterwards nothing compresses.
//!
//! It is raw DEFLATE (RFC 1951) in one piece. A body that would not get smaller stays as it is; the
//! event's header says which it is, so the seal and the signature cover that too.
//!
//! Invariant: what unpacks to more than the limit is refused when the limit is reached, whatever
//! the bytes claim.

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};
use std::cell::RefCell;
use thiserror::Error;

/// What is shorter does not get smaller, in bytes.
const WORTH_PACKING_BYTES: usize = 64;

/// How the body of an event is written under its seal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Packing {
    /// As it is.
    #[default]
    Plain,
    /// As one raw DEFLATE stream.
    Deflate,
}

/// A packed body does not unpack.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum UnpackError {
    /// It is no complete stream, or something follows it.
    #[error("the packed body is not one whole stream")]
    Malformed,
    /// It holds more than a body may.
    #[error("the packed body holds more than {0} bytes")]
    TooLarge(usize),
}

thread_local! {
    // The tables of both are some 300 kB: made once a thread, not once a note.
    static COMPRESS: RefCell<Compress> = RefCell::new(compressor());
    static DECOMPRESS: RefCell<Decompress> = RefCell::new(Decompress::new(false));
}

fn compressor() -> Compress {
    Compress::new(Compression::default(), false)
}

/// Packs a body, if that makes it smaller.
pub fn pack(body: &[u8]) -> Option<Vec<u8>> {
    if body.len() < WORTH_PACKING_BYTES {
        return None;
    }
    COMPRESS.with_borrow_mut(|stream| {
        stream.reset();
        // Room for a body that grows: zlib-rs 0.6.8 panics after a reset of a stream that had not
        // come to its end.
        let mut packed = Vec::with_capacity(body.len() + body.len() / 64 + 64);
        let done = stream.compress_vec(body, &mut packed, FlushCompress::Finish);
        if !matches!(done, Ok(Status::StreamEnd)) {
            *stream = compressor();
            return None;
        }
        packed.shrink_to_fit();
        Some(packed).filter(|packed| packed.len() < body.len())
    })
}

/// Unpacks a body of `max` bytes at most.
pub fn unpack(packed: &[u8], max: usize) -> Result<Vec<u8>, UnpackError> {
    DECOMPRESS.with_borrow_mut(|stream| {
        stream.reset(false);
        let body = unpack_with(stream, packed, max);
        if body.is_err() {
            *stream = Decompress::new(false);
        }
        body
    })
}

fn unpack_with(stream: &mut Decompress, packed: &[u8], max: usize) -> Result<Vec<u8>, UnpackError> {
    let mut body = Vec::new();
    loop {
        // One byte more than the limit shows that it is passed.
        let left = (max + 1).saturating_sub(body.len());
        body.reserve_exact(left.min(body.len().max(packed.len() * 4)));
        let before = (stream.total_in(), stream.total_out());
        let taken = usize::try_from(stream.total_in()).unwrap_or(usize::MAX);
        let rest = packed.get(taken..).unwrap_or_default();
        let done = stream
            .decompress_vec(rest, &mut body, FlushDecompress::None)
            .or(Err(UnpackError::Malformed))?;
        if body.len() > max {
            return Err(UnpackError::TooLarge(max));
        }
        let is_all = usize::try_from(stream.total_in()) == Ok(packed.len());
        match done {
            Status::StreamEnd if is_all => {
                body.shrink_to_fit();
                return Ok(body);
            }
            Status::Ok | Status::BufError if before != (stream.total_in(), stream.total_out()) => {}
            _ => return Err(UnpackError::Malformed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Entropy;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_packed_unpacks(words in proptest::collection::vec("[a-f]{1,5}", 0..400)) {
            let body = words.join(" ").into_bytes();
            if let Some(packed) = pack(&body) {
                prop_assert!(packed.len() < body.len());
                prop_assert_eq!(unpack(&packed, body.len()), Ok(body.clone()));
                let less = body.len() - 1;
                prop_assert_eq!(unpack(&packed, less), Err(UnpackError::TooLarge(less)));
                let cut = &packed[..packed.len() - 1];
                prop_assert_eq!(unpack(cut, body.len()), Err(UnpackError::Malformed));
                let more = [packed.as_slice(), &[0]].concat();
                prop_assert_eq!(unpack(&more, body.len()), Err(UnpackError::Malformed));
            }
        }

        #[test]
        fn anything_is_unpacked_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(body) = unpack(&bytes, 1_000) {
                prop_assert!(body.len() <= 1_000);
            }
        }
    }

    #[test]
    fn what_does_not_get_smaller_stays_as_it_is() {
        let entropy = &mut Entropy::new(4);
        // Often: a stream that is used again must not remember.
        for length in (64..20_000).step_by(7) {
            let mut noise = vec![0; length];
            entropy.fill_bytes(&mut noise);
            assert_eq!(pack(&noise), None);
            let prose = "as it is written ".repeat(length / 16);
            let packed = pack(prose.as_bytes()).expect("it gets smaller");
            assert_eq!(unpack(&packed, prose.len()), Ok(prose.into_bytes()));
        }
        assert_eq!(pack(b"aaaaaaaaaaaaaaaa"), None);
    }

    #[test]
    fn a_bomb_is_refused_at_the_limit() {
        let bomb = pack(&vec![0; 64 << 20]).expect("zeros get smaller");
        assert!(bomb.len() < 100_000);
        let limit = 1 << 19;
        assert_eq!(unpack(&bomb, limit), Err(UnpackError::TooLarge(limit)));
    }
}
