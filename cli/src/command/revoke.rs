//! `revoke`: withdraws a grant, all grants to a person, or the grants of a selector.
//!
//! It ends access from now on. It cannot reach what another person already has, and every
//! message here says so.

use super::circle;
use crate::client::Client;
use crate::error::CommandError;
use crate::report::Report;
use crate::ui::Ui;
use crate::ui::text::{count, one_line, short};
use protocol::api::Page;
use protocol::api::sharing::{Grant, RevokeRequest, Revoked};
use serde_json::{Value, json};
use std::fmt::Write as _;

/// The fewest characters that are taken for the beginning of the id of a grant.
const PREFIX_CHARS_MIN: usize = 4;

/// The arguments.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The grant, the person, the selector of the grants, or circle:NAME
    what: String,
    /// Tell the other person why
    #[arg(
        long,
        value_name = "TEXT",
        default_value = "",
        hide_default_value = true
    )]
    reason: String,
    /// Also ask them to purge what they hold under it only
    #[arg(long)]
    purge: bool,
}

/// Withdraws the grants.
pub(crate) fn run(client: &Client, ui: &Ui, args: &Args) -> Result<Report, CommandError> {
    if let Some(name) = args.what.strip_prefix(circle::PREFIX) {
        let (name, selector) = name
            .split_once(' ')
            .map_or((name, None), |(name, selector)| (name, Some(selector)));
        return circle::revoke(client, ui, name, selector);
    }
    let page: Page<Grant> = client.list(&["v1", "grants"], &[], None)?;
    let targets = targets(&page.items, &args.what, args.purge)?;
    let names: Vec<String> = targets.iter().map(|grant| title(grant)).collect();
    let many = count(targets.len(), "grant", "grants");
    ui.confirm(&format!("Revoke {many}: {}?", names.join("; ")))?;
    let request = RevokeRequest {
        reason: args.reason.clone(),
        purge: args.purge,
    };
    let mut done: Vec<(&Grant, Revoked)> = Vec::with_capacity(targets.len());
    for grant in targets {
        let path = format!("{}:revoke", grant.id);
        let revoked = client
            .post(&["v1", "grants", &path], &request)
            .inspect_err(|_| {
                if !done.is_empty() {
                    ui.note(&format!(
                        "! {} of {many} were revoked before this\n",
                        done.len()
                    ));
                }
            })?;
        done.push((grant, revoked));
    }
    Ok(report(&done))
}

/// Returns the grants of mine that are meant and not over yet; for a purge also a revoked one
/// that is named by its id.
fn targets<'a>(
    grants: &'a [Grant],
    what: &str,
    purge: bool,
) -> Result<Vec<&'a Grant>, CommandError> {
    let open = |grant: &&Grant| {
        let named = what.chars().count() >= PREFIX_CHARS_MIN && grant.id.starts_with(what);
        grant.direction == "out"
            && match grant.state.as_str() {
                "offered" | "active" => true,
                "revoked" => purge && named,
                _ => false,
            }
    };
    let mine: Vec<&Grant> = grants.iter().filter(open).collect();
    let pick = |test: &dyn Fn(&Grant) -> bool| -> Vec<&'a Grant> {
        mine.iter().copied().filter(|grant| test(grant)).collect()
    };
    let by_name =
        pick(&|grant| grant.with == what || grant.person == what || grant.selector == what);
    if !by_name.is_empty() {
        return Ok(by_name);
    }
    let is_long = what.chars().count() >= PREFIX_CHARS_MIN;
    let by_id = pick(&|grant| grant.id == what || (is_long && grant.id.starts_with(what)));
    if by_id.len() > 1 {
        let ids: Vec<&str> = by_id.iter().map(|grant| grant.id.as_str()).collect();
        let what = format!("{what:?} begins the ids of {} grants", ids.len());
        return Err(CommandError::usage(what, ids.join(" ")));
    }
    let is_did = what.starts_with("did:key:z") && what.chars().count() > 16;
    let by_person = pick(&|grant| is_did && grant.person.starts_with(what));
    let persons = by_person
        .iter()
        .filter(|grant| Some(&grant.person) != by_person.first().map(|g| &g.person));
    if persons.count() > 0 {
        let what = format!("{what:?} begins the names of several persons");
        return Err(CommandError::usage(what, "brainctl peer ls"));
    }
    match (by_id.is_empty(), by_person.is_empty()) {
        (false, _) => Ok(by_id),
        (true, false) => Ok(by_person),
        (true, true) => Err(CommandError::NothingMatches(what.to_owned())),
    }
}

