//! `import`: reads a file or a folder on the node's machine and waits until it is done.

use crate::client::Client;
use crate::error::CommandError;
use crate::report::Report;
use crate::ui::Ui;
use crate::ui::progress::ProgressMode;
use crate::ui::text::one_line;
use protocol::api::imports::{ImportReport, Job, NewImport};
use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::Duration;

/// How long to wait between two looks at the job.
const POLL: Duration = Duration::from_millis(150);
/// How many reasons are told to a person; JSON has them all.
const REASONS_SHOWN: usize = 20;

/// The arguments.
#[derive(Debug, clap::Args)]
#[command(override_usage = "brainctl import [markdown] <PATH> [OPTIONS]")]
pub(crate) struct Args {
    /// The format (markdown, also if absent) and the file or folder
    #[arg(value_name = "PATH", required = true, num_args = 1..=2)]
    what: Vec<PathBuf>,
    /// Report what would happen; store nothing
    #[arg(long)]
    dry_run: bool,
    /// Set a tag on everything (can be given several times)
    #[arg(short, long = "tag", value_name = "TAG")]
    tags: Vec<String>,
    /// Put everything into this drawer
    #[arg(long)]
    space: Option<String>,
    /// Show how far it is
    #[arg(long, value_enum, default_value_t, value_name = "MODE")]
    progress: ProgressMode,
}

/// Starts the import and waits for its end.
pub(crate) fn run(client: &Client, ui: &Ui, args: Args) -> Result<Report, CommandError> {
    let import = NewImport {
        path: path(args.what)?,
        dry_run: args.dry_run,
        tags: args.tags,
        space: args.space,
        max_file_bytes: None,
    };
    let mut job: Job = client.post(&["v1", "imports"], &import)?;
    let mut progress = ui.progress(args.progress);
    while job.state == "running" {
        progress.update(&job);
        std::thread::sleep(POLL);
        job = client.get(&["v1", "jobs", &job.id], &[])?;
    }
    progress.update(&job);
    progress.finish();
    match (job.state.as_str(), job.report) {
        ("done", Some(report)) => Ok(finished(&report).with("job", job.id)),
        (state, _) => {
            let reason = job.error.unwrap_or_else(|| format!("the job is {state}"));
            Err(CommandError::Job { reason })
        }
    }
}

/// Returns the absolute path; the node has another working folder.
fn path(mut what: Vec<PathBuf>) -> Result<String, CommandError> {
    let path = what.pop().unwrap_or_default();
    if let Some(format) = what.pop()
        && format.as_os_str() != "markdown"
    {
        let what = format!("{:?} is no format that can be imported", format.display());
        return Err(CommandError::usage(what, "brainctl import markdown PATH"));
    }
    let absolute = std::path::absolute(&path).map_err(|source| CommandError::File {
        path: path.clone(),
        source,
    })?;
    absolute.into_os_string().into_string().map_err(|odd| {
        let what = format!("{:?} is not UTF-8", odd.display());
        CommandError::usage(what, "rename the folder, or import the one above it")
    })
}

/// An import that could not keep a file has not done what was asked.
fn finished(import: &ImportReport) -> Report {
    let report = Report::new("import", import).text(text(import));
    if import.failed.is_empty() {
        report
    } else {
        report.ends(crate::exit::Exit::Failed)
    }
}

fn text(import: &ImportReport) -> String {
    let mark = if import.failed.is_empty() { "✓" } else { "!" };
    let would = if import.dry_run { "would be " } else { "" };
    let ImportReport {
        new,
        changed,
        same,
        skipped,
        failed,
        took_ms,
        ..
    } = import;
    let mut text = format!(
        "{mark} {would}{new} new, {changed} changed, {same} same, {skipped} skipped, {} failed  ({}.{} s)\n",
        failed.len(),
        took_ms / 1_000,
        took_ms % 1_000 / 100,
    );
    let mut lines = |label: &str, items: &mut dyn Iterator<Item = (&str, String)>, count: usize| {
        for (source, reason) in items.take(REASONS_SHOWN) {
            writeln!(
                text,
                "  {label:<8}{}  {}",
                one_line(source, 80),
                one_line(&reason, 120)
            )
            .expect("writing to a string does not fail");
        }
        if count > REASONS_SHOWN {
            writeln!(
                text,
                "  {label:<8}and {} more (--json lists all)",
                count - REASONS_SHOWN
            )
            .expect("writing to a string does not fail");
        }
    };
    let mut items = failed
        .iter()
        .map(|item| (item.source.as_str(), item.reason.clone()));
    lines("failed", &mut items, failed.len());
    let mut items = import
        .warnings
        .iter()
        .map(|item| (item.source.as_str(), item.reason.clone()));
    lines("odd", &mut items, import.warnings.len());
    let skip = |count: u64, reason: &str| format!("{reason} ({count})");
    let mut items = import
        .skips
        .iter()
        .map(|item| (item.source.as_str(), skip(item.count, &item.reason)));
    lines("skipped", &mut items, import.skips.len());
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::api::imports::{Failure, Skip};

    #[test]
    fn paths_are_absolute_and_other_formats_are_refused() {
        assert_eq!(path(vec!["markdown".into(), "/n".into()]).unwrap(), "/n");
        assert!(path(vec!["n".into()]).unwrap().ends_with("/n"));
        let error = path(vec!["pdf".into(), "/n".into()]).unwrap_err();
        assert_eq!(error.exit().number(), 2);
    }

    #[test]
    fn an_import_with_failures_says_which_and_ends_with_one() {
        let failed = vec![Failure {
            source: "a.md".into(),
            reason: "too large".into(),
        }];
        let skips = vec![Skip {
            source: "*.png".into(),
            code: "not_text".into(),
            reason: "no text".into(),
            count: 3,
        }];
        let import = ImportReport {
            new: 2,
            skipped: 3,
            failed,
            skips,
            took_ms: 1_250,
            ..ImportReport::default()
        };
        let expect = "! 2 new, 0 changed, 0 same, 3 skipped, 1 failed  (1.2 s)\n  \
                      failed  a.md  too large\n  skipped *.png  no text (3)\n";
        assert_eq!(text(&import), expect);
        assert_eq!(finished(&import).exit().number(), 1);
        assert_eq!(finished(&ImportReport::default()).exit().number(), 0);
    }
}
