//! `link`: links a memory to another.

use crate::client::Client;
use crate::error::CommandError;
use crate::report::Report;
use crate::ui::text::short;
use protocol::api::memories::{Link, Memory, Patch, Written};

/// The arguments.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The memory that gets the link
    from: String,
    /// The memory that it leads to
    to: String,
    /// Say what the link means
    #[arg(long = "as", value_name = "RELATION", default_value = "mentions")]
    relation: String,
}

/// Sets the link.
pub(crate) fn run(client: &Client, args: Args) -> Result<Report, CommandError> {
    // A link stores the whole id: what is unique today need not be tomorrow.
    let to: Memory = client.get(&["v1", "memories", &args.to], &[])?;
    let link = Link {
        to: to.id,
        relation: args.relation,
    };
    let patch = Patch {
        add_links: vec![link.clone()],
        ..Patch::default()
    };
    let written: Written = client.patch(&["v1", "memories", &args.from], &patch)?;
    let text = format!("✓ Linked {} to {}\n", short(&written.id), short(&link.to));
    let report = Report::new("link", &written)
        .with("to", link.to)
        .with("relation", link.relation);
    Ok(report.confirmation(text).ids([written.id]))
}
