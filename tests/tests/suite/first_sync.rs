//! A first sync of 10,000 notes between two processes, with `kill -9` of either side at moments
//! that a seed chooses: it never starts over, and nobody says "in sync" before both are equal.

use crate::couple::{Couple, listed, notes};
use crate::crash::Dice;
use crate::http::Http;
use brain_tests::eventually;
use serde_json::Value;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

const FILES: usize = 10_000;
/// Kills in a run; `SCALE` multiplies them.
const KILLS: u64 = 4;
/// When a side is killed, counted from when it was up.
const MOMENT_MIN_MS: u64 = 200;
const MOMENT_MAX_MS: u64 = 1_500;
/// What a note takes on the wire, as measured: its event, and its key for the grant.
const NOTE_BYTES: u64 = 650;
/// What a kill may cost: a window of frames that came and were not taken in, and a greeting.
const LOST_BYTES_MAX: u64 = 5 << 18;

/// How many memories of a view are at Bob's, and what he says of the sync.
struct Look {
    held: u64,
    bytes_in: u64,
    in_sync: bool,
}

fn look(http: &Http) -> Option<Look> {
    let (_, sync) = http.call("GET", "/v1/sync", None)?;
    let (_, node) = http.call("GET", "/v1/node", None)?;
    let peer = sync.pointer("/peers/0")?;
    Some(Look {
        held: node["memories"].as_u64()?,
        bytes_in: peer["bytes_in"].as_u64()?,
        in_sync: peer["in_sync"] == true,
    })
}

/// Looks at Bob until told to stop: memories never become fewer, and "in sync" is never early.
/// Returns the bytes of all his processes.
fn watch(http: &Http, is_over: &AtomicBool, all: u64) -> u64 {
    let (mut held, mut of_earlier, mut bytes) = (0, 0, 0);
    while !is_over.load(Ordering::Relaxed) {
        if let Some(look) = look(http) {
            assert!(look.held >= held, "{} were there, now {}", held, look.held);
            // The number was read after the claim, so a claim that is true finds them all. Before
            // Ana has heard the yes, both views are empty, and equal; the first memories may come
            // between the claim and the number.
            let is_true = look.held == all || held == 0;
            assert!(!look.in_sync || is_true, "in sync with {}", look.held);
            held = look.held;
            if look.bytes_in < bytes {
                of_earlier += bytes;
            }
            bytes = look.bytes_in;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    of_earlier + bytes
}

#[test]
fn a_first_sync_that_is_killed_again_and_again_never_starts_over() {
    let seed = crate::number("SEED").unwrap_or(20_261_126);
    let kills = KILLS * crate::number("SCALE").unwrap_or(1);
    println!("SEED={seed}, {kills} kills");
    let mut dice = Dice::of(seed);
    let mut couple = Couple::start();
    let folder = notes(&couple.ana, "shared", FILES);
    let folder = folder.to_str().expect("the path is text");
    couple
        .ana
        .brainctl(["import", folder, "--tag", "shared"])
        .ok();
    let all = FILES as u64;
    let http = Http::of(&couple.bob);
    let is_over = AtomicBool::new(false);
    let mut moments = Vec::new();
    let bytes = std::thread::scope(|scope| {
        let watching = scope.spawn(|| watch(&http, &is_over, all));
        couple.share("shared");
        for number in 0..kills {
            let span = MOMENT_MAX_MS - MOMENT_MIN_MS;
            let moment = Duration::from_millis(MOMENT_MIN_MS + dice.roll(span));
            std::thread::sleep(moment);
            let held = look(&http).map(|look| look.held);
            moments.push((moment, held));
            if number % 2 == 0 {
                couple.bob.crash();
            } else {
                couple.ana.crash();
            }
        }
        eventually("everything is there", || {
            look(&http).filter(|look| look.held == all && look.in_sync)
        });
        // One more look, so that the last bytes are counted.
        std::thread::sleep(Duration::from_millis(100));
        is_over.store(true, Ordering::Relaxed);
        watching
            .join()
            .expect("nothing was claimed that was not so")
    });
    couple.prove();
    let page = listed(&couple.bob, "tag:shared");
    let items = page.get("items").and_then(Value::as_array).map(Vec::len);
    assert_eq!(items, Some(FILES));
    println!("{bytes} bytes came in; kills after {moments:?}");
    let payload = all * NOTE_BYTES;
    let most = payload * 12 / 10 + kills * LOST_BYTES_MAX;
    assert!(
        bytes < most,
        "{bytes} bytes came in, {payload} are the payload"
    );
}
