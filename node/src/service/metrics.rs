//! Metrics: the node in numbers, for Prometheus.
//!
//! Nothing that names a person, a device or a memory: peers are counted by state. They are made
//! when somebody asks, from what the store and sync know; see [`crate::telemetry`].

use super::{Failure, Services};
use crate::clock;
use crate::telemetry::metrics::{self, Sheet};
use crdt::grant::authority::State as GrantState;
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use storage::store::generations::Generation;

/// Bytes of a block as `stat` counts them.
const BLOCK_BYTES: u64 = 512;

impl Services {
    /// Returns all metrics as a page of text.
    pub fn metrics(&self) -> Result<String, Failure> {
        let mut sheet = Sheet::default();
        metrics::build_info(&mut sheet);
        sheet.gauge("brain_unlocked", metrics::UNLOCKED, 1);
        let uptime = self.0.started.elapsed().as_secs();
        let (name, help) = ("brain_uptime_seconds", "Seconds since the node started");
        sheet.gauge(name, help, uptime);
        self.memories_metrics(&mut sheet)?;
        self.sharing_metrics(&mut sheet)?;
        self.sync_metrics(&mut sheet)?;
        self.write_metrics(&mut sheet);
        self.disk_metrics(&mut sheet);
        Ok(self.0.metrics.page(sheet))
    }

    fn memories_metrics(&self, sheet: &mut Sheet) -> Result<(), Failure> {
        let (memories, forgotten) = self.counts();
        let (name, help) = ("brain_memories", "Memories that are listed or forgotten");
        sheet.gauge(name, help, memories + forgotten);
        let (text, vectors) = self.store().indexed();
        let lag = if self.0.models.is_on {
            self.lag(Generation::BuiltIn)?
        } else {
            0
        };
        let both = |text: u64, vectors: u64, label| {
            let of = |name: &str| [(label, name.to_owned())];
            [(of("text"), text), (of("vectors"), vectors)]
        };
        let (name, help) = ("brain_index_docs", "Memories in an index");
        sheet.gauges(name, help, both(text, vectors, "index"));
        // The text index takes in every commit before it is acknowledged.
        let name = "brain_projection_lag_events";
        let help = "Events that a read model has not taken in yet";
        sheet.gauges(name, help, both(0, lag, "projection"));
        Ok(())
    }

    fn sharing_metrics(&self, sheet: &mut Sheet) -> Result<(), Failure> {
        let now = clock::now();
        let mut grants: BTreeMap<(&str, &str), u64> = BTreeMap::new();
        for direction in ["out", "in"] {
            for state in ["offered", "active", "ended"] {
                grants.insert((direction, state), 0);
            }
        }
        self.store().read(|state| {
            for grant in state.authority.grants() {
                let direction = if grant.owner == state.me { "out" } else { "in" };
                let state = match grant.state(now) {
                    GrantState::Offered => "offered",
                    GrantState::Active => "active",
                    _ => "ended",
                };
                *grants.entry((direction, state)).or_default() += 1;
            }
        });
        let grants = grants.into_iter().map(|((direction, state), count)| {
            let labels = [
                ("direction", direction.to_owned()),
                ("state", state.to_owned()),
            ];
            (labels, count)
        });
        sheet.gauges("brain_grants", "Grants by direction and state", grants);
        let waiting = self.requests()?.items.len() as u64;
        let (name, help) = ("brain_requests_pending", "Requests that wait for an answer");
        sheet.gauge(name, help, waiting);
        let entries = self.store().ledger_head()?;
        let entries = entries.map_or(0, |head| head.tree.size());
        let (name, help) = ("brain_ledger_entries", "Entries of the disclosure ledger");
        sheet.counter(name, help, entries);
        Ok(())
    }

    fn sync_metrics(&self, sheet: &mut Sheet) -> Result<(), Failure> {
        let peers = self.sync_status()?.peers;
        let states = super::sync::STATES.map(|state| {
            let count = peers.iter().filter(|peer| peer.state == state).count();
            ([("state", state.to_owned())], count as u64)
        });
        sheet.gauges("brain_peers", "Peers and own devices by state", states);
        let uptime = self.0.started.elapsed().as_secs();
        let stale = peers.iter().map(|peer| peer.stale_s.unwrap_or(uptime));
        let name = "brain_sync_staleness_seconds";
        let help = "Seconds since the peer that is furthest behind was proved equal";
        sheet.gauge(name, help, stale.max().unwrap_or(0));
        let counts = self.0.sync.counts();
        let (name, help) = ("brain_sync_sessions", "Sessions by how they ended");
        sheet.counters(name, help, "outcome", &counts.sessions());
        let (name, help) = ("brain_sync_bytes", "Bytes of frames");
        sheet.counters(name, help, "direction", &counts.directions());
        let name = "brain_egress_items";
        let help = "Items that a peer may have, by what the guard decided";
        sheet.counters(name, help, "decision", &counts.decisions());
        Ok(())
    }

    /// Adds how busy the store is: its one lock for writing, who waits for it, and the disk.
    fn write_metrics(&self, sheet: &mut Sheet) {
        let load = self.store().write_load();
        let name = "brain_store_write_seconds";
        let help = "Seconds in which a transaction had the store; others waited";
        sheet.counter_f64(name, help, load.busy.as_secs_f64());
        let (name, help) = (
            "brain_store_writers_waiting",
            "Transactions that wait for the store",
        );
        sheet.gauge(name, help, load.waiting as u64);
        let (name, help) = (
            "brain_store_transactions",
            "Transactions that were committed",
        );
        sheet.counter(name, help, load.transactions);
        let (name, help) = ("brain_store_commits", "Commits; transactions share one");
        let outcomes = [("done", load.committed), ("failed", load.failed)];
        sheet.counters(name, help, "outcome", &outcomes);
    }

    fn disk_metrics(&self, sheet: &mut Sheet) {
        let home = Path::new(&self.0.home);
        let kinds = [("rows", "store.redb"), ("text", "text")];
        let used = kinds.map(|(kind, name)| {
            let bytes = bytes_in(&home.join(name));
            ([("kind", kind.to_owned())], bytes)
        });
        sheet.gauges("brain_store_bytes", "Bytes on disk by kind", used);
        if let Ok(disk) = rustix::fs::statvfs(home) {
            let (name, help) = ("brain_disk_free_bytes", "Bytes free for this node");
            sheet.gauge(name, help, disk.f_bavail.saturating_mul(disk.f_frsize));
        }
    }
}

/// Returns what a file, or a folder without folders in it, takes on disk.
fn bytes_in(path: &Path) -> u64 {
    let taken = |path: &Path| fs::metadata(path).map_or(0, |found| found.blocks() * BLOCK_BYTES);
    match fs::read_dir(path) {
        Ok(entries) => entries.flatten().map(|entry| taken(&entry.path())).sum(),
        Err(_) => taken(path),
    }
}
