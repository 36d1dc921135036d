//! A clock of its own for a node, where `libfaketime` is installed. Nothing else can do that: a
//! time namespace moves the clocks since boot, not the time of day.

use std::path::{Path, PathBuf};

/// Where distributions put the library.
const PLACES: [&str; 4] = [
    "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1",
    "/usr/lib/aarch64-linux-gnu/faketime/libfaketime.so.1",
    "/usr/lib64/faketime/libfaketime.so.1",
    "/usr/lib/faketime/libfaketime.so.1",
];

/// Returns the library.
pub(crate) fn library() -> Option<PathBuf> {
    PLACES.iter().map(PathBuf::from).find(|path| path.exists())
}

/// Returns the environment that moves a clock this far (`+7d`) with the library at this path; clocks
/// that measure how long something takes stay as they are.
pub(crate) fn environment(library: &Path, offset: &str) -> [(&'static str, String); 3] {
    [
        ("LD_PRELOAD", library.display().to_string()),
        ("FAKETIME", offset.to_owned()),
        ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()),
    ]
}
