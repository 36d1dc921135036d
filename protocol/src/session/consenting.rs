//! Consent first: both sides exchange the events that say who may see what.
//!
//! Each side names how far it knows the pair's feeds, by a digest; where the digests are equal
//! nothing is left to say. Where they are not, each tells its frontier in full and the other
//! sends what lies beyond. After taking events in, a side tells its frontier again: that is the
//! acknowledgement. A peer that does not understand digests is told in full at once.

use super::syncing::Syncing;
use super::{Effect, Phase, Session};
use crate::limits::{CONSENT_EVENTS_MAX, FRAME_BYTES_TARGET};
use crate::wire::brief::Digest;
use crate::wire::control::{Control, FeedTip};

/// Consent events are exchanged.
#[derive(Debug, Default)]
pub(super) struct Consenting {
    /// What this side knew of the pair's feeds when it named it, and the name.
    told: Option<(Vec<FeedTip>, Digest)>,
    /// The name of what the peer knew.
    heard: Option<Digest>,
    /// What the peer said it knows, in full.
    theirs: Option<Vec<FeedTip>>,
    /// Whether the peer has been sent what it lacked.
    sent: bool,
    /// Whether the peer has sent what was lacking here.
    received: bool,
}

impl Session {
    pub(super) fn handle_own_frontier(&mut self, tips: Vec<FeedTip>) -> Vec<Effect> {
        let is_brief = self.is_brief();
        if let Phase::Consenting(consenting) = &mut self.phase
            && consenting.told.is_none()
            && is_brief
        {
            let digest = Digest::of_frontier(&tips);
            consenting.told = Some((tips, digest));
            let mut effects = vec![Effect::Send(Control::FrontierIs(digest))];
            effects.extend(self.compare_frontiers());
            return effects;
        }
        vec![Effect::Send(Control::Frontier(tips))]
    }

    pub(super) fn handle_frontier_is(&mut self, digest: Digest) -> Vec<Effect> {
        let is_brief = self.is_brief();
        let Phase::Consenting(consenting) = &mut self.phase else {
            return Vec::new();
        };
        if !is_brief || consenting.heard.replace(digest).is_some() {
            return self.violation("a frontier was named twice, or to who does not understand it");
        }
        self.compare_frontiers()
    }

    /// Both frontiers were named: where they are equal, nothing is left to say.
    fn compare_frontiers(&mut self) -> Vec<Effect> {
        let Phase::Consenting(consenting) = &mut self.phase else {
            return Vec::new();
        };
        let (Some((tips, told)), Some(heard)) = (&consenting.told, consenting.heard) else {
            return Vec::new();
        };
        let tips = tips.clone();
        if *told != heard {
            return vec![Effect::Send(Control::Frontier(tips))];
        }
        consenting.theirs = Some(tips.clone());
        (consenting.sent, consenting.received) = (true, true);
        let mut effects = vec![Effect::PeerKnows(tips.clone())];
        effects.extend(self.open_if_ready());
        // What was written here since the frontier was named goes out now.
        effects.push(Effect::LoadConsent(tips));
        effects
    }

    pub(super) fn handle_their_frontier(&mut self, tips: Vec<FeedTip>) -> Vec<Effect> {
        let mut effects = vec![Effect::PeerKnows(tips.clone())];
        match &mut self.phase {
            Phase::Consenting(consenting) => {
                consenting.theirs = Some(tips.clone());
                if !consenting.sent {
                    effects.push(Effect::LoadConsent(tips));
                }
            }
            Phase::Syncing(syncing) => syncing.their_frontier = tips,
            Phase::Greeting(_) | Phase::Closed => {}
        }
        effects
    }

    /// Consent changed here. Before the first exchange there is nothing to do: it carries all.
    pub(super) fn handle_consent_changed(&self) -> Vec<Effect> {
        let theirs = match &self.phase {
            Phase::Consenting(consenting) if consenting.sent => consenting.theirs.clone(),
            Phase::Syncing(syncing) => Some(syncing.their_frontier.clone()),
            _ => None,
        };
        theirs.map(Effect::LoadConsent).into_iter().collect()
    }

    pub(super) fn handle_consent_for(&mut self, events: &[Vec<u8>]) -> Vec<Effect> {
        let is_first = matches!(&self.phase, Phase::Consenting(consenting) if !consenting.sent);
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
        if let Phase::Consenting(consenting) = &mut self.phase {
            consenting.sent = true;
        }
        effects.extend(self.open_if_ready());
        effects
    }

    pub(super) fn handle_consent(&mut self, events: Vec<Vec<u8>>, last: bool) -> Vec<Effect> {
        if let Phase::Consenting(consenting) = &mut self.phase {
            consenting.received = consenting.received || last;
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
        match &mut self.phase {
            Phase::Consenting(consenting) if consenting.sent && consenting.received => {
                let theirs = consenting.theirs.take().unwrap_or_default();
                self.phase = Phase::Syncing(Box::new(Syncing::after(theirs)));
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
