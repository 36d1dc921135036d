//! `id show|words`: who this node is.

use crate::client::Client;
use crate::error::CommandError;
use crate::report::Report;
use protocol::api::status::Identity;

/// The arguments.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Show the person, the device and the safety words
    Show,
    /// Show the four safety words, to be read out to a peer
    Words,
}

/// Asks the node who it is.
pub(crate) fn run(client: &Client, args: &Args) -> Result<Report, CommandError> {
    let identity: Identity = client.get(&["v1", "identity"], &[])?;
    let Identity {
        person,
        words,
        device,
        alias,
    } = &identity;
    let (command, text) = match args.verb {
        Verb::Show => (
            "id.show",
            format!("person  {person}\nwords   {words}\ndevice  {device}\nalias   {alias}\n"),
        ),
        Verb::Words => ("id.words", format!("{words}\n")),
    };
    Ok(Report::new(command, &identity)
        .text(text)
        .ids([identity.person]))
}
