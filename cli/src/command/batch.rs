//! Does one thing to every memory that a selector names.
//!
//! All matches are known before the first write, so `--expect` and `--dry-run` speak of exactly
//! the set that would be written.

use crate::client::Client;
use crate::error::CommandError;
use crate::report::Report;
use crate::select::{self, Standing};
use crate::ui::Ui;
use crate::ui::text::{memories, one_line, short};
use protocol::api::memories::{Summary, Written};
use serde_json::{Value, json};

/// The arguments that such commands share.
#[derive(Debug, clap::Args)]
pub(crate) struct Batch {
    /// Which memories: an id or a selector
    #[arg(value_parser = select::parse_selector)]
    pub(crate) selector: String,
    #[command(flatten)]
    pub(crate) care: Care,
}

/// How careful to be.
#[derive(Debug, clap::Args)]
pub(crate) struct Care {
    /// Show what would be done; do nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Refuse if the selector matches another number
    #[arg(long, value_name = "N")]
    pub(crate) expect: Option<usize>,
}

/// What is done to each memory.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Deed {
    /// The command, as in `tag.add`.
    pub(crate) command: &'static str,
    /// Which memories are meant.
    pub(crate) standing: Standing,
    /// What is done, such as `Forget`.
    pub(crate) verb: &'static str,
    /// What was done, such as `Forgot`.
    pub(crate) past: &'static str,
}

/// Returns the memories, if they are as many as expected.
pub(crate) fn find(
    client: &Client,
    batch: (&str, &Care),
    deed: &Deed,
) -> Result<Vec<Summary>, CommandError> {
    let (selector, care) = batch;
    let found = select::matching(client, selector, deed.standing)?;
    select::check_count(selector, found.len(), care.expect)?;
    Ok(found)
}

/// Does it to each memory, or tells what would be done.
pub(crate) fn run(
    ui: &Ui,
    found: &[Summary],
    care: &Care,
    deed: &Deed,
    act: impl Fn(&str) -> Result<Written, CommandError>,
) -> Result<Report, CommandError> {
    let ids = found.iter().map(|memory| memory.id.clone());
    let base = json!({"matched": found.len(), "dry_run": care.dry_run});
    let report = Report::new(deed.command, &base).ids(ids);
    if care.dry_run {
        let items: Vec<Value> = found
            .iter()
            .map(|m| json!({"id": m.id, "title": m.title}))
            .collect();
        let head = format!(
            "Would {} {}:\n",
            deed.verb.to_lowercase(),
            memories(found.len())
        );
        let line = |m: &Summary| format!("  {}  {}\n", short(&m.id), one_line(&m.title, 60));
        let lines: String = found.iter().map(line).collect();
        return Ok(report
            .with("changed", 0)
            .with("items", items)
            .text(head + &lines));
    }
    let mut items = Vec::with_capacity(found.len());
    let mut changed = 0;
    for memory in found {
        let written = act(&memory.id).inspect_err(|_| {
            if !items.is_empty() {
                ui.note(&format!(
                    "! {} of {} were done before this\n",
                    items.len(),
                    found.len()
                ));
            }
        })?;
        changed += usize::from(written.changed);
        items.push(json!({
            "id": written.id, "heads": written.heads, "changed": written.changed,
        }));
    }
    let same = found.len() - changed;
    let rest = if same > 0 {
        format!(" ({same} already so)")
    } else {
        String::new()
    };
    let text = format!("✓ {} {}{rest}\n", deed.past, memories(changed));
    Ok(report
        .with("changed", changed)
        .with("items", items)
        .confirmation(text))
}
