//! Trace contexts: only between two who both take them, and never to one who does not.

use super::*;
use crate::trace::TraceContext;
use crate::wire::VERSION_TRACED;

fn step() -> TraceContext {
    TraceContext::new([7; 16], [8; 8], true).expect("no zeros")
}

/// Runs a session between two sides of which each takes traces or does not.
fn meet(takes: [bool; 2], version_max: u16) -> [Side; 2] {
    let mut sides = [
        Side::new(Role::Initiator, 1, 2, 0..3),
        Side::new(Role::Responder, 2, 1, 0..3),
    ];
    for (side, takes) in sides.iter_mut().zip(takes) {
        side.session.hello.version_max = version_max;
        side.session.tracing.here = takes;
        side.handle(Input::Started);
    }
    let [mut one, mut other] = sides;
    deliver_all(&mut one, &mut other);
    [one, other]
}

#[test]
fn both_sides_have_to_allow_it() {
    for takes in [[true, true], [true, false], [false, true], [false, false]] {
        let sides = meet(takes, VERSION_TRACED);
        let both = takes == [true, true];
        for side in &sides {
            assert_eq!(side.closed, None);
            assert_eq!(side.session.is_traced(), both, "{takes:?}");
            assert!(side.session.status().in_sync);
        }
    }
}

#[test]
fn a_peer_of_an_older_version_hears_nothing_of_it() {
    for side in meet([true, true], VERSION_BRIEF) {
        assert_eq!(side.closed, None);
        assert!(!side.session.is_traced());
    }
}

#[test]
fn a_context_reaches_the_driver_only_where_it_was_asked_for() {
    let [mut taking, _] = meet([true, true], VERSION_TRACED);
    let effects = taking
        .session
        .handle(Input::Message(Control::Trace(Some(step()))), NOW);
    assert!(matches!(effects.first(), Some(Effect::Trace(found)) if *found == step()));
    for (takes, version) in [
        ([false, true], VERSION_TRACED),
        ([true, true], VERSION_BRIEF),
    ] {
        let [mut side, _] = meet(takes, version);
        let effects = side
            .session
            .handle(Input::Message(Control::Trace(Some(step()))), NOW);
        let is_fault = matches!(effects.first(), Some(Effect::Close { fault: true, .. }));
        assert!(is_fault, "{takes:?} {version}");
    }
}
