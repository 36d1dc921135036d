//! Runs one command to its end, with a deadline, and keeps what it said.
//!
//! Output goes to nameless files, not pipes: a command that leaves a process behind, or says more
//! than a pipe holds, cannot hang the test.

use std::fs::File;
use std::io::{Seek as _, Write as _};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// Environment variables that would lead a program under test to the developer's own node.
const FOREIGN: [&str; 6] = [
    "STATE_DIRECTORY",
    "RUNTIME_DIRECTORY",
    "CONFIGURATION_DIRECTORY",
    "CACHE_DIRECTORY",
    "CREDENTIALS_DIRECTORY",
    "NOTIFY_SOCKET",
];

/// The exit code of a command that did not end in its time.
pub const TIME_IS_UP: i32 = 124;

/// What a command said and how it ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// The exit code; 128 and the signal's number if a signal ended it.
    pub code: i32,
    /// What it wrote to standard output.
    pub stdout: String,
    /// What it wrote to standard error.
    pub stderr: String,
}

impl Output {
    /// Returns itself, or panics unless the command succeeded.
    pub fn ok(&self) -> &Self {
        assert!(
            self.code == 0,
            "exit {}\n{}{}",
            self.code,
            self.stdout,
            self.stderr
        );
        self
    }

    /// Returns standard output as JSON; panics if it is none.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| {
            panic!(
                "no JSON ({error}), exit {}\n{}{}",
                self.code, self.stdout, self.stderr
            )
        })
    }

    /// Returns one field of the JSON by pointer (`/items/0/id`); panics if it is missing.
    pub fn field(&self, pointer: &str) -> serde_json::Value {
        let json = self.json();
        let found = json.pointer(pointer).cloned();
        found.unwrap_or_else(|| panic!("no {pointer} in {json:#}"))
    }
}

/// Takes every variable away that belongs to a node, or a trace, of the developer's own.
pub fn forget_foreign_nodes(command: &mut Command) {
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if ["BRAIN_", "OTEL_", "TRACEPARENT"]
            .iter()
            .any(|start| text.starts_with(start))
        {
            command.env_remove(name);
        }
    }
    for name in FOREIGN {
        command.env_remove(name);
    }
}

/// Runs a command with this standard input. When the time is up, the command and all that it
/// started are ended, and the code is [`TIME_IS_UP`].
pub fn run(command: &mut Command, stdin: &[u8], time: Duration) -> Output {
    let scratch = || tempfile::tempfile().expect("the temporary folder takes a file");
    let (mut input, mut stdout, mut stderr) = (scratch(), scratch(), scratch());
    let same = |file: &File| Stdio::from(file.try_clone().expect("a handle can be doubled"));
    input
        .write_all(stdin)
        .expect("the temporary folder has room");
    input.rewind().expect("a file can be rewound");
    let mut child = command
        .stdin(same(&input))
        .stdout(same(&stdout))
        .stderr(same(&stderr))
        .process_group(0)
        .spawn()
        .unwrap_or_else(|error| panic!("{}: {error}", command.get_program().display()));
    let ended = wait(&mut child, time).map(code);
    if ended.is_none() {
        signal_group(&child, "KILL");
        child.wait().expect("a killed child ends");
        let line = format!("\n(ended after {time:?}: still running)\n");
        stderr
            .write_all(line.as_bytes())
            .expect("the temporary folder has room");
    }
    Output {
        code: ended.unwrap_or(TIME_IS_UP),
        stdout: text(&mut stdout),
        stderr: text(&mut stderr),
    }
}

/// Sends a signal to a child that leads a group and was not waited for, and to its children.
fn signal_group(child: &Child, name: &str) {
    let script = format!("kill -s {name} -- -{}", child.id());
    Command::new("sh")
        .args(["-c", &script])
        .status()
        .expect("a shell runs");
}

/// Waits for a child to end; `None` when the time is up.
pub(crate) fn wait(child: &mut Child, time: Duration) -> Option<ExitStatus> {
    let deadline = Instant::now() + time;
    loop {
        if let Some(status) = child.try_wait().expect("a child can be asked for its end") {
            return Some(status);
        }
        if Instant::now() >= deadline {
            return None;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Returns the exit code, or 128 and the number of the signal.
pub(crate) fn code(status: ExitStatus) -> i32 {
    status
        .code()
        .unwrap_or_else(|| 128 + status.signal().unwrap_or_default())
}

fn text(file: &mut File) -> String {
    let mut bytes = Vec::new();
    file.rewind().expect("a file can be rewound");
    std::io::copy(file, &mut bytes).expect("a file that was written can be read");
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sh(script: &str, stdin: &[u8]) -> Output {
        run(
            Command::new("sh").args(["-c", script]),
            stdin,
            Duration::from_secs(20),
        )
    }

    #[test]
    fn streams_codes_and_signals_are_told_apart() {
        let said = sh("cat; echo why >&2; exit 3", b"what");
        let expected = Output {
            code: 3,
            stdout: "what".to_owned(),
            stderr: "why\n".to_owned(),
        };
        assert_eq!(said, expected);
        assert_eq!(sh("kill -KILL $$", b"").code, 137);
    }

    #[test]
    fn a_process_left_behind_does_not_hold_the_test() {
        assert_eq!(sh("sleep 5 & echo done", b"").stdout, "done\n");
    }

    #[test]
    fn a_command_that_hangs_is_ended_with_its_children() {
        let folder = tempfile::tempdir().expect("the temporary folder takes a folder");
        let script = "(sleep 1; touch late) & echo early; sleep 60";
        let mut command = Command::new("sh");
        command.args(["-c", script]).current_dir(folder.path());
        let said = run(&mut command, b"", Duration::from_millis(300));
        assert_eq!((said.code, said.stdout.as_str()), (TIME_IS_UP, "early\n"));
        assert!(said.stderr.contains("still running"), "{}", said.stderr);
        std::thread::sleep(Duration::from_millis(1_200));
        assert!(!folder.path().join("late").exists(), "a child went on");
    }
}
