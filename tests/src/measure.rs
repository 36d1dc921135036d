//! What benchmarks of whole programs measure with: local APIs, nodes that share, and the use of CPU,
//! memory and disk.

pub mod api;
pub mod side;
pub mod usage;

/// Returns a number that the environment sets, or another one.
#[expect(
    clippy::disallowed_methods,
    reason = "a benchmark is configured by its environment"
)]
pub fn number(name: &str, otherwise: usize) -> usize {
    let text = std::env::var(name).ok();
    text.map_or(otherwise, |text| text.parse().expect("a number"))
}

/// Returns the value that a share of the values do not exceed.
pub fn quantile(values: &[f64], share: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "a place in a short list"
    )]
    let at = ((sorted.len() as f64 * share).ceil() as usize).saturating_sub(1);
    sorted.get(at).copied().unwrap_or(f64::NAN)
}
