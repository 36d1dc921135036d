//! `tray`: what revoked writers wrote too late, to be looked at, salvaged or dropped.

use crate::client::Client;
use crate::error::CommandError;
use crate::report::Report;
use crate::ui::Ui;
use crate::ui::table::table;
use crate::ui::text::{count, one_line, short};
use protocol::api::Page;
use protocol::api::tray::{LateWork, TrayOutcome};

/// The arguments.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// List what came too late
    Ls,
    /// Show who wrote it, when, and what it would change
    Show {
        /// The late work
        work: String,
    },
    /// Write it as your own change, merged with what happened since
    Salvage {
        /// The late work
        work: String,
    },
    /// Take it out of the tray
    Drop {
        /// The late work
        work: String,
    },
}

/// Does what the verb says.
pub(crate) fn run(client: &Client, ui: &Ui, args: &Args) -> Result<Report, CommandError> {
    match &args.verb {
        Verb::Ls => list(client),
        Verb::Show { work } => {
            let work: LateWork = client.get(&["v1", "tray", work], &[])?;
            Ok(Report::new("tray.show", &work)
                .text(text(&work))
                .ids([work.id]))
        }
        Verb::Salvage { work } => settle(client, work, "salvage"),
        Verb::Drop { work } => {
            ui.confirm("Drop this late work? Nothing of it stays in the tray.")?;
            settle(client, work, "drop")
        }
    }
}

fn list(client: &Client) -> Result<Report, CommandError> {
    let page: Page<LateWork> = client.list(&["v1", "tray"], &[], None)?;
    let rows = page.items.iter().map(|work| {
        [
            short(&work.id),
            work.from.clone(),
            one_line(&work.title, 40),
            count(work.changes, "change", "changes"),
            work.written.clone(),
            work.until.clone(),
        ]
    });
    let heading = ["WORK", "FROM", "MEMORY", "WHAT", "WRITTEN", "UNTIL"];
    let text = table(heading, rows, "The tray is empty.");
    let report = Report::new("tray.ls", &page).text(text);
    Ok(report.ids(page.items.into_iter().map(|work| work.id)))
}

fn settle(client: &Client, work: &str, verb: &str) -> Result<Report, CommandError> {
    let outcome: TrayOutcome = client.act(&["v1", "tray", &format!("{work}:{verb}")])?;
    let same = if verb == "salvage" && !outcome.changed {
        " (the memory says so already)"
    } else {
        ""
    };
    let line = format!(
        "✓ Late work {} on {} is {}{same}\n",
        short(&outcome.id),
        short(&outcome.memory),
        outcome.state
    );
    Ok(Report::new(&format!("tray.{verb}"), &outcome)
        .confirmation(line)
        .ids([outcome.id]))
}

fn text(work: &LateWork) -> String {
    let head = format!(
        "Late work {}\n  by        {} (device {})\n  memory    {} ({})\n  changes   {}\n  \
         written   {}\n  received  {}\n  kept      until {}\n  refused   {}\n",
        work.id,
        work.from,
        short(&work.device),
        short(&work.memory),
        one_line(&work.title, 60),
        work.changes,
        work.written,
        work.received,
        work.until,
        work.reason,
    );
    if work.difference.is_empty() {
        return head + "  It would change nothing.\n";
    }
    let lines = work.difference.iter();
    let lines = lines.fold(String::new(), |all, line| {
        all + "  " + &one_line(line, 200) + "\n"
    });
    head + "  It would change:\n" + &lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn late_work_is_shown_with_its_difference() {
        let json = serde_json::json!({
            "id": "abc", "from": "bob", "device": "dev", "memory": "mem", "title": "Soup",
            "changes": 2, "bytes": 300, "written": "w", "received": "r", "until": "u",
            "reason": "beyond_cut", "difference": ["- one", "+ two"],
        });
        let mut work: LateWork = serde_json::from_value(json).unwrap();
        let shown = text(&work);
        assert!(shown.contains("by        bob (device dev)"), "{shown}");
        assert!(shown.ends_with("change:\n  - one\n  + two\n"), "{shown}");
        work.difference.clear();
        assert!(text(&work).ends_with("would change nothing.\n"));
    }
}
