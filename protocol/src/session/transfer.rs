//! Transfer: what is offered and asked for, within windows that bound what is on its way.
//!
//! ```text
//! to_offer -> Offer (the guard looks) -> frames out -> Stored by the peer
//! to_want  -> Want -> content arrives, or the peer says how much of it will not come
//! ```
//!
//! What is new here is offered while the peer may be asking for the same: an item goes out once, and
//! what came already is not asked for. Both memories begin anew with each reconciliation, so that
//! what was refused is found and tried again.

use super::Effect;
use crate::limits::{FRAME_EVENTS_MAX, WANT_MAX, WINDOW_FRAMES};
use crate::reconcile::{Blinded, Salt};
use crate::view::{Item, given_id, membership_id};
use crate::wire::content::Content;
use crate::wire::control::Control;
use std::collections::{BTreeSet, VecDeque};

/// An offer without all of its answers.
#[derive(Debug)]
struct Out {
    items: Vec<[u8; 32]>,
    /// How many of its frames have no answer; none while the guard is looking at it.
    frames: Option<usize>,
}

/// What is on its way in both directions.
#[derive(Debug, Default)]
pub(super) struct Transfer {
    /// What the peer lacks and was not offered yet.
    to_offer: VecDeque<Item>,
    /// Offers, in order, and everything in them and in `to_offer`.
    out: VecDeque<Out>,
    underway: BTreeSet<[u8; 32]>,
    /// What the peer answered since the last reconciliation began.
    given: BTreeSet<[u8; 32]>,
    /// What is to be asked for, what was asked for and has not come, and how much of that the peer
    /// said will not come.
    to_want: VecDeque<Blinded>,
    wanted: BTreeSet<Blinded>,
    withheld: usize,
    /// What came since the last reconciliation began.
    arrived: BTreeSet<Blinded>,
    /// Content frames that are being stored here.
    storing: usize,
    /// What came from the peer since the view was last looked at: not to be offered back.
    received: BTreeSet<[u8; 32]>,
}

impl Transfer {
    /// Tells whether anything is on its way.
    pub(super) fn is_busy(&self) -> bool {
        !self.to_offer.is_empty()
            || !self.out.is_empty()
            || !self.to_want.is_empty()
            || self.awaited() + self.storing > 0
    }
    /// Returns how many of the wanted items are still to come.
    fn awaited(&self) -> usize {
        self.wanted.len().saturating_sub(self.withheld)
    }
    /// Returns how many frames are out, and how many offers the guard may make frames of.
    fn frames_out(&self) -> usize {
        self.out.iter().map(|out| out.frames.unwrap_or(1)).sum()
    }

    /// Offers what a reconciliation found, or what is late.
    pub(super) fn offer(&mut self, items: impl IntoIterator<Item = Item>) {
        for item in items {
            if self.underway.insert(item.id) {
                self.to_offer.push_back(item);
            }
        }
    }
    /// Offers what came into the view, unless the peer has it by asking. False if nothing of it.
    pub(super) fn offer_new(&mut self, items: impl IntoIterator<Item = Item>) -> bool {
        let before = self.to_offer.len();
        for item in items {
            if !self.given.contains(&item.id) && self.underway.insert(item.id) {
                self.to_offer.push_back(item);
            }
        }
        self.to_offer.len() > before
    }
    /// Offers what the peer asks for, and returns how much of it does not come: what it was given
    /// since the reconciliation began.
    pub(super) fn offer_wanted(&mut self, items: impl IntoIterator<Item = Item>) -> usize {
        let mut known = 0;
        for item in items {
            if self.given.contains(&item.id) {
                known += 1;
            } else if self.underway.insert(item.id) {
                self.to_offer.push_back(item);
            }
        }
        known
    }
    pub(super) fn want(&mut self, ids: impl IntoIterator<Item = Blinded>) {
        self.to_want.extend(ids);
    }
    /// Gives up on what was asked for and never came: the next reconciliation finds it again.
    pub(super) fn give_up(&mut self) {
        self.wanted.clear();
    }
    /// A reconciliation begins, or is not needed any more.
    pub(super) fn begin_anew(&mut self) {
        self.given.clear();
        self.arrived.clear();
    }

    /// Offers and asks as far as the windows allow.
    pub(super) fn pump(&mut self) -> Vec<Effect> {
        let mut effects = Vec::new();
        while self.frames_out() < WINDOW_FRAMES && !self.to_offer.is_empty() {
            let count = self.to_offer.len().min(FRAME_EVENTS_MAX);
            let items: Vec<Item> = self.to_offer.drain(..count).collect();
            self.out.push_back(Out {
                items: items.iter().map(|item| item.id).collect(),
                frames: None,
            });
            effects.push(Effect::Offer(items));
        }
        while self.awaited() == 0 && !self.to_want.is_empty() {
            let count = self.to_want.len().min(WANT_MAX);
            let ids = self.to_want.drain(..count);
            let ids: Vec<Blinded> = ids.filter(|id| !self.arrived.contains(id)).collect();
            if ids.is_empty() {
                continue;
            }
            self.wanted = ids.iter().copied().collect();
            self.withheld = 0;
            effects.push(Effect::Send(Control::Want(ids)));
        }
        effects
    }

    /// The guard looked at the oldest offer that it had not: so many frames left.
    pub(super) fn offered(&mut self, frames: usize) {
        if let Some(out) = self.out.iter_mut().find(|out| out.frames.is_none()) {
            out.frames = Some(frames);
        }
        self.close_answered();
    }
    /// The peer answered the oldest frame; false if none was out.
    pub(super) fn answered(&mut self) -> bool {
        let open = self.out.iter_mut();
        let mut open = open.filter_map(|out| out.frames.as_mut());
        let Some(frames) = open.find(|frames| **frames > 0) else {
            return false;
        };
        *frames -= 1;
        self.close_answered();
        true
    }
    /// Forgets the offers whose frames all have answers.
    fn close_answered(&mut self) {
        let (closed, open): (VecDeque<Out>, VecDeque<Out>) = std::mem::take(&mut self.out)
            .into_iter()
            .partition(|out| out.frames == Some(0));
        self.out = open;
        for id in closed.into_iter().flat_map(|out| out.items) {
            self.underway.remove(&id);
            self.given.insert(id);
        }
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
            let blinded = salt.blind(&id);
            self.wanted.remove(&blinded);
            self.arrived.insert(blinded);
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
