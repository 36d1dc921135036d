//! `peer`: meets other persons, names them, checks their words, blocks and removes them.

mod invite;

pub(crate) use invite::picture;

use super::add::standard_input;
use crate::client::Client;
use crate::error::CommandError;
use crate::exit::Exit;
use crate::report::Report;
use crate::ui::Ui;
use crate::ui::table::table;
use protocol::api::Page;
use protocol::api::peers::{AcceptInvite, Peer, PeerPatch};
use serde_json::json;

/// The arguments.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Make a ticket that one person can use once
    Invite(invite::Args),
    /// Use a ticket; - reads it from standard input
    Accept {
        /// The ticket
        ticket: String,
        /// Your name for the person who made it
        #[arg(long, visible_alias = "name")]
        alias: Option<String>,
    },
    /// List the persons you are paired with
    Ls,
    /// Show a person
    Show(Who),
    /// Give a person another name
    Rename {
        /// The person
        peer: String,
        /// The new name
        alias: String,
    },
    /// Compare four safety words with those of a person
    Verify {
        /// The person
        peer: String,
        /// The words that they read out
        words: Vec<String>,
    },
    /// Send nothing to a person and take nothing from them
    Block(Who),
    /// End a block
    Unblock(Who),
    /// Part from a person
    Rm(Who),
}

#[derive(Debug, clap::Args)]
struct Who {
    /// The person: their name here, did:key or a unique beginning of it
    peer: String,
}

/// Does what the verb says.
pub(crate) fn run(client: &Client, ui: &Ui, args: Args) -> Result<Report, CommandError> {
    match args.verb {
        Verb::Invite(args) => invite::run(client, ui, args),
        Verb::Accept { ticket, alias } => accept(client, ticket, alias),
        Verb::Ls => list(client),
        Verb::Show(Who { peer }) => {
            let peer: Peer = client.get(&["v1", "peers", &peer], &[])?;
            Ok(Report::new("peer.show", &peer)
                .text(facts(&peer))
                .ids([peer.person]))
        }
        Verb::Rename { peer, alias } => {
            let patch = PeerPatch {
                alias: Some(alias),
                state: None,
            };
            change(client, "peer.rename", &peer, &patch)
        }
        Verb::Verify { peer, words } => verify(client, &peer, &words),
        Verb::Block(Who { peer }) => set_state(client, "peer.block", &peer, "blocked"),
        Verb::Unblock(Who { peer }) => set_state(client, "peer.unblock", &peer, "paired"),
        Verb::Rm(Who { peer }) => remove(client, ui, &peer),
    }
}

/// A ticket names one inviter and works once: to pass it is the consent, so nothing is asked.
fn accept(client: &Client, ticket: String, alias: Option<String>) -> Result<Report, CommandError> {
    let ticket = if ticket == "-" {
        standard_input()?.trim().to_owned()
    } else {
        ticket
    };
    let peer: Peer = client.post(&["v1", "invites:accept"], &AcceptInvite { ticket, alias })?;
    let text = format!(
        "✓ Paired with {} ({})\n  {}\n  Ask them to read out their words if in doubt.\n",
        peer.alias, peer.words, peer.person
    );
    Ok(Report::new("peer.accept", &peer)
        .confirmation(text)
        .ids([peer.person]))
}

fn list(client: &Client) -> Result<Report, CommandError> {
    let page: Page<Peer> = client.list(&["v1", "peers"], &[], None)?;
    let rows = page.items.iter().map(|peer| {
        let last = peer
            .last_contact
            .clone()
            .unwrap_or_else(|| "never".to_owned());
        [
            peer.alias.clone(),
            peer.state.clone(),
            peer.path.clone(),
            peer.words.clone(),
            last,
        ]
    });
    let none = "You are paired with nobody: brainctl peer invite";
    let text = table(
        ["NAME", "STATE", "PATH", "WORDS", "LAST CONTACT"],
        rows,
        none,
    );
    let report = Report::new("peer.ls", &page).text(text);
    Ok(report.ids(page.items.into_iter().map(|peer| peer.person)))
}

fn facts(peer: &Peer) -> String {
    let last = peer.last_contact.as_deref().unwrap_or("never");
    format!(
        "{}\n  person        {}\n  words         {}\n  state         {}\n  path          {}\n  \
         last contact  {last}\n  addresses     {}\n",
        peer.alias,
        peer.person,
        peer.words,
        peer.state,
        peer.path,
        peer.addresses.join("  "),
    )
}

fn change(
    client: &Client,
    command: &str,
    peer: &str,
    patch: &PeerPatch,
) -> Result<Report, CommandError> {
    let peer: Peer = client.patch(&["v1", "peers", peer], patch)?;
    let text = format!("✓ {} is {}\n", peer.alias, peer.state);
    Ok(Report::new(command, &peer)
        .confirmation(text)
        .ids([peer.person]))
}

fn set_state(
    client: &Client,
    command: &str,
    peer: &str,
    state: &str,
) -> Result<Report, CommandError> {
    let patch = PeerPatch {
        alias: None,
        state: Some(state.to_owned()),
    };
    change(client, command, peer, &patch)
}

fn verify(client: &Client, peer: &str, words: &[String]) -> Result<Report, CommandError> {
    let peer: Peer = client.get(&["v1", "peers", peer], &[])?;
    let heard = words.join(" ");
    let matches = (!words.is_empty()).then(|| same_words(&heard, &peer.words));
    let (text, exit) = match matches {
        None => (
            format!(
                "Ask {} to read out their words:\n  {}\n",
                peer.alias, peer.words
            ),
            Exit::Done,
        ),
        Some(true) => (
            format!("✓ These are the words of {}\n", peer.alias),
            Exit::Done,
        ),
        Some(false) => (
            format!(
                "✗ {} has other words: {}\n  Someone else may have answered: do not share.\n",
                peer.alias, peer.words
            ),
            Exit::Failed,
        ),
    };
    let report = Report::new("peer.verify", &peer).with("matches", matches);
    Ok(report.text(text).ids([peer.person]).ends(exit))
}

fn same_words(heard: &str, words: &str) -> bool {
    let split = |text: &str| -> Vec<String> {
        let words = text
            .split(|c: char| !c.is_alphabetic())
            .filter(|word| !word.is_empty());
        words.map(str::to_lowercase).collect()
    };
    split(heard) == split(words)
}

fn remove(client: &Client, ui: &Ui, peer: &str) -> Result<Report, CommandError> {
    let peer: Peer = client.get(&["v1", "peers", peer], &[])?;
    ui.confirm(&format!(
        "Part from {}? Pairing again needs a new ticket; what they have received stays with them.",
        peer.alias
    ))?;
    client.delete_silently(&["v1", "peers", &peer.person])?;
    let text = format!("✓ Parted from {}\n", peer.alias);
    let fields = json!({"person": peer.person, "alias": peer.alias, "state": "removed"});
    Ok(Report::new("peer.rm", &fields)
        .confirmation(text)
        .ids([peer.person]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_compared_as_they_are_heard() {
        let words = "amber river kite moss";
        assert!(same_words("Amber, river - kite MOSS", words));
        assert!(!same_words("amber river kite", words));
        assert!(!same_words("river amber kite moss", words));
    }
}
