//! Everything that reads bytes or text from outside, as targets for fuzzing.
//!
//! A [`Target`] names a decoder and makes a [`Subject`]: valid inputs to start from, and a function
//! that decodes one input and does with it what the node does first. The function panics where the
//! decoder breaks its promise, such as a value that re-encodes to other bytes.
//!
//! ```text
//! TARGETS -> make() -> Subject { seeds, wrap, feed }
//! mutate::Mutator (seeds, number) -> input -> feed(input) -> did it decode?
//! ```
//!
//! `tests/tests/fuzz.rs` feeds seeded mutants and measures each; the crate in `tests/fuzz` gives
//! the same subjects to libFuzzer.
//!
//! Invariant: feeding one input leaves the subject as it was, so every input can be repeated alone.

// The crate for libFuzzer takes this file in from elsewhere: the paths hold in both places.
#[path = "fuzz/bodies.rs"]
mod bodies;
#[cfg(not(fuzzing))]
#[path = "fuzz/daemon.rs"]
mod daemon;
#[path = "fuzz/events.rs"]
mod events;
#[path = "fuzz/ledger.rs"]
mod ledger;
#[path = "fuzz/memory.rs"]
mod memory;
#[path = "fuzz/mutate.rs"]
pub mod mutate;
#[path = "fuzz/persons.rs"]
mod persons;
#[path = "fuzz/text.rs"]
mod text;
#[path = "fuzz/wire.rs"]
mod wire;

use crdt::codec::Canonical;
use std::fmt::Debug;
use std::time::Duration;

/// A million: what every decoder takes in CI that is quick enough.
pub const MILLION: u64 = 1_000_000;

/// What one input may cost.
#[derive(Debug, Clone, Copy)]
pub struct Budget {
    /// CPU time.
    pub time: Duration,
    /// Memory at once, in bytes.
    pub memory: u64,
}

/// What one input may cost a decoder.
pub const DECODING: Budget = Budget {
    time: Duration::from_millis(50),
    memory: 64 << 20,
};

/// A decoder.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// What it decodes.
    pub name: &'static str,
    /// How many inputs it takes at scale 1.
    pub inputs: u64,
    /// What one of them may cost.
    pub budget: Budget,
    /// Makes what is fed.
    pub make: fn() -> Subject,
}

/// Makes an input of an inside.
pub type Wrap = Box<dyn Fn(&[u8]) -> Vec<u8>>;
/// Decodes an input and uses it; tells whether it decoded.
pub type Feed = Box<dyn Fn(&[u8]) -> bool>;

/// A decoder with what it needs around it.
pub struct Subject {
    /// Valid inputs.
    pub seeds: Vec<Vec<u8>>,
    /// Pieces that mean something to it.
    pub words: &'static [&'static str],
    /// Puts a mutated inside into an envelope with right checksums, where there is one.
    pub wrap: Option<Wrap>,
    /// Decodes an input and uses it; tells whether it decoded.
    pub feed: Feed,
}

impl Debug for Subject {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Subject({} seeds)", self.seeds.len())
    }
}

impl Subject {
    /// Makes a subject of seeds and a function.
    pub fn new(seeds: Vec<Vec<u8>>, feed: impl Fn(&[u8]) -> bool + 'static) -> Self {
        Self {
            seeds,
            words: &[],
            wrap: None,
            feed: Box::new(feed),
        }
    }

    /// Makes a subject of a canonical type: what decodes must re-encode to the same bytes.
    pub fn canonical<T: Canonical + Debug>(seeds: &[T], then: impl Fn(T) + 'static) -> Self {
        let seeds = seeds.iter().map(Canonical::to_bytes).collect();
        Self::new(seeds, move |bytes| match T::from_bytes(bytes) {
            Ok(value) => {
                assert_eq!(value.to_bytes(), bytes, "another encoding of one value");
                then(value);
                true
            }
            Err(error) => error.to_string().is_empty(),
        })
    }

    /// Makes a subject of a function that reads text.
    pub fn text(
        seeds: &[&str],
        words: &'static [&'static str],
        feed: impl Fn(&str) -> bool + 'static,
    ) -> Self {
        let seeds = seeds.iter().map(|seed| seed.as_bytes().to_vec()).collect();
        // Whoever hands on bytes refuses what is no text.
        let feed = move |bytes: &[u8]| std::str::from_utf8(bytes).is_ok_and(&feed);
        Self {
            words,
            ..Self::new(seeds, feed)
        }
    }

    /// Lets mutants be wrapped before they are fed; the seeds are insides then.
    #[must_use]
    pub fn wrapped(self, wrap: impl Fn(&[u8]) -> Vec<u8> + 'static) -> Self {
        Self {
            wrap: Some(Box::new(wrap)),
            ..self
        }
    }

    /// Returns the input that a mutant stands for.
    pub fn input(&self, mutant: &[u8]) -> Vec<u8> {
        self.wrap
            .as_ref()
            .map_or_else(|| mutant.to_vec(), |wrap| wrap(mutant))
    }
}

/// Returns a target that takes a million inputs.
const fn target(name: &'static str, make: fn() -> Subject) -> Target {
    slow(name, MILLION, make)
}

/// Returns a target whose inputs cost more: it takes fewer at scale 1.
const fn slow(name: &'static str, inputs: u64, make: fn() -> Subject) -> Target {
    Target {
        name,
        inputs,
        budget: DECODING,
        make,
    }
}

/// Returns the targets by family, those with slow ones first.
pub fn families() -> Vec<(&'static str, &'static [Target])> {
    vec![
        ("memory", &memory::TARGETS),
        #[cfg(not(fuzzing))]
        ("daemon", &daemon::TARGETS),
        ("ledger", &ledger::TARGETS),
        ("persons", &persons::TARGETS),
        ("wire", &wire::TARGETS),
        ("events", &events::TARGETS),
        ("bodies", &bodies::TARGETS),
        ("text", &text::TARGETS),
    ]
}

/// Returns all targets.
pub fn targets() -> Vec<Target> {
    let families = families();
    families.iter().flat_map(|(_, own)| *own).copied().collect()
}
