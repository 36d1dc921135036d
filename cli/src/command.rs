//! The commands, one file each: `Args` and `run`, which returns a report.

pub(crate) mod add;
pub(crate) mod attachment;
pub(crate) mod batch;
pub(crate) mod circle;
pub(crate) mod completion;
pub(crate) mod device;
pub(crate) mod duplicates;
pub(crate) mod edit;
pub(crate) mod help;
pub(crate) mod id;
pub(crate) mod import;
pub(crate) mod index;
pub(crate) mod ledger;
pub(crate) mod link;
pub(crate) mod ls;
pub(crate) mod node;
pub(crate) mod peer;
pub(crate) mod policy;
pub(crate) mod purge;
pub(crate) mod receipts;
pub(crate) mod related;
pub(crate) mod request;
pub(crate) mod restore;
pub(crate) mod revoke;
pub(crate) mod rm;
pub(crate) mod search;
pub(crate) mod share;
pub(crate) mod show;
pub(crate) mod status;
pub(crate) mod sync;
pub(crate) mod tag;
pub(crate) mod tray;

use crate::address::NodeAddress;
use crate::args::{Cli, Command};
use crate::client::Client;
use crate::environment::Environment;
use crate::error::CommandError;
use crate::report::Report;
use crate::ui::Ui;
use protocol::trace::TraceContext;

/// Runs a command; its requests are below a step of a trace, if there is one.
pub(crate) fn run(
    ui: &Ui,
    environment: &Environment,
    cli: Cli,
    step: Option<TraceContext>,
) -> Result<Report, CommandError> {
    let address = cli
        .globals
        .node
        .unwrap_or_else(|| NodeAddress::usual(environment));
    let client = Client::new(address, cli.globals.timeout, step)?;
    match cli.command {
        Command::Status(args) => status::run(&client, &args),
        Command::Id(args) => id::run(&client, ui, &args),
        Command::Device(args) => device::run(&client, ui, args),
        Command::Add(args) => add::run(&client, args),
        Command::Show(args) => show::run(&client, &args),
        Command::Edit(args) => edit::run(&client, environment, args),
        Command::Ls(args) => ls::run(&client, &args),
        Command::Search(args) => search::run(&client, args),
        Command::Related(args) => related::run(&client, &args),
        Command::Duplicates(args) => duplicates::run(&client, &args),
        Command::Tag(args) => tag::run(&client, ui, &args),
        Command::Link(args) => link::run(&client, args),
        Command::Attachment(args) => attachment::run(&client, &args),
        Command::Rm(args) => rm::run(&client, ui, &args),
        Command::Restore(args) => restore::run(&client, ui, &args),
        Command::Purge(args) => purge::run(&client, ui, &args),
        Command::Import(args) => import::run(&client, ui, args),
        Command::Peer(args) => peer::run(&client, ui, args),
        Command::Circle(args) => circle::run(&client, ui, args),
        Command::Share(args) => share::run(&client, ui, args),
        Command::Revoke(args) => revoke::run(&client, ui, &args),
        Command::Request(args) => request::run(&client, &args),
        Command::Tray(args) => tray::run(&client, ui, &args),
        Command::Policy(args) => policy::run(&client, ui, &args),
        Command::Sync(args) => sync::run(&client, &args),
        Command::Ledger(args) => ledger::run(&client, &args),
        Command::Index(args) => index::run(&client, &args),
        Command::Node(args) => node::run(&client, ui, &args),
        Command::Completion(args) => completion::run(&args),
        Command::Help(args) => help::run(&args),
    }
}
