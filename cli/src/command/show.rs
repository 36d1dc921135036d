//! `show`: a memory, with its facts, as Markdown, or its bare text.

use super::attachment;
use crate::client::Client;
use crate::error::CommandError;
use crate::report::Report;
use crate::ui::text::{count, one_line};
use protocol::api::memories::Memory;
use std::fmt::Write as _;

/// The arguments.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The memory: its id or a unique beginning of it
    id: String,
    /// Print the bare text
    #[arg(long, conflicts_with = "md")]
    raw: bool,
    /// Print Markdown with front matter
    #[arg(long)]
    md: bool,
    /// Show it as it was at the end of this day (UTC) or moment
    #[arg(long, value_name = "DATE")]
    as_of: Option<String>,
}

/// Gets the memory.
pub(crate) fn run(client: &Client, args: &Args) -> Result<Report, CommandError> {
    let moment = args.as_of.as_deref().map(|moment| ("as_of", moment));
    let query: Vec<_> = moment.into_iter().collect();
    let memory: Memory = client.get(&["v1", "memories", &args.id], &query)?;
    let report = Report::new("show", &memory).with("grant", memory.grant.clone());
    let report = report.ids([memory.id.clone()]);
    Ok(match (args.raw, args.md) {
        (true, _) => report.exact(memory.body),
        (false, true) => report.exact(markdown(&memory)),
        (false, false) => report.text(text(&memory)),
    })
}

fn text(memory: &Memory) -> String {
    let mut text = format!("{}\n", one_line(&memory.title, usize::MAX));
    let mut line = |label: &str, value: &str| {
        if !value.is_empty() {
            let value = one_line(value, usize::MAX);
            writeln!(text, "  {label:<10}{value}").expect("writing to a string does not fail");
        }
    };
    line("id", &memory.id);
    line("kind", &memory.kind);
    line("tags", &memory.tags.join(", "));
    line("mine", &memory.private_tags.join(", "));
    line("space", &memory.space);
    line("from", &memory.from);
    line("source", memory.source.as_deref().unwrap_or_default());
    line("grant", memory.grant.as_deref().unwrap_or_default());
    if let Some(since) = &memory.withdrawn {
        let said = format!("no longer shared with you since {since}");
        line("shared", &said);
    }
    if let Some(why) = &memory.quarantined {
        let said = format!("as it last stood ({why}); try again with brainctl index rebuild");
        line("broken", &said);
    }
    for adopted in &memory.adopted {
        let many = count(adopted.changes, "change", "changes");
        let said = format!(
            "{many} by {} (revoked), adopted by {}",
            adopted.by, adopted.adopter
        );
        line("late", &said);
    }
    line("created", &memory.created);
    line("updated", &memory.updated);
    if memory.status != "active" {
        line("status", &memory.status);
    }
    if memory.sensitivity != "normal" {
        line("keeps", &memory.sensitivity);
    }
    for attachment in &memory.attachments {
        line("file", &attachment::line(attachment));
    }
    for link in &memory.links {
        line("link", &format!("{} {}", link.relation, link.to));
    }
    text + "\n" + memory.body.trim_end_matches('\n') + "\n"
}

/// Returns front matter and text. A JSON string is a YAML string, so quotes need no other care.
fn markdown(memory: &Memory) -> String {
    let quoted = |text: &str| serde_json::Value::from(text).to_string();
    let tags: Vec<String> = memory.tags.iter().map(|tag| quoted(tag)).collect();
    let pairs = [
        ("id", quoted(&memory.id)),
        ("title", quoted(&memory.title)),
        ("kind", quoted(&memory.kind)),
        ("tags", format!("[{}]", tags.join(", "))),
        ("created", quoted(&memory.created)),
        ("updated", quoted(&memory.updated)),
    ];
    let lines = pairs.map(|(name, value)| format!("{name}: {value}\n"));
    format!(
        "---\n{}---\n\n{}\n",
        lines.concat(),
        memory.body.trim_end_matches('\n')
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn memory() -> Memory {
        let json = serde_json::json!({
            "id": "abc", "kind": "note", "title": "Say \"hi\"\n✓ not a mark", "body": "b\n",
            "tags": ["x: y"], "links": [], "status": "active", "from": "bob", "owner": "did",
            "created": "c", "updated": "u", "heads": ["h"], "space": "", "private_tags": [],
            "sensitivity": "secret",
        });
        serde_json::from_value(json).unwrap()
    }

    #[test]
    fn facts_stand_before_the_text() {
        let text = text(&memory());
        assert!(
            text.starts_with("Say \"hi\" ✓ not a mark\n  id        abc\n"),
            "{text}"
        );
        assert!(
            text.contains("\n  keeps     secret\n") && !text.contains("space"),
            "{text}"
        );
        assert!(text.ends_with("\n\nb\n"), "{text}");
    }

    #[test]
    fn a_quarantined_memory_says_so_and_what_to_do() {
        let broken = Memory {
            quarantined: Some("automerge panicked".to_owned()),
            ..memory()
        };
        let said = "\n  broken    as it last stood (automerge panicked); try again with brainctl \
                    index rebuild\n";
        assert!(text(&broken).contains(said), "{}", text(&broken));
        assert!(!text(&memory()).contains("broken"));
    }

    #[test]
    fn front_matter_is_quoted() {
        let text = markdown(&memory());
        assert!(
            text.starts_with("---\nid: \"abc\"\ntitle: \"Say \\\"hi\\\"\\n"),
            "{text}"
        );
        assert!(
            text.contains("tags: [\"x: y\"]\n") && text.ends_with("---\n\nb\n"),
            "{text}"
        );
    }
}