fn title(grant: &Grant) -> String {
    let what = one_line(&grant.selector, 60);
    format!(
        "{} ({}, {what}, {})",
        short(&grant.id),
        grant.with,
        grant.access
    )
}

/// The fields of the first revocation stand at the top; `revoked` has one entry per grant.
fn report(done: &[(&Grant, Revoked)]) -> Report {
    let entries: Vec<Value> = done.iter().map(|(_, revoked)| json!(revoked)).collect();
    let first = entries.first().cloned().unwrap_or_default();
    let ids = done.iter().map(|(grant, _)| grant.id.clone());
    let text: String = done
        .iter()
        .map(|(grant, revoked)| text(grant, revoked))
        .collect();
    Report::new("revoke", &first)
        .with("revoked", entries)
        .text(text)
        .ids(ids)
}

fn text(grant: &Grant, revoked: &Revoked) -> String {
    let who = &grant.with;
    let epoch = revoked.epoch;
    let mut text = format!(
        "✓ Grant {} is revoked; new keys from epoch {epoch}.\n",
        title(grant)
    );
    for told in &revoked.told {
        let news = match told.state.as_str() {
            "acknowledged" => "was told, and acknowledged it",
            _ => "will be told at the next contact",
        };
        writeln!(text, "  {who}'s device {} {news}.", short(&told.device))
            .expect("writing to a string does not fail");
    }
    text += &super::receipts::text(&revoked.receipts);
    text + &format!(
        "  {who} can fetch nothing under this grant any more, and new changes are unreadable to {who}.\n  \
         What this cannot do: {who} keeps every copy already received, and what {who} has read\n  \
         stays known.\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::api::sharing::Told;

    fn grant(id: &str, with: &str, selector: &str, state: &str) -> Grant {
        Grant {
            id: id.into(),
            direction: "out".into(),
            with: with.into(),
            person: format!("did:key:z6MkhaXgBZD{with}"),
            selector: selector.into(),
            access: "read".into(),
            state: state.into(),
            expires: None,
            lease: false,
            supersedes: None,
            purpose: String::new(),
            count: 1,
            receipts: Vec::new(),
        }
    }

    #[test]
    fn grants_are_found_by_id_person_and_selector() {
        let grants = [
            grant("aaaa1", "bob", "tag:a", "active"),
            grant("aaaa2", "bob", "tag:b", "offered"),
            grant("cccc3", "mum", "tag:a", "active"),
            grant("dddd4", "mum", "tag:c", "revoked"),
            Grant {
                direction: "in".into(),
                ..grant("eeee5", "eve", "tag:e", "active")
            },
        ];
        let check = |what: &str, expect: &[&str]| {
            let found = targets(&grants, what, false).unwrap();
            let ids: Vec<&str> = found.iter().map(|grant| grant.id.as_str()).collect();
            assert_eq!(ids, expect, "{what}");
        };
        check("bob", &["aaaa1", "aaaa2"]);
        check("tag:a", &["aaaa1", "cccc3"]);
        check("aaaa2", &["aaaa2"]);
        check("cccc", &["cccc3"]);
        let later = targets(&grants, "dddd4", true).unwrap();
        assert_eq!(later[0].id, "dddd4", "a purge can be asked for later");
        check("did:key:z6MkhaXgBZDm", &["cccc3"]);
        for (what, exit) in [
            ("aaaa", 2),
            ("dddd4", 3),
            ("eve", 3),
            ("ccc", 3),
            ("did:key:z6MkhaXgB", 2),
        ] {
            assert_eq!(
                targets(&grants, what, false).unwrap_err().exit().number(),
                exit,
                "{what}"
            );
        }
    }

    #[test]
    fn the_message_says_what_revoking_cannot_do() {
        let grant = grant("aaaa1", "bob", "tag:a", "active");
        let told = |state: &str| Told {
            person: "bob".into(),
            device: "d".into(),
            state: state.into(),
        };
        let told = vec![told("acknowledged"), told("waiting")];
        let revoked = Revoked {
            grant: "aaaa1".into(),
            epoch: 4,
            told,
            notice: String::new(),
            receipts: Vec::new(),
        };
        let text = text(&grant, &revoked);
        assert!(
            text.contains("bob keeps every copy already received"),
            "{text}"
        );
        assert!(
            text.contains("stays known") && text.contains("next contact"),
            "{text}"
        );
        for word in ["deleted", "recalled", "erased"] {
            assert!(!text.contains(word), "{word}\n{text}");
        }
    }
}
