//! How well a node finds: labelled documents through its API, and its embedding model alone.
//!
//! ```sh
//! DATA=../shared/data cargo bench --workspace --profile dev --bench quality
//! ```
//!
//! `DATA` is a folder that holds `vaswani` (`documents.trec.gz`, `queries.trec`, `qrels`) and `stsb`
//! (CSV files of sentence, sentence, score); what is not there is skipped. Every document becomes a
//! memory of a real node, every query is asked over its socket, in each mode. Whether hybrid search
//! is better or worse than its better half by more than chance is said by a paired bootstrap over
//! the queries, and what codes of one byte cost beside the vectors as the model made them. Not a test
//! of speed: `search` is.

#[path = "quality/codes.rs"]
mod codes;
#[path = "quality/collection.rs"]
mod collection;
#[path = "quality/figures.rs"]
mod figures;
#[path = "quality/node.rs"]
mod node;
#[path = "quality/pairs.rs"]
mod pairs;

use collection::Collection;
use figures::Figures;
use std::path::PathBuf;

#[expect(clippy::print_stdout, reason = "a benchmark prints its figures")]
fn main() {
    let folder = folder();
    if let Some(collection) = Collection::read(&folder.join("vaswani")) {
        let (documents, queries) = (collection.documents.len(), collection.queries.len());
        println!("Vaswani: {documents} documents, {queries} queries");
        println!("| mode | nDCG@10 | recall@10 | recall@100 |\n| --- | --- | --- | --- |");
        let found = node::ask(&collection);
        let figures = |mode: &str| {
            let ranked = found.get(mode).expect("each mode was asked");
            Figures::of(&collection, ranked)
        };
        let [text, vector, hybrid] = ["text", "vector", "hybrid"].map(figures);
        for (mode, figures) in [("text", &text), ("vector", &vector), ("hybrid", &hybrid)] {
            println!("| {mode} | {figures} |");
        }
        let better = if text.gain() > vector.gain() {
            &text
        } else {
            &vector
        };
        println!("hybrid beside its better half: {}", hybrid.beside(better));
        let (made, coded) = codes::rank(&collection);
        let shared = codes::shared_of_ten(&made, &coded);
        let [made, coded] = [made, coded].map(|ranked| Figures::of(&collection, &ranked));
        println!("codes beside the vectors as made: {}", coded.beside(&made));
        println!("of the ten nearest they share {shared:.3}");
    } else {
        println!("skipped: no vaswani in {}", folder.display());
    }
    println!("| STS-B | pairs | Spearman, built-in model |\n| --- | --- | --- |");
    for (name, count, correlation) in pairs::measure(&folder.join("stsb")) {
        println!("| {name} | {count} | {correlation:.3} |");
    }
}

fn folder() -> PathBuf {
    let named = std::env::var_os("DATA").map(PathBuf::from);
    let usual = || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/data"));
    named.unwrap_or_else(usual)
}
