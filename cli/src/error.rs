//! Why a command did not work: the sentence, the reason, the next step, the stable code.
//!
//! What the node refuses comes as a problem document and is passed on; the rest is what can go
//! wrong on this side. [`CommandError::explain`] is what people and scripts see.

use crate::exit::Exit;
use serde::Serialize;
use std::io;
use std::path::PathBuf;
use std::time::Duration;
use thiserror::Error;

/// A refusal of the node.
#[derive(Debug, Clone, Default)]
pub(crate) struct Refusal {
    /// What.
    pub(crate) title: String,
    /// Why.
    pub(crate) detail: String,
    /// The stable name.
    pub(crate) code: String,
    /// What to do.
    pub(crate) hints: Vec<String>,
    /// The HTTP status.
    pub(crate) status: u16,
    /// The trace that it is a step of, where the node records traces.
    pub(crate) trace_id: Option<String>,
}

/// The reason why a command did not work.
#[derive(Debug, Error)]
pub(crate) enum CommandError {
    /// The node refused.
    #[error("{}", .0.title)]
    Refused(Box<Refusal>),
    /// There is no node.
    #[error("No node answers at {address}")]
    Unreachable {
        /// Where it was looked for.
        address: String,
        /// What happened there.
        reason: String,
    },
    /// Waiting took too long.
    #[error("{what} took longer than {} s", after.as_secs())]
    TimedOut {
        /// What was waited for.
        what: String,
        /// How long.
        after: Duration,
    },
    /// The answer is not what this version expects.
    #[error("The answer of the node cannot be read")]
    Unreadable {
        /// What is odd.
        reason: String,
    },
    /// The command line does not say what to do.
    #[error("{what}")]
    Usage {
        /// What is wrong.
        what: String,
        /// What to write instead.
        hint: String,
    },
    /// Nobody is there to be asked.
    #[error("This needs a yes, and there is no terminal to ask at")]
    NeedsYes {
        /// The question.
        question: String,
        /// The command that says yes.
        command: String,
    },
    /// The person said no.
    #[error("Stopped; nothing was done")]
    Declined,
    /// A selector or a name finds nothing.
    #[error("Nothing matches {0:?}")]
    NothingMatches(String),
    /// A selector finds another number than was expected.
    #[error("{selector:?} matches {found}, not {expected}")]
    Count {
        /// The selector.
        selector: String,
        /// How many it matches.
        found: usize,
        /// How many were expected.
        expected: usize,
    },
    /// A file, or standard input, does not read.
    #[error("Cannot read {}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The editor did not work.
    #[error("The editor {editor:?} did not work; nothing was changed")]
    Editor {
        /// The command.
        editor: String,
        /// Why.
        reason: String,
    },
    /// A job of the node failed.
    #[error("The import failed")]
    Job {
        /// Why.
        reason: String,
    },
}

/// An error as people and scripts see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Explained {
    /// The name and version of this form.
    pub(crate) schema: &'static str,
    /// One sentence.
    pub(crate) what: String,
    /// The reason, with values.
    pub(crate) why: String,
    /// Commands or sentences.
    #[serde(rename = "do")]
    pub(crate) hints: Vec<String>,
    /// The stable name.
    pub(crate) code: String,
    /// The exit code.
    pub(crate) exit: u8,
    /// The trace that it is a step of, where the node records traces.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) trace_id: Option<String>,
}

/// The schema of errors.
pub(crate) const SCHEMA: &str = "brain.cli.error/1";

impl CommandError {
    /// Makes a usage error.
    pub(crate) fn usage(what: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Usage {
            what: what.into(),
            hint: hint.into(),
        }
    }

    /// Returns how the command ends.
    pub(crate) fn exit(&self) -> Exit {
        match self {
            Self::Refused(refusal) => Exit::of_name(&refusal.code, refusal.status),
            Self::Unreachable { .. } => Exit::Unreachable,
            Self::TimedOut { .. } => Exit::TimedOut,
            Self::Usage { .. } | Self::NeedsYes { .. } => Exit::Usage,
            Self::File { source, .. } => match source.kind() {
                io::ErrorKind::NotFound => Exit::NotFound,
                io::ErrorKind::PermissionDenied => Exit::NotAllowed,
                io::ErrorKind::InvalidData => Exit::Usage,
                _ => Exit::Failed,
            },
            Self::NothingMatches(_) => Exit::NotFound,
            Self::Count { .. } => Exit::Conflict,
            Self::Unreadable { .. } | Self::Declined | Self::Editor { .. } | Self::Job { .. } => {
                Exit::Failed
            }
        }
    }

    /// Tells whether the node is locked.
    pub(crate) fn is_locked(&self) -> bool {
        matches!(self, Self::Refused(refusal) if refusal.code == "locked")
    }

    /// Tells whether the node does not know the name.
    pub(crate) fn is_not_found(&self) -> bool {
        matches!(self, Self::Refused(refusal) if refusal.code == "not_found")
    }

    fn code(&self) -> &str {
        match self {
            Self::Refused(refusal) => &refusal.code,
            Self::Unreachable { .. } => "node_unreachable",
            Self::TimedOut { .. } => "timeout",
            Self::Unreadable { .. } => "unreadable_answer",
            Self::Usage { .. } => "usage",
            Self::NeedsYes { .. } => "needs_yes",
            Self::Declined => "declined",
            Self::NothingMatches(_) => "not_found",
            Self::Count { .. } => "conflict",
            Self::File { source, .. } if source.kind() == io::ErrorKind::InvalidData => {
                "invalid_utf8"
            }
            Self::File { .. } => "unreadable_file",
            Self::Editor { .. } => "editor_failed",
            Self::Job { .. } => "job_failed",
        }
    }

