//! A family of decoders behind one function: the first byte picks the decoder, the rest goes in.
//!
//! The decoders are those of `tests/src/fuzz.rs`, which the seeded run in `tests/tests/fuzz.rs`
//! feeds too; what needs the whole daemon is left out here, because it takes long to build.

#[path = "../src/fuzz.rs"]
#[allow(dead_code, reason = "mutants are made by libFuzzer here")]
mod fuzz;

use fuzz::Subject;
use std::sync::OnceLock;

thread_local! {
    static SUBJECTS: OnceLock<Vec<Subject>> = const { OnceLock::new() };
}

/// Feeds one input to a decoder of a family; panics where it breaks a promise.
pub fn feed(family: &str, data: &[u8]) {
    let Some((which, inside)) = data.split_first() else {
        return;
    };
    SUBJECTS.with(|subjects| {
        let subjects = subjects.get_or_init(|| make(family));
        if let Some(subject) = subjects.get(usize::from(*which) % subjects.len().max(1)) {
            (subject.feed)(&subject.input(inside));
        }
    });
}

/// Makes the decoders of a family ready, so that this is not counted to the first input.
pub fn prepare(family: &str) {
    SUBJECTS.with(|subjects| {
        subjects.get_or_init(|| make(family));
    });
}

fn make(family: &str) -> Vec<Subject> {
    let families = fuzz::families().into_iter();
    let own = families.filter(|(name, _)| *name == family);
    own.flat_map(|(_, targets)| targets).map(|target| (target.make)()).collect()
}
