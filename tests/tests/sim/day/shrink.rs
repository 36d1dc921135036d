//! Shrinking: of a plan that fails, the steps that are needed for it to fail.
//!
//! Delta debugging (Zeller, Hildebrandt 2002): leave out halves, then smaller parts, as long as
//! what is left still fails in some way.

use super::plan::{Plan, Step};
use super::run::{Counts, Day, Trace};
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::sync::Once;

/// The most runs that shrinking takes: it is there to help, not to make anyone wait.
const RUNS_MAX: u32 = 300;

thread_local! {
    static IS_QUIET: Cell<bool> = const { Cell::new(false) };
}

/// Makes panics on this thread silent while `f` runs.
fn quietly<T>(f: impl FnOnce() -> T) -> T {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let usual = take_hook();
        set_hook(Box::new(move |info| {
            if !IS_QUIET.get() {
                usual(info);
            }
        }));
    });
    IS_QUIET.set(true);
    let done = f();
    IS_QUIET.set(false);
    done
}

/// Executes a plan; returns what it died of if a promise was broken.
pub(crate) fn attempt(seed: u64, plan: &Plan) -> Result<(Counts, Trace), String> {
    let run = || catch_unwind(AssertUnwindSafe(|| Day::run(seed, plan)));
    quietly(run).map_err(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        text.unwrap_or_else(|| "a panic without words".to_owned())
    })
}

/// Leaves out of a plan whatever it fails without, for the same reason.
pub(crate) fn shrink(seed: u64, plan: &Plan, why: &str) -> Plan {
    let mut runs = 0;
    let reason = |why: &str| why.replace(|sign: char| sign.is_ascii_digit(), "");
    let why: String = reason(why).chars().take(40).collect();
    let mut fails = |steps: &[Step]| {
        runs += 1;
        let (hostile, steps) = (plan.hostile, steps.to_vec());
        let plan = Plan { hostile, steps };
        runs <= RUNS_MAX
            && attempt(seed, &plan).is_err_and(|other| reason(&other).starts_with(&why))
    };
    let steps = smallest(plan.steps.clone(), &mut fails);
    let hostile = plan.hostile;
    Plan { hostile, steps }
}

fn smallest<T: Clone>(mut steps: Vec<T>, fails: &mut dyn FnMut(&[T]) -> bool) -> Vec<T> {
    let mut parts = 2;
    while steps.len() >= 2 {
        let size = steps.len().div_ceil(parts);
        let mut is_smaller = false;
        for at in (0..steps.len()).step_by(size) {
            let end = (at + size).min(steps.len());
            let rest = [&steps[..at], &steps[end..]].concat();
            if fails(&rest) {
                steps = rest;
                parts = (parts - 1).max(2);
                is_smaller = true;
                break;
            }
        }
        if !is_smaller {
            if parts >= steps.len() {
                break;
            }
            parts = (parts * 2).min(steps.len());
        }
    }
    steps
}

#[test]
fn what_is_not_needed_is_left_out() {
    let all: Vec<u32> = (0..100).collect();
    let mut fails = |left: &[u32]| [7, 42, 43].iter().all(|needed| left.contains(needed));
    assert_eq!(smallest(all, &mut fails), [7, 42, 43]);
}
