//! What a ranking is worth: nDCG and recall per query, their means, and whether two differ.

use crate::collection::Collection;
use brain_tests::fuzz::mutate::Random;
use brain_tests::measure::quantile;
use std::collections::BTreeMap;
use std::fmt;

/// Resamplings of the queries behind an interval.
const RESAMPLED: usize = 10_000;

/// The figures of one mode: one number a query, in the order of the queries.
pub(crate) struct Figures {
    gain: Vec<f64>,
    recall_10: Vec<f64>,
    recall_100: Vec<f64>,
}

impl Figures {
    /// Compares rankings with what is relevant.
    pub(crate) fn of(collection: &Collection, ranked: &BTreeMap<String, Vec<String>>) -> Self {
        let mut figures = Self {
            gain: Vec::new(),
            recall_10: Vec::new(),
            recall_100: Vec::new(),
        };
        for (query, _) in &collection.queries {
            let relevant = collection.relevant.get(query).expect("only these are kept");
            let hits: Vec<f64> = ranked.get(query).map_or_else(Vec::new, |found| {
                let hit = |document| f64::from(u8::from(relevant.contains(document)));
                found.iter().map(hit).collect()
            });
            let ideal = vec![1.0; relevant.len()];
            let recall = |depth| hits.iter().take(depth).sum::<f64>() / ideal.iter().sum::<f64>();
            figures.gain.push(gain(&hits) / gain(&ideal));
            figures.recall_10.push(recall(10));
            figures.recall_100.push(recall(100));
        }
        figures
    }

    /// Returns the mean nDCG of the first ten.
    pub(crate) fn gain(&self) -> f64 {
        mean(&self.gain)
    }

    /// Says by how much this nDCG is better than another, and between what bounds chance puts it.
    pub(crate) fn beside(&self, other: &Self) -> String {
        let pairs = self.gain.iter().zip(&other.gain);
        let differences: Vec<f64> = pairs.map(|(ours, theirs)| ours - theirs).collect();
        let mut random = Random::new(11);
        let mut draw = || {
            let picked = (0..differences.len()).map(|_| random.below(differences.len()));
            let picked: Vec<f64> = picked
                .filter_map(|at| differences.get(at).copied())
                .collect();
            mean(&picked)
        };
        let drawn: Vec<f64> = (0..RESAMPLED).map(|_| draw()).collect();
        let [low, high] = [0.025, 0.975].map(|share| quantile(&drawn, share));
        let verdict = match (low > 0.0, high < 0.0) {
            (true, _) => "better",
            (_, true) => "WORSE",
            _ => "no difference beyond chance",
        };
        let by = mean(&differences);
        format!("nDCG@10 {by:+.3}, 95 % between {low:+.3} and {high:+.3}: {verdict}")
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [gain, few, many] = [&self.gain, &self.recall_10, &self.recall_100].map(|of| mean(of));
        write!(f, "{gain:.3} | {few:.3} | {many:.3}")
    }
}

/// Returns the discounted gain of the first ten.
fn gain(hits: &[f64]) -> f64 {
    let places = (2_u32..).map(|place| f64::from(place).log2());
    hits.iter()
        .take(10)
        .zip(places)
        .map(|(hit, place)| hit / place)
        .sum()
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.iter().map(|_| 1.0).sum::<f64>()
}
