//! Frames on a stream: one task reads them, one writes them.
//!
//! Nothing here knows what a session is. Invariant: only [`Outgoing`] can be written, and content
//! fits into it only as [`Cleared`].

use crate::egress::Cleared;
use crate::net::Bytes;
use futures::io::{ReadHalf, WriteHalf};
use futures::{AsyncReadExt as _, AsyncWriteExt as _};
use protocol::wire::content::Content;
use protocol::wire::control::Control;
use protocol::wire::{FRAME_HEADER_BYTES, content_frame, control_frame, frame_length};
use std::time::Duration;
use tokio::sync::{mpsc, watch};

/// How long a frame may take to be written before the peer counts as gone.
const WRITE_MAX: Duration = Duration::from_secs(30);

/// What is written to a peer: control, or content that the guard cleared. Nothing else fits.
pub(super) enum Outgoing {
    Control(Control),
    Content(Cleared<Content>),
}

/// Reads frames until the stream ends or one is over the limit.
pub(super) async fn read_all(mut reader: ReadHalf<Bytes>, frames: mpsc::Sender<Vec<u8>>) {
    loop {
        let mut header = [0; FRAME_HEADER_BYTES];
        if reader.read_exact(&mut header).await.is_err() {
            return;
        }
        let Some(length) = frame_length(header) else {
            tracing::info!("a peer announced a frame over the limit; the session ends");
            return;
        };
        let mut frame = vec![0; length];
        if reader.read_exact(&mut frame).await.is_err() || frames.send(frame).await.is_err() {
            return;
        }
    }
}

/// Writes messages until there are no more or the peer is gone.
pub(super) async fn write_all(
    mut writer: WriteHalf<Bytes>,
    mut outgoing: mpsc::Receiver<Outgoing>,
    written: watch::Sender<u64>,
) {
    while let Some(message) = outgoing.recv().await {
        let frame = match message {
            Outgoing::Control(control) => control_frame(&control),
            Outgoing::Content(content) => content_frame(&content.into_inner()),
        };
        let write = async {
            writer.write_all(&frame).await?;
            writer.flush().await
        };
        match tokio::time::timeout(WRITE_MAX, write).await {
            Ok(Ok(())) => written.send_modify(|bytes| *bytes += frame.len() as u64),
            Ok(Err(_)) | Err(_) => return,
        }
    }
    if let Err(error) = writer.close().await {
        tracing::debug!(%error, "the stream was gone already");
    }
}
