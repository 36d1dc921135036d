//! `circle`: my private names for sets of persons, and what they are given.
//!
//! Grants follow who is in: who joins is offered what the circle is given, who leaves has it
//! revoked. Nobody else learns that there is a circle.

use crate::client::Client;
use crate::error::CommandError;
use crate::report::Report;
use crate::ui::Ui;
use crate::ui::table::table;
use crate::ui::text::{count, short};
use protocol::api::Page;
use protocol::api::circles::{Circle, CircleChanged, CirclePatch, NewCircle, UnshareRequest};
use std::fmt::Write as _;

/// What a circle is called where a person is expected.
pub(crate) const PREFIX: &str = "circle:";

/// The arguments.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// List circles
    Ls,
    /// Show a circle, what it is given, and each member's grant
    Show {
        /// The circle
        name: String,
    },
    /// Make a circle
    Create {
        /// Its name
        name: String,
        /// Who is in it
        #[arg(value_name = "PERSON")]
        members: Vec<String>,
    },
    /// Take persons in; they are offered what the circle is given
    Add(Members),
    /// Let persons go; what they were given as members is revoked
    Remove(Members),
    /// Remove a circle; what its members were given because of it is revoked
    Rm {
        /// The circle
        name: String,
    },
}

#[derive(Debug, clap::Args)]
struct Members {
    /// The circle
    name: String,
    /// The persons
    #[arg(required = true, value_name = "PERSON")]
    members: Vec<String>,
}

/// Does what the verb says.
pub(crate) fn run(client: &Client, ui: &Ui, args: Args) -> Result<Report, CommandError> {
    match args.verb {
        Verb::Ls => list(client),
        Verb::Show { name } => {
            let circle: Circle = client.get(&["v1", "circles", &name], &[])?;
            Ok(Report::new("circle.show", &circle).text(facts(&circle)))
        }
        Verb::Create { name, members } => {
            let made: CircleChanged =
                client.post(&["v1", "circles"], &NewCircle { name, members })?;
            Ok(report("circle.create", &made))
        }
        Verb::Add(Members { name, members }) => {
            let circle: Circle = client.get(&["v1", "circles", &name], &[])?;
            let given = count(circle.shares.len(), "share", "shares");
            let who = members.join(", ");
            ui.confirm(&format!("Offer {given} of {name} to {who}?"))?;
            let patch = CirclePatch {
                add_members: members,
                ..CirclePatch::default()
            };
            let changed = client.patch(&["v1", "circles", &name], &patch)?;
            Ok(report("circle.add", &changed))
        }
        Verb::Remove(Members { name, members }) => {
            let who = members.join(", ");
            ui.confirm(&format!(
                "Revoke what {who} was given as a member of {name}?"
            ))?;
            let patch = CirclePatch {
                remove_members: members,
                ..CirclePatch::default()
            };
            let changed = client.patch(&["v1", "circles", &name], &patch)?;
            Ok(report("circle.remove", &changed))
        }
        Verb::Rm { name } => {
            let circle: Circle = client.get(&["v1", "circles", &name], &[])?;
            let many = count(circle.grants.len(), "grant", "grants");
            ui.confirm(&format!("Remove the circle {name} and revoke {many}?"))?;
            let changed = client.delete(&["v1", "circles", &name])?;
            Ok(report("circle.rm", &changed))
        }
    }
}

/// Takes back what a circle is given; the part of `revoke` that is about circles.
pub(crate) fn revoke(
    client: &Client,
    ui: &Ui,
    name: &str,
    selector: Option<&str>,
) -> Result<Report, CommandError> {
    let circle: Circle = client.get(&["v1", "circles", name], &[])?;
    let what = selector.unwrap_or("everything");
    let who = circle.members.join(", ");
    ui.confirm(&format!("Take {what} back from {name} ({who})?"))?;
    let path = format!("{name}:unshare");
    let request = UnshareRequest {
        selector: selector.map(str::to_owned),
    };
    let changed = client.post(&["v1", "circles", &path], &request)?;
    Ok(report("revoke", &changed))
}

fn list(client: &Client) -> Result<Report, CommandError> {
    let page: Page<Circle> = client.list(&["v1", "circles"], &[], None)?;
    let rows = page.items.iter().map(|circle| {
        let shares = circle.shares.iter().map(|share| share.selector.as_str());
        [
            circle.name.clone(),
            circle.members.join(", "),
            shares.collect::<Vec<_>>().join("; "),
        ]
    });
    let text = table(
        ["CIRCLE", "MEMBERS", "GIVEN"],
        rows,
        "There are no circles.",
    );
    Ok(Report::new("circle.ls", &page).text(text))
}

fn facts(circle: &Circle) -> String {
    let mut text = format!(
        "Circle {}\n  members   {}\n",
        circle.name,
        circle.members.join(", ")
    );
    for share in &circle.shares {
        writeln!(text, "  given     {} ({})", share.selector, share.access)
            .expect("writing to a string does not fail");
    }
    for grant in &circle.grants {
        writeln!(
            text,
            "  grant     {} to {} is {}",
            short(&grant.grant),
            grant.with,
            grant.state
        )
        .expect("writing to a string does not fail");
    }
    text
}

/// Tells what followed from a change of a circle.
pub(crate) fn report(command: &str, changed: &CircleChanged) -> Report {
    let mut text = format!(
        "✓ {} has {}.\n",
        changed.circle.name,
        count(changed.circle.members.len(), "member", "members")
    );
    for grant in &changed.offered {
        writeln!(
            text,
            "  offered   {} to {}",
            short(&grant.grant),
            grant.with
        )
        .expect("writing to a string does not fail");
    }
    for grant in &changed.revoked {
        let (id, who) = (short(&grant.grant), &grant.with);
        writeln!(
            text,
            "  revoked   {id} of {who}; {who} keeps every copy already received"
        )
        .expect("writing to a string does not fail");
    }
    let all = changed.offered.iter().chain(&changed.revoked);
    Report::new(command, changed)
        .confirmation(text)
        .ids(all.map(|grant| grant.grant.clone()))
}
