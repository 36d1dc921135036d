//! The listeners, over real sockets: who is turned away, and how they end.

use super::small;
use crate::http::serve::{serve_tcp, serve_unix, serve_unix_to};
use crate::http::{Threads, Transport};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// Sends a request for the probe and returns all that comes back until the end.
async fn ask(mut stream: impl AsyncRead + AsyncWrite + Unpin, host: &str) -> String {
    let request = format!("GET /healthz HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    // A listener that has hung up already makes the write fail; the empty answer says so.
    let written = stream.write_all(request.as_bytes()).await;
    let mut answer = Vec::new();
    let read = stream.read_to_end(&mut answer).await;
    assert!(answer.is_empty() || (written.is_ok() && read.is_ok()));
    String::from_utf8(answer).unwrap()
}

#[tokio::test]
async fn the_socket_answers_its_owner_and_nobody_else() {
    let folder = tempfile::tempdir().unwrap();
    let own = rustix::process::geteuid().as_raw();
    let shutdown = CancellationToken::new();
    let mut listeners = JoinSet::new();
    let bind = |name: &str| UnixListener::bind(folder.path().join(name)).unwrap();
    let router = small(Transport::UnixSocket);
    let threads = Threads::start().unwrap();
    let served = serve_unix(
        bind("ours"),
        router.clone(),
        threads.clone(),
        shutdown.clone(),
    );
    listeners.spawn(served);
    let served = serve_unix_to(own + 1, bind("theirs"), router, threads, shutdown.clone());
    listeners.spawn(served);
    let ours = UnixStream::connect(folder.path().join("ours"))
        .await
        .unwrap();
    assert!(ask(ours, "localhost").await.starts_with("HTTP/1.1 200 "));
    let theirs = UnixStream::connect(folder.path().join("theirs"))
        .await
        .unwrap();
    assert_eq!(ask(theirs, "localhost").await, "");
    shutdown.cancel();
    listeners.join_all().await;
}

#[tokio::test]
async fn tcp_checks_the_host_and_the_shutdown_ends_idle_connections() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let shutdown = CancellationToken::new();
    let router = small(Transport::Loopback {
        port: address.port(),
    });
    let mut listeners = JoinSet::new();
    let threads = Threads::start().unwrap();
    listeners.spawn(serve_tcp(listener, router, threads, shutdown.clone()));
    let connect = async || TcpStream::connect(address).await.unwrap();
    let own = format!("localhost:{}", address.port());
    assert!(
        ask(connect().await, &own)
            .await
            .starts_with("HTTP/1.1 200 ")
    );
    assert!(
        ask(connect().await, "evil.example")
            .await
            .starts_with("HTTP/1.1 421 ")
    );
    let mut idle = connect().await;
    shutdown.cancel();
    listeners.join_all().await;
    let mut rest = Vec::new();
    drop(idle.read_to_end(&mut rest).await);
    assert!(rest.is_empty());
    assert!(TcpStream::connect(address).await.is_err());
}
