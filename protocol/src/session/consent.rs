//! Consent first: both sides exchange the events that say who may see what.
//!
//! Each side tells how far it knows the pair's feeds; the other sends what lies beyond. After
//! taking events in, a side tells its frontier again: that is the acknowledgement.

use super::{Effect, Phase, Session};
use crate::limits::{CONSENT_EVENTS_MAX, FRAME_BYTES_TARGET};
use crate::wire::control::{Control, FeedTip};

impl Session {
    pub(super) fn handle_own_frontier(tips: Vec<FeedTip>) -> Vec<Effect> {
        vec![Effect::Send(Control::Frontier(tips))]
    }

    pub(super) fn handle_their_frontier(&mut self, tips: Vec<FeedTip>) -> Vec<Effect> {
        self.their_frontier.clone_from(&tips);
        let mut effects = vec![Effect::PeerKnows(tips.clone())];
        if let Phase::Consent { sent: false, .. } = self.phase {
            effects.push(Effect::LoadConsent(tips));
        }
        effects
    }

    /// Consent changed here. Before the first exchange there is nothing to do: it carries all.
    pub(super) fn handle_consent_changed(&self) -> Vec<Effect> {
        match self.phase {
            Phase::Consent { sent: true, .. } | Phase::Syncing(_) => {
                vec![Effect::LoadConsent(self.their_frontier.clone())]
            }
            _ => Vec::new(),
        }
    }

    pub(super) fn handle_consent_for(&mut self, events: &[Vec<u8>]) -> Vec<Effect> {
        let is_first = matches!(self.phase, Phase::Consent { sent: false, .. });
        if events.is_empty() && !is_first {
            return Vec::new();
        }
        let mut effects = Vec::new();
        let mut batches = batches(events);
        let last = batches.pop().unwrap_or_default();
        for events in batches {
            effects.push(Effect::Send(Control::Consent {
                events,
                last: false,
            }));
        }
        effects.push(Effect::Send(Control::Consent {
            events: last,
            last: true,
        }));
        if let Phase::Consent { sent, .. } = &mut self.phase {
            *sent = true;
        }
        effects.extend(self.open_if_ready());
        effects
    }

    pub(super) fn handle_consent(&mut self, events: Vec<Vec<u8>>, last: bool) -> Vec<Effect> {
        if let Phase::Consent { received, .. } = &mut self.phase {
            *received = *received || last;
        }
        vec![Effect::TakeConsent(events)]
    }

    pub(super) fn handle_consent_taken(&mut self) -> Vec<Effect> {
        let mut effects = vec![Effect::LoadFrontier];
        if matches!(self.phase, Phase::Syncing(_)) {
            effects.push(Effect::LoadView);
        }
        effects.extend(self.open_if_ready());
        effects
    }

    fn open_if_ready(&mut self) -> Vec<Effect> {
        match self.phase {
            Phase::Consent {
                sent: true,
                received: true,
            } => {
                self.phase = Phase::Syncing(Box::default());
                vec![Effect::LoadHeld, Effect::LoadView]
            }
            _ => Vec::new(),
        }
    }
}

/// Splits consent into messages that fit into frames: one may name thousands of memories.
fn batches(events: &[Vec<u8>]) -> Vec<Vec<Vec<u8>>> {
    let mut batches: Vec<Vec<Vec<u8>>> = Vec::new();
    let mut bytes = 0;
    for event in events {
        bytes += event.len();
        match batches.last_mut() {
            Some(batch) if batch.len() < CONSENT_EVENTS_MAX && bytes <= FRAME_BYTES_TARGET => {
                batch.push(event.clone());
            }
            _ => {
                bytes = event.len();
                batches.push(vec![event.clone()]);
            }
        }
    }
    batches
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_consent_events_do_not_share_a_message() {
        let events = [1, 200 << 10, 400 << 10, 100 << 10, 100 << 10].map(|size| vec![7; size]);
        let batches = batches(&events);
        let counts: Vec<usize> = batches.iter().map(Vec::len).collect();
        assert_eq!(counts, [2, 1, 2]);
        assert_eq!(batches.concat(), events);
        let many = vec![vec![1]; CONSENT_EVENTS_MAX + 1];
        assert_eq!(super::batches(&many).len(), 2);
        assert!(super::batches(&[]).is_empty());
    }
}
