//! Calls of either program's local API.

use reqwest::Method;
use reqwest::blocking::{Client, RequestBuilder};
use serde_json::Value;
use std::path::Path;
use std::time::{Duration, Instant};

/// How long anything may take until the benchmark gives up.
const PATIENCE: Duration = Duration::from_hours(1);

/// A local API.
#[derive(Debug)]
pub struct Api {
    client: Client,
    base: String,
    key: Option<String>,
}

impl Api {
    /// Speaks to Syncthing on a port of loopback.
    pub fn at(port: u16, key: &str) -> Self {
        let client = Client::builder().no_proxy().timeout(PATIENCE).build();
        Self {
            client: client.expect("a client can be made"),
            base: format!("http://127.0.0.1:{port}"),
            key: Some(key.to_owned()),
        }
    }

    /// Speaks to a node on its socket.
    pub fn on(socket: &Path) -> Self {
        let client = Client::builder().no_proxy().timeout(PATIENCE);
        Self {
            client: client
                .unix_socket(socket)
                .build()
                .expect("a client can be made"),
            base: "http://localhost".to_owned(),
            key: None,
        }
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.client.request(method, format!("{}{path}", self.base));
        match &self.key {
            Some(key) => request.header("X-API-Key", key),
            None => request,
        }
    }

    /// Tells whether a route answers.
    pub fn answers(&self, path: &str) -> bool {
        let answer = self.request(Method::GET, path).send();
        answer.is_ok_and(|answer| answer.status().is_success())
    }

    /// Reads a document.
    pub fn get(&self, path: &str) -> Value {
        Self::document(path, self.request(Method::GET, path))
    }

    /// Does something.
    pub fn call(&self, method: Method, path: &str, body: Option<&Value>) -> Value {
        let request = self.request(method, path);
        let request = match body {
            Some(body) => request.json(body),
            None => request,
        };
        Self::document(path, request)
    }

    fn document(path: &str, request: RequestBuilder) -> Value {
        let answer = request
            .send()
            .unwrap_or_else(|error| panic!("{path}: {error}"));
        let status = answer.status();
        let text = answer.text().unwrap_or_default();
        assert!(status.is_success(), "{path}: {status} {text}");
        serde_json::from_str(&text).unwrap_or_default()
    }
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
