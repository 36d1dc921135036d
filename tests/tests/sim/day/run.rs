//! Executes a plan: jumps from one event to the next, in virtual time.
//!
//! ```text
//! queue -> step of the plan | frame | timer | dial | start -> nodes, links -> queue
//! ```
//!
//! Invariant: nothing here depends on anything but the seed and the plan.

use super::machine::Machine;
use super::net::{Dialer, Link, Net, Pair};
use super::plan::{CALM_MS, DAY_MS, NODES, Plan, Step, What};
use super::rules::Rules;
use crate::node::Node;
use crdt::hash::Hash;
use crdt::id::MemoryId;
use crdt::time::Timestamp;
use std::collections::BTreeMap;

/// When the day begins.
pub(crate) const START: Timestamp = Timestamp(1_800_000_000_000);
/// Frames after which a day that does not come to rest counts as a livelock.
const FRAMES_MAX: u64 = 30_000;

/// Something that is going to happen.
#[derive(Debug, Clone, Copy)]
pub(super) enum Due {
    Step(usize),
    /// What a step did to the network or a machine is over.
    Lift(usize),
    Frame(Pair, u64, usize),
    Timer(Pair, u64, usize),
    Dial(Pair, u64),
    /// A link on which nothing came through for too long.
    Stall(Pair, u64),
    /// A link that was tampered with.
    Break(Pair, u64),
    Unclog(Pair),
    Up(usize),
    /// A grant ends.
    Look(usize),
    /// A hostile node goes back to a copy of itself.
    Fork(usize, u32),
}

/// What happened, in one hash and in numbers.
#[derive(Default)]
pub(crate) struct Trace {
    hash: [u8; 32],
    /// The time, what happened, and the hash after it.
    pub(crate) marks: Vec<(u64, &'static str, u64)>,
}

impl Trace {
    fn note(&mut self, now: u64, what: &'static str, parts: &[&[u8]]) {
        let mut all: Vec<&[u8]> = vec![&self.hash, what.as_bytes()];
        all.extend(parts);
        self.hash = Hash::of("second-brain 2026 v1 trace", &all).0;
        let (first, _) = self.hash.split_first_chunk().expect("long enough");
        self.marks.push((now, what, u64::from_le_bytes(*first)));
    }
}

/// How often what happened.
pub(crate) type Counts = BTreeMap<&'static str, u64>;

/// Five nodes and their day.
pub(crate) struct Day {
    pub(super) seed: u64,
    pub(super) plan: Plan,
    /// Milliseconds since the day began.
    pub(super) now: u64,
    queue: BTreeMap<(u64, u64), Due>,
    serial: u64,
    pub(super) machines: Vec<Machine>,
    pub(super) links: BTreeMap<Pair, Link>,
    pub(super) dialers: BTreeMap<Pair, Dialer>,
    pub(super) net: Net,
    pub(super) rules: Rules,
    /// All memories, in the order in which they were made.
    pub(super) memories: Vec<MemoryId>,
    pub(super) bodies: u32,
    /// The first mark of the trace that is printed.
    traced: Option<u64>,
    pub(crate) counts: Counts,
    pub(crate) trace: Trace,
}

impl Day {
    /// Executes a plan; panics where a promise is broken.
    pub(crate) fn run(seed: u64, plan: &Plan) -> (Counts, Trace) {
        let mut day = Self::new(seed, plan.clone());
        while let Some(((at, _), due)) = day.queue.pop_first() {
            if at > DAY_MS {
                break;
            }
            day.now = at;
            day.happen(due);
            let frames = day.counts.get("frames").copied().unwrap_or_default();
            assert!(frames < FRAMES_MAX, "the network does not come to rest");
        }
        day.now = DAY_MS;
        day.check_end();
        day.note_disks();
        (day.counts, day.trace)
    }

    fn new(seed: u64, plan: Plan) -> Self {
        let machines = (0..NODES).map(|number| Machine::new(seed, number));
        let mut day = Self {
            seed,
            now: 0,
            queue: BTreeMap::new(),
            serial: 0,
            machines: machines.collect(),
            links: BTreeMap::new(),
            dialers: BTreeMap::new(),
            net: Net::default(),
            rules: Rules::new(),
            memories: Vec::new(),
            bodies: 0,
            traced: crate::runs::number("TRACE"),
            counts: Counts::new(),
            trace: Trace::default(),
            plan,
        };
        for who in NODES - day.plan.hostile..NODES {
            day.machines[who].make_hostile();
        }
        for who in 0..NODES {
            day.start_first(who);
        }
        for one in 0..NODES {
            for other in one + 1..NODES {
                day.dialers.insert((one, other), Dialer::default());
                day.dial_in((one, other), 1_000);
            }
        }
        for number in 0..day.plan.steps.len() {
            let at = day.plan.steps[number].at;
            day.at(at, Due::Step(number));
        }
        day.at(CALM_MS, Due::Lift(usize::MAX));
        day
    }

