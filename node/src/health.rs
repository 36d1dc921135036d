//! The health check of a container: asks the node of this data folder whether it can work.
//!
//! One request over the socket, as the engine's health check runs it every few seconds: a process
//! of its own, so it loads nothing and waits for nothing long.

use std::io::{self, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;
use thiserror::Error;

/// How long the node may take to answer.
const ANSWER_MAX: Duration = Duration::from_secs(4);
/// What is read of an answer: its status line is at the beginning.
const ANSWER_BYTES_MAX: u64 = 4_096;

const REQUEST: &[u8] = b"GET /readyz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";

/// Why a node is not well.
#[derive(Debug, Error)]
pub enum HealthError {
    /// Nobody answers.
    #[error("no node answers at {path}: {source}")]
    Silent {
        /// The socket.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It answers that it cannot work.
    #[error("the node is not ready: {0}")]
    NotReady(String),
}

impl HealthError {
    /// Returns what to do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Silent { .. } => "start it: brain-node",
            Self::NotReady(_) => "brainctl status; a locked node needs brainctl node unlock",
        }
    }
}

/// Asks the node at a socket.
pub fn check(socket: &Path) -> Result<(), HealthError> {
    let answer = ask(socket).map_err(|source| HealthError::Silent {
        path: socket.to_owned(),
        source,
    })?;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let status = head.split_whitespace().nth(1);
    if status == Some("200") {
        return Ok(());
    }
    Err(HealthError::NotReady(body.trim().to_owned()))
}

fn ask(socket: &Path) -> io::Result<String> {
    let mut stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(ANSWER_MAX))?;
    stream.set_write_timeout(Some(ANSWER_MAX))?;
    stream.write_all(REQUEST)?;
    let mut answer = Vec::new();
    stream.take(ANSWER_BYTES_MAX).read_to_end(&mut answer)?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixListener;

    fn check_against(answer: &'static str) -> Result<(), HealthError> {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("api.sock");
        let listener = UnixListener::bind(&socket).unwrap();
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut head = [0; REQUEST.len()];
            stream.read_exact(&mut head).unwrap();
            stream.write_all(answer.as_bytes()).unwrap();
        });
        let found = check(&socket);
        server.join().unwrap();
        found
    }

    #[test]
    fn only_an_answer_that_says_ready_is_well() {
        assert!(check_against("HTTP/1.1 200 OK\r\n\r\n{}").is_ok());
        let locked = check_against("HTTP/1.1 503 Service Unavailable\r\n\r\nlocked");
        assert!(matches!(locked, Err(HealthError::NotReady(why)) if why == "locked"));
        assert!(check_against("").is_err());
        let nobody = check(Path::new("/nowhere/api.sock"));
        assert!(matches!(nobody, Err(HealthError::Silent { .. })));
    }
}
