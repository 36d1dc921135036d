//! The threads of the API: as many as there are cores, each with connections of its own.
//!
//! A request that only reads is answered on the thread it arrived on. To hand it to another one and
//! the answer back takes as long as a small request does, and when more are asked than there are
//! cores, each is answered in its turn instead of all of them late. What waits for a disk, a model
//! or a peer goes to a thread of its own; see `blocking`.
//!
//! They are no threads of the network's: neither waits for the other.

use std::io;
use std::num::NonZero;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::available_parallelism;
use std::time::Duration;
use tokio::runtime::{Builder, Handle, Runtime};

/// How long a thread waits for more work that blocks.
const IDLE_THREAD: Duration = Duration::from_mins(10);

/// Threads that serve connections, until all clones are gone.
#[derive(Debug, Clone)]
pub struct Threads(Arc<[Thread]>);

#[derive(Debug)]
struct Thread {
    handle: Handle,
    /// It has one worker: with more, one sleeps while the other computes and requests wait for it.
    runtime: Option<Runtime>,
    /// How many connections it has.
    seated: AtomicUsize,
}

/// The place of a connection on its thread.
#[derive(Debug)]
pub(super) struct Seat {
    threads: Threads,
    thread: usize,
}

impl Threads {
    /// Starts them.
    pub fn start() -> io::Result<Self> {
        let cores = available_parallelism().map_or(1, NonZero::get);
        let threads = (0..cores).map(|_| Thread::start());
        Ok(Self(threads.collect::<io::Result<_>>()?))
    }

    /// Takes a seat on the thread that has the fewest connections.
    pub(super) fn seat(&self) -> Seat {
        let seated = |thread: &usize| self.0[*thread].seated.load(Ordering::Relaxed);
        let thread = (0..self.0.len()).min_by_key(seated).unwrap_or_default();
        self.0[thread].seated.fetch_add(1, Ordering::Relaxed);
        Seat {
            threads: self.clone(),
            thread,
        }
    }
}

impl Thread {
    fn start() -> io::Result<Self> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("api")
            .enable_all()
            .thread_keep_alive(IDLE_THREAD)
            .build()?;
        Ok(Self {
            handle: runtime.handle().clone(),
            runtime: Some(runtime),
            seated: AtomicUsize::new(0),
        })
    }
}

impl Drop for Thread {
    fn drop(&mut self) {
        // The last to go may be a task, which must not wait.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Seat {
    pub(super) fn thread(&self) -> &Handle {
        &self.threads.0[self.thread].handle
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let seated = &self.threads.0[self.thread].seated;
        seated.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_are_spread_over_the_threads_and_leave_room_when_they_end() {
        let two = [Thread::start().unwrap(), Thread::start().unwrap()];
        let threads = Threads(two.into());
        let (one, other) = (threads.seat(), threads.seat());
        assert_ne!(one.thread, other.thread);
        let third = threads.seat();
        drop(other);
        drop(third);
        let again = threads.seat();
        assert_ne!(again.thread, one.thread);
    }
}
