//! A scenario: who is there, what they do, what is done to them, and what must hold.
//!
//! One TOML file each. [`Scenario::read`] checks all of it before anything starts: unknown keys,
//! nodes that there are not, and what a step refers to are errors that name the file and the step.

mod step;
mod words;

pub(crate) use step::{Access, Action, Step};

use crate::fault::{Fault, Result};
use crate::topology;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::Path;

/// A scenario that was read.
#[derive(Debug)]
pub(crate) struct Scenario {
    /// The name of its file, without its ending.
    pub(crate) name: String,
    /// What it is about.
    pub(crate) title: String,
    /// The promise that it checks.
    pub(crate) why: String,
    /// The nodes that take part.
    pub(crate) nodes: Vec<String>,
    /// Nodes that begin with older binaries.
    pub(crate) older: Vec<String>,
    /// Nodes whose disk is small, and how many MiB it has.
    pub(crate) disk_mib: BTreeMap<String, u64>,
    /// What happens, in this order.
    pub(crate) steps: Vec<Step>,
}

/// What a home must be able to do for a scenario to be run there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Need {
    /// Cut and slow links.
    Links,
    /// Give a node a disk of its own.
    Disks,
    /// Give a node a clock of its own.
    Clocks,
    /// Start a node with older binaries.
    Older,
    /// Attack a node.
    Hostile,
}

/// The file as it is written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    title: String,
    why: String,
    nodes: Vec<String>,
    #[serde(default)]
    older: Vec<String>,
    #[serde(default)]
    disk_mib: BTreeMap<String, u64>,
    step: Vec<toml::Table>,
}

impl Scenario {
    /// Reads a file.
    pub(crate) fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).map_err(|source| Fault::Folder {
            path: path.to_owned(),
            source,
        })?;
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        Self::parse(&name, &text).map_err(|message| Fault::File {
            file: path.display().to_string(),
            message,
        })
    }

    fn parse(name: &str, text: &str) -> Result<Self, String> {
        let written: Written = toml::from_str(text).map_err(|error| error.to_string())?;
        let Written { nodes, step, .. } = &written;
        for node in nodes {
            if topology::find(node).is_none() {
                let names = topology::names();
                return Err(format!("nodes: there is no {node:?}, but {names}"));
            }
        }
        for node in written.older.iter().chain(written.disk_mib.keys()) {
            takes_part(nodes, node)?;
        }
        let mut steps = Vec::with_capacity(step.len());
        for (place, table) in step.iter().enumerate() {
            let number = place + 1;
            let kind = table.get("do").and_then(toml::Value::as_str);
            let kind = kind.unwrap_or("nothing");
            let at = |message| format!("step {number} ({kind}): {message}");
            let read = Step::of(table.clone()).map_err(at)?;
            for node in read.action.nodes() {
                takes_part(nodes, node).map_err(at)?;
            }
            steps.push(read);
        }
        Ok(Self {
            name: name.to_owned(),
            title: written.title,
            why: written.why,
            nodes: written.nodes,
            older: written.older,
            disk_mib: written.disk_mib,
            steps,
        })
    }

    /// Returns what a home must be able to do.
    pub(crate) fn needs(&self) -> Vec<Need> {
        let mut needs: Vec<Need> = self.steps.iter().filter_map(|s| s.action.need()).collect();
        needs.extend((!self.older.is_empty()).then_some(Need::Older));
        needs.extend((!self.disk_mib.is_empty()).then_some(Need::Disks));
        needs.sort_unstable();
        needs.dedup();
        needs
    }
}

fn takes_part(nodes: &[String], node: &str) -> Result<(), String> {
    if nodes.iter().any(|one| one == node) {
        return Ok(());
    }
    Err(format!(
        "{node:?} does not take part: nodes = {}",
        nodes.join(", ")
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "title = 't'\nwhy = 'w'\nnodes = ['ana', 'bob']\n";

    fn check(step: &str, expected: &str) {
        let file = format!("{HEAD}[[step]]\ndo = 'kill'\nwho = 'ana'\n[[step]]\n{step}");
        let message = match Scenario::parse("x", &file) {
            Ok(_) => String::new(),
            Err(message) => message,
        };
        assert!(message.contains(expected), "{step}: {message}");
    }

    #[test]
    fn what_is_wrong_is_named_with_its_step() {
        check(
            "do = 'kill'\nwhom = 'ana'",
            "step 2 (kill): unknown field `whom`",
        );
        check(
            "do = 'kill'\nwho = 'eve'",
            "step 2 (kill): \"eve\" does not take part",
        );
        check("do = 'dance'", "step 2 (dance): unknown variant `dance`");
        check("who = 'ana'", "step 2 (nothing): missing field `do`");
        check("do = 'cut'\nbetween = ['ana']", "step 2 (cut): ");
        check("do = 'kill'\nwho = 'bob'\nwithin_s = 'x'", "within_s");
    }

    #[test]
    fn the_head_is_checked_too() {
        let nobody = HEAD.replace("'bob'", "'zoe'") + "[[step]]\ndo = 'proved'";
        let message = Scenario::parse("x", &nobody).unwrap_err();
        assert!(
            message.contains("there is no \"zoe\", but ana"),
            "{message}"
        );
        let unknown = format!("colour = 1\n{HEAD}[[step]]\ndo = 'proved'");
        let message = Scenario::parse("x", &unknown).unwrap_err();
        assert!(message.contains("colour"), "{message}");
    }

    #[test]
    fn needs_follow_from_the_steps() {
        let file = format!("{HEAD}[[step]]\ndo = 'cut'\nbetween = ['ana', 'bob']");
        let scenario = Scenario::parse("x", &file).unwrap();
        assert_eq!(scenario.needs(), [Need::Links]);
    }

    #[test]
    fn every_file_in_the_folder_reads() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/scenarios");
        let mut count = 0;
        for entry in std::fs::read_dir(folder).unwrap() {
            Scenario::read(&entry.unwrap().path()).unwrap();
            count += 1;
        }
        assert!(count >= 6, "{count} scenarios");
    }
}
