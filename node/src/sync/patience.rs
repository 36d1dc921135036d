//! Patience: a device that breaks the protocol waits longer each time before it is talked to again.
//!
//! Only of devices that the transport and the store know; a stranger has a new key at hand
//! anyway. Faults are forgiven one by one, so an update that cures a peer needs nobody's help.
//! Invariant: a pause is never longer than [`PAUSE_MAX`].

use crdt::id::DeviceId;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// The pause after a first fault.
const PAUSE_MIN: Duration = Duration::from_secs(2);
/// The longest pause: a peer that was repaired is back within minutes.
const PAUSE_MAX: Duration = Duration::from_mins(10);
/// How long without a fault until one is forgiven.
const FORGIVE: Duration = Duration::from_mins(10);
/// Doublings that are counted; more would not lengthen the pause.
const FAULTS_MAX: u32 = 10;

/// What a device did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fault {
    /// How often, less what was forgiven.
    pub(super) count: u32,
    /// When it was last.
    pub(super) last: Instant,
    /// What it was last.
    pub(super) reason: String,
}

impl Fault {
    /// Returns how many faults are not forgiven yet.
    fn counts(&self, now: Instant) -> u32 {
        let quiet = now.saturating_duration_since(self.last);
        let forgiven = quiet.as_secs() / FORGIVE.as_secs();
        self.count
            .saturating_sub(u32::try_from(forgiven).unwrap_or(u32::MAX))
    }
    /// Returns when the device may come again.
    pub(super) fn until(&self) -> Instant {
        let doublings = self.count.saturating_sub(1);
        self.last + (PAUSE_MIN * 2_u32.pow(doublings)).min(PAUSE_MAX)
    }
}

/// The faults of all devices.
#[derive(Debug, Default)]
pub(super) struct Patience(BTreeMap<DeviceId, Fault>);

impl Patience {
    /// Notes a fault; returns how long the device has to wait.
    pub(super) fn note(&mut self, device: DeviceId, reason: &str, now: Instant) -> Duration {
        self.0.retain(|_, fault| fault.counts(now) > 0);
        let before = self.0.get(&device).map_or(0, |fault| fault.counts(now));
        let fault = Fault {
            count: (before + 1).min(FAULTS_MAX),
            last: now,
            reason: reason.to_owned(),
        };
        let pause = fault.until().saturating_duration_since(now);
        self.0.insert(device, fault);
        pause
    }

    /// Returns the fault that a device has to wait for.
    pub(super) fn pause(&self, device: &DeviceId, now: Instant) -> Option<&Fault> {
        self.0.get(device).filter(|fault| fault.until() > now)
    }

    /// Returns the devices that have to wait.
    pub(super) fn paused(&self, now: Instant) -> impl Iterator<Item = DeviceId> {
        let waiting = self.0.iter().filter(move |(_, fault)| fault.until() > now);
        waiting.map(|(device, _)| *device)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_end_and_are_forgiven() {
        let (device, start) = (DeviceId([1; 32]), Instant::now());
        let mut patience = Patience::default();
        let mut at = start;
        let mut pauses = Vec::new();
        for _ in 0..12 {
            let pause = patience.note(device, "bytes that do not read", at);
            assert!(patience.pause(&device, at).is_some());
            assert_eq!(patience.paused(at).count(), 1);
            at += pause;
            assert!(patience.pause(&device, at).is_none(), "it ends");
            pauses.push(pause);
        }
        assert_eq!(pauses[0], PAUSE_MIN);
        assert!(pauses.is_sorted() && pauses[3] == 8 * PAUSE_MIN);
        assert_eq!(pauses[11], PAUSE_MAX);
        let later = at + FORGIVE * 20;
        assert_eq!(patience.note(device, "again", later), PAUSE_MIN);
        assert!(patience.pause(&DeviceId([2; 32]), at).is_none());
    }
}
