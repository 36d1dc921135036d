//! The instruments that count while the node works, and the page with everything on it.
//!
//! Flow: an edge or a service notes what happened in [`Metrics`]; when somebody asks, what the
//! node knows anyway is added as a [`Sheet`], and both become one page.

use super::process;
use prometheus_client::encoding::prometheus_text;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

/// The type of the page, as Prometheus names it.
pub const CONTENT_TYPE: &str = prometheus_text::CONTENT_TYPE;

/// Bounds of times, in seconds. The promises of the testnet are among them: 0.05 and 0.25.
const BOUNDS: [f64; 12] = [
    0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0,
];

type Labels<const N: usize> = [(&'static str, String); N];
type Times<const N: usize> = Family<Labels<N>, Histogram, fn() -> Histogram>;

/// What is counted while the node works; clones count together.
#[derive(Debug, Clone)]
pub struct Metrics {
    requests: Family<Labels<3>, Counter>,
    request_times: Times<2>,
    in_flight: Gauge<u64, AtomicU64>,
    search_times: Times<1>,
}

impl Default for Metrics {
    fn default() -> Self {
        let times: fn() -> Histogram = || Histogram::new(BOUNDS);
        Self {
            requests: Family::default(),
            request_times: Family::new_with_constructor(times),
            in_flight: Gauge::default(),
            search_times: Family::new_with_constructor(times),
        }
    }
}

impl Metrics {
    /// Notes that a request is worked on, until what is returned is dropped.
    pub fn working(&self) -> Working {
        self.in_flight.inc();
        Working(self.in_flight.clone())
    }

    /// Notes a request to the API: the pattern of its route, never its path.
    pub fn request(&self, route: &str, method: &str, status: u16, took: Duration) {
        let place = [("route", route.to_owned()), ("method", method.to_owned())];
        let [route, method] = place.clone();
        let answered = [route, method, ("status", status.to_string())];
        self.requests.get_or_create(&answered).inc();
        let times = self.request_times.get_or_create(&place);
        times.observe(took.as_secs_f64());
    }

    /// Notes a search.
    pub fn search(&self, mode: &'static str, took: Duration) {
        let mode = [("mode", mode.to_owned())];
        let times = self.search_times.get_or_create(&mode);
        times.observe(took.as_secs_f64());
    }

    /// Returns the page: these counts, the process, and what a sheet holds.
    pub fn page(&self, sheet: Sheet) -> String {
        let Sheet(mut registry) = sheet;
        let (name, help) = (
            "brain_http_requests",
            "Requests to the API, by their answer",
        );
        registry.register(name, help, self.requests.clone());
        let (name, help) = (
            "brain_http_requests_in_flight",
            "Requests that are worked on",
        );
        registry.register(name, help, self.in_flight.clone());
        let name = "brain_http_request_duration_seconds";
        registry.register(name, "Time to answer", self.request_times.clone());
        let name = "brain_search_duration_seconds";
        registry.register(name, "Time to search", self.search_times.clone());
        let mut sheet = Sheet(registry);
        process::describe(&mut sheet);
        sheet.written()
    }
}

/// A request that is worked on.
#[derive(Debug)]
pub struct Working(Gauge<u64, AtomicU64>);

impl Drop for Working {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// Values of one moment.
#[derive(Debug, Default)]
pub struct Sheet(Registry);

impl Sheet {
    /// Adds a value that goes up and down.
    pub fn gauge(&mut self, name: &str, help: &str, value: u64) {
        let gauge = Gauge::<u64, AtomicU64>::default();
        gauge.set(value);
        self.0.register(name, help, gauge);
    }

    /// Adds a value that goes up and down and has a fraction.
    pub fn gauge_f64(&mut self, name: &str, help: &str, value: f64) {
        let gauge = Gauge::<f64, AtomicU64>::default();
        gauge.set(value);
        self.0.register(name, help, gauge);
    }

    /// Adds a count since the start; `_total` is put behind its name.
    pub fn counter(&mut self, name: &str, help: &str, value: u64) {
        let counter = Counter::<u64>::default();
        counter.inc_by(value);
        self.0.register(name, help, counter);
    }

    /// Adds a count with a fraction.
    pub fn counter_f64(&mut self, name: &str, help: &str, value: f64) {
        let counter = Counter::<f64, AtomicU64>::default();
        counter.inc_by(value);
        self.0.register(name, help, counter);
    }

    /// Adds values that go up and down, each under its labels.
    pub fn gauges<const N: usize>(
        &mut self,
        name: &str,
        help: &str,
        values: impl IntoIterator<Item = (Labels<N>, u64)>,
    ) {
        let family = Family::<Labels<N>, Gauge<u64, AtomicU64>>::default();
        for (labels, value) in values {
            family.get_or_create(&labels).set(value);
        }
        self.0.register(name, help, family);
    }

    /// Adds counts since the start, each under one label.
    pub fn counters<'a>(
        &mut self,
        name: &str,
        help: &str,
        label: &'static str,
        values: impl IntoIterator<Item = &'a (&'static str, u64)>,
    ) {
        let family = Family::<Labels<1>, Counter>::default();
        for (value, count) in values {
            let labels = [(label, (*value).to_owned())];
            family.get_or_create(&labels).inc_by(*count);
        }
        self.0.register(name, help, family);
    }

    fn written(self) -> String {
        let mut page = String::new();
        let written = prometheus_text::encode(&mut page, &self.0);
        written.expect("writing to a string does not fail");
        page
    }
}

/// Returns the page of a node that is locked: it knows nothing but itself.
pub fn locked_page() -> String {
    let mut sheet = Sheet::default();
    sheet.gauge("brain_unlocked", UNLOCKED, 0);
    build_info(&mut sheet);
    Metrics::default().page(sheet)
}

/// Says what `brain_unlocked` is.
pub const UNLOCKED: &str = "1 if the keys are in memory, 0 if the node is locked";

/// Adds which build this is.
pub fn build_info(sheet: &mut Sheet) {
    let version = [("version", env!("CARGO_PKG_VERSION").to_owned())];
    sheet.gauges("brain_build_info", "The build", [(version, 1)]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_reads_as_prometheus_writes_it() {
        let metrics = Metrics::default();
        metrics.request("/v1/memories/{id}", "GET", 200, Duration::from_millis(40));
        metrics.request("/v1/memories/{id}", "GET", 404, Duration::from_millis(60));
        metrics.search("hybrid", Duration::from_millis(3));
        let mut sheet = Sheet::default();
        sheet.gauge("brain_memories", "All", 3);
        sheet.counters("brain_x", "Some", "way", &[("in", 2), ("out", 0)]);
        let page = metrics.page(sheet);
        for line in [
            "# TYPE brain_memories gauge",
            "brain_memories 3",
            "# TYPE brain_x_total counter",
            "brain_x_total{way=\"in\"} 2",
            "brain_x_total{way=\"out\"} 0",
            "brain_http_requests_total{route=\"/v1/memories/{id}\",method=\"GET\",status=\"404\"} 1",
            "brain_http_request_duration_seconds_bucket{route=\"/v1/memories/{id}\",method=\"GET\",le=\"0.05\"} 1",
            "brain_http_request_duration_seconds_count{route=\"/v1/memories/{id}\",method=\"GET\"} 2",
            "brain_search_duration_seconds_bucket{mode=\"hybrid\",le=\"0.25\"} 1",
        ] {
            assert!(page.lines().any(|found| found == line), "{line}\n{page}");
        }
        assert!(page.contains("process_resident_memory_bytes "));
    }

    #[test]
    fn a_locked_node_says_that_it_is() {
        assert!(locked_page().lines().any(|line| line == "brain_unlocked 0"));
    }
}
