//! Machines: a node with a disk, a clock and a program, and what befalls them.
//!
//! Invariant checked here: after every start, whatever came before it, the store holds everything
//! that it acknowledged.

use super::hostile::Hostile;
use super::plan::{NODES, Step, What};
use super::run::{Day, Due, START};
use crate::node::{Node, Snapshot};
use crdt::id::EventId;
use crdt::time::Timestamp;
use protocol::session::Acquaintance;
use protocol::wire::{VERSION_MAX, VERSION_MIN};
use std::collections::BTreeMap;
use storage::kv::Health;
use storage::kv::faulty::FaultyDisk;
use storage::store::StoreError;

/// How long a machine takes to start after a power cut, at least, in milliseconds.
const START_MS: u64 = 3_000;
/// The most writes between which the power is cut again while the store is being opened.
const CUT_AGAIN: u64 = 12;
/// Clocks are off by up to so much, in milliseconds, without anyone noticing.
const SKEW_MS: u64 = 120_000;

/// Returns a node as a byte of the trace.
fn number(who: usize) -> u8 {
    u8::try_from(who).expect("few")
}

/// What a node acknowledged: all of it has to be there after any start.
#[derive(Default, Clone)]
pub(super) struct Acknowledged {
    pub(super) head: u64,
    pub(super) events: Vec<EventId>,
}

/// An old copy of a disk.
pub(super) struct Backup {
    pub(super) disk: FaultyDisk,
    acknowledged: Acknowledged,
    /// What the entropy was drawn from when the copied store was opened.
    pub(super) drawn: u64,
}

/// A node and all that is around it.
pub(crate) struct Machine {
    pub(super) node: Node,
    /// How far the clock is ahead, in milliseconds.
    pub(super) offset: i64,
    /// The latest time that was seen: the node's clock never goes back while it runs.
    floor: Timestamp,
    openings: u64,
    /// What the entropy of this opening is drawn from.
    drawn: u64,
    pub(super) backup: Option<Backup>,
    pub(super) acknowledged: Acknowledged,
    /// How the store was when it ended in an orderly way.
    ended: Option<Snapshot>,
    cuts_again: u32,
    pub(super) hostile: Option<Hostile>,
    /// What earlier sessions with each peer learnt, since the node started.
    pub(super) met: BTreeMap<usize, Acquaintance>,
}

impl Machine {
    pub(super) fn new(seed: u64, number: usize) -> Self {
        let number = u8::try_from(number).expect("few");
        let own = seed << 8 | u64::from(number);
        let node = Node::on_disk(number, own ^ 0x6e6f_6465_0000_0000, START);
        let skew = crdt::testing::Entropy::new(own ^ 0x736b_6577).below(2 * SKEW_MS);
        Self {
            node,
            offset: i64::try_from(skew).expect("small") - i64::try_from(SKEW_MS).expect("small"),
            floor: Timestamp(0),
            openings: 0,
            drawn: own << 16,
            backup: None,
            acknowledged: Acknowledged::default(),
            ended: None,
            cuts_again: 0,
            hostile: None,
            met: BTreeMap::new(),
        }
    }
    pub(super) fn make_hostile(&mut self) {
        self.hostile = Some(Hostile::default());
    }
    pub(super) fn clock(&mut self, now: u64) -> Timestamp {
        let now = i64::try_from(START.0 + now).expect("a date");
        let shown = u64::try_from(now + self.offset).expect("a date");
        self.floor = self.floor.max(Timestamp(shown));
        self.floor
    }
    /// Opens the store; every opening draws from a stream of its own.
    fn open(&mut self, now: u64) -> Result<(), StoreError> {
        self.openings += 1;
        self.drawn += 1;
        self.open_drawn(now)
    }
    fn open_drawn(&mut self, now: u64) -> Result<(), StoreError> {
        self.floor = Timestamp(0);
        let now = self.clock(now);
        self.node.open_from(self.drawn, now)?;
        // What the store has seen is the floor, also after a restart.
        let wall = self.node.store().read(|state| state.wall);
        self.floor = self.floor.max(wall);
        Ok(())
    }
    /// Goes back to the old copy and writes on as the very writer that wrote it.
    pub(super) fn roll_back(&mut self, now: u64) {
        let backup = self.backup.as_ref().expect("there is a copy");
        let (disk, drawn) = (backup.disk.copy(), backup.drawn);
        self.node.put_disk(disk);
        let newest = std::mem::replace(&mut self.drawn, drawn);
        self.open_drawn(now).expect("the copy opens");
        self.drawn = newest;
    }
    fn is_well(&self) -> bool {
        self.node.is_open() && self.node.store().health() == Health::Writable
    }
    pub(super) fn copy(&mut self) {
        self.backup = Some(Backup {
            disk: self.node.faulty().copy(),
            acknowledged: self.acknowledged.clone(),
            drawn: self.drawn,
        });
    }
}

