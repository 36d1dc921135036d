//! One run of a scenario: brings its nodes up, does its steps, and says how long each took.
//!
//! Not a judge of its own: what a step does or checks stands in the files beside this one, a kind
//! of step each. What is remembered between steps is [`Run`].

mod attacks;
mod canaries;
mod checks;
mod faults;
mod keeping;
mod ledger;
mod proofs;
mod sharing;

use crate::command::Output;
use crate::fault::{Fault, Result, broken};
use crate::network::links::Links;
use crate::network::{Folders, Home, How, Network, Plan};
use crate::say;
use crate::scenario::{Action, Scenario, Step};
use crate::topology;
use crate::wait::{self, Seen};
use attacks::Attack;
use canaries::Canary;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

/// How long a node may take until it answers.
const READY_MAX: Duration = Duration::from_mins(1);
/// How many lines of each log are shown after a step that did not do what it should.
const LOG_LINES: usize = 6;

/// What is remembered between steps.
struct Run<'a> {
    // The first: an attack ends before the network that it needs is taken away.
    attacks: BTreeMap<String, Attack>,
    scenario: &'a Scenario,
    folders: &'a Folders,
    network: Box<dyn Network>,
    links: Links,
    /// The name of this run, from which secret words are made.
    name: String,
    /// Memories by the names that the scenario gives them.
    memories: BTreeMap<String, String>,
    canaries: Vec<Canary>,
    /// How many notes were made up for a tag.
    imported: BTreeMap<String, usize>,
    /// To whom a node belongs.
    persons: BTreeMap<String, String>,
    retired: BTreeSet<String>,
    running: BTreeSet<String>,
    paused: BTreeSet<String>,
    older: BTreeSet<String>,
}

/// Runs a scenario to its end or to the first step that does not do what it should.
pub(crate) fn run(home: &Home, folders: &Folders, scenario: &Scenario, name: String) -> Result<()> {
    let start = Instant::now();
    let plan = Plan {
        scenario,
        name: name.clone(),
        folders,
    };
    let own = |who: &String| (who.clone(), who.clone());
    let mut run = Run {
        attacks: BTreeMap::new(),
        scenario,
        folders,
        network: home.make(&plan)?,
        links: Links::default(),
        name,
        memories: BTreeMap::new(),
        canaries: Vec::new(),
        imported: BTreeMap::new(),
        persons: scenario.nodes.iter().map(own).collect(),
        retired: BTreeSet::new(),
        running: BTreeSet::new(),
        paused: BTreeSet::new(),
        older: scenario.older.iter().cloned().collect(),
    };
    let result = run.up(start).and_then(|()| run.steps());
    if result.is_err() {
        run.show_logs();
    }
    result
}

