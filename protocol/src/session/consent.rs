//! Consent first: both sides exchange the events that say who may see what.
//!
//! Each side tells how far it knows the pair's feeds; the other sends what lies beyond. After
//! taking events in, a side tells its frontier again: that is the acknowledgement.

use super::{Effect, Phase, Session};
use crate::limits::CONSENT_EVENTS_MAX;
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
        let batches = events.chunks(CONSENT_EVENTS_MAX).count();
        for (number, batch) in events.chunks(CONSENT_EVENTS_MAX).enumerate() {
            let (events, last) = (batch.to_vec(), number + 1 == batches);
            effects.push(Effect::Send(Control::Consent { events, last }));
        }
        if batches == 0 {
            effects.push(Effect::Send(Control::Consent {
                events: Vec::new(),
                last: true,
            }));
        }
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
                vec![Effect::LoadView]
            }
            _ => Vec::new(),
        }
    }
}
