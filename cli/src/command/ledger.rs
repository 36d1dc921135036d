//! `ledger`: what left, to whom, under which grant; whether the record holds; who holds what.

mod export;
mod holders;
mod verify;

use crate::client::Client;
use crate::error::CommandError;
use crate::report::Report;
use crate::ui::table::table;
use crate::ui::text::{bytes, short};
use protocol::api::Page;
use protocol::api::ledger::{LedgerEntry, LedgerProof};
use std::path::PathBuf;

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
    /// Show an entry, and that it is in the ledger
    Show {
        /// The number of the entry
        #[arg(value_name = "SEQ")]
        entry: u64,
    },
    /// Check the ledger, and what peers witnessed of it; exit 1 if it does not hold
    Verify {
        /// It must also continue this checkpoint, which an earlier check printed
        #[arg(long, value_name = "CHECKPOINT", conflicts_with = "file")]
        from: Option<String>,
        /// Check an exported ledger instead; needs no node
        #[arg(long, value_name = "FILE")]
        file: Option<PathBuf>,
    },
    /// List who was sent a memory, and what of it
    WhoHolds {
        /// The memory, or a unique prefix of its id
        #[arg(value_name = "ID")]
        id: String,
    },
    /// Write the ledger to a file that anyone can check
    Export {
        /// The file; it must not exist
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
    /// Print the consent receipt of a grant, as JSON-LD
    Receipt {
        /// The grant, or a unique prefix of its id
        #[arg(value_name = "GRANT")]
        grant: String,
    },
}

/// Does what the verb says.
pub(crate) fn run(client: &Client, args: &Args) -> Result<Report, CommandError> {
    match &args.verb {
        Verb::Ls { peer, after, limit } => list(client, peer.as_deref(), *after, *limit),
        Verb::Show { entry } => show(client, *entry),
        Verb::Verify {
            file: Some(file), ..
        } => export::check(file),
        Verb::Verify { from, file: None } => verify::run(client, from.clone()),
        Verb::WhoHolds { id } => holders::run(client, id),
        Verb::Export { file } => export::run(client, file),
        Verb::Receipt { grant } => receipt(client, grant),
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

fn show(client: &Client, entry: u64) -> Result<Report, CommandError> {
    let number = entry.to_string();
    let found: LedgerProof = client.get(&["v1", "ledger", "entries", &number], &[])?;
    let LedgerProof { entry, .. } = &found;
    let mut lines = vec![
        format!("entry     {} of {}", entry.seq, found.entries),
        format!("time      {}", entry.time),
        format!("sent to   {} ({})", entry.to, entry.person),
        format!("memory    {}", entry.memory),
        format!("grant     {}", entry.grant),
        format!("size      {}", bytes(entry.bytes)),
    ];
    lines.extend(entry.blob.iter().map(|part| {
        let (from, bytes, hash) = (part.from, part.bytes, short(&part.hash));
        format!("file      {bytes} bytes of {hash}, from byte {from} on")
    }));
    lines.extend(entry.events.iter().map(|id| format!("event     {id}")));
    lines.extend(
        entry
            .keys
            .iter()
            .map(|key| format!("key       epoch {} under {}", key.epoch, short(&key.grant))),
    );
    lines.push(if found.ok {
        format!("proof     {} hashes lead to the root", found.proof.len())
    } else {
        "proof     ✗ it is not in the ledger that was signed".to_owned()
    });
    let witnesses = if found.witnesses.is_empty() {
        "nobody yet".to_owned()
    } else {
        found.witnesses.join(", ")
    };
    lines.push(format!("witness   {witnesses}\n"));
    let exit = if found.ok {
        crate::exit::Exit::Done
    } else {
        crate::exit::Exit::Failed
    };
    let report = Report::new("ledger.show", &found).text(lines.join("\n"));
    Ok(report.ids([number]).ends(exit))
}

fn receipt(client: &Client, grant: &str) -> Result<Report, CommandError> {
    let receipt: serde_json::Value = client.get(&["v1", "grants", grant, "receipt"], &[])?;
    let mut text = serde_json::to_string_pretty(&receipt).unwrap_or_default();
    text.push('\n');
    let id = receipt
        .pointer("/dpv:hasRecordOfActivity/dct:identifier")
        .and_then(serde_json::Value::as_str)
        .unwrap_or_default()
        .to_owned();
    let document = serde_json::json!({ "receipt": receipt });
    Ok(Report::new("ledger.receipt", &document)
        .exact(text)
        .ids([id]))
}
