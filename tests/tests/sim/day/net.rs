//! The network: links between nodes, who dials when, and what happens to frames on their way.
//!
//! A link is an ordered stream each way, as the transport gives. Where nothing comes through, the
//! frames wait; after a while the link breaks. Nodes dial those they miss, with growing pauses.

use super::plan::{NODES, Step, What};
use super::run::{Day, Due, START};
use crate::driver::End;
use crate::node::Node;
use crdt::time::Timestamp;
use protocol::session::{Input, Role};
use protocol::view::Summary;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Two nodes, the lower number first.
pub(super) type Pair = (usize, usize);

/// After which time without a sign of life a link breaks, in milliseconds.
const STALL_MS: u64 = 30_000;
/// A session that ends sooner does not count as one that worked.
const QUICK_MS: u64 = 10_000;
const PAUSE_MIN_MS: u64 = 1_000;
/// The longest pause between two attempts that do not reach the other side.
const PAUSE_MAX_MS: u64 = 60_000;
/// The longest pause after sessions that ended at once: a day is long.
const PAUSE_QUICK_MAX_MS: u64 = 1_800_000;
/// The longest pause between retries of an unequal proof, for the same reason.
const RETRY_MAX_MS: u64 = 3_600_000;

/// Why a session ends whose peer should say something and does not.
const GAVE_UP: &str = "the peer does not go on";

/// One way of a link.
#[derive(Default)]
pub(super) struct Wire {
    pub(super) queue: VecDeque<Vec<u8>>,
    /// When the last frame arrives.
    last: u64,
}

/// A connection between two nodes.
pub(super) struct Link {
    pub(super) id: u64,
    pub(super) ends: [End; 2],
    pub(super) wires: [Wire; 2],
    opened: u64,
    /// Whether frames were repeated or changed places: a transport would have noticed.
    pub(super) is_tampered: bool,
    /// When the next timer of each end was said to fire.
    timers: [Option<u64>; 2],
    /// How often in a row a timer fired without anything having been sent since.
    idle_retries: u32,
    /// What in-sync was last compared with.
    pub(super) compared: Option<[Option<Summary>; 2]>,
}

/// When a pair is dialled next.
#[derive(Default)]
pub(super) struct Dialer {
    turn: u64,
    pause: u64,
}

/// What is wrong with the network.
#[derive(Default)]
pub(super) struct Net {
    /// Ways on which nothing comes through, and how often that was asked for.
    blocked: BTreeMap<(usize, usize), u32>,
    /// Links that are clogged: nothing comes through, but nobody notices.
    clogged: BTreeSet<Pair>,
    /// How much longer frames of a node take, in milliseconds.
    slow: BTreeMap<usize, u64>,
    /// How many frames of a way are still to be sent twice, and to change places.
    twice: BTreeMap<(usize, usize), u32>,
    swap: BTreeMap<(usize, usize), u32>,
    held: BTreeMap<(usize, usize), Vec<u8>>,
    links: u64,
}

impl Net {
    pub(super) fn clear(&mut self) {
        *self = Self {
            links: self.links,
            ..Self::default()
        };
    }
    fn is_blocked(&self, way: (usize, usize)) -> bool {
        self.blocked.get(&way).is_some_and(|count| *count > 0)
    }
    fn comes_through(&self, way: (usize, usize)) -> bool {
        !self.is_blocked(way) && !self.clogged.contains(&pair(way.0, way.1))
    }
}

/// Returns two nodes as bytes of the trace.
fn named(nodes: (usize, usize)) -> [u8; 2] {
    [nodes.0, nodes.1].map(|who| u8::try_from(who).expect("few"))
}

pub(super) fn pair(one: usize, other: usize) -> Pair {
    (one.min(other), one.max(other))
}

/// Returns who sends on a side of a link, and to whom.
pub(super) fn way(pair: Pair, side: usize) -> (usize, usize) {
    if side == 0 { pair } else { (pair.1, pair.0) }
}

/// Returns the node that a step names beside its own.
pub(super) fn other(step: Step) -> usize {
    let skip = usize::try_from(step.a).expect("few") % (NODES - 1);
    (step.who + 1 + skip) % NODES
}

impl Day {
    pub(super) fn disturb(&mut self, step: Step) {
        let to = other(step);
        match step.what {
            What::Lose => self.drop_link(pair(step.who, to)),
            What::Split | What::OneWay => {
                for way in ways(step) {
                    *self.net.blocked.entry(way).or_default() += 1;
                    self.expect_stall(pair(way.0, way.1));
                }
            }
            What::Swizzle => self.swizzle(step),
            What::Slow => {
                self.net.slow.insert(step.who, u64::from(step.a));
            }
            What::Twice | What::Swap => {
                let marks = match step.what {
                    What::Twice => &mut self.net.twice,
                    _ => &mut self.net.swap,
                };
                marks.insert((step.who, to), 1 + step.b % 6);
            }
            _ => unreachable!("not a fault of the network"),
        }
    }

