//! `policy held`, `policy release`: what does not leave, and letting it out.

use crate::client::Client;
use crate::error::CommandError;
use crate::report::Report;
use crate::ui::Ui;
use crate::ui::table::table;
use crate::ui::text::{one_line, short};
use protocol::api::Page;
use protocol::api::policy::{HeldMemory, Release, Released};

/// Lists what does not leave.
pub(super) fn list(client: &Client) -> Result<Report, CommandError> {
    let page: Page<HeldMemory> = client.get(&["v1", "held"], &[])?;
    let rows = page.items.iter().map(|held| {
        [
            short(&held.id),
            one_line(&held.title, 30),
            held.rule.clone(),
            held.verdict.clone(),
            one_line(&held.reason, 60),
            held.wanted_by.join(", "),
        ]
    });
    let text = table(
        ["ID", "TITLE", "RULE", "VERDICT", "WHY", "WANTED BY"],
        rows,
        "Nothing is held.",
    );
    let report = Report::new("policy.held", &page).text(text);
    Ok(report.ids(page.items.iter().map(|held| held.id.clone())))
}

/// Lets a memory out for one rule, or takes that back.
pub(super) fn release(
    client: &Client,
    ui: &Ui,
    memory: &str,
    rule: &str,
    undo: bool,
) -> Result<Report, CommandError> {
    if !undo {
        ui.confirm(&format!(
            "Let {memory} out although rule {rule} holds it? What was read stays known."
        ))?;
    }
    let release = Release {
        rule: rule.to_owned(),
        undo,
    };
    let path = format!("{memory}:release");
    let released: Released = client.post(&["v1", "held", &path], &release)?;
    let mut text = format!(
        "✓ {} is {} for rule {rule}\n",
        short(&released.id),
        released.state
    );
    if !released.still_held_by.is_empty() {
        let rules = released.still_held_by.join(", ");
        text = format!("{text}  still held by {rules}\n");
    }
    let report = Report::new("policy.release", &released).confirmation(text);
    Ok(report.ids([released.id]))
}