impl Run<'_> {
    fn up(&mut self, start: Instant) -> Result<()> {
        for who in &self.scenario.nodes {
            self.launch(who, None)?;
        }
        for who in &self.scenario.nodes {
            self.wait_ready(who)?;
        }
        let who = self.scenario.nodes.join(", ");
        say::step('✓', start.elapsed(), &format!("{who} are up"));
        Ok(())
    }

    fn steps(&mut self) -> Result<()> {
        for step in &self.scenario.steps {
            let start = Instant::now();
            let result = self.step(step);
            let mark = if result.is_ok() { '✓' } else { '✗' };
            let words = match step.exit {
                None => step.action.to_string(),
                Some(code) => format!("{} (refused with {code})", step.action),
            };
            say::step(mark, start.elapsed(), &words);
            if let Some(note) = result? {
                say::below(&note);
            }
        }
        self.all_called_off()?;
        self.all_still_run()
    }

    /// Does one step; returns what should be said about it.
    fn step(&mut self, step: &Step) -> Result<Option<String>> {
        let done = self.act(&step.action, step.within);
        match (step.exit, done) {
            (None, done) => done,
            (Some(expected), Err(Fault::Exit { code, .. })) if code == expected => Ok(None),
            (Some(_), Err(other)) => Err(other),
            (Some(expected), Ok(_)) => broken(format!(
                "it was to be refused with {expected}, and was done"
            )),
        }
    }

    fn act(&mut self, action: &Action, within: Duration) -> Result<Option<String>> {
        match action {
            Action::Keep { .. }
            | Action::Import { .. }
            | Action::ImportFolder { .. }
            | Action::Edit { .. }
            | Action::Tag { .. }
            | Action::Forget { .. } => self.keeping(action),
            Action::Pair { .. }
            | Action::Share { .. }
            | Action::Approve { .. }
            | Action::Decline { .. }
            | Action::Revoke { .. }
            | Action::Circle { .. }
            | Action::CircleAdd { .. }
            | Action::CircleRemove { .. }
            | Action::DeviceJoin { .. }
            | Action::DeviceRetire { .. } => self.sharing(action, within),
            Action::Cut { .. }
            | Action::Heal { .. }
            | Action::Slow { .. }
            | Action::Fast { .. }
            | Action::Kill { .. }
            | Action::Stop { .. }
            | Action::Start { .. }
            | Action::Pause { .. }
            | Action::Unpause { .. }
            | Action::FillDisk { .. }
            | Action::FreeDisk { .. }
            | Action::Upgrade { .. } => self.fault(action),
            Action::Attack { .. } | Action::CallOff { .. } => self.attack(action, within),
            Action::Proved {} => self.proved(within),
            Action::Ledger {} => self.ledger(within),
            Action::Canaries {} => self.no_canary_escaped(),
            check => self.check(check, within),
        }
    }

    /// Starts a node with the binaries that it has by now.
    fn launch(&mut self, who: &str, clock: Option<&str>) -> Result<()> {
        if !self.running.insert(who.to_owned()) {
            return broken(format!("{who} runs already"));
        }
        let older = self.older.contains(who);
        self.network.start(who, How { older, clock })?;
        self.links.restore(self.network.as_ref(), who)
    }

    fn wait_ready(&mut self, who: &str) -> Result<()> {
        wait::until(&format!("{who} is ready"), READY_MAX, || {
            if !self.network.runs(who)? {
                return broken(format!("{who} ended at its start"));
            }
            let wait = ["node", "wait", "--for", "ready", "--timeout", "5s"];
            let output = self.network.brainctl(who, &wait, b"")?;
            Ok(Seen::of(output.code == 0, || {
                output.stdout + &output.stderr
            }))
        })
    }

    fn all_still_run(&mut self) -> Result<()> {
        for who in &self.running {
            if !self.network.runs(who)? {
                return broken(format!("{who} ended by itself"));
            }
        }
        Ok(())
    }

    fn show_logs(&self) {
        for who in &self.scenario.nodes {
            let Ok(log) = self.network.log(who) else {
                continue;
            };
            let lines: Vec<&str> = log.lines().collect();
            let last = lines.len().saturating_sub(LOG_LINES);
            for line in lines.into_iter().skip(last) {
                say::below(&format!("{who}: {line}"));
            }
        }
    }

    /// Runs `brainctl` at a node, however it ends.
    fn ask(&self, who: &str, args: &[&str]) -> Result<Output> {
        if !self.answers(who) {
            return broken(format!("{who} does not run"));
        }
        self.network.brainctl(who, args, b"")
    }

    /// Runs `brainctl` at a node, which must succeed.
    fn tell(&self, who: &str, args: &[&str]) -> Result<Output> {
        self.ask(who, args)?.ok()
    }

    /// Runs `brainctl ... --json` at a node, which must succeed, and returns a list of it.
    fn list(&self, who: &str, args: &[&str], field: &str) -> Result<Vec<Value>> {
        // At the front: after `--` there is a selector that may begin with a minus.
        let args: Vec<&str> = ["--json"].iter().chain(args).copied().collect();
        let output = self.tell(who, &args)?;
        match output.json()?.get(field).and_then(Value::as_array) {
            Some(list) => Ok(list.clone()),
            None => Err(Fault::Answer {
                message: format!("no list {field:?}: {}", output.stdout),
                command: output.command,
            }),
        }
    }

    fn memory(&self, name: &str) -> Result<String> {
        let unknown = || Fault::Broken(format!("no step gave a memory the name {name:?}"));
        self.memories.get(name).cloned().ok_or_else(unknown)
    }

    /// Tells whether a node can be asked something.
    fn answers(&self, who: &str) -> bool {
        self.running.contains(who) && !self.paused.contains(who)
    }

    /// Returns the nodes that can be asked.
    fn answering(&self) -> Vec<String> {
        let nodes = self.scenario.nodes.iter();
        nodes.filter(|who| self.answers(who)).cloned().collect()
    }

    /// Returns the nodes that can be asked and are not retired.
    fn active(&self) -> Vec<String> {
        let mut nodes = self.answering();
        nodes.retain(|who| !self.retired.contains(who));
        nodes
    }

    /// Returns to whom a node belongs.
    fn person(&self, who: &str) -> String {
        self.persons.get(who).cloned().unwrap_or_default()
    }

    /// Tells whether a packet can go from one node to the other. On loopback it always can; there
    /// only those count who can meet elsewhere too, so that a scenario means the same everywhere.
    fn reach(&self, one: &str, other: &str) -> bool {
        topology::meet(one, other) && !self.links.are_cut(one, other)
    }
}

/// Returns a text of a document.
fn text<'a>(document: &'a Value, field: &str) -> &'a str {
    document
        .get(field)
        .and_then(Value::as_str)
        .unwrap_or_default()
}
