//! The way to the node that is attacked: streams to it, and frames on them.

use super::tally::Counts;
use crdt::id::DeviceId;
use futures::io::{AsyncReadExt as _, AsyncWriteExt as _, ReadHalf, WriteHalf};
use node::net::{Bytes, Network, Stream};
use protocol::wire::{FRAME_HEADER_BYTES, frame_length};
use std::io;

/// The way of one key.
#[derive(Debug, Clone)]
pub(super) struct Way {
    pub(super) network: Network,
    pub(super) victim: DeviceId,
    pub(super) addresses: Vec<String>,
    pub(super) counts: Counts,
    /// Whether nobody knows the key.
    pub(super) is_stranger: bool,
}

impl Way {
    /// Opens the stream of a session, if the node lets it; counts what became of it.
    pub(super) async fn open(&self) -> Option<Stream> {
        let opened = self.network.open(self.victim, &self.addresses).await;
        self.counts.note(|tally| {
            let counted = match (&opened, self.is_stranger) {
                (_, true) => &mut tally.stranger_tries,
                (Ok(_), false) => &mut tally.let_in,
                (Err(_), false) => &mut tally.turned_away,
            };
            *counted += 1;
        });
        opened.ok()
    }
}

/// A stream, frame by frame.
#[derive(Debug)]
pub(super) struct Line {
    reads: ReadHalf<Bytes>,
    writes: WriteHalf<Bytes>,
}

impl Line {
    pub(super) fn of(opened: Stream) -> Self {
        let (reads, writes) = opened.stream.split();
        Self { reads, writes }
    }

    /// Writes a frame.
    pub(super) async fn say(&mut self, frame: &[u8]) -> io::Result<()> {
        self.writes.write_all(frame).await?;
        self.writes.flush().await
    }

    /// Returns the message in the next frame; an error if the stream ends before.
    pub(super) async fn hear(&mut self) -> io::Result<Vec<u8>> {
        let mut header = [0; FRAME_HEADER_BYTES];
        self.reads.read_exact(&mut header).await?;
        let length = frame_length(header);
        let mut message = vec![0; length.ok_or(io::ErrorKind::InvalidData)?];
        self.reads.read_exact(&mut message).await?;
        Ok(message)
    }
}
