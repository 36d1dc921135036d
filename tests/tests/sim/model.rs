//! Every order of up to seven operations on consent, checked exhaustively.
//!
//! Three persons (an owner and two grantees), two memories, one grant to each grantee, the second
//! with an end. The operations are those of [`Action`], honest and hostile, in any order.
//!
//! What decides is real: events are signed, [`admit`](crdt::event::admit::admit) lets them in or
//! not, and [`Authority`](crdt::grant::authority::Authority) folds them into views. What is
//! modelled: which events the owner sends, when it takes a new key, and what it says about a
//! writer to others, as the store does. What must hold is worked out beside it from who said what.

mod book;
mod step;

use crate::runs::number;
use book::Book;
use stateright::{Checker as _, Model, Property};
use std::hash::{Hash, Hasher};
use std::sync::Mutex;

/// Operations in a row; `STEPS=n` says otherwise.
const STEPS_MAX: u64 = 7;
/// How many changes each grantee makes of a memory.
const WRITES_MAX: usize = 2;

/// One of the two grantees.
pub(super) type Grantee = usize;
/// One of the two memories.
pub(super) type Memory = usize;
/// Memories as bits.
pub(super) type Memories = u8;
/// An event, by its number in the book.
pub(super) type Number = u16;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    Create,
    Tag(Memory),
    Untag(Memory),
    Edit(Memory),
    Offer(Grantee),
    Accept(Grantee),
    Decline(Grantee),
    /// Signs the opposite of what was answered, past one's own node.
    Contradict(Grantee),
    Revoke(Grantee),
    /// The second grant ends.
    Expire,
    ConsentTo(Grantee),
    ConsentFrom(Grantee),
    ContentTo(Grantee),
    ContentFrom(Grantee),
    /// Changes a memory that one has, whether one may or not.
    Write(Grantee, Memory),
}

/// What the owner sent last: what the preview shows, what left, what the rules allow.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Sent {
    pub(super) preview: Memories,
    pub(super) left: Memories,
    pub(super) allowed: Memories,
    pub(super) is_open: bool,
    pub(super) is_refused: bool,
}

/// What one grantee has, said, and what the owner knows of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(super) struct Side {
    pub(super) log: Vec<Number>,
    /// The memories that were given, and the epochs whose keys came along.
    pub(super) given: Memories,
    pub(super) epochs: [u8; 2],
    /// Yes and no as bits: said, and heard by the owner.
    pub(super) said: u8,
    pub(super) heard: u8,
    pub(super) is_offered: bool,
    pub(super) is_revoked: bool,
    /// What they wrote that the owner had not taken when it revoked.
    pub(super) late: Vec<Number>,
    /// What the owner wrote since, as memory and epoch.
    pub(super) since: Vec<(Memory, u8)>,
}

#[derive(Debug, Clone)]
pub(super) struct State {
    /// How many operations led here; not part of what it is.
    steps: u64,
    pub(super) is_expired: bool,
    pub(super) exists: [bool; 2],
    pub(super) is_tagged: [bool; 2],
    pub(super) epoch: [u8; 2],
    pub(super) owner: Vec<Number>,
    pub(super) sides: [Side; 2],
    pub(super) sent: Option<Sent>,
    pub(super) is_late_refused: bool,
}

impl State {
    fn parts(&self) -> impl Hash + PartialEq + '_ {
        let labels = (self.is_expired, self.exists, self.is_tagged, self.epoch);
        let logs = (&self.owner, &self.sides);
        (labels, logs, &self.sent, self.is_late_refused)
    }

    /// What the rules allow: from who said what, not from the code.
    pub(super) fn allowed(&self, grantee: Grantee) -> Memories {
        let side = &self.sides[grantee];
        let is_over = grantee == 1 && self.is_expired;
        if side.heard != 1 || side.is_revoked || is_over {
            return 0;
        }
        self.selected()
    }
    pub(super) fn selected(&self) -> Memories {
        let bit = |memory: Memory| u8::from(self.exists[memory] && self.is_tagged[memory]);
        bit(0) | bit(1) << 1
    }
}

impl PartialEq for State {
    fn eq(&self, other: &Self) -> bool {
        self.parts() == other.parts()
    }
}
impl Eq for State {}
impl Hash for State {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.parts().hash(state);
    }
}

struct Consent {
    book: Mutex<Book>,
    steps_max: u64,
}

impl Consent {
    fn with<T>(&self, f: impl FnOnce(&mut Book) -> T) -> T {
        f(&mut self.book.lock().expect("no check panics"))
    }

