//! Two of our nodes on loopback: real processes, the same notes.

use crate::figures::{Cost, Figures};
use crate::notes::{Notes, own_word};
use brain_tests::Node;
use brain_tests::measure::api::{Api, settled, until};
use brain_tests::measure::usage::{cpu_ms, cpu_s, disk, memory_kib};
use reqwest::Method;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

const LOOK: Duration = Duration::from_millis(20);
/// How many connections are made anew; the figures are the mean.
const RECONNECTS: u32 = 8;
/// Longer than a connection waits for a sign of life, which is 10 s.
const SLEEP: Duration = Duration::from_secs(12);
/// By when a new session is over and both are quiet again.
const QUIET: Duration = Duration::from_secs(2);

/// A node and its API.
struct Side {
    node: Node,
    api: Api,
}

impl Side {
    fn start(name: &str) -> Self {
        let node = Node::start(name);
        let api = Api::on(&node.socket());
        Self { node, api }
    }

    fn pid(&self) -> u32 {
        self.node.pid().expect("it runs")
    }

    /// How the only peer stands.
    fn peer(&self) -> Value {
        let status = self.api.get("/v1/sync");
        status.pointer("/peers/0").cloned().unwrap_or_default()
    }

    fn is_in_sync(&self) -> bool {
        self.peer()["in_sync"] == true
    }

    /// Returns all bytes in both directions since the start.
    fn bytes(&self) -> u64 {
        let peer = self.peer();
        let both = ["bytes_in", "bytes_out"].map(|name| peer[name].as_u64());
        both.into_iter().flatten().sum()
    }

    fn finds(&self, word: &str) -> Option<String> {
        let ask = json!({"query": word, "mode": "text"});
        let found = self.api.call(Method::POST, "/v1/search", Some(&ask));
        let id = found.pointer("/hits/0/id").and_then(Value::as_str);
        id.map(str::to_owned)
    }

    /// Tells whether nothing is left to be done in the background.
    fn is_quiet(&self) -> bool {
        let status = self.api.get("/v1/node");
        let projections = status["projections"].as_array();
        projections.is_some_and(|all| all.iter().all(|one| one["lag"] == 0))
    }
}

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

/// Introduces both, has one offer all to the other, and returns the grant that waits for a yes.
fn offered(one: &Side, other: &Side) -> String {
    let ticket = one
        .node
        .brainctl(["peer", "invite", "--name", "bob", "--ids"]);
    let ticket = ticket.ok().stdout.trim().to_owned();
    other
        .node
        .brainctl(["peer", "accept", &ticket, "--alias", "ana"])
        .ok();
    until("both are in sync", LOOK, || {
        one.is_in_sync() && other.is_in_sync()
    });
    let offer = [
        "share",
        "tag:shared",
        "--with",
        "bob",
        "--as",
        "write",
        "--yes",
    ];
    one.node.brainctl(offer).ok();
    let mut grant = None;
    until("the other is asked", LOOK, || {
        let waiting = other.api.get("/v1/requests");
        let id = waiting.pointer("/items/0/id").and_then(Value::as_str);
        grant = id.map(str::to_owned);
        grant.is_some()
    });
    grant.expect("it was just seen")
}

fn first_sync(figures: &mut Figures, one: &Side, other: &Side, count: usize) {
    let both = [one.pid(), other.pid()];
    let grant = offered(one, other);
    let (cpu, bytes, started) = (cpu_s(&both), other.bytes(), Instant::now());
    let path = format!("/v1/requests/{grant}:approve");
    other.api.call(Method::POST, &path, None);
    until("both have proved the same", LOOK, || {
        let has = |side: &Side| {
            let peer = side.peer();
            peer["in_sync"] == true && peer["mine"].as_u64() >= Some(count as u64)
        };
        has(other) && has(one)
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
