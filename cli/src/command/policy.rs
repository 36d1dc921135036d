//! `policy`: what may leave this node, what is agreed to with peers, and what is held.

mod held;
mod show;

use crate::client::Client;
use crate::command::add::standard_input;
use crate::error::CommandError;
use crate::exit::Exit;
use crate::report::Report;
use crate::select;
use crate::ui::Ui;
use crate::ui::text::memories;
use protocol::api::Page;
use protocol::api::policy::{
    Lint, LintRequest, PolicyChange, PolicyTest, PutPolicy, Rollback, Tested,
};
use std::path::{Path, PathBuf};

/// The arguments.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Show the policy in force
    Show,
    /// Put a policy in force
    Edit {
        /// The file, or - for standard input
        file: PathBuf,
        /// Only tell what would change
        #[arg(long)]
        dry_run: bool,
    },
    /// Check a policy, or the one in force; exit 1 if it does not read
    Lint {
        /// The file, or - for standard input
        file: Option<PathBuf>,
    },
    /// Tell what the policy says of memories; exit 4 if it holds one
    Test {
        /// A selector, an id, or the beginning of one
        #[arg(value_parser = select::parse_selector)]
        selector: String,
        /// Tell also whether this person would receive them
        #[arg(long, value_name = "PERSON")]
        with: Option<String>,
        /// Only what this rule says
        #[arg(long, value_name = "RULE")]
        rule: Option<String>,
        /// Try this policy, which is not put in force
        #[arg(long, value_name = "FILE")]
        file: Option<PathBuf>,
    },
    /// List the versions
    History,
    /// Put an earlier version in force again; 0 is the one that every node begins with
    Rollback {
        /// The version
        number: usize,
        /// Only tell what would change
        #[arg(long)]
        dry_run: bool,
    },
    /// List what does not leave, and why
    Held,
    /// Let a memory out although a rule holds it
    Release {
        /// The memory
        memory: String,
        /// The rule
        #[arg(long, value_name = "RULE")]
        rule: String,
        /// Take the release back
        #[arg(long)]
        undo: bool,
    },
}

/// Does what the verb says.
pub(crate) fn run(client: &Client, ui: &Ui, args: &Args) -> Result<Report, CommandError> {
    match &args.verb {
        Verb::Show => show::policy(client),
        Verb::History => show::history(client),
        Verb::Edit { file, dry_run } => {
            let text = read(file)?;
            let put = |dry_run| -> Result<PolicyChange, CommandError> {
                let text = text.clone();
                client.put_long(&["v1", "policy"], &PutPolicy { text, dry_run })
            };
            change("policy.edit", ui, *dry_run, put)
        }
        Verb::Rollback { number, dry_run } => {
            let number = *number;
            let put = |dry_run| -> Result<PolicyChange, CommandError> {
                client.post(&["v1", "policy:rollback"], &Rollback { number, dry_run })
            };
            change("policy.rollback", ui, *dry_run, put)
        }
        Verb::Lint { file } => {
            let text = file.as_deref().map(read).transpose()?;
            let lint: Lint = client.post(&["v1", "policy:lint"], &LintRequest { text })?;
            Ok(linted(&lint))
        }
        Verb::Test {
            selector,
            with,
            rule,
            file,
        } => {
            let test = PolicyTest {
                selector: select::as_selector(client, selector)?,
                with: with.clone(),
                rule: rule.clone(),
                text: file.as_deref().map(read).transpose()?,
            };
            let page: Page<Tested> = client.post(&["v1", "policy:test"], &test)?;
            show::tested(&page, selector)
        }
        Verb::Held => held::list(client),
        Verb::Release { memory, rule, undo } => held::release(client, ui, memory, rule, *undo),
    }
}

fn read(path: &Path) -> Result<String, CommandError> {
    if path == Path::new("-") {
        return standard_input();
    }
    std::fs::read_to_string(path).map_err(|source| CommandError::File {
        path: path.to_owned(),
        source,
    })
}

/// Looks what a change would do, asks where it lets something out, and does it.
fn change(
    command: &str,
    ui: &Ui,
    dry_run: bool,
    put: impl Fn(bool) -> Result<PolicyChange, CommandError>,
) -> Result<Report, CommandError> {
    let would = put(true)?;
    if dry_run {
        return Ok(changed(command, &would));
    }
    if would.let_out > 0 {
        let many = memories(would.let_out);
        ui.confirm(&format!(
            "This policy lets out {many} that are held now. Put it in force?"
        ))?;
    }
    Ok(changed(command, &put(false)?))
}

fn changed(command: &str, change: &PolicyChange) -> Report {
    let number = change.number;
    let first = if change.in_force {
        format!("✓ Policy version {number} is in force")
    } else {
        format!("Policy version {number} would be in force")
    };
    let text = format!(
        "{first}\n  holds {} ({} more than before, {} fewer)\n{}",
        memories(change.held),
        change.newly_held,
        change.let_out,
        show::remarks(&change.remarks)
    );
    Report::new(command, change).confirmation(text)
}

fn linted(lint: &Lint) -> Report {
    let mut text = show::remarks(&lint.remarks);
    text.push_str(if lint.ok {
        "✓ The policy reads\n"
    } else {
        "✗ The policy does not read; in force, it would hold everything\n"
    });
    let exit = if lint.ok { Exit::Done } else { Exit::Failed };
    Report::new("policy.lint", lint).text(text).ends(exit)
}
