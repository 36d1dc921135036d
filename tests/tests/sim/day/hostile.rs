//! Hostile nodes: paired persons with real keys, whose side of the session is a script.
//!
//! ```text
//! frame to them   -> overhear -> their store and session, which see what the script lets through
//! frame from them -> twist    -> what really goes onto the wire, nothing or more than one
//! attack          -> frames out of nothing, at a time of the plan
//! ```
//!
//! They run the real session so that they get far enough to do harm. Whatever they do, honest
//! nodes agree with each other, take in nothing unverified, and give away nothing more.

use super::plan::{NODES, Step, What};
use super::run::{Day, Due};
use crdt::codec::Canonical as _;
use crdt::event::body::Answer;
use crdt::event::{Event, Feed, Header, Incarnation, Kind, Signed};
use crdt::hash::Hash;
use crdt::id::{DeviceId, EventId, GrantId};
use crdt::time::Hybrid;
use protocol::limits::FRAME_BYTES_MAX;
use protocol::view::Summary;
use protocol::wire::content::Content;
use protocol::wire::control::{Control, FeedTip};
use protocol::wire::{FRAME_HEADER_BYTES, Message, content_frame, control_frame};
use std::collections::{BTreeMap, BTreeSet};

/// The most frames that are kept to be sent again.
const HEARD_MAX: usize = 400;
/// The most reconciliations that are begun for nothing in a day: enough for the limit to strike.
const ENDLESS_MAX: u32 = 700;
/// How long until a hostile node goes back to the copy it took of itself.
const FORK_MS: u64 = 2_700_000;

/// What a hostile node does and knows.
#[derive(Default)]
pub(super) struct Hostile {
    modes: BTreeSet<What>,
    /// Frames that went to them or came from them.
    heard: Vec<Vec<u8>>,
    /// What each peer last said of its view.
    claims: BTreeMap<usize, Summary>,
    /// A message that begins a reconciliation.
    begin: Option<Vec<u8>>,
    begun: u32,
}

fn read(frame: &[u8]) -> Option<Message> {
    Message::from_frame(frame.get(FRAME_HEADER_BYTES..)?).ok()
}

impl Day {
    /// Returns a frame as its receiver takes it.
    pub(super) fn overhear(&mut self, (from, to): (usize, usize), frame: Vec<u8>) -> Vec<u8> {
        if self.is_hostile(from) {
            if let Some(Message::Content(content)) = read(&frame) {
                let persons = self.persons();
                self.rules
                    .content_of_hostile((from, to), &persons, &content);
            }
            self.rules.frame_of_hostile(from, &frame);
            self.count("frames of hostile nodes");
        }
        let Some(hostile) = self.machines[to].hostile.as_mut() else {
            return frame;
        };
        if hostile.heard.len() < HEARD_MAX {
            hostile.heard.push(frame.clone());
        }
        match read(&frame) {
            Some(Message::Control(Control::Proof { summary, .. })) => {
                hostile.claims.insert(from, summary);
                self.begin_again((to, from));
            }
            Some(Message::Control(Control::Reconcile { .. })) => self.begin_again((to, from)),
            Some(Message::Control(Control::Consent { last, .. }))
                if hostile.modes.contains(&What::Deaf) =>
            {
                let events = Vec::new();
                return control_frame(&Control::Consent { events, last });
            }
            _ => {}
        }
        frame
    }

    /// Begins one more reconciliation, if that is the mood.
    fn begin_again(&mut self, (from, to): (usize, usize)) {
        let Some(hostile) = self.machines[from].hostile.as_mut() else {
            return;
        };
        if !hostile.modes.contains(&What::Endless) || hostile.begun >= ENDLESS_MAX {
            return;
        }
        if let Some(frame) = hostile.begin.clone() {
            hostile.begun += 1;
            self.send_raw((from, to), frame);
        }
    }

    fn send_raw(&mut self, (from, to): (usize, usize), frame: Vec<u8>) {
        self.count("frames out of nothing");
        let pair = super::net::pair(from, to);
        self.send(pair, usize::from(from > to), frame);
    }

