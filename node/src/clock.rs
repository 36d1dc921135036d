//! The only reader of the system clock, and what this node does when that clock goes back.
//!
//! Grants end by the clock of who serves them, so a clock that is set back would serve what has
//! ended. Time here never goes back: what the store has seen is the floor, also after a restart.
//! Small steps back are waited out in silence; large ones are said, and only the person can tell
//! that it was the later time which was wrong.

use crdt::time::Timestamp;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Steps back up to this length are normal: clocks are corrected.
const NORMAL_STEP: Duration = Duration::from_mins(5);

static CLOCK: Clock = Clock(AtomicU64::new(0));

/// Returns the time, which never goes back.
pub fn now() -> Timestamp {
    CLOCK.at(system())
}

/// Learns the latest time that this node has seen before it started.
pub fn learn(seen: Timestamp) {
    CLOCK.0.fetch_max(seen.0, Ordering::Relaxed);
}

/// Returns how far the system clock is behind the latest time seen, if that is not normal.
pub fn set_back() -> Option<Duration> {
    CLOCK.behind(system())
}

/// Takes the system clock as right, because the person said so; returns the time.
pub fn accept() -> Timestamp {
    let system = system();
    CLOCK.0.store(system.0, Ordering::Relaxed);
    system
}

#[expect(
    clippy::disallowed_methods,
    reason = "this is the one place that reads the clock"
)]
fn system() -> Timestamp {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    Timestamp(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// The latest time seen, in milliseconds.
struct Clock(AtomicU64);

impl Clock {
    fn at(&self, system: Timestamp) -> Timestamp {
        let seen = self.0.fetch_max(system.0, Ordering::Relaxed);
        Timestamp(seen.max(system.0))
    }
    fn behind(&self, system: Timestamp) -> Option<Duration> {
        let seen = self.0.load(Ordering::Relaxed);
        let behind = Duration::from_millis(seen.saturating_sub(system.0));
        (behind > NORMAL_STEP).then_some(behind)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_is_set_back_is_not_believed() {
        let day = 86_400_000;
        let clock = Clock(AtomicU64::new(0));
        let start = Timestamp(100 * day);
        assert_eq!(clock.at(start), start);
        assert_eq!(clock.at(Timestamp(97 * day)), start);
        assert_eq!(
            clock.behind(Timestamp(97 * day)),
            Some(Duration::from_millis(3 * day))
        );
        // Two minutes are a correction, and change nothing but that time stands still.
        let corrected = Timestamp(start.0 - 120_000);
        assert_eq!(
            (clock.at(corrected), clock.behind(corrected)),
            (start, None)
        );
    }
}