    fn why(&self) -> String {
        match self {
            Self::Refused(refusal) => refusal.detail.clone(),
            Self::Unreachable { reason, .. }
            | Self::Unreadable { reason }
            | Self::Editor { reason, .. }
            | Self::Job { reason } => reason.clone(),
            Self::NeedsYes { question, .. } => question.clone(),
            Self::Count { .. } => "the set is not the one that you had in mind".to_owned(),
            Self::File { source, .. } => source.to_string(),
            Self::TimedOut { .. }
            | Self::Usage { .. }
            | Self::Declined
            | Self::NothingMatches(_) => String::new(),
        }
    }

    fn hints(&self) -> Vec<String> {
        let one = |hint: &str| vec![hint.to_owned()];
        match self {
            Self::Refused(refusal) => refusal.hints.clone(),
            Self::Unreachable { .. } => vec![
                "brain-node serve                    start it".to_owned(),
                "brainctl --node unix:PATH ...       look for it elsewhere (or BRAIN_NODE)"
                    .to_owned(),
            ],
            Self::TimedOut { .. } => one("brainctl --timeout 5m ...           wait longer"),
            Self::Unreadable { .. } => one("use the brainctl of the same version as the node"),
            Self::Usage { hint, .. } => one(hint),
            Self::NeedsYes { command, .. } => one(command),
            Self::NothingMatches(_) => one("brainctl ls                         see what there is"),
            Self::Count { selector, .. } => {
                vec![format!("brainctl ls {}", crate::shell::quoted(selector))]
            }
            Self::Editor { .. } => one("set VISUAL or EDITOR, or use --body"),
            Self::Declined | Self::File { .. } | Self::Job { .. } => Vec::new(),
        }
    }

    /// Returns the error as people and scripts see it.
    pub(crate) fn explain(&self) -> Explained {
        Explained {
            schema: SCHEMA,
            what: self.to_string(),
            why: self.why(),
            hints: self
                .hints()
                .into_iter()
                .filter(|hint| !hint.is_empty())
                .collect(),
            code: self.code().to_owned(),
            exit: self.exit().number(),
            trace_id: match self {
                Self::Refused(refusal) => refusal.trace_id.clone(),
                _ => None,
            },
        }
    }
}

impl Explained {
    /// Returns the lines for people: what, why, what to do, the code.
    pub(crate) fn text(&self) -> String {
        use std::fmt::Write as _;
        let mut text = format!("✗ {}\n", self.what);
        let mut line = |label: &str, value: &str| {
            writeln!(text, "  {label:<6}{value}").expect("writing to a string does not fail");
        };
        if !self.why.is_empty() {
            line("why", &self.why);
        }
        for (at, hint) in self.hints.iter().enumerate() {
            line(if at == 0 { "do" } else { "" }, hint);
        }
        let trace = self.trace_id.as_ref();
        let trace = trace.map_or(String::new(), |trace| format!(" · trace {trace}"));
        line(
            "code",
            &format!("{} (exit {}){trace}", self.code, self.exit),
        );
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_says_what_why_what_to_do_and_the_code() {
        let refusal = Refusal {
            title: "Nothing has this id".into(),
            detail: "no id begins with \"zzzz\"".into(),
            code: "not_found".into(),
            hints: vec!["brainctl ls".into(), "brainctl search".into()],
            status: 404,
            trace_id: None,
        };
        let text = CommandError::Refused(Box::new(refusal.clone()))
            .explain()
            .text();
        let expect = "✗ Nothing has this id\n  why   no id begins with \"zzzz\"\n  \
                      do    brainctl ls\n        brainctl search\n  code  not_found (exit 3)\n";
        assert_eq!(text, expect);
        let trace_id = Some("7f3c".to_owned());
        let refusal = Refusal {
            trace_id,
            ..refusal
        };
        let text = CommandError::Refused(Box::new(refusal)).explain().text();
        let expect = "  code  not_found (exit 3) · trace 7f3c\n";
        assert!(text.ends_with(expect), "{text}");
    }

    #[test]
    fn errors_of_this_side_have_exit_codes() {
        let file = |kind: io::ErrorKind| CommandError::File {
            path: "x".into(),
            source: io::Error::from(kind),
        };
        let table = [
            (CommandError::usage("a", "b"), 2, "usage"),
            (CommandError::Declined, 1, "declined"),
            (CommandError::NothingMatches("x".into()), 3, "not_found"),
            (
                CommandError::Count {
                    selector: "x".into(),
                    found: 1,
                    expected: 2,
                },
                5,
                "conflict",
            ),
            (
                CommandError::Unreachable {
                    address: "x".into(),
                    reason: "y".into(),
                },
                6,
                "node_unreachable",
            ),
            (
                CommandError::TimedOut {
                    what: "x".into(),
                    after: Duration::from_secs(1),
                },
                7,
                "timeout",
            ),
            (file(io::ErrorKind::NotFound), 3, "unreadable_file"),
            (file(io::ErrorKind::InvalidData), 2, "invalid_utf8"),
        ];
        for (error, exit, code) in table {
            let explained = error.explain();
            assert_eq!((explained.exit, explained.code.as_str()), (exit, code));
        }
    }
}
