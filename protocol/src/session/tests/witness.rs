//! What two sessions show each other of their ledgers, without stores.

use super::*;
use crdt::ledger::{Checkpoint, Note, Tree};
use crdt::testing::Entropy;

/// A ledger that is only a line, and what was shown of the peer's.
pub(super) struct Ledger {
    own: u8,
    pub(super) line: Tree,
    pub(super) held: Option<Box<Checkpoint>>,
    pub(super) echoes: Vec<u64>,
    /// Sizes and lengths of proofs.
    pub(super) taken: Vec<(u64, usize)>,
    /// The sizes that the peer was said to know of.
    pub(super) since: Vec<u64>,
}

impl Ledger {
    pub(super) fn new(own: u8) -> Self {
        Self {
            own,
            line: Tree::default(),
            held: None,
            echoes: Vec::new(),
            taken: Vec::new(),
            since: Vec::new(),
        }
    }
    fn checkpoint(&self) -> Box<Checkpoint> {
        let certificate = hello(self.own).certificate;
        let device = DeviceKey::from_seed(&[self.own + 100; 32]);
        let other = hello(3 - self.own).certificate.person;
        let note = Note {
            entries: self.line.size(),
            root: self.line.root(),
            log: 0,
        };
        let pair = (certificate.person, other);
        let rng = &mut Entropy::new(1);
        Box::new(Checkpoint::sign(&self.line, pair, &note, NOW, &device, rng))
    }
    pub(super) fn run(&mut self, effect: Effect) -> Option<Input> {
        match effect {
            Effect::LoadHeld => Some(Input::Held(self.held.clone())),
            Effect::TakeEcho(held) => {
                self.echoes.push(held.size);
                None
            }
            Effect::LoadCheckpoint { since } => {
                self.since.push(since);
                Some(Input::Checkpoint {
                    checkpoint: self.checkpoint(),
                    proof: vec![Hash([1; 32]); usize::from(since > 0)],
                })
            }
            Effect::TakeCheckpoint {
                checkpoint,
                proof,
                shown,
            } => {
                assert_eq!(shown, self.held, "the proof is for what was shown");
                self.taken.push((checkpoint.size, proof.len()));
                self.held = Some(checkpoint);
                Some(Input::Held(self.held.clone()))
            }
            other => panic!("not about a ledger: {other:?}"),
        }
    }
}

#[test]
fn both_sides_show_their_ledgers_and_show_back_what_they_held() {
    let (mut one, mut other) = connected(0..3, 0..3);
    assert_eq!(one.ledger.taken, [(0, 0)]);
    assert_eq!(other.ledger.taken, [(0, 0)]);
    assert_eq!(
        one.ledger.echoes,
        [0],
        "what was just shown, and nothing before"
    );
    // What is sent is witnessed once both are equal again.
    one.ledger.line.push(b"an entry");
    one.items.insert(9);
    one.look();
    deliver_all(&mut one, &mut other);
    assert_in_sync(&one, &other);
    assert_eq!(other.ledger.taken.last(), Some(&(1, 0)));
    assert_eq!(one.ledger.taken.len(), 1, "the other side sent nothing");
    assert_eq!(one.ledger.echoes, [0, 1]);

    // The next session: each shows back what it held, and the proof begins there.
    let (held, line) = (other.ledger.held.clone(), one.ledger.line.clone());
    let mut one = Side::new(Role::Initiator, 1, 2, 0..3);
    let mut other = Side::new(Role::Responder, 2, 1, 0..3);
    (one.ledger.line, other.ledger.held) = (line, held);
    one.ledger.line.push(b"another");
    one.handle(Input::Started);
    other.handle(Input::Started);
    deliver_all(&mut one, &mut other);
    assert_eq!(one.ledger.echoes, [1, 2]);
    assert_eq!(one.ledger.since.first(), Some(&1));
    assert_eq!(other.ledger.taken, [(2, 1)]);
}

#[test]
fn what_goes_to_others_is_not_told_by_when_a_checkpoint_is_sent() {
    let (mut one, mut other) = connected(0..3, 0..3);
    let before = other.ledger.taken.len();
    // Equal, unequal because the other side wrote, equal again: the line did not grow.
    other.items.insert(8);
    other.look();
    deliver_all(&mut one, &mut other);
    assert_in_sync(&one, &other);
    assert_eq!(other.ledger.taken.len(), before);
}

#[test]
fn a_ledger_is_shown_back_as_often_as_it_was_shown_and_never_before_the_greeting() {
    let (mut one, _) = connected(0..3, 0..3);
    one.handle(Input::Message(Control::Echo(None)));
    assert!(matches!(one.closed, Some((_, true))));
    let ledger = Ledger::new(2);
    for message in [
        Control::Echo(None),
        Control::Checkpoint {
            checkpoint: ledger.checkpoint(),
            proof: Vec::new(),
        },
    ] {
        let mut one = Side::new(Role::Responder, 1, 2, 0..3);
        one.handle(Input::Started);
        one.handle(Input::Message(message.clone()));
        assert!(matches!(one.closed, Some((_, true))), "{message:?}");
        assert!(one.ledger.taken.is_empty());
    }
}

#[test]
fn the_messages_have_one_encoding_and_a_bound() {
    use crdt::ledger::tree::PROOF_MAX;
    let checkpoint = Ledger::new(1).checkpoint();
    let proof = |length| Control::Checkpoint {
        checkpoint: checkpoint.clone(),
        proof: vec![Hash([2; 32]); length],
    };
    for message in [
        Control::Echo(None),
        Control::Echo(Some(checkpoint.clone())),
        proof(0),
        proof(PROOF_MAX),
    ] {
        assert_eq!(Control::from_bytes(&message.to_bytes()), Ok(message));
    }
    assert!(Control::from_bytes(&proof(PROOF_MAX + 1).to_bytes()).is_err());
}
