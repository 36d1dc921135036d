//! `purge`: destroys memories and their keys on this node. There is no way back.

use super::batch::{self, Batch, Deed};
use crate::client::Client;
use crate::error::CommandError;
use crate::report::Report;
use crate::select::Standing;
use crate::ui::Ui;
use crate::ui::text::{memories, one_line};

/// The arguments.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    batch: Batch,
}

/// Destroys the memories.
pub(crate) fn run(client: &Client, ui: &Ui, args: &Args) -> Result<Report, CommandError> {
    let Batch { selector, care } = &args.batch;
    let deed = Deed {
        command: "purge",
        standing: Standing::Any,
        verb: "Purge",
        past: "Purged",
    };
    let found = batch::find(client, (selector, care), &deed)?;
    if !care.dry_run {
        let first = found
            .first()
            .map(|memory| one_line(&memory.title, 40))
            .unwrap_or_default();
        let many = memories(found.len());
        ui.confirm(&format!(
            "Purge {many} ({first:?} first)? There is no way back."
        ))?;
    }
    batch::run(ui, &found, care, &deed, |id| {
        client.act_long(&["v1", "memories", &format!("{id}:purge")])
    })
}
