//! Preview equals delivery: thousands of random interleavings of labels, grants, answers,
//! revocations, edits and time, each compared with the [reference](crate::reference_view).
//!
//! Real stores, the real guard, the real taking in; no sessions, so that one run is cheap.
//! `SEED=n` replays five in a row, `SCALE=n` makes n times as many.

mod actions;

use crate::driver::frames;
use crate::node::{Node, Reference as Item};
use crate::reference_view::Reference;
use crate::runs::number;
use crdt::event::Signed;
use crdt::id::{GrantId, MemoryId};
use crdt::testing::Entropy;
use crdt::time::Timestamp;
use protocol::wire::content::Content;
use std::collections::BTreeSet;

const START: Timestamp = Timestamp(1_800_000_000_000);
/// Interleavings in a normal run.
const RUNS: u64 = 10_000;
/// Interleavings on the same stores, one after the other: to open a store costs more than one.
const IN_A_ROW: u64 = 5;
/// The fewest and the most actions of one.
const STEPS: (u64, u64) = (8, 20);

/// One owner, one or two grantees, and what the reference knows of them.
struct Run {
    rng: Entropy,
    now: Timestamp,
    owner: Node,
    grantees: Vec<Node>,
    reference: Reference,
    /// In the order in which they were made, so that a seed names the same ones.
    memories: Vec<MemoryId>,
    /// What grantees wrote, while what they wrote may have been too late.
    wrote: BTreeSet<(usize, MemoryId)>,
    previews: usize,
    delivered: usize,
}

impl Run {
    fn new(seed: u64) -> Self {
        let mut rng = Entropy::new(seed);
        let owner = Node::new(0, START);
        let count = if rng.below(4) == 0 { 2 } else { 1 };
        let grantees: Vec<Node> = (1..=count).map(|n| Node::new(n, START)).collect();
        for grantee in &grantees {
            owner.pair(grantee, START);
            grantee.pair(&owner, START);
        }
        Self {
            rng,
            now: START,
            owner,
            grantees,
            reference: Reference::default(),
            memories: Vec::new(),
            wrote: BTreeSet::new(),
            previews: 0,
            delivered: 0,
        }
    }

    fn tell(&self, from: &Node, to: &Node) {
        let known = to.store().consent_frontier(from.person());
        let events = from.store().consent_beyond(to.person(), &known);
        let events = events.expect("consent reads");
        let taken = to.transact(self.now, |tx| tx.take_consent(from.person(), &events));
        assert_eq!(taken.refused, [], "consent was refused");
    }

    /// Returns the frames with everything that `from` may give and `to` lacks.
    fn disclose(&self, from: &Node, to: &Node) -> Vec<Content> {
        let (mine, index) = from.view(to.person(), self.now);
        let (theirs, _) = to.view(from.person(), self.now);
        let (mut events, mut members) = (Vec::new(), Vec::new());
        for item in mine.without(&theirs) {
            match index.get(&item.id).expect("an item of the view") {
                Item::Event(event) => events.push(*event),
                Item::Member(grant, memory) => members.push((*grant, *memory)),
            }
        }
        let disclosure = from
            .store()
            .transact(self.now, |tx| tx.disclose(to.person(), &events, &members));
        frames(&disclosure.expect("the guard decides"))
    }

    /// Sends what a grantee may have now; every frame holds nothing but what the reference gives.
    fn give(&mut self, grantee: usize) {
        let (owner, peer) = (&self.owner, &self.grantees[grantee]);
        let frames = self.disclose(owner, peer);
        self.tell(owner, peer);
        let view = self.reference.view(grantee, self.now);
        for frame in &frames {
            for bytes in &frame.events {
                let event = Signed::from_bytes(bytes).expect("an event");
                let memory = event.memory().expect("an event of a memory");
                assert!(view.contains(&memory), "a memory left that nobody granted");
            }
            for key in &frame.keys {
                let grants = &self.reference.grants;
                let grant = grants.iter().find(|grant| grant.id == key.grant);
                let given = self.reference.given(grant.expect("a grant"), self.now);
                assert!(given.contains(&key.memory), "a key left that nobody gave");
            }
            let taken = peer.transact(self.now, |tx| {
                tx.take_content(owner.person(), &frame.events, &frame.keys)
            });
            assert_eq!(taken.refused, [], "what was given was refused");
            self.delivered += taken.memories.len();
        }
    }