    pub(super) fn settle_down(&mut self, step: Step) {
        if step.what == What::Slow {
            self.net.slow.remove(&step.who);
            return;
        }
        for way in ways(step) {
            if let Some(count) = self.net.blocked.get_mut(&way) {
                *count = count.saturating_sub(1);
            }
            self.resume(pair(way.0, way.1));
        }
    }

    /// Clogs all links of a node in turn, and frees them in another order.
    fn swizzle(&mut self, step: Step) {
        let mut pairs: Vec<Pair> = (0..NODES)
            .filter(|other| *other != step.who)
            .map(|other| pair(step.who, other))
            .collect();
        for pair in &pairs {
            self.net.clogged.insert(*pair);
        }
        let turn = usize::try_from(step.a).expect("few") % pairs.len();
        pairs.rotate_left(turn);
        if step.a % 2 == 1 {
            pairs.reverse();
        }
        for (number, pair) in pairs.into_iter().enumerate() {
            let wait = (number as u64 + 1) * (1 + u64::from(step.b)) * 250;
            self.after(wait, Due::Unclog(pair));
        }
    }

    pub(super) fn unclog(&mut self, pair: Pair) {
        self.net.clogged.remove(&pair);
        self.resume(pair);
    }

    /// Lets waiting frames go on.
    fn resume(&mut self, pair: Pair) {
        let Some(link) = self.links.get(&pair) else {
            return;
        };
        let id = link.id;
        let waiting = [0, 1].map(|side| link.wires[side].queue.len() as u64);
        for (side, waiting) in waiting.into_iter().enumerate() {
            for number in 0..waiting {
                self.after(number, Due::Frame(pair, id, side));
            }
        }
    }

    fn expect_stall(&mut self, pair: Pair) {
        if let Some(link) = self.links.get(&pair) {
            let due = Due::Stall(pair, link.id);
            self.after(STALL_MS, due);
        }
    }

    pub(super) fn stall(&mut self, pair: Pair, id: u64) {
        let is_same = self.links.get(&pair).is_some_and(|link| link.id == id);
        let is_broken = [0, 1].map(|side| self.net.is_blocked(way(pair, side)));
        if is_same && is_broken.contains(&true) {
            self.count("links that stalled");
            self.drop_link(pair);
        }
    }

    pub(super) fn break_link(&mut self, pair: Pair, id: u64) {
        if self.links.get(&pair).is_some_and(|link| link.id == id) {
            self.drop_link(pair);
        }
    }

    pub(super) fn drop_link(&mut self, pair: Pair) {
        let Some(link) = self.links.remove(&pair) else {
            return;
        };
        for (side, end) in link.ends.iter().enumerate() {
            self.net.held.remove(&way(pair, side));
            let (who, peer) = way(pair, side);
            // What a session learnt is remembered while the node runs.
            let met = &mut self.machines[who].met;
            match end.session.acquaintance() {
                Some(known) => met.insert(peer, known),
                None => met.remove(&peer),
            };
        }
        self.note("drop", &[&named(pair)]);
        let lasted = self.now - link.opened;
        let dialer = self.dialers.get_mut(&pair).expect("every pair has one");
        dialer.pause = if lasted < QUICK_MS {
            (dialer.pause * 2).clamp(PAUSE_MIN_MS, PAUSE_QUICK_MAX_MS)
        } else {
            PAUSE_MIN_MS
        };
        let pause = dialer.pause;
        self.dial_in(pair, pause);
    }

    /// Dials a pair again soon, whatever was planned.
    pub(super) fn dial_in(&mut self, pair: Pair, ms: u64) {
        let dialer = self.dialers.get_mut(&pair).expect("every pair has one");
        dialer.turn += 1;
        let turn = dialer.turn;
        let jitter = self.draw(
            "jitter",
            (turn << 8) | (pair.0 as u64 * 16 + pair.1 as u64),
            1 + ms / 4,
        );
        self.after(ms + jitter, Due::Dial(pair, turn));
    }

