//! `share extend` and `share change`: moves the end of a grant, or puts another in its place.

use crate::client::Client;
use crate::duration;
use crate::error::CommandError;
use crate::report::Report;
use crate::select;
use crate::ui::Ui;
use crate::ui::text::{memories, short};
use protocol::api::sharing::{
    Grant, GrantSpec, Offered, Preview, PreviewRequest, RenewRequest, ReplaceRequest,
};
use std::time::Duration;

#[derive(Debug, clap::Args)]
pub(crate) struct Extend {
    /// The grant
    grant: String,
    /// How long from now, such as 7d; nearer ends work too
    #[arg(long = "for", value_name = "DURATION", value_parser = duration::parse)]
    period: Duration,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Change {
    /// The grant
    grant: String,
    /// Which memories instead
    #[arg(long = "to", value_name = "SELECTOR", value_parser = select::parse_selector)]
    selector: Option<String>,
    #[command(flatten)]
    terms: super::Terms,
}

/// Moves the end.
pub(super) fn extend(client: &Client, ui: &Ui, args: &Extend) -> Result<Report, CommandError> {
    let grant: Grant = client.get(&["v1", "grants", &args.grant], &[])?;
    let (who, what) = (&grant.with, &grant.selector);
    ui.confirm(&format!("Move the end of {who}'s grant of {what:?}?"))?;
    let path = format!("{}:renew", grant.id);
    let request = RenewRequest {
        expires_in_s: Some(args.period.as_secs()),
    };
    let renewed: Grant = client.post(&["v1", "grants", &path], &request)?;
    let until = renewed.expires.as_deref().unwrap_or("it is revoked");
    let text = format!(
        "✓ Grant {} to {who} holds until {until}\n",
        short(&grant.id)
    );
    Ok(Report::new("share.extend", &renewed)
        .confirmation(text)
        .ids([grant.id]))
}

/// Puts another grant in the place of one, after showing what the person would see then.
pub(super) fn change(client: &Client, ui: &Ui, args: &Change) -> Result<Report, CommandError> {
    let grant: Grant = client.get(&["v1", "grants", &args.grant], &[])?;
    if args.selector.is_none() && !args.terms.is_given() {
        return Err(CommandError::usage(
            "There is nothing to change",
            format!("brainctl share change {} --as read", short(&grant.id)),
        ));
    }
    let selector = match &args.selector {
        Some(selector) => select::as_selector(client, selector)?,
        None => grant.selector.clone(),
    };
    let given = args.terms.spec(selector);
    let spec = GrantSpec {
        access: given.access.clone().or_else(|| Some(grant.access.clone())),
        purpose: given
            .purpose
            .clone()
            .or_else(|| Some(grant.purpose.clone())),
        ..given
    };
    let request = PreviewRequest {
        with: grant.person.clone(),
        grant: spec.clone(),
    };
    let preview: Preview = client.post(&["v1", "grant-previews"], &request)?;
    let with = [grant.with.clone()];
    ui.note(&super::preview::text(&with, std::slice::from_ref(&preview)));
    ui.confirm(&format!("Change {}'s grant to this?", grant.with))?;
    let request = ReplaceRequest {
        selector: Some(spec.selector),
        access: spec.access,
        expires_in_s: spec.expires_in_s,
        purpose: spec.purpose,
        digest: Some(preview.digest),
    };
    let path = format!("{}:replace", grant.id);
    let offered: Offered = client.post(&["v1", "grants", &path], &request)?;
    let (who, many) = (&grant.with, memories(offered.count));
    let text = match offered.state.as_str() {
        "active" => format!(
            "✓ Grant {} takes the place of {}: {many} for {who}. It is narrower, so it holds at once; \
             {who} keeps every copy already received\n",
            short(&offered.grant),
            short(&grant.id)
        ),
        _ => format!(
            "✓ Grant {} waits for {who}'s yes: {many}. Until then {} goes on\n",
            short(&offered.grant),
            short(&grant.id)
        ),
    };
    let id = offered.grant.clone();
    Ok(Report::new("share.change", &offered)
        .with("supersedes", grant.id)
        .confirmation(text)
        .ids([id]))
}
