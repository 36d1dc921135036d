//! What a scenario adds to `compose.yaml`: older binaries, small disks and clocks that are off, as a
//! second file.
//!
//! It is JSON, which every reader of YAML reads.

use super::super::clock;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Settings of `compose.yaml` that an older build does not know, and so refuses to start with.
const NEWER_SETTINGS: [&str; 1] = ["BRAIN_TELEMETRY__TRACE_PEERS"];
/// Where the library that moves a clock is in a container.
const CLOCK_LIBRARY: &str = "/usr/local/lib/libfaketime.so.1";

/// The second file.
#[derive(Debug)]
pub(crate) struct Addition {
    binaries: Option<PathBuf>,
    disks: BTreeMap<String, PathBuf>,
    older: BTreeSet<String>,
    clocks: BTreeMap<String, String>,
}

impl Addition {
    /// Begins with small disks, and with the folder of older binaries if there is one.
    pub(crate) fn new(binaries: Option<PathBuf>, disks: BTreeMap<String, PathBuf>) -> Self {
        Self {
            binaries,
            disks,
            older: BTreeSet::new(),
            clocks: BTreeMap::new(),
        }
    }

    /// Gives a node older binaries or those of the image; tells whether that is a change.
    pub(crate) fn set_older(&mut self, who: &str, older: bool) -> bool {
        if older {
            self.older.insert(who.to_owned())
        } else {
            self.older.remove(who)
        }
    }

    /// Gives a node a clock that is this far off, or the right one; tells whether that is a change.
    pub(crate) fn set_clock(&mut self, who: &str, offset: Option<&str>) -> bool {
        let before = match offset {
            Some(offset) => self.clocks.insert(who.to_owned(), offset.to_owned()),
            None => self.clocks.remove(who),
        };
        before.as_deref() != offset
    }

    /// What a node gets beside what `compose.yaml` gives it.
    fn service(&self, who: &str) -> Value {
        let (mut mounts, mut environment) = (Vec::new(), serde_json::Map::new());
        if self.older.contains(who) {
            let folder = self.binaries.clone().unwrap_or_default();
            mounts.extend(["brain-node", "brainctl"].map(|program| {
                let from = folder.join(program);
                format!("{}:/usr/local/bin/{program}:ro", from.display())
            }));
            // A variable without a value is that of the caller, who has none.
            environment.extend(NEWER_SETTINGS.map(|name| (name.to_owned(), Value::Null)));
        }
        if let (Some(offset), Some(library)) = (self.clocks.get(who), clock::library()) {
            mounts.push(format!("{}:{CLOCK_LIBRARY}:ro", library.display()));
            let variables = clock::environment(Path::new(CLOCK_LIBRARY), offset);
            environment.extend(variables.map(|(name, value)| (name.to_owned(), value.into())));
        }
        json!({"volumes": mounts, "environment": environment})
    }

    /// Writes the file.
    pub(crate) fn yaml(&self) -> String {
        let volumes: serde_json::Map<String, Value> = self
            .disks
            .iter()
            .map(|(who, path)| {
                let options = json!({"type": "none", "o": "bind", "device": path});
                let volume = json!({"driver": "local", "driver_opts": options});
                (who.clone(), volume)
            })
            .collect();
        let changed: BTreeSet<&String> = self.older.iter().chain(self.clocks.keys()).collect();
        let services = changed.into_iter();
        let services: serde_json::Map<String, Value> = services
            .map(|who| (who.clone(), self.service(who)))
            .collect();
        // Version 1 takes a file without a version for one of the first format if it has nothing.
        json!({"version": "3.9", "services": services, "volumes": volumes}).to_string()
    }
}
