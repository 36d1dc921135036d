//! `brainctl`, the command line of Second Brain.
//!
//! It holds no memories and opens no store: every command is one or a few requests to the node
//! over its Unix socket. The flow: [`args`] reads the command line, a file of [`command`] asks
//! the node through [`client::Client`] and returns a [`report::Report`], [`ui::Ui`] shows it.
//!
//! Invariant: standard output gets the report and nothing else.

mod address;
mod args;
mod client;
mod command;
mod duration;
mod environment;
mod error;
mod exit;
mod report;
mod select;
mod shell;
mod trace;
mod ui;

use args::Cli;
use clap::{ArgMatches, CommandFactory as _, FromArgMatches as _};
use environment::Environment;
use error::{CommandError, Explained};
use std::ffi::OsString;
use std::process::ExitCode;
use trace::Trace;
use ui::Ui;

fn main() -> ExitCode {
    let environment = Environment::read();
    let arguments: Vec<OsString> = std::env::args_os().collect();
    let matches = Cli::command().try_get_matches_from(&arguments);
    let read = matches.and_then(|matches| Ok((Cli::from_arg_matches(&matches)?, named(&matches))));
    match read {
        Ok((cli, command)) => run(cli, &command, &environment, &arguments),
        Err(error) => refuse(&error, &environment, &arguments),
    }
}

/// Returns the words of the command, as they are defined and without what it is about.
fn named(matches: &ArgMatches) -> String {
    let mut words = Vec::new();
    let mut at = matches;
    while let Some((word, below)) = at.subcommand() {
        words.push(word);
        at = below;
    }
    words.join(" ")
}

fn run(cli: Cli, command: &str, environment: &Environment, arguments: &[OsString]) -> ExitCode {
    let words: Vec<_> = arguments
        .iter()
        .skip(1)
        .map(|word| word.to_string_lossy())
        .collect();
    let again = shell::again_with_yes(words.iter().map(AsRef::as_ref));
    let ui = Ui::new(&cli.globals, environment, again);
    let trace = Trace::begin(&environment.tracing, command).unwrap_or_else(|reason| {
        untraced(&ui, &reason);
        Trace::silent(&environment.tracing)
    });
    let result = command::run(&ui, environment, cli, trace.step())
        .and_then(|report| ui.show(&report).map(|()| report.exit()));
    let exit = match result {
        Ok(exit) => exit.number(),
        Err(error) => {
            ui.fail(&error.explain());
            error.exit().number()
        }
    };
    if let Some(reason) = trace.end(exit) {
        untraced(&ui, &reason);
    }
    ExitCode::from(exit)
}

/// Says that the collector got nothing: the command itself does not depend on it.
fn untraced(ui: &Ui, reason: &str) {
    ui.note(&format!(
        "No trace was sent to OTEL_EXPORTER_OTLP_ENDPOINT: {reason}\n"
    ));
}

/// Shows help, or why the command line does not read.
fn refuse(error: &clap::Error, environment: &Environment, arguments: &[OsString]) -> ExitCode {
    let wants_json = arguments.iter().any(|word| word == "--json");
    if error.use_stderr() && wants_json {
        let globals = args::Globals {
            json: true,
            ..args::Globals::default()
        };
        let text = error.to_string();
        let what = text
            .lines()
            .next()
            .unwrap_or_default()
            .trim_start_matches("error: ")
            .to_owned();
        let explained: Explained = CommandError::usage(what, "brainctl help").explain();
        Ui::new(&globals, environment, String::new()).fail(&explained);
    } else if error.print().is_err() {
        // The reader of the help went away; that is its right.
        return ExitCode::SUCCESS;
    }
    u8::try_from(error.exit_code()).map_or(ExitCode::FAILURE, ExitCode::from)
}
