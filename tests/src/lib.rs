//! The harness of the test crate: whole nodes as processes, and documents that are executed.
//!
//! Not a mock of anything: [`Node`] starts the real `brain-node` on a folder of its own with
//! listeners on loopback, and speaks to it through the real `brainctl`.
//!
//! ```text
//! binaries::dir() --builds once--> brain-node, brainctl
//! Node::start("ana") --spawn, wait until ready--> Node::brainctl(["add", ..]) -> Output
//! console::Document::read("docs/guide/x.md") -> steps, run by tests/transcript.rs
//! ```
//!
//! Invariant: a node that a test started ends with the test, whether it passes or not, and every
//! wait has a deadline.
#![expect(
    clippy::missing_panics_doc,
    reason = "a harness panics when a node misbehaves: that is how a test fails"
)]

pub mod binaries;
pub mod collector;
pub mod console;
pub mod endpoint;
pub mod fuzz;
pub mod hostile;
pub mod measure;
pub mod node;
pub mod process;
pub mod sniffer;

pub use self::node::Node;
pub use process::Output;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use storage::kv::KvError;
use storage::kv::disk::DiskStore;

/// How long an eventual fact may take on a busy machine.
pub const EVENTUALLY_MAX: Duration = Duration::from_mins(1);
/// How long to wait between two looks at an eventual fact.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Returns the root folder of the workspace.
pub fn root() -> PathBuf {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    tests.parent().unwrap_or(tests).to_owned()
}

/// Looks until something is there, or panics with its name when the time is up.
pub fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + EVENTUALLY_MAX;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(
            Instant::now() < deadline,
            "{what}: not within {EVENTUALLY_MAX:?}"
        );
        std::thread::sleep(LOOK_EVERY);
    }
}

/// Opens what the store of a stopped node lies on.
///
/// Where this process had it open before, it is waited for: a process that another test begins just now
/// has all locks of this one as well, until it runs its own program.
pub fn disk_of(home: &Path) -> DiskStore {
    let me = Some(std::process::id());
    let path = home.join("store.redb");
    eventually("the store is free", || match DiskStore::open(&path) {
        Ok(disk) => Some(disk),
        Err(KvError::Locked { pid }) if pid == me => None,
        Err(error) => panic!("the node is stopped: {error}"),
    })
}
