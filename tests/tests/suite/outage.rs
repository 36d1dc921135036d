//! An outage is visible: in the log once at its beginning and once at its end, in `status` and
//! `sync status` with its time, its reason and what is missing, and in the metrics.

use crate::couple::{Couple, has};
use crate::http::Http;
use brain_tests::{EVENTUALLY_MAX, Node, eventually, process};
use serde_json::Value;
use std::process::Command;

const BEGINS: &str = "a peer cannot be reached; trying again";
const ENDS: &str = "a peer is reached again";

fn bob(couple: &Couple) -> Value {
    let status = couple.ana.json(["sync", "status"]);
    status["peers"][0].clone()
}

/// Returns the value of a metric, with its labels if it has any.
fn metric(node: &Node, name: &str) -> Option<u64> {
    let page = node.brainctl(["node", "metrics"]).ok().stdout.clone();
    let line = page.lines().find_map(|line| line.strip_prefix(name))?;
    line.trim().parse().ok()
}

#[test]
fn an_outage_is_said_once_and_shown_until_it_ends() {
    let mut couple = Couple::start();
    couple.share("shared");
    let http = Http::of(&couple.ana);
    let first = http.add("before", "shared");
    eventually("it arrives", || has(&couple.bob, &first).then_some(()));
    eventually("they are equal", || {
        (bob(&couple)["state"] == "in_sync").then_some(())
    });
    assert_eq!(bob(&couple)["stale_s"], 0);
    assert_eq!(
        metric(&couple.ana, "brain_peers{state=\"in_sync\"}"),
        Some(1)
    );
    let said = |what: &str| couple.ana.log().matches(what).count();
    assert_eq!((said(BEGINS), said(ENDS)), (0, 0));
    couple.bob.kill();
    http.add("meanwhile", "shared");
    let peer = eventually("bob is missed", || {
        // The transport takes some seconds to miss a process that says nothing any more.
        couple.ana.brainctl(["sync", "now"]);
        let peer = bob(&couple);
        (peer["state"] == "unreachable").then_some(peer)
    });
    for field in [
        "unreachable_since",
        "next_try_s",
        "last_error",
        "last_equal",
    ] {
        assert!(!peer[field].is_null(), "{field} is missing: {peer:#}");
    }
    assert_eq!(peer["in_sync"], false);
    assert!(peer["missing_there"].as_u64() > Some(0), "{peer:#}");
    let text = couple.ana.brainctl(["status"]).ok().stdout.clone();
    assert!(text.contains("bob: unreachable since "), "{text}");
    assert_eq!(
        metric(&couple.ana, "brain_peers{state=\"unreachable\"}"),
        Some(1)
    );
    assert_eq!(metric(&couple.ana, "brain_memories"), Some(2));
    assert!(metric(&couple.ana, "brain_ledger_entries_total") > Some(0));
    assert!(metric(&couple.ana, "brain_sync_bytes_total{direction=\"out\"}") > Some(0));
    couple.ana.brainctl(["sync", "now"]);
    couple.bob.start_again();
    couple.prove();
    let said = |what: &str| couple.ana.log().matches(what).count();
    eventually("the end is said", || (said(ENDS) == 1).then_some(()));
    assert_eq!(said(BEGINS), 1, "{}", couple.ana.log());
    assert!(bob(&couple)["unreachable_since"].is_null());
    let page = couple.ana.brainctl(["node", "metrics"]).ok().stdout.clone();
    let person = bob(&couple)["person"].as_str().expect("a did").to_owned();
    assert!(!page.contains("bob") && !page.contains(&person), "{page}");
}

#[test]
fn a_friend_who_falls_silent_on_tcp_is_missed() {
    let listen = [("BRAIN_NETWORK__LISTEN", "/ip4/127.0.0.1/tcp/0")];
    let couple = Couple::start_with(&listen, &listen);
    let is_online = || bob(&couple)["online"] == true;
    eventually("they are connected", || is_online().then_some(()));
    let pid = couple.bob.pid().expect("bob runs").to_string();
    let signal = |name: &str| {
        let mut kill = Command::new("kill");
        process::run(kill.args([name, &pid]), b"", EVENTUALLY_MAX).ok();
    };
    // The system goes on answering for the process: nothing but its silence tells.
    signal("-STOP");
    eventually("bob is missed", || (!is_online()).then_some(()));
    signal("-CONT");
    eventually("bob is back", || is_online().then_some(()));
}