    /// Returns what goes onto the wire instead of a frame.
    pub(super) fn twist(&mut self, (from, to): (usize, usize), frame: Vec<u8>) -> Vec<Vec<u8>> {
        let Some(hostile) = self.machines[from].hostile.as_mut() else {
            return vec![frame];
        };
        if hostile.heard.len() < HEARD_MAX {
            hostile.heard.push(frame.clone());
        }
        let does = |what| hostile.modes.contains(&what);
        match read(&frame) {
            Some(
                Message::Content(_)
                | Message::Control(Control::Stored { .. } | Control::Want(_) | Control::Withheld(_)),
            ) if does(What::Mute) => Vec::new(),
            Some(Message::Control(Control::Proof { wants_answer, .. })) if does(What::Lie) => {
                let summary = hostile.claims.get(&to).copied();
                let lie = summary.map(|summary| Control::Proof {
                    summary,
                    wants_answer,
                });
                vec![lie.map_or(frame, |lie| control_frame(&lie))]
            }
            Some(Message::Control(Control::Reconcile { first: true, .. })) => {
                hostile.begin = Some(frame.clone());
                vec![frame]
            }
            _ => vec![frame],
        }
    }

    /// Returns the peers that a node has a session with.
    fn peers_of(&self, who: usize) -> Vec<usize> {
        let pairs = self.links.keys();
        let mine = pairs.filter(|pair| pair.0 == who || pair.1 == who);
        mine.map(|pair| if pair.0 == who { pair.1 } else { pair.0 })
            .collect()
    }

    pub(super) fn attack(&mut self, step: Step) {
        let Step {
            who, what, a, b, ..
        } = step;
        match what {
            What::Mute | What::Deaf | What::Lie | What::Endless => {
                let hostile = self.machines[who].hostile.as_mut().expect("asked before");
                hostile.modes.insert(what);
            }
            What::Noise => self.send_noise(who, a),
            What::Inflate => self.inflate(who),
            What::Replay | What::Leak => self.replay(who, what, a),
            What::Forge => self.forge(who, a),
            What::Backdate => {
                self.edit(who, a, a, u64::from(b) * 1_000);
                self.refresh(who);
            }
            What::Fork => {
                let machine = &mut self.machines[who];
                if machine.backup.is_none() {
                    machine.copy();
                }
                self.edit(who, a, a, 0);
                self.refresh(who);
                self.after(FORK_MS, Due::Fork(who, a));
            }
            _ => unreachable!("no attack"),
        }
    }

    /// Goes back to the copy, and writes something else under the same numbers.
    pub(super) fn fork(&mut self, who: usize, pick: u32) {
        if !self.is_up(who) {
            return;
        }
        self.count("forks");
        for peer in (0..NODES).filter(|peer| *peer != who) {
            self.drop_link(super::net::pair(who, peer));
        }
        let now = self.now;
        self.machines[who].roll_back(now);
        self.edit(who, pick, pick, 0);
        self.edit(who, pick + 1, pick, 0);
    }

    /// Draws bytes for a number.
    fn bytes(&self, what: &'static str, number: u64) -> [u8; 32] {
        let mut bytes = [0; 32];
        for (part, chunk) in bytes.chunks_mut(8).enumerate() {
            let word = self.draw(what, number * 4 + part as u64, u64::MAX);
            chunk.copy_from_slice(&word.to_le_bytes());
        }
        bytes
    }

    fn send_noise(&mut self, who: usize, pick: u32) {
        let framed = |length: usize, bytes: &[u8]| {
            let length = u32::try_from(length).expect("it fits").to_le_bytes();
            [&length, bytes].concat()
        };
        for (number, peer) in self.peers_of(who).into_iter().enumerate() {
            let noise = self.bytes("noise", u64::from(pick) * 8 + number as u64);
            let large = vec![7; FRAME_BYTES_MAX + 5];
            let frame = match (pick as usize + number) % 5 {
                0 => framed(32, &noise),
                1 => framed(2 << 20, &noise),
                2 => framed(large.len(), &large),
                // Content that says it holds more events than fit into the world.
                3 => framed(13, &[&[128, 255, 255, 255, 255], &noise[..8]].concat()),
                _ => {
                    let whole = control_frame(&Control::Frontier(vec![]));
                    whole[..whole.len() - 1].to_vec()
                }
            };
            self.send_raw((who, peer), frame);
        }
    }

    fn inflate(&mut self, who: usize) {
        let tip = |number: u64| FeedTip {
            author: DeviceId(self.bytes("author", number)),
            incarnation: Incarnation([3; 16]),
            feed: Hash(self.bytes("feed", number)),
            next: u64::MAX,
        };
        let tips = (0..300).map(tip).collect();
        let wants = (0..1_000).map(|number| {
            let id = self.bytes("want", number);
            let (short, _) = id.split_first_chunk().expect("long enough");
            *short
        });
        let wants = wants.collect();
        let summary = Summary {
            events: u64::MAX,
            items: u64::MAX,
            fingerprint: Hash([255; 32]),
        };
        let frames = [
            Control::Frontier(tips),
            Control::Want(wants),
            Control::Withheld(u32::MAX),
            Control::Proof {
                summary,
                wants_answer: true,
            },
            Control::Withheld(u32::MAX),
            Control::Stored {
                stored: u32::MAX,
                refused: Vec::new(),
            },
        ];
        let frames = frames.map(|message| control_frame(&message));
        for peer in self.peers_of(who) {
            for frame in &frames {
                self.send_raw((who, peer), frame.clone());
            }
        }
    }

