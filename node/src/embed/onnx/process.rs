//! The node's side of the process of a model: started, asked one text at a time, and ended.
//!
//! Invariant: a question that nobody waits for any more costs nothing but its time. Its answer is
//! dropped when it comes, so the next question does not take it for its own. The process does not
//! outlive this value.

use super::talk::{Answer, question};
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;

/// How long a process that let go of its socket has to end, so that it can be said how it ended.
const END_MAX: Duration = Duration::from_secs(1);

/// A process that runs a model.
#[derive(Debug)]
pub(super) struct Process {
    child: Child,
    stream: UnixStream,
    /// What is still to be sent.
    outbox: Vec<u8>,
    /// What has arrived and was not read yet.
    inbox: Vec<u8>,
    /// Answers to come that nobody waits for.
    unheard: usize,
}

/// Why a process is of no use any more.
#[derive(Debug, thiserror::Error)]
pub(super) enum Broken {
    /// It ended, or the socket broke.
    #[error("its process ended ({0})")]
    Ended(String),
    /// It said what is no answer.
    #[error("its process said what is no answer")]
    Garbled,
}

impl Process {
    /// Starts a program with one end of a socket as its standard input. Must be called within a
    /// runtime.
    pub(super) fn start(program: &Path, args: &[&std::ffi::OsStr]) -> io::Result<Self> {
        let (ours, theirs) = std::os::unix::net::UnixStream::pair()?;
        ours.set_nonblocking(true)?;
        // Nothing is handed on: the environment may name what is none of a model's business.
        let child = Command::new(program)
            .args(args)
            .env_clear()
            .current_dir("/")
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        Ok(Self {
            child,
            stream: UnixStream::from_std(ours)?,
            outbox: Vec::new(),
            inbox: Vec::new(),
            unheard: 0,
        })
    }

    /// Waits for the first word, which needs no question.
    pub(super) async fn greeting(&mut self) -> Result<Answer, Broken> {
        self.hear().await
    }

    /// Asks for the vector of a text. May be given up at any moment.
    pub(super) async fn ask(&mut self, text: &str) -> Result<Answer, Broken> {
        self.outbox.extend(question(text));
        self.unheard += 1;
        loop {
            self.send().await?;
            let answer = self.hear().await?;
            self.unheard -= 1;
            if self.unheard == 0 {
                return Ok(answer);
            }
        }
    }

    async fn send(&mut self) -> Result<(), Broken> {
        while !self.outbox.is_empty() {
            let sent = self.stream.write(&self.outbox).await;
            match sent {
                Ok(sent) => drop(self.outbox.drain(..sent)),
                Err(error) => return Err(self.ended(&error).await),
            }
        }
        Ok(())
    }

    async fn hear(&mut self) -> Result<Answer, Broken> {
        loop {
            match Answer::take(&mut self.inbox) {
                Ok(Some(answer)) => return Ok(answer),
                Ok(None) => {}
                Err(_garbled) => return Err(Broken::Garbled),
            }
            match self.stream.read_buf(&mut self.inbox).await {
                Ok(0) => return Err(self.ended(&io::ErrorKind::UnexpectedEof.into()).await),
                Ok(_) => {}
                Err(error) => return Err(self.ended(&error).await),
            }
        }
    }

    /// Says how it ended; what the socket said, if it did not.
    async fn ended(&mut self, error: &io::Error) -> Broken {
        let deadline = Instant::now() + END_MAX;
        while Instant::now() < deadline {
            if let Ok(Some(status)) = self.child.try_wait() {
                return Broken::Ended(status.to_string());
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Broken::Ended(error.to_string())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let ended = self.child.kill().and_then(|()| self.child.wait());
        if let Err(error) = ended {
            tracing::warn!(%error, "the process of an embedding model could not be ended");
        }
    }
}
