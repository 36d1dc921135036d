//! Why a step did not do what its scenario says.

use std::path::PathBuf;
use std::time::Duration;
use thiserror::Error;

/// The result of everything that a step does.
pub(crate) type Result<T, E = Fault> = std::result::Result<T, E>;

/// The reason why a scenario ends early.
#[derive(Debug, Error)]
pub(crate) enum Fault {
    /// The file does not read as a scenario.
    #[error("{file}: {message}")]
    File {
        /// The file.
        file: String,
        /// The step and what is wrong with it.
        message: String,
    },
    /// A program that a step needs could not be run at all.
    #[error("{program}: {source}")]
    Program {
        /// The program.
        program: String,
        /// Why.
        source: std::io::Error,
    },
    /// A file or folder of the runner's own.
    #[error("{path}: {source}", path = path.display())]
    Folder {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A command ended with another code than it had to.
    #[error("{command}: exit {code}\n{said}", said = said.trim_end())]
    Exit {
        /// The command.
        command: String,
        /// How it ended.
        code: i32,
        /// What it said on both streams.
        said: String,
    },
    /// An answer has not the form that is documented.
    #[error("{command}: {message}")]
    Answer {
        /// The command.
        command: String,
        /// What is wrong with what it said.
        message: String,
    },
    /// Something that had to come about did not in its time.
    #[error("{what}: not within {within:?}; last seen: {seen}")]
    Late {
        /// What was waited for.
        what: String,
        /// For how long.
        within: Duration,
        /// What was there instead.
        seen: String,
    },
    /// A promise does not hold, or the scenario asks for what makes no sense.
    #[error("{0}")]
    Broken(String),
}

/// Ends a step because a promise does not hold.
pub(crate) fn broken<T>(what: impl Into<String>) -> Result<T> {
    Err(Fault::Broken(what.into()))
}
