//! The process as the kernel counts it, under the names that every Prometheus client uses.
//!
//! Read from `/proc`, so on Linux only: elsewhere these are left out.

use super::metrics::Sheet;
use std::fs;

/// In what the kernel counts time for programs: `USER_HZ`, which is part of what it promises them.
const TICKS_PER_SECOND: f64 = 100.0;

/// Adds memory, processor time, open files and start time.
pub(super) fn describe(sheet: &mut Sheet) {
    if let Some(stat) = Stat::read() {
        let seconds = |of: u64| float(of) / TICKS_PER_SECOND;
        let (name, help) = ("process_cpu_seconds", "Time of processors, in seconds");
        sheet.counter_f64(name, help, seconds(stat.cpu_ticks));
        if let Some(booted) = booted() {
            let name = "process_start_time_seconds";
            let started = float(booted) + seconds(stat.start_ticks);
            sheet.gauge_f64(name, "When it started, in seconds since 1970", started);
        }
    }
    if let Some(resident) = resident_bytes() {
        let (name, help) = ("process_resident_memory_bytes", "Memory in use");
        sheet.gauge(name, help, resident);
    }
    if let Ok(open) = fs::read_dir("/proc/self/fd") {
        let open = u64::try_from(open.count()).unwrap_or(u64::MAX);
        sheet.gauge("process_open_fds", "Open files", open);
    }
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    if let Some(limit) = limit.current {
        sheet.gauge("process_max_fds", "Files that may be open", limit);
    }
}

/// What `/proc/self/stat` says; see `proc_pid_stat(5)`.
struct Stat {
    cpu_ticks: u64,
    start_ticks: u64,
}

impl Stat {
    fn read() -> Option<Self> {
        Self::parse(&fs::read_to_string("/proc/self/stat").ok()?)
    }

    fn parse(text: &str) -> Option<Self> {
        // The name may hold anything, also a bracket; the third field comes after the last one.
        let (_, rest) = text.rsplit_once(") ")?;
        let fields: Vec<&str> = rest.split_whitespace().collect();
        let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
        Some(Self {
            cpu_ticks: field(14)? + field(15)?,
            start_ticks: field(22)?,
        })
    }
}

/// Returns the memory that is in use, which `/proc/self/status` tells in units of 1,024 bytes.
fn resident_bytes() -> Option<u64> {
    let text = fs::read_to_string("/proc/self/status").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let number: u64 = line.split_whitespace().next()?.parse().ok()?;
    Some(number * 1_024)
}

/// Returns when the machine started, in seconds since 1970.
fn booted() -> Option<u64> {
    let text = fs::read_to_string("/proc/stat").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("btime "))?;
    line.trim().parse().ok()
}

#[expect(clippy::cast_precision_loss, reason = "a statistic")]
fn float(number: u64) -> f64 {
    number as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_brackets_does_not_move_the_fields() {
        let rest = "S 1 2 3 4 5 6 7 8 9 10 40 2 0 0 20 0 9 0 7788 1000000 321 0";
        let stat = Stat::parse(&format!("77 (a) b) {rest}")).unwrap();
        assert_eq!(stat.cpu_ticks, 42);
        assert_eq!(stat.start_ticks, 7788);
        assert!(Stat::parse("").is_none());
        assert!(Stat::read().is_some() && resident_bytes().is_some());
    }
}
