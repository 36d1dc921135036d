//! `completion`: the script that lets a shell complete command lines.

use crate::args::Cli;
use crate::error::CommandError;
use crate::report::Report;
use clap::CommandFactory as _;
use clap_complete::Shell;
use serde_json::json;

/// The arguments.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The shell
    shell: Shell,
}

/// Writes the script.
pub(crate) fn run(args: &Args) -> Result<Report, CommandError> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "brainctl", &mut script);
    let script = String::from_utf8(script).map_err(|error| CommandError::Unreadable {
        reason: error.to_string(),
    })?;
    let fields = json!({"shell": args.shell.to_string(), "script": script});
    Ok(Report::new("completion", &fields).exact(script))
}
