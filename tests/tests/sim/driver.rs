//! The driver of one session: runs its effects on a store, the way the daemon does.
//!
//! ```text
//! frame in -> Session::handle -> effects, each answered before the next -> frames out
//! ```
//!
//! Invariant: consent that a disclosure made new goes out before the content, and content goes out
//! only after its ledger entry is durable.

use crate::node::{Node, Reference};
use crdt::event::Signed;
use crdt::id::{DeviceId, EventId, GrantId, MemoryId, PersonId};
use crdt::time::Timestamp;
use protocol::limits::{FRAME_BYTES_TARGET, FRAME_EVENTS_MAX};
use protocol::reconcile::Run;
use protocol::session::{Admission, Effect, Input, Role, Session, Timer};
use protocol::view::{Item, View};
use protocol::wire::content::Content;
use protocol::wire::control::{FeedTip, Hello, RefusedBecause, RefusedEvent};
use protocol::wire::{FRAME_HEADER_BYTES, Message, content_frame, control_frame};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use storage::ledger::{Fault, Witnessed};
use storage::store::StoreError;
use storage::store::query::Frontier;
use storage::tx::Disclosure;

/// What left a node under one decision of the guard.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Sent {
    pub(crate) person: PersonId,
    pub(crate) memory: MemoryId,
    pub(crate) events: Vec<EventId>,
}

/// One side of a connection.
pub(crate) struct End {
    pub(crate) session: Session,
    pub(crate) peer: PersonId,
    device: DeviceId,
    /// What of this node's ledger is not what the peer witnessed.
    pub(crate) faults: Vec<Fault>,
    /// What became of the peer's checkpoints.
    pub(crate) witnessed: Vec<Witnessed>,
    /// Frames to be put on the wire.
    pub(crate) out: Vec<Vec<u8>>,
    pub(crate) timers: BTreeMap<Timer, Timestamp>,
    pub(crate) closed: Option<(&'static str, bool)>,
    /// Whether the store took something in that other sessions should know of.
    pub(crate) changed: bool,
    /// Content that left, as it was decided.
    pub(crate) sent: Vec<Content>,
    pub(crate) disclosed: Vec<Sent>,
    /// Events that this side said it stored.
    pub(crate) stored: Vec<EventId>,
    /// Whether the store may fail under this end; the session ends then, as in the daemon.
    pub(crate) may_fail: bool,
    /// Own late changes that were handed to the owner in this session.
    handed: BTreeSet<EventId>,
    index: BTreeMap<[u8; 32], Reference>,
    /// The view that the session was last told of.
    view: View,
    consent: Frontier,
}

/// Returns what a node says when it greets.
pub(crate) fn hello(node: &Node, nonce: [u8; 16]) -> Hello {
    Hello {
        version_min: node.speaks.0,
        version_max: node.speaks.1,
        certificate: node.certificate.clone(),
        nonce,
        alias: "node".to_owned(),
        addresses: Vec::new(),
        ticket: None,
    }
}

impl End {
    pub(crate) fn new(role: Role, node: &Node, peer: &Node, nonce: [u8; 16]) -> Self {
        Self {
            session: Session::new(role, peer.certificate.device, hello(node, nonce)),
            peer: peer.person(),
            device: peer.certificate.device,
            faults: Vec::new(),
            witnessed: Vec::new(),
            out: Vec::new(),
            timers: BTreeMap::new(),
            closed: None,
            changed: false,
            sent: Vec::new(),
            disclosed: Vec::new(),
            stored: Vec::new(),
            may_fail: false,
            handed: BTreeSet::new(),
            index: BTreeMap::new(),
            view: View::default(),
            consent: node.store().consent_frontier(peer.person()),
        }
    }

