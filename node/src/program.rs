//! This program's own file, for a process that starts it once more.

use std::path::PathBuf;

/// Returns this program's file, also if another version lies in its place by now.
pub fn file() -> PathBuf {
    let own = PathBuf::from("/proc/self/exe");
    match std::env::current_exe() {
        Ok(path) if path.exists() => path,
        _ => own,
    }
}
