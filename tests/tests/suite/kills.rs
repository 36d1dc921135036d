//! Two hundred `kill -9` at moments that a seed chooses, of two nodes that share while both write.
//!
//! ```text
//! round: one writes, changes, searches; the other writes too, so that both sync and embed
//!        -> kill -9 of either -> start again -> what was acknowledged is there, as it was
//!        acknowledged; the ledger holds; all that is kept reads
//! every tenth: both prove the same view; what a rebuild gives is the same
//! ```

use crate::couple::{Couple, hits, ids, listed};
use crate::crash::Dice;
use crate::http::{Http, text};
use brain_tests::Node;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

const KILLS: u64 = 200;
/// The latest moment of a kill, counted from the first write of a round.
const MOMENT_MAX_MS: u64 = 120;
/// Of so many kills, one is followed by a proof and a rebuild.
const REBUILD_EVERY: u64 = 10;
const TAG: &str = "shared";
const WORDS: [&str; 3] = ["harbour", "violin", "granite"];

/// What a node acknowledged: the text of each memory, and another one that it may have as well.
type Acknowledged = BTreeMap<String, (String, Option<String>)>;

/// Writes, changes and searches until it is over or the node is gone.
fn write(http: &Http, from: u64, is_over: &AtomicBool) -> Acknowledged {
    let mut acknowledged = Acknowledged::new();
    for number in 0.. {
        if is_over.load(Ordering::Relaxed) {
            break;
        }
        let place = usize::try_from(number % 3).expect("small");
        let body = format!("{} {from} {number}", WORDS[place]);
        // One in two stays at home, so that not everything is sent.
        let tags = if number % 2 == 0 {
            json!([TAG])
        } else {
            json!(["own"])
        };
        let new = json!({"body": body, "tags": tags});
        let Some((201, kept)) = http.call("POST", "/v1/memories", Some(&new)) else {
            break;
        };
        let id = text(&kept, "id");
        let changed = format!("{body} changed");
        let change = json!({"body": changed});
        let answer = http.call("PATCH", &format!("/v1/memories/{id}"), Some(&change));
        let stands = match answer {
            Some((200, _)) => (changed, None),
            Some((status, said)) if status < 500 => panic!("{status} {said:#}"),
            // Not acknowledged: either is right.
            _ => (body.clone(), Some(changed)),
        };
        let is_gone = stands.1.is_some();
        acknowledged.insert(id, stands);
        if is_gone {
            break;
        }
        if number % 4 == 0 {
            http.call("POST", "/v1/search", Some(&json!({"query": body})));
        }
    }
    acknowledged
}

/// Looks for everything of one round.
fn is_there(http: &Http, acknowledged: &Acknowledged, what: &str) {
    for (id, (body, or)) in acknowledged {
        let kept = http.memory(id);
        let kept = kept.unwrap_or_else(|| panic!("{what}: acknowledged and gone: {id} {body}"));
        let found = text(&kept, "body");
        let is_right = found == *body || or.as_ref() == Some(&found);
        assert!(is_right, "{what}: {id} is {found:?}, not {body:?}");
    }
}

fn is_sound(http: &Http, what: &str) -> u64 {
    let nothing = json!({});
    let ledger = http.ok("POST", "/v1/ledger:verify", Some(&nothing));
    assert_eq!(ledger["ok"], true, "{what}: {ledger:#}");
    let node = http.ok("POST", "/v1/node:verify", Some(&nothing));
    assert_eq!(node["ok"], true, "{what}: {node:#}");
    ledger["entries"].as_u64().expect("a number")
}

/// Returns what a person can see of the read models.
fn answers(node: &Node) -> (Vec<String>, Vec<String>) {
    let page = listed(node, "");
    let items = page["items"].as_array().expect("a page has items");
    let facts = |item: &Value| format!("{} {} {}", item["id"], item["title"], item["tags"]);
    let mut facts: Vec<String> = items.iter().map(facts).collect();
    facts.sort();
    let searches = WORDS.iter().map(|words| {
        let search = ["search", words, "--mode", "text", "--limit", "200"];
        let answer = node.json(search);
        format!("{:?}", hits(&answer).len())
    });
    (facts, searches.collect())
}

#[test]
fn two_hundred_kills_lose_nothing() {
    let seed = crate::number("SEED").unwrap_or(20_261_128);
    let kills = KILLS * crate::number("SCALE").unwrap_or(1);
    let mut dice = Dice::of(seed);
    let mut couple = Couple::start();
    couple.share(TAG);
    let mut all = [Acknowledged::new(), Acknowledged::new()];
    let (mut entries, began) = (0, Instant::now());
    for round in 0..kills {
        let what = format!("SEED={seed} kill {round}");
        let kills_ana = dice.roll(2) == 0;
        let moment = Duration::from_millis(dice.roll(MOMENT_MAX_MS));
        let fresh = disturb(&mut couple, round, kills_ana, moment);
        let (ana, bob) = (Http::of(&couple.ana), Http::of(&couple.bob));
        for ((http, fresh), all) in [&ana, &bob].into_iter().zip(fresh).zip(&mut all) {
            is_there(http, &fresh, &what);
            all.extend(fresh);
        }
        let victim = if kills_ana { &ana } else { &bob };
        entries += is_sound(victim, &what);
        if round % REBUILD_EVERY == REBUILD_EVERY - 1 {
            couple.prove();
            let selector = format!("tag:{TAG}");
            let of_ana = ids(&listed(&couple.ana, &selector));
            let node = if kills_ana { &couple.ana } else { &couple.bob };
            let before = answers(node);
            node.brainctl(["index", "rebuild"]).ok();
            let after = answers(node);
            for (before, after) in before.0.iter().zip(&after.0) {
                assert_eq!(before, after, "{what}: a rebuild gives other facts");
            }
            assert!(before == after, "{what}: {:?} {:?}", before.1, after.1);
            assert!(!of_ana.is_empty());
        }
    }
    for (node, all) in [&couple.ana, &couple.bob].into_iter().zip(&all) {
        is_there(&Http::of(node), all, "at the end");
    }
    let kept = all[0].len() + all[1].len();
    assert!(
        u64::try_from(kept).expect("a count") > kills,
        "{kept} memories: kills come too early"
    );
    assert!(entries > 0, "nothing was sent");
    println!(
        "{kills} kills, {kept} memories acknowledged, {:?}",
        began.elapsed()
    );
}

/// Kills one of two nodes that write; returns what each acknowledged.
fn disturb(
    couple: &mut Couple,
    round: u64,
    kills_ana: bool,
    moment: Duration,
) -> [Acknowledged; 2] {
    let is_over = AtomicBool::new(false);
    let (of_ana, of_bob) = (Http::of(&couple.ana), Http::of(&couple.bob));
    let victim = if kills_ana {
        &mut couple.ana
    } else {
        &mut couple.bob
    };
    std::thread::scope(|scope| {
        let ana = scope.spawn(|| write(&of_ana, round, &is_over));
        let bob = scope.spawn(|| write(&of_bob, round, &is_over));
        std::thread::sleep(moment);
        victim.kill_now();
        is_over.store(true, Ordering::Relaxed);
        let fresh = [ana, bob].map(|writer| writer.join().expect("a writer ends"));
        victim.kill();
        victim.start_again();
        fresh
    })
}
