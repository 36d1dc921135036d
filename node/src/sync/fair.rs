//! Turns at the store: one peer's frame at a time, in the order they came, and after local writes.
//!
//! ```text
//! frame of a peer -> Turns::remote: behind the other peers, then behind who writes here -> store
//! request that writes -> Turns::local while it is worked on
//! ```
//!
//! A peer with a million memories to send gets every second turn beside one that sends an edit.
//! Nobody waits for the network while they hold a turn.
//! Invariant: local writes delay a peer's frame by at most [`LOCAL_FIRST_MAX`] each time.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::{Notify, Semaphore, SemaphorePermit};

/// How long a peer's frame stands back for local writes: a few commits, and then it is its turn,
/// however busy the person is.
const LOCAL_FIRST_MAX: Duration = Duration::from_millis(20);

/// Who may work on the store next.
#[derive(Debug)]
pub(super) struct Turns {
    remote: Semaphore,
    local: Arc<Local>,
}

#[derive(Debug, Default)]
struct Local {
    writing: AtomicUsize,
    done: Notify,
}

/// A local write that is worked on until this is dropped.
#[derive(Debug)]
pub struct Writing(Arc<Local>);

impl Default for Turns {
    fn default() -> Self {
        Self {
            // The store has one lock for writing: a second frame would only wait for it.
            remote: Semaphore::new(1),
            local: Arc::default(),
        }
    }
}

impl Turns {
    /// Says that someone here writes.
    pub(super) fn local(&self) -> Writing {
        self.local.writing.fetch_add(1, Ordering::AcqRel);
        Writing(Arc::clone(&self.local))
    }

    /// Waits for a turn to work on a peer's frame.
    pub(super) async fn remote(&self) -> Option<SemaphorePermit<'_>> {
        // It is never closed; without a turn the work would be done all the same.
        let turn = self.remote.acquire().await.ok();
        let quiet = async {
            loop {
                let done = self.local.done.notified();
                if self.local.writing.load(Ordering::Acquire) == 0 {
                    return;
                }
                done.await;
            }
        };
        if tokio::time::timeout(LOCAL_FIRST_MAX, quiet).await.is_err() {
            tracing::trace!("a peer's frame does not wait for local writes any longer");
        }
        turn
    }
}

impl Drop for Writing {
    fn drop(&mut self) {
        if self.0.writing.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.0.done.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;
    use std::time::Instant;

    #[tokio::test]
    async fn a_bulk_does_not_starve_an_edit() {
        let turns = Turns::default();
        let order = Mutex::new(Vec::new());
        let work = async |name: &'static str, times: usize| {
            for _ in 0..times {
                let turn = turns.remote().await;
                order.lock().expect("no test panics").push(name);
                // Others get to stand in line while this one works.
                tokio::task::yield_now().await;
                drop(turn);
            }
        };
        futures::join!(work("bulk", 100), work("edit", 3));
        let order = order.into_inner().expect("no test panics");
        let last = order.iter().rposition(|name| *name == "edit");
        assert!(last < Some(8), "the edits had to wait: {:?}", &order[..12]);
    }

    #[tokio::test]
    async fn local_writes_go_first_but_not_for_ever() {
        let turns = Turns::default();
        let writing = turns.local();
        let start = Instant::now();
        drop(turns.remote().await);
        assert!(start.elapsed() >= LOCAL_FIRST_MAX, "it stood back");
        let ends_soon = async {
            tokio::time::sleep(LOCAL_FIRST_MAX / 10).await;
            drop(writing);
        };
        let start = Instant::now();
        let (_turn, ()) = futures::join!(turns.remote(), ends_soon);
        assert!(start.elapsed() < LOCAL_FIRST_MAX, "it was let go at once");
    }
}