    pub(super) fn dial(&mut self, pair: Pair, turn: u64) {
        if self.links.contains_key(&pair) || self.dialers[&pair].turn != turn {
            return;
        }
        if !self.is_up(pair.0) || !self.is_up(pair.1) {
            // Whoever starts dials.
            return;
        }
        if self.net.is_blocked(pair) || self.net.is_blocked((pair.1, pair.0)) {
            let dialer = self.dialers.get_mut(&pair).expect("every pair has one");
            dialer.pause = (dialer.pause * 2).clamp(PAUSE_MIN_MS, PAUSE_MAX_MS);
            let pause = dialer.pause;
            self.dial_in(pair, pause);
            return;
        }
        self.connect(pair);
    }

    fn connect(&mut self, pair: Pair) {
        self.net.links += 1;
        let id = self.net.links;
        self.count("links");
        self.note("connect", &[&id.to_le_bytes(), &named(pair)]);
        let dials = self.draw("who dials", id, 2);
        let end = |side: usize| {
            let (node, peer) = way(pair, side);
            let role = if side as u64 == dials {
                Role::Initiator
            } else {
                Role::Responder
            };
            let nonce =
                [0, 1].map(|half| self.draw("nonce", id * 4 + half * 2 + side as u64, u64::MAX));
            let mut bytes = [0; 16];
            let (one, two) = bytes.split_at_mut(8);
            one.copy_from_slice(&nonce[0].to_le_bytes());
            two.copy_from_slice(&nonce[1].to_le_bytes());
            let mut end = End::new(role, self.node(node), self.node(peer), bytes);
            end.may_fail = true;
            let known = self.machines[node].met.get(&peer).cloned();
            end.session = end.session.knowing(known);
            end
        };
        let ends = [end(0), end(1)];
        self.links.insert(
            pair,
            Link {
                id,
                ends,
                wires: [Wire::default(), Wire::default()],
                opened: self.now,
                is_tampered: false,
                timers: [None; 2],
                idle_retries: 0,
                compared: None,
            },
        );
        for side in 0..2 {
            self.at_end(pair, side, |end, node, now| {
                end.handle(node, Input::Started, now);
            });
        }
    }

    pub(super) fn arrive(&mut self, pair: Pair, id: u64, side: usize) {
        let (from, to) = way(pair, side);
        if !self.net.comes_through((from, to)) {
            return;
        }
        let Some(link) = self.links.get_mut(&pair).filter(|link| link.id == id) else {
            return;
        };
        let Some(frame) = link.wires[side].queue.pop_front() else {
            return;
        };
        self.count("frames");
        let frame = self.overhear((from, to), frame);
        let mut reads = true;
        self.at_end(pair, 1 - side, |end, node, now| {
            reads = end.receive_any(node, &frame, now);
        });
        assert!(
            reads || self.is_hostile(from),
            "a frame of an honest node does not read"
        );
        self.compare_if_in_sync(pair);
    }

    pub(super) fn fire(&mut self, pair: Pair, id: u64, side: usize) {
        let Some(link) = self.links.get_mut(&pair).filter(|link| link.id == id) else {
            return;
        };
        link.timers[side] = None;
        link.idle_retries += 1;
        self.at_end(pair, side, End::tick);
    }

    /// Tells all sessions of a node what changed, and hands over what is late.
    pub(super) fn refresh(&mut self, who: usize) {
        for pair in self.links.keys().copied().collect::<Vec<_>>() {
            let side = match pair {
                (one, _) if one == who => 0,
                (_, other) if other == who => 1,
                _ => continue,
            };
            self.at_end(pair, side, |end, node, now| {
                end.refresh(node, now);
                end.hand_over(node, now);
            });
        }
    }

    /// Runs something at one end, and sees to everything that follows.
    pub(super) fn at_end(
        &mut self,
        pair: Pair,
        side: usize,
        f: impl FnOnce(&mut End, &Node, Timestamp),
    ) {
        let (from, to) = way(pair, side);
        if !self.is_up(from) {
            return;
        }
        let now = self.clock(from);
        let Some(link) = self.links.get_mut(&pair) else {
            return;
        };
        let end = &mut link.ends[side];
        f(end, &self.machines[from].node, now);
        let closed = end.closed;
        let (out, changed) = (
            std::mem::take(&mut end.out),
            std::mem::take(&mut end.changed),
        );
        let sent = std::mem::take(&mut end.sent);
        end.disclosed.clear();
        let stored = std::mem::take(&mut end.stored);
        let (witnessed, faults) = (
            std::mem::take(&mut end.witnessed),
            std::mem::take(&mut end.faults),
        );
        let is_tampered = link.is_tampered;
        let is_quiet = link.wires.iter().all(|wire| wire.queue.is_empty());
        let hostile = self.is_hostile(from) || self.is_hostile(to);
        self.rules
            .witnessed((from, to), hostile, &witnessed, &faults);
        if let Some((reason, true)) = closed {
            self.count("sessions ended for a fault");
            let mark = self.trace.marks.len();
            let is_excused = is_tampered || self.is_hostile(to) || self.is_hostile(from);
            assert!(
                is_excused,
                "an honest peer was cut off: {reason} ({from} by {to}, mark {mark})"
            );
        }
        if !self.is_hostile(from) {
            for content in &sent {
                self.check_content((from, to), content, now);
            }
        }
        // Each waits for the other, and nothing is on its way: a word was never said.
        let gave_up = closed.is_some_and(|(reason, _)| reason == GAVE_UP) && self.is_up(to);
        assert!(
            !gave_up || !is_quiet || is_tampered || hostile,
            "two honest peers came to a standstill ({from} by {to})"
        );
        self.note_acknowledged(from, stored);
        for frame in out {
            for frame in self.twist((from, to), frame) {
                self.send(pair, side, frame);
            }
        }
        if !self.check_power(from) {
            return;
        }
        if closed.is_some() {
            self.drop_link(pair);
        } else {
            self.set_timer(pair, side, now);
        }
        if changed {
            if let Some(link) = self.links.get_mut(&pair) {
                link.idle_retries = 0;
            }
            self.refresh(from);
        }
    }

