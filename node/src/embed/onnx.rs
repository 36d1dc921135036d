//! A model from a file: a MiniLM-like encoder in ONNX, run by a process of its own.
//!
//! Not a runner of any model: what is taken is said in [`engine`]. This side knows the files by what
//! is in them, and asks the process.
//!
//! ```text
//! new     the files are hashed: another hash is another model, whose vectors begin anew
//! texts   the process is started if it is not there, and asked text by text
//! query   the process is asked if it is there; if not, the texts' side is asked to start it
//! ```
//!
//! Who waits for the process waits in a line, and holds it for one text only: so a query waits for
//! one text of the background, not for a batch.
//!
//! Invariant: nothing leaves this device. Vectors are of the files that were hashed at the start:
//! a process that read others is not used. Whatever the files hold, the node goes on.

pub mod engine;
mod files;
mod process;
mod talk;
mod vocabulary;
pub mod worker;

pub use files::Unusable;

use super::{EmbedError, Embedder, Purpose};
use crate::config::{Index, ModelFiles};
use crate::program;
use files::Identity;
use process::{Broken, Process};
use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::Duration;
use talk::Answer;
use tokio::runtime::Handle;
use tokio::sync::{Mutex, MutexGuard};
use tokio_util::sync::CancellationToken;

/// How long a query waits for its vector; then the built-in model answers.
const QUERY_MAX: Duration = Duration::from_secs(3);
/// How long a model has to be read at least: half a gigabyte from a slow disk.
const READ_MIN: Duration = Duration::from_mins(1);

/// A model from a file.
#[derive(Debug)]
pub struct OnnxEmbedder {
    /// `onnx:`, the name of the file without its ending, and the hash if it is known.
    name: String,
    identity: Option<Identity>,
    /// What is wrong with the files, once it is known.
    verdict: OnceLock<String>,
    program: PathBuf,
    args: Vec<OsString>,
    text_max: Duration,
    process: Mutex<Option<Process>>,
    runtime: Handle,
    shutdown: CancellationToken,
}

impl OnnxEmbedder {
    /// Reads the files once to know them; that they cannot be read is said when it is asked. Must
    /// be called within a runtime.
    pub fn new(files: ModelFiles, index: &Index, shutdown: CancellationToken) -> Self {
        let stem = files
            .model
            .file_stem()
            .unwrap_or_default()
            .to_string_lossy();
        let stem = files::line(&stem);
        let verdict = OnceLock::new();
        let found = Identity::of(&files);
        let name = match &found {
            Ok(identity) => format!("onnx:{stem}-{identity}"),
            Err(_) => format!("onnx:{stem}"),
        };
        let identity = found.inspect_err(|error| keep(&verdict, error)).ok();
        let text_max = Duration::from_secs(index.timeout_s);
        let seconds = text_max.max(READ_MIN).as_secs().to_string();
        Self {
            name,
            identity,
            verdict,
            program: program::file(),
            args: vec![
                "embedding-model".into(),
                files.model.into(),
                files.vocabulary.into(),
                seconds.into(),
            ],
            text_max,
            process: Mutex::new(None),
            runtime: Handle::current(),
            shutdown,
        }
    }

    async fn embed_all(
        &self,
        texts: &[&str],
        purpose: Purpose,
    ) -> Result<Vec<Vec<f32>>, EmbedError> {
        if let Some(reason) = self.verdict.get() {
            return Err(EmbedError::Unusable(reason.clone()));
        }
        let mut vectors = Vec::with_capacity(texts.len());
        for text in texts {
            let mut process = self.process.lock().await;
            if process.is_none() {
                if purpose == Purpose::Query {
                    return Err(EmbedError::Asleep);
                }
                *process = Some(self.start().await?);
            }
            vectors.push(self.embed_one(&mut process, text).await?);
        }
        Ok(vectors)
    }

    /// Starts the process and makes sure that it read the files that are known here.
    async fn start(&self) -> Result<Process, EmbedError> {
        let args: Vec<&OsStr> = self.args.iter().map(OsString::as_os_str).collect();
        let started = Process::start(&self.program, &args);
        let mut process = started
            .map_err(|error| EmbedError::Broken(format!("its process cannot start: {error}")))?;
        let within = self.text_max.max(READ_MIN);
        let greeting = tokio::time::timeout(within, process.greeting()).await;
        match greeting.map_err(|_late| EmbedError::Overdue { within })? {
            Ok(Answer::Ready(identity)) if Some(identity) == self.identity => Ok(process),
            Ok(Answer::Ready(_)) => {
                let path = self.args[1].display();
                Err(self.unusable(&format!("{path}: it is another file than at the start")))
            }
            Ok(Answer::Failed(reason)) => Err(self.unusable(&reason)),
            Ok(Answer::Vector(_)) => Err(broken(&Broken::Garbled)),
            Err(error) => {
                let most = worker::MEMORY_BYTES_MAX >> 30;
                let reason =
                    format!("{error} while it read the model; {most} GiB is what it may take");
                Err(EmbedError::Broken(reason))
            }
        }
    }

    /// Asks for one vector. A process that took too long or broke is ended; a query that is given
    /// up by its caller leaves it as it is.
    async fn embed_one(
        &self,
        place: &mut MutexGuard<'_, Option<Process>>,
        text: &str,
    ) -> Result<Vec<f32>, EmbedError> {
        let Some(process) = place.as_mut() else {
            return Err(EmbedError::Asleep);
        };
        let within = self.text_max;
        let answer = tokio::time::timeout(within, process.ask(text)).await;
        let error = match answer {
            Ok(Ok(Answer::Vector(vector))) => return Ok(vector),
            Ok(Ok(Answer::Failed(reason))) => return Err(EmbedError::Run(reason)),
            Ok(Ok(Answer::Ready(_))) => broken(&Broken::Garbled),
            Ok(Err(error)) => broken(&error),
            Err(_late) => EmbedError::Overdue { within },
        };
        **place = None;
        Err(error)
    }

    fn unusable(&self, reason: &str) -> EmbedError {
        EmbedError::Unusable(self.verdict.get_or_init(|| reason.to_owned()).clone())
    }
}

impl Embedder for OnnxEmbedder {
    fn name(&self) -> &str {
        &self.name
    }

    fn identity(&self) -> Option<&str> {
        self.identity.map(|_| self.name.as_str())
    }

    fn embed(&self, texts: &[&str], purpose: Purpose) -> Result<Vec<Vec<f32>>, EmbedError> {
        let within = match purpose {
            Purpose::Text => Duration::MAX,
            Purpose::Query => QUERY_MAX.min(self.text_max),
        };
        self.runtime.block_on(async {
            tokio::select! {
                biased;
                () = self.shutdown.cancelled() => Err(EmbedError::Stopping),
                answer = tokio::time::timeout(within, self.embed_all(texts, purpose)) => {
                    answer.unwrap_or(Err(EmbedError::Overdue { within }))
                }
            }
        })
    }
}

fn keep(verdict: &OnceLock<String>, error: &Unusable) {
    verdict.get_or_init(|| error.to_string());
}

fn broken(error: &Broken) -> EmbedError {
    EmbedError::Broken(error.to_string())
}

#[cfg(test)]
mod tests;
