//! `ledger verify`: the verdict in words.

use crate::client::Client;
use crate::error::CommandError;
use crate::exit::Exit;
use crate::report::Report;
use protocol::api::ledger::{LedgerCheck, LedgerVerdict};
use std::fmt::Write as _;

pub(super) fn run(client: &Client, from: Option<String>) -> Result<Report, CommandError> {
    let check = LedgerCheck { from };
    let verdict: LedgerVerdict = client.post_long(&["v1", "ledger:verify"], &check)?;
    Ok(judged(&verdict))
}

fn judged(verdict: &LedgerVerdict) -> Report {
    let mut text = String::new();
    let mut line = |line: String| {
        writeln!(text, "{line}").expect("writing to a string does not fail");
    };
    if verdict.ok {
        line(format!(
            "✓ All {} entries are what was signed",
            verdict.entries
        ));
    } else {
        let place = verdict
            .first_bad
            .map_or_else(String::new, |seq| format!(" from entry {seq}"));
        line(format!(
            "✗ The ledger does not hold{place}: {}",
            verdict.reason
        ));
    }
    // One line a person: the newest that fits, and everything that does not.
    let mut newest = std::collections::BTreeMap::new();
    for witness in &verdict.witnesses {
        if witness.ok {
            let known = newest.entry(&witness.who).or_insert(witness);
            if known.entries <= witness.entries {
                *known = witness;
            }
        } else {
            line(format!(
                "  ✗ {} saw {} entries at {}: {}",
                witness.who,
                witness.entries,
                witness.time,
                witness.fault.as_deref().unwrap_or_default()
            ));
        }
    }
    for witness in newest.values() {
        line(format!(
            "  ✓ {} saw the first {} of them at {}",
            witness.who, witness.entries, witness.time
        ));
    }
    for conflict in &verdict.conflicts {
        line(format!(
            "  ! the ledger of {} is another one since {}: it had {} entries to you, now {}",
            conflict.who, conflict.since, conflict.held, conflict.shown
        ));
    }
    line(format!("  checkpoint {}", verdict.checkpoint));
    let report = Report::new("ledger.verify", verdict)
        .with("first_bad", verdict.first_bad)
        .text(text)
        .ids([verdict.checkpoint.clone()]);
    report.ends(if verdict.ok { Exit::Done } else { Exit::Failed })
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::api::ledger::LedgerWitness;

    fn witness(who: &str, entries: u64, fault: Option<&str>) -> LedgerWitness {
        LedgerWitness {
            who: who.into(),
            person: String::new(),
            device: String::new(),
            entries,
            root: String::new(),
            line: 1,
            time: "T".into(),
            shown: "S".into(),
            ok: fault.is_none(),
            fault: fault.map(str::to_owned),
            checkpoint: String::new(),
        }
    }

    #[test]
    fn a_broken_ledger_ends_with_one_and_says_where_and_who_saw_it() {
        let good = LedgerVerdict {
            entries: 3,
            checkpoint: "3.abc".into(),
            ok: true,
            first_bad: None,
            fault: None,
            reason: String::new(),
            witnesses: vec![witness("bob", 1, None), witness("bob", 3, None)],
            conflicts: Vec::new(),
        };
        assert_eq!(judged(&good).exit(), Exit::Done);
        assert!(judged(&good).as_json().contains("\"first_bad\":null"));
        assert_eq!(
            judged(&good).as_text(),
            "✓ All 3 entries are what was signed\n  ✓ bob saw the first 3 of them at T\n  \
             checkpoint 3.abc\n"
        );
        let bad = LedgerVerdict {
            ok: false,
            first_bad: Some(2),
            reason: "r".into(),
            witnesses: vec![witness("bob", 5, Some("cut"))],
            ..good
        };
        assert_eq!(judged(&bad).exit(), Exit::Failed);
        let text = judged(&bad).as_text().to_owned();
        assert!(text.starts_with(
            "✗ The ledger does not hold from entry 2: r\n  ✗ bob saw 5 entries at T: cut\n"
        ));
    }
}
