//! The only place that prints: one line for each step, and the result.

use std::io::Write as _;
use std::time::Duration;

/// Prints one line.
pub(crate) fn line(text: &str) {
    // Who reads the output may go away; the scenario goes on and its result is the exit code.
    writeln!(std::io::stdout().lock(), "{text}").ok();
}

/// Prints how long a step took, and what it did or why it did not.
pub(crate) fn step(mark: char, took: Duration, what: &str) {
    line(&format!("  {mark} {:>7.2} s  {what}", took.as_secs_f64()));
}

/// Prints the lines of an explanation, below the step that it belongs to.
pub(crate) fn below(text: &str) {
    for one in text.lines() {
        line(&format!("               {one}"));
    }
}
