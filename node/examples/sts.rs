//! Measures an embedding model on STS-B files: Spearman correlation of cosine and score.
//!
//! `cargo run -p brain-node --example sts -- --data DIR` reads every `.csv` in the folder; a line
//! is sentence, sentence, score. The data is not part of the project. The model is the built-in one,
//! or with `--model FILE` one from a file, its `vocab.txt` beside it.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Instant;

use clap::Parser as _;
use node::config::ModelFiles;
use node::embed::builtin::Builtin;
use node::embed::onnx::engine::Engine;
use node::embed::{Embedder as _, cosine};

type Failure = Box<dyn std::error::Error>;

/// Measure an embedding model on STS-B files.
#[derive(Debug, clap::Parser)]
struct Args {
    /// Folder with the STS-B files.
    #[arg(long)]
    data: PathBuf,
    /// An ONNX file instead of the built-in model.
    #[arg(long)]
    model: Option<PathBuf>,
}

/// Makes a text's vector.
type Embed = Box<dyn Fn(&str) -> Result<Vec<f32>, Failure>>;

fn main() -> Result<(), Failure> {
    let args = Args::parse();
    let mut out = std::io::stdout();
    let embed = if let Some(model) = args.model {
        let vocabulary = model.with_file_name("vocab.txt");
        let start = Instant::now();
        let engine = Engine::read(&ModelFiles { model, vocabulary })?;
        writeln!(out, "model {engine:?}, read in {:.1?}", start.elapsed())?;
        Box::new(move |text: &str| Ok(engine.embed_one(text)?)) as Embed
    } else {
        let model = Builtin::load()?;
        writeln!(out, "model {}", model.name())?;
        Box::new(move |text: &str| Ok(model.embed_one(text)))
    };
    let mut files: Vec<PathBuf> = std::fs::read_dir(&args.data)?
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<_, Failure>>()?;
    files.retain(|path| path.extension().is_some_and(|kind| kind == "csv"));
    files.sort();
    for path in files {
        let (count, correlation, micros) = measure(&embed, &path)?;
        let name = path.file_name().unwrap_or_default().display();
        writeln!(
            out,
            "{name}: {count} pairs, Spearman {correlation:.4}, {micros:.1} us per text"
        )?;
    }
    Ok(())
}

/// Returns the number of pairs, the correlation, and the time per text.
fn measure(embed: &Embed, path: &Path) -> Result<(usize, f64, f64), Failure> {
    let mut truth = Vec::new();
    let mut texts = Vec::new();
    for record in records(&std::fs::read_to_string(path)?) {
        let [left, right, score] = <[String; 3]>::try_from(record)
            .map_err(|found| format!("{} fields in a line of {}", found.len(), path.display()))?;
        texts.extend([left, right]);
        truth.push(score.trim().parse::<f64>()?);
    }
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let start = Instant::now();
    let vectors: Vec<Vec<f32>> = texts
        .iter()
        .map(|text| embed(text))
        .collect::<Result<_, _>>()?;
    let micros = start.elapsed().as_secs_f64() * 1e6 / f64::from(u32::try_from(texts.len())?);
    let ours: Vec<f64> = vectors
        .as_chunks::<2>()
        .0
        .iter()
        .map(|[left, right]| f64::from(cosine(left, right)))
        .collect();
    Ok((
        truth.len(),
        correlation(&ranks(&ours)?, &ranks(&truth)?),
        micros,
    ))
}

/// Splits CSV with quoted fields into records.
fn records(text: &str) -> Vec<Vec<String>> {
    let (mut all, mut record, mut field, mut quoted) =
        (Vec::new(), Vec::new(), String::new(), false);
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '"' if quoted && rest.peek() == Some(&'"') => {
                field.extend(rest.next());
            }
            '"' => quoted = !quoted,
            ',' if !quoted => record.push(std::mem::take(&mut field)),
            '\n' if !quoted => {
                record.push(std::mem::take(&mut field));
                all.push(std::mem::take(&mut record));
            }
            '\r' if !quoted => {}
            other => field.push(other),
        }
    }
    if !field.is_empty() || !record.is_empty() {
        record.push(field);
        all.push(record);
    }
    all
}

/// Returns the rank of each value; equal values share the mean of their ranks.
fn ranks(values: &[f64]) -> Result<Vec<f64>, Failure> {
    let mut order: Vec<(f64, usize)> = values.iter().copied().zip(0..).collect();
    order.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut ranks = vec![0.0; values.len()];
    let mut start = 0;
    for group in order.chunk_by(|a, b| a.0.total_cmp(&b.0).is_eq()) {
        let first = f64::from(u32::try_from(start)?);
        let size = f64::from(u32::try_from(group.len())?);
        for (_, at) in group {
            ranks[*at] = first + (size - 1.0) / 2.0;
        }
        start += group.len();
    }
    Ok(ranks)
}

/// Returns Pearson's correlation, which over ranks is Spearman's.
fn correlation(left: &[f64], right: &[f64]) -> f64 {
    let mean =
        |values: &[f64]| values.iter().sum::<f64>() / values.iter().map(|_| 1.0).sum::<f64>();
    let (middle_left, middle_right) = (mean(left), mean(right));
    let (mut both, mut spread_left, mut spread_right) = (0.0, 0.0, 0.0);
    for (a, b) in left.iter().zip(right) {
        let (a, b) = (a - middle_left, b - middle_right);
        both += a * b;
        spread_left += a * a;
        spread_right += b * b;
    }
    both / (spread_left * spread_right).sqrt()
}
