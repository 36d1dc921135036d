//! Pairs of sentences whose likeness people judged, and how the built-in model orders them.

use node::embed::builtin::Builtin;
use node::embed::cosine;
use std::path::{Path, PathBuf};

/// Returns name, pairs and rank correlation of each CSV file in a folder.
pub(crate) fn measure(folder: &Path) -> Vec<(String, usize, f64)> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    files.retain(|path| path.extension().is_some_and(|kind| kind == "csv"));
    files.sort();
    let model = Builtin::load().expect("the model in the binary is whole");
    let measured = files.iter().map(|path| {
        let text = std::fs::read_to_string(path).expect("the file can be read");
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for line in text.lines() {
            let [left, right, score] = &fields(line)[..] else {
                panic!(
                    "{}: {line:?} is not sentence, sentence, score",
                    path.display()
                );
            };
            let [left, right] = [left, right].map(|text| model.embed_one(text));
            ours.push(f64::from(cosine(&left, &right)));
            theirs.push(score.trim().parse().expect("a score is a number"));
        }
        let name = path.file_stem().unwrap_or_default().display().to_string();
        (
            name,
            ours.len(),
            correlation(&ranks(&ours), &ranks(&theirs)),
        )
    });
    measured.collect()
}

/// Splits a line of CSV; a quote inside quotes is written twice.
fn fields(line: &str) -> Vec<String> {
    let (mut all, mut quoted) = (vec![String::new()], false);
    let last = line.split('"').count() - 1;
    for (index, part) in line.split('"').enumerate() {
        let field = all.last_mut().expect("there is always one");
        if quoted {
            field.push_str(part);
        } else if part.is_empty() && index > 0 && index < last {
            field.push('"');
        } else {
            let mut pieces = part.split(',');
            field.push_str(pieces.next().unwrap_or_default());
            all.extend(pieces.map(str::to_owned));
        }
        quoted = !quoted;
    }
    all
}

/// Returns the rank of each value; equals share the mean of theirs.
fn ranks(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<(f64, usize)> = values.iter().copied().zip(0..).collect();
    order.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (mut ranks, mut first) = (vec![0.0; values.len()], 0.0);
    for group in order.chunk_by(|a, b| a.0.total_cmp(&b.0).is_eq()) {
        let size: f64 = group.iter().map(|_| 1.0).sum();
        for (_, at) in group {
            ranks[*at] = first + (size - 1.0) / 2.0;
        }
        first += size;
    }
    ranks
}

/// Returns Pearson's correlation, which over ranks is Spearman's.
fn correlation(left: &[f64], right: &[f64]) -> f64 {
    let count: f64 = left.iter().map(|_| 1.0).sum();
    let middle = |values: &[f64]| values.iter().sum::<f64>() / count;
    let (middle_left, middle_right) = (middle(left), middle(right));
    let (mut both, mut spread_left, mut spread_right) = (0.0, 0.0, 0.0);
    for (a, b) in left.iter().zip(right) {
        let (a, b) = (a - middle_left, b - middle_right);
        both += a * b;
        spread_left += a * a;
        spread_right += b * b;
    }
    both / (spread_left * spread_right).sqrt()
}
