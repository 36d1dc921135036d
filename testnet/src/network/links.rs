//! Faults of links: nothing, little or late between two nodes.
//!
//! All of it is done from outside, with `nsenter`, in the network namespaces of the nodes: a node
//! has no part in it and no right to undo it. What is wanted is kept here and put in place again
//! after a node started, since a container that starts has a new namespace and may have another
//! address.
//!
//! ```text
//! cut    both nodes get a route to nowhere for each address of the other
//! slow   `tc netem`; where the kernel has none: `tc tbf` for the rate, packets that are lost on
//!        their way in by `iptables`, and no delay but that of the queue
//! ```

use super::Network;
use crate::command::{self, Output};
use crate::fault::{Fault, Result, broken};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// How bad the links of a node are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Slow {
    /// How much later a packet leaves.
    pub(crate) delay_ms: u32,
    /// How many of a hundred are lost.
    pub(crate) loss_percent: u32,
    /// How much leaves in a second at the most.
    pub(crate) rate_kbit: Option<u32>,
}

/// The faults that there should be.
#[derive(Debug, Default)]
pub(crate) struct Links {
    cuts: BTreeSet<[String; 2]>,
    slow: BTreeMap<String, Slow>,
    addresses: BTreeMap<String, Vec<String>>,
}

impl Links {
    /// Cuts two nodes off from each other.
    pub(crate) fn cut(&mut self, network: &dyn Network, between: &[String; 2]) -> Result<()> {
        self.cuts.insert(sorted(between));
        between
            .iter()
            .try_for_each(|who| self.learn(network, who))?;
        between.iter().try_for_each(|who| self.route(network, who))
    }

    /// Ends that.
    pub(crate) fn heal(&mut self, network: &dyn Network, between: &[String; 2]) -> Result<()> {
        if !self.cuts.remove(&sorted(between)) {
            return broken(format!("{} and {} were not cut", between[0], between[1]));
        }
        between.iter().try_for_each(|who| self.route(network, who))
    }

    /// Makes the links of a node slow; returns what this kernel cannot do of it.
    pub(crate) fn slow(
        &mut self,
        network: &dyn Network,
        who: &str,
        slow: Slow,
    ) -> Result<Option<String>> {
        self.slow.insert(who.to_owned(), slow);
        self.shape(network, who)
    }

    /// Ends that.
    pub(crate) fn fast(&mut self, network: &dyn Network, who: &str) -> Result<()> {
        if self.slow.remove(who).is_none() {
            return broken(format!("{who} was not slow"));
        }
        self.shape(network, who).map(drop)
    }

    /// Puts in place again what a node lost when it ended. To be called once it has a namespace.
    pub(crate) fn restore(&mut self, network: &dyn Network, who: &str) -> Result<()> {
        let cuts = self.cuts.clone();
        let concerned: Vec<_> = cuts
            .iter()
            .filter(|cut| cut.iter().any(|one| one == who))
            .collect();
        if !concerned.is_empty() {
            self.learn(network, who)?;
        }
        for one in concerned.into_iter().flatten() {
            self.route(network, one)?;
        }
        if self.slow.contains_key(who) {
            self.shape(network, who)?;
        }
        Ok(())
    }

    /// Tells whether two nodes are cut off from each other.
    pub(crate) fn are_cut(&self, one: &str, other: &str) -> bool {
        self.cuts
            .contains(&sorted(&[one.to_owned(), other.to_owned()]))
    }

    /// Remembers the addresses of a node; one that does not run keeps those it had.
    fn learn(&mut self, network: &dyn Network, who: &str) -> Result<()> {
        let addresses = network.addresses(who)?;
        if !addresses.is_empty() {
            self.addresses.insert(who.to_owned(), addresses);
        }
        Ok(())
    }

    /// Makes the routes to nowhere of a node those that there should be.
    fn route(&self, network: &dyn Network, who: &str) -> Result<()> {
        let Some(namespace) = network.namespace(who)? else {
            return Ok(());
        };
        inside(&namespace, &["ip", "route", "flush", "type", "blackhole"])?.ok()?;
        let cuts = self
            .cuts
            .iter()
            .filter(|cut| cut.iter().any(|one| one == who));
        for other in cuts.flatten().filter(|one| *one != who) {
            for address in self.addresses.get(other).into_iter().flatten() {
                let route = ["ip", "route", "replace", "blackhole", address];
                inside(&namespace, &route)?.ok()?;
            }
        }
        Ok(())
    }

