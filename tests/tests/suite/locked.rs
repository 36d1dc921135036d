//! A locked node: nothing of what was opened is in its memory, and no route tells anything.
//!
//! ```text
//! open -> write and search a canary -> it and the keys are in the memory (so looking works)
//!      -> lock -> every byte of the same process is looked at -> unlock -> all is there
//! ```

use crate::http::{Http, text};
use aho_corasick::AhoCorasick;
use brain_tests::node::LOCKED;
use brain_tests::{EVENTUALLY_MAX, Node, eventually, process, root};
use serde_json::{Value, json};
use std::fs::{self, File};
use std::io::{Read as _, Seek as _, SeekFrom};
use std::time::{Duration, Instant};
use storage::cipher::Context;
use storage::keyring::{Keyring, Unlock};

const CANARY: &str = "qzxjcanary in the mine";
const WORDS: &str = "zjqx passphrase of the mine";
/// How much is looked at together; two windows overlap by more than a pattern.
const WINDOW: usize = 1 << 20;
const OVERLAP: usize = 256;
/// Routes that a locked node answers.
const OPEN: [&str; 4] = ["/healthz", "/readyz", "/v1/node/lock", "/v1/node/unlock"];

/// Counts each pattern in the memory of a child process.
fn count(pid: u32, patterns: &[Vec<u8>]) -> Vec<usize> {
    let automaton = AhoCorasick::new(patterns).expect("patterns");
    let maps = fs::read_to_string(format!("/proc/{pid}/maps")).expect("our own child");
    let mut memory = File::open(format!("/proc/{pid}/mem")).expect("our own child");
    let mut counts = vec![0; patterns.len()];
    let mut seen = 0;
    for line in maps.lines() {
        let mut parts = line.split_whitespace();
        let (range, mode) = (parts.next(), parts.next());
        let (Some(range), Some(mode)) = (range, mode) else {
            continue;
        };
        let Some((from, to)) = range.split_once('-') else {
            continue;
        };
        // What the kernel maps into every process is not of this one and cannot be read.
        if !mode.starts_with('r') || line.contains("[v") {
            continue;
        }
        let number = |text| u64::from_str_radix(text, 16).expect("an address");
        let (mut at, to) = (number(from), number(to));
        while at < to {
            let length = usize::try_from(to - at).expect("a length").min(WINDOW);
            let mut window = vec![0; length];
            let read = memory
                .seek(SeekFrom::Start(at))
                .and_then(|_| memory.read_exact(&mut window));
            // Pages beyond the end of a mapped file cannot be read by anybody.
            if read.is_ok() {
                seen += length;
                for found in automaton.find_overlapping_iter(&window) {
                    counts[found.pattern().as_usize()] += 1;
                }
            }
            at += u64::try_from(length.saturating_sub(OVERLAP).max(1)).expect("a length");
            if length < WINDOW {
                break;
            }
        }
    }
    assert!(seen > 1 << 20, "only {seen} bytes of memory could be read");
    counts
}

/// Returns the canary, the master key and the keys that come from it.
fn patterns(node: &Node) -> Vec<Vec<u8>> {
    let raw = fs::read(node.home().join("master.key")).expect("a key file");
    let keyring = Keyring::open(&node.home(), Unlock::KeyFile).expect("it is plain");
    let derived = [Context::Values, Context::Files, Context::TextIndex];
    let keys = derived.map(|context| keyring.master().derive(context).to_vec());
    let texts = [CANARY.as_bytes().to_vec(), raw[10..42].to_vec()];
    texts.into_iter().chain(keys).collect()
}

/// Returns every route of the API: method, path with something in its place.
fn routes() -> Vec<(String, String)> {
    let api = fs::read_to_string(root().join("docs/openapi.json")).expect("a description");
    let api: Value = serde_json::from_str(&api).expect("the description is JSON");
    let paths = api["paths"].as_object().expect("it has paths");
    let all = paths.iter().flat_map(|(path, item)| {
        let methods = item.as_object().expect("a path has methods").keys();
        methods.map(move |method| (method.to_uppercase(), path.replace(['{', '}'], "")))
    });
    all.filter(|(_, path)| !OPEN.contains(&path.as_str()))
        .collect()
}