impl Day {
    /// Opens an empty store and pairs with everyone.
    pub(super) fn start_first(&mut self, who: usize) {
        self.machines[who].open(0).expect("an empty store opens");
        let now = self.clock(who);
        for other in (0..NODES).filter(|other| *other != who) {
            self.machines[who]
                .node
                .pair(&self.machines[other].node, now);
        }
        self.note_acknowledged(who, Vec::new());
    }

    pub(super) fn note_acknowledged(&mut self, who: usize, events: Vec<EventId>) {
        if !self.is_up(who) || self.is_hostile(who) {
            return;
        }
        let head = self.node(who).store().read(|state| state.head);
        let known = &mut self.machines[who].acknowledged;
        known.head = head;
        known.events.extend(events);
    }

    pub(super) fn befall(&mut self, step: Step) {
        let Step {
            who, what, a, b, ..
        } = step;
        let seconds = u64::from(b);
        let disk = self.node(who).faulty().clone();
        match what {
            What::Cut | What::CutTwice => {
                disk.cut_power_in(u64::from(a));
                self.machines[who].cuts_again = u32::from(what == What::CutTwice);
            }
            What::Full => {
                self.count(what.name());
                self.rules.is_troubled[who] = true;
                let more = usize::try_from(a).expect("few") << 10;
                disk.set_capacity(Some(disk.len() + more));
            }
            What::BadSync => {
                self.count(what.name());
                self.rules.is_troubled[who] = true;
                disk.fail_sync_in(u64::from(a));
            }
            What::Jump => {
                self.count(if a % 2 == 1 {
                    "clocks set back"
                } else {
                    "clocks set forward"
                });
                let by = i64::from(b) * 1_000;
                let by = if a % 2 == 1 { -by } else { by };
                self.machines[who].offset += by;
                self.look_at_ends(who);
                self.refresh(who);
            }
            What::Backup => {
                if self.machines[who].is_well() {
                    self.machines[who].copy();
                    self.rules.back_up(who);
                }
            }
            What::Restore => self.restore(who, seconds * 1_000),
            What::Restart => {
                self.count(what.name());
                self.end(who, seconds * 1_000);
            }
            What::Newer => {
                self.count(what.name());
                self.machines[who].node.speaks = (VERSION_MIN, VERSION_MAX + 1);
                self.end(who, START_MS);
            }
            What::TooOld => {
                self.count(what.name());
                self.machines[who].node.speaks = (VERSION_MIN - 1, VERSION_MIN - 1);
                self.end(who, START_MS);
            }
            _ => unreachable!("nothing that befalls a machine"),
        }
    }

    pub(super) fn speak_today(&mut self, who: usize) {
        self.machines[who].node.speaks = (VERSION_MIN, VERSION_MAX);
        self.end(who, START_MS);
    }

    /// Ends a node in an orderly way.
    fn end(&mut self, who: usize, down_ms: u64) {
        let machine = &mut self.machines[who];
        if machine.is_well() {
            machine.ended = Some(machine.node.snapshot());
        }
        if machine.node.store().close().is_err() {
            machine.ended = None;
        }
        if machine.node.faulty().has_power() {
            self.take_down(who, down_ms);
        } else {
            self.crash(who, down_ms);
        }
    }

    /// Sees whether a node still has power; if not, it crashed.
    pub(super) fn check_power(&mut self, who: usize) -> bool {
        if !self.is_up(who) {
            return false;
        }
        if self.node(who).faulty().has_power() {
            return true;
        }
        let down = START_MS + self.draw("down", self.now, 600_000);
        self.crash(who, down);
        false
    }

