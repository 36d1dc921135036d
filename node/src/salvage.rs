//! Salvage on the command line: what is whole of a damaged store is taken over while the node is
//! stopped, and what is lost is said.
//!
//! It is not how rows are read, which is `storage::salvage`.

use crate::config::Unlock;
use crate::identity;
use crate::runtime::{STORE_FILE, StartError};
use std::fmt::Write as _;
use std::path::Path;
use storage::gaps::Halt;
use storage::kv::KvError;
use storage::salvage::Salvaged;
use storage::store::StoreError;

/// Lost entries that are named one by one; the number is always whole.
const NAMED_MAX: usize = 20;

/// Salvages the store of a data folder and says what became of it.
pub fn salvage(data: &Path, unlock: &Unlock) -> Result<String, StartError> {
    let path = present(data)?;
    let identity = identity::open(data, unlock)?;
    let master = identity.vault.keyring().master();
    let done = storage::salvage::salvage(&path, master).map_err(|error| told(data, error))?;
    Ok(done.map_or_else(
        || "✓ nothing is damaged: nothing was changed\n  next     brain-node".to_owned(),
        |done| report(&done),
    ))
}

/// Lets a halted store hand out again and says what that means.
pub fn resume(data: &Path, unlock: &Unlock) -> Result<String, StartError> {
    let path = present(data)?;
    let identity = identity::open(data, unlock)?;
    let master = identity.vault.keyring().master();
    let was = storage::salvage::resume(&path, master).map_err(|error| told(data, error))?;
    Ok(if was {
        "✓ what may leave leaves again from the next start on\n  next     brain-node".to_owned()
    } else {
        "✓ nothing was held back: nothing was changed".to_owned()
    })
}

fn present(data: &Path) -> Result<std::path::PathBuf, StartError> {
    let path = data.join(STORE_FILE);
    if path.exists() {
        return Ok(path);
    }
    Err(StartError::NoStore {
        path: data.to_owned(),
    })
}

fn told(data: &Path, error: StoreError) -> StartError {
    match error {
        StoreError::Kv(KvError::Locked { pid }) => StartError::Locked {
            path: data.to_owned(),
            by: pid
                .map(|pid| format!(" by process {pid}"))
                .unwrap_or_default(),
        },
        StoreError::Kv(KvError::DiskFull) => StartError::Full {
            path: data.to_owned(),
        },
        other => StartError::Store(other),
    }
}

fn report(done: &Salvaged) -> String {
    let lost: Vec<_> = done.gaps.lost().collect();
    let mut said = format!(
        "✓ what is whole is in a new store\n  log      {} entries taken over, {} lost, {} kept apart \
         that build on lost ones\n",
        done.events,
        lost.len(),
        done.gaps.apart().count()
    );
    for (keyspace, count) in &done.dropped {
        let count = count.map_or_else(|| "some".to_owned(), |count| count.to_string());
        let _written = writeln!(said, "  dropped  {count} rows of {keyspace}");
    }
    for lost in lost.iter().take(NAMED_MAX) {
        let _written = writeln!(said, "  lost     {}", name_of(lost));
    }
    if lost.len() > NAMED_MAX {
        let _written = writeln!(said, "  lost     {} more", lost.len() - NAMED_MAX);
    }
    if done.is_ledger_lost {
        said.push_str(
            "  ledger   its signed head is lost: it begins anew, and peers who witnessed the old one \
             see that\n",
        );
    }
    let held = halt_line(done.gaps.halt());
    if let Some(held) = held {
        let _written = writeln!(said, "  consent  {held}");
    }
    let _written = write!(
        said,
        "  kept     the damaged file: {}\n  next     brain-node, then brainctl node verify: it names what \
         nobody brought back",
        done.aside.display()
    );
    said
}

/// Says why nothing leaves, if nothing does.
pub(crate) fn halt_line(halt: Halt) -> Option<&'static str> {
    match halt {
        Halt::None | Halt::Over => None,
        Halt::UntilBack => Some(
            "a revocation, a retired device or a stricter policy may be lost: nothing leaves this \
             node until all of it is back from a peer, or you say so",
        ),
        Halt::UntilTold => Some(
            "a revocation, a retired device or a stricter policy may be lost, and which cannot be \
             told: nothing leaves this node until you say so",
        ),
    }
}

/// Names a lost entry.
pub(crate) fn name_of(lost: &storage::gaps::Lost) -> String {
    let mut name = if lost.place > 0 {
        format!("log entry {}", lost.place)
    } else {
        "a log entry".to_owned()
    };
    if let Some(memory) = lost.memory {
        let id = memory.to_string();
        let _written = write!(name, ", of memory {}", id.get(..12).unwrap_or(&id));
    }
    if let Some(title) = lost.title.as_ref().filter(|title| !title.is_empty()) {
        let _written = write!(name, " \"{title}\"");
    }
    if lost.is_consent {
        name.push_str(", perhaps about consent");
    }
    name
}
