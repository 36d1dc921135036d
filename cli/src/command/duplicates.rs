//! `duplicates`: memories that say nearly the same.

use crate::client::Client;
use crate::error::CommandError;
use crate::report::Report;
use crate::ui::text::{memories, one_line, short};
use protocol::api::alike::{DuplicateGroup, Duplicates};
use std::fmt::Write as _;

/// The arguments.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Which memories, such as tag:recipes; all if absent (see help selectors)
    #[arg(default_value = "", hide_default_value = true)]
    selector: String,
    /// Show at most this many groups
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
}

/// Compares them. It changes nothing: which one to keep is for a person to say.
pub(crate) fn run(client: &Client, args: &Args) -> Result<Report, CommandError> {
    let limit = args.limit.map(|limit| limit.to_string());
    let mut query: Vec<_> = limit
        .iter()
        .map(|limit| ("limit", limit.as_str()))
        .collect();
    if !args.selector.is_empty() {
        query.push(("q", &args.selector));
    }
    let found: Duplicates = client.get_long(&["v1", "duplicates"], &query)?;
    let report = Report::new("duplicates", &found).text(text(&found));
    // What could go: all but the first of each.
    let later = found
        .groups
        .into_iter()
        .flat_map(|group| group.items.into_iter().skip(1));
    Ok(report.ids(later.map(|item| item.memory.id)))
}

fn text(found: &Duplicates) -> String {
    let compared = memories(found.compared);
    if found.groups.is_empty() {
        return format!("Nothing says the same among {compared}.\n");
    }
    let mut text: String = found.groups.iter().map(entry).collect();
    let shown = found.groups.len();
    writeln!(
        text,
        "{shown} of {} groups among {compared}; --ids prints all but the first of each",
        found.found
    )
    .expect("writing to a string does not fail");
    text
}

fn entry(group: &DuplicateGroup) -> String {
    let mut text = String::new();
    for (place, item) in group.items.iter().enumerate() {
        let day = item.memory.updated.split('T').next().unwrap_or_default();
        let like = match place {
            0 => "first".to_owned(),
            _ => format!("{:.0} %", item.likeness * 100.0),
        };
        let (id, title) = (short(&item.memory.id), one_line(&item.memory.title, 60));
        writeln!(
            text,
            "{id}  {like:>5}  {day}  {}  {title}",
            item.memory.from
        )
        .expect("writing to a string does not fail");
    }
    text.push('\n');
    text
}
