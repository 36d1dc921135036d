//! `policy show`, `history`, `test`: the policy and its words, as lines for people.

use crate::client::Client;
use crate::error::CommandError;
use crate::exit::Exit;
use crate::report::Report;
use crate::ui::table::table;
use crate::ui::text::{bytes, memories, one_line, short};
use protocol::api::Page;
use protocol::api::policy::{Policy, PolicyVersion, Remark, Tested};
use std::fmt::Write as _;

/// Shows the policy in force.
pub(super) fn policy(client: &Client) -> Result<Report, CommandError> {
    let policy: Policy = client.get(&["v1", "policy"], &[])?;
    let mut text = format!(
        "# version {}, holds {}",
        policy.number,
        memories(policy.held)
    );
    let wrote = "writing to a string does not fail";
    if policy.unscreened > 0 {
        let waits = memories(policy.unscreened);
        write!(text, "; {waits} not screened yet, held until then").expect(wrote);
    }
    text.push('\n');
    if let Some(fault) = &policy.fault {
        writeln!(text, "# DOES NOT READ, so nothing leaves: {fault}").expect(wrote);
    }
    text.push_str(&policy.text);
    Ok(Report::new("policy.show", &policy).text(text))
}

/// Lists the versions.
pub(super) fn history(client: &Client) -> Result<Report, CommandError> {
    let page: Page<PolicyVersion> = client.get(&["v1", "policy", "versions"], &[])?;
    let rows = page.items.iter().map(|version| {
        [
            version.number.to_string(),
            version.time.clone(),
            bytes(version.bytes as u64),
            if version.in_force { "in force" } else { "" }.to_owned(),
        ]
    });
    let text = table(
        ["VERSION", "SINCE", "SIZE", "STATE"],
        rows,
        "The policy was never changed.",
    );
    let report = Report::new("policy.history", &page).text(text);
    Ok(report.ids(page.items.iter().map(|version| version.number.to_string())))
}

/// Shows what the policy says of memories.
pub(super) fn tested(page: &Page<Tested>, selector: &str) -> Result<Report, CommandError> {
    if page.items.is_empty() {
        return Err(CommandError::NothingMatches(selector.to_owned()));
    }
    let mut text = String::new();
    let mut line = |text_of: &str| {
        writeln!(text, "{text_of}").expect("writing to a string does not fail");
    };
    for tested in &page.items {
        let reaches = match tested.reaches {
            Some(true) => ", they receive it",
            Some(false) => ", they do not receive it",
            None => "",
        };
        line(&format!(
            "{:<7} {}  {}{reaches}",
            tested.verdict,
            short(&tested.id),
            one_line(&tested.title, 50)
        ));
        for found in &tested.findings {
            let released = if found.released { " (released)" } else { "" };
            line(&format!(
                "        {} {}: {}{released}",
                found.verdict,
                found.rule,
                one_line(&found.reason, 90)
            ));
        }
    }
    let held = page.items.iter().any(|tested| tested.verdict != "allow");
    let exit = if held { Exit::NotAllowed } else { Exit::Done };
    let report = Report::new("policy.test", page).text(text).ends(exit);
    Ok(report.ids(page.items.iter().map(|tested| tested.id.clone())))
}

/// Shows what is wrong with a policy, or surprising.
pub(super) fn remarks(remarks: &[Remark]) -> String {
    let mut text = String::new();
    for remark in remarks {
        let line = remark
            .line
            .map_or_else(String::new, |line| format!("line {line}: "));
        writeln!(text, "  {:<8}{line}{}", remark.level, remark.text)
            .expect("writing to a string does not fail");
    }
    text
}