    /// Makes the links of a node as slow as they should be; returns what cannot be done.
    fn shape(&self, network: &dyn Network, who: &str) -> Result<Option<String>> {
        let Some(namespace) = network.namespace(who)? else {
            return Ok(None);
        };
        let devices = devices(&namespace)?;
        for device in &devices {
            // There may be nothing to take away.
            inside(&namespace, &["tc", "qdisc", "del", "dev", device, "root"])?;
        }
        inside(&namespace, &LOSE_NOTHING)?;
        let Some(slow) = self.slow.get(who) else {
            return Ok(None);
        };
        if devices.is_empty() {
            return broken(format!("{who} has no link"));
        }
        let mut lacks = None;
        for device in &devices {
            lacks = slow.put(&namespace, device)?;
        }
        Ok(lacks)
    }
}

/// Empties the table in which packets are lost.
const LOSE_NOTHING: [&str; 5] = ["iptables", "-t", "mangle", "-F", "INPUT"];

impl Slow {
    /// Slows one device down; returns what cannot be done.
    fn put(self, namespace: &Path, device: &str) -> Result<Option<String>> {
        let Self {
            delay_ms,
            loss_percent,
            rate_kbit,
        } = self;
        let (delay, loss) = (format!("{delay_ms}ms"), format!("{loss_percent}%"));
        let rate = rate_kbit.map(|rate| format!("{rate}kbit"));
        let netem = ["tc", "qdisc", "add", "dev", device, "root", "netem"];
        let mut netem: Vec<&str> = netem.into_iter().chain(["delay", &delay]).collect();
        netem.extend(["loss", &loss]);
        netem.extend(rate.iter().flat_map(|rate| ["rate", rate]));
        if inside(namespace, &netem)?.code == 0 {
            return Ok(None);
        }
        if let Some(rate) = &rate {
            let tbf = [
                "tc", "qdisc", "add", "dev", device, "root", "tbf", "rate", rate,
            ];
            let queue = ["burst", "4kb", "latency", "400ms"];
            let tbf: Vec<&str> = tbf.into_iter().chain(queue).collect();
            inside(namespace, &tbf)?.ok()?;
        }
        if loss_percent > 0 {
            let share = format!("{:.2}", f64::from(loss_percent) / 100.0);
            let lose = ["iptables", "-t", "mangle", "-A", "INPUT", "-i", device];
            let some = [
                "-m",
                "statistic",
                "--mode",
                "random",
                "--probability",
                &share,
            ];
            let lose: Vec<&str> = lose.into_iter().chain(some).chain(["-j", "DROP"]).collect();
            inside(namespace, &lose)?.ok()?;
        }
        let lacks = format!("without the delay of {delay}: this kernel has no netem");
        Ok((delay_ms > 0).then_some(lacks))
    }
}

/// Runs a command in a network namespace.
fn inside(namespace: &Path, words: &[&str]) -> Result<Output> {
    let net = format!("--net={}", namespace.display());
    let words: Vec<&str> = ["nsenter", &net]
        .into_iter()
        .chain(words.iter().copied())
        .collect();
    command::run(&words)
}

/// Returns the devices of a namespace, without the loop.
fn devices(namespace: &Path) -> Result<Vec<String>> {
    let output = inside(namespace, &["ip", "-json", "link", "show"])?.ok()?;
    let links = output.json()?;
    let links = links.as_array().ok_or_else(|| Fault::Answer {
        command: output.command.clone(),
        message: "no list of links".to_owned(),
    })?;
    let is_real = |link: &&serde_json::Value| link["link_type"] == "ether";
    let names = links
        .iter()
        .filter(is_real)
        .filter_map(|link| link["ifname"].as_str());
    Ok(names.map(str::to_owned).collect())
}

fn sorted(between: &[String; 2]) -> [String; 2] {
    let mut sorted = between.clone();
    sorted.sort();
    sorted
}
