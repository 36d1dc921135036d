//! `help`: a command's own help, or one of the topics.

use crate::args::Cli;
use crate::error::CommandError;
use crate::exit::MEANINGS;
use crate::report::Report;
use clap::CommandFactory as _;
use serde_json::json;

const SELECTORS: &str = "\
A selector names memories; the same grammar holds in every command and grant.

  id:abcdef         the id begins with this
  tag:recipes       it has this tag, or one below it (recipes/bread)
  space:family      it lies in this drawer
  kind:bookmark     note, document, bookmark, task, conversation, observation
  from:bob          it came from there: me, a name, or a source
  status:forgotten  active or forgotten
  updated:>2026-11-01   also created:, and >=DATE <DATE <=DATE DATE
  shared-with:bob   it is in what this person may fetch
  milk \"sour dough\"   title or text contain it

Side by side means AND; OR, parentheses and a leading - (not) work as expected:
  tag:recipes (bread OR soup) -tag:private

A selector that begins with - stands after --:  brainctl ls -- -tag:private
Where one memory is enough, its id or a unique beginning of it will do.
Grants take tag:, space: and id: only: labels that a person has set.
";

/// The arguments.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// A command, or one of: selectors, exit-codes
    topic: Vec<String>,
}

/// Returns the help.
pub(crate) fn run(args: &Args) -> Result<Report, CommandError> {
    let topic = args.topic.join(" ");
    let text = match topic.as_str() {
        "selectors" => SELECTORS.to_owned(),
        "exit-codes" => {
            let line = |(number, meaning): &(u8, &str)| format!("{number:>4}  {meaning}\n");
            MEANINGS.iter().map(line).collect()
        }
        _ => command_help(&args.topic)?,
    };
    Ok(Report::new("help", &json!({"topic": topic, "text": text})).text(text))
}

fn command_help(path: &[String]) -> Result<String, CommandError> {
    let mut command = Cli::command();
    command.build();
    for name in path {
        let next = command.find_subcommand(name).cloned();
        command = next.ok_or_else(|| {
            let what = format!("There is no help on {name:?}");
            CommandError::usage(what, "brainctl help; topics: selectors, exit-codes")
        })?;
    }
    Ok(command.render_long_help().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_and_commands_have_help() {
        let check = |topic: &[&str], part: &str| {
            let args = Args {
                topic: topic.iter().map(|word| (*word).to_owned()).collect(),
            };
            let report = run(&args).unwrap();
            assert!(
                report.as_text().contains(part),
                "{topic:?}\n{}",
                report.as_text()
            );
        };
        check(&["selectors"], "tag:recipes");
        check(&["exit-codes"], "  75  temporary");
        check(&["share", "preview"], "--with");
        check(&[], "revoke");
        let error = run(&Args {
            topic: vec!["nonsense".into()],
        })
        .unwrap_err();
        assert_eq!(error.exit().number(), 2);
    }
}
