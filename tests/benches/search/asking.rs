//! Clients that search: each query once, over the socket, and how long the answers took.

use brain_tests::Node;
use brain_tests::measure::api::Api;
use brain_tests::measure::quantile;
use brain_tests::measure::usage::cpu_ms;
use hyper::Method;
use serde_json::{Value, json};
use std::time::Instant;

/// Asks all queries, each once, by so many clients, and tells how long they took; `more` is added
/// to every request.
pub(crate) fn find(node: &Node, queries: &[String], clients: usize, more: &Value) -> String {
    let pid = node.pid().expect("it runs");
    let ask = |query: &String| {
        let mut asked = json!({"query": query});
        if let (Some(asked), Some(more)) = (asked.as_object_mut(), more.as_object()) {
            asked.extend(more.clone());
        }
        asked
    };
    let (cpu, started) = (cpu_ms(&[pid]), Instant::now());
    let (mut took, mut hits) = (Vec::new(), 0);
    std::thread::scope(|scope| {
        let parts = queries.chunks(queries.len().div_ceil(clients));
        let clients = parts.map(|part| {
            scope.spawn(move || {
                let api = Api::on(&node.socket());
                let (mut took, mut hits) = (Vec::new(), 0);
                for query in part {
                    let started = Instant::now();
                    let found = api.call(Method::POST, "/v1/search", Some(&ask(query)));
                    took.push(started.elapsed().as_secs_f64() * 1_000.0);
                    hits += found["hits"].as_array().map_or(0, Vec::len);
                }
                (took, hits)
            })
        });
        for client in clients.collect::<Vec<_>>() {
            let (more, found) = client.join().expect("a client ends");
            took.extend(more);
            hits += found;
        }
    });
    let cpu = (cpu_ms(&[pid]) - cpu) / figure(queries.len());
    let rate = figure(queries.len()) / started.elapsed().as_secs_f64();
    let [half, most] = [0.5, 0.99].map(|share| quantile(&took, share));
    let hits = figure(hits) / figure(queries.len());
    format!(
        "{cpu:.2} ms CPU, p50 {half:.1} ms, p99 {most:.1} ms, {rate:.0} a second, {hits:.1} hits"
    )
}

/// Returns a count as a figure.
#[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
pub(crate) fn figure(number: usize) -> f64 {
    number as f64
}