    /// Nothing said yet; one memory exists and has the tag.
    fn blank(&self) -> State {
        State {
            steps: 0,
            is_expired: false,
            exists: [true, false],
            is_tagged: [true, false],
            epoch: [0; 2],
            owner: vec![self.with(|book| book.root(0))],
            sides: Default::default(),
            sent: None,
            is_late_refused: false,
        }
    }

    /// Both grants are accepted, and the memory is with both grantees.
    fn shared(&self) -> State {
        let mut state = self.blank();
        for grantee in [0, 1] {
            for action in [
                Action::Offer(grantee),
                Action::ConsentTo(grantee),
                Action::Accept(grantee),
                Action::ConsentFrom(grantee),
                Action::ContentTo(grantee),
            ] {
                state = self.next_state(&state, action).expect("it can be done");
            }
        }
        state.steps = 0;
        state.sent = None;
        state
    }
}

impl Model for Consent {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![self.blank(), self.shared()]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        if state.steps == self.steps_max {
            return;
        }
        actions.extend([Action::Create, Action::Expire]);
        for n in [0, 1] {
            actions.extend([
                Action::Tag(n),
                Action::Untag(n),
                Action::Edit(n),
                Action::Offer(n),
                Action::Accept(n),
                Action::Decline(n),
                Action::Contradict(n),
                Action::Revoke(n),
                Action::ConsentTo(n),
                Action::ConsentFrom(n),
                Action::ContentTo(n),
                Action::ContentFrom(n),
                Action::Write(n, 0),
                Action::Write(n, 1),
            ]);
        }
    }

    fn next_state(&self, last_state: &State, action: Action) -> Option<State> {
        let mut next = last_state.clone();
        next.steps += 1;
        next.sent = None;
        let is_done = self.with(|book| step::step(book, &mut next, action));
        (is_done && next != *last_state).then_some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(
                "what leaves is allowed by a grant at that moment",
                |_, s: &State| {
                    s.sent
                        .as_ref()
                        .is_none_or(|sent| sent.left & !sent.allowed == 0)
                },
            ),
            Property::always("what leaves is what the preview shows", |_, s: &State| {
                let is_same = |sent: &Sent| !sent.is_open || sent.left == sent.preview;
                s.sent.as_ref().is_none_or(is_same)
            }),
            Property::always("what is given is taken", |_, s: &State| {
                s.sent.as_ref().is_none_or(|sent| !sent.is_refused)
            }),
            Property::always(
                "every view is what was said, whoever else is revoked",
                |m: &Self, s: &State| {
                    (0..2).all(|grantee| {
                        let view = m.with(|book| step::view(book, s, grantee));
                        view == s.allowed(grantee)
                    })
                },
            ),
            Property::always(
                "an expired grant gives what a revoked one gives",
                |m: &Self, s: &State| !s.is_expired || m.with(|book| step::view(book, s, 1)) == 0,
            ),
            Property::always(
                "revoked stays revoked and declined stays declined",
                |m: &Self, s: &State| m.with(|book| book.ends_are_final(s)),
            ),
            Property::always(
                "nobody takes in what lies beyond the cut",
                |_, s: &State| {
                    (0..2).all(|writer| {
                        let late = &s.sides[writer].late;
                        let others = [&s.owner, &s.sides[1 - writer].log];
                        others
                            .iter()
                            .all(|log| late.iter().all(|event| !log.contains(event)))
                    })
                },
            ),
            Property::always(
                "a revoked grantee has no key to what came after",
                |_, s: &State| {
                    s.sides.iter().all(|side| {
                        let is_shut =
                            |(memory, epoch): &(Memory, u8)| side.epochs[*memory] & 1 << epoch == 0;
                        side.since.iter().all(is_shut)
                    })
                },
            ),
            Property::sometimes(
                "something is delivered after a revocation",
                |_, s: &State| {
                    let is_other = s.sides.iter().any(|side| side.is_revoked);
                    is_other && s.sent.as_ref().is_some_and(|sent| sent.left != 0)
                },
            ),
            Property::sometimes("a late change is refused", |_, s: &State| s.is_late_refused),
            Property::sometimes("a new key is taken", |_, s: &State| s.epoch[0] > 0),
            Property::sometimes(
                "one grantee has what the other wrote",
                |m: &Self, s: &State| m.with(|book| book.passed_on(s)),
            ),
        ]
    }
}

#[test]
fn consent_holds_in_every_order_of_seven_operations() {
    let steps_max = number("STEPS").unwrap_or(STEPS_MAX);
    let model = Consent {
        book: Mutex::new(Book::default()),
        steps_max,
    };
    let checker = model.checker().threads(1).spawn_bfs().join();
    println!(
        "{} states, {} of them unique, at most {steps_max} operations",
        checker.state_count(),
        checker.unique_state_count(),
    );
    checker.assert_properties();
}
