//! What people and scripts see: renders reports and errors, asks questions, shows progress.
//!
//! Nothing else writes to the terminal. Documents go to standard output; errors, questions,
//! notes and progress go to standard error, so a pipe gets the document only.
//!
//! Invariant: text that came from a memory or a peer cannot steer the terminal: control and
//! direction characters are shown as a replacement character.

pub(crate) mod progress;
pub(crate) mod table;
pub(crate) mod text;

use crate::args::{Globals, When};
use crate::environment::{ColorWish, Environment};
use crate::error::{CommandError, Explained};
use crate::report::{Report, TextForm};
use progress::{Progress, ProgressMode};
use std::io::{self, BufRead as _, IsTerminal as _, Write as _};
use text::Look;

/// What a report is shown as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    /// Lines for people.
    Text,
    /// One JSON document.
    Json,
    /// Ids, one a line.
    Ids,
}

/// What happens where a yes is needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Consent {
    /// `--yes` was given.
    Given,
    /// A person can be asked.
    Ask,
    /// Nobody is there.
    Nobody,
}

/// The way in which one run of the program speaks.
#[derive(Debug)]
pub(crate) struct Ui {
    format: Format,
    quiet: bool,
    out: Look,
    err: Look,
    consent: Consent,
    /// The same command with `--yes`.
    again: String,
    has_wide_terminal: bool,
}

impl Ui {
    /// Reads the flags, the environment and the terminal.
    pub(crate) fn new(globals: &Globals, environment: &Environment, again: String) -> Self {
        let (out, err) = (io::stdout().is_terminal(), io::stderr().is_terminal());
        let look = |is_terminal: bool| Look {
            color: match (globals.color, environment.color) {
                (When::Always, _) | (When::Auto, ColorWish::Always) => true,
                (When::Never, _) | (When::Auto, ColorWish::Never) => false,
                (When::Auto, ColorWish::None) => is_terminal,
            },
            ascii: environment.is_ascii(),
        };
        let consent = match (globals.yes, io::stdin().is_terminal() && err) {
            (true, _) => Consent::Given,
            (false, true) => Consent::Ask,
            (false, false) => Consent::Nobody,
        };
        let format = match (globals.json, globals.ids) {
            (true, _) => Format::Json,
            (false, true) => Format::Ids,
            (false, false) => Format::Text,
        };
        Self {
            format,
            quiet: globals.quiet,
            out: look(out),
            err: look(err),
            consent,
            again,
            has_wide_terminal: out && !environment.is_ascii(),
        }
    }

    /// Tells whether a QR code can be seen.
    pub(crate) fn shows_pictures(&self) -> bool {
        self.format == Format::Text && self.has_wide_terminal
    }

    /// Asks for a yes to something outward or destructive.
    pub(crate) fn confirm(&self, question: &str) -> Result<(), CommandError> {
        match self.consent {
            Consent::Given => Ok(()),
            Consent::Nobody => Err(CommandError::NeedsYes {
                question: question.to_owned(),
                command: self.again.clone(),
            }),
            Consent::Ask => {
                self.stderr(&self.err.render(&format!("{question} [y/N] ")));
                let mut answer = String::new();
                let file = |source| CommandError::File {
                    path: "-".into(),
                    source,
                };
                io::stdin().lock().read_line(&mut answer).map_err(file)?;
                match answer.trim().to_lowercase().as_str() {
                    "y" | "yes" => Ok(()),
                    _ => Err(CommandError::Declined),
                }
            }
        }
    }

    /// Tells a person something that is not the answer.
    pub(crate) fn note(&self, text: &str) {
        if !self.quiet {
            self.stderr(&self.err.render(text));
        }
    }

    /// Starts to show how far a job is.
    pub(crate) fn progress(&self, mode: ProgressMode) -> Progress {
        Progress::new(if self.quiet { ProgressMode::None } else { mode })
    }

    /// Returns what standard output gets of a report.
    fn render(&self, report: &Report) -> String {
        match (self.format, report.form()) {
            (Format::Json, _) => report.as_json(),
            (Format::Ids, _) => report.as_ids(),
            (Format::Text, TextForm::Confirmation) if self.quiet => String::new(),
            (Format::Text, TextForm::Exact) => report.as_text().to_owned(),
            (Format::Text, _) => self.out.render(report.as_text()),
        }
    }

    /// Writes a report to standard output. A reader that went away is no error.
    pub(crate) fn show(&self, report: &Report) -> Result<(), CommandError> {
        let mut out = io::stdout().lock();
        let written = out
            .write_all(self.render(report).as_bytes())
            .and_then(|()| out.flush());
        match written {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(CommandError::File {
                path: "standard output".into(),
                source: error,
            }),
            _ => Ok(()),
        }
    }

    /// Writes an error to standard error.
    pub(crate) fn fail(&self, error: &Explained) {
        match self.format {
            Format::Json => {
                let line = serde_json::to_string(error).expect("an error is JSON");
                self.stderr(&(line + "\n"));
            }
            Format::Text | Format::Ids => self.stderr(&self.err.render(&error.text())),
        }
    }

    #[expect(clippy::unused_self, reason = "only a Ui may write")]
    fn stderr(&self, text: &str) {
        // If standard error is gone, nobody is left to be told.
        drop(io::stderr().lock().write_all(text.as_bytes()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn ui(format: Format, quiet: bool) -> Ui {
        let look = Look {
            color: false,
            ascii: false,
        };
        let (consent, again) = (Consent::Nobody, "brainctl --yes purge x".to_owned());
        Ui {
            format,
            quiet,
            out: look,
            err: look,
            consent,
            again,
            has_wide_terminal: false,
        }
    }

    #[test]
    fn a_report_is_one_document_or_text_or_ids() {
        let report = Report::new("add", &json!({"id": "abc"})).with("heads", vec!["h"]);
        let report = report.ids(["abc".to_owned()]).confirmation("✓ abc\n");
        let json = "{\"heads\":[\"h\"],\"id\":\"abc\",\"schema\":\"brain.cli.add/1\"}\n";
        assert_eq!(ui(Format::Json, true).render(&report), json);
        assert_eq!(ui(Format::Ids, false).render(&report), "abc\n");
        assert_eq!(ui(Format::Text, false).render(&report), "✓ abc\n");
        assert_eq!(ui(Format::Text, true).render(&report), "");
    }

    #[test]
    fn only_exact_text_keeps_control_characters() {
        let report = Report::new("show", &json!({}));
        let shown = report.clone().text("a\u{1b}[2Jb");
        assert_eq!(ui(Format::Text, false).render(&shown), "a\u{fffd}[2Jb");
        let exact = report.exact("a\u{1b}[2Jb");
        assert_eq!(ui(Format::Text, true).render(&exact), "a\u{1b}[2Jb");
    }

    #[test]
    fn without_a_terminal_a_question_gives_the_command_to_run() {
        let error = ui(Format::Text, false)
            .confirm("Purge 1 memory?")
            .unwrap_err()
            .explain();
        assert_eq!((error.exit, error.code.as_str()), (2, "needs_yes"));
        assert_eq!(error.hints, ["brainctl --yes purge x"]);
    }
}
