//! Days: five nodes, one simulated day each, everything that goes wrong with machines, networks
//! and people, from a seed.
//!
//! Real sessions, real merging, real stores over the real engine on a disk that fails on purpose.
//! Virtual time jumps from one event to the next.
//!
//! ```text
//! seed -> plan (data) -> run -> trace and counts
//!           ^                    rules look at every frame, every start, and at the end
//!           +-- shrink, when a promise is broken
//! ```
//!
//! `SEED=n` replays one day and prints what happened, `SCALE=n` runs more of them.

mod hostile;
mod machine;
mod net;
mod people;
mod plan;
mod rules;
mod run;
mod shrink;

use crate::runs::number;
use plan::{DAY_MS, HOSTILE, Plan};
use run::Counts;
use shrink::{attempt, shrink};
use std::time::Instant;

/// Days that are run by default: a quarter of them with hostile nodes.
const DAYS: u64 = 2_000;

/// So many days that broke a promise are enough to look at.
const FAILED_MAX: usize = 8;

/// What has to strike at least once in a half of the days, or the run shows nothing.
const HAS_TO_STRIKE: [&str; 31] = [
    "Lose",
    "Split",
    "OneWay",
    "Swizzle",
    "Slow",
    "Restart",
    "Full",
    "BadSync",
    "Newer",
    "TooOld",
    "answers",
    "clocks set back",
    "clocks set forward",
    "content frames",
    "crashes",
    "crashes while opening",
    "edits",
    "frames",
    "frames of hostile nodes",
    "frames out of nothing",
    "frames that arrive twice",
    "frames that change places",
    "forks",
    "forged events",
    "in-sync checked",
    "links that stalled",
    "pairs in sync",
    "purges",
    "restores",
    "returns",
    "revocations",
];

/// Shrinks the plan of a day that broke a promise and says what is left of it.
fn explain(seed: u64, why: &str) -> ! {
    let small = shrink(seed, &Plan::of(seed), why);
    let last = attempt(seed, &small).err().unwrap_or_default();
    panic!(
        "SEED={seed} replays the day that failed: {why}\nof its plan this is enough (for: {last}):\n{small}"
    );
}

/// Runs one of two halves of the days, so that two tests share the processors; both halves have
/// days with hostile nodes, which come by eights.
#[expect(
    clippy::print_stdout,
    reason = "the rate, what struck, and every seed that failed are the result"
)]
fn run_half(half: u64) {
    let days = number("DAYS").unwrap_or(DAYS) * number("SCALE").unwrap_or(1);
    let seeds: Vec<u64> = match number("SEED") {
        Some(seed) => vec![seed].into_iter().filter(|_| half == 0).collect(),
        None => (0..days).filter(|seed| seed / 8 % 2 == half).collect(),
    };
    let begin = Instant::now();
    let mut all = Counts::new();
    let mut failed = Vec::new();
    for seed in &seeds {
        match attempt(*seed, &Plan::of(*seed)) {
            Ok((counts, _)) => {
                for (what, count) in counts {
                    *all.entry(what).or_default() += count;
                }
            }
            Err(why) => {
                println!("SEED={seed} broke a promise: {why}");
                failed.push((*seed, why));
                if failed.len() == FAILED_MAX {
                    break;
                }
            }
        }
    }
    let (wall, count) = (begin.elapsed().as_millis().max(1), seeds.len());
    let rate = u128::from(DAY_MS) * (count as u128) / wall;
    println!("{count} days in {wall} ms: {rate} simulated seconds a second; {all:#?}");
    if let Some((seed, why)) = failed.first() {
        explain(*seed, why);
    }
    if days >= DAYS && count > 1 {
        let strikes = HAS_TO_STRIKE.iter().copied();
        let strikes = strikes.chain(HOSTILE.iter().map(|what| what.name()));
        let missing: Vec<&str> = strikes.filter(|what| !all.contains_key(what)).collect();
        assert!(missing.is_empty(), "never struck: {missing:?}");
    }
}

#[test]
fn promises_hold_through_any_day_first_half() {
    run_half(0);
}

#[test]
fn promises_hold_through_any_day_second_half() {
    run_half(1);
}

#[test]
fn a_seed_replays_bit_for_bit() {
    let mut last = None;
    for seed in [0, 3, 4, 7] {
        let plan = Plan::of(seed);
        let run = || attempt(seed, &plan).expect("the day holds").1;
        let (one, other) = (run(), run());
        let mut both = one.marks.iter().zip(&other.marks).enumerate();
        let differ = both.find(|(_, (a, b))| a != b);
        assert_eq!(differ, None, "two runs of {seed} differ first here");
        assert_eq!(one.marks.len(), other.marks.len());
        assert_ne!(one.marks.last(), last.as_ref(), "two seeds gave one day");
        last = one.marks.last().copied();
    }
}

/// Plans that once broke a promise, `SEED n` before each.
const REGRESSIONS: &str = include_str!("day/regressions.txt");

#[test]
fn days_that_once_failed_hold() {
    let mut count = 0;
    for part in REGRESSIONS.split("\nSEED ").skip(1) {
        let (seed, plan) = part.split_once('\n').expect("a seed and a plan");
        let seed = seed.trim().parse().expect("a number");
        let lines = plan.lines().filter(|line| !line.starts_with('#'));
        let plan: Plan = lines
            .collect::<Vec<_>>()
            .join("\n")
            .parse()
            .expect("a plan");
        if let Err(why) = attempt(seed, &plan) {
            panic!("SEED {seed} broke a promise again: {why}\n{plan}");
        }
        count += 1;
    }
    println!("{count} days");
}

#[test]
fn a_plan_reads_as_it_was_written() {
    for seed in 0..20 {
        let plan = Plan::of(seed);
        assert_eq!(plan.to_string().parse(), Ok(plan));
    }
}
