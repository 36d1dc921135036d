//! `share`: offers memories to persons, after showing what each of them would see.
//!
//! The preview that was shown has a digest, and the offer carries it: if the set changes between
//! the look and the yes, the node refuses.

mod ends;
mod preview;

use super::circle;
use crate::client::Client;
use crate::error::CommandError;
use crate::report::Report;
use crate::ui::Ui;
use crate::ui::table::table;
use crate::ui::text::{memories, one_line, short};
use crate::{duration, select};
use protocol::api::Page;
use protocol::api::circles::{CircleChanged, CircleGrant, ShareWithCircle};
use protocol::api::sharing::{
    GivenBack, Grant, GrantSpec, NewGrant, Offered, Preview, PreviewRequest,
};
use serde_json::{Value, json};
use std::time::Duration;

/// The arguments.
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Option<Verb>,
    #[command(flatten)]
    offer: Offer,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Show what a person would see, and what is held back
    Preview(What),
    /// List grants, given and received
    Ls,
    /// Show a grant, and what its grantee says
    Show {
        /// The grant
        grant: String,
    },
    /// Move the end of a grant
    Extend(ends::Extend),
    /// Put another grant to the same person in its place
    Change(ends::Change),
    /// Give a grant back: keep no copy, want none
    Return {
        /// The grant
        grant: String,
    },
}

#[derive(Debug, clap::Args)]
struct Offer {
    /// Which memories: an id or a selector; labels take new matches in at once, words and dates ask
    #[arg(required = true, value_parser = select::parse_selector)]
    selector: Option<String>,
    /// With whom (names, or circle:NAME; separated by commas)
    #[arg(long, required = true, value_delimiter = ',', value_name = "PERSON")]
    with: Vec<String>,
    #[command(flatten)]
    terms: Terms,
    /// Show what would be offered; offer nothing
    #[arg(long)]
    dry_run: bool,
    /// Refuse if the selector matches another number
    #[arg(long, value_name = "N")]
    expect: Option<usize>,
}

#[derive(Debug, clap::Args)]
struct What {
    /// Which memories: an id or a selector; labels take new matches in at once, words and dates ask
    #[arg(value_parser = select::parse_selector)]
    selector: String,
    /// With whom (names, separated by commas)
    #[arg(long, required = true, value_delimiter = ',', value_name = "PERSON")]
    with: Vec<String>,
    #[command(flatten)]
    terms: Terms,
}

/// The terms of a grant.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Terms {
    /// What they may do
    #[arg(long = "as", value_name = "ACCESS", value_parser = ["read", "write"])]
    access: Option<String>,
    /// For how long, such as 7d
    #[arg(long = "for", value_name = "DURATION", value_parser = duration::parse)]
    period: Option<Duration>,
    /// What for
    #[arg(long, value_name = "TEXT")]
    purpose: Option<String>,
    /// Let new matches in by themselves where the selector infers (words, kinds, dates)
    #[arg(long)]
    live: bool,
}

impl Terms {
    /// Tells whether any is given.
    pub(crate) fn is_given(&self) -> bool {
        self.access.is_some() || self.period.is_some() || self.purpose.is_some() || self.live
    }

    /// Returns the grant of a selector on these terms.
    pub(crate) fn spec(&self, selector: String) -> GrantSpec {
        GrantSpec {
            selector,
            access: self.access.clone(),
            expires_in_s: self.period.map(|period| period.as_secs()),
            purpose: self.purpose.clone(),
            live: self.live.then_some(true),
        }
    }
}

