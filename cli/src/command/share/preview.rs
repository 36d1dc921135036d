//! `share preview`: what a person would see under a grant, and what is held back.

use super::What;
use crate::client::Client;
use crate::error::CommandError;
use crate::report::Report;
use crate::select;
use crate::ui::text::{bytes, count, memories, one_line, short};
use protocol::api::sharing::{Preview, PreviewRequest};
use serde_json::{Value, json};

/// How many memories are shown to a person; JSON has them all.
const ITEMS_SHOWN: usize = 20;

/// Asks what each person would see.
pub(super) fn run(client: &Client, what: &What) -> Result<Report, CommandError> {
    let spec = what
        .terms
        .spec(select::as_selector(client, &what.selector)?);
    let mut previews = Vec::with_capacity(what.with.len());
    for person in &what.with {
        let request = PreviewRequest {
            with: person.clone(),
            grant: spec.clone(),
        };
        previews.push(client.post(&["v1", "grant-previews"], &request)?);
    }
    Ok(report("share.preview", &what.with, &previews))
}

/// The fields of the first preview stand at the top; `previews` has one entry per person.
pub(super) fn report(command: &str, with: &[String], previews: &[Preview]) -> Report {
    let entry = |(person, preview): (&String, &Preview)| {
        json!({
            "with": person, "count": preview.count, "bytes": preview.bytes, "items": preview.items,
            "attachments": preview.attachments, "attachment_bytes": preview.attachment_bytes,
            "held": preview.held, "careful": preview.careful, "digest": preview.digest,
        })
    };
    let all: Vec<Value> = with.iter().zip(previews).map(entry).collect();
    let first = all.first().cloned().unwrap_or_default();
    let ids = previews
        .iter()
        .flat_map(|preview| &preview.items)
        .map(|item| item.id.clone());
    let report = Report::new(command, &first).with("previews", all).ids(ids);
    report.text(text(with, previews))
}

/// Returns the previews as lines.
pub(super) fn text(with: &[String], previews: &[Preview]) -> String {
    with.iter()
        .zip(previews)
        .map(|(person, preview)| one(person, preview))
        .collect()
}

fn one(person: &str, preview: &Preview) -> String {
    let (many, size) = (memories(preview.count), bytes(preview.bytes));
    let files = match preview.attachments {
        0 => String::new(),
        files => format!(
            " with {} ({})",
            count(files, "attachment", "attachments"),
            bytes(preview.attachment_bytes)
        ),
    };
    let mut lines = vec![format!(
        "{person} would see {many} ({size}){files}, now and as they change"
    )];
    for item in preview.items.iter().take(ITEMS_SHOWN) {
        lines.push(format!(
            "  + {}  {}",
            short(&item.id),
            one_line(&item.title, 60)
        ));
    }
    if let Some(more) = preview
        .items
        .len()
        .checked_sub(ITEMS_SHOWN)
        .filter(|more| *more > 0)
    {
        lines.push(format!("  + and {more} more (--json lists all)"));
    }
    for held in &preview.held {
        let why = if held.reason.is_empty() {
            String::new()
        } else {
            format!(" ({})", one_line(&held.reason, 80))
        };
        lines.push(format!(
            "  - {}  held back: {}{why}",
            short(&held.id),
            held.rule
        ));
    }
    for careful in &preview.careful {
        lines.push(format!("careful  {careful}"));
    }
    lines.push(format!(
        "{person} can keep what was sent, also after you revoke."
    ));
    lines.join("\n") + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::api::sharing::{Held, PreviewItem};

    #[test]
    fn a_preview_shows_what_leaves_and_what_is_held() {
        let item = |at: usize| PreviewItem {
            id: format!("id{at}"),
            title: "T\nx".into(),
            bytes: 1,
        };
        let preview = Preview {
            count: 21,
            bytes: 1_500,
            attachments: 2,
            attachment_bytes: 3_000_000,
            items: (0..21).map(item).collect(),
            held: vec![Held {
                id: "h".into(),
                rule: "no-health-data".into(),
                reason: "it is tag:health in the body".into(),
            }],
            careful: vec!["links to 2 others".into()],
            digest: "d".into(),
        };
        let text = text(&["bob".to_owned()], std::slice::from_ref(&preview));
        for line in [
            "bob would see 21 memories (1.5 kB) with 2 attachments (3.0 MB), now and as they change",
            "  + id0  T x",
            "  + and 1 more (--json lists all)",
            "  - h  held back: no-health-data (it is tag:health in the body)",
            "careful  links to 2 others",
        ] {
            assert!(text.lines().any(|other| other == line), "{line}\n{text}");
        }
        assert!(!text.contains("id20"));
        let json = report("share.preview", &["bob".to_owned()], &[preview]).as_json();
        assert!(
            json.contains("id20") && json.contains("brain.cli.share.preview/1"),
            "{json}"
        );
    }
}
