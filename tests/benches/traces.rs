//! How much slower a node is that records every step and sends it to a collector.
//!
//! ```sh
//! cargo build --release --workspace --bins
//! BRAIN_TEST_BIN_DIR=$PWD/target/release cargo bench --workspace --profile dev --bench traces
//! ```
//!
//! Two nodes on folders of their own, the same but for `OTEL_EXPORTER_OTLP_ENDPOINT`, take turns in
//! rounds of the same requests: writes, reads and searches, from several clients at once (`CLIENTS`,
//! `REQUESTS` in a round, `ROUNDS`). The endpoint reads what comes, answers, and forgets it. A ratio
//! is of one round with traces to the round beside it without; the median of them is told, with the
//! lowest and the highest.

use brain_tests::Node;
use brain_tests::measure::api::Api;
use brain_tests::measure::usage::cpu_ms;
use brain_tests::measure::{number, quantile};
use hyper::Method;
use serde_json::json;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::time::Instant;

/// What a round asks for.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Write,
    Read,
    Search,
}

/// A node of the benchmark.
struct Subject {
    node: Node,
    api: Vec<Api>,
    ids: Vec<String>,
}

/// What a round took.
struct Round {
    wall_s: f64,
    cpu_ms: f64,
}

impl Subject {
    fn start(name: &str, extra: &[(&str, &str)], clients: usize) -> Self {
        let node = Node::start_with(name, extra);
        let api = (0..clients).map(|_| Api::on(&node.socket())).collect();
        let ids = Vec::new();
        Self { node, api, ids }
    }

    /// Asks for as many things as there are requests in a round, from all clients at once.
    fn round(&mut self, kind: Kind, from: usize, requests: usize) -> Round {
        let process = [self.node.pid().expect("it runs")];
        let (started, before) = (Instant::now(), cpu_ms(&process));
        let share = requests / self.api.len();
        let ids = &self.ids;
        let written: Vec<String> = std::thread::scope(|scope| {
            let work = self.api.iter().enumerate().map(|(client, api)| {
                scope.spawn(move || {
                    let numbers = (0..share).map(|at| from + client * share + at);
                    numbers
                        .filter_map(|number| ask(api, kind, number, ids))
                        .collect::<Vec<_>>()
                })
            });
            let work: Vec<_> = work.collect();
            let done = work.into_iter();
            done.flat_map(|work| work.join().expect("a client ends"))
                .collect()
        });
        self.ids.extend(written);
        Round {
            wall_s: started.elapsed().as_secs_f64(),
            cpu_ms: cpu_ms(&process) - before,
        }
    }
}

const WORDS: [&str; 8] = [
    "rye", "lentil", "kettle", "harbour", "ledger", "violin", "granite", "orchard",
];

/// Asks for one thing; returns the id of what was written.
fn ask(api: &Api, kind: Kind, number: usize, ids: &[String]) -> Option<String> {
    let word = WORDS[number % WORDS.len()];
    match kind {
        Kind::Write => {
            let body = format!(
                "Note {number}: the {word} stood by the {}.",
                WORDS[number / 8 % 8]
            );
            let new = json!({"body": body, "tags": ["bench"]});
            let kept = api.call(Method::POST, "/v1/memories", Some(&new));
            kept["id"].as_str().map(str::to_owned)
        }
        Kind::Read => {
            let id = &ids[number % ids.len()];
            api.get(&format!("/v1/memories/{id}"));
            None
        }
        Kind::Search => {
            let query = json!({"query": format!("{word} {number}")});
            api.call(Method::POST, "/v1/search", Some(&query));
            None
        }
    }
}

/// Starts an endpoint that takes everything; returns its address.
fn endpoint() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has a port");
    let address = listener.local_addr().expect("it is bound");
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || while forget(&stream).is_some() {});
        }
    });
    format!("http://{address}")
}

/// Reads a request, answers it, and keeps nothing.
fn forget(mut stream: &TcpStream) -> Option<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).ok()?;
        head.extend(byte);
    }
    let head = String::from_utf8(head).ok()?.to_lowercase();
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length:"))?;
    let mut body = vec![0; length.trim().parse().ok()?];
    stream.read_exact(&mut body).ok()?;
    stream
        .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
        .ok()
}

#[expect(clippy::print_stdout, reason = "a benchmark prints its table")]
fn main() {
    let clients = number("CLIENTS", 4);
    let (rounds, requests) = (number("ROUNDS", 15), number("REQUESTS", 2_000));
    let endpoint = endpoint();
    let traced = [("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str())];
    let mut plain = Subject::start("plain", &[], clients);
    let mut traced = Subject::start("traced", &traced, clients);
    println!("{rounds} rounds of {requests} requests, {clients} clients; with traces / without");
    for kind in [Kind::Write, Kind::Read, Kind::Search] {
        let (mut wall, mut cpu, mut rate) = (Vec::new(), Vec::new(), Vec::new());
        for round in 0..=rounds {
            let from = round * requests;
            // Whoever goes second finds another machine: they take turns in that too.
            let mut sides = [&mut plain, &mut traced];
            if round % 2 == 1 {
                sides.reverse();
            }
            let mut took = sides.map(|side| side.round(kind, from, requests));
            if round % 2 == 1 {
                took.reverse();
            }
            let [without, with] = took;
            // The first one fills caches.
            if round > 0 {
                wall.push(with.wall_s / without.wall_s);
                cpu.push(with.cpu_ms / without.cpu_ms);
                #[expect(clippy::cast_precision_loss, reason = "a count of requests")]
                rate.push(requests as f64 / without.wall_s);
            }
        }
        let show = |values: &[f64]| {
            let [low, middle, high] = [0.0, 0.5, 1.0].map(|share| quantile(values, share));
            format!("{middle:.3} ({low:.3} to {high:.3})")
        };
        println!(
            "{kind:?}: time {}, CPU of the node {}; {:.0} a second without",
            show(&wall),
            show(&cpu),
            quantile(&rate, 0.5)
        );
    }
}
