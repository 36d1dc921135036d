//! What one input costs: whether it panicked, its CPU time, and the most memory at once.
//!
//! Only the thread that feeds is measured. Time is taken by the wall clock first, which costs
//! nothing; only what seems slow is fed again and measured in CPU time, so that a busy machine is
//! not taken for a slow decoder. What is over its budget then is told from a slow machine by a
//! yardstick, the same work every time: budgets are for a machine that needs [`YARDSTICK`] for it.

use brain_tests::fuzz::{Budget, DECODING, Subject};
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

/// What is this quick is not worth a second look.
const QUICK: Duration = Duration::from_micros(500);
/// How often a slow input is fed again before it is called slow.
const LOOKS: usize = 3;
/// What the yardstick takes on the machine that budgets are for, in CPU time.
const YARDSTICK: Duration = Duration::from_millis(3);
/// How often it is tried.
const YARDSTICK_TRIES: usize = 5;
/// However slow the machine is, no more than so many times a budget is granted.
const SLOWNESS_MAX: f64 = 2.0;

/// What an input did wrong.
#[derive(Debug, Clone)]
pub(crate) enum Fault {
    Panicked(String),
    Slow(Duration),
    Large(u64),
}

impl Fault {
    /// Tells whether two faults are of one kind.
    pub(crate) fn is_like(&self, other: &Self) -> bool {
        std::mem::discriminant(self) == std::mem::discriminant(other)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Panicked(what) => write!(f, "panicked: {what}"),
            Self::Slow(time) => write!(f, "took {time:?}"),
            Self::Large(bytes) => write!(f, "took {} MiB at once", bytes >> 20),
        }
    }
}

/// What feeding an input came to.
#[derive(Debug)]
pub(crate) struct Measured {
    /// Whether it decoded, or what was wrong.
    pub(crate) outcome: Result<bool, Fault>,
    pub(crate) time: Duration,
    pub(crate) memory: u64,
}

thread_local! {
    static FEEDS: Cell<bool> = const { Cell::new(false) };
    static PANIC: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Keeps the panics of feeding out of the output: Automerge's are caught by the gate.
pub(crate) fn keep_panics_quiet() {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        if FEEDS.get() {
            PANIC.set(Some(info.to_string()));
        } else {
            usual(info);
        }
    }));
}

/// Feeds an input; `slowest` is the time above which it is measured with care.
pub(crate) fn measure(
    subject: &Subject,
    budget: Budget,
    input: &[u8],
    slowest: Duration,
) -> Measured {
    let mut decoded = None;
    let mut time = Duration::ZERO;
    let allocated = allocation_counter::measure(|| {
        (decoded, time) = feed(subject, input);
    });
    let memory = allocated.bytes_max;
    let Some(decoded) = decoded else {
        let what = PANIC.take().unwrap_or_else(|| "without a word".to_owned());
        let outcome = Err(Fault::Panicked(what.replace('\n', ": ")));
        return Measured {
            outcome,
            time,
            memory,
        };
    };
    if time > slowest.max(QUICK) {
        time = (0..LOOKS).fold(time, |least, _| least.min(again(subject, input)));
    }
    let outcome = if time > budget.time && time > budget.time.mul_f64(slowness()) {
        Err(Fault::Slow(time))
    } else if memory > budget.memory {
        Err(Fault::Large(memory))
    } else {
        Ok(decoded)
    };
    Measured {
        outcome,
        time,
        memory,
    }
}

/// Feeds an input; no answer if it panicked.
fn feed(subject: &Subject, input: &[u8]) -> (Option<bool>, Duration) {
    FEEDS.set(true);
    let started = Instant::now();
    let decoded = catch_unwind(AssertUnwindSafe(|| (subject.feed)(input))).ok();
    let time = started.elapsed();
    FEEDS.set(false);
    (decoded, time)
}

/// Feeds an input once more and returns its CPU time, or its time where that is not to be had.
fn again(subject: &Subject, input: &[u8]) -> Duration {
    let before = cpu_time();
    let (_, time) = feed(subject, input);
    let spent = cpu_time().zip(before);
    let used = spent.map(|(after, before)| after.saturating_sub(before));
    used.map_or(time, |used| used.min(time))
}

/// Returns how many times slower than the one that budgets are for this machine is now, at least 1.
fn slowness() -> f64 {
    let tries = (0..YARDSTICK_TRIES).filter_map(|_| {
        let before = cpu_time()?;
        std::hint::black_box(yardstick());
        Some(cpu_time()?.saturating_sub(before))
    });
    let least = tries.min().unwrap_or(YARDSTICK);
    least.div_duration_f64(YARDSTICK).clamp(1.0, SLOWNESS_MAX)
}

/// Allocates, compares and follows pointers, as parsers do.
fn yardstick() -> usize {
    let mut random = 1_u64;
    let mut map = BTreeMap::new();
    for _ in 0..10_000 {
        // Xorshift, after Marsaglia.
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        map.insert(random.to_string(), random);
    }
    map.keys().map(String::len).sum()
}

/// Returns the CPU time of this thread.
fn cpu_time() -> Option<Duration> {
    // The kernel brings the number up to date when the thread gives way.
    std::thread::yield_now();
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    let nanoseconds = text.split(' ').next()?.parse().ok()?;
    Some(Duration::from_nanos(nanoseconds))
}

#[test]
fn what_goes_wrong_is_measured() {
    keep_panics_quiet();
    let subject = |feed: fn(&[u8]) -> bool| Subject::new(vec![vec![1]], feed);
    let fault = |feed| measure(&subject(feed), DECODING, &[1], Duration::ZERO).outcome;
    assert!(fault(|input| input.len() == 1).unwrap());
    let panicked = fault(|input| input[5] == 0).unwrap_err();
    assert!(panicked.to_string().contains("out of bounds"), "{panicked}");
    let large = fault(|_| std::hint::black_box(Vec::<u8>::with_capacity(65 << 20)).is_empty());
    assert!(matches!(large, Err(Fault::Large(_))), "{large:?}");
    let slow = fault(|_| {
        let most = DECODING.time.mul_f64(SLOWNESS_MAX * 1.5);
        let (started, before) = (Instant::now(), cpu_time().unwrap_or_default());
        let is_short = |now| now < before + most;
        while started.elapsed() < most || cpu_time().is_some_and(is_short) {
            std::hint::black_box(started);
        }
        true
    });
    assert!(matches!(slow, Err(Fault::Slow(_))), "{slow:?}");
    let waits = fault(|_| {
        std::thread::sleep(DECODING.time.mul_f64(SLOWNESS_MAX * 1.5));
        true
    });
    let by_proc = cpu_time().is_some();
    assert_eq!(waits.is_ok(), by_proc, "to wait is not to work: {waits:?}");
}