    fn set_timer(&mut self, pair: Pair, side: usize, now: Timestamp) {
        let Some(link) = self.links.get_mut(&pair) else {
            return;
        };
        let Some(at) = link.ends[side].timers.values().min() else {
            return;
        };
        let wait = at.0.saturating_sub(now.0) << link.idle_retries.min(10);
        let at = self.now + wait.min(RETRY_MAX_MS);
        if link.timers[side].is_none_or(|known| at < known) {
            link.timers[side] = Some(at);
            let id = link.id;
            self.at(at, Due::Timer(pair, id, side));
        }
    }

    /// Puts a frame on the wire.
    pub(super) fn send(&mut self, pair: Pair, side: usize, frame: Vec<u8>) {
        let (from, to) = way(pair, side);
        self.note("frame", &[&named((from, to)), &frame]);
        if !self.is_hostile(from) {
            let plain = frame.windows(6).any(|window| window == b"canary");
            assert!(!plain, "a frame carries the text of a memory");
            self.rules.frame_left((from, to), &frame);
        }
        let mut frames = vec![frame];
        let mut is_tampered = false;
        if let Some(left) = self
            .net
            .twice
            .get_mut(&(from, to))
            .filter(|left| **left > 0)
        {
            *left -= 1;
            frames.push(frames[0].clone());
            is_tampered = true;
            self.count("frames that arrive twice");
        }
        if let Some(held) = self.net.held.remove(&(from, to)) {
            frames.push(held);
        } else if let Some(left) = self.net.swap.get_mut(&(from, to)).filter(|left| **left > 0) {
            *left -= 1;
            let held = frames.pop().expect("just put there");
            self.net.held.insert((from, to), held);
            is_tampered = true;
            self.count("frames that change places");
        }
        let slow = [from, to].map(|who| self.net.slow.get(&who).copied().unwrap_or_default());
        let serial = self.trace.marks.len() as u64;
        let latency = 2 + self.draw("latency", serial, 60) + slow[0] + slow[1];
        let now = self.now;
        let Some(link) = self.links.get_mut(&pair) else {
            return;
        };
        let id = link.id;
        let was_tampered = link.is_tampered;
        link.is_tampered |= is_tampered;
        let wire = &mut link.wires[side];
        let at = wire.last.max(now + latency);
        wire.last = at;
        let count = frames.len();
        wire.queue.extend(frames);
        for _ in 0..count {
            self.at(at, Due::Frame(pair, id, side));
        }
        if is_tampered && !was_tampered {
            // A transport notices that, late here, and breaks.
            self.after(STALL_MS, Due::Break(pair, id));
        }
    }

    /// Returns the time that a moment of a node's clock is, in milliseconds of the day.
    pub(super) fn moment(&self, who: usize, at: Timestamp) -> u64 {
        let offset = self.machines[who].offset;
        let at = i64::try_from(at.0 - START.0).expect("a day") - offset;
        u64::try_from(at).unwrap_or(0)
    }
}

/// Returns the ways that a step blocks.
fn ways(step: Step) -> Vec<(usize, usize)> {
    if step.what == What::OneWay {
        return vec![(step.who, other(step))];
    }
    let is_in = |who: usize| step.a >> who & 1 == 1;
    let mut ways = Vec::new();
    for from in 0..NODES {
        for to in 0..NODES {
            if from != to && is_in(from) != is_in(to) {
                ways.push((from, to));
            }
        }
    }
    ways
}
