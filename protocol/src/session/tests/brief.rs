//! Sessions of nodes that met before, and of nodes of unequal versions.

use super::*;
use crate::limits::CHECKPOINT_FRESH_MS;
use crate::wire::brief::{Again, Digest, Topic};
use crate::wire::control_frame;

/// Delivers everything and counts the bytes of the frames each side sent.
fn deliver_counted(one: &mut Side, other: &mut Side) -> [usize; 2] {
    let mut bytes = [0; 2];
    for _ in 0..10_000 {
        let mut is_quiet = true;
        is_quiet &= !pass(one, other, &mut bytes[0]);
        is_quiet &= !pass(other, one, &mut bytes[1]);
        if is_quiet {
            return bytes;
        }
    }
    panic!("two sessions do not come to rest");
}

fn pass(from: &mut Side, to: &mut Side, bytes: &mut usize) -> bool {
    if let Some(Effect::Send(control)) = from.out.front() {
        *bytes += control_frame(control).len();
    }
    let next = from.next();
    let is_something = next.is_some();
    if let Some(input) = next {
        to.handle(input);
    }
    is_something
}

/// Runs a session between two sides and returns them with what each learnt of the other.
fn meet(known: [Option<Acquaintance>; 2], count: u16) -> ([Side; 2], [usize; 2]) {
    let [mine, theirs] = known;
    let mut one = Side::new(Role::Initiator, 1, 2, 0..count);
    let mut other = Side::new(Role::Responder, 2, 1, 0..count);
    one.session = one.session.knowing(mine);
    other.session = other.session.knowing(theirs);
    one.handle(Input::Started);
    other.handle(Input::Started);
    let bytes = deliver_counted(&mut one, &mut other);
    ([one, other], bytes)
}

fn learnt(sides: &[Side; 2]) -> [Option<Acquaintance>; 2] {
    [0, 1].map(|at| sides[at].session.acquaintance())
}

/// Meets again as [`meet`], with the ledgers of an earlier meeting.
fn meet_again(before: [Side; 2]) -> ([Side; 2], [usize; 2]) {
    let known = learnt(&before);
    let [one, other] = before;
    let mut first = Side::new(Role::Initiator, 1, 2, one.items.clone());
    let mut second = Side::new(Role::Responder, 2, 1, other.items.clone());
    first.ledger = one.ledger;
    second.ledger = other.ledger;
    let [mine, theirs] = known;
    first.session = first.session.knowing(mine);
    second.session = second.session.knowing(theirs);
    first.handle(Input::Started);
    second.handle(Input::Started);
    let bytes = deliver_counted(&mut first, &mut second);
    ([first, second], bytes)
}

#[test]
fn who_met_before_and_has_nothing_new_says_little() {
    let (sides, first) = meet([None, None], 1_000);
    assert_in_sync(&sides[0], &sides[1]);
    let (sides, again) = meet_again(sides);
    assert_in_sync(&sides[0], &sides[1]);
    assert!(again.iter().sum::<usize>() <= 200, "{again:?}");
    assert!(first.iter().all(|bytes| *bytes > 1_000), "{first:?}");
    // And what each remembers is still good for the next time.
    let (sides, third) = meet_again(sides);
    assert_in_sync(&sides[0], &sides[1]);
    assert_eq!(again, third);
}

#[test]
fn whoever_forgot_asks_and_is_told() {
    for forgetful in [0, 1] {
        let (sides, _) = meet([None, None], 10);
        let mut known = learnt(&sides);
        known[forgetful] = None;
        let (sides, bytes) = meet(known, 10);
        assert_in_sync(&sides[0], &sides[1]);
        assert!(bytes[forgetful] > 0);
        assert!(
            sides
                .iter()
                .all(|side| side.session.acquaintance().is_some())
        );
    }
}

#[test]
fn whoever_does_not_remember_the_view_asks_how_it_stands() {
    for forgetful in [0, 1] {
        let (sides, _) = meet([None, None], 10);
        let mut known = learnt(&sides);
        if let Some(known) = &mut known[forgetful] {
            known.equal = None;
        }
        let (sides, bytes) = meet(known.clone(), 10);
        assert_in_sync(&sides[0], &sides[1]);
        let (sides, less) = meet(learnt(&sides), 10);
        assert_in_sync(&sides[0], &sides[1]);
        assert!(bytes[1 - forgetful] > less[1 - forgetful], "it was told");
    }
}

