//! `device`: the machines of this person: adds, names and retires them.

use super::add::standard_input;
use crate::client::Client;
use crate::command::id;
use crate::command::peer::picture;
use crate::duration;
use crate::error::CommandError;
use crate::report::Report;
use crate::shell;
use crate::ui::Ui;
use crate::ui::table::table;
use protocol::api::Page;
use protocol::api::devices::{
    Device, DevicePatch, JoinDevice, NewDevice, NewIdentity, RetireDevice, Retired,
};
use protocol::api::peers::Invite;
use std::time::Duration;

/// The arguments.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Make a ticket with which a new machine becomes a device of yours
    Add {
        /// Your name for the new device
        #[arg(long)]
        name: Option<String>,
        /// How long the ticket can be used
        #[arg(long, value_parser = duration::parse, value_name = "DURATION")]
        expires: Option<Duration>,
        /// Show a QR code, also where none is usual
        #[arg(long)]
        qr: bool,
    },
    /// Make this new machine a device of whoever made the ticket; - reads it from standard input
    Join {
        /// The ticket
        ticket: String,
    },
    /// List your devices
    Ls,
    /// Give a device another name
    Rename {
        /// The device: its name or a unique beginning of its id
        device: String,
        /// The new name
        name: String,
    },
    /// Retire a device that is lost or given away; this is final
    Revoke {
        /// The device: its name or a unique beginning of its id
        device: String,
        /// A file with the recovery phrase, where this device is not the older one; - reads it
        /// from standard input
        #[arg(long, value_name = "FILE")]
        phrase: Option<String>,
    },
}

/// Does what the verb says.
pub(crate) fn run(client: &Client, ui: &Ui, args: Args) -> Result<Report, CommandError> {
    match args.verb {
        Verb::Add { name, expires, qr } => add(client, ui, name, expires, qr),
        Verb::Join { ticket } => join(client, ticket),
        Verb::Ls => list(client),
        Verb::Rename { device, name } => {
            let device: Device =
                client.patch(&["v1", "devices", &device], &DevicePatch { name })?;
            let text = format!("✓ Device {} is called {}\n", device.id, device.name);
            Ok(Report::new("device.rename", &device)
                .confirmation(text)
                .ids([device.id]))
        }
        Verb::Revoke { device, phrase } => revoke(client, ui, &device, phrase.as_deref()),
    }
}

fn add(
    client: &Client,
    ui: &Ui,
    name: Option<String>,
    expires: Option<Duration>,
    qr: bool,
) -> Result<Report, CommandError> {
    let expires_in_s = expires.map(|time| time.as_secs());
    let new = NewDevice { name, expires_in_s };
    let invite: Invite = client.post(&["v1", "devices"], &new)?;
    let mut text = String::new();
    if qr || ui.shows_pictures() {
        text += &picture(&invite.ticket).unwrap_or_default();
    }
    let command = format!("brainctl device join {}", shell::quoted(&invite.ticket));
    let Invite {
        ticket,
        expires,
        words,
    } = &invite;
    let lines = [
        format!("{ticket}\n\nOne use, until {expires}.  Your words: {words}\n"),
        "Whoever uses it gets everything you have: give it to your own machine only.\n".to_owned(),
        format!("The new machine runs: {command}\n"),
    ];
    text += &lines.concat();
    Ok(Report::new("device.add", &invite)
        .text(text)
        .ids([invite.ticket]))
}

fn join(client: &Client, ticket: String) -> Result<Report, CommandError> {
    let ticket = if ticket == "-" {
        standard_input()?.trim().to_owned()
    } else {
        ticket
    };
    let joined: NewIdentity = client.post(&["v1", "devices:join"], &JoinDevice { ticket })?;
    id::wait_for(client, &joined)?;
    let text = format!(
        "✓ This machine is a device of {} now ({})\n  Everything arrives by itself: brainctl sync status\n",
        joined.person, joined.words
    );
    Ok(Report::new("device.join", &joined)
        .confirmation(text)
        .ids([joined.device]))
}

fn list(client: &Client) -> Result<Report, CommandError> {
    let page: Page<Device> = client.list(&["v1", "devices"], &[], None)?;
    let rows = page.items.iter().map(|device| {
        [
            device.name.clone(),
            device.state.clone(),
            device.path.clone(),
            device.since.clone(),
            device.id.clone(),
        ]
    });
    let text = table(
        ["NAME", "STATE", "PATH", "SINCE", "DEVICE"],
        rows,
        "You have no device.",
    );
    let report = Report::new("device.ls", &page).text(text);
    Ok(report.ids(page.items.into_iter().map(|device| device.id)))
}

fn revoke(
    client: &Client,
    ui: &Ui,
    device: &str,
    phrase: Option<&str>,
) -> Result<Report, CommandError> {
    let phrase = phrase.map(id::read_phrase).transpose()?;
    ui.confirm(&format!(
        "Retire {device}? It can never come back; a machine that is found joins anew."
    ))?;
    let verb = format!("{device}:retire");
    let request = RetireDevice { phrase };
    let retired: Retired = client.post(&["v1", "devices", &verb], &request)?;
    let text = format!(
        "✓ Device {} is retired; new keys from epoch {}.\n  {}\n",
        retired.name, retired.epoch, retired.notice
    );
    Ok(Report::new("device.revoke", &retired)
        .confirmation(text)
        .ids([retired.device]))
}
