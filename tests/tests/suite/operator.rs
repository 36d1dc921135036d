//! What an operator sees of a node: the health check, the metrics, and the files that read these.
//!
//! No name of a person, no text, tag or query is in a metric, and what the rules and boards of the
//! test network ask for is what a node tells.

use crate::http::Http;
use brain_tests::{Node, eventually, root};
use reqwest::blocking::Client;
use serde_json::json;
use std::collections::BTreeSet;
use std::net::TcpListener;
use std::path::Path;
use std::time::Duration;

const CANARY: &str = "qzxjmetric";
const ENDS: [&str; 3] = ["_bucket", "_count", "_sum"];
const SOON: Duration = Duration::from_secs(10);

/// Returns an address that nobody listens on.
fn free_address() -> String {
    let taken = TcpListener::bind("127.0.0.1:0").expect("loopback has a port");
    let address = taken.local_addr().expect("it has an address");
    address.to_string()
}

fn ask(address: &str, path: &str) -> Option<(u16, String)> {
    let client = Client::builder().no_proxy().build().expect("a client");
    let answer = client.get(format!("http://{address}{path}")).send().ok()?;
    Some((answer.status().as_u16(), answer.text().ok()?))
}

/// Returns the names of the metrics on a page.
fn names(page: &str) -> BTreeSet<&str> {
    let types = page.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    types.filter_map(|line| line.split(' ').next()).collect()
}

#[test]
fn the_health_check_says_what_the_node_can_do() {
    let mut node = Node::start("health");
    let check = |node: &Node| {
        let mut command = node.command("brain-node");
        brain_tests::process::run(command.arg("healthcheck"), b"", SOON)
    };
    check(&node).ok();
    node.brainctl(["node", "lock"]).ok();
    let locked = eventually("the health check sees the lock", || {
        Some(check(&node)).filter(|found| found.stderr.contains("locked"))
    });
    assert_eq!(locked.code, 1);
    node.kill();
    let gone = check(&node);
    assert_eq!(gone.code, 1);
    assert!(gone.stderr.contains("no node answers"), "{}", gone.stderr);
}

#[test]
fn metrics_name_nobody_and_are_what_rules_and_boards_ask_for() {
    let address = free_address();
    let node = Node::start_with("metrics", &[("BRAIN_TELEMETRY__METRICS_LISTEN", &address)]);
    let http = Http::of(&node);
    let new = json!({"title": CANARY, "body": format!("{CANARY} text"), "tags": [CANARY]});
    let kept = http.ok("POST", "/v1/memories", Some(&new));
    let id = kept["id"].as_str().expect("an id").to_owned();
    http.ok("GET", &format!("/v1/memories/{id}"), None);
    for mode in ["hybrid", "text", "vector"] {
        let query = json!({"query": CANARY, "mode": mode});
        http.ok("POST", "/v1/search", Some(&query));
    }
    http.call("GET", &format!("/v1/memories/{CANARY}"), None);
    http.call("GET", &format!("/{CANARY}"), None);
    http.call(&CANARY.to_uppercase(), "/v1/node", None);

    let (status, page) = ask(&address, "/metrics").expect("it answers");
    assert_eq!(status, 200);
    let lower = page.to_lowercase();
    assert!(!lower.contains(CANARY) && !page.contains(&id), "{page}");
    for line in ["brain_unlocked 1", "brain_memories 1"] {
        assert!(page.lines().any(|found| found == line), "{line}:\n{page}");
    }
    let reads = "brain_http_requests_total{route=\"/v1/memories/{id}\",method=\"GET\",status=";
    for status in ["\"200\"} 1", "\"404\"} 1"] {
        let line = format!("{reads}{status}");
        assert!(page.lines().any(|found| found == line), "{line}:\n{page}");
    }
    assert_eq!(
        http.call("GET", "/metrics", None).expect("it answers").0,
        200
    );

    let told = names(&page);
    let mut files = 0;
    each_file(&root().join("testnet/observe"), &mut |path, text| {
        files += 1;
        for name in asked_for(text) {
            let base = ENDS.iter().find_map(|end| name.strip_suffix(end));
            let is_told = told.contains(name) || base.is_some_and(|base| told.contains(base));
            assert!(is_told, "{}: {name} is told by no node", path.display());
        }
    });
    assert!(files > 5, "the rules and boards are somewhere else");

    // A page elsewhere that had its name resolved to this machine is kept out.
    let client = Client::builder().no_proxy().build().expect("a client");
    let elsewhere = client.get(format!("http://{address}/metrics"));
    let elsewhere = elsewhere.header("host", "evil.example").send();
    assert_eq!(elsewhere.expect("it answers").status().as_u16(), 421);

    // Nothing else is behind this address, and a locked node says that it is.
    for path in ["/v1/node", "/v1/memories", "/healthz", "/"] {
        assert_eq!(ask(&address, path).expect("it answers").0, 404, "{path}");
    }
    node.brainctl(["node", "lock"]).ok();
    let page = eventually("the metrics of a locked node", || {
        let (_, page) = ask(&address, "/metrics")?;
        page.lines()
            .any(|line| line == "brain_unlocked 0")
            .then_some(page)
    });
    assert!(!page.contains("brain_memories"), "{page}");
}

/// Calls `visit` with every file below a folder that reads as text.
fn each_file(folder: &Path, visit: &mut impl FnMut(&Path, &str)) {
    for entry in std::fs::read_dir(folder).expect("a folder of the repository") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            each_file(&path, visit);
        } else if let Ok(text) = std::fs::read_to_string(&path) {
            visit(&path, &text);
        }
    }
}

/// Returns the metrics of a node that a file asks for; what rules record has a colon in its name.
fn asked_for(text: &str) -> impl Iterator<Item = &str> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    let words = text.split(move |c| !is_part(c));
    words.filter(|word| {
        let is_ours = word.starts_with("brain_") || word.starts_with("process_");
        is_ours && !word.contains(':')
    })
}
