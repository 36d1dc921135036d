//! A node of a benchmark with its API, and how two of them come to share memories.

use super::api::{Api, until};
use crate::Node;
use hyper::Method;
use serde_json::{Value, json};
use std::time::Duration;

const LOOK: Duration = Duration::from_millis(20);

/// A node and its API.
#[derive(Debug)]
pub struct Side {
    /// The node, a process of its own.
    pub node: Node,
    /// Its API.
    pub api: Api,
}

impl Side {
    /// Starts a node on a new folder.
    pub fn start(name: &str) -> Self {
        let node = Node::start(name);
        let api = Api::on(&node.socket());
        Self { node, api }
    }

    /// Returns the number of the process.
    pub fn pid(&self) -> u32 {
        self.node.pid().expect("it runs")
    }

    /// How the only peer stands.
    pub fn peer(&self) -> Value {
        let status = self.api.get("/v1/sync");
        status.pointer("/peers/0").cloned().unwrap_or_default()
    }

    /// Tells whether both have proved to hold the same.
    pub fn is_in_sync(&self) -> bool {
        self.peer()["in_sync"] == true
    }

    /// Tells whether both have proved to hold the same, so many memories at the least.
    pub fn shares(&self, count: u64) -> bool {
        let peer = self.peer();
        peer["in_sync"] == true && peer["mine"].as_u64() >= Some(count)
    }

    /// Returns all bytes in both directions since the start.
    pub fn bytes(&self) -> u64 {
        let peer = self.peer();
        let both = ["bytes_in", "bytes_out"].map(|name| peer[name].as_u64());
        both.into_iter().flatten().sum()
    }

    /// Returns the memory that is found first by a word.
    pub fn finds(&self, word: &str) -> Option<String> {
        let ask = json!({"query": word, "mode": "text"});
        let found = self.api.call(Method::POST, "/v1/search", Some(&ask));
        let id = found.pointer("/hits/0/id").and_then(Value::as_str);
        id.map(str::to_owned)
    }

    /// Keeps a note and returns its id.
    pub fn keep(&self, body: &str, tags: &[&str]) -> String {
        keep(&self.api, body, tags)
    }

    /// Tells whether nothing is left to be done in the background.
    pub fn is_quiet(&self) -> bool {
        let status = self.api.get("/v1/node");
        let projections = status["projections"].as_array();
        projections.is_some_and(|all| all.iter().all(|one| one["lag"] == 0))
    }

    /// Introduces both to each other, under these names.
    pub fn pair(&self, other: &Self, [own_name, other_name]: [&str; 2]) {
        let invite = ["peer", "invite", "--name", other_name, "--ids"];
        let ticket = self.node.brainctl(invite).ok().stdout.clone();
        let accept = ["peer", "accept", ticket.trim(), "--alias", own_name];
        other.node.brainctl(accept).ok();
        until("both are in sync", LOOK, || {
            self.is_in_sync() && other.is_in_sync()
        });
    }

    /// Offers what a selector takes in to the peer of this name, and returns the grant that waits
    /// for the other's yes.
    pub fn offer(&self, other: &Self, name: &str, selector: &str) -> String {
        let offer = ["share", selector, "--with", name, "--as", "write", "--yes"];
        self.node.brainctl(offer).ok();
        let mut grant = None;
        until("the other is asked", LOOK, || {
            let waiting = other.api.get("/v1/requests");
            let id = waiting.pointer("/items/0/id").and_then(Value::as_str);
            grant = id.map(str::to_owned);
            grant.is_some()
        });
        grant.expect("it was just seen")
    }

    /// Says yes to a grant.
    pub fn approve(&self, grant: &str) {
        let path = format!("/v1/requests/{grant}:approve");
        self.api.call(Method::POST, &path, None);
    }
}

/// Keeps a note through this client and returns its id.
pub fn keep(api: &Api, body: &str, tags: &[&str]) -> String {
    let new = json!({"body": body, "tags": tags});
    let kept = api.call(Method::POST, "/v1/memories", Some(&new));
    kept["id"].as_str().unwrap_or_default().to_owned()
}
