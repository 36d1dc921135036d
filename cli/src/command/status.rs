//! `status`: how the node is, at a glance.

use crate::client::Client;
use crate::error::CommandError;
use crate::report::Report;
use crate::ui::text::{bytes, one_line, short};
use protocol::api::attachments::Attachments;
use protocol::api::status::{NodeStatus, PeerGlance};
use std::fmt::Write as _;

/// The arguments.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

/// Asks the node how it is.
pub(crate) fn run(client: &Client, _: &Args) -> Result<Report, CommandError> {
    let node: NodeStatus = client.get(&["v1", "node"], &[])?;
    Ok(Report::new("status", &node)
        .text(text(&node))
        .ids([node.person]))
}

/// Returns the status as lines.
pub(crate) fn text(node: &NodeStatus) -> String {
    let mut text = String::new();
    let mut line = |label: &str, value: &str| {
        writeln!(text, "{label:<14}{value}").expect("writing to a string does not fail");
    };
    line("brain", &format!("{:?}  {}", node.alias, node.person));
    line("words", &node.words);
    line("device", &short(&node.device));
    line(
        "version",
        &format!("{}, up {}", node.version, age(node.uptime_s)),
    );
    for need in &node.needs_you {
        line("! needs you", need);
    }
    for peer in &node.peers {
        line("peer", &glance(peer));
    }
    line(
        "memories",
        &format!("{} ({} forgotten)", node.memories, node.forgotten),
    );
    if node.attachments.count > 0 {
        line("attachments", &attachments(&node.attachments));
    }
    line("store", &node.store);
    let behind = |lag: u64| {
        if lag == 0 {
            "up to date".into()
        } else {
            format!("{lag} behind")
        }
    };
    for projection in &node.projections {
        line(
            "index",
            &format!("{}: {}", projection.name, behind(projection.lag)),
        );
    }
    line("api", &node.api.join("  "));
    line("network", &node.network.listen.join("  "));
    line("home", &node.home);
    text
}

fn attachments(all: &Attachments) -> String {
    let here = format!("{} ({})", all.count, bytes(all.bytes));
    if all.missing == 0 {
        return here;
    }
    let lacking = bytes(all.bytes_missing);
    format!("{here}; {} not here yet, {lacking} to come", all.missing)
}

/// Returns how a peer is in a line.
fn glance(peer: &PeerGlance) -> String {
    let mut text = format!("{}: {}", peer.alias, peer.state.replace('_', " "));
    let mut add = |more: String| text.push_str(&more);
    if let Some(since) = &peer.since {
        add(format!(" since {since}"));
    }
    if peer.missing_here + peer.missing_there > 0 {
        let (here, there) = (peer.missing_here, peer.missing_there);
        add(format!(", lacks {here} here and {there} there"));
    }
    if let Some(reason) = &peer.reason {
        add(format!(" ({})", one_line(reason, 100)));
    }
    text
}

fn age(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3_600 => format!("{} min", seconds / 60),
        3_600..86_400 => format!("{} h", seconds / 3_600),
        _ => format!("{} d", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::api::status::{Network, Projection};

    #[test]
    fn the_status_names_what_waits_and_what_is_behind() {
        let node = NodeStatus {
            person: "did:key:z6Mk".into(),
            words: "amber river kite moss".into(),
            device: "a".repeat(52),
            alias: "ana".into(),
            version: "0.1.0".into(),
            memories: 3,
            forgotten: 1,
            attachments: Attachments {
                count: 3,
                bytes: 45_000_000,
                missing: 1,
                bytes_missing: 15_000_000,
                bytes_max: 1 << 30,
            },
            api: vec!["unix:/x".into(), "http://127.0.0.1:1".into()],
            network: Network {
                listen: vec!["/ip4/127.0.0.1".into()],
            },
            peers: vec![PeerGlance {
                alias: "bob".into(),
                state: "unreachable".into(),
                since: Some("2026-11-26T00:00:00Z".into()),
                reason: Some("no answer in time".into()),
                missing_here: 0,
                missing_there: 2,
            }],
            projections: vec![Projection {
                name: "text".into(),
                cursor: 4,
                lag: 2,
                model: None,
                note: None,
            }],
            needs_you: vec!["1 request waits".into()],
            store: "ok".into(),
            uptime_s: 7_200,
            home: "/h".into(),
        };
        let text = text(&node);
        for line in [
            "brain         \"ana\"  did:key:z6Mk",
            "version       0.1.0, up 2 h",
            "! needs you   1 request waits",
            "peer          bob: unreachable since 2026-11-26T00:00:00Z, lacks 0 here and 2 there \
             (no answer in time)",
            "memories      3 (1 forgotten)",
            "attachments   3 (45.0 MB); 1 not here yet, 15.0 MB to come",
            "index         text: 2 behind",
            "api           unix:/x  http://127.0.0.1:1",
        ] {
            assert!(text.lines().any(|other| other == line), "{line}\n{text}");
        }
    }
}
