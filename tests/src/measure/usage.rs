//! What processes use: CPU time, memory, disk; read from the kernel's clocks, `/proc` and the file system.

use nix::time::ClockId;
use nix::unistd::Pid;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::Duration;

/// Ticks of `/proc/PID/stat` in a second, on all Linux systems of today.
const TICKS: f64 = 100.0;

/// Returns the CPU seconds of processes, with those of threads that ended.
pub fn cpu_s(processes: &[u32]) -> f64 {
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

/// Returns the CPU milliseconds of processes to the nanosecond, with those of threads that ended.
pub fn cpu_ms(processes: &[u32]) -> f64 {
    let one = |process: &u32| {
        let pid = Pid::from_raw(i32::try_from(*process).expect("a process id"));
        let clock = ClockId::pid_cpu_clock_id(pid).expect("it runs");
        Duration::from(clock.now().expect("it runs")).as_secs_f64() * 1_000.0
    };
    processes.iter().map(one).sum()
}

/// Returns the memory of a process in KiB, and the most it ever had.
pub fn memory_kib(process: u32) -> (u64, u64) {
    let status = fs::read_to_string(format!("/proc/{process}/status")).expect("it runs");
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        let number = line.and_then(|rest| rest.split_whitespace().next());
        number.and_then(|number| number.parse().ok()).unwrap_or(0)
    };
    (field("VmRSS:"), field("VmHWM:"))
}

/// Returns the bytes that all files below a folder take on the disk, without holes.
pub fn disk(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).into_iter().flatten();
    let bytes = entries.filter_map(Result::ok).map(|entry| {
        let Ok(about) = entry.metadata() else {
            return 0;
        };
        if about.is_dir() {
            disk(&entry.path())
        } else {
            // In units of 512 bytes, whatever the file system's own are.
            about.blocks() * 512
        }
    });
    bytes.sum()
}
