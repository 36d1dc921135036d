//! `ledger`: what left, to whom, under which grant; and whether the chain holds.

use crate::client::Client;
use crate::error::CommandError;
use crate::exit::Exit;
use crate::report::Report;
use crate::ui::table::table;
use crate::ui::text::{bytes, short};
use protocol::api::Page;
use protocol::api::ledger::{LedgerEntry, LedgerVerdict};

/// The arguments.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// List what left
    Ls {
        /// To this person only
        #[arg(long, value_name = "PERSON")]
        peer: Option<String>,
        /// Begin after this number
        #[arg(long, value_name = "SEQ")]
        after: Option<u64>,
        /// List at most this many
        #[arg(long, value_name = "N")]
        limit: Option<usize>,
    },
    /// Check that every entry is what was signed; exit 1 if one is not
    Verify,
}

/// Does what the verb says.
pub(crate) fn run(client: &Client, args: &Args) -> Result<Report, CommandError> {
    match &args.verb {
        Verb::Ls { peer, after, limit } => list(client, peer.as_deref(), *after, *limit),
        Verb::Verify => {
            let verdict: LedgerVerdict = client.act_long(&["v1", "ledger:verify"])?;
            Ok(judged(&verdict))
        }
    }
}

fn list(
    client: &Client,
    peer: Option<&str>,
    after: Option<u64>,
    limit: Option<usize>,
) -> Result<Report, CommandError> {
    let after = after.map(|after| after.to_string());
    let mut query = Vec::new();
    query.extend(peer.map(|peer| ("peer", peer)));
    query.extend(after.as_deref().map(|after| ("after", after)));
    let page: Page<LedgerEntry> = client.list_by("after", &["v1", "ledger"], &query, limit)?;
    let rows = page.items.iter().map(|entry| {
        [
            entry.seq.to_string(),
            entry.time.clone(),
            entry.to.clone(),
            entry.kind.clone(),
            short(&entry.memory),
            entry.events.len().to_string(),
            bytes(entry.bytes),
            short(&entry.grant),
        ]
    });
    let heading = [
        "SEQ", "TIME", "TO", "KIND", "MEMORY", "EVENTS", "SIZE", "GRANT",
    ];
    let text = table(heading, rows, "Nothing has left this node.");
    let report = Report::new("ledger.ls", &page).text(text);
    Ok(report.ids(page.items.into_iter().map(|entry| entry.seq.to_string())))
}

fn judged(verdict: &LedgerVerdict) -> Report {
    let LedgerVerdict {
        entries,
        ok,
        first_bad,
        reason,
    } = verdict;
    let text = if *ok {
        format!("✓ All {entries} entries are what was signed\n")
    } else {
        let place = first_bad.map_or_else(String::new, |seq| format!(" from entry {seq}"));
        format!("✗ The ledger does not hold{place}: {reason}\n")
    };
    let report = Report::new("ledger.verify", verdict)
        .with("first_bad", *first_bad)
        .text(text);
    report.ends(if *ok { Exit::Done } else { Exit::Failed })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broken_ledger_ends_with_one_and_says_where() {
        let good = LedgerVerdict {
            entries: 3,
            ok: true,
            first_bad: None,
            reason: String::new(),
        };
        assert_eq!(judged(&good).exit(), Exit::Done);
        assert!(judged(&good).as_json().contains("\"first_bad\":null"));
        let bad = LedgerVerdict {
            ok: false,
            first_bad: Some(2),
            reason: "r".into(),
            ..good
        };
        assert_eq!(judged(&bad).exit(), Exit::Failed);
        assert_eq!(
            judged(&bad).as_text(),
            "✗ The ledger does not hold from entry 2: r\n"
        );
    }
}
