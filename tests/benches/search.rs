//! One node with a hundred thousand notes: taking in, finding, starting again; memory and disk.
//!
//! ```sh
//! cargo build --release --workspace --bins
//! BRAIN_TEST_BIN_DIR=$PWD/target/release cargo bench --workspace --bench search
//! ```
//!
//! `NOTES=5000` gives a quick look, `NOTES=1000000` takes hours. The notes are made of what people wrote: the documents and doc
//! comments of the crates in this machine's cargo registry. Queries go over the socket of the API,
//! as a program of the person's would send them; each is new. Where Python with the full-text
//! search of `SQLite` is there, the same notes and the same words go through it in the same run, for scale: it
//! keeps no vectors, seals nothing and answers inside the process that asks. `PEERS_PYTHON` names a Python
//! that has `chromadb` and `lancedb`, which then take part as well: with vectors, still without seals.

#[path = "search/asking.rs"]
mod asking;
#[path = "search/ours.rs"]
mod ours;
#[path = "search/peers.rs"]
mod peers;
#[path = "search/sqlite.rs"]
mod sqlite;
#[path = "search/syncing.rs"]
mod syncing;
#[path = "search/texts.rs"]
mod texts;

use brain_tests::measure::number;

#[expect(clippy::print_stdout, reason = "a benchmark prints its figures")]
fn main() {
    let count = number("NOTES", 100_000);
    let folder = tempfile::tempdir().expect("the temporary folder takes a folder");
    let notes = texts::write(folder.path(), count);
    println!(
        "{count} notes, {} B, made of {} paragraphs",
        notes.bytes, notes.paragraphs
    );
    let queries = number("QUERIES", 1_000);
    let tell = |what: &str, figure: &str| println!("| {what} | {figure} |");
    ours::measure(&tell, &notes, queries);
    match sqlite::measure(&notes, queries) {
        Some(figures) => println!("SQLite FTS5 through Python, words only:\n{figures}"),
        None => println!("skipped: python3 with SQLite FTS5 is not installed"),
    }
    match peers::measure(&notes, queries) {
        Some(told) => told
            .iter()
            .for_each(|(name, figures)| println!("{name}:\n{figures}")),
        None => println!("skipped: PEERS_PYTHON names no Python with chromadb and lancedb"),
    }
}
