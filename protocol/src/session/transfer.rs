//! Transfer: what is offered and asked for, within windows that bound what is on its way.
//!
//! ```text
//! to_offer -> Offer (the guard looks) -> frames out -> Stored by the peer
//! to_want  -> Want -> content arrives, or the peer says how much of it will not come
//! ```

use super::Effect;
use crate::limits::{FRAME_EVENTS_MAX, WANT_MAX, WINDOW_FRAMES};
use crate::reconcile::{Blinded, Salt};
use crate::view::{Item, given_id, membership_id};
use crate::wire::content::Content;
use crate::wire::control::Control;
use std::collections::{BTreeSet, VecDeque};

/// What is on its way in both directions.
#[derive(Debug, Default)]
pub(super) struct Transfer {
    /// What the peer lacks and was not offered yet.
    to_offer: VecDeque<Item>,
    /// Content frames without an answer, and offers the guard is looking at.
    frames_out: usize,
    offers_out: usize,
    /// What is to be asked for, what was asked for and has not come, and how much of that the peer
    /// said will not come.
    to_want: VecDeque<Blinded>,
    wanted: BTreeSet<Blinded>,
    withheld: usize,
    /// Content frames that are being stored here.
    storing: usize,
    /// What came from the peer since the view was last looked at: not to be offered back.
    received: BTreeSet<[u8; 32]>,
}

impl Transfer {
    /// Tells whether anything is on its way.
    pub(super) fn is_busy(&self) -> bool {
        !self.to_offer.is_empty()
            || !self.to_want.is_empty()
            || self.frames_out + self.offers_out + self.awaited() + self.storing > 0
    }
    /// Returns how many of the wanted items are still to come.
    fn awaited(&self) -> usize {
        self.wanted.len().saturating_sub(self.withheld)
    }
    pub(super) fn offer(&mut self, items: impl IntoIterator<Item = Item>) {
        self.to_offer.extend(items);
    }
    pub(super) fn want(&mut self, ids: impl IntoIterator<Item = Blinded>) {
        self.to_want.extend(ids);
    }
    /// Gives up on what was asked for and never came: the next reconciliation finds it again.
    pub(super) fn give_up(&mut self) {
        self.wanted.clear();
    }

    /// Offers and asks as far as the windows allow.
    pub(super) fn pump(&mut self) -> Vec<Effect> {
        let mut effects = Vec::new();
        while self.frames_out + self.offers_out < WINDOW_FRAMES && !self.to_offer.is_empty() {
            let count = self.to_offer.len().min(FRAME_EVENTS_MAX);
            self.offers_out += 1;
            effects.push(Effect::Offer(self.to_offer.drain(..count).collect()));
        }
        if self.awaited() == 0 && !self.to_want.is_empty() {
            let count = self.to_want.len().min(WANT_MAX);
            let ids: Vec<Blinded> = self.to_want.drain(..count).collect();
            self.wanted = ids.iter().copied().collect();
            self.withheld = 0;
            effects.push(Effect::Send(Control::Want(ids)));
        }
        effects
    }

    /// The guard looked at an offer: so many frames left.
    pub(super) fn offered(&mut self, frames: usize) {
        self.offers_out = self.offers_out.saturating_sub(1);
        self.frames_out += frames;
    }
    /// The peer stored a frame; false if none was out.
    pub(super) fn answered(&mut self) -> bool {
        let was_out = self.frames_out > 0;
        self.frames_out = self.frames_out.saturating_sub(1);
        was_out
    }
    /// The peer will not send so many of the wanted.
    pub(super) fn withheld(&mut self, count: u32) {
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        self.withheld = self.withheld.saturating_add(count);
    }

    /// Content came and goes to the store.
    pub(super) fn receive(&mut self, content: &Content, salt: &Salt) {
        self.storing += 1;
        let events = content.events.iter();
        let events = events.filter_map(|event| crdt::event::Signed::from_bytes(event).ok());
        let keys = content.keys.iter();
        let ids = events.map(|event| event.id().0).chain(keys.flat_map(|key| {
            let (grant, memory) = (key.grant, key.memory);
            [
                membership_id(grant, memory),
                given_id(grant, memory, key.epoch),
            ]
        }));
        for id in ids {
            self.wanted.remove(&salt.blind(&id));
            self.received.insert(id);
        }
    }
    /// A frame is stored here; true if it was the last that was waiting.
    pub(super) fn stored(&mut self) -> bool {
        self.storing = self.storing.saturating_sub(1);
        self.storing == 0
    }
    /// Returns what came since the last look at the view.
    pub(super) fn take_received(&mut self) -> BTreeSet<[u8; 32]> {
        std::mem::take(&mut self.received)
    }
}
