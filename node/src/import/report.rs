//! What an import did: the counts and lists that `--json` prints.
//!
//! `new`, `changed`, `same`, `skipped` and `failed[] {source, reason}` are the contract; the rest
//! stands beside it. The caller counts what storing did; skips and warnings are taken from the
//! stream. Lists stop at a bound, counts do not.

use serde::Serialize;

use super::limits::REPORT_LINES_MAX;
use super::note::ImportedNote;
use super::skip::Skip;

/// The outcome of an import.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Notes that were not known before.
    pub new: u64,
    /// Notes that were known with other content.
    pub changed: u64,
    /// Notes that were known with this content.
    pub same: u64,
    /// Files and folders left out on purpose.
    pub skipped: u64,
    /// Notes that could not be taken; at most 10 000 lines.
    pub failed: Vec<Failure>,
    /// How many notes could not be taken, listed or not.
    pub failed_total: u64,
    /// What was left out on purpose, by line or in total by extension; at most 10 000 lines.
    pub skips: Vec<SkipLine>,
    /// What was imported with a reservation; at most 10 000 lines.
    pub warnings: Vec<WarningLine>,
    /// How many warnings there were, listed or not.
    pub warnings_total: u64,
}

/// A note that could not be taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Failure {
    /// The source key.
    pub source: String,
    /// The stable code of the reason.
    pub code: String,
    /// The reason as a sentence.
    pub reason: String,
}

/// Something left out on purpose.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SkipLine {
    /// The source key, or `*.ext`.
    pub source: String,
    /// The stable code of the reason.
    pub code: &'static str,
    /// The reason as a sentence.
    pub reason: &'static str,
    /// How many files this line stands for.
    pub count: u64,
}

/// A reservation about a note that was imported.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct WarningLine {
    /// The source key.
    pub source: String,
    /// The stable code of the warning.
    pub code: &'static str,
    /// The warning as a sentence.
    pub message: String,
}

impl Report {
    /// Counts something that the stream left out: losses as failed, the others as skipped.
    pub fn add_skip(&mut self, skip: Skip) {
        let (code, reason) = (skip.reason.code(), skip.reason.sentence());
        if skip.reason.is_loss() {
            self.add_failure(skip.source, code, reason);
            return;
        }
        self.skipped = self.skipped.saturating_add(skip.count);
        let line = SkipLine {
            source: skip.source,
            code,
            reason,
            count: skip.count,
        };
        push_bounded(&mut self.skips, line);
    }

    /// Counts a note that could not be taken, for a reason of reading or of storing.
    pub fn add_failure(&mut self, source: String, code: &str, reason: &str) {
        self.failed_total = self.failed_total.saturating_add(1);
        let line = Failure {
            source,
            code: code.to_owned(),
            reason: reason.to_owned(),
        };
        push_bounded(&mut self.failed, line);
    }

    /// Takes over the warnings of a note.
    pub fn add_warnings(&mut self, note: &ImportedNote) {
        for warning in &note.warnings {
            self.warnings_total = self.warnings_total.saturating_add(1);
            let line = WarningLine {
                source: note.source.clone(),
                code: warning.code(),
                message: warning.to_string(),
            };
            push_bounded(&mut self.warnings, line);
        }
    }
}

fn push_bounded<T>(list: &mut Vec<T>, line: T) {
    if list.len() < REPORT_LINES_MAX {
        list.push(line);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::import::SkipReason;

    #[test]
    fn the_contract_fields_are_there_and_losses_are_failures() {
        let mut report = Report::default();
        report.add_skip(Skip::one("file:a.md".into(), SkipReason::NotUtf8));
        report.add_skip(Skip::one("file:.git".into(), SkipReason::Hidden));
        report.add_skip(Skip {
            source: "*.png".into(),
            reason: SkipReason::UnsupportedExtension,
            count: 12,
        });
        let json = serde_json::to_value(&report).unwrap();
        assert_eq!(json["new"], 0);
        assert_eq!(json["changed"], 0);
        assert_eq!(json["same"], 0);
        assert_eq!(json["skipped"], 13);
        assert_eq!(json["failed"][0]["source"], "file:a.md");
        assert_eq!(json["failed"][0]["reason"], SkipReason::NotUtf8.sentence());
        assert_eq!(json["skips"][1]["count"], 12);
        assert_eq!(json["skips"][0]["code"], "hidden");
    }

    #[test]
    fn lists_are_bounded_and_counts_are_not() {
        let mut report = Report::default();
        for _ in 0..REPORT_LINES_MAX + 5 {
            report.add_failure("file:a.md".into(), "read_error", "x");
        }
        assert_eq!(report.failed.len(), REPORT_LINES_MAX);
        assert_eq!(report.failed_total, REPORT_LINES_MAX as u64 + 5);
    }
}
