//! `node`: facts of the node, checking what it keeps, waiting until it is ready, its key and its lock.

mod key;
mod lock;
mod passphrase;

use super::status;
use crate::client::Client;
use crate::error::CommandError;
use crate::exit::Exit;
use crate::report::Report;
use crate::ui::Ui;
use protocol::api::status::{ClockAccepted, NodeStatus, NodeVerdict};
use serde_json::json;
use std::fmt::Write as _;
use std::time::{Duration, Instant};

/// How long to wait between two looks.
const POLL: Duration = Duration::from_millis(100);

/// The arguments.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Show the node
    Info,
    /// Print the node's numbers, as Prometheus reads them
    Metrics,
    /// Read everything that is kept and name what is damaged; exit 1 if something is
    Verify,
    /// Take the system clock as right although the node has seen a later time
    AcceptClock,
    /// Show how the master key is kept, and wrap it under a key elsewhere
    Key(key::Args),
    /// Set, change or take away the passphrase of the master key
    Passphrase(passphrase::Args),
    /// Drop the keys and everything that was opened; only unlock is answered then
    Lock,
    /// Open a locked node
    Unlock(lock::Args),
    /// Wait until the node is ready; exit 7 if that takes too long
    Wait {
        /// What to wait for
        #[arg(long = "for", value_parser = ["ready"], default_value = "ready")]
        event: String,
    },
}

/// Does what the verb says.
pub(crate) fn run(client: &Client, ui: &Ui, args: &Args) -> Result<Report, CommandError> {
    match &args.verb {
        Verb::Info => {
            let node: NodeStatus = client.get(&["v1", "node"], &[])?;
            Ok(Report::new("node.info", &node)
                .text(status::text(&node))
                .ids([node.person]))
        }
        Verb::Metrics => {
            let text = client.text(&["metrics"])?;
            let fields = json!({"metrics": &text});
            Ok(Report::new("node.metrics", &fields).text(text))
        }
        Verb::Verify => {
            let verdict: NodeVerdict = client.act_long(&["v1", "node:verify"])?;
            Ok(judged(&verdict))
        }
        Verb::AcceptClock => {
            let accepted: ClockAccepted = client.act(&["v1", "clock:accept"])?;
            let text = format!("✓ It is {} from now on\n", accepted.time);
            Ok(Report::new("node.accept-clock", &accepted).confirmation(text))
        }
        Verb::Key(args) => key::run(client, args),
        Verb::Passphrase(args) => passphrase::run(client, ui, args),
        Verb::Lock => lock::lock(client),
        Verb::Unlock(args) => lock::unlock(client, args),
        Verb::Wait { event } => wait(client, event),
    }
}

fn wait(client: &Client, event: &str) -> Result<Report, CommandError> {
    let waited_ms = until_ready(client, event)?;
    let fields = json!({"state": event, "waited_ms": waited_ms});
    Ok(Report::new("node.wait", &fields).confirmation(format!("✓ The node is {event}\n")))
}

/// Asks again and again: the node may be about to start, so being unreachable is no end.
fn until_ready(client: &Client, event: &str) -> Result<u64, CommandError> {
    let start = Instant::now();
    let patience = client.patience();
    loop {
        match client.is_ok(&["readyz"]) {
            Ok(true) => break,
            Ok(false) | Err(CommandError::Unreachable { .. }) => {}
            Err(error) => return Err(error),
        }
        if start.elapsed() + POLL > patience {
            let what = format!("Waiting until the node is {event}");
            return Err(CommandError::TimedOut {
                what,
                after: patience,
            });
        }
        std::thread::sleep(POLL);
    }
    Ok(u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX))
}

/// Says what was read and what is damaged.
fn judged(verdict: &NodeVerdict) -> Report {
    let read = format!(
        "{} rows, {} signatures, {} files of the text index, {} attachments",
        verdict.rows, verdict.events, verdict.text_files, verdict.attachments
    );
    let mut text = String::new();
    let mut line = |line: String| {
        writeln!(text, "{line}").expect("writing to a string does not fail");
    };
    if verdict.ok {
        line(format!("✓ Everything is what was written: {read}"));
    } else {
        line("✗ Not everything is what was written".to_owned());
        for damage in &verdict.damage {
            line(format!("  ✗ {}\n    do   {}", damage.what, damage.hint));
        }
        line(format!("  read {read}"));
    }
    let exit = if verdict.ok { Exit::Done } else { Exit::Failed };
    Report::new("node.verify", verdict).text(text).ends(exit)
}
