//! Which kinds of network this machine can make, and what each of them cannot do.

use super::compose::{Compose, Engine};
use super::processes::{Processes, namespaces};
use super::{Folders, HOSTILE, Network, Plan, clock, disk};
use crate::command;
use crate::fault::{Result, broken};
use crate::scenario::Need;

/// What was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum On {
    /// Compose where a Docker engine answers, else processes
    Auto,
    /// Containers
    Compose,
    /// Plain processes, each in a network namespace of its own where that is allowed
    Processes,
    /// Plain processes on loopback, also where more is allowed
    Loopback,
}

/// A kind of network.
#[derive(Debug)]
pub(crate) enum Home {
    /// Containers.
    Compose(Engine),
    /// Processes, each in a network namespace of its own.
    Namespaces,
    /// Processes on loopback, and why they are there.
    Loopback(String),
}

impl Home {
    /// Finds what was asked for.
    pub(crate) fn find(on: On) -> Result<Self> {
        let answers = || command::succeeds(&["docker", "ps", "--quiet"]);
        match (on, Engine::find()) {
            (On::Compose, None) => broken("neither `docker compose` nor `docker-compose` answers"),
            (On::Compose, Some(_)) if !answers() => broken("no Docker engine answers"),
            (On::Compose, Some(engine)) => Ok(Self::Compose(engine)),
            (On::Auto, Some(engine)) if answers() => Ok(Self::Compose(engine)),
            (On::Auto | On::Processes, _) => Ok(match namespaces::lacks() {
                None => Self::Namespaces,
                Some(reason) => Self::Loopback(reason),
            }),
            (On::Loopback, _) => Ok(Self::Loopback("asked for".to_owned())),
        }
    }

    /// Says where the nodes live.
    pub(crate) fn words(&self) -> String {
        match self {
            Self::Compose(engine) => format!("in containers ({})", engine.words()),
            Self::Namespaces => "as processes, each in a network of its own".to_owned(),
            Self::Loopback(reason) => format!("as processes on loopback ({reason})"),
        }
    }

    /// Says why a scenario with this need cannot be run here, if it cannot.
    pub(crate) fn lacks(&self, need: Need, folders: &Folders) -> Option<String> {
        match (need, self) {
            (Need::Links, Self::Loopback(reason)) => Some(format!(
                "links are cut and slowed in network namespaces, and there are none ({reason})"
            )),
            (Need::Disks, _) => disk::lacks(),
            (Need::Clocks, _) => {
                (clock::library().is_none()).then(|| "libfaketime is not installed".to_owned())
            }
            (Need::Older, _) => {
                let is_lacking = folders.older.is_none();
                is_lacking.then(|| "no older binaries were named (--older DIR)".to_owned())
            }
            (Need::Hostile, _) if !folders.binaries.join(HOSTILE).exists() => Some(format!(
                "{HOSTILE} is not in {}: cargo build --workspace --bins, or --bin DIR",
                folders.binaries.display()
            )),
            (Need::Hostile, Self::Loopback(_)) => None,
            (Need::Links | Need::Hostile, _) => cannot_enter(),
        }
    }

    /// Makes a network, whose nodes do not run yet.
    pub(crate) fn make(&self, plan: &Plan<'_>) -> Result<Box<dyn Network>> {
        Ok(match self {
            Self::Compose(engine) => Box::new(Compose::new(engine, plan)?),
            Self::Namespaces => Box::new(Processes::new(plan, true)?),
            Self::Loopback(_) => Box::new(Processes::new(plan, false)?),
        })
    }
}

/// Says why no command can be run in the network namespace of a node, if none can.
fn cannot_enter() -> Option<String> {
    let enters = ["nsenter", "--net=/proc/self/ns/net", "true"];
    let lacks = "the network namespace of a node is entered with nsenter, which takes root";
    (!command::succeeds(&enters)).then(|| lacks.to_owned())
}