    /// Takes in a frame.
    pub(crate) fn receive(&mut self, node: &Node, frame: &[u8], now: Timestamp) {
        let bytes = frame.get(FRAME_HEADER_BYTES..).unwrap_or_default();
        let input = match Message::from_frame(bytes).expect("frames of our own read") {
            Message::Control(control) => Input::Message(control),
            Message::Content(content) => Input::Content(content),
        };
        self.handle(node, input, now);
    }

    /// Takes in a frame that may be anything; tells whether it read.
    pub(crate) fn receive_any(&mut self, node: &Node, frame: &[u8], now: Timestamp) -> bool {
        let is_whole = frame.split_first_chunk().is_some_and(|(header, rest)| {
            protocol::wire::frame_length(*header) == Some(rest.len())
        });
        let reads = is_whole && Message::from_frame(&frame[FRAME_HEADER_BYTES..]).is_ok();
        if reads {
            self.receive(node, frame, now);
        } else {
            self.handle(node, Input::Disconnected, now);
        }
        reads
    }

    /// Hands own changes that a revocation cut off to the owner, once in a session.
    pub(crate) fn hand_over(&mut self, node: &Node, now: Timestamp) {
        if !self.session.status().is_open {
            return;
        }
        let mut late = node.store().late_for(self.peer);
        late.retain(|(_, event)| self.handed.insert(*event));
        if !late.is_empty() {
            let items = late
                .into_iter()
                .map(|(time, event)| protocol::view::event_item(time.0, event));
            self.handle(node, Input::Late(items.collect()), now);
        }
    }

    /// Ends the session because the store failed, if that may be.
    fn kept<T, E: std::fmt::Debug>(
        &mut self,
        node: &Node,
        done: Result<T, E>,
        now: Timestamp,
    ) -> Option<T> {
        match done {
            Ok(value) => Some(value),
            Err(_) if self.may_fail => {
                self.handle(node, Input::Disconnected, now);
                None
            }
            Err(error) => panic!("the store failed: {error:?}"),
        }
    }

    /// Tells the session what changed in the store: consent first.
    pub(crate) fn refresh(&mut self, node: &Node, now: Timestamp) {
        self.tell_consent(node, now);
        self.load_view(node, now);
    }

    fn tell_consent(&mut self, node: &Node, now: Timestamp) {
        let known = node.store().consent_frontier(self.peer);
        if known != self.consent {
            self.consent = known;
            self.handle(node, Input::ConsentChanged, now);
        }
    }

    /// Fires the timers that are due.
    pub(crate) fn tick(&mut self, node: &Node, now: Timestamp) {
        let due: Vec<Timer> = self
            .timers
            .iter()
            .filter(|(_, at)| **at <= now)
            .map(|(timer, _)| *timer)
            .collect();
        for timer in due {
            self.timers.remove(&timer);
            self.handle(node, Input::Fired(timer), now);
        }
    }

    /// Hands an input to the session and runs what follows, depth first: an effect is answered,
    /// and the answer's effects are run, before the next effect.
    pub(crate) fn handle(&mut self, node: &Node, input: Input, now: Timestamp) {
        let mut effects: VecDeque<Effect> = self.session.handle(input, now).into();
        while let Some(effect) = effects.pop_front() {
            self.run(node, effect, now);
        }
    }

