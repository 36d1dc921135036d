//! A network namespace for each node, and one with the bridges that stand for the networks.
//!
//! ```text
//! NAME-ana          NAME-switch            NAME-bob
//!   home <--veth--> ana-home ─ home
//!   work <--veth--> ana-work ─ work ─ bob-work <--veth--> work
//! ```
//!
//! Nothing is made in the machine's own network, so nothing there can filter it or be disturbed.

use super::super::Plan;
use super::super::undertaker::Undertaker;
use crate::command;
use crate::fault::{Result, broken};
use crate::topology::{self, NETWORKS, SEATS};
use std::path::{Path, PathBuf};

/// Where `ip netns` keeps namespaces.
const FOLDER: &str = "/run/netns";

/// The namespaces of one network.
#[derive(Debug)]
pub(crate) struct Namespaces {
    name: String,
}

impl Namespaces {
    /// Makes them.
    pub(crate) fn new(plan: &Plan<'_>, undertaker: &mut Undertaker) -> Result<Self> {
        let name = plan.name.clone();
        let switch = format!("{name}-switch");
        add(&switch, undertaker)?;
        for network in NETWORKS {
            ip(&["-n", &switch, "link", "add", network, "type", "bridge"])?;
            ip(&["-n", &switch, "link", "set", network, "up"])?;
        }
        for who in &plan.scenario.nodes {
            let own = format!("{name}-{who}");
            add(&own, undertaker)?;
            ip(&["-n", &own, "link", "set", "lo", "up"])?;
            let Some(seat) = topology::find(who) else {
                return broken(format!("there is no {who}"));
            };
            for network in seat.networks {
                let port = format!("{who}-{network}");
                let veth = ["link", "add", network, "netns", &own, "type", "veth"];
                let peer = ["peer", "name", &port, "netns", &switch];
                ip(&veth.into_iter().chain(peer).collect::<Vec<_>>())?;
                ip(&["-n", &switch, "link", "set", &port, "master", network, "up"])?;
                let address = format!("{}/24", address(who, network));
                ip(&["-n", &own, "address", "add", &address, "dev", network])?;
                ip(&["-n", &own, "link", "set", network, "up"])?;
            }
        }
        Ok(Self { name })
    }

    /// Returns the file by which the namespace of a node can be entered.
    pub(crate) fn path(&self, who: &str) -> PathBuf {
        Path::new(FOLDER).join(format!("{}-{who}", self.name))
    }
}

/// Returns the addresses of a node.
pub(crate) fn addresses(who: &str) -> Vec<String> {
    let networks = topology::find(who).map_or(&[][..], |seat| seat.networks);
    networks
        .iter()
        .map(|network| address(who, network))
        .collect()
}

/// Says why none can be made here, if none can.
pub(crate) fn lacks() -> Option<String> {
    let name = format!("brain-testnet-{}-probe", std::process::id());
    if !command::succeeds(&["ip", "netns", "add", &name]) {
        return Some("a network namespace takes root and iproute2".to_owned());
    }
    match ip(&["netns", "delete", &name]) {
        Ok(()) => None,
        Err(fault) => Some(fault.to_string()),
    }
}

/// Returns the address of a node in a network: 10.77.NETWORK.NODE, the first of each being 1.
fn address(who: &str, network: &str) -> String {
    let network = NETWORKS.iter().position(|one| *one == network);
    let node = SEATS.iter().position(|seat| seat.name == who);
    let number = |place: Option<usize>| place.map_or(0, |place| place + 1);
    format!("10.77.{}.{}", number(network), number(node))
}

fn add(name: &str, undertaker: &mut Undertaker) -> Result<()> {
    ip(&["netns", "add", name])?;
    undertaker.will(&["ip", "netns", "delete", name])
}

fn ip(words: &[&str]) -> Result<()> {
    let words: Vec<&str> = ["ip"].iter().chain(words).copied().collect();
    command::run(&words)?.ok().map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_differ() {
        assert_eq!(addresses("ana"), ["10.77.1.1", "10.77.2.1"]);
        assert_eq!(addresses("bob"), ["10.77.2.4"]);
    }
}
