//! The command line: global flags and the tree of commands. Each command's own arguments stand in
//! its file under `command/`.

use crate::address::NodeAddress;
use crate::command::{
    add, attachment, circle, completion, device, duplicates, edit, help, id, import, index, ledger,
    link, ls, node, peer, policy, purge, related, request, restore, revoke, rm, search, share,
    show, status, sync, tag, tray,
};
use crate::duration;
use clap::{Args, Parser, Subcommand, ValueEnum};
use std::time::Duration;

/// Keep, find and share memories
#[derive(Debug, Parser)]
#[command(
    name = "brainctl",
    version,
    disable_help_subcommand = true,
    arg_required_else_help = true,
    after_help = "brainctl help selectors | exit-codes    more on these topics"
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) globals: Globals,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// When to use colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum When {
    /// On a terminal
    #[default]
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

/// The flags that every command takes.
#[derive(Debug, Clone, Default, Args)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a flag of the command line"
)]
#[command(next_help_heading = "Global options")]
pub(crate) struct Globals {
    /// Where the node is: unix:PATH or http://127.0.0.1:PORT
    #[arg(long, global = true, env = "BRAIN_NODE", value_parser = NodeAddress::parse)]
    pub(crate) node: Option<NodeAddress>,
    /// Print one JSON document
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Print ids only
    #[arg(long, global = true, conflicts_with = "json")]
    pub(crate) ids: bool,
    /// Say only what was asked for
    #[arg(short, long, global = true)]
    pub(crate) quiet: bool,
    /// Answer yes to every question
    #[arg(short, long, global = true)]
    pub(crate) yes: bool,
    /// Use colours
    #[arg(long, global = true, value_enum, default_value_t, value_name = "WHEN")]
    pub(crate) color: When,
    /// Give up waiting after this long, such as 30s or 5m
    #[arg(long, global = true, value_parser = duration::parse, value_name = "DURATION")]
    pub(crate) timeout: Option<Duration>,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Show how the node is
    Status(status::Args),
    /// Show who this node is, and come back from the recovery phrase
    Id(id::Args),
    /// Add, name and retire your devices
    Device(device::Args),
    /// Keep a new memory
    #[command(visible_alias = "note")]
    Add(add::Args),
    /// Show a memory
    Show(show::Args),
    /// Change a memory
    Edit(edit::Args),
    /// List memories
    Ls(ls::Args),
    /// Search in memories
    Search(search::Args),
    /// Show what is near a memory
    Related(related::Args),
    /// Find memories that say nearly the same
    Duplicates(duplicates::Args),
    /// Set tags and take them away
    Tag(tag::Args),
    /// Link a memory to another
    Link(link::Args),
    /// Attach files to a memory and write them out
    Attachment(attachment::Args),
    /// Forget memories; restore brings them back
    Rm(rm::Args),
    /// Bring forgotten memories back
    Restore(restore::Args),
    /// Destroy memories and their keys on this node
    Purge(purge::Args),
    /// Import files and folders
    Import(import::Args),
    /// Meet other persons
    Peer(peer::Args),
    /// Name sets of persons
    Circle(circle::Args),
    /// Share memories with a person
    Share(share::Args),
    /// Withdraw a grant
    Revoke(revoke::Args),
    /// Answer what waits for a yes or a no
    Request(request::Args),
    /// Look through what revoked writers wrote too late
    Tray(tray::Args),
    /// Say what may leave, and release what is held
    Policy(policy::Args),
    /// Show and prove how far peers are
    Sync(sync::Args),
    /// Show what left, to whom and under which grant
    Ledger(ledger::Args),
    /// Look after the read models
    Index(index::Args),
    /// Show the node and wait for it
    Node(node::Args),
    /// Print the completion script of a shell
    Completion(completion::Args),
    /// Explain a command or a topic
    Help(help::Args),
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn command_lines_are_read() {
        let good = [
            "status --json",
            "--json status",
            "id words",
            "id phrase --to words.txt --yes",
            "id recover -",
            "device add --name laptop --expires 10m",
            "device revoke laptop --phrase words.txt --yes",
            "note buy milk -t home -t list",
            "add - --kind doc",
            "add with a file --attach a.pdf --attach b.png",
            "attachment add abc a.pdf b.png --type image/png",
            "attachment get abc a.pdf -o /tmp/a.pdf --force",
            "attachment rm abc a.pdf",
            "edit abc --add-tag a --base h1 --base h2",
            "ls tag:a --limit 3 --ids",
            "search milk tag:a --mode text --explain",
            "tag add tag:a b c --dry-run --expect 2",
            "link a b --as cites",
            "purge tag:a --yes",
            "import markdown /notes --progress json",
            "import /notes --dry-run",
            "peer accept - --alias bob",
            "share tag:a --with bob,mum --for 7d --as write",
            "share preview tag:a --with bob",
            "share ls",
            "revoke bob --reason moved",
            "circle create family mum bob",
            "share tag:a --with circle:family",
            "share extend g --for 7d",
            "share change g --as read --to tag:b",
            "request deny r",
            "revoke bob --purge",
            "share return g",
            "tray ls",
            "tray salvage w",
            "tray drop w --yes",
            "policy edit - --dry-run",
            "policy test tag:a --with bob --rule token",
            "policy rollback 3",
            "policy release abc --rule token",
            "sync prove bob",
            "ledger ls --peer bob",
            "node wait --for ready --timeout 5s",
            "node passphrase set --current-file old.txt --passphrase-file -",
            "node passphrase remove --current-file old.txt --yes",
            "node unlock --passphrase-file words.txt",
            "node key show",
            "node key file /media/stick/brain.key",
            "node key rotate --current-file -",
            "help exit-codes",
        ];
        for line in good {
            let words = std::iter::once("brainctl").chain(line.split(' '));
            Cli::try_parse_from(words).unwrap_or_else(|error| panic!("{line}: {error}"));
        }
    }

    #[test]
    fn wrong_command_lines_are_usage_errors() {
        let bad = [
            "statsu",
            "show",
            "attachment add abc",
            "share tag:a",
            "share tag:a --with bob --for 7",
            "share tag:a --with bob --as admin",
            "purge ",
            "ls --json --ids",
            "status --node nowhere",
            "search x --mode magic",
            "completion tcsh",
            "node passphrase set hunter2",
            "node unlock hunter2",
        ];
        for line in bad {
            let words = std::iter::once("brainctl").chain(line.split(' '));
            let error = Cli::try_parse_from(words).expect_err(line);
            assert_eq!(error.exit_code(), 2, "{line}");
        }
    }
}
