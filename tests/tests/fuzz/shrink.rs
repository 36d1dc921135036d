//! Makes a failing input smaller while it goes on failing in the same way.

use crate::measure::{Fault, measure};
use brain_tests::fuzz::{Budget, Subject};
use std::time::{Duration, Instant};

/// How long one failure may be worked on.
const TIME_MAX: Duration = Duration::from_secs(20);

/// Returns a small input with a fault of the same kind.
pub(crate) fn shrink(subject: &Subject, budget: Budget, input: &[u8], fault: &Fault) -> Vec<u8> {
    let until = Instant::now() + TIME_MAX;
    let fails = |input: &[u8]| {
        let found = measure(subject, budget, input, Duration::ZERO).outcome;
        found.is_err_and(|found| found.is_like(fault))
    };
    let mut small = input.to_vec();
    let mut piece = small.len().div_ceil(2);
    while piece > 0 && Instant::now() < until {
        let mut at = 0;
        while at < small.len() && Instant::now() < until {
            let end = (at + piece).min(small.len());
            let mut without = small.clone();
            drop(without.drain(at..end));
            if fails(&without) {
                small = without;
            } else {
                at = end;
            }
        }
        piece /= 2;
    }
    for at in 0..small.len().min(512) {
        let mut plain = small.clone();
        plain[at] = 0;
        if plain != small && Instant::now() < until && fails(&plain) {
            small = plain;
        }
    }
    small
}

#[test]
fn the_smallest_input_is_found() {
    crate::measure::keep_panics_quiet();
    let subject = Subject::new(Vec::new(), |input| {
        assert!(!input.windows(2).any(|pair| pair == b"ab"), "found");
        true
    });
    let input = b"some text with ab in the middle of it";
    let budget = brain_tests::fuzz::DECODING;
    let fault = measure(&subject, budget, input, Duration::ZERO);
    let fault = fault.outcome.unwrap_err();
    assert_eq!(shrink(&subject, budget, input, &fault), b"ab");
}
