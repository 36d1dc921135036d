//! `sync`: how far peers are, and the proof that a peer has the same.

use crate::client::Client;
use crate::error::CommandError;
use crate::exit::Exit;
use crate::report::Report;
use crate::ui::table::table;
use crate::ui::text::{bytes, count, one_line, short};
use protocol::api::sync::{PeerSync, Proof, SyncStatus};
use std::fmt::Write as _;

/// The arguments.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Show how far each peer is
    Status,
    /// Reach out to all peers now
    Now,
    /// Prove that a peer has the same; exit 1 if it has not
    Prove {
        /// The person
        peer: String,
    },
}

/// Does what the verb says.
pub(crate) fn run(client: &Client, args: &Args) -> Result<Report, CommandError> {
    let status = |command: &str, status: SyncStatus| {
        let report = Report::new(command, &status).text(text(&status.peers));
        report.ids(status.peers.into_iter().map(|peer| peer.person))
    };
    match &args.verb {
        Verb::Status => Ok(status("sync.status", client.get(&["v1", "sync"], &[])?)),
        Verb::Now => Ok(status("sync.now", client.act(&["v1", "sync:now"])?)),
        Verb::Prove { peer } => {
            let proof: Proof = client.act_long(&["v1", "sync", &format!("{peer}:prove")])?;
            Ok(proved(&proof))
        }
    }
}

fn text(peers: &[PeerSync]) -> String {
    let rows = peers.iter().map(|peer| {
        let online = if peer.online { "online" } else { "offline" };
        let state = match peer.state.as_str() {
            "in_sync" => "in sync",
            "syncing" | "offline" => "not proved",
            other => other,
        };
        [
            peer.alias.clone(),
            online.to_owned(),
            state.to_owned(),
            format!("{}/{}", peer.mine, peer.theirs),
            format!("{}/{}", peer.missing_here, peer.missing_there),
            format!("{}/{}", bytes(peer.bytes_in), bytes(peer.bytes_out)),
            peer.last_contact
                .clone()
                .unwrap_or_else(|| "never".to_owned()),
        ]
    });
    let heading = [
        "NAME",
        "",
        "STATE",
        "HERE/THERE",
        "LACKS HERE/THERE",
        "IN/OUT",
        "LAST CONTACT",
    ];
    let mut text = table(heading, rows, "You are paired with nobody.");
    for peer in peers {
        if peer.attachments_missing > 0 {
            text += &lacking(peer);
        }
        if let Some(since) = &peer.unreachable_since {
            let next = peer.next_try_s.unwrap_or_default();
            let equal = peer.last_equal.as_deref().unwrap_or("not since the start");
            let alias = &peer.alias;
            let line = format!(
                "! {alias}: unreachable since {since}, next try in {next} s, last equal {equal}"
            );
            writeln!(text, "{line}").expect("writing to a string does not fail");
        }
        if let Some(error) = &peer.last_error {
            writeln!(text, "! {}: {}", peer.alias, one_line(error, 160))
                .expect("writing to a string does not fail");
        }
    }
    text
}

/// In sync is about events: files that are not here yet are said beside it.
fn lacking(peer: &PeerSync) -> String {
    let many = usize::try_from(peer.attachments_missing).unwrap_or(usize::MAX);
    let (many, verb) = (
        count(many, "attachment", "attachments"),
        if many == 1 { "is" } else { "are" },
    );
    let left = bytes(peer.attachment_bytes_missing);
    format!(
        "! {}: {many} {verb} not here yet, {left} to come\n",
        peer.alias
    )
}

/// Equal is proved only if nothing is missing; anything else ends with 1.
fn proved(proof: &Proof) -> Report {
    let PeerSync {
        alias,
        mine,
        theirs,
        fingerprint,
        ..
    } = &proof.status;
    let equal = proof.status.in_sync && proof.missing.is_empty();
    let (mine_short, theirs_short) = (short(fingerprint), short(&proof.their_fingerprint));
    let mut text = if equal {
        format!("✓ In sync with {alias}: {mine} events, fingerprint {mine_short} on both sides\n")
    } else {
        format!(
            "✗ Not in sync with {alias}: {mine} events here ({mine_short}), {theirs} there \
             ({theirs_short})\n"
        )
    };
    if proof.status.attachments_missing > 0 {
        text += &lacking(&proof.status);
    }
    for missing in &proof.missing {
        writeln!(text, "  missing {}: {}", missing.side, missing.event)
            .expect("writing to a string does not fail");
    }
    let report = Report::new("sync.prove", proof)
        .text(text)
        .ids([proof.status.person.clone()]);
    report.ends(if equal { Exit::Done } else { Exit::Failed })
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::api::sync::Missing;
    use serde_json::Value;

    #[test]
    fn only_an_equal_proof_ends_well() {
        let status = PeerSync {
            alias: "bob".into(),
            mine: 2,
            in_sync: true,
            ..PeerSync::default()
        };
        let equal = Proof {
            status,
            their_fingerprint: "f".into(),
            missing: vec![],
        };
        assert_eq!(proved(&equal).exit(), Exit::Done);
        let missing = vec![Missing {
            event: "e".into(),
            side: "there".into(),
        }];
        let lacking = Proof {
            missing,
            ..equal.clone()
        };
        assert_eq!(proved(&lacking).exit(), Exit::Failed);
        assert!(proved(&lacking).as_text().contains("  missing there: e\n"));
        let behind = PeerSync {
            in_sync: false,
            ..equal.status.clone()
        };
        assert_eq!(
            proved(&Proof {
                status: behind,
                ..equal
            })
            .exit(),
            Exit::Failed
        );
    }

    #[test]
    fn the_proof_has_the_fields_of_the_status() {
        let status = PeerSync {
            alias: "bob".into(),
            ..PeerSync::default()
        };
        let proof = Proof {
            status,
            their_fingerprint: String::new(),
            missing: vec![],
        };
        let json: Value = serde_json::from_str(&proved(&proof).as_json()).unwrap();
        assert_eq!(
            (&json["alias"], &json["in_sync"]),
            (&"bob".into(), &false.into())
        );
        assert!(json["missing"].is_array() && json["fingerprint"].is_string());
    }
}
