//! A whole node: one process on one folder, on loopback, gone when the value is dropped.
//!
//! ```text
//! start -> ready (socket answers `brainctl node wait`) -> brainctl(..)
//!   kill()  SIGKILL, as a power cut of the process      -> start_again() on the same folder
//!   stop()  SIGTERM, must end with 0 within STOP_MAX    -> start_again() on the same folder
//! ```
//!
//! Invariant: the folder outlives the process, so what a node acknowledged can be looked for
//! after any end.

use crate::process::{self, Output};
use std::ffi::OsStr;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// How long a node may take until it answers; with a million memories and other work beside it, a
/// minute is too little.
const READY_MAX: Duration = Duration::from_mins(3);
/// How long an orderly end may take: the contract says five seconds.
pub const STOP_MAX: Duration = Duration::from_secs(5);
/// The exit code of a command whose node is locked.
pub const LOCKED: i32 = 9;
/// How long one command may take.
pub const COMMAND_MAX: Duration = Duration::from_mins(2);

/// A node of a test.
#[derive(Debug)]
pub struct Node {
    name: String,
    folder: TempDir,
    extra: Vec<(String, String)>,
    child: Option<Child>,
}

impl Node {
    /// Starts a node on a new folder and waits until it answers.
    pub fn start(name: &str) -> Self {
        Self::start_with(name, &[])
    }

    /// Starts a node on a new folder with further environment variables.
    pub fn start_with(name: &str, extra: &[(&str, &str)]) -> Self {
        let mut node = Self::without_process(name, extra);
        node.start_again();
        node
    }

    /// Makes the folder of a node that does not run yet.
    pub fn without_process(name: &str, extra: &[(&str, &str)]) -> Self {
        let folder = tempfile::Builder::new()
            .prefix(&format!("brain-{name}-"))
            .tempdir();
        let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        Self {
            name: name.to_owned(),
            folder: folder.expect("the temporary folder takes a folder"),
            extra: extra.iter().map(own).collect(),
            child: None,
        }
    }

    /// Starts the process on the folder as it is; panics if it runs or does not become ready.
    pub fn start_again(&mut self) {
        self.spawn();
        self.wait_until(|node| node.brainctl(["node", "wait", "--for", "ready"]).code == 0);
    }

    /// Starts the process on the folder as it is and waits until it answers that it is locked.
    pub fn start_locked(&mut self) {
        self.spawn();
        self.wait_until(|node| node.brainctl(["status"]).code == LOCKED);
    }

    fn spawn(&mut self) {
        assert!(self.child.is_none(), "{} runs already", self.name);
        let log = File::options()
            .create(true)
            .append(true)
            .open(self.log_path());
        let log = log.expect("the folder takes a log");
        let errors = log.try_clone().expect("a handle can be doubled");
        let child = self
            .command("brain-node")
            .arg("serve")
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(errors)
            .spawn();
        self.child = Some(child.expect("brain-node can be started"));
    }

    fn wait_until(&mut self, is_so: impl Fn(&Self) -> bool) {
        let deadline = Instant::now() + READY_MAX;
        loop {
            let child = self
                .child
                .as_mut()
                .expect("a node that starts has a process");
            if let Some(status) = process::wait(child, Duration::from_millis(20)) {
                panic!(
                    "{} ended with {status} at its start:\n{}",
                    self.name,
                    self.log()
                );
            }
            let is_there = std::os::unix::net::UnixStream::connect(self.socket()).is_ok();
            if is_there && is_so(self) {
                return;
            }
            assert!(
                Instant::now() < deadline,
                "{} is not ready:\n{}",
                self.name,
                self.log()
            );
        }
    }

    /// Returns the folder that `BRAIN_HOME` names.
    pub fn home(&self) -> PathBuf {
        self.folder.path().join("home")
    }

    /// Returns the socket of the local API.
    pub fn socket(&self) -> PathBuf {
        self.home().join("api.sock")
    }

    /// Returns what the process wrote so far.
    pub fn log(&self) -> String {
        let log = std::fs::read(self.log_path()).unwrap_or_default();
        String::from_utf8_lossy(&log).into_owned()
    }

    /// Returns the number of the process while it runs.
    pub fn pid(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    fn log_path(&self) -> PathBuf {
        self.folder.path().join("node.log")
    }

    /// Returns a command with the environment of this node's person, not yet run.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let program = program.as_ref();
        let built = crate::binaries::dir().join(program);
        let mut command = Command::new(if built.exists() {
            built.as_os_str()
        } else {
            program
        });
        process::forget_foreign_nodes(&mut command);
        command
            .env("BRAIN_HOME", self.home())
            // Never the keyring of whoever runs the tests.
            .env("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nonexistent/bus")
            .env("BRAIN_API__LISTEN", "127.0.0.1:0")
            .env("BRAIN_NETWORK__LISTEN", "/ip4/127.0.0.1/udp/0/quic-v1")
            .env("LC_ALL", "C.UTF-8")
            .env("TZ", "UTC")
            .env("NO_COLOR", "1")
            .envs(self.extra.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Runs `brainctl` against this node.
    pub fn brainctl<I: IntoIterator<Item: AsRef<OsStr>>>(&self, args: I) -> Output {
        self.brainctl_with(args, b"")
    }

    /// Runs `brainctl` against this node with this standard input.
    pub fn brainctl_with<I>(&self, args: I, stdin: &[u8]) -> Output
    where
        I: IntoIterator<Item: AsRef<OsStr>>,
    {
        process::run(self.command("brainctl").args(args), stdin, COMMAND_MAX)
    }

    /// Runs `brainctl ... --json`, which must succeed, and returns its document.
    pub fn json<I: IntoIterator<Item: AsRef<OsStr>>>(&self, args: I) -> serde_json::Value {
        let mut command = self.command("brainctl");
        process::run(command.args(args).arg("--json"), b"", COMMAND_MAX)
            .ok()
            .json()
    }

    /// Ends the process at once, as a crash would.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            // A process that ended by itself cannot be killed; `wait` tells both cases.
            child.kill().ok();
            child.wait().expect("a killed process ends");
        }
    }

    /// Sends SIGKILL and does not wait: [`Node::kill`] does, once nobody speaks to it any more.
    pub fn kill_now(&self) {
        if let Some(child) = &self.child {
            signal(child, "KILL");
        }
    }

    /// Ends the process in order; panics unless it ends with 0 within [`STOP_MAX`].
    pub fn stop(&mut self) -> Duration {
        let mut child = self
            .child
            .take()
            .expect("only a node that runs can be stopped");
        let start = Instant::now();
        signal(&child, "TERM");
        let status = process::wait(&mut child, STOP_MAX);
        if status.is_none() {
            child.kill().ok();
            child.wait().expect("a killed process ends");
        }
        let ended = status.map(process::code);
        assert!(
            ended == Some(0),
            "{}: SIGTERM led to {ended:?}:\n{}",
            self.name,
            self.log()
        );
        start.elapsed()
    }

    /// Ends the process in order and starts it again on the same folder.
    pub fn restart(&mut self) {
        self.stop();
        self.start_again();
    }

    /// Kills the process and starts it again on the same folder.
    pub fn crash(&mut self) {
        self.kill();
        self.start_again();
    }

    /// Returns the folder above the node's own: a place for a test's other files.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Sends a signal to a child that was not waited for, so its number is still its own.
fn signal(child: &Child, name: &str) {
    let script = format!("kill -{name} {}", child.id());
    let sent = Command::new("sh").args(["-c", &script]).status();
    assert!(
        sent.is_ok_and(|status| status.success()),
        "cannot send SIG{name}"
    );
}