#[test]
fn who_named_no_view_is_asked_for_none() {
    let (sides, _) = meet([None, None], 10);
    let [mut one, _] = sides;
    one.handle(Input::Message(Control::Tell(Topic::Proof)));
    assert!(matches!(one.closed, Some((_, true))));
}

#[test]
fn a_greeting_that_changed_is_said_in_full() {
    let (sides, _) = meet([None, None], 10);
    let [mine, theirs] = learnt(&sides);
    let mut one = Side::new(Role::Initiator, 1, 2, 0..10);
    let mut moved = hello(1);
    moved.addresses = vec!["/ip4/127.0.0.1/tcp/1".to_owned()];
    let peer = hello(2).certificate.device;
    one.session = Session::new(Role::Initiator, peer, moved.clone()).knowing(mine);
    let mut other = Side::new(Role::Responder, 2, 1, 0..10);
    other.session = other.session.knowing(theirs);
    one.handle(Input::Started);
    other.handle(Input::Started);
    deliver_all(&mut one, &mut other);
    assert_in_sync(&one, &other);
    let known = other.session.acquaintance().expect("they greeted");
    assert_eq!(known.theirs.addresses, moved.addresses);
}

#[test]
fn a_digest_of_nothing_known_draws_the_same_words_from_everyone() {
    let again = |both| {
        Input::Message(Control::Again(Again {
            nonce: [1; 16],
            both,
        }))
    };
    let (sides, _) = meet([None, None], 10);
    let [_, known] = learnt(&sides);
    for known in [None, known] {
        let mut other = Side::new(Role::Responder, 2, 1, 0..10);
        other.session = other.session.knowing(known);
        other.handle(Input::Started);
        other.handle(again(Digest([9; 16])));
        let said: Vec<Effect> = other.out.drain(..).collect();
        assert!(
            matches!(said.as_slice(), [Effect::Send(Control::Tell(_))]),
            "{said:?}"
        );
        other.handle(again(Digest([9; 16])));
        assert!(matches!(other.closed, Some((_, true))), "asked once only");
    }
}

#[test]
fn versions_that_overlap_sync_what_both_understand() {
    let now = (VERSION_MIN, VERSION_MAX);
    let old = (VERSION_MIN, VERSION_MIN);
    let next = (VERSION_MIN, VERSION_MAX + 1);
    for (mine, theirs, spoken) in [
        (now, old, VERSION_MIN),
        (old, now, VERSION_MIN),
        (now, next, VERSION_MAX),
        (next, now, VERSION_MAX),
    ] {
        let mut one = Side::new(Role::Initiator, 1, 2, 0..300);
        let mut other = Side::new(Role::Responder, 2, 1, 200..500);
        for (side, seed, peer, versions, role) in [
            (&mut one, 1, 2, mine, Role::Initiator),
            (&mut other, 2, 1, theirs, Role::Responder),
        ] {
            let mut hello = hello(seed);
            (hello.version_min, hello.version_max) = versions;
            side.session = Session::new(role, super::hello(peer).certificate.device, hello);
        }
        one.handle(Input::Started);
        other.handle(Input::Started);
        deliver_all(&mut one, &mut other);
        assert_in_sync(&one, &other);
        assert_eq!(one.session.version(), spoken);
        assert_eq!(other.session.version(), spoken);
    }
}

#[test]
fn who_understands_no_digests_is_never_sent_one() {
    let mut old = hello(2);
    old.version_max = VERSION_MIN;
    let peer = hello(2).certificate.device;
    let mut one = Side::new(Role::Initiator, 1, 2, 0..300);
    let mut other = Side::new(Role::Responder, 2, 1, 200..500);
    other.session = Session::new(Role::Responder, hello(1).certificate.device, old);
    for _ in 0..2 {
        let known = one.session.acquaintance();
        one.session = Session::new(Role::Initiator, peer, hello(1)).knowing(known);
        one.handle(Input::Started);
        let brief = |effect: &Effect| {
            matches!(
                effect,
                Effect::Send(
                    Control::Again(_)
                        | Control::Tell(_)
                        | Control::FrontierIs(_)
                        | Control::EchoIs(_)
                        | Control::ProofIs(_)
                )
            )
        };
        other.handle(Input::Started);
        for _ in 0..100 {
            assert!(!one.out.iter().any(brief));
            if let Some(input) = one.next() {
                other.handle(input);
            }
            if let Some(input) = other.next() {
                one.handle(input);
            }
        }
        let mut again = hello(2);
        again.version_max = VERSION_MIN;
        other.session = Session::new(Role::Responder, hello(1).certificate.device, again);
    }
}

