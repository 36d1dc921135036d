//! Runs one command to its end, with a deadline, and keeps what it said.
//!
//! Output goes to nameless files, not pipes: a command that says more than a pipe holds cannot hang
//! the run.

use crate::fault::{Fault, Result};
use serde_json::Value;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{Read as _, Seek as _, Write as _};
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// How long one command may take: `sync prove` and a large import are the longest.
const COMMAND_MAX: Duration = Duration::from_mins(3);
/// How long to wait between two looks at a process.
const LOOK: Duration = Duration::from_millis(5);

/// What a command said and how it ended.
#[derive(Debug, Clone)]
pub(crate) struct Output {
    /// The command, as a person would write it.
    pub(crate) command: String,
    /// The exit code; 128 and the signal's number if a signal ended it.
    pub(crate) code: i32,
    /// What it wrote to standard output.
    pub(crate) stdout: String,
    /// What it wrote to standard error.
    pub(crate) stderr: String,
}

impl Output {
    /// Returns itself if the command succeeded.
    pub(crate) fn ok(self) -> Result<Self> {
        if self.code == 0 {
            Ok(self)
        } else {
            Err(self.refusal())
        }
    }

    /// Returns how it ended as an error.
    pub(crate) fn refusal(self) -> Fault {
        Fault::Exit {
            command: self.command,
            code: self.code,
            said: self.stdout + &self.stderr,
        }
    }

    /// Returns standard output as JSON.
    pub(crate) fn json(&self) -> Result<Value> {
        serde_json::from_str(&self.stdout).map_err(|error| Fault::Answer {
            command: self.command.clone(),
            message: format!("no JSON ({error}): {}{}", self.stdout, self.stderr),
        })
    }

    /// Returns one word of standard output, such as the id that `--ids` prints.
    pub(crate) fn word(&self) -> Result<String> {
        match self.stdout.split_whitespace().collect::<Vec<_>>()[..] {
            [word] => Ok(word.to_owned()),
            ref words => Err(Fault::Answer {
                command: self.command.clone(),
                message: format!("{} words where one was expected: {words:?}", words.len()),
            }),
        }
    }
}

/// Returns a command with these arguments, not yet run.
pub(crate) fn of<S: AsRef<OsStr>>(words: &[S]) -> Command {
    let mut words = words.iter();
    let program = words.next().expect("a command has a program");
    let mut command = Command::new(program);
    command.args(words);
    command
}

/// Runs a command with nothing on standard input.
pub(crate) fn run<S: AsRef<OsStr>>(words: &[S]) -> Result<Output> {
    run_with(&mut of(words), b"")
}

/// Tells whether a command can be run and succeeds.
pub(crate) fn succeeds<S: AsRef<OsStr>>(words: &[S]) -> bool {
    run(words).is_ok_and(|output| output.code == 0)
}

/// Runs a command with this standard input. It is killed when its time is up.
pub(crate) fn run_with(command: &mut Command, stdin: &[u8]) -> Result<Output> {
    let said = written(command);
    let fault = |source| Fault::Program {
        program: said.clone(),
        source,
    };
    let (mut input, mut stdout, mut stderr) = (scratch()?, scratch()?, scratch()?);
    input.write_all(stdin).map_err(fault)?;
    input.rewind().map_err(fault)?;
    command
        .stdin(input.try_clone().map_err(fault)?)
        .stdout(stdout.try_clone().map_err(fault)?)
        .stderr(stderr.try_clone().map_err(fault)?);
    let mut child = command.spawn().map_err(fault)?;
    let ended = wait(&mut child, COMMAND_MAX).map_err(fault)?;
    if ended.is_none() {
        child.kill().map_err(fault)?;
        child.wait().map_err(fault)?;
    }
    let code = match ended {
        Some(status) => code(status),
        None => TIME_IS_UP,
    };
    Ok(Output {
        code,
        stdout: text(&mut stdout).map_err(fault)?,
        stderr: text(&mut stderr).map_err(fault)?,
        command: said,
    })
}

/// The exit code of a command that did not end in its time.
const TIME_IS_UP: i32 = 124;

