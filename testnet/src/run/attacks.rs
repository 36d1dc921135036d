//! Steps with a hostile node: a program that has the identity of one node attacks another.
//!
//! The program is `brain-hostile`, which lies beside the other binaries. It gets a copy of the data
//! folder, and runs in the network namespace of the node whose key it has, if that has one: what it
//! sends comes from that node's address. Once a second it says, as a line of JSON, what it has
//! achieved ([`Tally`]).
//!
//! Invariant: it ends with the runner, however that ends (`setpriv --pdeathsig`).

mod tally;

use super::{Run, text};
use crate::command::{self, Output};
use crate::fault::{Fault, Result, broken};
use crate::network::HOSTILE;
use crate::scenario::Action;
use crate::wait::{self, Seen};
use std::fs::{DirBuilder, File};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Stdio};
use std::time::Duration;
use tally::Tally;

/// How long the program may take to end once its input has ended.
const END_MAX: Duration = Duration::from_secs(5);

/// The program while it attacks.
#[derive(Debug)]
pub(super) struct Attack {
    child: Child,
    /// It goes on until this is closed.
    goes_on: Option<ChildStdin>,
    /// What it says, and what went wrong.
    said: PathBuf,
    errors: PathBuf,
}

impl Run<'_> {
    pub(super) fn attack(&mut self, action: &Action, within: Duration) -> Result<Option<String>> {
        let what = action.to_string();
        match action {
            Action::Attack { who, on } => self.begin_attack(who, on, &what, within),
            Action::CallOff { who } => self.call_off(who, &what, within),
            _ => Ok(None),
        }
    }

    /// Starts an attack, and waits until everything was tried once.
    fn begin_attack(
        &mut self,
        who: &str,
        on: &str,
        what: &str,
        within: Duration,
    ) -> Result<Option<String>> {
        if !self.paused.contains(who) {
            return broken(format!(
                "{who} is not paused: there would be two with its key"
            ));
        }
        if self.attacks.contains_key(who) {
            return broken(format!("{who} attacks already"));
        }
        let home = self.network.folder().join(format!("hostile-{who}"));
        let made = DirBuilder::new().mode(0o700).create(&home);
        made.map_err(at(&home))?;
        let into = home.display().to_string();
        let unpack = [
            "tar",
            "-xf",
            "-",
            "-C",
            &into,
            "--strip-components=1",
            "--no-same-owner",
        ];
        command::pipe(&mut self.network.data(who)?, &mut command::of(&unpack))?;
        let words = self.words(who, on, into.clone())?;
        let attack = Attack::start(&words, &home)?;
        let attack = self.attacks.entry(who.to_owned()).or_insert(attack);
        wait::until(what, within, || {
            let tally = attack.tally()?;
            came_to_nothing(&tally)?;
            let missing = tally.missing();
            Ok(Seen::of(missing.is_empty(), || not_yet(&missing)))
        })?;
        Ok(None)
    }

    /// Returns the command that attacks.
    fn words(&self, who: &str, on: &str, home: String) -> Result<Vec<String>> {
        let status = self.tell(on, &["status", "--json"])?;
        let document = status.json()?;
        let mut words = Vec::new();
        if let Some(namespace) = self.network.namespace(who)? {
            words.push("nsenter".to_owned());
            words.push(format!("--net={}", namespace.display()));
        }
        let program = self.folders.binaries.join(HOSTILE).display().to_string();
        let rest = ["setpriv", "--pdeathsig", "KILL", &program];
        words.extend(rest.map(str::to_owned));
        words.extend(["--home".to_owned(), home]);
        let victim = text(&document, "device").to_owned();
        words.extend(["--victim".to_owned(), victim]);
        let addresses = addresses(&status)?.into_iter();
        words.extend(addresses.flat_map(|address| ["--address".to_owned(), address]));
        let memories = self.memories.values().cloned();
        words.extend(memories.flat_map(|memory| ["--memory".to_owned(), memory]));
        Ok(words)
    }

    /// Ends an attack once all its faults were committed; it must have achieved nothing.
    fn call_off(&mut self, who: &str, what: &str, within: Duration) -> Result<Option<String>> {
        let Some(mut attack) = self.attacks.remove(who) else {
            return broken(format!("{who} does not attack"));
        };
        wait::until(what, within, || {
            let tally = attack.tally()?;
            came_to_nothing(&tally)?;
            Ok(Seen::of(tally.is_spent(), || tally.to_string()))
        })?;
        attack.end()?;
        let tally = attack.tally()?;
        came_to_nothing(&tally)?;
        match tally.missing() {
            missing if missing.is_empty() => Ok(Some(tally.to_string())),
            missing => broken(not_yet(&missing)),
        }
    }

    /// Every attack has to be called off: only then it is known what it achieved.
    pub(super) fn all_called_off(&self) -> Result<()> {
        match self.attacks.keys().next() {
            Some(who) => broken(format!("the attack of {who} was never called off")),
            None => Ok(()),
        }
    }
}

