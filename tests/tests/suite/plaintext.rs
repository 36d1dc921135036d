//! Nothing lies in plain: a data folder is searched for what was written, after kills at moments
//! that a seed chooses, and so is the log at its finest level.
//!
//! ```text
//! round: start -> write, change, attach, search, embed .. -> kill -9 -> look at every byte
//! ```
//!
//! What is looked for: a word that is in every title, text, tag, attachment, file name and query,
//! the vectors of the texts, exact and quantised, and what marks a text index in plain.

use crate::crash::Dice;
use crate::http::Http;
use aho_corasick::AhoCorasick;
use brain_tests::Node;
use node::embed::builtin::Builtin;
use node::embed::chunk;
use serde_json::json;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

const ROUNDS: u64 = 200;
/// The latest moment of a kill, counted from the first write of a round.
const MOMENT_MAX_MS: u64 = 250;
/// Memories written in a round, if it is not cut short.
const WRITES: u64 = 8;
/// Begins every text that must not be found: letters only, so that no analyser takes it apart.
const CANARY: &str = "qzxjcanary";
/// What a text index in plain tells of itself. Its dictionary spells words in pieces, so a word alone
/// would not be found in it.
const INDEX_MARKS: [&[u8]; 3] = [b"index_format_version", b"\"segments\"", b"opstamp"];
/// Numbers of a vector that are looked for together.
const RUN: usize = 6;

/// The words that one memory is told by: title, text and tag.
fn words(number: u64) -> [String; 3] {
    ["t", "b", "g"].map(|part| format!("{CANARY}{part}{number}"))
}

/// Returns what must not lie on the disk.
fn forbidden() -> Vec<Vec<u8>> {
    let builtin = Builtin::load().expect("the built-in model");
    let mut forbidden = vec![CANARY.as_bytes().to_vec()];
    forbidden.extend(INDEX_MARKS.map(<[u8]>::to_vec));
    for number in 0..20 {
        let [title, body, _] = words(number);
        for text in chunk::split(&title, &prose(&body)) {
            let vector = builtin.embed_one(&text);
            let length = vector.iter().map(|part| part * part).sum::<f32>().sqrt();
            let unit: Vec<f32> = vector.iter().map(|part| part / length).collect();
            let scale = unit
                .iter()
                .fold(0.0, |most: f32, part| most.max(part.abs()))
                / 127.0;
            let exact = |parts: &[f32]| parts.iter().flat_map(|part| part.to_le_bytes()).collect();
            forbidden.push(exact(&vector[..RUN]));
            forbidden.push(exact(&unit[..RUN]));
            #[expect(clippy::cast_possible_truncation, reason = "within the range of an i8")]
            let codes = unit.iter().map(|part| (part / scale).round() as i8);
            forbidden.push(
                codes
                    .take(4 * RUN)
                    .map(|code| code.to_le_bytes()[0])
                    .collect(),
            );
        }
    }
    forbidden
}

fn prose(word: &str) -> String {
    format!("{word}: what grows in the garden, and what the neighbours said about the fence.")
}

/// Returns the files below a folder that hold one of the patterns, and how many bytes there are.
fn look(folder: &Path, patterns: &AhoCorasick) -> (Vec<PathBuf>, u64) {
    let (mut found, mut bytes) = (Vec::new(), 0);
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            let (inside, more) = look(&path, patterns);
            found.extend(inside);
            bytes += more;
        } else if path.is_file() {
            let content = fs::read(&path).expect("a file of a stopped node stays");
            bytes += u64::try_from(content.len()).expect("a length");
            if patterns.is_match(&content) {
                found.push(path);
            }
        }
    }
    (found, bytes)
}

/// Writes, changes, attaches and searches until the node is gone; returns what was acknowledged.
fn write(http: &Http, attach: impl Fn(&str, u64), from: u64) -> u64 {
    let mut acknowledged = 0;
    for number in from..from + WRITES {
        let [title, body, tag] = words(number);
        let new = json!({"title": title, "body": prose(&body), "tags": [tag]});
        let Some((201, kept)) = http.call("POST", "/v1/memories", Some(&new)) else {
            break;
        };
        acknowledged += 1;
        let id = kept["id"].as_str().expect("an id");
        let query = json!({"query": format!("{body} fence")});
        http.call("POST", "/v1/search", Some(&query));
        let change = json!({"body": prose(&format!("{body} {body}"))});
        http.call("PATCH", &format!("/v1/memories/{id}"), Some(&change));
        if number % 4 == 0 {
            attach(id, number);
        }
    }
    acknowledged
}

#[test]
fn nothing_lies_in_plain_whenever_a_node_is_killed() {
    let seed = crate::number("SEED").unwrap_or(20_261_127);
    let rounds = ROUNDS * crate::number("SCALE").unwrap_or(1);
    let patterns = AhoCorasick::new(forbidden()).expect("patterns");
    let mut dice = Dice::of(seed);
    let mut node = Node::start_with("plain", &[("BRAIN_TELEMETRY__LOG", "trace")]);
    let outside = node.folder().join("outside");
    fs::create_dir(&outside).expect("a folder");
    let (mut acknowledged, mut seen) = (0, 0);
    for round in 0..rounds {
        let moment = Duration::from_millis(dice.roll(MOMENT_MAX_MS));
        let http = Http::of(&node);
        let attach = |id: &str, number: u64| {
            let path = outside.join(format!("{CANARY}{number}.txt"));
            fs::write(&path, prose(CANARY).repeat(300)).expect("a file");
            let path = path.to_str().expect("the path is text");
            node.brainctl(["attachment", "add", id, path]);
        };
        acknowledged += std::thread::scope(|scope| {
            let writer = scope.spawn(|| write(&http, attach, round * WRITES));
            std::thread::sleep(moment);
            node.kill_now();
            writer.join().expect("the writer ends")
        });
        node.kill();
        let (found, bytes) = look(&node.home(), &patterns);
        assert_eq!(found, [] as [PathBuf; 0], "SEED={seed} round {round}");
        seen += bytes;
        node.start_again();
    }
    // What was not killed in time is looked at too, with everything embedded and saved.
    write(&Http::of(&node), |_, _| (), rounds * WRITES);
    node.stop();
    assert_eq!(look(&node.home(), &patterns).0, [] as [PathBuf; 0]);
    assert!(
        acknowledged > rounds,
        "{acknowledged} memories in {rounds} rounds"
    );
    assert!(
        !look(&outside, &patterns).0.is_empty(),
        "looking finds what is there"
    );
    let log = node.log();
    assert!(log.contains("TRACE"), "the log is at its finest level");
    assert!(!log.contains(CANARY), "the log tells what was written");
    println!("{acknowledged} memories, {rounds} kills, {seen} bytes looked at");
}
