//! Two of our nodes on loopback: real processes, the same notes.

use crate::figures::{Cost, Figures};
use crate::notes::{Notes, own_word};
use brain_tests::measure::api::{settled, until};
use brain_tests::measure::side::Side;
use brain_tests::measure::usage::{cpu_ms, cpu_s, disk, memory_kib};
use hyper::Method;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;
use std::time::{Duration, Instant};

const LOOK: Duration = Duration::from_millis(20);
/// How many connections are made anew; the figures are the mean.
const RECONNECTS: u32 = 8;
/// Longer than a connection waits for a sign of life, which is 10 s.
const SLEEP: Duration = Duration::from_secs(12);
/// By when a new session is over and both are quiet again.
const QUIET: Duration = Duration::from_secs(2);

/// Measures two of our nodes.
pub(crate) fn measure(notes: &Notes, edits: usize) -> Figures {
    let (one, other) = (Side::start("ana"), Side::start("bob"));
    let mut figures = Figures::default();
    let (cpu, started) = (cpu_s(&[one.pid()]), Instant::now());
    let folder = notes
        .folder
        .to_str()
        .expect("temporary folders have plain names");
    one.node
        .brainctl(["import", folder, "--tag", "shared"])
        .ok();
    figures.taken_in.wall = started.elapsed().as_secs_f64();
    until("meaning is known", LOOK, || one.is_quiet());
    figures.taken_in.cpu = cpu_s(&[one.pid()]) - cpu;
    first_sync(&mut figures, &one, &other, notes.count);
    for number in 0..edits {
        let took = edit(&one, &other, &own_word(number % notes.count), number);
        figures.edits.push(took);
    }
    reconnect(&mut figures, &one, &other);
    figures.memory = [&one, &other].map(|side| memory_kib(side.pid()));
    figures.disk = [&one, &other].map(|side| disk(&side.node.home()));
    figures
}

fn first_sync(figures: &mut Figures, one: &Side, other: &Side, count: usize) {
    let both = [one.pid(), other.pid()];
    one.pair(other, ["ana", "bob"]);
    let grant = one.offer(other, "bob", "tag:shared");
    let (cpu, bytes, started) = (cpu_s(&both), other.bytes(), Instant::now());
    other.approve(&grant);
    until("both have proved the same", LOOK, || {
        other.shares(count as u64) && one.shares(count as u64)
    });
    assert!(
        other.finds(&own_word(count - 1)).is_some(),
        "it is searchable"
    );
    figures.first = Cost {
        wall: started.elapsed().as_secs_f64(),
        cpu: cpu_s(&both) - cpu,
    };
    figures.first_bytes = settled(|| other.bytes()) - bytes;
    until("meaning is known", LOOK, || {
        one.is_quiet() && other.is_quiet()
    });
    figures.settled_cpu = cpu_s(&both) - cpu;
}

/// Appends a line to a note and returns how many milliseconds later the other side shows it.
fn edit(one: &Side, other: &Side, word: &str, number: usize) -> f64 {
    let id = one
        .finds(word)
        .expect("every note is found by its own word");
    let path = format!("/v1/memories/{id}");
    let before = one.api.get(&path);
    let body = before["body"].as_str().unwrap_or_default();
    let body = format!("{body}told {number}\n");
    let started = Instant::now();
    let change = json!({"body": body});
    one.api.call(Method::PATCH, &path, Some(&change));
    until("an edit arrives", Duration::from_millis(1), || {
        other.api.get(&path)["body"] == body.as_str()
    });
    let took = started.elapsed().as_secs_f64() * 1_000.0;
    until("both are in sync", LOOK, || {
        one.is_in_sync() && other.is_in_sync()
    });
    took
}

/// Lets the other sleep, as a laptop does, until the first has given the connection up, and counts
/// from there on. Of CPU, what the first spent meanwhile counts too, and what both spend when
/// nothing happens does not. Time and CPU are measured in turns: whoever looks every few
/// milliseconds costs CPU.
fn reconnect(figures: &mut Figures, one: &Side, other: &Side) {
    let in_sync = || one.is_in_sync() && other.is_in_sync();
    let (stop, go_on) = (
        || signal(other, Signal::STOP),
        || signal(other, Signal::CONT),
    );
    let spent = |before: &dyn Fn(), after: &dyn Fn()| {
        let first = cpu_ms(&[one.pid()]);
        before();
        std::thread::sleep(SLEEP);
        let second = cpu_ms(&[other.pid()]);
        after();
        std::thread::sleep(QUIET);
        cpu_ms(&[one.pid(), other.pid()]) - first - second
    };
    let mut sums = [0.0; 3];
    for _ in 0..RECONNECTS {
        let bytes = settled(|| other.bytes());
        stop();
        std::thread::sleep(SLEEP);
        go_on();
        let woken = Instant::now();
        until("both are in sync", Duration::from_millis(5), || {
            other.bytes() > bytes && in_sync()
        });
        sums[2] += woken.elapsed().as_secs_f64() * 1_000.0;
        let before = settled(|| other.bytes());
        sums[0] += figure(before - bytes);
        let usual = spent(&|| (), &|| ());
        sums[1] += spent(&stop, &go_on) - usual;
        assert!(other.bytes() > before && in_sync(), "equal again by now");
    }
    figures.reconnect = sums.map(|sum| sum / f64::from(RECONNECTS));
}

fn signal(side: &Side, signal: Signal) {
    let pid = i32::try_from(side.pid()).ok().and_then(Pid::from_raw);
    kill_process(pid.expect("it runs"), signal).expect("the process is ours");
}

#[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
fn figure(number: u64) -> f64 {
    number as f64
}
