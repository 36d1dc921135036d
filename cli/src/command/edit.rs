//! `edit`: changes a memory by flags, or its text in an editor.

use super::add::standard_input;
use crate::client::Client;
use crate::environment::Environment;
use crate::error::CommandError;
use crate::report::Report;
use crate::ui::text::short;
use protocol::api::memories::{Memory, Patch, Written};
use std::io::Write as _;
use std::path::Path;
use std::process::Command;

/// The arguments.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The memory: its id or a unique beginning of it
    id: String,
    /// Set the title
    #[arg(long)]
    title: Option<String>,
    /// Set the text; - reads standard input
    #[arg(long)]
    body: Option<String>,
    /// Set a tag
    #[arg(long, value_name = "TAG")]
    add_tag: Vec<String>,
    /// Take a tag away
    #[arg(long, value_name = "TAG")]
    remove_tag: Vec<String>,
    /// Put it into this drawer
    #[arg(long)]
    space: Option<String>,
    /// Say whether it may ever leave
    #[arg(long, value_parser = ["normal", "secret"])]
    sensitivity: Option<String>,
    /// Name the heads that the change was made on; a change on older heads merges
    #[arg(long, value_name = "HEAD")]
    base: Vec<String>,
    /// Use this editor
    #[arg(long, conflicts_with_all = ["title", "body", "add_tag", "remove_tag", "space", "sensitivity", "base"])]
    editor: Option<String>,
}

/// Changes the memory.
pub(crate) fn run(
    client: &Client,
    environment: &Environment,
    args: Args,
) -> Result<Report, CommandError> {
    let id = args.id.clone();
    let editor = args.editor.clone().or_else(|| environment.editor.clone());
    let Some(patch) = from_flags(args)? else {
        return in_editor(client, &id, &editor.unwrap_or_else(|| "vi".to_owned()));
    };
    let written: Written = client.patch(&["v1", "memories", &id], &patch)?;
    Ok(report(written))
}

fn report(written: Written) -> Report {
    let id = short(&written.id);
    let text = match (written.changed, written.merged) {
        (false, _) => format!("✓ {id} is as it was\n"),
        (true, true) => format!("✓ Changed {id}, merged with a change that was made meanwhile\n"),
        (true, false) => format!("✓ Changed {id}\n"),
    };
    Report::new("edit", &written)
        .confirmation(text)
        .ids([written.id])
}

/// Returns the change that the flags ask for; `None` if they ask for none.
fn from_flags(args: Args) -> Result<Option<Patch>, CommandError> {
    let asks = args.title.is_some()
        || args.body.is_some()
        || args.space.is_some()
        || args.sensitivity.is_some()
        || !args.add_tag.is_empty()
        || !args.remove_tag.is_empty();
    if !asks {
        return Ok(None);
    }
    let body = match args.body {
        Some(dash) if dash == "-" => Some(standard_input()?),
        body => body,
    };
    Ok(Some(Patch {
        base: (!args.base.is_empty()).then_some(args.base),
        title: args.title,
        body,
        add_tags: args.add_tag,
        remove_tags: args.remove_tag,
        space: args.space,
        sensitivity: args.sensitivity,
        ..Patch::default()
    }))
}

fn in_editor(client: &Client, id: &str, editor: &str) -> Result<Report, CommandError> {
    let memory: Memory = client.get(&["v1", "memories", id], &[])?;
    let body = edited(editor, &memory.body)?;
    if body == memory.body {
        let Memory { id, heads, .. } = memory;
        return Ok(report(Written {
            id,
            heads,
            merged: false,
            changed: false,
        }));
    }
    // The heads that were shown are the base, so what arrives meanwhile is merged, not lost.
    let patch = Patch {
        base: Some(memory.heads),
        body: Some(body),
        ..Patch::default()
    };
    Ok(report(
        client.patch(&["v1", "memories", &memory.id], &patch)?,
    ))
}

/// Returns the text after the editor ended. The file is readable by its owner only.
fn edited(editor: &str, text: &str) -> Result<String, CommandError> {
    let file_error = |source| CommandError::File {
        path: "temporary file".into(),
        source,
    };
    let mut builder = tempfile::Builder::new();
    let mut file = builder
        .prefix("memory-")
        .suffix(".md")
        .tempfile()
        .map_err(file_error)?;
    file.write_all(text.as_bytes()).map_err(file_error)?;
    start(editor, file.path())?;
    // Some editors write a new file in place of the old one, so it is read by its name.
    let after = std::fs::read_to_string(file.path()).map_err(file_error)?;
    // Editors end the last line; a text that had no such end keeps having none.
    Ok(match after.strip_suffix('\n') {
        Some(shorter) if !text.ends_with('\n') => shorter.to_owned(),
        _ => after,
    })
}

fn start(editor: &str, path: &Path) -> Result<(), CommandError> {
    let error = |reason: String| CommandError::Editor {
        editor: editor.to_owned(),
        reason,
    };
    let mut words = editor.split_whitespace();
    let program = words
        .next()
        .ok_or_else(|| error("it is empty".to_owned()))?;
    let status = Command::new(program).args(words).arg(path).status();
    match status {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(error(format!("it ended with {status}"))),
        Err(cause) => Err(error(cause.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_editor_changes_the_text_and_keeps_its_end() {
        assert_eq!(edited("sed -i s/a/b/", "a c").unwrap(), "b c");
        assert_eq!(edited("sed -i $a\\more", "a\n").unwrap(), "a\nmore\n");
        assert_eq!(edited("true", "a\n\n").unwrap(), "a\n\n");
    }

    #[test]
    fn an_editor_that_fails_changes_nothing() {
        for editor in ["false", "/no/such/editor", " "] {
            let error = edited(editor, "a").unwrap_err().explain();
            assert_eq!(
                (error.code.as_str(), error.exit),
                ("editor_failed", 1),
                "{editor:?}"
            );
        }
    }
}
