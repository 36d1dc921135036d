//! Mutants of what each decoder that somebody else can reach takes, a million each where one costs
//! little: no panic, no hang, no bomb.
//!
//! ```text
//! regressions -> mutants 0.. (seeded) -> measure: panicked? CPU time? most memory at once?
//!                                           `-> a failure: shrink, print, keep, go on with the next
//! ```
//!
//! `TARGET=word` picks the targets whose name has the word, `SEED=n` replays the mutant `n` of each,
//! `SCALE=n` takes n times as many, `INPUTS=n` at most n of each, `CORPUS=folder` writes the valid inputs for libFuzzer.
//!
//! This is a test binary of its own because it counts what is allocated.

#[path = "fuzz/measure.rs"]
mod measure;
#[path = "fuzz/regressions.rs"]
mod regressions;
#[path = "fuzz/report.rs"]
mod report;
#[path = "fuzz/shrink.rs"]
mod shrink;

use brain_tests::fuzz::mutate::Mutator;
use brain_tests::fuzz::{MILLION, Subject, Target, targets};
use measure::{Fault, Measured, measure};
use report::Row;
use std::sync::Mutex;
use std::time::Instant;

/// How many decoders must take a million mutants, and all of their regressions.
const WHOLE_TARGETS_MIN: usize = 40;
/// How many inputs pass between two notes of how far a target is.
const NOTE_EVERY: u64 = 256;

#[test]
fn mutants_do_no_decoder_harm() {
    measure::keep_panics_quiet();
    let wanted = variable("TARGET").unwrap_or_default();
    let mut chosen = targets();
    chosen.retain(|target| target.name.contains(&wanted));
    assert!(!chosen.is_empty(), "no target is called {wanted:?}");
    if let Some(folder) = variable("CORPUS") {
        regressions::write_corpus(folder.as_ref());
    }
    let partly = ["TARGET", "SEED", "INPUTS"]
        .iter()
        .any(|name| variable(name).is_some());
    let rows = run_all(&chosen);
    report::print(&rows);
    let faults: Vec<&String> = rows.iter().filter_map(|row| row.fault.as_ref()).collect();
    assert!(
        faults.is_empty(),
        "{} of {} failed",
        faults.len(),
        rows.len()
    );
    if !partly {
        let million = rows.iter().filter(|row| row.inputs >= MILLION).count();
        assert!(million >= WHOLE_TARGETS_MIN, "{million} took a million");
        let dead: Vec<_> = rows.iter().filter(|row| row.decoded == 0).collect();
        assert!(dead.is_empty(), "no mutant of these decodes: {dead:?}");
    }
}

/// Runs the targets on as many threads as there are cores; each measures its own.
fn run_all(chosen: &[Target]) -> Vec<Row> {
    let queue = Mutex::new(chosen.iter());
    let rows = Mutex::new(Vec::new());
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..cores {
            scope.spawn(|| {
                while let Some(target) = { queue.lock().expect("nobody panics with it").next() } {
                    let row = run(target);
                    rows.lock().expect("nobody panics with it").push(row);
                }
            });
        }
    });
    rows.into_inner().expect("nobody panics with it")
}

fn run(target: &Target) -> Row {
    let started = Instant::now();
    let subject = (target.make)();
    let mutator = Mutator::new(target.name, &subject.seeds, subject.words);
    let mut row = Row::new(target.name);
    let fault = regressions::of(target.name)
        .iter()
        .chain(&valid_inputs(&subject))
        .find_map(|input| {
            take(target, &subject, input, &mut row).map(|fault| (fault, input.clone()))
        })
        .map(|(fault, input)| (fault, input, "a regression or a valid input".to_owned()));
    row.inputs = 0;
    row.decoded = 0;
    let fault = fault.or_else(|| run_mutants(target, &subject, &mutator, &mut row));
    if let Some((fault, input, from)) = fault {
        let small = shrink::shrink(&subject, target.budget, &input, &fault);
        let kept = regressions::keep(target.name, &small);
        let said = format!("{}: {fault}, {from}: {}", target.name, report::hex(&small));
        report::say(&format!("{said}\nkept in {}", kept.display()));
        row.fault = Some(fault.to_string());
    }
    row.seconds = started.elapsed().as_secs_f64();
    row
}

fn valid_inputs(subject: &Subject) -> Vec<Vec<u8>> {
    let inputs = subject.seeds.iter().map(|seed| subject.input(seed));
    inputs.collect()
}

fn run_mutants(
    target: &Target,
    subject: &Subject,
    mutator: &Mutator<'_>,
    row: &mut Row,
) -> Option<(Fault, Vec<u8>, String)> {
    let inputs = target.inputs * number("SCALE").unwrap_or(1);
    let inputs = inputs.min(number("INPUTS").unwrap_or(u64::MAX));
    let numbers = number("SEED").map_or(0..inputs, |seed| seed..seed + 1);
    let mut note = regressions::Note::of(target.name);
    for number in numbers {
        if number % NOTE_EVERY == 0 {
            note.write(number);
        }
        let input = subject.input(&mutator.mutant(number));
        if let Some(fault) = take(target, subject, &input, row) {
            return Some((fault, input, format!("SEED={number}")));
        }
    }
    None
}

/// Feeds one input and enters what it cost; returns what it did wrong.
fn take(target: &Target, subject: &Subject, input: &[u8], row: &mut Row) -> Option<Fault> {
    let Measured {
        outcome,
        time,
        memory,
    } = measure(subject, target.budget, input, row.slowest);
    row.inputs += 1;
    row.slowest = row.slowest.max(time);
    row.largest = row.largest.max(memory);
    match outcome {
        Ok(decoded) => {
            row.decoded += u64::from(decoded);
            None
        }
        Err(fault) => Some(fault),
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "a test is configured by its environment"
)]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

fn number(name: &str) -> Option<u64> {
    let parse = |text: String| text.parse().unwrap_or_else(|_| panic!("{name}={text}"));
    variable(name).map(parse)
}
