//! A real node that keeps the documents and answers the queries.

use crate::collection::Collection;
use brain_tests::Node;
use brain_tests::measure::api::{Api, until};
use hyper::Method;
use serde_json::json;
use std::collections::{BTreeMap, HashMap};
use std::sync::Mutex;
use std::time::Duration;

const LOOK: Duration = Duration::from_millis(50);
/// Writers at once: a durable write waits for the disk, and several wait together.
const CLIENTS: usize = 8;
/// Hits asked for; recall is taken at this depth.
const DEPTH: usize = 100;

/// Returns for each mode and query the numbers of the documents found, best first.
pub(crate) fn ask(collection: &Collection) -> BTreeMap<String, BTreeMap<String, Vec<String>>> {
    let node = Node::start("quality");
    let numbers = take_in(collection, &node);
    let api = Api::on(&node.socket());
    until("all is indexed", LOOK, || {
        let status = api.get("/v1/node");
        let projections = status["projections"].as_array();
        projections.is_some_and(|all| all.iter().all(|one| one["lag"] == 0))
    });
    let find = |mode: &str, query: &str| {
        let asked = json!({"query": query, "mode": mode, "limit": DEPTH});
        let answer = api.call(Method::POST, "/v1/search", Some(&asked));
        let hits = answer["hits"].as_array().cloned().unwrap_or_default();
        let number = |hit: &serde_json::Value| numbers.get(hit["id"].as_str()?).cloned();
        hits.iter().filter_map(number).collect::<Vec<String>>()
    };
    let modes = ["text", "vector", "hybrid"].into_iter();
    let ranked = modes.map(|mode| {
        let queries = collection.queries.iter();
        let found = queries.map(|(number, query)| (number.clone(), find(mode, query)));
        (mode.to_owned(), found.collect())
    });
    ranked.collect()
}

/// Keeps every document and returns the number behind each id.
fn take_in(collection: &Collection, node: &Node) -> HashMap<String, String> {
    let numbers = Mutex::new(HashMap::new());
    let part = collection.documents.len().div_ceil(CLIENTS);
    std::thread::scope(|scope| {
        for documents in collection.documents.chunks(part) {
            let numbers = &numbers;
            scope.spawn(move || {
                let api = Api::on(&node.socket());
                for (number, text) in documents {
                    let new = json!({"body": text});
                    let kept = api.call(Method::POST, "/v1/memories", Some(&new));
                    let id = kept["id"].as_str().expect("a memory has an id").to_owned();
                    numbers.lock().expect("no panic").insert(id, number.clone());
                }
            });
        }
    });
    numbers.into_inner().expect("no panic")
}