    /// Sends what was heard again: anything, or the content of others.
    fn replay(&mut self, who: usize, what: What, pick: u32) {
        let hostile = self.machines[who].hostile.as_ref().expect("asked before");
        let is_content = |frame: &&Vec<u8>| frame.get(FRAME_HEADER_BYTES) == Some(&128);
        let frames: Vec<Vec<u8>> = if what == What::Leak {
            hostile.heard.iter().filter(is_content).cloned().collect()
        } else {
            let skip = pick as usize % (hostile.heard.len() + 1);
            hostile.heard.iter().skip(skip).take(12).cloned().collect()
        };
        for peer in self.peers_of(who) {
            for frame in &frames {
                self.send_raw((who, peer), frame.clone());
            }
        }
    }

    /// Signs with the own key in the name of each peer: a purge of their memory, and consent.
    fn forge(&mut self, who: usize, pick: u32) {
        for peer in self.peers_of(who) {
            let victim = self.node(peer).person();
            let mut events = Vec::new();
            if let Some(memory) = self.pick(who, pick, |facts| facts.owner == victim) {
                events.extend(self.forged_purge(who, peer, memory));
            }
            let forged = self.forged_answer(who, peer);
            self.rules.forged.push(forged.id());
            self.rules.forged.extend(events.iter().map(Signed::id));
            self.count("forged events");
            let events = events.iter().map(|event| event.bytes().to_vec()).collect();
            let keys = Vec::new();
            self.send_raw((who, peer), content_frame(&Content { events, keys }));
            let events = vec![forged.bytes().to_vec()];
            let last = true;
            self.send_raw(
                (who, peer),
                control_frame(&Control::Consent { events, last }),
            );
        }
    }

    fn forged_purge(
        &self,
        who: usize,
        peer: usize,
        memory: crdt::id::MemoryId,
    ) -> Option<Signed<Event>> {
        let (forger, owner) = (self.node(who), self.node(peer));
        let facts = forger.facts(memory)?;
        let logged = |(_, id): (_, EventId)| forger.store().event(id).expect("the log reads");
        let of_owner = facts.events().filter_map(logged);
        let last = of_owner
            .filter(|event| event.header().author == owner.certificate.device)
            .max_by_key(|event| event.header().time)?;
        let is_root = last.header().feed == Feed::Root;
        let header = Header {
            kind: Kind::Purge,
            feed: Feed::Memory(memory),
            number: if is_root { 0 } else { last.header().number + 1 },
            previous: (!is_root).then(|| last.id()),
            parents: vec![last.id()],
            commitment: None,
            packing: crdt::envelope::pack::Packing::Plain,
            ..last.header().clone()
        };
        let body = Vec::new();
        Some(Event { header, body }.sign(&forger.device()))
    }

    /// Makes a yes of the peer to some grant of the forger.
    fn forged_answer(&self, who: usize, peer: usize) -> Signed<Event> {
        let (forger, victim) = (self.node(who), self.node(peer));
        let offers = self.rules.open_grants_of(who);
        let grant = offers.first().map_or(GrantId([9; 32]), |(_, id)| *id);
        let known = forger.store().consent_frontier(victim.person());
        let theirs = known
            .iter()
            .filter(|((author, ..), _)| *author == victim.certificate.device);
        let (incarnation, number) = theirs
            .map(|((_, incarnation, _), next)| (*incarnation, *next))
            .next_back()
            .unwrap_or((Incarnation([8; 16]), 0));
        let header = Header {
            kind: Kind::Acceptance,
            author: victim.certificate.device,
            incarnation,
            person: victim.person(),
            owner: forger.person(),
            feed: Feed::Pair(forger.person()),
            number,
            previous: None,
            time: Hybrid(1 << 50),
            parents: Vec::new(),
            authority: Vec::new(),
            epoch: crdt::envelope::Epoch(0),
            commitment: None,
            packing: crdt::envelope::pack::Packing::Plain,
        };
        let body = Answer { grant }.to_bytes();
        Event { header, body }.sign(&forger.device())
    }
}