    /// Takes what a grantee wrote; only late work may be refused.
    fn take_back(&mut self, grantee: usize) {
        let (owner, peer) = (&self.owner, &self.grantees[grantee]);
        for frame in self.disclose(peer, owner) {
            let taken = owner.transact(self.now, |tx| {
                tx.take_content(peer.person(), &frame.events, &frame.keys)
            });
            for (event, code) in taken.refused {
                let event = peer.store().event(event).expect("reads").expect("there");
                let memory = event.memory().expect("an event of a memory");
                assert!(self.is_late(grantee, memory), "refused in time: {code}");
            }
        }
    }

    /// Whether what a grantee wrote in a memory may have come after a revocation.
    fn is_late(&self, grantee: usize, memory: MemoryId) -> bool {
        let is_revoked = |grant: &crate::reference_view::Grant| {
            grant.grantee == grantee && grant.is_write && grant.is_revoked
        };
        self.wrote.contains(&(grantee, memory)) && self.reference.grants.iter().any(is_revoked)
    }

    /// Exchanges everything both ways and compares both stores with the reference.
    fn sync(&mut self, grantee: usize) {
        self.tell(&self.owner, &self.grantees[grantee]);
        self.hear(grantee);
        self.take_back(grantee);
        self.give(grantee);
        self.check(grantee);
    }

    /// Tells the owner what a grantee answered.
    fn hear(&mut self, grantee: usize) {
        self.tell(&self.grantees[grantee], &self.owner);
        let grants = self.reference.grants.iter_mut();
        for grant in grants.filter(|grant| grant.grantee == grantee) {
            grant.heard = grant.answer;
        }
    }

    fn check(&self, grantee: usize) {
        let peer = &self.grantees[grantee];
        for grant in &self.reference.grants {
            if grant.grantee != grantee {
                continue;
            }
            let given = self.reference.given(grant, self.now);
            let selector = &grant.selector;
            let offered = self.members(&self.owner, peer, grant.id);
            assert_eq!(offered, given, "the owner's view of {selector}");
            let held = self.members(peer, &self.owner, grant.id);
            assert_eq!(held, given, "what was delivered under {selector}");
        }
        for memory in self.reference.view(grantee, self.now) {
            let content = peer.content(memory);
            assert!(content.is_some(), "a memory came that does not open");
            if !self.is_late(grantee, memory) {
                assert_eq!(content, self.owner.content(memory), "another content");
            }
        }
    }

    /// The memories that one side says are shared under a grant.
    fn members(&self, one: &Node, other: &Node, grant: GrantId) -> BTreeSet<MemoryId> {
        let mut members = BTreeSet::new();
        one.store().read(|state| {
            state.pair_view(other.person(), self.now, &mut |facts, grants| {
                if grants.contains(&grant) {
                    members.insert(facts.id);
                }
            });
        });
        members
    }
}

/// Does and checks [`IN_A_ROW`] interleavings; after each, all grants are taken back.
fn run(seed: u64) -> (usize, usize) {
    let mut run = Run::new(seed);
    for _ in 0..IN_A_ROW {
        let steps = STEPS.0 + run.rng.below(STEPS.1 - STEPS.0);
        for _ in 0..steps {
            run.step();
        }
        for grantee in 0..run.grantees.len() {
            run.sync(grantee);
        }
        run.revoke_all();
    }
    (run.previews, run.delivered)
}

/// Runs every second seed, so that two tests share the processors.
#[expect(clippy::print_stdout, reason = "the run says how much it compared")]
fn run_half(half: u64) {
    if let Some(seed) = number("SEED") {
        if half == 0 {
            run(seed);
        }
        return;
    }
    let (mut previews, mut delivered) = (0, 0);
    let seeds = RUNS / IN_A_ROW * number("SCALE").unwrap_or(1);
    for seed in (half..seeds).step_by(2) {
        let Ok(counts) = std::panic::catch_unwind(|| run(seed)) else {
            panic!("SEED={seed} replays the interleavings that failed");
        };
        previews += counts.0;
        delivered += counts.1;
    }
    println!("{previews} previews compared with delivery, {delivered} memories delivered");
    assert!(previews > 0 && delivered > 0, "the runs test nothing");
}

#[test]
fn preview_equals_delivery_in_any_interleaving_even_seeds() {
    run_half(0);
}

#[test]
fn preview_equals_delivery_in_any_interleaving_odd_seeds() {
    run_half(1);
}
