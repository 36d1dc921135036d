//! `ledger export` and `ledger verify --file`: the ledger as a file.

use crate::client::Client;
use crate::error::CommandError;
use crate::exit::Exit;
use crate::report::Report;
use protocol::api::Page;
use protocol::api::ledger::export::{self, Line};
use protocol::api::ledger::{LedgerEntry, LedgerHead};
use std::io::Write as _;
use std::path::Path;

pub(super) fn run(client: &Client, file: &Path) -> Result<Report, CommandError> {
    let head: LedgerHead = client.get(&["v1", "ledger", "head"], &[])?;
    // Entries that are written meanwhile are not of this head.
    let limit = usize::try_from(head.entries).unwrap_or(usize::MAX);
    let entries = if limit == 0 {
        Vec::new()
    } else {
        let page: Page<LedgerEntry> =
            client.list_by("after", &["v1", "ledger"], &[], Some(limit))?;
        page.items
    };
    let witnesses = head.witnesses.clone();
    let count = witnesses.len();
    let lines = std::iter::once(Line::Head(Box::new(head)))
        .chain(
            entries
                .into_iter()
                .map(|entry| Line::Entry(Box::new(entry))),
        )
        .chain(
            witnesses
                .into_iter()
                .map(|witness| Line::Witness(Box::new(witness))),
        );
    write(file, lines).map_err(|error| unusable("write", file, &error))?;
    let text = format!(
        "✓ Wrote {limit} entries and {count} witnesses to {}\n  Check it anywhere: brainctl ledger \
         verify --file {}\n",
        file.display(),
        file.display()
    );
    let document = serde_json::json!({
        "file": file.display().to_string(), "entries": limit, "witnesses": count,
    });
    let report = Report::new("ledger.export", &document);
    Ok(report.ids([file.display().to_string()]).confirmation(text))
}

fn write(file: &Path, lines: impl Iterator<Item = Line>) -> std::io::Result<()> {
    let mut out = std::io::BufWriter::new(std::fs::File::create_new(file)?);
    for line in lines {
        serde_json::to_writer(&mut out, &line)?;
        out.write_all(b"\n")?;
    }
    out.into_inner()?.sync_all()
}

fn unusable(verb: &str, file: &Path, error: &std::io::Error) -> CommandError {
    CommandError::usage(
        format!("cannot {verb} {}: {error}", file.display()),
        "name another file",
    )
}

/// Checks an exported ledger without a node.
pub(super) fn check(file: &Path) -> Result<Report, CommandError> {
    let text = std::fs::read_to_string(file).map_err(|error| unusable("read", file, &error))?;
    let found = export::check(text.lines());
    let ok = found.fault.is_none();
    let (first_bad, reason) = found
        .fault
        .map_or((None, String::new()), |(at, what)| (at, what));
    let said = if ok {
        format!(
            "✓ All {} entries of the file are what was signed, and {} witnesses fit\n",
            found.entries, found.witnesses
        )
    } else {
        let place = first_bad.map_or_else(String::new, |seq| format!(" from entry {seq}"));
        format!("✗ The file does not hold{place}: {reason}\n")
    };
    let document = serde_json::json!({
        "entries": found.entries, "root": found.root, "witnesses": found.witnesses,
        "ok": ok, "first_bad": first_bad, "reason": reason,
    });
    let report = Report::new("ledger.verify", &document).text(said);
    Ok(report.ends(if ok { Exit::Done } else { Exit::Failed }))
}
