//! The first sync of a large view, with a restart of one side or the other at every step.
//!
//! ```text
//! meeting 1: frames .. cut   restart owner
//! meeting 2: frames .. cut   restart grantee   ...   meeting n: nothing missing, proved
//! ```
//!
//! A restart closes the store and opens it again; the connection and what was on it are lost. What
//! was taken in stays, nothing that arrived crosses again, and nobody says "in sync" before the
//! views are equal.

use crate::driver::End;
use crate::node::Node;
use crate::wired::{NOW, nodes, tell};
use crdt::grant::Access;
use protocol::limits::{FRAME_BYTES_MAX, WINDOW_FRAMES};
use protocol::session::{Input, Role};
use protocol::wire::FRAME_HEADER_BYTES;
use std::collections::VecDeque;

/// Memories of the view; `SCALE` multiplies them.
const MEMORIES: usize = 10_000;
/// The first byte of a message that carries content.
const CONTENT: u8 = 128;
/// How much more content may arrive in all than in one undisturbed run, in percent.
const OVERHEAD_PERCENT_MAX: usize = 20;
/// Meetings after which a sync that does not end counts as one that starts over.
const MEETINGS_MAX: usize = 1_000;

/// Where a meeting is broken off.
#[derive(Debug, Clone, Copy)]
enum Cut {
    Never,
    /// After so many frames of any kind.
    After(usize),
    /// After the first frame with content.
    Content,
}

/// What crossed, both ways together.
#[derive(Debug, Clone, Copy, Default)]
struct Crossed {
    frames: usize,
    content_frames: usize,
    /// Bytes of content that arrived.
    content: usize,
    /// Bytes of content that were sent and lost.
    lost: usize,
}

/// One connection between the owner, side 0, and the grantee.
struct Meeting<'a> {
    nodes: &'a [Node; 2],
    ends: [End; 2],
    wires: [VecDeque<Vec<u8>>; 2],
    crossed: Crossed,
}

impl<'a> Meeting<'a> {
    fn begin(nodes: &'a [Node; 2], number: usize) -> Self {
        let role = |side: usize| {
            if number % 2 == side {
                Role::Initiator
            } else {
                Role::Responder
            }
        };
        let nonce = [u8::try_from(number % 256).expect("a byte"); 16];
        let end = |side: usize| End::new(role(side), &nodes[side], &nodes[1 - side], nonce);
        let mut meeting = Self {
            nodes,
            ends: [end(0), end(1)],
            wires: [VecDeque::new(), VecDeque::new()],
            crossed: Crossed::default(),
        };
        for (side, node) in nodes.iter().enumerate() {
            meeting.ends[side].handle(node, Input::Started, NOW);
            meeting.collect(side);
        }
        meeting
    }

    /// Puts what a side says on the wire, and looks at what it claims.
    fn collect(&mut self, side: usize) {
        let (end, node) = (&mut self.ends[side], &self.nodes[side]);
        if std::mem::take(&mut end.changed) {
            end.refresh(node, NOW);
            end.changed = false;
        }
        assert_eq!(end.closed, None, "an honest peer was cut off");
        self.wires[side].extend(end.out.drain(..));
        if end.session.status().in_sync {
            let [one, other] = summaries(self.nodes);
            assert_eq!(one, other, "in sync, said side {side}");
        }
    }

    /// Delivers one frame; false if nothing is on its way.
    fn deliver(&mut self) -> bool {
        let turn = self.crossed.frames % 2;
        let from = if self.wires[turn].is_empty() {
            1 - turn
        } else {
            turn
        };
        let Some(frame) = self.wires[from].pop_front() else {
            return false;
        };
        self.crossed.frames += 1;
        if is_content(&frame) {
            self.crossed.content_frames += 1;
            self.crossed.content += frame.len();
        }
        let to = 1 - from;
        self.ends[to].receive(&self.nodes[to], &frame, NOW);
        self.collect(to);
        true
    }

    /// Goes on until the cut, or until both have proved that nothing is missing.
    fn play(mut self, cut: Cut) -> (Crossed, bool) {
        let is_over = |crossed: &Crossed| match cut {
            Cut::Never => false,
            Cut::After(frames) => crossed.frames >= frames,
            Cut::Content => crossed.content_frames > 0,
        };
        let mut is_cut = false;
        while !is_cut && self.deliver() {
            is_cut = is_over(&self.crossed);
        }
        let lost = self
            .wires
            .iter()
            .flatten()
            .filter(|frame| is_content(frame));
        self.crossed.lost = lost.map(Vec::len).sum();
        let in_sync = self.ends.iter().all(|end| end.session.status().in_sync);
        assert!(is_cut || in_sync, "it came to rest without a proof");
        (self.crossed, in_sync && !is_cut)
    }
}

