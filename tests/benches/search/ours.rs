//! Our node: a real process, asked over its socket.

use crate::asking::{figure, find};
use crate::syncing;
use crate::texts::Notes;
use brain_tests::measure::api::{Api, until};
use brain_tests::measure::quantile;
use brain_tests::measure::side::{Side, keep};
use brain_tests::measure::usage::{cpu_ms, cpu_s, disk, memory_kib};
use brain_tests::{Node, process};
use serde_json::{Value, json};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

const LOOK: Duration = Duration::from_millis(20);
const SETTLE: Duration = Duration::from_secs(15);
/// For taking in and rebuilding: a million notes are to pass.
const LONG: Duration = Duration::from_hours(3);
const CLIENTS: usize = 8;
const WARM_UP: usize = 100;
/// Writes in a second while others search.
const WRITE_EVERY: Duration = Duration::from_millis(50);
/// Durable writes by several clients, together.
const WRITES: usize = 4_000;
const READS: usize = 20_000;

/// Takes what was measured and how it came out, as soon as it is known.
pub(crate) type Tell<'a> = dyn Fn(&str, &str) + 'a;

/// Measures a node on these notes.
pub(crate) fn measure(tell: &Tell<'_>, notes: &Notes, queries: usize) {
    let mut side = Side::start("bench");
    take_in(tell, notes, &side);
    tell("memory after taking in", &memory(&side));
    // The parts of the text index are merged once nobody writes.
    std::thread::sleep(SETTLE);
    search(tell, notes, queries, &side);
    side.node.stop();
    start(tell, "ready after a stop", &mut side);
    tell("disk, of the text", &size(notes, &side.node));
    until("all is indexed", LOOK, || side.is_quiet());
    std::thread::sleep(Duration::from_secs(2));
    tell("memory, idle after a start", &memory(&side));
    let asked = notes.queries(queries, 5);
    let found = find(&side.node, &asked, 1, &Value::Null);
    tell("hybrid, 1 client, after a start", &found);
    tell("memory after these", &memory(&side));
    verbs(tell, &side.node);
    let asked = notes.queries(4 * queries, 6);
    let (found, synced) = syncing::find(&side, &asked);
    tell("hybrid, 8 clients, while a peer syncs", &found);
    tell("what was synced meanwhile", &synced);
    side.node.kill();
    start(tell, "ready after kill -9", &mut side);
    rebuild(tell, notes, &side);
}

fn take_in(tell: &Tell<'_>, notes: &Notes, side: &Side) {
    let pid = side.pid();
    let folder = notes.folder.to_str().expect("the path is text");
    let (cpu, started) = (cpu_s(&[pid]), Instant::now());
    let mut import = side.node.command("brainctl");
    process::run(import.args(["import", folder]), b"", LONG).ok();
    let wall = started.elapsed().as_secs_f64();
    let found = format!("{wall:.1} s wall, {:.1} s CPU", cpu_s(&[pid]) - cpu);
    tell("taking in, durable and found by words", &found);
    until("all is indexed", LOOK, || side.is_quiet());
    let (wall, cpu) = (started.elapsed().as_secs_f64(), cpu_s(&[pid]) - cpu);
    let rate = figure(notes.count) / cpu;
    let found = format!("{wall:.1} s wall, {cpu:.1} s CPU, {rate:.0} notes per CPU second");
    tell("the same, with vectors", &found);
}

fn search(tell: &Tell<'_>, notes: &Notes, queries: usize, side: &Side) {
    let mut seed = 1;
    let mut next = |count: usize| {
        seed += 1;
        notes.queries(count, seed)
    };
    let warm_up = find(&side.node, &next(WARM_UP), 1, &Value::Null);
    tell("first searches", &warm_up);
    let few = json!({"selector": "tag:part/7"});
    for (name, asked) in [
        ("hybrid, 1 client", json!({})),
        ("words, 1 client", json!({"mode": "text"})),
        ("meaning, 1 client", json!({"mode": "vector"})),
        ("hybrid in 1 %, 1 client", few.clone()),
        ("words in 1 %, 1 client", {
            let mut words = few;
            words["mode"] = "text".into();
            words
        }),
    ] {
        tell(name, &find(&side.node, &next(queries), 1, &asked));
    }
    let found = find(&side.node, &next(8 * queries), CLIENTS, &Value::Null);
    tell("hybrid, 8 clients", &found);
    let writing = AtomicBool::new(true);
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let api = Api::on(&side.node.socket());
            let mut number = 0;
            while writing.load(Ordering::Relaxed) {
                keep(&api, &format!("written meanwhile {number}"), &[]);
                number += 1;
                std::thread::sleep(WRITE_EVERY);
            }
        });
        let found = find(&side.node, &next(4 * queries), CLIENTS, &Value::Null);
        tell("hybrid, 8 clients, while one writes", &found);
        writing.store(false, Ordering::Relaxed);
        writer.join().expect("the writer ends");
    });
}

/// Makes all read models anew from the log.
fn rebuild(tell: &Tell<'_>, notes: &Notes, side: &Side) {
    let (cpu, started) = (cpu_s(&[side.pid()]), Instant::now());
    let mut rebuild = side.node.command("brainctl");
    process::run(rebuild.args(["index", "rebuild"]), b"", LONG).ok();
    let (wall, cpu) = (started.elapsed().as_secs_f64(), cpu_s(&[side.pid()]) - cpu);
    let rate = figure(notes.count) / cpu;
    let found = format!("{wall:.1} s wall, {cpu:.1} s CPU, {rate:.0} notes per CPU second");
    tell("read models made anew", &found);
    tell("memory after it", &memory(side));
}

/// Single durable writes and reads by id, by several clients.
fn verbs(tell: &Tell<'_>, node: &Node) {
    let pid = node.pid().expect("it runs");
    let ids = std::sync::Mutex::new(Vec::new());
    let run = |name: &str, count: usize, work: &(dyn Fn(&Api, usize) + Sync)| {
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
        tell(name, &found);
    };
    run(
        "single durable writes, 8 clients",
        WRITES,
        &|api, number| {
            let id = keep(api, &format!("written alone {number}"), &[]);
            ids.lock().expect("no panic").push(id);
        },
    );
    let ids = ids.lock().expect("no panic").clone();
    run("reads by id, 8 clients", READS, &|api, number| {
        let id = ids.get(number % ids.len()).map_or("", String::as_str);
        api.get(&format!("/v1/memories/{id}"));
    });
}

fn start(tell: &Tell<'_>, name: &str, side: &mut Side) {
    let started = Instant::now();
    side.node.start_again();
    tell(name, &format!("{:.2} s", started.elapsed().as_secs_f64()));
    side.api = Api::on(&side.node.socket());
}

fn memory(side: &Side) -> String {
    let (now, most) = memory_kib(side.pid());
    format!("{} MB, at most {} MB", now / 1_000, most / 1_000)
}

#[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
fn size(notes: &Notes, node: &Node) -> String {
    let (text, folder) = (notes.bytes as f64, disk(&node.home()) as f64);
    let index = disk(&node.home().join("text")) as f64;
    let [all, index] = [folder, index].map(|bytes| bytes / text);
    format!("{all:.2} x, of it {index:.2} x the text index")
}
