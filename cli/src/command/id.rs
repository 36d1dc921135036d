//! `id`: who this node is, the recovery phrase, and the way back from it.

use super::add::standard_input;
use crate::client::Client;
use crate::error::CommandError;
use crate::report::Report;
use crate::ui::Ui;
use protocol::api::devices::{NewIdentity, Phrase};
use protocol::api::status::Identity;
use serde_json::json;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long a node may take to start again under another identity.
const AGAIN_MAX: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(100);

/// The arguments.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Show the person, the device and the safety words
    Show,
    /// Show the four safety words, to be read out to a peer
    Words,
    /// Show the 24 words that stand for you; write them down and keep them away from all machines
    Phrase {
        /// Write them into a new file that only you can read, instead of showing them
        #[arg(long, value_name = "FILE")]
        to: Option<PathBuf>,
    },
    /// Make this new machine a device of the person whose 24 words these are
    Recover {
        /// A file with the words; - reads them from standard input
        file: String,
    },
}

/// Does what the verb says.
pub(crate) fn run(client: &Client, ui: &Ui, args: &Args) -> Result<Report, CommandError> {
    match &args.verb {
        Verb::Show => show(client),
        Verb::Words => words(client),
        Verb::Phrase { to } => phrase(client, ui, to.as_deref()),
        Verb::Recover { file } => recover(client, file),
    }
}

fn show(client: &Client) -> Result<Report, CommandError> {
    let identity: Identity = client.get(&["v1", "identity"], &[])?;
    let Identity {
        person,
        words,
        device,
        alias,
    } = &identity;
    let text = format!("person  {person}\nwords   {words}\ndevice  {device}\nalias   {alias}\n");
    Ok(Report::new("id.show", &identity)
        .text(text)
        .ids([identity.person]))
}

fn words(client: &Client) -> Result<Report, CommandError> {
    let identity: Identity = client.get(&["v1", "identity"], &[])?;
    let text = format!("{}\n", identity.words);
    Ok(Report::new("id.words", &identity)
        .text(text)
        .ids([identity.person]))
}

fn phrase(client: &Client, ui: &Ui, to: Option<&Path>) -> Result<Report, CommandError> {
    ui.confirm("Show the 24 words? Whoever has them is you, on any machine.")?;
    let phrase: Phrase = client.act(&["v1", "identity:phrase"])?;
    let Some(path) = to else {
        let lines = (1..).zip(phrase.phrase.split(' ')).map(|(number, word)| {
            let end = if number % 4 == 0 { "\n" } else { "  " };
            format!("{number:>2}. {word:<9}{end}")
        });
        let text: String = lines.collect();
        return Ok(Report::new("id.phrase", &phrase).text(text));
    };
    let failed = |error: std::io::Error| {
        CommandError::usage(
            format!("The words cannot be written to {}: {error}", path.display()),
            "name a new file on a medium you can lock away",
        )
    };
    let mut options = std::fs::OpenOptions::new();
    let mut file = options
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .map_err(failed)?;
    writeln!(file, "{}", phrase.phrase).map_err(failed)?;
    file.sync_all().map_err(failed)?;
    let text = format!("✓ The 24 words are in {}\n", path.display());
    let fields = json!({"file": path.display().to_string()});
    Ok(Report::new("id.phrase", &fields).confirmation(text))
}

/// Reads a recovery phrase from a file or from standard input, never from an argument: those
/// can be seen by every process of the machine.
pub(crate) fn read_phrase(file: &str) -> Result<String, CommandError> {
    if file == "-" {
        return standard_input();
    }
    std::fs::read_to_string(file).map_err(|error| {
        CommandError::usage(
            format!("The words cannot be read from {file}: {error}"),
            "name a file that holds the 24 words, or - for standard input",
        )
    })
}

fn recover(client: &Client, file: &str) -> Result<Report, CommandError> {
    let phrase = read_phrase(file)?;
    let new: NewIdentity = client.post(&["v1", "identity:recover"], &Phrase { phrase })?;
    wait_for(client, &new)?;
    let text = format!(
        "✓ This machine is a device of {} now ({})\n  \
         What you shared comes back from those who have it: ask one for a ticket, then\n  \
         brainctl peer accept TICKET\n  \
         Retire the devices that are gone:  brainctl device ls\n",
        new.person, new.words
    );
    Ok(Report::new("id.recover", &new)
        .confirmation(text)
        .ids([new.person]))
}

/// Waits until the node has started again under its new identity.
pub(crate) fn wait_for(client: &Client, new: &NewIdentity) -> Result<(), CommandError> {
    let deadline = Instant::now() + AGAIN_MAX;
    loop {
        let identity: Result<Identity, CommandError> = client.get(&["v1", "identity"], &[]);
        match identity {
            Ok(identity) if identity.person == new.person => return Ok(()),
            Err(error) if Instant::now() >= deadline => return Err(error),
            Ok(_) if Instant::now() >= deadline => {
                return Err(CommandError::usage(
                    "The node has not started again yet",
                    "brainctl node wait --for ready",
                ));
            }
            _ => std::thread::sleep(POLL),
        }
    }
}
