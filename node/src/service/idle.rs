//! Idle: a node that nobody has used for a while locks itself, if it was told to.
//!
//! Use is what comes over the local API and an import that runs. What peers bring is none: a machine
//! that syncs all night while nobody is there is just the one to lock. Probes are none either.

use super::{Failure, Services};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How often it is looked whether the time is up.
const LOOK: Duration = Duration::from_secs(1);

/// When the node was last used, and how many requests are at it now.
#[derive(Debug)]
pub(crate) struct Idle {
    uses: AtomicUsize,
    last: Mutex<Instant>,
}

impl Default for Idle {
    fn default() -> Self {
        Self {
            uses: AtomicUsize::new(0),
            last: Mutex::new(Instant::now()),
        }
    }
}

impl Idle {
    fn begin(&self) {
        self.uses.fetch_add(1, Ordering::AcqRel);
    }

    fn end(&self) {
        // First the time, so that nobody finds it unused and long ago.
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
        self.uses.fetch_sub(1, Ordering::AcqRel);
    }

    /// Returns for how long nobody has used the node; none while somebody does.
    fn since(&self) -> Option<Duration> {
        let is_unused = self.uses.load(Ordering::Acquire) == 0;
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        is_unused.then(|| last.elapsed())
    }
}

/// A use of the node, until it is dropped.
#[derive(Debug)]
pub struct Use(Services);

impl Drop for Use {
    fn drop(&mut self) {
        self.0.0.idle.end();
    }
}

impl Services {
    /// Says that the node is used, until what is returned is dropped.
    #[must_use]
    pub fn used(&self) -> Use {
        self.0.idle.begin();
        Use(self.clone())
    }

    /// Locks the node once nobody has used it for so long; ends with the node.
    pub async fn lock_when_idle(self, after: Duration) -> Result<(), Failure> {
        loop {
            tokio::select! {
                () = self.0.shutdown.cancelled() => return Ok(()),
                () = tokio::time::sleep(LOOK.min(after)) => {}
            }
            let is_over = self.0.idle.since().is_some_and(|idle| idle >= after);
            if is_over && !self.0.jobs.is_busy() {
                tracing::info!(?after, "nobody used the node; it locks itself");
                return self.lock().map(drop);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_is_idle_only_between_uses() {
        let idle = Idle::default();
        assert!(idle.since().is_some());
        idle.begin();
        idle.begin();
        idle.end();
        assert_eq!(idle.since(), None, "one request is still at it");
        idle.end();
        assert!(idle.since().is_some_and(|idle| idle < LOOK));
    }
}
