//! What one device may make this node do in a second: take in bytes, look at events, check
//! signatures.
//!
//! Over the budget nothing is refused: the session stops reading until the budget allows the next
//! frame, and the transport makes the peer wait. What was refused costs more than what was kept,
//! so rubbish is slower than memories. The limits are several times what a first sync reaches.

use protocol::wire::Message;
use protocol::wire::control::Control;
use std::time::{Duration, Instant};

/// What may be done at once, and in every second after that.
#[derive(Debug, Clone, Copy)]
struct Limit {
    per_second: u32,
    at_once: u32,
}

/// Bytes of frames: a fast home line; a first sync moves a few MB a second.
const BYTES: Limit = Limit {
    per_second: 32 << 20,
    at_once: 64 << 20,
};
/// Events that were taken in or looked at; a first sync takes in about 2,000 a second.
const EVENTS: Limit = Limit {
    per_second: 10_000,
    at_once: 20_000,
};
/// Signatures of events, of consent and of greetings: half a core's work.
const CHECKS: Limit = Limit {
    per_second: 10_000,
    at_once: 20_000,
};
/// How many times the price of an event is that of one that was refused.
pub(super) const REFUSED_COSTS: u32 = 16;

/// How many items of a view are gone through for the price of an event: the peer begins a
/// reconciliation with a few bytes, and this side looks at all it has.
const ITEMS_AN_EVENT: u64 = 64;

/// A bucket, as the time at which it is full again.
#[derive(Debug, Clone, Copy)]
struct Bucket {
    limit: Limit,
    full_at: Instant,
}

impl Bucket {
    fn new(limit: Limit, now: Instant) -> Self {
        let full_at = now;
        Self { limit, full_at }
    }

    /// Takes something out; returns how long to wait until the bucket is not overdrawn.
    fn take(&mut self, amount: u32, now: Instant) -> Duration {
        let takes = |amount: u32| {
            Duration::from_secs(1).mul_f64(f64::from(amount) / f64::from(self.limit.per_second))
        };
        self.full_at = self.full_at.max(now) + takes(amount);
        let debt = self.full_at.saturating_duration_since(now);
        debt.saturating_sub(takes(self.limit.at_once))
    }
}

/// The budget of a device.
#[derive(Debug, Clone, Copy)]
pub(super) struct Budget {
    bytes: Bucket,
    events: Bucket,
    checks: Bucket,
}

/// What something costs.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Cost {
    pub(super) bytes: usize,
    pub(super) events: usize,
    pub(super) checks: usize,
}

impl Cost {
    /// Returns what a frame costs that reads as this, or not at all, from a peer whose view has
    /// so many items.
    pub(super) fn of(bytes: usize, message: Option<&Message>, items: u64) -> Self {
        let events = match message {
            Some(Message::Content(content)) => content.events.len(),
            Some(Message::Control(Control::Consent { events, .. })) => events.len(),
            Some(Message::Control(Control::Recent(_) | Control::Reconcile { first: true, .. })) => {
                usize::try_from(1 + items / ITEMS_AN_EVENT).unwrap_or(usize::MAX)
            }
            // A greeting and a checkpoint are signed; other words are cheap.
            _ => 1,
        };
        Self {
            bytes,
            events,
            checks: events,
        }
    }
}

impl Budget {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            bytes: Bucket::new(BYTES, now),
            events: Bucket::new(EVENTS, now),
            checks: Bucket::new(CHECKS, now),
        }
    }

    /// Charges what was done; returns how long to wait before more is done.
    pub(super) fn charge(&mut self, cost: Cost, now: Instant) -> Duration {
        let amount = |amount: usize| u32::try_from(amount).unwrap_or(u32::MAX);
        let bytes = self.bytes.take(amount(cost.bytes), now);
        let events = self.events.take(amount(cost.events), now);
        let checks = self.checks.take(amount(cost.checks), now);
        bytes.max(events).max(checks)
    }

    /// Tells whether nothing is owed, so that the budget need not be remembered.
    pub(super) fn is_full(&self, now: Instant) -> bool {
        [self.bytes, self.events, self.checks]
            .iter()
            .all(|bucket| bucket.full_at <= now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(events: usize) -> Cost {
        Cost {
            bytes: 256 << 10,
            events,
            checks: events,
        }
    }

    #[test]
    fn a_first_sync_at_full_speed_never_waits() {
        let start = Instant::now();
        let mut budget = Budget::new(start);
        // 100,000 memories in frames of 128, 4,000 events a second: twice what was measured.
        for number in 0..782 {
            let now = start + Duration::from_millis(32 * number);
            assert_eq!(budget.charge(frame(128), now), Duration::ZERO, "{number}");
        }
    }

    #[test]
    fn reconciliations_without_end_are_slowed_down() {
        let start = Instant::now();
        let mut budget = Budget::new(start);
        let again = Message::Control(Control::Reconcile {
            first: true,
            bytes: Vec::new(),
        });
        let (mut now, mut runs) = (start, 0);
        while now < start + Duration::from_mins(1) {
            runs += 1;
            now += budget.charge(Cost::of(9, Some(&again), 1_000_000), now);
            now += Duration::from_millis(1);
        }
        // A million items take most of a second to go through.
        assert!(runs < 60, "{runs} in a minute");
    }

    #[test]
    fn a_flood_of_rubbish_is_slowed_down_and_forgiven() {
        let start = Instant::now();
        let mut budget = Budget::new(start);
        let mut now = start;
        let mut frames = 0;
        while now < start + Duration::from_secs(10) {
            frames += 1;
            now += budget.charge(frame(256 * REFUSED_COSTS as usize), now);
            now += Duration::from_millis(1);
        }
        let per_second = frames * 256 / 10;
        assert!((500..1_000).contains(&per_second), "{per_second} events");
        assert!(!budget.is_full(now));
        assert!(budget.is_full(now + Duration::from_secs(5)));
    }
}
