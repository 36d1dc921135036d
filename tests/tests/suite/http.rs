//! Speaks HTTP to a node over its Unix socket, as a program of the person's own would.

use brain_tests::Node;
use reqwest::Method;
use reqwest::blocking::Client;
use serde_json::Value;
use std::path::Path;

/// A connection to the API of one node; it outlives the node's process.
#[derive(Debug, Clone)]
pub(crate) struct Http(Client);

/// A status and a document (`null` where there is none).
pub(crate) type Answer = (u16, Value);

impl Http {
    /// Connects to a node's socket.
    pub(crate) fn of(node: &Node) -> Self {
        Self::at(&node.socket())
    }

    fn at(socket: &Path) -> Self {
        let client = Client::builder().no_proxy().unix_socket(socket).build();
        Self(client.expect("a client can be made"))
    }

    /// Calls a route; `None` if the node does not answer.
    pub(crate) fn call(&self, method: &str, path: &str, body: Option<&Value>) -> Option<Answer> {
        let method: Method = method.parse().expect("this is a method");
        let request = self.0.request(method, format!("http://localhost{path}"));
        let request = match body {
            Some(body) => request.json(body),
            None => request,
        };
        let response = request.send().ok()?;
        let status = response.status().as_u16();
        let text = response.text().ok()?;
        Some((status, serde_json::from_str(&text).unwrap_or_default()))
    }

    /// Calls a route, which must succeed, and returns its document.
    pub(crate) fn ok(&self, method: &str, path: &str, body: Option<&Value>) -> Value {
        let answer = self.call(method, path, body);
        let (status, document) = answer.unwrap_or_else(|| panic!("{method} {path}: no answer"));
        assert!(
            (200..300).contains(&status),
            "{method} {path}: {status} {document:#}"
        );
        document
    }

    /// Returns a memory, if the node has it.
    pub(crate) fn memory(&self, id: &str) -> Option<Value> {
        let (status, document) = self.call("GET", &format!("/v1/memories/{id}"), None)?;
        assert!(
            matches!(status, 200 | 404 | 410),
            "{id}: {status} {document:#}"
        );
        (status == 200).then_some(document)
    }

    /// Keeps a memory and returns its id.
    pub(crate) fn add(&self, body: &str, tag: &str) -> String {
        let new = serde_json::json!({"body": body, "tags": [tag]});
        text(&self.ok("POST", "/v1/memories", Some(&new)), "id")
    }
}

/// Returns a field that is a text.
pub(crate) fn text(document: &Value, field: &str) -> String {
    let found = document.get(field).and_then(Value::as_str);
    found
        .unwrap_or_else(|| panic!("no text {field} in {document:#}"))
        .to_owned()
}
