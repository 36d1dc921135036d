//! `related`: what is near a memory.

use crate::client::Client;
use crate::error::CommandError;
use crate::report::Report;
use crate::ui::table::table;
use crate::ui::text::{one_line, short};
use protocol::api::alike::{Related, RelatedMemories};
use std::fmt::Write as _;

/// The arguments.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The memory: its id or a unique beginning of it
    id: String,
    /// Show at most this many
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
}

/// Shows them.
pub(crate) fn run(client: &Client, args: &Args) -> Result<Report, CommandError> {
    let limit = args.limit.map(|limit| limit.to_string());
    let query: Vec<_> = limit
        .iter()
        .map(|limit| ("limit", limit.as_str()))
        .collect();
    let near: RelatedMemories = client.get(&["v1", "memories", &args.id, "related"], &query)?;
    let mut text = listed(&near.items);
    if near.vector_lag > 0 {
        let behind = near.vector_lag;
        writeln!(text, "(what is near in meaning is {behind} events behind)")
            .expect("writing to a string does not fail");
    }
    let report = Report::new("related", &near).text(text);
    Ok(report.ids(near.items.into_iter().map(|item| item.memory.id)))
}

fn listed(items: &[Related]) -> String {
    let rows = items.iter().map(|item| {
        let near = item.score.map(|score| format!("{score:.2}"));
        [
            short(&item.memory.id),
            one_line(&item.memory.title, 60),
            near.unwrap_or_default(),
            if item.linked { "linked" } else { "" }.to_owned(),
            item.memory.from.clone(),
        ]
    });
    table(
        ["ID", "TITLE", "NEAR", "LINK", "FROM"],
        rows,
        "Nothing is near.",
    )
}