/// Does what the verb says, or offers.
pub(crate) fn run(client: &Client, ui: &Ui, args: Args) -> Result<Report, CommandError> {
    match (args.verb, &args.offer) {
        (Some(Verb::Preview(what)), _) => preview::run(client, &what),
        (Some(Verb::Ls), _) => list(client),
        (Some(Verb::Return { grant }), _) => give_back(client, ui, &grant),
        (Some(Verb::Show { grant }), _) => {
            let grant: Grant = client.get(&["v1", "grants", &grant], &[])?;
            Ok(Report::new("share.show", &grant)
                .text(facts(&grant) + &super::receipts::text(&grant.receipts))
                .ids([grant.id]))
        }
        (Some(Verb::Extend(extend)), _) => ends::extend(client, ui, &extend),
        (Some(Verb::Change(change)), _) => ends::change(client, ui, &change),
        (
            None,
            Offer {
                selector: Some(selector),
                ..
            },
        ) => offer_all(client, ui, selector, &args.offer),
        (None, _) => Err(CommandError::usage(
            "There is nothing to share",
            "brainctl share tag:recipes --with bob",
        )),
    }
}

/// Looks at what each person would see, asks once, then offers to each.
fn offer_all(
    client: &Client,
    ui: &Ui,
    selector: &str,
    offer: &Offer,
) -> Result<Report, CommandError> {
    let Offer { with, terms, .. } = offer;
    let spec = terms.spec(select::as_selector(client, selector)?);
    let mut previews = Vec::with_capacity(with.len());
    for person in with {
        let request = PreviewRequest {
            with: person.clone(),
            grant: spec.clone(),
        };
        let preview: Preview = client.post(&["v1", "grant-previews"], &request)?;
        select::check_count(selector, preview.count, offer.expect)?;
        previews.push(preview);
    }
    if offer.dry_run {
        return Ok(preview::report("share", with, &previews).with("dry_run", true));
    }
    ui.note(&preview::text(with, &previews));
    ui.confirm(&format!("Share {selector:?} with {}?", with.join(", ")))?;
    let mut offers = Vec::with_capacity(with.len());
    for (person, preview) in with.iter().zip(&previews) {
        if let Some(circle) = person.strip_prefix(circle::PREFIX) {
            offers.extend(offer_to_circle(client, circle, &spec, preview)?);
            continue;
        }
        let grant = NewGrant {
            with: person.clone(),
            grant: spec.clone(),
            digest: Some(preview.digest.clone()),
            expect: offer.expect,
        };
        let offered: Offered = client.post(&["v1", "grants"], &grant).inspect_err(|_| {
            if !offers.is_empty() {
                ui.note(&format!(
                    "! {} of {} were offered before this\n",
                    offers.len(),
                    with.len()
                ));
            }
        })?;
        offers.push((person.clone(), offered));
    }
    Ok(offered(&offers))
}

/// Offers to all members of a circle, now and as they join.
fn offer_to_circle(
    client: &Client,
    circle: &str,
    spec: &GrantSpec,
    preview: &Preview,
) -> Result<Vec<(String, Offered)>, CommandError> {
    let share = ShareWithCircle {
        grant: spec.clone(),
        digest: Some(preview.digest.clone()),
        expect: None,
    };
    let path = format!("{circle}:share");
    let changed: CircleChanged = client.post(&["v1", "circles", &path], &share)?;
    let offered = |grant: CircleGrant| {
        let offered = Offered {
            grant: grant.grant,
            state: grant.state,
            count: preview.count,
            held: preview.held.clone(),
            digest: preview.digest.clone(),
        };
        (grant.with, offered)
    };
    Ok(changed.offered.into_iter().map(offered).collect())
}

/// The fields of the first offer stand at the top; `grants` has one entry per person.
fn offered(offers: &[(String, Offered)]) -> Report {
    let entry = |(person, offered): &(String, Offered)| {
        json!({
            "with": person, "grant": offered.grant, "state": offered.state,
            "count": offered.count, "held": offered.held, "digest": offered.digest,
        })
    };
    let grants: Vec<Value> = offers.iter().map(entry).collect();
    let line = |(person, offered): &(String, Offered)| {
        let held = match offered.held.len() {
            0 => String::new(),
            held => format!(", {held} held back"),
        };
        let many = memories(offered.count);
        format!(
            "✓ Grant {} for {person}: {many}{held} ({})\n",
            short(&offered.grant),
            offered.state
        )
    };
    let text: String = offers.iter().map(line).collect();
    let first = grants.first().cloned().unwrap_or_default();
    let ids = offers.iter().map(|(_, offered)| offered.grant.clone());
    Report::new("share", &first)
        .with("grants", grants)
        .confirmation(text)
        .ids(ids)
}

