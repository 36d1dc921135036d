//! The network in containers: `compose.yaml` as it is, and one file with what a scenario adds.
//!
//! Each run is a project of its own, so several can be there at once. Only the containers of the
//! scenario are made. `brainctl` is run in them with `docker exec`; everything else is asked of the
//! engine, so that it works with version 1 and version 2 of compose alike.

mod addition;

use super::undertaker::Undertaker;
use super::{How, Network, Plan, disk};
use crate::command::{self, Output};
use crate::fault::{Fault, Result, broken};
use addition::Addition;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The image of `compose.yaml`.
const IMAGE: &str = "brain-node:testnet";
/// The user of the image.
const UID: &str = "10001";
/// How long the engine waits until it kills a node that was asked to end, in seconds.
const STOP_MAX_S: &str = "10";

/// Which compose is here.
#[derive(Debug, Clone)]
pub(crate) struct Engine(&'static [&'static str]);

impl Engine {
    /// Finds one.
    pub(crate) fn find() -> Option<Self> {
        let kinds: [&[&str]; 2] = [&["docker", "compose"], &["docker-compose"]];
        let answers = |kind: &&&[&str]| command::succeeds(&[kind, &["version"][..]].concat());
        kinds.iter().find(answers).map(|kind| Self(kind))
    }

    /// Returns its command.
    pub(crate) fn words(&self) -> String {
        self.0.join(" ")
    }
}

/// Containers of one project.
#[derive(Debug)]
pub(crate) struct Compose {
    engine: Engine,
    name: String,
    file: String,
    folder: PathBuf,
    addition: Addition,
    containers: BTreeMap<String, String>,
    disks: BTreeMap<String, PathBuf>,
    undertaker: Undertaker,
}

impl Compose {
    /// Prepares a project; its containers are made when they are started.
    pub(crate) fn new(engine: &Engine, plan: &Plan<'_>) -> Result<Self> {
        if !command::succeeds(&["docker", "image", "inspect", IMAGE]) {
            return broken(format!(
                "there is no image {IMAGE}: {} -f testnet/compose.yaml build ana, or testnet/image.sh",
                engine.words()
            ));
        }
        let mut undertaker = Undertaker::new()?;
        let folder = undertaker.folder(&plan.name)?;
        let mut disks = BTreeMap::new();
        for (who, mib) in &plan.scenario.disk_mib {
            let path = folder.join(who);
            disk::make(&path, *mib, UID, &mut undertaker)?;
            disks.insert(who.clone(), path);
        }
        let file = plan.folders.testnet.join("compose.yaml");
        let mut compose = Self {
            engine: engine.clone(),
            name: plan.name.clone(),
            file: file.display().to_string(),
            addition: Addition::new(plan.folders.older.clone(), disks.clone()),
            folder,
            containers: BTreeMap::new(),
            disks,
            undertaker,
        };
        compose.write()?;
        let down = compose.words(&["down", "--volumes", "--timeout", "2"]);
        let down: Vec<&str> = down.iter().map(String::as_str).collect();
        compose.undertaker.will(&down)?;
        Ok(compose)
    }

    fn written(&self) -> PathBuf {
        self.folder.join("scenario.yaml")
    }

    fn write(&self) -> Result<()> {
        let path = self.written();
        std::fs::write(&path, self.addition.yaml()).map_err(|source| Fault::Folder { path, source })
    }

    /// Returns a command of compose for this project.
    fn words(&self, more: &[&str]) -> Vec<String> {
        let written = self.written().display().to_string();
        let own = ["-p", &self.name, "-f", &self.file, "-f", &written];
        let all = self.engine.0.iter().chain(&own).chain(more);
        all.map(|word| (*word).to_owned()).collect()
    }

    fn container(&self, who: &str) -> Result<&str> {
        let found = self.containers.get(who).map(String::as_str);
        found.ok_or_else(|| Fault::Broken(format!("{who} was never started")))
    }

    fn inspect(&self, who: &str, format: &str) -> Result<String> {
        let words = [
            "docker",
            "inspect",
            "--format",
            format,
            self.container(who)?,
        ];
        let output = command::run(&words)?.ok()?;
        Ok(output.stdout.trim().to_owned())
    }

