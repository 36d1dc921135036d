//! Removes what a network made, also if the runner panics, is interrupted or is killed.
//!
//! A shell in a process group of its own reads commands from a pipe. When the pipe closes, for
//! whatever reason, it runs them, the last one first. So there is one way to tidy up and not two.

use crate::fault::{Fault, Result};
use std::fmt::Write as _;
use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};

/// What the shell runs: it ignores what ends its parent, waits for the end of its input (`tac`
/// does), and says what it could not take away.
const SCRIPT: &str = "trap '' HUP INT TERM
tac | while IFS= read -r line; do
  eval \"$line\" </dev/null >/dev/null 2>&1 || echo \"! this did not work: $line\" >&2
done";

/// The shell and the pipe to it.
#[derive(Debug)]
pub(crate) struct Undertaker {
    shell: Child,
    will: Option<ChildStdin>,
}

impl Undertaker {
    /// Starts the shell.
    pub(crate) fn new() -> Result<Self> {
        let fault = |source| Fault::Program {
            program: "sh".to_owned(),
            source,
        };
        let mut shell = Command::new("sh")
            .args(["-c", SCRIPT])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .process_group(0)
            .spawn()
            .map_err(fault)?;
        let will = shell.stdin.take();
        Ok(Self { shell, will })
    }

    /// Makes a folder that is taken away at the end, after everything that is asked for later.
    pub(crate) fn folder(&mut self, name: &str) -> Result<PathBuf> {
        let made = tempfile::Builder::new()
            .prefix(&format!("{name}-"))
            .tempdir();
        let made = made.map_err(|source| Fault::Folder {
            path: std::env::temp_dir(),
            source,
        })?;
        let path = made.keep();
        self.will(&[
            "rm",
            "-rf",
            "--one-file-system",
            &path.display().to_string(),
        ])?;
        Ok(path)
    }

    /// Has a command run at the end, before those that were asked for earlier.
    pub(crate) fn will(&mut self, words: &[&str]) -> Result<()> {
        let mut line = String::new();
        for word in words {
            let word = word.replace('\'', r"'\''");
            write!(line, "'{word}' ").expect("a string takes text");
        }
        line.push('\n');
        let will = self.will.as_mut().expect("it is closed by Drop only");
        will.write_all(line.as_bytes())
            .map_err(|source| Fault::Program {
                program: "sh".to_owned(),
                source,
            })
    }
}

impl Drop for Undertaker {
    fn drop(&mut self) {
        drop(self.will.take());
        if let Err(error) = self.shell.wait() {
            crate::say::line(&format!("! what was made may still be there: {error}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_will_is_done_first() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name).display().to_string();
        let mut undertaker = Undertaker::new().unwrap();
        undertaker
            .will(&["mv", &path("b"), &path("it's c")])
            .unwrap();
        undertaker.will(&["mv", &path("a"), &path("b")]).unwrap();
        std::fs::write(path("a"), "x").unwrap();
        drop(undertaker);
        assert!(std::fs::exists(path("it's c")).unwrap());
    }
}
