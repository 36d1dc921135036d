//! The threads of the API: as many as there are cores, each with connections of its own.
//!
//! A request that only reads is answered on the thread it arrived on. To hand it to another one and
//! the answer back takes as long as a small request does, and when more are asked than there are
//! cores, each is answered in its turn instead of all of them late. What waits for a disk or a model
//! goes to a thread of its own, what waits for a peer to the node's tasks; see `blocking`.
//!
//! They are no threads of the network's: neither waits for the other. Nothing may block here for
//! longer than it takes to read; see [`crate::tasks`].
//!
//! Invariant: on a thread, whoever asked first is answered first.

use std::convert::Infallible;
use std::io;
use std::num::NonZero;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::available_parallelism;
use std::time::Duration;
use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;

/// What the system calls these threads, and those that block for them.
const NAME: &str = "api";
/// How long a thread waits for more work that blocks.
const IDLE_THREAD: Duration = Duration::from_mins(10);

/// Threads that serve connections, until all clones are gone.
#[derive(Debug, Clone)]
pub struct Threads(Arc<[Thread]>);

#[derive(Debug)]
struct Thread {
    /// It is a runtime of one thread, which takes up what is ready in the order in which it became so. A
    /// worker of a larger one begins with the last: with eight programs that search, a quarter of the
    /// requests overtook the others.
    handle: Handle,
    /// How many connections it has.
    seated: AtomicUsize,
    /// It ends when this is dropped.
    _alive: oneshot::Sender<Infallible>,
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
        let runtime = Builder::new_current_thread()
            .enable_all()
            .thread_name(NAME)
            .thread_keep_alive(IDLE_THREAD)
            .build()?;
        let handle = runtime.handle().clone();
        let (alive, gone) = oneshot::channel::<Infallible>();
        std::thread::Builder::new()
            .name(NAME.to_owned())
            .spawn(move || {
                // Whichever way it ends: nobody holds the other half any more.
                drop(runtime.block_on(gone));
                runtime.shutdown_background();
            })?;
        Ok(Self {
            handle,
            seated: AtomicUsize::new(0),
            _alive: alive,
        })
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
    use std::io::Write as _;
    use std::os::unix::net::UnixStream as StdUnixStream;
    use std::sync::{Mutex, mpsc};
    use tokio::io::AsyncReadExt as _;
    use tokio::net::UnixStream;

    const ASKERS: usize = 8;

    #[test]
    fn whoever_asks_first_is_answered_first() {
        let thread = Thread::start().unwrap();
        let order = Arc::new(Mutex::new(Vec::new()));
        let (mut askers, mut answered) = (Vec::new(), Vec::new());
        for number in 0..ASKERS {
            let (asker, asked) = StdUnixStream::pair().unwrap();
            asked.set_nonblocking(true).unwrap();
            let order = Arc::clone(&order);
            answered.push(thread.handle.spawn(async move {
                let mut asked = UnixStream::from_std(asked).unwrap();
                asked.read_u8().await.unwrap();
                order.lock().unwrap().push(number);
            }));
            askers.push(asker);
        }
        // All ask while the thread is at work.
        let ((at_work, is_at_work), (let_go, is_let_go)) = (mpsc::channel(), mpsc::channel());
        thread.handle.spawn(async move {
            at_work.send(()).unwrap();
            is_let_go.recv().unwrap();
        });
        is_at_work.recv().unwrap();
        for asker in &mut askers {
            asker.write_all(b"?").unwrap();
        }
        let_go.send(()).unwrap();
        let runtime = Builder::new_current_thread().build().unwrap();
        for answered in answered {
            runtime.block_on(answered).unwrap();
        }
        let expect: Vec<usize> = (0..ASKERS).collect();
        assert_eq!(*order.lock().unwrap(), expect);
    }

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
