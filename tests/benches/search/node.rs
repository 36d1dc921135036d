//! Our node: a real process, asked over its socket.

use crate::texts::Notes;
use brain_tests::measure::api::{Api, until};
use brain_tests::measure::quantile;
use brain_tests::measure::usage::{cpu_ms, cpu_s, disk, memory_kib};
use brain_tests::{Node, process};
use reqwest::Method;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

const LOOK: Duration = Duration::from_millis(20);
const IMPORT_MAX: Duration = Duration::from_hours(1);
const CLIENTS: usize = 8;
const WARM_UP: usize = 100;
/// Writes in a second while others search.
const WRITE_EVERY: Duration = Duration::from_millis(50);
/// Durable writes by several clients, together.
const WRITES: usize = 4_000;
const READS: usize = 20_000;

/// What was measured, and how it came out.
pub(crate) type Rows = Vec<(String, String)>;

/// Measures a node on these notes.
pub(crate) fn measure(notes: &Notes, queries: usize) -> Rows {
    let mut rows = Rows::new();
    let mut node = Node::start("bench");
    let api = Api::on(&node.socket());
    take_in(&mut rows, notes, &node, &api);
    let pid = node.pid().expect("it runs");
    rows.push(("memory after taking in".to_owned(), memory(pid)));
    search(&mut rows, notes, queries, &node);
    node.stop();
    start(&mut rows, &mut node, false);
    rows.push(("disk, of the text".to_owned(), size(notes, &node)));
    let pid = node.pid().expect("it runs");
    until("all is indexed", LOOK, || {
        is_quiet(&Api::on(&node.socket()))
    });
    std::thread::sleep(Duration::from_secs(2));
    rows.push(("memory, idle after a start".to_owned(), memory(pid)));
    find(
        &mut rows,
        "hybrid, 1 client, after a start",
        &node,
        &notes.queries(queries, 5),
        1,
        &Value::Null,
    );
    rows.push(("memory after these".to_owned(), memory(pid)));
    verbs(&mut rows, &node);
    node.kill();
    start(&mut rows, &mut node, true);
    rows
}

fn take_in(rows: &mut Rows, notes: &Notes, node: &Node, api: &Api) {
    let pid = node.pid().expect("it runs");
    let folder = notes.folder.to_str().expect("the path is text");
    let (cpu, started) = (cpu_s(&[pid]), Instant::now());
    let mut import = node.command("brainctl");
    process::run(import.args(["import", folder]), b"", IMPORT_MAX).ok();
    let wall = started.elapsed().as_secs_f64();
    let found = format!("{wall:.1} s wall, {:.1} s CPU", cpu_s(&[pid]) - cpu);
    rows.push(("taking in, durable and found by words".to_owned(), found));
    until("all is indexed", LOOK, || is_quiet(api));
    let (wall, cpu) = (started.elapsed().as_secs_f64(), cpu_s(&[pid]) - cpu);
    let rate = figure(notes.count) / cpu;
    let found = format!("{wall:.1} s wall, {cpu:.1} s CPU, {rate:.0} notes per CPU second");
    rows.push(("the same, with vectors".to_owned(), found));
}

fn search(rows: &mut Rows, notes: &Notes, queries: usize, node: &Node) {
    let mut seed = 1;
    let mut next = |count: usize| {
        seed += 1;
        notes.queries(count, seed)
    };
    find(
        rows,
        "first searches",
        node,
        &next(WARM_UP),
        1,
        &Value::Null,
    );
    let few = json!({"selector": "tag:part/7"});
    for (name, asked) in [
        ("hybrid, 1 client", json!({})),
        ("words, 1 client", json!({"mode": "text"})),
        ("meaning, 1 client", json!({"mode": "vector"})),
        ("hybrid in 1 %, 1 client", few),
    ] {
        find(rows, name, node, &next(queries), 1, &asked);
    }
    find(
        rows,
        "hybrid, 8 clients",
        node,
        &next(8 * queries),
        CLIENTS,
        &Value::Null,
    );
    let writing = std::sync::atomic::AtomicBool::new(true);
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let api = Api::on(&node.socket());
            let mut number = 0;
            while writing.load(std::sync::atomic::Ordering::Relaxed) {
                keep(&api, &format!("written meanwhile {number}"));
                number += 1;
                std::thread::sleep(WRITE_EVERY);
            }
        });
        let name = "hybrid, 8 clients, while one writes";
        find(rows, name, node, &next(4 * queries), CLIENTS, &Value::Null);
        writing.store(false, std::sync::atomic::Ordering::Relaxed);
        writer.join().expect("the writer ends");
    });
}