    #[expect(clippy::too_many_lines, reason = "one arm an effect")]
    fn run(&mut self, node: &Node, effect: Effect, now: Timestamp) {
        let peer = self.peer;
        match effect {
            Effect::Send(control) => self.out.push(control_frame(&control)),
            Effect::Admit(hello) => {
                let person = hello.certificate.person;
                let is_paired = node.store().read(|state| state.is_paired(person));
                let admission = if is_paired && person == self.peer {
                    Admission::Welcome(person)
                } else {
                    Admission::Refuse(RefusedBecause::NotPaired)
                };
                self.timers.remove(&Timer::Greeting);
                self.handle(node, Input::Admission(Box::new(admission)), now);
            }
            Effect::LoadFrontier => {
                let tips = tips(&node.store().consent_frontier(self.peer));
                self.handle(node, Input::Frontier(tips), now);
            }
            Effect::LoadConsent(tips) => {
                let known = tips
                    .iter()
                    .map(|tip| ((tip.author, tip.incarnation, tip.feed), tip.next));
                let events = node.store().consent_beyond(peer, &known.collect());
                if let Some(events) = self.kept(node, events, now) {
                    self.handle(node, Input::ConsentFor(events), now);
                }
            }
            Effect::TakeConsent(events) => {
                let store = node.store();
                let taken =
                    store.transact::<_, StoreError>(now, |tx| tx.take_consent(peer, &events));
                if let Some(taken) = self.kept(node, taken, now) {
                    self.changed |= taken.stored > 0;
                    self.consent = node.store().consent_frontier(peer);
                    self.handle(node, Input::ConsentTaken, now);
                }
            }
            Effect::LoadView => self.load_view(node, now),
            Effect::LoadRun { salt, since } => {
                let run = Run::new(&self.view, &salt, since).map(Box::new);
                self.handle(node, Input::Run(run), now);
            }
            Effect::Offer(items) => self.offer(node, &items, now),
            Effect::Store(content) => self.store(node, &content, now),
            Effect::LoadHeld => self.show_held(node, now),
            Effect::TakeEcho(held) => {
                let fault = node.store().take_echo((peer, self.device), &held, now);
                if let Some(fault) = self.kept(node, fault, now) {
                    self.faults.extend(fault);
                }
            }
            Effect::LoadCheckpoint { since } => {
                let made = node.store().checkpoint(peer, since, now);
                if let Some((checkpoint, proof)) = self.kept(node, made, now) {
                    let checkpoint = Box::new(checkpoint);
                    self.handle(node, Input::Checkpoint { checkpoint, proof }, now);
                }
            }
            Effect::TakeCheckpoint {
                checkpoint,
                proof,
                shown,
            } => {
                let by = (peer, self.device);
                let shown = shown.as_deref();
                let taken = node
                    .store()
                    .take_checkpoint(by, &checkpoint, &proof, shown, now);
                match self.kept(node, taken, now) {
                    Some(Witnessed::Outdated) => self.handle(node, Input::Disconnected, now),
                    Some(taken) => {
                        self.witnessed.push(taken);
                        self.show_held(node, now);
                    }
                    None => {}
                }
            }
            Effect::SetTimer(timer, after) => {
                self.timers.insert(timer, now.plus_ms(after));
            }
            Effect::RefusedThere(events) => {
                let settled = node.store().transact::<_, StoreError>(now, |tx| {
                    tx.settle_late(peer, &events);
                    Ok(())
                });
                self.kept(node, settled, now);
            }
            Effect::Close { reason, fault } => self.closed = Some((reason, fault)),
            Effect::Enrolled(_)
            | Effect::Refused(_)
            | Effect::PeerKnows(_)
            | Effect::Report(_)
            | Effect::Trace(_) => {}
        }
    }

    fn show_held(&mut self, node: &Node, now: Timestamp) {
        let held = node.store().held(self.device);
        if let Some(held) = self.kept(node, held, now) {
            let held = held.map(|held| Box::new(held.checkpoint));
            self.handle(node, Input::Held(held), now);
        }
    }

    fn load_view(&mut self, node: &Node, now: Timestamp) {
        let (view, index) = node.view(self.peer, now);
        self.index.extend(index);
        let before = std::mem::replace(&mut self.view, view);
        let change = before.change_to(&self.view);
        self.handle(node, Input::View(change), now);
    }