/// Purges the copies here that only this grant covers, and tells the sender.
fn give_back(client: &Client, ui: &Ui, grant: &str) -> Result<Report, CommandError> {
    ui.confirm(&format!(
        "Give grant {grant} back? Copies here that only it covers are purged, for good."
    ))?;
    let given: GivenBack = client.act_long(&["v1", "grants", &format!("{grant}:return")])?;
    let purged = memories(usize::try_from(given.memories).unwrap_or(usize::MAX));
    let kept = match given.kept {
        0 => String::new(),
        kept => format!("; {kept} stay under another grant"),
    };
    let text = format!(
        "✓ Grant {} is given back: {purged} purged here{kept}\n",
        short(&given.grant)
    );
    Ok(Report::new("share.return", &given)
        .confirmation(text)
        .ids([given.grant]))
}

fn list(client: &Client) -> Result<Report, CommandError> {
    let page: Page<Grant> = client.list(&["v1", "grants"], &[], None)?;
    let rows = page.items.iter().map(|grant| {
        [
            short(&grant.id),
            grant.direction.clone(),
            grant.with.clone(),
            one_line(&grant.selector, 40),
            grant.access.clone(),
            grant.state.clone(),
            grant.count.to_string(),
            until(grant),
        ]
    });
    let heading = [
        "GRANT", "WAY", "WITH", "WHAT", "ACCESS", "STATE", "COUNT", "UNTIL",
    ];
    let text = table(heading, rows, "Nothing is shared.");
    let report = Report::new("share.ls", &page).text(text);
    Ok(report.ids(page.items.into_iter().map(|grant| grant.id)))
}

fn until(grant: &Grant) -> String {
    let end = grant.expires.clone();
    let end = end.unwrap_or_else(|| "it is revoked".to_owned());
    let goes_on = matches!(grant.state.as_str(), "offered" | "active");
    if grant.lease && goes_on {
        format!("{end}, renewed by itself")
    } else {
        end
    }
}

fn facts(grant: &Grant) -> String {
    let way = if grant.direction == "out" {
        "to"
    } else {
        "from"
    };
    format!(
        "Grant {}\n  {way:<10}{} ({})\n  what      {}\n  access    {}\n  state     {}\n  \
         count     {}\n  until     {}\n  purpose   {}\n",
        grant.id,
        grant.with,
        grant.person,
        grant.selector,
        grant.access,
        grant.state,
        grant.count,
        until(grant),
        one_line(&grant.purpose, 200),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_grant_stands_at_the_top() {
        let offer = |grant: &str| Offered {
            grant: grant.to_owned(),
            state: "offered".into(),
            count: 1,
            held: vec![],
            digest: "d".into(),
        };
        let (bob, mum) = ("bob".to_owned(), "mum".to_owned());
        let report = offered(&[(bob, offer("g1")), (mum, offer("g2"))]);
        let json: Value = serde_json::from_str(&report.as_json()).unwrap();
        assert_eq!(
            (&json["grant"], &json["schema"]),
            (&"g1".into(), &"brain.cli.share/1".into())
        );
        assert_eq!(json["grants"][1]["with"], "mum");
        assert_eq!(report.as_ids(), "g1\ng2\n");
        let line = "✓ Grant g1 for bob: 1 memory (offered)\n";
        assert!(report.as_text().starts_with(line), "{}", report.as_text());
    }
}
