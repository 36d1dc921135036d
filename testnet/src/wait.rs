//! Waiting: looks until something holds or its time is up, and says what it waited for.

use crate::fault::{Fault, Result};
use std::time::{Duration, Instant};

/// How long to leave the machine alone between two looks.
const PAUSE: Duration = Duration::from_millis(100);

/// What a look saw.
#[derive(Debug)]
pub(crate) enum Seen<T> {
    /// What was waited for.
    Yes(T),
    /// Something else, in words for the person who reads why it took too long.
    NotYet(String),
}

impl Seen<()> {
    /// Returns that it holds, or what is seen instead.
    pub(crate) fn of(holds: bool, instead: impl FnOnce() -> String) -> Self {
        if holds {
            Self::Yes(())
        } else {
            Self::NotYet(instead())
        }
    }
}

/// Looks until it sees what is waited for. It looks once more after the time is up, so that a busy
/// machine is not blamed on the node.
pub(crate) fn until<T>(
    what: &str,
    within: Duration,
    mut look: impl FnMut() -> Result<Seen<T>>,
) -> Result<T> {
    let deadline = Instant::now() + within;
    loop {
        let is_last = Instant::now() >= deadline;
        match look()? {
            Seen::Yes(found) => return Ok(found),
            Seen::NotYet(seen) if is_last => {
                let what = what.to_owned();
                return Err(Fault::Late { what, within, seen });
            }
            Seen::NotYet(_) => std::thread::sleep(PAUSE),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_late_is_named_with_what_was_there() {
        let look = || Ok(Seen::<()>::NotYet("two of three".to_owned()));
        let late = until("all three", Duration::ZERO, look).unwrap_err();
        let expected = "all three: not within 0ns; last seen: two of three";
        assert_eq!(late.to_string(), expected);
    }

    #[test]
    fn it_looks_again_until_it_is_there() {
        let mut looks = 0;
        let look = || {
            looks += 1;
            Ok(Seen::of(looks == 3, || looks.to_string()))
        };
        until("the third look", Duration::from_secs(10), look).unwrap();
        assert_eq!(looks, 3);
    }
}
