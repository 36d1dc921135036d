//! `kill -9` at moments that a seed chooses: what was acknowledged is there, once, everywhere.
//!
//! ```text
//! round: import, or first sync of a view | add, add, add .. -> kill -> start again
//!        -> acknowledged memories are there -> import again: each file once -> rebuild: the same
//!        -> both prove the same view
//! ```

use crate::couple::{Couple, hits, ids, listed, notes};
use crate::http::{Http, text};
use brain_tests::{Node, process};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

const ROUNDS: u64 = 8;
const FILES: usize = 500;
/// The latest moment of a kill, counted from the start of what is disturbed.
const MOMENT_MAX_MS: u64 = 250;
/// Each is in fewer files of a round than a search shows, so the cut does not choose.
const WORDS: [&str; 4] = ["violin", "granite", "orchard", "rye"];

/// xorshift64: the same numbers for the same seed, on every machine.
#[derive(Debug)]
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn of(seed: u64) -> Self {
        // A state of zero would stay zero.
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(crate) fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % sides
    }
}

/// What is tried in one round, and how it ended.
#[derive(Debug)]
struct Round {
    name: String,
    is_import: bool,
    kills_ana: bool,
    moment: Duration,
    acknowledged: usize,
    /// How many files an import after the crash still had to bring.
    late: u64,
    proved_within: Duration,
}

#[test]
fn kill_9_loses_nothing_that_was_acknowledged() {
    let seed = crate::number("SEED").unwrap_or(20_261_123);
    for run in 0..crate::number("SCALE").unwrap_or(1) {
        let seed = seed + run;
        let mut dice = Dice::of(seed);
        let mut couple = Couple::start();
        let mut acknowledged = [BTreeSet::new(), BTreeSet::new()];
        for number in 0..ROUNDS {
            let mut round = Round {
                name: format!("round{number}"),
                // Four rounds try each of the two scenes with each of the two victims.
                is_import: number % 2 == 0,
                kills_ana: matches!(number % 4, 0 | 3),
                moment: Duration::from_millis(dice.roll(MOMENT_MAX_MS)),
                acknowledged: 0,
                late: 0,
                proved_within: Duration::ZERO,
            };
            println!("SEED={seed} {} begins", round.name);
            play(&mut couple, &mut round, &mut acknowledged);
            println!("{round:?}");
        }
    }
}

fn play(couple: &mut Couple, round: &mut Round, acknowledged: &mut [BTreeSet<String>; 2]) {
    let tag = round.name.clone();
    let folder = notes(&couple.ana, &tag, FILES);
    let folder = folder.to_str().expect("the path is text");
    let import = ["import", folder, "--tag", &tag, "--json"];
    let fresh = if round.is_import {
        couple.share(&tag);
        let mut command = couple.ana.command("brainctl");
        command.args(import);
        disturb(couple, round, || {
            // It fails if its node dies.
            process::run(&mut command, b"", Duration::from_mins(1));
        })
    } else {
        couple.ana.brainctl(import).ok();
        couple.share(&tag);
        disturb(couple, round, || {})
    };
    let victim = if round.kills_ana {
        &couple.ana
    } else {
        &couple.bob
    };
    let [of_ana, of_bob] = acknowledged;
    let all = if round.kills_ana { of_ana } else { of_bob };
    all.extend(fresh);
    let present = ids(&listed(victim, "tag:own"));
    let lost: Vec<_> = all.difference(&present).collect();
    assert!(lost.is_empty(), "acknowledged and gone: {lost:?}");
    round.acknowledged = all.len();
    round.late = each_file_is_there_once(&couple.ana, &import, &tag);
    let proving = Instant::now();
    couple.prove();
    round.proved_within = proving.elapsed();
    let selector = format!("tag:{tag}");
    let at_bob = ids(&listed(&couple.bob, &selector));
    assert_eq!(at_bob, ids(&listed(&couple.ana, &selector)));
    assert_eq!(at_bob.len(), FILES);
    a_rebuild_changes_nothing(victim, &selector);
}

/// Kills a node while something goes on and it keeps memories; returns what it acknowledged.
fn disturb(
    couple: &mut Couple,
    round: &Round,
    meanwhile: impl FnOnce() + Send,
) -> BTreeSet<String> {
    let victim = if round.kills_ana {
        &mut couple.ana
    } else {
        &mut couple.bob
    };
    let http = Http::of(victim);
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let going_on = scope.spawn(meanwhile);
        let adding = scope.spawn(|| keep_adding(&http, &is_over));
        std::thread::sleep(round.moment);
        victim.kill();
        is_over.store(true, Ordering::Relaxed);
        victim.start_again();
        going_on.join().expect("what went on ends");
        adding.join().expect("adding ends")
    })
}

fn keep_adding(http: &Http, is_over: &AtomicBool) -> BTreeSet<String> {
    let mut acknowledged = BTreeSet::new();
    while !is_over.load(Ordering::Relaxed) {
        let body = format!("acknowledged {}", acknowledged.len());
        let new = json!({"body": body, "tags": ["own"]});
        // An answer that was cut off acknowledges nothing.
        let Some((200 | 201, written)) = http.call("POST", "/v1/memories", Some(&new)) else {
            break;
        };
        if written.get("id").is_some() {
            acknowledged.insert(text(&written, "id"));
        }
    }
    acknowledged
}

/// Returns how many files had not been kept before the crash.
fn each_file_is_there_once(ana: &Node, import: &[&str], tag: &str) -> u64 {
    let count = |field: &str, report: &Value| report[field].as_u64().expect("a number");
    let first = ana.brainctl(import).ok().json();
    let files = u64::try_from(FILES).expect("few");
    assert_eq!(count("new", &first) + count("same", &first), files);
    let second = ana.brainctl(import).ok().json();
    assert_eq!(count("new", &second), 0, "{second:#}");
    assert_eq!(count("same", &second), files, "{second:#}");
    let page = listed(ana, &format!("tag:{tag}"));
    let items = page["items"].as_array().expect("a page has items");
    let titles: BTreeSet<String> = items.iter().map(|item| text(item, "title")).collect();
    assert_eq!((items.len(), titles.len()), (FILES, FILES));
    count("new", &first)
}

/// Returns what a person can see of the read models.
fn read_models(node: &Node, selector: &str) -> (BTreeSet<String>, Vec<BTreeSet<String>>) {
    let page = listed(node, "");
    let items = page["items"].as_array().expect("a page has items");
    let facts = |item: &Value| format!("{} {} {}", item["id"], item["title"], item["tags"]);
    let searches = WORDS.iter().map(|words| {
        let search = ["search", words, selector, "--mode", "text"];
        hits(&node.json(search.into_iter().chain(["--limit", "200"])))
    });
    (items.iter().map(facts).collect(), searches.collect())
}

fn a_rebuild_changes_nothing(node: &Node, selector: &str) {
    let before = read_models(node, selector);
    node.brainctl(["index", "rebuild"]).ok();
    let after = read_models(node, selector);
    assert!(before.0 == after.0, "the list differs after a rebuild");
    assert!(before.1 == after.1, "searches differ after a rebuild");
    assert!(
        before.1.iter().all(|hits| !hits.is_empty()),
        "no hits at all"
    );
}
