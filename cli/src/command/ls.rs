//! `ls`: memories, by selector.

use crate::client::Client;
use crate::error::CommandError;
use crate::report::Report;
use crate::ui::table::table;
use crate::ui::text::{one_line, short};
use protocol::api::memories::Summary;
use protocol::api::{PAGE_DEFAULT, Page};

/// The arguments.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Which memories, such as tag:recipes (see help selectors)
    #[arg(default_value = "", hide_default_value = true)]
    selector: String,
    /// List at most this many
    #[arg(long, default_value_t = PAGE_DEFAULT, value_name = "N")]
    limit: usize,
    /// List all
    #[arg(long, conflicts_with = "limit")]
    all: bool,
    /// Begin where a list ended (its `next_cursor`)
    #[arg(long)]
    cursor: Option<String>,
    /// List what there was at the end of this day (UTC) or moment, as it was then
    #[arg(long, value_name = "DATE")]
    as_of: Option<String>,
}

/// Lists memories.
pub(crate) fn run(client: &Client, args: &Args) -> Result<Report, CommandError> {
    let mut query = Vec::new();
    if !args.selector.is_empty() {
        query.push(("q", args.selector.as_str()));
    }
    if let Some(cursor) = &args.cursor {
        query.push(("cursor", cursor));
    }
    if let Some(moment) = &args.as_of {
        query.push(("as_of", moment));
    }
    let limit = (!args.all).then_some(args.limit);
    let page: Page<Summary> = client.list(&["v1", "memories"], &query, limit)?;
    let report = Report::new("ls", &page).with("next_cursor", page.next_cursor.clone());
    let mut text = listed(&page.items);
    if page.next_cursor.is_some() {
        text += "(there are more: --all)\n";
    }
    Ok(report
        .text(text)
        .ids(page.items.into_iter().map(|memory| memory.id)))
}

/// Returns memories in columns.
pub(crate) fn listed(items: &[Summary]) -> String {
    let rows = items.iter().map(|memory| {
        let day = memory.updated.split('T').next().unwrap_or_default();
        [
            short(&memory.id),
            one_line(&memory.title, 60),
            memory.kind.clone(),
            one_line(&memory.tags.join(","), 30),
            memory.from.clone(),
            day.to_owned(),
        ]
    });
    table(
        ["ID", "TITLE", "KIND", "TAGS", "FROM", "UPDATED"],
        rows,
        "No memories.",
    )
}
