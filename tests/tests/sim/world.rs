//! The world: nodes, connections, virtual time and what happens next, all from a seed.

mod actions;

use crate::bijection::Recorded;
use crate::driver::End;
use crate::node::Node;
use crate::oracle::Oracle;
use crdt::id::MemoryId;
use crdt::testing::Entropy;
use crdt::time::Timestamp;
use protocol::limits::RETRY_MS;
use protocol::session::{Input, Role};
use std::collections::{BTreeMap, VecDeque};

/// Frames after which a network that does not come to rest counts as a livelock.
const FRAMES_MAX: usize = 5_000;
/// How often a quiet network is given the time to try again.
const RETRIES: usize = 3;

/// A connection between two nodes; side 0 dialled.
pub(crate) struct Link {
    pub(crate) ends: [End; 2],
    wires: [VecDeque<Vec<u8>>; 2],
}

pub(crate) struct World {
    pub(crate) now: Timestamp,
    pub(crate) nodes: Vec<Node>,
    /// By the two nodes, the lower number first.
    pub(crate) links: BTreeMap<(usize, usize), Link>,
    pub(crate) oracle: Oracle,
    /// Every frame, by sender and receiver.
    pub(crate) recorded: BTreeMap<(usize, usize), Recorded>,
    memories: Vec<MemoryId>,
    rng: Entropy,
    nonce: u8,
    bodies: u32,
}

impl World {
    pub(crate) fn new(seed: u64) -> Self {
        let mut rng = Entropy::new(seed);
        let count = 2 + u8::try_from(rng.below(3)).expect("below 3");
        Self::drawn(rng, count)
    }

    /// Makes a world with this many nodes.
    pub(crate) fn of(seed: u64, count: u8) -> Self {
        Self::drawn(Entropy::new(seed), count)
    }

    fn drawn(rng: Entropy, count: u8) -> Self {
        let now = Timestamp(1_800_000_000_000);
        let nodes: Vec<Node> = (0..count).map(|number| Node::new(number, now)).collect();
        for (a, one) in nodes.iter().enumerate() {
            for (b, other) in nodes.iter().enumerate() {
                if a != b {
                    one.pair(other, now);
                }
            }
        }
        Self {
            now,
            oracle: Oracle::new(nodes.len()),
            nodes,
            links: BTreeMap::new(),
            recorded: BTreeMap::new(),
            memories: Vec::new(),
            rng,
            nonce: 0,
            bodies: 0,
        }
    }

