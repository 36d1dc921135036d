//! The process of a model: what `brain-node` is when a node starts it for an embedding model.
//!
//! A file may have any graph in it, and the engine bounds neither memory nor time. So it runs here,
//! where running out of memory, of the stack or of time ends one process that the node starts again.
//!
//! Invariant: it reads the two files and the socket that is its standard input, writes no file, and
//! ends when the node lets go of the socket, or when one text takes longer than it may.

use super::engine::Engine;
use super::talk::{self, Answer};
use crate::config::ModelFiles;
use std::io;
use std::os::fd::AsFd as _;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The most memory: a model of 512 MiB is there once as read and once as run, and as much again is
/// left to compute with.
pub(super) const MEMORY_BYTES_MAX: u64 = 3 << 30;
/// How often it is looked at whether a text takes too long.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// When what is being done began, if anything is.
type Clock = Arc<Mutex<Option<Instant>>>;

/// Runs a model until the node lets go. Texts that take longer than `text_max` end the process.
pub fn serve(files: &ModelFiles, text_max: Duration) -> io::Result<()> {
    limit()?;
    let mut stream = UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
    let clock = Clock::default();
    watch(Arc::clone(&clock), text_max);
    set(&clock, true);
    let engine = match Engine::read(files) {
        Ok(engine) => engine,
        Err(unusable) => return talk::say(&mut stream, &Answer::Failed(unusable.to_string())),
    };
    set(&clock, false);
    talk::say(&mut stream, &Answer::Ready(engine.identity()))?;
    while let Some(text) = talk::listen(&mut stream)? {
        set(&clock, true);
        let answer = match engine.embed_one(&text) {
            Ok(vector) => Answer::Vector(vector),
            Err(reason) => Answer::Failed(reason),
        };
        set(&clock, false);
        talk::say(&mut stream, &answer)?;
    }
    Ok(())
}

/// Takes from this process what it does not need.
fn limit() -> io::Result<()> {
    use rustix::process::{Resource, Rlimit, setrlimit};
    let at_most = |most: u64| Rlimit {
        current: Some(most),
        maximum: Some(most),
    };
    setrlimit(Resource::Fsize, at_most(0))?;
    // Elsewhere the address space has more in it than is used.
    #[cfg(target_os = "linux")]
    setrlimit(Resource::As, at_most(MEMORY_BYTES_MAX))?;
    Ok(())
}

fn set(clock: &Clock, is_busy: bool) {
    let mut began = clock.lock().unwrap_or_else(PoisonError::into_inner);
    *began = is_busy.then(Instant::now);
}

/// Ends the process when something takes too long: the node does so too, but it may be gone.
fn watch(clock: Clock, text_max: Duration) {
    std::thread::spawn(move || {
        loop {
            std::thread::sleep(LOOK_EVERY);
            let began = *clock.lock().unwrap_or_else(PoisonError::into_inner);
            if began.is_some_and(|began| began.elapsed() > text_max + LOOK_EVERY) {
                std::process::abort();
            }
        }
    });
}
