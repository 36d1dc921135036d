//! `rm`: forgets memories. They are hidden, not destroyed; `restore` brings them back.

use super::batch::{self, Batch, Deed};
use crate::client::Client;
use crate::error::CommandError;
use crate::report::Report;
use crate::select::Standing;
use crate::ui::Ui;

/// The arguments.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    batch: Batch,
}

/// Forgets the memories.
pub(crate) fn run(client: &Client, ui: &Ui, args: &Args) -> Result<Report, CommandError> {
    let Batch { selector, care } = &args.batch;
    let deed = Deed {
        command: "rm",
        standing: Standing::Active,
        verb: "Forget",
        past: "Forgot",
    };
    let found = batch::find(client, (selector, care), &deed)?;
    batch::run(ui, &found, care, &deed, |id| {
        client.delete(&["v1", "memories", id])
    })
}