fn is_content(frame: &[u8]) -> bool {
    frame.get(FRAME_HEADER_BYTES) == Some(&CONTENT)
}

fn summaries(nodes: &[Node; 2]) -> [protocol::view::Summary; 2] {
    let of = |one: &Node, other: &Node| one.view(other.person(), NOW).0.summary();
    [of(&nodes[0], &nodes[1]), of(&nodes[1], &nodes[0])]
}

/// An owner with many memories and a grantee who has said yes and holds none of them.
fn before_the_first_sync(memories: usize) -> [Node; 2] {
    let both: [Node; 2] = nodes();
    both[0].create_many(NOW, memories, "t");
    let grant = both[0].offer(NOW, both[1].person(), "tag:t", Access::Read, None);
    tell(&both[0], &both[1]);
    both[1].answer(NOW, grant, true).expect("accepted");
    tell(&both[1], &both[0]);
    both
}

/// How many memories the grantee holds.
fn held(nodes: &[Node; 2]) -> usize {
    nodes[1].store().read(|state| state.memories.len())
}

fn memories() -> usize {
    let scale = crate::runs::number("SCALE").unwrap_or(1);
    MEMORIES * usize::try_from(scale).expect("small")
}

/// Syncs with a restart at the end of each meeting; returns what crossed in all of them.
fn with_restarts(nodes: &mut [Node; 2], cut: impl Fn(usize) -> Cut) -> (Crossed, usize) {
    let mut total = Crossed::default();
    for number in 0..MEETINGS_MAX {
        let (crossed, is_done) = Meeting::begin(nodes, number).play(cut(number));
        total.frames += crossed.frames;
        total.content_frames += crossed.content_frames;
        total.content += crossed.content;
        total.lost += crossed.lost;
        let in_flight = WINDOW_FRAMES * (FRAME_BYTES_MAX + FRAME_HEADER_BYTES);
        assert!(crossed.lost <= in_flight, "more than a window was lost");
        if is_done {
            return (total, number);
        }
        let before = held(nodes);
        // Owner and grantee take turns, out of step with who dials.
        nodes[number / 2 % 2].reopen(NOW);
        assert_eq!(held(nodes), before, "what was taken in stays");
    }
    panic!("{MEETINGS_MAX} meetings did not end it: {total:?}");
}

fn assert_done(nodes: &[Node; 2], memories: usize) {
    assert_eq!(held(nodes), memories);
    let [one, other] = summaries(nodes);
    assert_eq!(one, other);
    let root = usize::try_from(one.events).expect("few");
    assert_eq!(root, memories, "one event each");
}

/// Syncs undisturbed and with restarts, compares what crossed, and tells it.
fn never_starts_over(cut: fn(usize) -> Cut) -> String {
    let memories = memories();
    let undisturbed = {
        let nodes = before_the_first_sync(memories);
        let (crossed, is_done) = Meeting::begin(&nodes, 0).play(Cut::Never);
        assert!(is_done, "one meeting is enough");
        assert_done(&nodes, memories);
        crossed
    };
    let mut nodes = before_the_first_sync(memories);
    let (crossed, restarts) = with_restarts(&mut nodes, cut);
    assert_done(&nodes, memories);
    assert!(restarts > 10, "{restarts} restarts are no test");
    let bytes_max = undisturbed.content * (100 + OVERHEAD_PERCENT_MAX) / 100;
    assert!(
        crossed.content < bytes_max,
        "{} bytes of content arrived, {} are enough",
        crossed.content,
        undisturbed.content
    );
    format!("undisturbed: {undisturbed:?}; {restarts} restarts: {crossed:?}")
}

#[test]
fn a_first_sync_that_is_restarted_after_one_frame_then_two_then_three_never_starts_over() {
    // A restart in every state, greeting and proving included.
    println!("{}", never_starts_over(|number| Cut::After(number + 1)));
}

#[test]
fn a_first_sync_that_is_restarted_after_every_content_frame_never_starts_over() {
    println!("{}", never_starts_over(|_| Cut::Content));
}
