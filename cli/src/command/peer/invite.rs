//! `peer invite`: makes a one-use ticket, with a QR code where a person can see one.

use crate::client::Client;
use crate::command::share::Terms;
use crate::error::CommandError;
use crate::report::Report;
use crate::select::{self, Standing};
use crate::ui::Ui;
use crate::ui::text::memories;
use crate::{duration, shell};
use protocol::api::peers::{Invite, NewInvite};
use qrcode::render::unicode::Dense1x2;
use qrcode::{EcLevel, QrCode};
use std::time::Duration;

/// The arguments.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Your name for the person who will use it
    #[arg(long, visible_alias = "alias")]
    name: Option<String>,
    /// How long it can be used
    #[arg(long, value_parser = duration::parse, value_name = "DURATION")]
    expires: Option<Duration>,
    /// Offer these memories to whoever uses it
    #[arg(long, value_name = "SELECTOR", value_parser = select::parse_selector)]
    share: Option<String>,
    #[command(flatten)]
    terms: Terms,
    /// Show a QR code, also where none is usual
    #[arg(long)]
    qr: bool,
}

/// Makes the ticket.
pub(crate) fn run(client: &Client, ui: &Ui, args: Args) -> Result<Report, CommandError> {
    let share = match &args.share {
        None if args.terms.is_given() => {
            let hint = "brainctl peer invite --share SELECTOR --for 7d";
            return Err(CommandError::usage(
                "These terms need something to share",
                hint,
            ));
        }
        None => None,
        Some(selector) => {
            let found = select::matching(client, selector, Standing::Active)?;
            let many = memories(found.len());
            ui.confirm(&format!(
                "Offer {selector:?} ({many} now) to whoever uses the ticket?"
            ))?;
            Some(args.terms.spec(select::as_selector(client, selector)?))
        }
    };
    let expires_in_s = args.expires.map(|time| time.as_secs());
    let invite = NewInvite {
        alias: args.name,
        expires_in_s,
        share,
    };
    let invite: Invite = client.post(&["v1", "invites"], &invite)?;
    let mut text = String::new();
    if args.qr || ui.shows_pictures() {
        text += &picture(&invite.ticket).unwrap_or_default();
    }
    let command = format!("brainctl peer accept {}", shell::quoted(&invite.ticket));
    let Invite {
        ticket,
        expires,
        words,
    } = &invite;
    let lines = [
        format!("{ticket}\n\nOne use, until {expires}.  Your words: {words}\n"),
        format!("The other side runs: {command}\n"),
    ];
    text += &lines.concat();
    Ok(Report::new("peer.invite", &invite)
        .text(text)
        .ids([invite.ticket]))
}

/// Returns a QR code, light on dark as most terminals are; `None` if the ticket is too long.
pub(crate) fn picture(ticket: &str) -> Option<String> {
    let code = QrCode::with_error_correction_level(ticket, EcLevel::L).ok()?;
    let mut renderer = code.render::<Dense1x2>();
    let picture = renderer
        .dark_color(Dense1x2::Light)
        .light_color(Dense1x2::Dark)
        .build();
    Some(picture + "\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ticket_becomes_a_picture() {
        let picture = picture("brain:invite/1/abc").unwrap();
        let widths: Vec<usize> = picture
            .trim_end()
            .lines()
            .map(|line| line.chars().count())
            .collect();
        assert!(
            widths.len() > 10 && widths.windows(2).all(|pair| pair[0] == pair[1]),
            "{widths:?}"
        );
        assert!(super::picture(&"x".repeat(5_000)).is_none());
    }
}
