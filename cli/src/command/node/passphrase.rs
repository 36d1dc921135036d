//! `node passphrase`: sets the passphrase of the master key, changes it, and takes it away.
//!
//! Passphrases come from files, standard input or the terminal, never from arguments: those can
//! be seen by every process of the machine.

use super::key::{self, PATH};
use crate::client::Client;
use crate::error::CommandError;
use crate::report::Report;
use crate::ui::Ui;
use protocol::api::key::{KeyState, NewKey};
use std::io::{self, IsTerminal as _};
use std::path::{Path, PathBuf};

/// The arguments.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Set a passphrase, or another one; the next start needs it
    Set {
        /// A file whose first line is the new passphrase; - takes the next line of standard input
        #[arg(long, value_name = "FILE")]
        passphrase_file: Option<PathBuf>,
        /// The same for the passphrase that opens the key now, if there is one
        #[arg(long, value_name = "FILE")]
        current_file: Option<PathBuf>,
    },
    /// Take the passphrase away; whoever reads the folder has the key then
    Remove {
        /// A file whose first line is the passphrase; - takes the next line of standard input
        #[arg(long, value_name = "FILE")]
        current_file: Option<PathBuf>,
    },
}

/// Does what the verb says.
pub(super) fn run(client: &Client, ui: &Ui, args: &Args) -> Result<Report, CommandError> {
    let before: KeyState = client.get(&PATH, &[])?;
    let current = |file: &Option<PathBuf>| current(&before, file.as_deref());
    let (kept, current, new) = match &args.verb {
        Verb::Set {
            passphrase_file,
            current_file,
        } => {
            let current = current(current_file)?;
            let file = passphrase_file.as_deref();
            let new = read(file, "--passphrase-file", "New passphrase")?;
            // Typed unseen: a slip would lock its owner out.
            if file.is_none() && read(None, "--passphrase-file", "Again")? != new {
                return Err(CommandError::usage(
                    "The two are not the same; nothing was changed",
                    "brainctl node passphrase set",
                ));
            }
            ("passphrase", current, Some(new))
        }
        Verb::Remove { current_file } => {
            ui.confirm("Take the passphrase away? Whoever reads the folder has the key then.")?;
            ("plain", current(current_file)?, None)
        }
    };
    let new = NewKey {
        kept: kept.to_owned(),
        current,
        passphrase: new,
        file: None,
    };
    let key: KeyState = client.put_long(&PATH, &new)?;
    let what = match (kept, before.kept.as_str()) {
        ("plain", _) => "The master key is kept without a passphrase",
        (_, "passphrase") => "The master key is kept under another passphrase",
        _ => "The master key is kept under a passphrase",
    };
    Ok(Report::new("node.passphrase", &key).confirmation(key::changed(what, &key)))
}

/// Reads the passphrase that opens the key now, if one does.
pub(super) fn current(key: &KeyState, file: Option<&Path>) -> Result<Option<String>, CommandError> {
    if file.is_none() && key.kept != "passphrase" {
        return Ok(None);
    }
    read(file, "--current-file", "Current passphrase").map(Some)
}

/// Reads a passphrase: the first line of a file, a line of standard input, or at the terminal.
pub(super) fn read(file: Option<&Path>, flag: &str, prompt: &str) -> Result<String, CommandError> {
    let failed = |path: &Path, source| CommandError::File {
        path: path.to_owned(),
        source,
    };
    match file {
        Some(path) if path == Path::new("-") => {
            let mut line = String::new();
            let read = io::stdin().read_line(&mut line);
            read.map_err(|source| failed(path, source))?;
            Ok(line.trim_end_matches(['\r', '\n']).to_owned())
        }
        Some(path) => {
            let text = std::fs::read_to_string(path).map_err(|source| failed(path, source))?;
            Ok(text.lines().next().unwrap_or_default().to_owned())
        }
        None if io::stdin().is_terminal() => rpassword::prompt_password(format!("{prompt}: "))
            .map_err(|source| failed(Path::new("/dev/tty"), source)),
        None => {
            let what = format!("{prompt}: nobody is there to be asked");
            let hint = format!("name a file with {flag} FILE, or - for standard input");
            Err(CommandError::usage(what, hint))
        }
    }
}
