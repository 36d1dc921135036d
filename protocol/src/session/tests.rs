//! Two sessions in memory: the messages, without stores.

use super::*;
use crate::limits::GREETING_MS;
use crate::reconcile::Run;
use crate::view::{Change, Item, membership_id};
use crate::wire::VERSION_MAX;
use crate::wire::content::Content;
use crdt::codec::Canonical as _;
use crdt::envelope::{Epoch, SealedKey};
use crdt::hash::Hash;
use crdt::id::{GrantId, MemoryId};
use crdt::identity::{DeviceKey, PersonKey};
use std::collections::{BTreeSet, VecDeque};

mod brief;
mod trace;
mod witness;

const NOW: Timestamp = Timestamp(1_000);

fn hello(seed: u8) -> Hello {
    let device = DeviceKey::from_seed(&[seed + 100; 32]);
    Hello {
        version_min: VERSION_MIN,
        version_max: VERSION_MAX,
        certificate: PersonKey::from_seed(&[seed; 32]).certify(&device, NOW),
        nonce: [seed; 16],
        alias: String::new(),
        addresses: Vec::new(),
        ticket: None,
    }
}

/// One side: its session and a set of items in place of a store. An item is a membership, which
/// a key without events stands for.
struct Side {
    session: Session,
    items: BTreeSet<u16>,
    /// The view that the session was last told of.
    told: View,
    out: VecDeque<Effect>,
    closed: Option<(&'static str, bool)>,
    /// Items that came, with repetitions.
    came: usize,
    /// A ledger with its line to the peer, and what came of the peer's.
    ledger: witness::Ledger,
}

fn key(number: u16) -> (GrantId, MemoryId) {
    let mut memory = [0; 32];
    memory[..2].copy_from_slice(&number.to_le_bytes());
    (GrantId([1; 32]), MemoryId(memory))
}

fn item(number: u16) -> Item {
    let (grant, memory) = key(number);
    Item {
        time: u64::from(number / 7),
        id: membership_id(grant, memory),
    }
}

impl Side {
    fn new(role: Role, own: u8, peer: u8, items: impl IntoIterator<Item = u16>) -> Self {
        let peer = hello(peer).certificate.device;
        Self {
            session: Session::new(role, peer, hello(own)),
            items: items.into_iter().collect(),
            told: View::default(),
            out: VecDeque::new(),
            closed: None,
            came: 0,
            ledger: witness::Ledger::new(own),
        }
    }
    fn view(&self) -> View {
        View::new(self.items.iter().map(|n| item(*n)), 0)
    }
    fn change(&mut self) -> Change {
        let next = self.view();
        let before = std::mem::replace(&mut self.told, next);
        before.change_to(&self.told)
    }
    /// Tells the session that the items changed.
    fn look(&mut self) {
        let change = self.change();
        self.handle(Input::View(change));
    }
    fn handle(&mut self, input: Input) {
        for effect in self.session.handle(input, NOW) {
            match effect {
                Effect::Send(_) => self.out.push_back(effect),
                Effect::Admit(hello) => {
                    let welcome = Admission::Welcome(hello.certificate.person);
                    self.handle(Input::Admission(Box::new(welcome)));
                }
                Effect::LoadFrontier => self.handle(Input::Frontier(Vec::new())),
                Effect::LoadConsent(_) => self.handle(Input::ConsentFor(Vec::new())),
                Effect::TakeConsent(_) => self.handle(Input::ConsentTaken),
                Effect::LoadView => self.look(),
                Effect::LoadRun { salt, since } => {
                    let run = Run::new(&self.told, &salt, since).map(Box::new);
                    self.handle(Input::Run(run));
                }
                Effect::Offer(items) => {
                    self.out.push_back(Effect::Offer(items));
                    self.handle(Input::Offered {
                        frames: 1,
                        withheld: 0,
                    });
                }
                Effect::Store(content) => self.store(&content),
                Effect::Close { reason, fault } => self.closed = Some((reason, fault)),
                Effect::LoadHeld
                | Effect::TakeEcho(_)
                | Effect::LoadCheckpoint { .. }
                | Effect::TakeCheckpoint { .. } => {
                    if let Some(input) = self.ledger.run(effect) {
                        self.handle(input);
                    }
                }
                Effect::Refused(_)
                | Effect::Enrolled(_)
                | Effect::PeerKnows(_)
                | Effect::RefusedThere(_)
                | Effect::SetTimer(..)
                | Effect::Trace(_)
                | Effect::Report(_) => {}
            }
        }
    }
    fn store(&mut self, content: &Content) {
        let before = self.items.len();
        self.came += content.keys.len();
        self.items.extend(content.keys.iter().map(|key| {
            let bytes = key.memory.0;
            u16::from_le_bytes([bytes[0], bytes[1]])
        }));
        let stored = u32::try_from(self.items.len() - before).unwrap();
        let refused = Vec::new();
        self.handle(Input::Stored { stored, refused });
    }
    fn content(&self, items: &[Item]) -> Content {
        let numbers = self.items.iter().filter(|n| items.contains(&item(**n)));
        let keys = numbers.map(|number| {
            let (grant, memory) = key(*number);
            let (epoch, sealed) = (Epoch(0), vec![0; 72]);
            SealedKey {
                grant,
                memory,
                epoch,
                sealed,
            }
        });
        Content {
            events: Vec::new(),
            keys: keys.collect(),
        }
    }
    /// Takes the next thing to deliver.
    fn next(&mut self) -> Option<Input> {
        match self.out.pop_front()? {
            Effect::Send(control) => Some(Input::Message(control)),
            Effect::Offer(items) => Some(Input::Content(self.content(&items))),
            _ => None,
        }
    }
}

fn deliver_all(one: &mut Side, other: &mut Side) {
    for _ in 0..10_000 {
        match (one.next(), other.next()) {
            (None, None) => return,
            (from_one, from_other) => {
                if let Some(input) = from_one {
                    other.handle(input);
                }
                if let Some(input) = from_other {
                    one.handle(input);
                }
            }
        }
    }
    panic!("two sessions do not come to rest");
}

fn connected(
    mine: impl IntoIterator<Item = u16>,
    theirs: impl IntoIterator<Item = u16>,
) -> (Side, Side) {
    let mut one = Side::new(Role::Initiator, 1, 2, mine);
    let mut other = Side::new(Role::Responder, 2, 1, theirs);
    one.handle(Input::Started);
    other.handle(Input::Started);
    deliver_all(&mut one, &mut other);
    (one, other)
}

fn assert_in_sync(one: &Side, other: &Side) {
    assert_eq!((one.closed, other.closed), (None, None));
    assert_eq!(one.items, other.items);
    for side in [one, other] {
        let status = side.session.status();
        assert!(status.in_sync, "{status:?}");
        assert_eq!(status.mine, Some(side.view().summary()));
    }
}

#[test]
fn equal_views_are_in_sync_at_once() {
    let (one, other) = connected(0..50, 0..50);
    assert_in_sync(&one, &other);
    assert_eq!((one.came, other.came), (0, 0));
}

#[test]
fn differences_cross_in_both_directions_in_runs_of_many_rounds() {
    // Scattered over thousands of items, so that wants go out while the run goes on.
    let mine = (0..4_000).filter(|n| n % 37 != 0);
    let theirs = (0..4_000).filter(|n| n % 41 != 5);
    let all: BTreeSet<u16> = mine.clone().chain(theirs.clone()).collect();
    let (one, other) = connected(mine, theirs);
    assert_in_sync(&one, &other);
    assert_eq!(one.items, all);
    assert!(
        one.came < 150 && other.came < 150,
        "{} {}",
        one.came,
        other.came
    );
}

#[test]
fn a_full_side_fills_an_empty_one_whoever_dialled() {
    let (one, other) = connected(0..3_000, []);
    assert_in_sync(&one, &other);
    let (one, other) = connected([], 0..3_000);
    assert_in_sync(&one, &other);
}

#[test]
fn what_is_new_while_live_is_offered_by_either_side() {
    let (mut one, mut other) = connected(0..10, 0..10);
    one.items.insert(100);
    one.look();
    assert!(
        !one.session.status().in_sync,
        "the other side cannot know it yet"
    );
    other.items.insert(200);
    other.look();
    deliver_all(&mut one, &mut other);
    assert_in_sync(&one, &other);
    assert!(one.items.contains(&200) && other.items.contains(&100));
}

#[test]
fn a_view_that_changes_during_a_run_is_not_forgotten() {
    let (mut one, mut other) = connected(0..500, 0..500);
    // Both sides lose and gain; only one message at a time passes between changes.
    for round in 0..40_u16 {
        one.items.remove(&round);
        other.items.remove(&round);
        one.look();
        other.look();
        other.items.insert(1_000 + round);
        other.look();
        if let Some(input) = other.next() {
            one.handle(input);
        }
        if let Some(input) = one.next() {
            other.handle(input);
        }
    }
    deliver_all(&mut one, &mut other);
    // A removal that crossed with a run may have been undone by it; both say the same all the same.
    assert_in_sync(&one, &other);
}

#[test]
fn strangers_are_refused_in_the_same_words() {
    let mut refusals = BTreeSet::new();
    for seed in [3, 4] {
        let mut side = Side::new(Role::Responder, 1, seed, []);
        let effects = side
            .session
            .handle(Input::Message(Control::Hello(Box::new(hello(seed)))), NOW);
        assert!(matches!(effects.first(), Some(Effect::Admit(_))));
        let refuse = Admission::Refuse(RefusedBecause::NotPaired);
        let effects = side.session.handle(Input::Admission(Box::new(refuse)), NOW);
        let sent = effects.iter().filter_map(|effect| match effect {
            Effect::Send(control) => Some(control.to_bytes()),
            _ => None,
        });
        refusals.insert(sent.collect::<Vec<_>>());
        assert!(side.session.is_closed());
        assert!(side.session.handle(Input::Started, NOW).is_empty());
    }
    assert_eq!(refusals.len(), 1);
}

#[test]
fn a_responder_says_nothing_before_it_admits() {
    let mut side = Side::new(Role::Responder, 1, 2, []);
    let effects = side.session.handle(Input::Started, NOW);
    assert!(
        effects
            .iter()
            .all(|effect| !matches!(effect, Effect::Send(_)))
    );
    let changed = side.session.handle(Input::ConsentChanged, NOW);
    assert!(changed.is_empty(), "consent is nothing for strangers");
}

fn fault_of(effects: &[Effect]) -> Option<bool> {
    effects.iter().find_map(|effect| match effect {
        Effect::Close { fault, .. } => Some(*fault),
        _ => None,
    })
}

#[test]
fn content_before_consent_is_a_violation() {
    let mut side = Side::new(Role::Responder, 1, 2, []);
    let content = || Input::Content(Content::default());
    assert_eq!(fault_of(&side.session.handle(content(), NOW)), Some(true));
    let mut side = Side::new(Role::Responder, 1, 2, []);
    side.handle(Input::Message(Control::Hello(Box::new(hello(2)))));
    assert_eq!(fault_of(&side.session.handle(content(), NOW)), Some(true));
}

#[test]
fn a_certificate_for_another_device_is_a_violation() {
    let mut side = Side::new(Role::Responder, 1, 2, []);
    let effects = side
        .session
        .handle(Input::Message(Control::Hello(Box::new(hello(3)))), NOW);
    assert_eq!(fault_of(&effects), Some(true));
}

#[test]
fn a_peer_of_another_version_is_told_so() {
    let mut side = Side::new(Role::Responder, 1, 2, []);
    let mut other = hello(2);
    (other.version_min, other.version_max) = (VERSION_MAX + 1, VERSION_MAX + 9);
    let effects = side
        .session
        .handle(Input::Message(Control::Hello(Box::new(other))), NOW);
    assert!(matches!(
        effects.first(),
        Some(Effect::Send(Control::Refused(RefusedBecause::Version)))
    ));
    assert_eq!(fault_of(&effects), Some(false));
}

#[test]
fn a_peer_who_does_not_greet_is_let_go() {
    let mut side = Side::new(Role::Responder, 1, 2, []);
    let effects = side.session.handle(Input::Started, NOW);
    let waits = |effect: &Effect| matches!(effect, Effect::SetTimer(Timer::Greeting, GREETING_MS));
    assert!(effects.iter().any(waits));
    let effects = side.session.handle(Input::Fired(Timer::Greeting), NOW);
    assert_eq!(fault_of(&effects), Some(false));
}

#[test]
fn a_peer_that_lies_about_its_view_is_never_called_in_sync() {
    let (mut one, _) = connected(0..10, 0..10);
    let summary = Summary {
        events: 0,
        items: 10,
        fingerprint: Hash([0; 32]),
    };
    let wants_answer = false;
    one.handle(Input::Message(Control::Proof {
        summary,
        wants_answer,
    }));
    assert!(!one.session.status().in_sync);
}

#[test]
fn an_answer_to_nothing_and_a_run_that_never_began_are_violations() {
    for message in [
        Control::Stored {
            stored: 1,
            refused: Vec::new(),
        },
        Control::Reconcile {
            first: false,
            bytes: vec![0x61],
        },
        Control::Hello(Box::new(hello(2))),
    ] {
        let (mut one, _) = connected(0..3, 0..3);
        one.handle(Input::Message(message));
        assert!(matches!(one.closed, Some((_, true))));
    }
}

#[test]
fn a_peer_that_stops_in_the_middle_is_let_go_and_a_slow_one_is_not() {
    let late = |ms: u64| Timestamp(NOW.0 + ms);
    for is_slow in [false, true] {
        let (mut one, mut other) = connected(0..10, 0..10);
        one.items.insert(100);
        one.look();
        // What the other side says from now on is lost.
        let input = one.next().expect("the new item is offered");
        other.handle(input);
        let fired = |side: &mut Side, at| side.session.handle(Input::Fired(Timer::Stalled), at);
        if is_slow {
            let input = other.next().expect("an answer");
            one.session.handle(input, late(STALLED_MS - 1));
        }
        let effects = fired(&mut one, late(STALLED_MS));
        assert_eq!(fault_of(&effects), (!is_slow).then_some(false));
    }
    // And who has nothing to wait for waits for ever.
    let (mut one, _) = connected(0..10, 0..10);
    let effects = one
        .session
        .handle(Input::Fired(Timer::Stalled), late(10 * STALLED_MS));
    assert_eq!(fault_of(&effects), None);
}

#[test]
fn what_is_new_while_the_peer_asks_for_it_goes_out_once() {
    for (dials, answers) in [
        (Role::Initiator, Role::Responder),
        (Role::Responder, Role::Initiator),
    ] {
        let mut one = Side::new(dials, 1, 2, []);
        let mut other = Side::new(answers, 2, 1, []);
        one.handle(Input::Started);
        other.handle(Input::Started);
        deliver_all(&mut one, &mut other);
        // All of it comes into the view at once, as after an acceptance, and both sides prove.
        one.items.extend(0..4_000);
        one.look();
        one.handle(Input::ProveAsked);
        other.handle(Input::ProveAsked);
        deliver_all(&mut one, &mut other);
        assert_in_sync(&one, &other);
        assert_eq!(other.came, 4_000);
    }
}
