//! The pace of sending: so many bytes a second, over all peers.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Holds senders back so that together they keep to a rate.
#[derive(Debug)]
pub(super) struct Pace {
    bytes_per_s: u64,
    /// When the next bytes may go.
    next: Mutex<Instant>,
}

impl Pace {
    /// Sets the rate; 0 holds nobody back.
    pub(super) fn new(bytes_per_s: u64) -> Self {
        Self {
            bytes_per_s,
            next: Mutex::new(Instant::now()),
        }
    }

    /// Waits until so many bytes may go.
    pub(super) async fn pass(&self, bytes: usize) {
        let wait = self.reserve(bytes, Instant::now());
        if !wait.is_zero() {
            tokio::time::sleep(wait).await;
        }
    }

    /// Takes the next place and returns how long it is until then.
    fn reserve(&self, bytes: usize, now: Instant) -> Duration {
        if self.bytes_per_s == 0 {
            return Duration::ZERO;
        }
        let micros = (bytes as u64).saturating_mul(1_000_000) / self.bytes_per_s;
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        let place = (*next).max(now);
        *next = place + Duration::from_micros(micros);
        place.saturating_duration_since(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn senders_share_the_rate() {
        let pace = Pace::new(1_000);
        let now = Instant::now();
        let waits = [500, 250, 250].map(|bytes| pace.reserve(bytes, now).as_millis());
        assert!(
            waits[0] <= 1 && (499..=501).contains(&waits[1]) && waits[2] >= 749,
            "{waits:?}"
        );
        assert!(Pace::new(0).reserve(1 << 30, now).is_zero());
    }
}
