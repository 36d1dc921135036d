//! `restore`: brings forgotten memories back.

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

/// Brings the memories back.
pub(crate) fn run(client: &Client, ui: &Ui, args: &Args) -> Result<Report, CommandError> {
    let Batch { selector, care } = &args.batch;
    let standing = Standing::Forgotten;
    let deed = Deed {
        command: "restore",
        standing,
        verb: "Restore",
        past: "Restored",
    };
    let found = batch::find(client, (selector, care), &deed)?;
    batch::run(ui, &found, care, &deed, |id| {
        client.act(&["v1", "memories", &format!("{id}:restore")])
    })
}
