//! A clock of its own for a node, where `libfaketime` is installed. Nothing else can do that: a
//! time namespace moves the clocks since boot, not the time of day.

use std::path::PathBuf;

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

/// Returns the environment that moves a clock this far (`+7d`); clocks that measure how long
/// something takes stay as they are.
pub(crate) fn environment(offset: &str) -> Vec<(String, String)> {
    let library = library().map(|path| path.display().to_string());
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    library.map_or_else(Vec::new, |library| {
        vec![
            pair("LD_PRELOAD", &library),
            pair("FAKETIME", offset),
            pair("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
        ]
    })
}
