//! The listeners: from an accepted connection to the router, and an orderly end.
//!
//! Flow: accept, on a Unix socket ask the kernel who it is, give the connection to one of the
//! [`Threads`], and speak HTTP/1 there with bounds on the head's size and time. On shutdown no
//! connection is accepted any more, the open ones finish the request they are at, and after
//! [`GRACE`] the rest is dropped.
//! It is not about requests; see `guard`. Invariant: no task outlives the call.

use super::threads::Threads;
use axum::Router;
use axum::extract::Extension;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use std::io;
use std::net::TcpStream as StdTcpStream;
use std::os::unix::net::UnixStream as StdUnixStream;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// The most connections of one listener; more wait in the kernel's queue.
const CONNECTIONS_MAX: usize = 128;
/// How long a request's head may take, and how long an idle connection is kept.
const HEAD_TIME_MAX: Duration = Duration::from_secs(30);
/// The largest head, in bytes.
const HEAD_BYTES_MAX: usize = 32 << 10;
/// How long the last answers may take after the shutdown began.
const GRACE: Duration = Duration::from_secs(5);
/// How long to wait when the process has no file descriptors left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves the API on a Unix socket, to processes of our own user only.
pub async fn serve_unix(
    listener: UnixListener,
    router: Router,
    threads: Threads,
    shutdown: CancellationToken,
) {
    let owner = rustix::process::geteuid().as_raw();
    serve_unix_to(owner, listener, router, threads, shutdown).await;
}

/// Serves the API on a loopback TCP socket.
pub async fn serve_tcp(
    listener: TcpListener,
    router: Router,
    threads: Threads,
    shutdown: CancellationToken,
) {
    serve(listener, router, threads, shutdown).await;
}

/// Serves the API on a Unix socket to the processes of one user.
pub(crate) async fn serve_unix_to(
    owner: u32,
    listener: UnixListener,
    router: Router,
    threads: Threads,
    shutdown: CancellationToken,
) {
    serve(Owned { listener, owner }, router, threads, shutdown).await;
}

/// Where connections come from.
trait Source: Sync {
    /// A connection that no thread waits on yet.
    type Accepted: Send + 'static;
    /// A connection.
    type Io: AsyncRead + AsyncWrite + Send + Unpin + 'static;

    /// Waits for a connection; `None` if it was turned away.
    fn accept(&self) -> impl Future<Output = io::Result<Option<Self::Accepted>>> + Send;

    /// Has the thread that calls it wait on the connection.
    fn take(accepted: Self::Accepted) -> io::Result<Self::Io>;
}

impl Source for TcpListener {
    type Accepted = StdTcpStream;
    type Io = TcpStream;

    async fn accept(&self) -> io::Result<Option<StdTcpStream>> {
        let (stream, _) = Self::accept(self).await?;
        stream.into_std().map(Some)
    }

    fn take(accepted: StdTcpStream) -> io::Result<TcpStream> {
        TcpStream::from_std(accepted)
    }
}

/// A Unix socket for the processes of one user.
struct Owned {
    listener: UnixListener,
    owner: u32,
}

impl Source for Owned {
    type Accepted = StdUnixStream;
    type Io = UnixStream;

    async fn accept(&self) -> io::Result<Option<StdUnixStream>> {
        let (stream, _) = self.listener.accept().await?;
        let ours = is_from(self.owner, &stream).then_some(stream);
        ours.map(UnixStream::into_std).transpose()
    }

    fn take(accepted: StdUnixStream) -> io::Result<UnixStream> {
        UnixStream::from_std(accepted)
    }
}

/// Returns whether the process at the other end runs as `owner`, by what the kernel says.
fn is_from(owner: u32, stream: &UnixStream) -> bool {
    let uid = stream.peer_cred().map(|credentials| credentials.uid());
    let ours = uid.as_ref().is_ok_and(|uid| *uid == owner);
    if !ours {
        tracing::warn!(
            ?uid,
            "a process of another user was turned away from the socket"
        );
    }
    ours
}

/// Accepts until the shutdown, then lets what is open finish.
async fn serve<S: Source>(
    source: S,
    router: Router,
    threads: Threads,
    shutdown: CancellationToken,
) {
    // Streams that would never end by themselves watch this token; see `events`.
    let router = router.layer(Extension(shutdown.clone()));
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut connections = JoinSet::new();
    while let Some(accepted) = shutdown.run_until_cancelled(next(&source, &places)).await {
        if let Some((stream, place)) = accepted {
            let (router, shutdown) = (router.clone(), shutdown.clone());
            let seat = threads.seat();
            let thread = seat.thread().clone();
            let talked = async move {
                talk::<S>(stream, router, shutdown).await;
                drop((seat, place));
            };
            connections.spawn_on(talked, &thread);
        }
        while connections.try_join_next().is_some() {}
    }
    let finished = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(GRACE, finished).await.is_err() {
        tracing::warn!("connections were still open at the end of the shutdown");
    }
    connections.shutdown().await;
}

/// Waits for a place, then for a connection to take it; `None` if it was turned away.
async fn next<S: Source>(
    source: &S,
    places: &Arc<Semaphore>,
) -> Option<(S::Accepted, OwnedSemaphorePermit)> {
    let place = Arc::clone(places).acquire_owned().await.ok()?;
    match source.accept().await {
        Ok(stream) => stream.map(|stream| (stream, place)),
        Err(error) => {
            tracing::warn!(%error, "no connection could be accepted");
            tokio::time::sleep(ACCEPT_PAUSE).await;
            None
        }
    }
}

/// Speaks HTTP on one connection until it ends, or until the shutdown and one last answer.
async fn talk<S: Source>(accepted: S::Accepted, router: Router, shutdown: CancellationToken) {
    let stream = match S::take(accepted) {
        Ok(stream) => stream,
        Err(error) => {
            tracing::warn!(%error, "a connection could not be served");
            return;
        }
    };
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIME_MAX)
        .max_buf_size(HEAD_BYTES_MAX);
    let connection = http.serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    let mut connection = std::pin::pin!(connection);
    let ended = if let Some(ended) = shutdown.run_until_cancelled(connection.as_mut()).await {
        ended
    } else {
        connection.as_mut().graceful_shutdown();
        connection.await
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection broke off");
    }
}