impl Attack {
    /// Starts it, with what it says in a folder.
    fn start(words: &[String], folder: &Path) -> Result<Self> {
        let (said, errors) = (folder.join("said"), folder.join("errors"));
        let out = File::create(&said).map_err(at(&said))?;
        let err = File::create(&errors).map_err(at(&errors))?;
        let mut command = command::of(words);
        command.stdin(Stdio::piped()).stdout(out).stderr(err);
        let mut child = command.spawn().map_err(|source| Fault::Program {
            program: words.join(" "),
            source,
        })?;
        Ok(Self {
            goes_on: child.stdin.take(),
            child,
            said,
            errors,
        })
    }

    /// Returns what it last said. If it ended by itself, that is an error.
    fn tally(&mut self) -> Result<Tally> {
        if self.goes_on.is_some()
            && let Some(status) = self.child.try_wait().map_err(program)?
        {
            return broken(self.gone(command::code(status)));
        }
        let said = std::fs::read_to_string(&self.said).map_err(at(&self.said))?;
        // The last line may be half a line.
        let (whole, _) = said.rsplit_once('\n').unwrap_or_default();
        match whole.lines().next_back() {
            None => Ok(Tally::default()),
            Some(line) => serde_json::from_str(line).map_err(|error| Fault::Answer {
                command: HOSTILE.to_owned(),
                message: format!("no tally ({error}): {line}"),
            }),
        }
    }

    /// Lets it end, in order and in its time.
    fn end(&mut self) -> Result<()> {
        drop(self.goes_on.take());
        match command::wait(&mut self.child, END_MAX).map_err(program)? {
            Some(status) if status.success() => Ok(()),
            Some(status) => broken(self.gone(command::code(status))),
            None => broken(format!("{HOSTILE} did not end in {END_MAX:?}")),
        }
    }

    fn gone(&self, code: i32) -> String {
        // Where nothing can be read, nothing is said.
        let errors = std::fs::read_to_string(&self.errors).unwrap_or_default();
        format!("{HOSTILE} ended with {code}: {}", errors.trim_end())
    }
}

impl Drop for Attack {
    fn drop(&mut self) {
        // One that ended by itself cannot be killed; waiting tells both cases.
        self.child.kill().ok();
        if let Err(error) = self.child.wait() {
            crate::say::line(&format!("! an attack may still go on: {error}"));
        }
    }
}

/// Fails if an attack achieved anything.
fn came_to_nothing(tally: &Tally) -> Result<()> {
    match tally.achieved() {
        achieved if achieved.is_empty() => Ok(()),
        achieved => broken(format!("the attack got {} ({tally})", achieved.join(", "))),
    }
}

fn not_yet(missing: &[&str]) -> String {
    format!("it never yet {}", missing.join(", "))
}

/// Returns where a node listens, as it says itself: loopback only if there is nothing else.
fn addresses(status: &Output) -> Result<Vec<String>> {
    let document = status.json()?;
    let listen = document.pointer("/network/listen");
    let listen = listen.and_then(serde_json::Value::as_array);
    let all = listen.into_iter().flatten();
    let all = all.filter_map(|address| address.as_str().map(str::to_owned));
    let is_loop = |address: &String| {
        let loops = ["/ip4/127.", "/ip6/::1/"];
        loops.iter().any(|start| address.starts_with(start))
    };
    let (loops, others): (Vec<String>, Vec<String>) = all.partition(is_loop);
    let addresses = if others.is_empty() { loops } else { others };
    if addresses.is_empty() {
        return Err(Fault::Answer {
            command: status.command.clone(),
            message: format!("it listens nowhere: {}", status.stdout),
        });
    }
    Ok(addresses)
}

fn at(path: &Path) -> impl FnOnce(std::io::Error) -> Fault {
    let path = path.to_owned();
    |source| Fault::Folder { path, source }
}

fn program(source: std::io::Error) -> Fault {
    Fault::Program {
        program: HOSTILE.to_owned(),
        source,
    }
}