/// Runs a command and shows its standard output to a reader, piece by piece.
pub(crate) fn stream(command: &mut Command, mut read: impl FnMut(&[u8])) -> Result<()> {
    let program = written(command);
    let fault = |source| Fault::Program {
        program: program.clone(),
        source,
    };
    let spawned = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn();
    let mut child = spawned.map_err(fault)?;
    let mut output = child.stdout.take().expect("it was piped");
    let mut piece = vec![0; 1 << 16];
    loop {
        match output.read(&mut piece).map_err(fault)? {
            0 => break,
            count => read(piece.get(..count).expect("no more is read than fits")),
        }
    }
    child.wait().map_err(fault)?;
    Ok(())
}

/// Runs a command whose standard output is the standard input of another one; both must succeed.
pub(crate) fn pipe(from: &mut Command, into: &mut Command) -> Result<()> {
    let [from_words, into_words] = [&*from, &*into].map(written);
    let fault = |program: &str| {
        let program = program.to_owned();
        |source| Fault::Program { program, source }
    };
    from.stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    let mut source = from.spawn().map_err(fault(&from_words))?;
    let output = source.stdout.take().expect("it was piped");
    into.stdin(output)
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let taken = into.status();
    let given = source.wait().map_err(fault(&from_words))?;
    let taken = taken.map_err(fault(&into_words))?;
    for (command, status) in [(from_words, given), (into_words, taken)] {
        let (code, said) = (code(status), String::new());
        if code != 0 {
            return Err(Fault::Exit {
                command,
                code,
                said,
            });
        }
    }
    Ok(())
}

/// Waits for a child to end; `None` when the time is up.
pub(crate) fn wait(child: &mut Child, time: Duration) -> std::io::Result<Option<ExitStatus>> {
    let deadline = Instant::now() + time;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if Instant::now() >= deadline {
            return Ok(None);
        }
        std::thread::sleep(LOOK);
    }
}

/// Returns the exit code, or 128 and the number of the signal.
pub(crate) fn code(status: ExitStatus) -> i32 {
    status
        .code()
        .unwrap_or_else(|| 128 + status.signal().unwrap_or_default())
}

/// Returns a command as a person would write it.
fn written(command: &Command) -> String {
    let program = command.get_program();
    let words = std::iter::once(program).chain(command.get_args());
    let words: Vec<_> = words.map(OsStr::to_string_lossy).collect();
    words.join(" ")
}

fn scratch() -> Result<File> {
    tempfile::tempfile().map_err(|source| Fault::Folder {
        path: std::env::temp_dir(),
        source,
    })
}

fn text(file: &mut File) -> std::io::Result<String> {
    let mut bytes = Vec::new();
    file.rewind()?;
    std::io::copy(file, &mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_and_codes_are_told_apart() {
        let mut command = of(&["sh", "-c", "cat; echo why >&2; exit 3"]);
        let output = run_with(&mut command, b"what").unwrap();
        let said = (output.code, output.stdout.as_str(), output.stderr.as_str());
        assert_eq!(said, (3, "what", "why\n"));
        assert!(output.ok().unwrap_err().to_string().contains("exit 3"));
    }

    #[test]
    fn what_one_says_the_other_hears_and_both_must_succeed() {
        let check = |from: &str, into: &str| {
            let [mut from, mut into] = [from, into].map(|script| of(&["sh", "-c", script]));
            pipe(&mut from, &mut into).map_err(|fault| fault.to_string())
        };
        check("echo what", "grep -qx what").unwrap();
        assert!(
            check("echo else", "grep -qx what")
                .unwrap_err()
                .contains("exit 1")
        );
        assert!(
            check("echo what; exit 4", "cat")
                .unwrap_err()
                .contains("exit 4")
        );
    }

    #[test]
    fn a_program_that_is_not_there_is_named() {
        assert!(!succeeds(&["/no/such/program"]));
        let fault = run(&["/no/such/program", "x"]).unwrap_err();
        assert!(fault.to_string().starts_with("/no/such/program x: "));
    }
}
