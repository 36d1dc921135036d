//! `node lock` and `node unlock`.

use super::{passphrase, until_ready};
use crate::client::Client;
use crate::error::CommandError;
use crate::report::Report;
use protocol::api::key::{KeyState, LockState, UnlockNode};
use std::io::{self, IsTerminal as _};
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// How long to wait between two looks.
const POLL: Duration = Duration::from_millis(50);

/// The arguments of `node unlock`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// A file whose first line is the passphrase; - reads it from standard input
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
}

/// Locks the node and waits until it has begun anew.
pub(super) fn lock(client: &Client) -> Result<Report, CommandError> {
    let state: LockState = client.act(&["v1", "node", "lock"])?;
    let start = Instant::now();
    loop {
        // Any route tells it: a locked node refuses all of them by this name.
        let key: Result<KeyState, CommandError> = client.get(&["v1", "node", "key"], &[]);
        if key.is_err_and(|error| error.is_locked()) {
            break;
        }
        if start.elapsed() + POLL > client.patience() {
            return Err(CommandError::TimedOut {
                what: "Waiting until the node is locked".to_owned(),
                after: client.patience(),
            });
        }
        std::thread::sleep(POLL);
    }
    let text = format!("✓ The node is locked\n  {}\n", state.notice);
    Ok(Report::new("node.lock", &state).confirmation(text))
}

/// Unlocks the node and waits until it is ready.
pub(super) fn unlock(client: &Client, args: &Args) -> Result<Report, CommandError> {
    let file = args.passphrase_file.as_deref();
    let ask = |file| passphrase::read(file, "--passphrase-file", "Passphrase").map(Some);
    let words = file.map_or(Ok(None), |file| ask(Some(file)))?;
    let send = |passphrase| {
        let request = UnlockNode { passphrase };
        client.post::<LockState>(&["v1", "node", "unlock"], &request)
    };
    let state = match send(words) {
        // What the configuration names does not open it: somebody has to say it.
        Err(error) if error.is_locked() && file.is_none() && io::stdin().is_terminal() => {
            send(ask(None)?)?
        }
        sent => sent?,
    };
    until_ready(client, "ready")?;
    let text = "✓ The node is unlocked\n";
    Ok(Report::new("node.unlock", &state).confirmation(text))
}
