//! `ledger who-holds`: who was sent a memory, which version, and whether a grant still gives it.

use crate::client::Client;
use crate::error::CommandError;
use crate::report::Report;
use crate::ui::table::table;
use crate::ui::text::{bytes, short};
use protocol::api::ledger::{Holder, Holders};

pub(super) fn run(client: &Client, id: &str) -> Result<Report, CommandError> {
    let found: Holders = client.get(&["v1", "ledger", "holders"], &[("memory", id)])?;
    let heading = [
        "SENT TO", "FIRST", "LAST", "EVENTS", "SIZE", "VERSION", "GRANTED", "GRANTS",
    ];
    let rows = found.items.iter().map(|holder| {
        let version = if holder.current {
            "as it stands"
        } else {
            "older"
        };
        [
            holder.who.clone(),
            holder.first.clone(),
            holder.last.clone(),
            holder.events.to_string(),
            bytes(holder.bytes),
            version.to_owned(),
            if holder.granted { "yes" } else { "no more" }.to_owned(),
            grants(holder),
        ]
    });
    let mut text = table(heading, rows, "It was sent to nobody.");
    if !found.items.is_empty() {
        text.push_str(&found.notice);
        text.push('\n');
    }
    let report = Report::new("ledger.who-holds", &found).text(text);
    Ok(report.ids(found.items.into_iter().map(|holder| holder.person)))
}

fn grants(holder: &Holder) -> String {
    let each = holder.grants.iter();
    let each = each.map(|grant| format!("{} {}", short(&grant.id), grant.state));
    each.collect::<Vec<_>>().join(", ")
}
