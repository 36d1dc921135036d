//! `add`: keeps a new memory from arguments, standard input or a file.

use super::attachment;
use crate::client::Client;
use crate::error::CommandError;
use crate::report::Report;
use crate::ui::text::{count, short};
use protocol::api::memories::{NewMemory, Written};
use std::io::{self, IsTerminal as _};
use std::path::{Path, PathBuf};

/// The arguments.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The text; - or nothing reads standard input
    text: Vec<String>,
    /// Read the text from a file
    #[arg(long, conflicts_with = "text")]
    file: Option<PathBuf>,
    /// Set a tag (can be given several times)
    #[arg(short, long = "tag", value_name = "TAG")]
    tags: Vec<String>,
    /// Set the title; the first line of the text if absent
    #[arg(long)]
    title: Option<String>,
    /// Say what it is
    #[arg(long, value_enum)]
    kind: Option<Kind>,
    /// Put it into this drawer
    #[arg(long)]
    space: Option<String>,
    /// Attach a file (can be given several times)
    #[arg(long = "attach", value_name = "FILE")]
    files: Vec<PathBuf>,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Kind {
    Note,
    #[value(alias = "doc")]
    Document,
    Bookmark,
    Task,
    Conversation,
    #[value(alias = "agent")]
    Observation,
}

impl Kind {
    fn as_str(self) -> &'static str {
        match self {
            Self::Note => "note",
            Self::Document => "document",
            Self::Bookmark => "bookmark",
            Self::Task => "task",
            Self::Conversation => "conversation",
            Self::Observation => "observation",
        }
    }
}

/// Keeps the memory.
pub(crate) fn run(client: &Client, args: Args) -> Result<Report, CommandError> {
    let source = args.file.as_deref().map(source).transpose()?;
    let body = match args.file.as_deref() {
        Some(path) => read(path, std::fs::read_to_string(path))?,
        None => spoken(&args.text)?,
    };
    let memory = NewMemory {
        title: args.title,
        body,
        kind: args.kind.map(|kind| kind.as_str().to_owned()),
        tags: args.tags,
        source,
        space: args.space,
    };
    let files = if args.files.is_empty() {
        Vec::new()
    } else {
        attachment::open_all(client, &args.files)?
    };
    let mut written: Written = client.post(&["v1", "memories"], &memory)?;
    let mut text = format!("✓ Kept {}\n", short(&written.id));
    if !files.is_empty() {
        let attached = attachment::attach(client, &written.id, files, None)?;
        let many = count(attached.len(), "file", "files");
        text = format!("✓ Kept {} with {many}\n", short(&written.id));
        if let Some(last) = attached.into_iter().next_back() {
            written.heads = last.written.heads;
        }
    }
    Ok(Report::new("add", &written)
        .confirmation(text)
        .ids([written.id]))
}

/// Returns the words of the command line, or standard input where they say so.
fn spoken(words: &[String]) -> Result<String, CommandError> {
    match words {
        [] if io::stdin().is_terminal() => Err(CommandError::usage(
            "There is no text",
            "brainctl add \"my first memory\"",
        )),
        [] => standard_input(),
        [only] if only == "-" => standard_input(),
        words => Ok(words.join(" ")),
    }
}

/// Reads standard input to its end.
pub(crate) fn standard_input() -> Result<String, CommandError> {
    read(Path::new("-"), io::read_to_string(io::stdin().lock()))
}

fn read(path: &Path, text: io::Result<String>) -> Result<String, CommandError> {
    text.map_err(|source| CommandError::File {
        path: path.to_owned(),
        source,
    })
}

fn source(path: &Path) -> Result<String, CommandError> {
    let error = |source| CommandError::File {
        path: path.to_owned(),
        source,
    };
    Ok(format!(
        "file://{}",
        std::path::absolute(path).map_err(error)?.display()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_make_one_text() {
        let words = ["buy".to_owned(), "milk".to_owned()];
        assert_eq!(spoken(&words).unwrap(), "buy milk");
    }

    #[test]
    fn a_source_is_absolute() {
        assert_eq!(source(Path::new("/a/b.md")).unwrap(), "file:///a/b.md");
        assert!(source(Path::new("b.md")).unwrap().ends_with("/b.md"));
    }

    #[test]
    fn a_file_that_is_no_text_is_refused() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), [0xff, 0xfe]).unwrap();
        let error = read(file.path(), std::fs::read_to_string(file.path()))
            .unwrap_err()
            .explain();
        assert_eq!((error.code.as_str(), error.exit), ("invalid_utf8", 2));
    }
}
