//! The index of vectors alone, in this process: how long a search takes that sieves by signs beside one
//! that compares all, and how many of the nearest it finds.
//!
//! ```sh
//! cargo bench --workspace --bench vectors
//! ```
//!
//! The vectors are those of the built-in model of the notes of the benchmark `search`, piece by piece
//! (`NOTES`), and the queries are its queries (`QUERIES`), each asked once. Comparing all is a search
//! inside a filter that lets all pass: nothing is sieved there.

#[path = "search/texts.rs"]
mod texts;

use brain_tests::measure::{number, quantile};
use node::embed::builtin::Builtin;
use node::embed::chunk;
use std::collections::BTreeSet;
use std::time::Instant;
use storage::projection::vectors::VectorIndex;
use storage::slots::{Slot, SlotSet};

/// How many of the nearest a search of ten hits by words and meaning asks for.
const DEPTH: usize = 40;

#[expect(clippy::print_stdout, reason = "a benchmark prints its figures")]
fn main() {
    let folder = tempfile::tempdir().expect("the temporary folder takes a folder");
    let notes = texts::write(folder.path(), number("NOTES", 100_000));
    let model = Builtin::load().expect("the model in the binary is whole");
    let mut index = VectorIndex::new(model.dimensions());
    let (mut all, mut rows) = (SlotSet::default(), 0);
    for (slot, note) in (0..).map(Slot).zip(notes.all()) {
        let (title, body) = note.split_once("\n\n").unwrap_or(("", &note));
        let vectors = chunk::embedded(model, title.trim_start_matches("# "), body);
        rows += vectors.len();
        index.put(slot, &vectors).expect("vectors of this model");
        all.insert(slot);
    }
    println!(
        "{} notes, {} B, made of {} paragraphs: {rows} vectors",
        notes.count, notes.bytes, notes.paragraphs
    );
    let queries = notes.queries(number("QUERIES", 1_000), 11);
    let (mut sieved, mut compared) = (Vec::new(), Vec::new());
    let (mut of_ten, mut of_all) = (0, 0);
    for query in &queries {
        let query = model.embed_one(query);
        let ask = |allowed, took: &mut Vec<f64>| {
            let started = Instant::now();
            let found = index.search(&query, allowed, DEPTH);
            took.push(started.elapsed().as_secs_f64() * 1_000.0);
            let found = found.expect("a vector of this model");
            found.into_iter().map(|(slot, _)| slot).collect::<Vec<_>>()
        };
        let near = ask(Some(&all), &mut compared);
        let likely: BTreeSet<Slot> = ask(None, &mut sieved).into_iter().collect();
        let found = |near: &[Slot]| near.iter().filter(|slot| likely.contains(slot)).count();
        of_ten += found(near.get(..10).unwrap_or(&near));
        of_all += found(&near);
    }
    for (what, took) in [("sieved", &sieved), ("compared all", &compared)] {
        let [half, most] = [0.5, 0.99].map(|share| quantile(took, share));
        println!("| {what} | p50 {half:.2} ms, p99 {most:.2} ms |");
    }
    let share = |found: usize, of: usize| figure(found) / figure(of * queries.len());
    println!("| of the ten nearest | {:.3} |", share(of_ten, 10));
    println!("| of the {DEPTH} nearest | {:.3} |", share(of_all, DEPTH));
}

#[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
fn figure(number: usize) -> f64 {
    number as f64
}