    pub(crate) fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.rng.below(end as u64)).expect("small")
    }

    fn wait(&mut self) {
        self.now = self.now.plus_ms(1_000 * self.rng.below(40));
        self.tick();
    }

    /// Fires what is due, on every node; expiry changes views without an event.
    fn tick(&mut self) {
        for node in 0..self.nodes.len() {
            self.refresh(node);
        }
        for key in self.links.keys().copied().collect::<Vec<_>>() {
            for side in 0..2 {
                self.at_end(key, side, End::tick);
            }
        }
    }

    fn restart(&mut self) {
        let node = self.node();
        let keys: Vec<_> = self.links.keys().copied().collect();
        for key in keys.into_iter().filter(|(a, b)| *a == node || *b == node) {
            self.links.remove(&key);
        }
        let before = self.nodes[node].snapshot();
        self.nodes[node].reopen(self.now);
        assert_eq!(
            before,
            self.nodes[node].snapshot(),
            "a restart changed the state"
        );
    }

    fn connect(&mut self) {
        let (a, b) = self.pair();
        self.connect_pair(a, b);
    }

    pub(crate) fn connect_pair(&mut self, dials: usize, answers: usize) {
        let key = (dials.min(answers), dials.max(answers));
        if self.links.contains_key(&key) {
            return;
        }
        self.nonce = self.nonce.wrapping_add(1);
        let role = |node: usize| {
            if node == dials {
                Role::Initiator
            } else {
                Role::Responder
            }
        };
        let end = |node: usize, peer: usize| {
            let (node, peer, role) = (&self.nodes[node], &self.nodes[peer], role(node));
            End::new(role, node, peer, [self.nonce; 16])
        };
        let ends = [end(key.0, key.1), end(key.1, key.0)];
        let wires = [VecDeque::new(), VecDeque::new()];
        self.links.insert(key, Link { ends, wires });
        for side in 0..2 {
            self.at_end(key, side, |end, node, now| {
                end.handle(node, Input::Started, now);
            });
        }
    }

    fn disconnect(&mut self) {
        let at = self.below(self.links.len());
        if let Some(key) = self.links.keys().nth(at).copied() {
            self.links.remove(&key);
        }
    }

    fn deliver_one(&mut self) {
        let mut ready = Vec::new();
        for (key, link) in &self.links {
            for side in 0..2 {
                if !link.wires[side].is_empty() {
                    ready.push((*key, side));
                }
            }
        }
        let at = self.below(ready.len());
        if let Some((key, side)) = ready.get(at).copied() {
            self.deliver(key, side);
        }
    }

    /// Delivers the next frame that `side` sent.
    fn deliver(&mut self, key: (usize, usize), side: usize) {
        let frame = self
            .links
            .get_mut(&key)
            .and_then(|link| link.wires[side].pop_front());
        if let Some(frame) = frame {
            let way = if side == 0 { key } else { (key.1, key.0) };
            let recorded = self.recorded.entry(way).or_default();
            recorded.arrived.push(frame.clone());
            self.at_end(key, 1 - side, |end, node, now| {
                end.receive(node, &frame, now);
            });
        }
        self.check_idle(key);
    }

    /// Runs something at one end, puts what it sends on the wire and tells the other sessions.
    fn at_end(
        &mut self,
        key: (usize, usize),
        side: usize,
        f: impl FnOnce(&mut End, &Node, Timestamp),
    ) {
        let (from, to) = if side == 0 { key } else { (key.1, key.0) };
        let Some(link) = self.links.get_mut(&key) else {
            return;
        };
        let end = &mut link.ends[side];
        f(end, &self.nodes[from], self.now);
        if let Some((reason, is_fault)) = end.closed {
            assert!(!is_fault, "an honest peer was cut off: {reason}");
        }
        for frame in end.out.drain(..) {
            let plain = frame.windows(6).any(|window| window == b"canary");
            assert!(!plain, "a frame carries the text of a memory");
            let recorded = self.recorded.entry((from, to)).or_default();
            recorded.handed.push(frame.clone());
            link.wires[side].push_back(frame);
        }
        let changed = std::mem::take(&mut end.changed);
        let sent = std::mem::take(&mut end.sent);
        let disclosed = std::mem::take(&mut end.disclosed);
        for content in &sent {
            self.oracle
                .check_frame(&self.nodes, (from, to), content, self.now);
        }
        self.oracle.disclosed[from].extend(disclosed);
        if self.links[&key].ends[side].closed.is_some() {
            self.links.remove(&key);
        }
        if changed {
            self.refresh(from);
        }
    }

    fn refresh(&mut self, node: usize) {
        for key in self.links.keys().copied().collect::<Vec<_>>() {
            if key.0 == node {
                self.at_end(key, 0, End::refresh);
            } else if key.1 == node {
                self.at_end(key, 1, End::refresh);
            }
        }
    }

    /// "In sync" is a claim about now: with nothing on the wire it has to be true.
    fn check_idle(&self, key: (usize, usize)) {
        let Some(link) = self.links.get(&key) else {
            return;
        };
        if link.wires.iter().any(|wire| !wire.is_empty()) {
            return;
        }
        if link.ends.iter().any(|end| end.session.status().in_sync) {
            let [one, other] = self.views(key);
            assert_eq!(one, other, "in sync, they said");
        }
    }

    /// Returns the summaries of both sides' views as the stores give them now.
    pub(crate) fn views(&self, key: (usize, usize)) -> [protocol::view::Summary; 2] {
        let (a, b) = (&self.nodes[key.0], &self.nodes[key.1]);
        let one = a.view(b.person(), self.now).0.summary();
        let other = b.view(a.person(), self.now).0.summary();
        [one, other]
    }

    /// Connects everyone, delivers everything, and gives retries their time.
    pub(crate) fn heal(&mut self) {
        for _ in 0..=RETRIES {
            self.connect_all();
            self.drain();
            self.now = self.now.plus_ms(RETRY_MS);
            self.tick();
        }
        self.drain();
    }

    fn connect_all(&mut self) {
        for a in 0..self.nodes.len() {
            for b in a + 1..self.nodes.len() {
                let is_turned = self.below(2) == 0;
                let (dials, answers) = if is_turned { (b, a) } else { (a, b) };
                self.connect_pair(dials, answers);
            }
        }
    }

    fn drain(&mut self) {
        for _ in 0..FRAMES_MAX {
            let is_quiet = |link: &Link| link.wires.iter().all(VecDeque::is_empty);
            if self.links.values().all(is_quiet) {
                return;
            }
            self.deliver_one();
        }
        panic!("the network does not come to rest");
    }
}