/// Asks all queries, each once, by so many clients, and tells how long they took.
fn find(
    rows: &mut Rows,
    name: &str,
    node: &Node,
    queries: &[String],
    clients: usize,
    more: &Value,
) {
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
    let found = format!(
        "{cpu:.2} ms CPU, p50 {half:.1} ms, p99 {most:.1} ms, {rate:.0} a second, {hits:.1} hits"
    );
    rows.push((name.to_owned(), found));
}

/// Single durable writes and reads by id, by several clients.
fn verbs(rows: &mut Rows, node: &Node) {
    let pid = node.pid().expect("it runs");
    let ids = std::sync::Mutex::new(Vec::new());
    let mut run = |name: &str, count: usize, work: &(dyn Fn(&Api, usize) + Sync)| {
        let (cpu, started) = (cpu_ms(&[pid]), Instant::now());
        let took = std::sync::Mutex::new(Vec::new());
        std::thread::scope(|scope| {
            for client in 0..CLIENTS {
                let took = &took;
                scope.spawn(move || {
                    let api = Api::on(&node.socket());
                    let mut own = Vec::new();
                    for number in 0..count / CLIENTS {
                        let started = Instant::now();
                        work(&api, client * count + number);
                        own.push(started.elapsed().as_secs_f64() * 1_000.0);
                    }
                    took.lock().expect("no panic").extend(own);
                });
            }
        });
        let wall = started.elapsed().as_secs_f64();
        let cpu = (cpu_ms(&[pid]) - cpu) / figure(count);
        let took = took.into_inner().expect("no panic");
        let [half, most] = [0.5, 0.99].map(|share| quantile(&took, share));
        let rate = figure(count) / wall;
        let found =
            format!("{rate:.0} a second, {cpu:.2} ms CPU, p50 {half:.1} ms, p99 {most:.1} ms");
        rows.push((name.to_owned(), found));
    };
    run(
        "single durable writes, 8 clients",
        WRITES,
        &|api, number| {
            let id = keep(api, &format!("written alone {number}"));
            ids.lock().expect("no panic").push(id);
        },
    );
    let ids = ids.lock().expect("no panic").clone();
    run("reads by id, 8 clients", READS, &|api, number| {
        let id = ids.get(number % ids.len()).map_or("", String::as_str);
        api.get(&format!("/v1/memories/{id}"));
    });
}

fn keep(api: &Api, body: &str) -> String {
    let new = json!({"body": body});
    let kept = api.call(Method::POST, "/v1/memories", Some(&new));
    kept["id"].as_str().unwrap_or_default().to_owned()
}

fn start(rows: &mut Rows, node: &mut Node, was_killed: bool) {
    let started = Instant::now();
    node.start_again();
    let took = started.elapsed().as_secs_f64();
    let name = if was_killed {
        "ready after kill -9"
    } else {
        "ready after a stop"
    };
    rows.push((name.to_owned(), format!("{took:.2} s")));
}

fn is_quiet(api: &Api) -> bool {
    let status = api.get("/v1/node");
    let projections = status["projections"].as_array();
    projections.is_some_and(|all| all.iter().all(|one| one["lag"] == 0))
}

fn memory(pid: u32) -> String {
    let (now, most) = memory_kib(pid);
    format!("{} MB, at most {} MB", now / 1_000, most / 1_000)
}

#[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
fn size(notes: &Notes, node: &Node) -> String {
    let (text, folder) = (notes.bytes as f64, disk(&node.home()) as f64);
    let index = disk(&node.home().join("text")) as f64;
    let [all, index] = [folder, index].map(|bytes| bytes / text);
    format!("{all:.2} x, of it {index:.2} x the text index")
}

#[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
fn figure(number: usize) -> f64 {
    number as f64
}