    pub(super) fn at(&mut self, at: u64, due: Due) {
        self.serial += 1;
        self.queue.insert((at.max(self.now), self.serial), due);
    }
    pub(super) fn after(&mut self, ms: u64, due: Due) {
        self.at(self.now + ms, due);
    }
    pub(super) fn count(&mut self, what: &'static str) {
        *self.counts.entry(what).or_default() += 1;
    }
    #[expect(clippy::print_stdout, reason = "asked for by TRACE")]
    pub(super) fn note(&mut self, what: &'static str, parts: &[&[u8]]) {
        if self.is_traced(self.trace.marks.len() as u64) {
            let frame = parts.last().and_then(|part| part.get(4..));
            let frame = frame.map(protocol::wire::Message::from_frame);
            let first = parts.first().filter(|part| part.len() < 40);
            println!("{} {what} {first:?} {frame:?}", self.now);
        }
        self.trace.note(self.now, what, parts);
    }
    /// Tells whether a mark is to be printed: 80 from the one that `TRACE` names.
    fn is_traced(&self, mark: u64) -> bool {
        self.traced
            .is_some_and(|first| (first..first + 80).contains(&mark))
    }
    /// Draws a number below `end` from the seed and what it is for.
    pub(super) fn draw(&self, what: &'static str, number: u64, end: u64) -> u64 {
        let parts: [&[u8]; 3] = [
            &self.seed.to_le_bytes(),
            what.as_bytes(),
            &number.to_le_bytes(),
        ];
        let hash = Hash::of("second-brain 2026 v1 draw", &parts);
        let (first, _) = hash.0.split_first_chunk().expect("long enough");
        u64::from_le_bytes(*first).checked_rem(end).unwrap_or(0)
    }
    pub(super) fn node(&self, who: usize) -> &Node {
        &self.machines[who].node
    }
    pub(super) fn is_up(&self, who: usize) -> bool {
        self.machines[who].node.is_open()
    }
    pub(super) fn is_hostile(&self, who: usize) -> bool {
        self.machines[who].hostile.is_some()
    }
    /// Returns the time on a node's clock.
    pub(super) fn clock(&mut self, who: usize) -> Timestamp {
        let now = self.now;
        self.machines[who].clock(now)
    }

    fn happen(&mut self, due: Due) {
        match due {
            Due::Step(number) => {
                let step = self.plan.steps[number];
                self.step(number, step);
            }
            Due::Lift(usize::MAX) => self.calm(),
            Due::Lift(number) => {
                let step = self.plan.steps[number];
                self.lift(step);
            }
            Due::Frame(pair, id, side) => self.arrive(pair, id, side),
            Due::Timer(pair, id, side) => self.fire(pair, id, side),
            Due::Dial(pair, turn) => self.dial(pair, turn),
            Due::Stall(pair, id) => self.stall(pair, id),
            Due::Break(pair, id) => self.break_link(pair, id),
            Due::Unclog(pair) => self.unclog(pair),
            Due::Up(who) => self.start(who),
            Due::Look(who) => self.refresh(who),
            Due::Fork(who, pick) => self.fork(who, pick),
        }
    }

    fn step(&mut self, number: usize, step: Step) {
        let Step {
            who, what, a, b, ..
        } = step;
        self.note(what.name(), &[&a.to_le_bytes(), &b.to_le_bytes()]);
        match what {
            What::Create
            | What::Edit
            | What::Secret
            | What::Share
            | What::Answer
            | What::Revoke
            | What::Purge
            | What::Return => self.person_does(step),
            What::Lose
            | What::Split
            | What::OneWay
            | What::Swizzle
            | What::Slow
            | What::Twice
            | What::Swap => {
                self.count(what.name());
                self.disturb(step);
                self.after(u64::from(b) * 1_000, Due::Lift(number));
            }
            What::Cut
            | What::CutTwice
            | What::Restart
            | What::Full
            | What::BadSync
            | What::Jump
            | What::Backup
            | What::Restore
            | What::Newer
            | What::TooOld => {
                if self.is_up(who) {
                    self.befall(step);
                    self.after(u64::from(b) * 1_000, Due::Lift(number));
                }
            }
            _ => {
                if self.is_up(who) && self.is_hostile(who) {
                    self.count(what.name());
                    self.attack(step);
                }
            }
        }
    }

    /// Ends what a step began.
    fn lift(&mut self, step: Step) {
        match step.what {
            What::Split | What::OneWay | What::Slow => self.settle_down(step),
            What::Full => self.machines[step.who].node.faulty().set_capacity(None),
            What::TooOld if self.is_up(step.who) => self.speak_today(step.who),
            _ => {}
        }
    }

    /// Everything is well again, and every clock is set right by its person.
    fn calm(&mut self) {
        self.net.clear();
        for who in 0..NODES {
            self.machines[who].node.faulty().be_well();
            self.set_clock_right(who);
        }
        for pair in self.dialers.keys().copied().collect::<Vec<_>>() {
            self.unclog(pair);
        }
    }

    fn note_disks(&mut self) {
        for who in 0..NODES {
            let digest = self.node(who).faulty().digest();
            self.note("disk", &[&digest]);
        }
    }
}
