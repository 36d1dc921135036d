//! `node key`: how the master key is kept on the disk, and the wrapping key in a file elsewhere or
//! in the OS keyring.

use super::passphrase;
use crate::client::Client;
use crate::error::CommandError;
use crate::report::Report;
use protocol::api::key::{KeyState, NewKey};
use std::path::{Path, PathBuf};

/// Where it stands in the API.
pub(super) const PATH: [&str; 3] = ["v1", "node", "key"];

/// The arguments.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Show how the master key is kept, and what the next start needs
    Show,
    /// Wrap the master key under a new key, written to a file outside of the data folder
    File {
        /// The new file, such as one on a stick
        file: PathBuf,
        /// A file whose first line is the passphrase that opens the key now; - reads it from
        /// standard input
        #[arg(long, value_name = "FILE")]
        current_file: Option<PathBuf>,
    },
    /// Wrap the master key under a new key in the keyring of the operating system
    Keyring {
        /// A file whose first line is the passphrase that opens the key now; - reads it from
        /// standard input
        #[arg(long, value_name = "FILE")]
        current_file: Option<PathBuf>,
    },
    /// Replace what wraps the master key by something new of the same sort
    Rotate {
        /// A file whose first line is the passphrase that opens the key now; - reads it from
        /// standard input
        #[arg(long, value_name = "FILE")]
        current_file: Option<PathBuf>,
    },
}

/// Does what the verb says.
pub(super) fn run(client: &Client, args: &Args) -> Result<Report, CommandError> {
    let before: KeyState = client.get(&PATH, &[])?;
    match &args.verb {
        Verb::Show => {
            let KeyState {
                kept, next_start, ..
            } = &before;
            let text = format!("kept        {kept}\nnext start  {next_start}\n");
            Ok(Report::new("node.key.show", &before).text(text))
        }
        Verb::File { file, current_file } => {
            let failed = |source| CommandError::File {
                path: file.clone(),
                source,
            };
            let absolute = std::path::absolute(file).map_err(failed)?;
            let new = NewKey {
                kept: "file".to_owned(),
                current: passphrase::current(&before, current_file.as_deref())?,
                passphrase: None,
                file: Some(absolute.display().to_string()),
            };
            let what = format!(
                "The master key is wrapped under the key in {}",
                file.display()
            );
            put(client, "node.key.file", &new, &what)
        }
        Verb::Keyring { current_file } => {
            let new = NewKey {
                kept: "keyring".to_owned(),
                current: passphrase::current(&before, current_file.as_deref())?,
                passphrase: None,
                file: None,
            };
            let what = "The master key is wrapped under a key in the OS keyring";
            put(client, "node.key.keyring", &new, what)
        }
        Verb::Rotate { current_file } => rotate(client, &before, current_file.as_deref()),
    }
}

fn rotate(
    client: &Client,
    before: &KeyState,
    current_file: Option<&Path>,
) -> Result<Report, CommandError> {
    if before.kept == "plain" {
        return Err(CommandError::usage(
            "The master key lies plain in its folder: nothing wraps it that could be replaced",
            "brainctl node passphrase set, or brainctl node key file PATH, or brainctl node key keyring",
        ));
    }
    let current = passphrase::current(before, current_file)?;
    let new = NewKey {
        kept: before.kept.clone(),
        passphrase: current.clone(),
        current,
        file: None,
    };
    let what = "The master key is wrapped under a new key; an old copy of master.key, with what \
        opened it then, still opens";
    put(client, "node.key.rotate", &new, what)
}

fn put(client: &Client, name: &str, new: &NewKey, what: &str) -> Result<Report, CommandError> {
    let key: KeyState = client.put_long(&PATH, new)?;
    Ok(Report::new(name, &key).confirmation(changed(what, &key)))
}

/// Says what was changed, what the next start needs, and what is left of the way before.
pub(super) fn changed(what: &str, key: &KeyState) -> String {
    let notice = key.notice.as_ref();
    let notice = notice.map_or_else(String::new, |notice| format!("! {notice}\n"));
    format!("✓ {what}\n  next start  {}\n{notice}", key.next_start)
}