    fn offer(&mut self, node: &Node, items: &[Item], now: Timestamp) {
        let (mut events, mut members) = (Vec::new(), Vec::<(GrantId, MemoryId)>::new());
        for item in items {
            match self.index.get(&item.id) {
                Some(Reference::Event(event)) => events.push(*event),
                Some(Reference::Member(grant, memory)) => members.push((*grant, *memory)),
                None if self.handed.contains(&EventId(item.id)) => events.push(EventId(item.id)),
                None => panic!("an item was offered that was never in the view"),
            }
        }
        let (peer, head) = (self.peer, node.store().read(|state| state.head));
        let disclosure = node
            .store()
            .transact(now, |tx| tx.disclose(peer, &events, &members));
        let Some(disclosure) = self.kept(node, disclosure, now) else {
            return;
        };
        self.changed |= node.store().read(|state| state.head) != head;
        self.tell_consent(node, now);
        let frames = frames(&disclosure);
        for frame in &frames {
            self.out.push(content_frame(frame));
        }
        self.disclosed.extend(sent(peer, &frames));
        let count = frames.len();
        self.sent.extend(frames);
        let withheld = disclosure.withheld;
        self.handle(
            node,
            Input::Offered {
                frames: count,
                withheld,
            },
            now,
        );
    }

    fn store(&mut self, node: &Node, content: &Content, now: Timestamp) {
        let peer = self.peer;
        let taken = node.store().transact::<_, StoreError>(now, |tx| {
            tx.take_content(peer, &content.events, &content.keys)
        });
        let Some(taken) = self.kept(node, taken, now) else {
            return;
        };
        let ids = content.events.iter();
        let ids = ids.filter_map(|event| Some(Signed::from_bytes(event).ok()?.id()));
        let is_refused = |id: &EventId| taken.refused.iter().any(|(refused, _)| refused == id);
        self.stored.extend(ids.filter(|id| !is_refused(id)));
        self.changed |= taken.stored + taken.members > 0;
        let refused = taken.refused.into_iter().map(|(event, code)| RefusedEvent {
            event,
            code: code.to_owned(),
        });
        let (stored, refused) = (taken.stored + taken.members, refused.collect());
        self.handle(node, Input::Stored { stored, refused }, now);
    }
}

fn tips(frontier: &Frontier) -> Vec<FeedTip> {
    let tip = |(&(author, incarnation, feed), &next)| FeedTip {
        author,
        incarnation,
        feed,
        next,
    };
    frontier.iter().map(tip).collect()
}

/// Packs what was disclosed into frames: the keys of a memory go with or before its events.
pub(crate) fn frames(disclosure: &Disclosure) -> Vec<Content> {
    let mut frames = Vec::new();
    let mut frame = Content::default();
    let mut bytes = 0;
    for memory in &disclosure.memories {
        for key in &memory.keys {
            if frame.keys.len() == 4 * FRAME_EVENTS_MAX {
                frames.push(std::mem::take(&mut frame));
                bytes = 0;
            }
            bytes += key.sealed.len();
            frame.keys.push(key.clone());
        }
        for (_, event) in &memory.events {
            let is_full = frame.events.len() == FRAME_EVENTS_MAX
                || (!frame.events.is_empty() && bytes + event.len() > FRAME_BYTES_TARGET);
            if is_full {
                frames.push(std::mem::take(&mut frame));
                bytes = 0;
            }
            bytes += event.len();
            frame.events.push(event.clone());
        }
    }
    if frame != Content::default() {
        frames.push(frame);
    }
    frames
}

/// Reads from frames what left of each memory.
fn sent(person: PersonId, frames: &[Content]) -> Vec<Sent> {
    let mut by_memory: BTreeMap<MemoryId, Vec<EventId>> = BTreeMap::new();
    for frame in frames {
        for key in &frame.keys {
            by_memory.entry(key.memory).or_default();
        }
        for bytes in &frame.events {
            let event = Signed::from_bytes(bytes).expect("events of our own read");
            let memory = event.memory().expect("content is about memories");
            by_memory.entry(memory).or_default().push(event.id());
        }
    }
    let sent = by_memory.into_iter().map(|(memory, events)| Sent {
        person,
        memory,
        events,
    });
    sent.collect()
}
