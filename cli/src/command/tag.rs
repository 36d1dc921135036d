//! `tag add|rm`: sets tags on every memory of a selector, or takes them away.

use super::batch::{self, Care, Deed};
use crate::client::Client;
use crate::error::CommandError;
use crate::report::Report;
use crate::select::{self, Standing};
use crate::ui::Ui;
use protocol::api::memories::Patch;

/// The arguments.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Set tags
    Add(Tags),
    /// Take tags away
    Rm(Tags),
}

#[derive(Debug, clap::Args)]
struct Tags {
    /// Which memories: an id or a selector
    #[arg(value_parser = select::parse_selector)]
    selector: String,
    /// The tags
    #[arg(required = true, value_name = "TAG")]
    names: Vec<String>,
    #[command(flatten)]
    care: Care,
}

/// Sets the tags or takes them away.
pub(crate) fn run(client: &Client, ui: &Ui, args: &Args) -> Result<Report, CommandError> {
    let (command, verb, past, tags) = match &args.verb {
        Verb::Add(tags) => ("tag.add", "Tag", "Tagged", tags),
        Verb::Rm(tags) => ("tag.rm", "Untag", "Untagged", tags),
    };
    let deed = Deed {
        command,
        standing: Standing::Active,
        verb,
        past,
    };
    let patch = match &args.verb {
        Verb::Add(_) => Patch {
            add_tags: tags.names.clone(),
            ..Patch::default()
        },
        Verb::Rm(_) => Patch {
            remove_tags: tags.names.clone(),
            ..Patch::default()
        },
    };
    let found = batch::find(client, (&tags.selector, &tags.care), &deed)?;
    let report = batch::run(ui, &found, &tags.care, &deed, |id| {
        client.patch(&["v1", "memories", id], &patch)
    })?;
    Ok(report.with("tags", tags.names.clone()))
}
