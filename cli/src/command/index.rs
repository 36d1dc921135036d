//! `index`: how far the read models are, and their rebuilding from the log.

use crate::client::Client;
use crate::error::CommandError;
use crate::report::Report;
use crate::ui::table::table;
use protocol::api::status::{NodeStatus, Rebuilt};
use serde_json::json;

/// The arguments.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Show how far each read model is
    Status,
    /// Build all read models again from the log
    Rebuild,
}

/// Does what the verb says.
pub(crate) fn run(client: &Client, args: &Args) -> Result<Report, CommandError> {
    match args.verb {
        Verb::Status => {
            let node: NodeStatus = client.get(&["v1", "node"], &[])?;
            let rows = node.projections.iter().map(|projection| {
                let lag = projection.lag;
                let state = if lag == 0 {
                    "up to date".into()
                } else {
                    format!("{lag} behind")
                };
                [
                    projection.name.clone(),
                    projection.cursor.to_string(),
                    state,
                    projection.model.clone().unwrap_or_default(),
                    projection.note.clone().unwrap_or_default(),
                ]
            });
            let text = table(
                ["NAME", "CURSOR", "STATE", "MODEL", "NOTE"],
                rows,
                "There are no read models.",
            );
            let fields = json!({"projections": node.projections, "memories": node.memories});
            Ok(Report::new("index.status", &fields).text(text))
        }
        Verb::Rebuild => {
            let rebuilt: Rebuilt = client.act_long(&["v1", "indexes:rebuild"])?;
            let Rebuilt {
                events,
                memories,
                took_ms,
            } = &rebuilt;
            let text =
                format!("✓ Rebuilt {memories} memories from {events} events in {took_ms} ms\n");
            Ok(Report::new("index.rebuild", &rebuilt).confirmation(text))
        }
    }
}
