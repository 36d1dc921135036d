//! Metrics: the node in numbers, as Prometheus reads them.
//!
//! Nothing that names a person, a device or a memory: peers are counted by state. They are made
//! when somebody asks, from what the store and sync know; nothing is sent anywhere.

use super::{Failure, Services};
use std::fmt::Write as _;

/// The page, as it grows.
struct Page(String);

impl Page {
    fn family(&mut self, name: &str, kind: &str, help: &str, values: &[(&str, u64)]) {
        let mut write = || {
            writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}")?;
            for (labels, value) in values {
                writeln!(self.0, "{name}{labels} {value}")?;
            }
            Ok::<_, std::fmt::Error>(())
        };
        write().expect("writing to a string does not fail");
    }

    /// Adds a family with one label.
    fn labelled(
        &mut self,
        name: &str,
        (kind, label): (&str, &str),
        help: &str,
        of: &[(&str, u64)],
    ) {
        let values = of
            .iter()
            .map(|(value, number)| (format!("{{{label}=\"{value}\"}}"), *number));
        let values: Vec<(String, u64)> = values.collect();
        let values: Vec<(&str, u64)> = values.iter().map(|(l, n)| (l.as_str(), *n)).collect();
        self.family(name, kind, help, &values);
    }
}

impl Services {
    /// Returns all metrics as text.
    pub fn metrics(&self) -> Result<String, Failure> {
        let mut page = Page(String::new());
        let version = [(env!("CARGO_PKG_VERSION"), 1)];
        let build = ("gauge", "version");
        page.labelled("brain_build_info", build, "The build.", &version);
        let uptime = self.0.started.elapsed().as_secs();
        let help = "Seconds since the node started.";
        page.family("brain_uptime_seconds", "gauge", help, &[("", uptime)]);
        let (memories, _) = self.counts();
        let help = "Memories that are listed or forgotten.";
        page.family("brain_memories", "gauge", help, &[("", memories)]);
        let entries = self.store().ledger_head()?;
        let entries = entries.map_or(0, |head| head.tree.size());
        let help = "Entries of the disclosure ledger.";
        page.family(
            "brain_ledger_entries_total",
            "counter",
            help,
            &[("", entries)],
        );
        self.sync_metrics(&mut page)?;
        Ok(page.0)
    }

    fn sync_metrics(&self, page: &mut Page) -> Result<(), Failure> {
        let peers = self.sync_status()?.peers;
        let states = super::sync::STATES.map(|state| {
            let count = peers.iter().filter(|peer| peer.state == state).count();
            (state, count as u64)
        });
        let help = "Peers and own devices by state.";
        page.labelled("brain_peers", ("gauge", "state"), help, &states);
        let uptime = self.0.started.elapsed().as_secs();
        let stale = peers.iter().map(|peer| peer.stale_s.unwrap_or(uptime));
        let help = "Seconds since the peer that is furthest behind was proved equal.";
        let stale = [("", stale.max().unwrap_or(0))];
        page.family("brain_sync_staleness_seconds", "gauge", help, &stale);
        let (counts, kind) = (self.0.sync.counts(), "counter");
        let help = "Sessions by how they ended.";
        let sessions = counts.sessions();
        page.labelled(
            "brain_sync_sessions_total",
            (kind, "outcome"),
            help,
            &sessions,
        );
        let help = "Bytes of frames.";
        let bytes = counts.directions();
        page.labelled("brain_sync_bytes_total", (kind, "direction"), help, &bytes);
        let help = "Items that a peer may have, by what the guard decided.";
        let items = counts.decisions();
        page.labelled("brain_egress_items_total", (kind, "decision"), help, &items);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_reads_as_prometheus_writes_it() {
        let mut page = Page(String::new());
        page.family("a_total", "counter", "All.", &[("", 3)]);
        page.labelled("b", ("gauge", "state"), "Some.", &[("on", 1), ("off", 2)]);
        let expected = "# HELP a_total All.\n# TYPE a_total counter\na_total 3\n\
            # HELP b Some.\n# TYPE b gauge\nb{state=\"on\"} 1\nb{state=\"off\"} 2\n";
        assert_eq!(page.0, expected);
    }
}