#[test]
fn a_line_that_has_not_grown_is_shown_again_after_an_hour_only() {
    let (sides, _) = meet([None, None], 3);
    let (sides, _) = meet_again(sides);
    assert_eq!(sides[0].ledger.taken, [(0, 0)], "nothing new to show");
    let known = learnt(&sides);
    let [mut one, _] = sides;
    let [mine, _] = known;
    let peer = hello(2).certificate.device;
    one.session = Session::new(Role::Initiator, peer, hello(1)).knowing(mine);
    let checkpoint = |time: u64| {
        let held = one.ledger.held.clone().expect("one is held");
        let mut late = *held;
        late.time = Timestamp(time);
        Box::new(late)
    };
    let known = one.session.known.as_mut().expect("they met");
    known.witnessed = Some(checkpoint(1_000));
    one.session.version = VERSION_MAX;
    let soon = one
        .session
        .handle_checkpoint(checkpoint(1_000 + CHECKPOINT_FRESH_MS - 1), Vec::new());
    assert!(soon.is_empty());
    one.session.witnessing = Witnessing::default();
    let later = one
        .session
        .handle_checkpoint(checkpoint(1_000 + CHECKPOINT_FRESH_MS), Vec::new());
    assert_eq!(later.len(), 1);
}

/// Meets, lets both sides write `mine` and `theirs`, and meets again; tells whether the second
/// reconciliation began with what is new, and whether it had to begin again.
fn write_and_meet(mine: &[u16], theirs: &[u16]) -> (bool, bool, [usize; 2]) {
    let (sides, _) = meet([None, None], 2_000);
    let known = learnt(&sides);
    let [mut one, mut other] = sides;
    one.items.extend(mine);
    other.items.extend(theirs);
    for (side, known, role, peer) in [
        (&mut one, known[0].clone(), Role::Initiator, 2),
        (&mut other, known[1].clone(), Role::Responder, 1),
    ] {
        let own = hello(3 - peer);
        side.session = Session::new(role, hello(peer).certificate.device, own).knowing(known);
        side.told = View::default();
        side.handle(Input::Started);
    }
    let (mut is_recent, mut is_whole, mut bytes) = (false, false, [0; 2]);
    for _ in 0..1_000 {
        let sent = |effect: Option<&Effect>| match effect {
            Some(Effect::Send(Control::Recent(_))) => (true, false),
            Some(Effect::Send(Control::Tell(_))) => (false, true),
            _ => (false, false),
        };
        is_recent |= sent(one.out.front()).0;
        is_whole |= sent(other.out.front()).1;
        if !(pass(&mut one, &mut other, &mut bytes[0]) | pass(&mut other, &mut one, &mut bytes[1]))
        {
            break;
        }
    }
    assert_in_sync(&one, &other);
    (is_recent, is_whole, bytes)
}

#[test]
fn a_reconciliation_begins_with_what_is_new() {
    // Items from 2,000 on are newer than all that both had.
    let (is_recent, is_whole, bytes) = write_and_meet(&[2_010, 2_020], &[2_030]);
    assert!(is_recent && !is_whole);
    assert!(bytes.iter().sum::<usize>() < 900, "{bytes:?}");
}

#[test]
fn what_came_late_with_an_old_time_is_found_all_the_same() {
    let (sides, _) = meet([None, None], 2_000);
    let known = learnt(&sides);
    let [mut one, mut other] = sides;
    for number in [5, 700] {
        one.items.remove(&number);
    }
    other.items.insert(3_000);
    let peers = [2, 1].map(|peer| hello(peer).certificate.device);
    one.session = Session::new(Role::Initiator, peers[0], hello(1)).knowing(known[0].clone());
    other.session = Session::new(Role::Responder, peers[1], hello(2)).knowing(known[1].clone());
    (one.told, other.told) = (View::default(), View::default());
    one.handle(Input::Started);
    other.handle(Input::Started);
    deliver_all(&mut one, &mut other);
    assert_in_sync(&one, &other);
    assert_eq!((one.items.len(), one.came), (2_001, 3));
}
