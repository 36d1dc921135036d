//! Which kinds of network this machine can make, and what each of them cannot do.

use super::compose::{Compose, Engine};
use super::processes::{Processes, namespaces};
use super::{Network, Plan, clock, disk};
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
    pub(crate) fn lacks(&self, need: Need, has_older: bool) -> Option<String> {
        match (need, self) {
            (Need::Links, Self::Loopback(reason)) => Some(format!(
                "links are cut and slowed in network namespaces, and there are none ({reason})"
            )),
            (Need::Links, _) => {
                let enters = ["nsenter", "--net=/proc/self/ns/net", "true"];
                let lacks = "links are cut and slowed with nsenter, which takes root";
                (!command::succeeds(&enters)).then(|| lacks.to_owned())
            }
            (Need::Disks, _) => disk::lacks(),
            (Need::Clocks, _) => {
                (clock::library().is_none()).then(|| "libfaketime is not installed".to_owned())
            }
            (Need::Older, _) => {
                (!has_older).then(|| "no older binaries were named (--older DIR)".to_owned())
            }
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
