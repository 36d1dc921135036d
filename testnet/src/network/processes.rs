//! The network as plain processes: each node one `brain-node` on a folder of its own.
//!
//! Where it is allowed, each is in a network namespace of its own with the networks of
//! `compose.yaml` ([`namespaces`]), hears on the same port as in a container, and links can be cut
//! and slowed in the same way. Elsewhere all are on loopback, on ports that the system picks.
//!
//! Invariant: a process ends with the runner, however that ends (`setpriv --pdeathsig`).

pub(crate) mod namespaces;

use super::undertaker::Undertaker;
use super::{How, Network, Plan, clock, disk};
use crate::command::{self, Output};
use crate::fault::{Fault, Result, broken};
use namespaces::Namespaces;
use std::collections::BTreeMap;
use std::fs::{DirBuilder, File};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// How long an orderly end may take: the contract says five seconds.
const STOP_MAX: Duration = Duration::from_secs(5);
/// Where a node hears its peers, in a network of its own.
const LISTEN: &str = "/ip4/0.0.0.0/udp/4001/quic-v1,/ip4/0.0.0.0/tcp/4001";
/// The same on loopback, where a port can have one owner only.
const LISTEN_LOOPBACK: &str = "/ip4/127.0.0.1/udp/0/quic-v1";

/// Processes of one scenario.
#[derive(Debug)]
pub(crate) struct Processes {
    children: BTreeMap<String, Child>,
    namespaces: Option<Namespaces>,
    binaries: PathBuf,
    older: Option<PathBuf>,
    is_older: BTreeMap<String, bool>,
    small: Vec<String>,
    folder: PathBuf,
    // The last: processes end before what they use is taken away.
    _undertaker: Undertaker,
}

impl Processes {
    /// Prepares folders, disks and namespaces.
    pub(crate) fn new(plan: &Plan<'_>, in_namespaces: bool) -> Result<Self> {
        let binaries = plan.folders.binaries.clone();
        for program in ["brain-node", "brainctl"] {
            if !binaries.join(program).exists() {
                return broken(format!(
                    "{program} is not in {}: cargo build -p brain-node -p brainctl, or --bin DIR",
                    binaries.display()
                ));
            }
        }
        let mut undertaker = Undertaker::new()?;
        let folder = undertaker.folder(&plan.name)?;
        for (who, mib) in &plan.scenario.disk_mib {
            disk::make(&folder.join(who), *mib, "0", &mut undertaker)?;
        }
        let namespaces = if in_namespaces {
            Some(Namespaces::new(plan, &mut undertaker)?)
        } else {
            None
        };
        Ok(Self {
            children: BTreeMap::new(),
            namespaces,
            binaries,
            older: plan.folders.older.clone(),
            is_older: BTreeMap::new(),
            small: plan.scenario.disk_mib.keys().cloned().collect(),
            folder,
            _undertaker: undertaker,
        })
    }

    /// The folder of a node, and its disk if it is small.
    fn place(&self, who: &str) -> PathBuf {
        self.folder.join(who)
    }

    fn home(&self, who: &str) -> PathBuf {
        self.place(who).join("home")
    }

    fn log_path(&self, who: &str) -> PathBuf {
        self.folder.join(format!("{who}.log"))
    }

    fn program(&self, who: &str, name: &str) -> PathBuf {
        let is_older = self.is_older.get(who).copied().unwrap_or_default();
        let folder = self.older.as_ref().filter(|_| is_older);
        folder.unwrap_or(&self.binaries).join(name)
    }

    /// Gives a command the environment of a node and nothing of the developer's own node.
    fn furnish(&self, command: &mut Command, who: &str) {
        let is_foreign = |name: &str| {
            let foreign = [
                "STATE_",
                "RUNTIME_",
                "CONFIGURATION_",
                "CACHE_",
                "CREDENTIALS_",
            ];
            let is_folder = foreign
                .iter()
                .any(|start| name == format!("{start}DIRECTORY"));
            let is_traced = name.starts_with("OTEL_") || name == "TRACEPARENT";
            name.starts_with("BRAIN_") || is_folder || is_traced || name == "NOTIFY_SOCKET"
        };
        for (name, _) in std::env::vars_os() {
            if is_foreign(&name.to_string_lossy()) {
                command.env_remove(name);
            }
        }
        let listen = self.namespaces.as_ref().map_or(LISTEN_LOOPBACK, |_| LISTEN);
        command
            .env("BRAIN_HOME", self.home(who))
            .env("BRAIN_API__LISTEN", "")
            .env("BRAIN_NETWORK__LISTEN", listen)
            .env("BRAIN_NODE__ALIAS", who)
            .env("LC_ALL", "C.UTF-8")
            .env("TZ", "UTC")
            .env("NO_COLOR", "1");
    }

    fn signal(&self, who: &str, name: &str) -> Result<()> {
        let Some(child) = self.children.get(who) else {
            return broken(format!("{who} does not run"));
        };
        // It was not waited for, so the number is still its own.
        let signal = format!("-{name}");
        command::run(&["kill", &signal, &child.id().to_string()])?.ok()?;
        Ok(())
    }
}

