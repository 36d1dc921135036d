//! Frames on the stream of a blob, one at a time, each within its time.

use crate::net::Bytes;
use crdt::codec::Canonical;
use futures::{AsyncReadExt as _, AsyncWriteExt as _};
use protocol::blob::frame;
use protocol::wire::{FRAME_HEADER_BYTES, frame_length};
use std::time::Duration;
use thiserror::Error;

/// How long a frame may take to be written before the peer counts as gone.
const WRITE_MAX: Duration = Duration::from_secs(30);

/// The reason why a frame was not read or not written.
#[derive(Debug, Error)]
pub(super) enum Broken {
    #[error("the stream ended")]
    Ended,
    #[error("the peer took too long")]
    Slow,
    #[error("bytes that do not read")]
    Unreadable,
}

/// Reads one message.
pub(super) async fn read<T: Canonical>(stream: &mut Bytes, within_ms: u64) -> Result<T, Broken> {
    let read = async {
        let mut header = [0; FRAME_HEADER_BYTES];
        let ended = |_error: std::io::Error| Broken::Ended;
        stream.read_exact(&mut header).await.map_err(ended)?;
        let length = frame_length(header).ok_or(Broken::Unreadable)?;
        let mut bytes = vec![0; length];
        stream.read_exact(&mut bytes).await.map_err(ended)?;
        T::from_bytes(&bytes).map_err(|_error| Broken::Unreadable)
    };
    let within = Duration::from_millis(within_ms);
    tokio::time::timeout(within, read)
        .await
        .unwrap_or(Err(Broken::Slow))
}

/// Writes one message; returns how many bytes that took.
pub(super) async fn write(stream: &mut Bytes, message: &impl Canonical) -> Result<usize, Broken> {
    let bytes = frame(message);
    let write = async {
        stream.write_all(&bytes).await?;
        stream.flush().await
    };
    match tokio::time::timeout(WRITE_MAX, write).await {
        Ok(Ok(())) => Ok(bytes.len()),
        Ok(Err(_)) => Err(Broken::Ended),
        Err(_) => Err(Broken::Slow),
    }
}
