//! What processes use: CPU time, memory, disk; read from `/proc` and the file system.

use std::fs;
use std::path::Path;

/// Ticks of `/proc/PID/stat` in a second, on all Linux systems of today.
const TICKS: f64 = 100.0;
/// What is counted as one thousandth of a second, in nanoseconds.
const MS: f64 = 1e6;

/// Returns the CPU seconds of processes, with those of threads that ended.
pub(crate) fn cpu_s(processes: &[u32]) -> f64 {
    let one = |process: &u32| {
        let stat = fs::read_to_string(format!("/proc/{process}/stat")).expect("it runs");
        // The name, in parentheses, may hold anything.
        let (_, rest) = stat.rsplit_once(')').expect("a name stands in parentheses");
        let ticks = rest.split_whitespace().skip(11).take(2);
        ticks
            .map(|ticks| ticks.parse::<f64>().expect("a number"))
            .sum::<f64>()
    };
    processes.iter().map(one).sum::<f64>() / TICKS
}

/// Returns the CPU milliseconds of the threads that run now, to the nanosecond.
pub(crate) fn cpu_ms(processes: &[u32]) -> f64 {
    let tasks = processes.iter().filter_map(|process| {
        let tasks = fs::read_dir(format!("/proc/{process}/task")).ok()?;
        Some(tasks.filter_map(Result::ok))
    });
    let spent = tasks.flatten().filter_map(|task| {
        let text = fs::read_to_string(task.path().join("schedstat")).ok()?;
        text.split(' ').next()?.parse::<f64>().ok()
    });
    spent.sum::<f64>() / MS
}

/// Returns the memory of a process in KiB, and the most it ever had.
pub(crate) fn memory_kib(process: u32) -> (u64, u64) {
    let status = fs::read_to_string(format!("/proc/{process}/status")).expect("it runs");
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        let number = line.and_then(|rest| rest.split_whitespace().next());
        number.and_then(|number| number.parse().ok()).unwrap_or(0)
    };
    (field("VmRSS:"), field("VmHWM:"))
}

/// Returns the bytes of all files below a folder.
pub(crate) fn disk(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).into_iter().flatten();
    let bytes = entries.filter_map(Result::ok).map(|entry| {
        let Ok(about) = entry.metadata() else {
            return 0;
        };
        if about.is_dir() {
            disk(&entry.path())
        } else {
            about.len()
        }
    });
    bytes.sum()
}