impl Network for Processes {
    fn start(&mut self, who: &str, how: How<'_>) -> Result<()> {
        self.is_older.insert(who.to_owned(), how.older);
        let fault = |path: &Path| {
            let path = path.to_owned();
            |source| Fault::Folder { path, source }
        };
        let (home, log) = (self.home(who), self.log_path(who));
        // A node refuses a folder that is open to others.
        let made = DirBuilder::new().recursive(true).mode(0o700).create(&home);
        made.map_err(fault(&home))?;
        let stdout = File::options().create(true).append(true).open(&log);
        let stdout = stdout.map_err(fault(&log))?;
        let stderr = stdout.try_clone().map_err(fault(&log))?;
        let program = self.program(who, "brain-node").display().to_string();
        let mut words = Vec::new();
        if let Some(namespaces) = &self.namespaces {
            words.push("nsenter".to_owned());
            words.push(format!("--net={}", namespaces.path(who).display()));
        }
        let rest = ["setpriv", "--pdeathsig", "KILL", &program, "serve"];
        words.extend(rest.map(str::to_owned));
        let mut command = command::of(&words);
        self.furnish(&mut command, who);
        if let (Some(offset), Some(library)) = (how.clock, clock::library()) {
            command.envs(clock::environment(&library, offset));
        }
        command.stdin(Stdio::null()).stdout(stdout).stderr(stderr);
        let child = command.spawn().map_err(|source| Fault::Program {
            program: words.join(" "),
            source,
        })?;
        self.children.insert(who.to_owned(), child);
        Ok(())
    }

    fn stop(&mut self, who: &str) -> Result<()> {
        self.signal(who, "TERM")?;
        let mut child = self.children.remove(who).expect("it was just signalled");
        let fault = |source| Fault::Program {
            program: format!("brain-node of {who}"),
            source,
        };
        let status = command::wait(&mut child, STOP_MAX).map_err(fault)?;
        match status.map(command::code) {
            Some(0) => Ok(()),
            Some(code) => broken(format!("{who} was asked to end and ended with {code}")),
            None => {
                child.kill().map_err(fault)?;
                child.wait().map_err(fault)?;
                broken(format!(
                    "{who} was asked to end and did not in {STOP_MAX:?}"
                ))
            }
        }
    }

    fn kill(&mut self, who: &str) -> Result<()> {
        self.signal(who, "KILL")?;
        let mut child = self.children.remove(who).expect("it was just signalled");
        let ended = child.wait().map_err(|source| Fault::Program {
            program: format!("brain-node of {who}"),
            source,
        });
        ended.map(drop)
    }

    fn pause(&mut self, who: &str) -> Result<()> {
        self.signal(who, "STOP")
    }

    fn unpause(&mut self, who: &str) -> Result<()> {
        self.signal(who, "CONT")
    }

    fn runs(&mut self, who: &str) -> Result<bool> {
        let Some(child) = self.children.get_mut(who) else {
            return Ok(false);
        };
        let ended = child.try_wait().map_err(|source| Fault::Program {
            program: format!("brain-node of {who}"),
            source,
        })?;
        Ok(ended.is_none())
    }

    fn brainctl(&self, who: &str, args: &[&str], stdin: &[u8]) -> Result<Output> {
        let mut command = Command::new(self.program(who, "brainctl"));
        self.furnish(&mut command, who);
        command.args(args);
        command::run_with(&mut command, stdin)
    }

    fn hand_over(&self, _who: &str, folder: &Path) -> Result<String> {
        Ok(folder.display().to_string())
    }

    fn folder(&self) -> &Path {
        &self.folder
    }

    fn log(&self, who: &str) -> Result<String> {
        let path = self.log_path(who);
        let log = std::fs::read(&path).map_err(|source| Fault::Folder { path, source })?;
        Ok(String::from_utf8_lossy(&log).into_owned())
    }

    fn data(&self, who: &str) -> Result<Command> {
        let place = self.place(who).display().to_string();
        Ok(command::of(&["tar", "-cf", "-", "-C", &place, "home"]))
    }

    fn namespace(&self, who: &str) -> Result<Option<PathBuf>> {
        Ok(self.namespaces.as_ref().map(|all| all.path(who)))
    }

    fn addresses(&self, who: &str) -> Result<Vec<String>> {
        Ok(self
            .namespaces
            .as_ref()
            .map_or_else(Vec::new, |_| namespaces::addresses(who)))
    }

    fn disk(&self, who: &str) -> Option<PathBuf> {
        self.small
            .iter()
            .any(|one| one == who)
            .then(|| self.place(who))
    }
}

impl Drop for Processes {
    fn drop(&mut self) {
        for child in self.children.values_mut() {
            // One that ended by itself cannot be killed; waiting tells both cases.
            child.kill().ok();
            if let Err(error) = child.wait() {
                crate::say::line(&format!("! a node may still be there: {error}"));
            }
        }
    }
}
