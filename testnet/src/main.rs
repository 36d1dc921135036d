//! `brain-testnet`: runs scenarios over the test network, in containers or as plain processes.
//!
//! ```text
//! scenarios/*.toml -> scenario::Scenario -> run::Run --> network::Network (compose | processes)
//!                                              |-------> network::links   (cut, slow)
//!                                              '-------> brainctl ... --json, as a person has it
//! ```
//!
//! It knows nothing of what is inside a node and depends on none of its crates: what it checks is
//! what `brainctl` says, what a log says, and the bytes of a data folder.
//!
//! Invariant: the last line is `N passed, N failed`, and the exit code is 0 only if none failed.
//! A scenario that cannot be run here is skipped with the reason, unless it was asked for by name:
//! then that is a failure.

mod command;
mod fault;
mod network;
mod notes;
mod run;
mod say;
mod scenario;
mod topology;
mod wait;

use clap::Parser;
use fault::{Fault, Result, broken};
use network::{Folders, Home, On};
use scenario::Scenario;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

/// Run scenarios over the test network
#[derive(Debug, Parser)]
#[command(name = "brain-testnet", version)]
struct Args {
    /// Which scenarios: names, or files; all if none is given
    scenarios: Vec<String>,
    /// Where the nodes live
    #[arg(long, value_enum, default_value_t = On::Auto)]
    on: On,
    /// List the scenarios, and run none
    #[arg(long)]
    list: bool,
    /// Take the other programs from this folder [default: the folder of this program]
    #[arg(long, value_name = "DIR", env = "BRAIN_TEST_BIN_DIR")]
    bin: Option<PathBuf>,
    /// Older binaries, for scenarios that upgrade
    #[arg(long, value_name = "DIR")]
    older: Option<PathBuf>,
    /// The folder with compose.yaml and scenarios/
    #[arg(long, value_name = "DIR", default_value = env!("CARGO_MANIFEST_DIR"))]
    testnet: PathBuf,
}

/// What became of one scenario.
#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    Passed,
    Failed,
    Skipped,
}

fn main() -> ExitCode {
    match all(Args::parse()) {
        Ok(code) => code,
        Err(fault) => {
            say::line(&format!("✗ {fault}"));
            ExitCode::FAILURE
        }
    }
}

fn all(args: Args) -> Result<ExitCode> {
    let files = files(&args)?;
    let scenarios = files.iter().map(|file| Scenario::read(file));
    let scenarios = scenarios.collect::<Result<Vec<_>>>()?;
    if args.list {
        for scenario in &scenarios {
            say::line(&format!("{:<24} {}", scenario.name, scenario.title));
            say::line(&format!("{:<24} {}", "", scenario.why));
        }
        return Ok(ExitCode::SUCCESS);
    }
    let home = Home::find(args.on)?;
    say::line(&format!("The nodes run {}", home.words()));
    let is_named = !args.scenarios.is_empty();
    let folders = folders(args)?;
    let mut outcomes = Vec::with_capacity(scenarios.len());
    for (number, scenario) in scenarios.iter().enumerate() {
        outcomes.push(one(&home, &folders, scenario, number, is_named));
    }
    let count = |of: &Outcome| outcomes.iter().filter(|outcome| *outcome == of).count();
    let (passed, failed) = (count(&Outcome::Passed), count(&Outcome::Failed));
    say::line("");
    match count(&Outcome::Skipped) {
        0 => {}
        skipped => say::line(&format!("{skipped} skipped (see above for the reasons)")),
    }
    say::line(&format!("{passed} passed, {failed} failed"));
    Ok(if failed == 0 && passed > 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Runs one scenario, or says why it cannot be run here.
fn one(
    home: &Home,
    folders: &Folders,
    scenario: &Scenario,
    number: usize,
    is_named: bool,
) -> Outcome {
    say::line(&format!("\n{}: {}", scenario.name, scenario.title));
    let needs = scenario.needs().into_iter();
    let mut lacks = needs.filter_map(|need| home.lacks(need, folders));
    if let Some(reason) = lacks.next() {
        say::line(&format!("- {} is skipped: {reason}", scenario.name));
        return if is_named {
            Outcome::Failed
        } else {
            Outcome::Skipped
        };
    }
    let start = Instant::now();
    let name = format!("brain-testnet-{}-{number}", std::process::id());
    let result = run::run(home, folders, scenario, name);
    let took = start.elapsed().as_secs_f64();
    match result {
        Ok(()) => {
            say::line(&format!("✓ {} passed in {took:.1} s", scenario.name));
            Outcome::Passed
        }
        Err(fault) => {
            say::below(&fault.to_string());
            say::line(&format!("✗ {} failed after {took:.1} s", scenario.name));
            say::below(&format!("The promise: {}", scenario.why));
            Outcome::Failed
        }
    }
}

/// Returns the files of the scenarios that were asked for.
fn files(args: &Args) -> Result<Vec<PathBuf>> {
    let folder = args.testnet.join("scenarios");
    let known = listed(&folder)?;
    if args.scenarios.is_empty() {
        return Ok(known);
    }
    let find = |name: &String| {
        let path = Path::new(name);
        if path.extension().is_some_and(|end| end == "toml") {
            return Ok(path.to_owned());
        }
        let file = folder.join(format!("{name}.toml"));
        if known.contains(&file) {
            return Ok(file);
        }
        let names = known.iter().filter_map(|file| file.file_stem());
        let names: Vec<_> = names.map(|name| name.to_string_lossy()).collect();
        broken(format!(
            "there is no scenario {name:?}, but {}",
            names.join(", ")
        ))
    };
    args.scenarios.iter().map(find).collect()
}

fn listed(folder: &Path) -> Result<Vec<PathBuf>> {
    let fault = |source| Fault::Folder {
        path: folder.to_owned(),
        source,
    };
    let entries = std::fs::read_dir(folder).map_err(fault)?;
    let paths = entries.map(|entry| entry.map(|entry| entry.path()));
    let mut paths = paths.collect::<std::io::Result<Vec<_>>>().map_err(fault)?;
    paths.retain(|path| path.extension().is_some_and(|end| end == "toml"));
    paths.sort();
    Ok(paths)
}

fn folders(args: Args) -> Result<Folders> {
    let absolute =
        |path: PathBuf| std::path::absolute(&path).map_err(|source| Fault::Folder { path, source });
    let own = std::env::current_exe().map_err(|source| Fault::Folder {
        path: PathBuf::new(),
        source,
    })?;
    let own = own.parent().map(Path::to_owned).unwrap_or_default();
    Ok(Folders {
        testnet: absolute(args.testnet)?,
        binaries: absolute(args.bin.unwrap_or(own))?,
        older: args.older.map(absolute).transpose()?,
    })
}