    fn crash(&mut self, who: usize, down_ms: u64) {
        self.count("crashes");
        self.rules.is_troubled[who] = true;
        self.machines[who].ended = None;
        self.take_down(who, down_ms);
    }

    fn take_down(&mut self, who: usize, down_ms: u64) {
        self.note("down", &[&[number(who)]]);
        self.machines[who].node.drop_store();
        for other in (0..NODES).filter(|other| *other != who) {
            self.drop_link(super::net::pair(who, other));
        }
        self.machines[who].met.clear();
        self.after(down_ms.max(START_MS), Due::Up(who));
    }

    fn restore(&mut self, who: usize, down_ms: u64) {
        let machine = &mut self.machines[who];
        let Some(backup) = machine.backup.take() else {
            return;
        };
        machine.acknowledged = backup.acknowledged.clone();
        machine.ended = None;
        self.rules.restore(who);
        self.count("restores");
        self.take_down(who, down_ms);
        self.machines[who].node.put_disk(backup.disk.copy());
    }

    /// Starts a node that is down.
    pub(super) fn start(&mut self, who: usize) {
        if self.is_up(who) {
            return;
        }
        let now = self.now;
        let machine = &mut self.machines[who];
        let disk = machine.node.faulty().clone();
        disk.restore_power();
        if machine.cuts_again > 0 {
            machine.cuts_again -= 1;
            let writes = machine.openings % CUT_AGAIN;
            disk.cut_power_in(writes);
        }
        let opened = machine.open(now);
        self.note("up", &[&[number(who), u8::from(opened.is_ok())]]);
        if !disk.has_power() {
            self.count("crashes while opening");
            self.machines[who].node.drop_store();
            self.after(START_MS, Due::Up(who));
            return;
        }
        if let Err(error) = opened {
            panic!("node {who} does not open: {error}");
        }
        self.check_kept(who);
        self.rules.learn_grants(who, &self.machines[who].node);
        for other in (0..NODES).filter(|other| *other != who) {
            self.dial_in(super::net::pair(who, other), 1_000);
        }
        self.look_at_ends(who);
    }

    /// Checks that everything acknowledged is there.
    fn check_kept(&mut self, who: usize) {
        let machine = &mut self.machines[who];
        if machine.hostile.is_some() {
            return;
        }
        let head = machine.node.store().read(|state| state.head);
        let known = &machine.acknowledged;
        assert!(
            head >= known.head,
            "node {who} lost events that it acknowledged"
        );
        for event in &known.events {
            let found = machine.node.store().event(*event).expect("the log reads");
            assert!(
                found.is_some(),
                "node {who} lost {event}, which it acknowledged"
            );
        }
        if let Some(before) = machine.ended.take() {
            assert!(
                before == machine.node.snapshot(),
                "a restart changed the state"
            );
        }
    }

    /// Looks again when each grant ends on a node's clock.
    fn look_at_ends(&mut self, who: usize) {
        for end in self.rules.ends_of(who) {
            let at = self.moment(who, end) + 1;
            if at > self.now {
                self.at(at, Due::Look(who));
            }
        }
    }
    /// As [`Self::look_at_ends`], for one grant.
    pub(super) fn look_at_end(&mut self, who: usize, end: Timestamp) {
        let at = self.moment(who, end) + 1;
        self.at(at, Due::Look(who));
    }

    /// The person sees that the clock was wrong, and says so.
    pub(super) fn set_clock_right(&mut self, who: usize) {
        let now = self.now;
        let machine = &mut self.machines[who];
        machine.offset = machine
            .offset
            .clamp(-SKEW_MS.cast_signed(), SKEW_MS.cast_signed());
        if !machine.node.is_open() {
            return;
        }
        machine.floor = Timestamp(0);
        let now = machine.clock(now);
        // Also what a failed commit left behind comes to light here, at the latest.
        let accepted = machine.node.store().transact::<_, StoreError>(now, |tx| {
            tx.accept_clock();
            Ok(())
        });
        accepted.expect("the disk is well");
        self.look_at_ends(who);
        self.refresh(who);
    }
}