    fn docker(&self, words: &[&str], who: &str) -> Result<()> {
        let container = self.container(who)?;
        let all: Vec<&str> = ["docker"]
            .iter()
            .chain(words)
            .chain([&container])
            .copied()
            .collect();
        command::run(&all)?.ok().map(drop)
    }

    fn find(&self, who: &str) -> Result<String> {
        let project = format!("label=com.docker.compose.project={}", self.name);
        let service = format!("label=com.docker.compose.service={who}");
        let filters = ["--filter", &project, "--filter", &service];
        let words: Vec<&str> = ["docker", "ps", "-aq"].into_iter().chain(filters).collect();
        command::run(&words)?.ok()?.word()
    }
}

impl Network for Compose {
    fn start(&mut self, who: &str, how: How<'_>) -> Result<()> {
        let is_new = [
            self.addition.set_older(who, how.older),
            self.addition.set_clock(who, how.clock),
        ];
        if is_new.contains(&true) {
            self.write()?;
        } else if self.containers.contains_key(who) {
            return self.docker(&["start"], who);
        }
        let up = self.words(&["up", "-d", "--no-build", "--no-deps", who]);
        command::run(&up)?.ok()?;
        let container = self.find(who)?;
        self.containers.insert(who.to_owned(), container);
        Ok(())
    }

    fn stop(&mut self, who: &str) -> Result<()> {
        self.docker(&["stop", "-t", STOP_MAX_S], who)?;
        match self.inspect(who, "{{.State.ExitCode}}")?.as_str() {
            "0" => Ok(()),
            code => broken(format!("{who} was asked to end and ended with {code}")),
        }
    }

    fn kill(&mut self, who: &str) -> Result<()> {
        self.docker(&["kill"], who)
    }

    fn pause(&mut self, who: &str) -> Result<()> {
        self.docker(&["pause"], who)
    }

    fn unpause(&mut self, who: &str) -> Result<()> {
        self.docker(&["unpause"], who)
    }

    fn runs(&mut self, who: &str) -> Result<bool> {
        Ok(self.inspect(who, "{{.State.Running}}")? == "true")
    }

    fn brainctl(&self, who: &str, args: &[&str], stdin: &[u8]) -> Result<Output> {
        let container = self.container(who)?;
        let mut command = Command::new("docker");
        command
            .args(["exec", "-i", container, "brainctl"])
            .args(args);
        command::run_with(&mut command, stdin)
    }

    /// The root of a container cannot be written, and `docker cp` does not reach its `/tmp`: a
    /// `tar` on each side does.
    fn hand_over(&self, who: &str, folder: &Path) -> Result<String> {
        let name = folder.file_name().unwrap_or_default().to_string_lossy();
        let parent = folder.parent().unwrap_or(folder).display().to_string();
        let container = self.container(who)?;
        let script = "tar -cf - -C \"$1\" \"$2\" | docker exec -i \"$3\" tar -xf - -C /tmp";
        command::run(&["sh", "-c", script, "sh", &parent, &name, container])?.ok()?;
        Ok(format!("/tmp/{name}"))
    }

    fn folder(&self) -> &Path {
        &self.folder
    }

    fn log(&self, who: &str) -> Result<String> {
        let output = command::run(&["docker", "logs", self.container(who)?])?.ok()?;
        Ok(output.stdout + &output.stderr)
    }

    fn data(&self, who: &str) -> Result<Command> {
        let from = format!("{}:/data", self.container(who)?);
        Ok(command::of(&["docker", "cp", &from, "-"]))
    }

    fn namespace(&self, who: &str) -> Result<Option<PathBuf>> {
        if !self.containers.contains_key(who) {
            return Ok(None);
        }
        let pid = self.inspect(who, "{{.State.Pid}}")?;
        Ok((pid != "0").then(|| PathBuf::from(format!("/proc/{pid}/ns/net"))))
    }

    fn addresses(&self, who: &str) -> Result<Vec<String>> {
        if !self.containers.contains_key(who) {
            return Ok(Vec::new());
        }
        let format = "{{range .NetworkSettings.Networks}}{{.IPAddress}} {{end}}";
        let addresses = self.inspect(who, format)?;
        Ok(addresses.split_whitespace().map(str::to_owned).collect())
    }

    fn disk(&self, who: &str) -> Option<PathBuf> {
        self.disks.get(who).cloned()
    }
}
