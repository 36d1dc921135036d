//! Reads the executed parts of a Markdown document: fenced blocks of the language `console`.
//!
//! ````text
//! <!-- no node: eve -->            eve has a folder, but no process is started for her
//! <!-- if: test "$(id -u)" != 0 -->   the next block runs only where this shell test holds
//! ```console
//! ana$ brainctl add "hello"        a command of ana's (a bare `$ ` is `me`); `\` continues it
//! kept [..]                        what it says: [..] within a line, `...` any lines
//! ? 2                              its exit code, if not 0
//! ```
//! ````
//!
//! Invariant: a step's `output` names exactly the lines that [`Document::rewritten`] replaces.

use std::collections::BTreeSet;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// A document with its steps.
#[derive(Debug)]
pub struct Document {
    /// Where it lies.
    pub path: PathBuf,
    /// The commands, in order.
    pub steps: Vec<Step>,
    /// Persons for whom no process is started.
    pub without_node: BTreeSet<String>,
    lines: Vec<String>,
}

/// One command and what is expected of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// The line of the command, from 1.
    pub line: usize,
    /// Whose command it is.
    pub person: String,
    /// The shell command.
    pub command: String,
    /// The expected output, a pattern.
    pub expected: String,
    /// The expected exit code.
    pub code: i32,
    /// The shell test under which it runs.
    pub condition: Option<String>,
    output: Range<usize>,
}

impl Document {
    /// Reads a document from a file.
    pub fn read(path: &Path) -> Self {
        let text = std::fs::read_to_string(path);
        Self::parse(
            path,
            &text.unwrap_or_else(|error| panic!("{}: {error}", path.display())),
        )
    }

    fn parse(path: &Path, text: &str) -> Self {
        let mut document = Self {
            path: path.to_owned(),
            steps: Vec::new(),
            without_node: BTreeSet::new(),
            lines: text.lines().map(str::to_owned).collect(),
        };
        let mut condition = None;
        let mut at = 0;
        while let Some(line) = document.lines.get(at).cloned() {
            at += 1;
            if let Some(names) = directive(&line, "no node:") {
                document
                    .without_node
                    .extend(names.split(',').map(|name| name.trim().to_owned()));
            } else if let Some(test) = directive(&line, "if:") {
                condition = Some(test.to_owned());
            } else if line.starts_with("```") {
                let is_console = line.trim_end() == "```console";
                let end = document.end_of_block(at);
                if is_console {
                    document.read_block(at..end, condition.take().as_ref());
                }
                at = end + 1;
            }
        }
        document
    }

    fn end_of_block(&self, start: usize) -> usize {
        let rest = self.lines.iter().skip(start);
        let length = rest.take_while(|line| line.trim_end() != "```").count();
        assert!(
            start + length < self.lines.len(),
            "{}:{start}: this block is never closed",
            self.path.display()
        );
        start + length
    }

    fn read_block(&mut self, block: Range<usize>, condition: Option<&String>) {
        let mut at = block.start;
        while at < block.end {
            let Some((person, first)) = self.lines.get(at).and_then(|line| prompt(line)) else {
                panic!(
                    "{}:{}: output without a command",
                    self.path.display(),
                    at + 1
                );
            };
            let line = at + 1;
            let (person, mut command) = (person.to_owned(), first.to_owned());
            at += 1;
            while command.ends_with('\\') && at < block.end {
                command.push('\n');
                command.push_str(self.lines.get(at).map_or("", String::as_str));
                at += 1;
            }
            let start = at;
            while at < block.end
                && self
                    .lines
                    .get(at)
                    .is_some_and(|line| prompt(line).is_none())
            {
                at += 1;
            }
            let (expected, code) = expectation(self.lines.get(start..at).unwrap_or_default());
            self.steps.push(Step {
                line,
                person,
                command,
                expected,
                code,
                condition: condition.cloned(),
                output: start..at,
            });
        }
    }

    /// Returns the text with other output and codes at some steps, given by their place.
    pub fn rewritten(&self, changes: &[(usize, String, i32)]) -> String {
        let mut lines = self.lines.clone();
        for (step, output, code) in changes.iter().rev() {
            let Some(step) = self.steps.get(*step) else {
                continue;
            };
            let mut new: Vec<String> = output.lines().map(str::to_owned).collect();
            if *code != 0 {
                new.push(format!("? {code}"));
            }
            lines.splice(step.output.clone(), new);
        }
        lines.join("\n") + "\n"
    }
}

fn directive<'a>(line: &'a str, name: &str) -> Option<&'a str> {
    let inner = line.trim().strip_prefix("<!--")?.strip_suffix("-->")?;
    Some(inner.trim().strip_prefix(name)?.trim())
}

/// Splits a line into person and command if it begins with a prompt.
fn prompt(line: &str) -> Option<(&str, &str)> {
    let (person, command) = line.split_once("$ ")?;
    let is_name = person
        .chars()
        .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
    is_name.then_some((if person.is_empty() { "me" } else { person }, command))
}

fn expectation(lines: &[String]) -> (String, i32) {
    let code_of = |line: &String| line.strip_prefix("? ")?.trim().parse::<i32>().ok();
    let code = lines.iter().find_map(code_of).unwrap_or_default();
    let said: Vec<&str> = lines
        .iter()
        .filter(|line| code_of(line).is_none())
        .map(String::as_str)
        .collect();
    (said.join("\n").trim_end().to_owned(), code)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# T\n<!-- no node: eve, zoe -->\n<!-- if: true -->\n```console\n\
        $ a \\\n  b\nsaid [..]\nana$ c\n? 2\n```\n```sh\n$ not run\n```\n```console\nbob1$ d\n```\n";

    #[test]
    fn steps_know_their_person_pattern_code_and_condition() {
        let document = Document::parse(Path::new("t.md"), TEXT);
        let seen: Vec<_> = document
            .steps
            .iter()
            .map(|step| {
                (
                    step.line,
                    step.person.as_str(),
                    step.expected.as_str(),
                    step.code,
                )
            })
            .collect();
        let expected = [
            (5, "me", "said [..]", 0),
            (8, "ana", "", 2),
            (15, "bob1", "", 0),
        ];
        assert_eq!(seen, expected);
        assert_eq!(document.steps[0].command, "a \\\n  b");
        assert_eq!(document.steps[1].condition.as_deref(), Some("true"));
        assert_eq!(document.steps[2].condition, None);
        assert!(document.without_node.contains("eve") && document.without_node.contains("zoe"));
    }

    #[test]
    fn only_the_output_of_changed_steps_is_rewritten() {
        let document = Document::parse(Path::new("t.md"), TEXT);
        assert_eq!(document.rewritten(&[]), TEXT);
        let changes = [(0, "new".to_owned(), 1), (2, "more\nlines".to_owned(), 0)];
        let expected = TEXT
            .replace("said [..]\n", "new\n? 1\n")
            .replace("bob1$ d\n", "bob1$ d\nmore\nlines\n");
        assert_eq!(document.rewritten(&changes), expected);
    }

    #[test]
    #[should_panic(expected = "never closed")]
    fn an_open_block_is_refused() {
        Document::parse(Path::new("t.md"), "```console\n$ a\n");
    }

    #[test]
    #[should_panic(expected = "output without a command")]
    fn output_without_a_command_is_refused() {
        Document::parse(Path::new("t.md"), "```console\nhello\n```\n");
    }
}
