//! Calls of either program's local API.

use http_body_util::{BodyExt as _, Full};
use hyper::body::Bytes;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::{CONTENT_TYPE, HOST};
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::runtime::{Builder, Runtime};
use tokio::time::timeout;

/// How long anything may take until the benchmark gives up.
const PATIENCE: Duration = Duration::from_hours(1);

/// A local API, on one connection that the caller's own thread serves: what asks shares the cores
/// with what answers, and is not what is measured.
#[derive(Debug)]
pub struct Api {
    address: Address,
    key: Option<String>,
    runtime: Runtime,
    connection: Mutex<Option<Connection>>,
}

type Connection = SendRequest<Full<Bytes>>;

#[derive(Debug)]
enum Address {
    /// A port of loopback.
    Port(u16),
    Socket(PathBuf),
}

impl Api {
    /// Speaks to Syncthing on a port of loopback.
    pub fn at(port: u16, key: &str) -> Self {
        Self::new(Address::Port(port), Some(key.to_owned()))
    }

    /// Speaks to a node on its socket.
    pub fn on(socket: &Path) -> Self {
        Self::new(Address::Socket(socket.to_owned()), None)
    }

    fn new(address: Address, key: Option<String>) -> Self {
        let runtime = Builder::new_current_thread().enable_all().build();
        Self {
            address,
            key,
            runtime: runtime.expect("a runtime can be made"),
            connection: Mutex::new(None),
        }
    }

    /// Tells whether a route answers.
    pub fn answers(&self, path: &str) -> bool {
        let answer = self.send(Method::GET, path, None);
        answer.is_ok_and(|(status, _)| status.is_success())
    }

    /// Reads a document.
    pub fn get(&self, path: &str) -> Value {
        self.call(Method::GET, path, None)
    }

    /// Does something.
    pub fn call(&self, method: Method, path: &str, body: Option<&Value>) -> Value {
        let answer = self.send(method, path, body);
        let (status, text) = answer.unwrap_or_else(|error| panic!("{path}: {error}"));
        let shown = String::from_utf8_lossy(&text);
        assert!(status.is_success(), "{path}: {status} {shown}");
        serde_json::from_slice(&text).unwrap_or_default()
    }

    fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<(StatusCode, Bytes), Box<dyn Error>> {
        let mut request = Request::builder().method(method).uri(path);
        request = request.header(HOST, "localhost");
        if let Some(key) = &self.key {
            request = request.header("X-API-Key", key);
        }
        if body.is_some() {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        let body = body.map(Value::to_string).unwrap_or_default();
        let request = request.body(Full::from(body))?;
        let kept = || {
            self.connection
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
        };
        let before = kept().take();
        self.runtime.block_on(async {
            let answered = timeout(PATIENCE, async {
                let mut connection = self.connected(before).await?;
                let answer = connection.send_request(request).await?;
                let status = answer.status();
                let text = answer.into_body().collect().await?.to_bytes();
                *kept() = Some(connection);
                Ok((status, text))
            });
            answered.await?
        })
    }

    /// Returns the connection from before if it still stands, or a new one.
    async fn connected(&self, before: Option<Connection>) -> Result<Connection, Box<dyn Error>> {
        if let Some(mut connection) = before
            && connection.ready().await.is_ok()
        {
            return Ok(connection);
        }
        match &self.address {
            Address::Port(port) => served(TcpStream::connect(("127.0.0.1", *port)).await?).await,
            Address::Socket(path) => served(UnixStream::connect(path).await?).await,
        }
    }
}

/// Returns a connection over a stream; it is served while the runtime is at work.
#[expect(
    clippy::disallowed_methods,
    reason = "it ends with the runtime of the one who asks"
)]
async fn served(
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
) -> Result<Connection, Box<dyn Error>> {
    let (connection, serve) = handshake(TokioIo::new(stream)).await?;
    tokio::spawn(serve);
    Ok(connection)
}

/// Looks every so often until something holds, and returns how long that took in seconds.
pub fn until(what: &str, every: Duration, mut holds: impl FnMut() -> bool) -> f64 {
    let started = Instant::now();
    while !holds() {
        assert!(
            started.elapsed() < PATIENCE,
            "{what}: not within {PATIENCE:?}"
        );
        std::thread::sleep(every);
    }
    started.elapsed().as_secs_f64()
}

/// Waits until a number did not change for half a second, and returns it.
pub fn settled(mut number: impl FnMut() -> u64) -> u64 {
    let mut last = number();
    loop {
        std::thread::sleep(Duration::from_millis(500));
        let next = number();
        if next == last {
            return last;
        }
        last = next;
    }
}