#[test]
fn a_locked_node_has_nothing_in_memory_and_tells_nothing() {
    let mut node = Node::start("mine");
    let http = Http::of(&node);
    let id = http.add(CANARY, "mine");
    http.ok("POST", "/v1/search", Some(&json!({"query": CANARY})));
    let mut patterns = patterns(&node);
    node.brainctl_with(
        ["node", "passphrase", "set", "--passphrase-file", "-"],
        format!("{WORDS}\n").as_bytes(),
    )
    .ok();
    patterns.push(WORDS.as_bytes().to_vec());
    let pid = node.pid().expect("it runs");
    let open = count(pid, &patterns);
    // The text, and the keys of rows and files, are in use; looking finds what is there.
    assert!(open[0] > 0 && open[1] > 0 && open[2] > 0, "{open:?}");
    println!("found while open: {open:?}");
    let before = node.json(["status"]);

    node.brainctl(["node", "lock"]).ok();
    assert_eq!(node.pid(), Some(pid));
    assert_eq!(count(pid, &patterns), vec![0; patterns.len()]);

    assert_eq!(node.brainctl(["show", &id]).code, LOCKED);
    let said = node.brainctl(["search", "canary"]);
    assert_eq!(said.code, LOCKED);
    assert!(
        said.stderr.contains("brainctl node unlock"),
        "{}",
        said.stderr
    );
    let http = Http::of(&node);
    let routes = routes();
    assert!(routes.len() > 60, "{}", routes.len());
    for (method, path) in routes {
        let body = (method != "GET").then(|| json!({}));
        let answer = http.call(&method, &path, body.as_ref());
        let (status, problem) = answer.unwrap_or_else(|| panic!("{method} {path}: no answer"));
        assert_eq!(status, 423, "{method} {path}: {problem:#}");
        assert_eq!(problem["code"], "locked", "{method} {path}");
    }
    assert_eq!(
        http.call("GET", "/healthz", None).map(|answer| answer.0),
        Some(200)
    );
    let ready = http.call("GET", "/readyz", None).expect("it answers");
    assert_eq!(
        (ready.0, text(&ready.1, "status").as_str()),
        (503, "locked")
    );
    // Nothing that a locked node was asked brought anything back.
    assert_eq!(count(pid, &patterns), vec![0; patterns.len()]);

    let wrong = ["node", "unlock", "--passphrase-file", "-"];
    assert_eq!(node.brainctl_with(wrong, b"guess\n").code, 4);
    assert_eq!(node.brainctl(["status"]).code, LOCKED);
    node.brainctl_with(wrong, format!("{WORDS}\n").as_bytes())
        .ok();
    assert!(node.brainctl(["show", &id]).ok().stdout.contains(CANARY));
    // It listens where it did, so that whoever knew the address still does.
    assert_eq!(node.json(["status"])["api"], before["api"]);
    assert_eq!(node.json(["status"])["network"], before["network"]);
    node.stop();
}

#[test]
fn a_node_begins_locked_if_told_so_and_keeps_others_out() {
    let mut node = Node::start("shut");
    let id = Http::of(&node).add("Behind a plain key", "t");
    // Locking twice is locking, and a plain key opens without a word.
    let said = node.brainctl(["node", "lock"]).ok().stdout.clone();
    assert!(
        said.contains("whoever may use this API can unlock it"),
        "{said}"
    );
    node.brainctl(["node", "lock"]).ok();
    // The folder is still taken.
    let mut second = node.command("brain-node");
    let said = process::run(second.arg("serve"), b"", Duration::from_secs(30));
    assert_eq!(said.code, 75, "{}", said.stderr);
    assert!(said.stderr.contains("in use by process"), "{}", said.stderr);
    node.brainctl(["node", "unlock"]).ok();
    node.brainctl(["node", "unlock"]).ok();
    eventually("it is there", || {
        let shown = node.brainctl(["show", &id]);
        shown.stdout.contains("Behind a plain key").then_some(())
    });
    // A locked node ends in order too.
    node.brainctl(["node", "lock"]).ok();
    node.stop();
    node.start_again();
}

#[test]
fn a_node_that_nobody_uses_locks_itself() {
    const AFTER: Duration = Duration::from_secs(4);
    let node = Node::start_with("idle", &[("BRAIN_UNLOCK__AUTO_LOCK", "4s")]);
    let added = node.brainctl(["add", CANARY, "--ids"]);
    let id = added.ok().stdout.trim().to_owned();
    let since = Instant::now();
    while since.elapsed() < 2 * AFTER {
        node.brainctl(["show", &id]).ok();
    }
    // A probe is no use; neither does it keep the node open.
    eventually("it locks itself", || {
        let mut probe = node.command("brain-node");
        let probe = process::run(probe.arg("healthcheck"), b"", EVENTUALLY_MAX);
        probe.stderr.contains("locked").then_some(())
    });
    assert_eq!(node.brainctl(["show", &id]).code, LOCKED);
    node.brainctl(["node", "unlock"]).ok();
    node.brainctl(["show", &id]).ok();
    assert!(node.log().contains("nobody used the node"));
}
