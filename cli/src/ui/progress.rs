//! How far a job is: a bar, lines, JSON Lines or nothing, always on standard error.

use clap::ValueEnum;
use indicatif::{ProgressBar, ProgressStyle};
use protocol::api::imports::Job;
use serde_json::json;
use std::io::{self, IsTerminal as _, Write as _};
use std::time::Instant;

/// How progress is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum ProgressMode {
    /// A bar on a terminal, nothing elsewhere
    #[default]
    Auto,
    /// A line for each phase
    Plain,
    /// JSON Lines
    Json,
    /// Nothing
    None,
}

/// Shows how far one job is.
#[derive(Debug)]
pub(crate) enum Progress {
    /// A bar.
    Bar(ProgressBar),
    /// A line for each phase; the phase that was shown last.
    Plain(String),
    /// A JSON document for each change; when it began, and what was shown last.
    Json(Instant, Option<(String, u64)>),
    /// Nothing.
    None,
}

impl Progress {
    /// Starts.
    pub(crate) fn new(mode: ProgressMode) -> Self {
        match mode {
            ProgressMode::Auto if io::stderr().is_terminal() => {
                let template = "{msg:9} [{bar:30}] {pos}/{len}  {per_sec}  {eta} left";
                let style = ProgressStyle::with_template(template).expect("the template is right");
                let bar = ProgressBar::new(0).with_style(style.progress_chars("=> "));
                Self::Bar(bar)
            }
            ProgressMode::Plain => Self::Plain(String::new()),
            ProgressMode::Json => Self::Json(Instant::now(), None),
            ProgressMode::Auto | ProgressMode::None => Self::None,
        }
    }

    /// Shows where the job is.
    pub(crate) fn update(&mut self, job: &Job) {
        match self {
            Self::Bar(bar) => {
                bar.set_length(job.total);
                bar.set_position(job.done);
                bar.set_message(job.phase.clone());
            }
            Self::Plain(phase) if *phase != job.phase => {
                phase.clone_from(&job.phase);
                line(&format!("{phase}: {}/{}", job.done, job.total));
            }
            Self::Json(start, last) => {
                let now = (job.phase.clone(), job.done);
                if last.as_ref() != Some(&now) {
                    line(&document(job, start.elapsed().as_secs_f64()));
                    *last = Some(now);
                }
            }
            Self::Plain(_) | Self::None => {}
        }
    }

    /// Takes the bar away.
    pub(crate) fn finish(&self) {
        if let Self::Bar(bar) = self {
            bar.finish_and_clear();
        }
    }
}

fn document(job: &Job, seconds: f64) -> String {
    let done = u32::try_from(job.done).unwrap_or(u32::MAX);
    let left = u32::try_from(job.total.saturating_sub(job.done)).unwrap_or(u32::MAX);
    let rate = if seconds > 0.0 {
        f64::from(done) / seconds
    } else {
        0.0
    };
    let eta = (rate > 0.0).then(|| (f64::from(left) / rate).round());
    json!({
        "schema": "brain.progress/1", "job": job.id, "phase": job.phase,
        "done": job.done, "total": job.total, "rate": rate, "eta_s": eta,
    })
    .to_string()
}

fn line(text: &str) {
    // If standard error is gone, nobody is left to be told.
    drop(writeln!(io::stderr().lock(), "{text}"));
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    #[test]
    fn progress_is_a_json_line_with_rate_and_time_left() {
        let job = r#"{"id":"j","state":"running","phase":"parse","done":50,"total":150}"#;
        let job: Job = serde_json::from_str(job).unwrap();
        let line: Value = serde_json::from_str(&document(&job, 5.0)).unwrap();
        assert_eq!(line["schema"], "brain.progress/1");
        assert_eq!(
            (line["rate"].as_f64(), line["eta_s"].as_f64()),
            (Some(10.0), Some(10.0))
        );
        let first: Value = serde_json::from_str(&document(&job, 0.0)).unwrap();
        assert!(first["eta_s"].is_null());
    }
}
