//! What a scenario adds to `compose.yaml`: older binaries and small disks, as a second file.
//!
//! It is JSON, which every reader of YAML reads.

use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

/// The second file.
#[derive(Debug)]
pub(crate) struct Addition {
    binaries: Option<PathBuf>,
    disks: BTreeMap<String, PathBuf>,
    older: BTreeSet<String>,
}

impl Addition {
    /// Begins with small disks, and with the folder of older binaries if there is one.
    pub(crate) fn new(binaries: Option<PathBuf>, disks: BTreeMap<String, PathBuf>) -> Self {
        Self {
            binaries,
            disks,
            older: BTreeSet::new(),
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
        let older = |who: &String| {
            let folder = self.binaries.clone().unwrap_or_default();
            let programs = ["brain-node", "brainctl"];
            let mounts = programs.map(|program| {
                format!(
                    "{}:/usr/local/bin/{program}:ro",
                    folder.join(program).display()
                )
            });
            (who.clone(), json!({"volumes": mounts}))
        };
        let services: serde_json::Map<String, Value> = self.older.iter().map(older).collect();
        // Version 1 takes a file without a version for one of the first format if it has nothing.
        json!({"version": "3.9", "services": services, "volumes": volumes}).to_string()
    }
}
