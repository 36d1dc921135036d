//! Silence: a TCP connection on which nothing comes any more is given up.
//!
//! QUIC notices by itself that the other side is gone. TCP does not: a cable that was pulled looks
//! like a friend with nothing to say. Both sides ping each other ([`PING_EVERY`]), so something
//! comes on every connection that stands; what counts is any byte, so that a ping which waits
//! behind a large memory on a slow link is no silence.
//!
//! Invariant: a read of [`Heard`] that gets nothing for [`SILENCE_MAX`] fails.

use futures::io::{AsyncRead, AsyncWrite};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::{Instant, Sleep};

/// How often each side pings.
pub(super) const PING_EVERY: Duration = Duration::from_secs(10);
/// How long a connection may be silent: three pings in a row that did not come.
pub(super) const SILENCE_MAX: Duration = Duration::from_secs(30);

/// A connection that is listened to.
pub(super) struct Heard<S> {
    inner: S,
    silence: Pin<Box<Sleep>>,
    max: Duration,
}

impl<S> Heard<S> {
    pub(super) fn new(inner: S, max: Duration) -> Self {
        let silence = Box::pin(tokio::time::sleep(max));
        Self {
            inner,
            silence,
            max,
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Heard<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        if let Poll::Ready(read) = Pin::new(&mut self.inner).poll_read(cx, buf) {
            let until = Instant::now() + self.max;
            self.silence.as_mut().reset(until);
            return Poll::Ready(read);
        }
        self.silence.as_mut().poll(cx).map(|()| {
            let silent = "nothing came for too long";
            Err(io::Error::new(io::ErrorKind::TimedOut, silent))
        })
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Heard<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, buf)
    }
    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write_vectored(cx, bufs)
    }
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }
    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_close(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio_util::compat::TokioAsyncReadCompatExt as _;

    #[tokio::test]
    async fn only_silence_ends_a_connection() {
        let (near, far) = tokio::io::duplex(64);
        let max = Duration::from_millis(200);
        let (mut heard, mut far) = (Heard::new(near.compat(), max), far.compat());
        let speaks = async {
            for _ in 0..6 {
                tokio::time::sleep(max / 4).await;
                far.write_all(b"!").await.expect("it is open");
            }
        };
        let mut said = [0; 6];
        let (read, ()) = futures::join!(heard.read_exact(&mut said), speaks);
        read.expect("one who speaks is not silent, however slowly");
        let since = Instant::now();
        let silent = heard.read(&mut said).await.expect_err("nothing came");
        assert_eq!(silent.kind(), io::ErrorKind::TimedOut);
        assert!(since.elapsed() >= max / 2);
    }
}
