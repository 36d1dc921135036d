//! The table at the end.

use std::fmt::Write as _;
use std::time::Duration;

/// What became of one target.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) inputs: u64,
    pub(crate) decoded: u64,
    pub(crate) slowest: Duration,
    pub(crate) largest: u64,
    pub(crate) seconds: f64,
    pub(crate) fault: Option<String>,
}

impl Row {
    pub(crate) fn new(name: &'static str) -> Self {
        Self {
            name,
            inputs: 0,
            decoded: 0,
            slowest: Duration::ZERO,
            largest: 0,
            seconds: 0.0,
            fault: None,
        }
    }
}

/// Prints the table, even where the test runner keeps what is printed.
pub(crate) fn print(rows: &[Row]) {
    let mut text = format!(
        "{:<32} {:>9} {:>8} {:>11} {:>10} {:>8}\n",
        "target", "inputs", "decoded", "slowest", "memory", "seconds"
    );
    for row in rows {
        let permille = 1_000 * row.decoded / row.inputs.max(1);
        let share = format!("{}.{} %", permille / 10, permille % 10);
        writeln!(
            text,
            "{:<32} {:>9} {share:>8} {:>8.1?} {:>6} KiB {:>8.1} {}",
            row.name,
            row.inputs,
            row.slowest,
            row.largest.div_ceil(1 << 10),
            row.seconds,
            row.fault.as_deref().unwrap_or_default(),
        )
        .expect("a string takes text");
    }
    say(&text);
}

/// Says something while the test runs.
#[expect(clippy::print_stderr, reason = "a test says what it found")]
pub(crate) fn say(text: &str) {
    eprintln!("{text}");
}

/// Writes bytes in hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a string takes text");
        text
    })
}
