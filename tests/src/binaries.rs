//! Where the programs under test are: built once a test process, into the folder the test is in.
//!
//! Cargo tells a test the place of its own package's binaries only. So the harness asks cargo to
//! build them with the workspace's features and the profile of the running test; after
//! `cargo test --workspace` there is nothing left to compile but the two programs themselves.
//! `BRAIN_TEST_BIN_DIR` names a folder with binaries to use instead.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

/// Returns the folder with `brain-node` and `brainctl`.
pub fn dir() -> &'static Path {
    static DIR: OnceLock<PathBuf> = OnceLock::new();
    DIR.get_or_init(|| std::env::var_os("BRAIN_TEST_BIN_DIR").map_or_else(build, PathBuf::from))
}

fn build() -> PathBuf {
    let test = std::env::current_exe().expect("a running test has a path");
    let folder = test
        .ancestors()
        .nth(2)
        .expect("a test lies in target/<profile>/deps");
    let target = folder
        .parent()
        .expect("a profile's folder lies in the target folder");
    let profile = match folder.file_name().and_then(|name| name.to_str()) {
        Some("debug") | None => "dev",
        Some(profile) => profile,
    };
    let mut cargo = Command::new(env!("CARGO"));
    // What cargo told this test about its own package is not true of the others.
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_") {
            cargo.env_remove(name);
        }
    }
    // `--test tidy` makes cargo unify features as `cargo test --workspace` did: no rebuild.
    let built = cargo
        .args([
            "build",
            "--quiet",
            "--workspace",
            "--bins",
            "--test",
            "tidy",
        ])
        .args(["--profile", profile, "--target-dir"])
        .arg(target)
        .arg("--manifest-path")
        .arg(crate::root().join("Cargo.toml"))
        .stdin(Stdio::null())
        .output()
        .expect("cargo runs");
    assert!(
        built.status.success(),
        "building the programs under test ended with {}:\n{}",
        built.status,
        String::from_utf8_lossy(&built.stderr)
    );
    folder.to_owned()
}
