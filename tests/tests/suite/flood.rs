//! A flood: thousands of connections that never finish their handshake, a stranger and a paired
//! peer who break every rule; and a friend who comes in meanwhile and is up to date in no time.
//!
//! ```text
//! half-open QUIC and TCP, bytes that are no protocol ---\
//! stranger, hostile peer: garbage, oversized, slow, deaf --> ana <-- bob, from a new address
//! ```
//!
//! Bob's process listens at another port than Ana knows, so only he can make the connection: it
//! is the way in that has to stay open.

mod silent;

use crate::between::{addresses, key};
use crate::couple::{Couple, has};
use crate::http::{Http, text};
use brain_tests::hostile::{Hostile, Plan};
use brain_tests::{Node, eventually};
use silent::Silent;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Connections of each transport that are opened and say nothing more.
const HALF_OPEN: usize = 2_000;
/// How long a memory may take to a friend who comes back; twice as long as without a flood on a
/// machine that is so busy that this takes longer by itself.
const ARRIVES_MAX: Duration = Duration::from_secs(2);
/// How much the memory of the process may grow, in KiB.
const GROWTH_KIB_MAX: u64 = 64 << 10;

/// Returns the resident memory of a process, in KiB.
fn resident(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("the process runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let number = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
    number.expect("a process has resident memory")
}

/// Returns the socket address of a multiaddr such as `/ip4/127.0.0.1/tcp/1`.
fn socket_of(addresses: &[String], transport: &str) -> SocketAddr {
    let port = addresses.iter().find_map(|address| {
        let (_, rest) = address.split_once(&format!("/{transport}/"))?;
        rest.split('/').next()?.parse().ok()
    });
    (
        [127, 0, 0, 1],
        port.expect("ana listens on both transports"),
    )
        .into()
}

/// Pairs a node with Ana.
fn introduce(ana: &Node, other: &Node, name: &str) {
    let ticket = ana.brainctl(["peer", "invite", "--name", name, "--ids"]);
    let ticket = ticket.ok().stdout.trim().to_owned();
    other
        .brainctl(["peer", "accept", &ticket, "--alias", "ana"])
        .ok();
}

/// Waits until a memory of Ana's is at Bob's; panics if that takes too long.
fn arrives(couple: &Couple, what: &str, max: Duration) -> Duration {
    let took = arrival(couple, what);
    assert!(took < max, "{what}: it took {took:?}, {max:?} are enough");
    took
}

/// Returns how long a memory of Ana's takes to Bob.
fn arrival(couple: &Couple, what: &str) -> Duration {
    let start = Instant::now();
    let id = Http::of(&couple.ana).add(what, "shared");
    eventually(what, || has(&couple.bob, &id).then_some(()));
    start.elapsed()
}

/// Looks at the memory of a process until told to stop; returns the most there was.
fn watch(pid: u32, peak: &AtomicU64, is_over: &AtomicBool) {
    while !is_over.load(Ordering::Relaxed) {
        peak.fetch_max(resident(pid), Ordering::Relaxed);
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn last_error(ana: &Node, alias: &str) -> Option<String> {
    let status = ana.json(["sync", "status"]);
    let peers = status["peers"].as_array().expect("a list").clone();
    let peer = peers.into_iter().find(|peer| peer["alias"] == alias)?;
    peer.get("last_error")?.as_str().map(str::to_owned)
}

#[test]
fn a_flood_keeps_no_friend_out_and_takes_little_memory() {
    let listen = "/ip4/127.0.0.1/udp/0/quic-v1,/ip4/127.0.0.1/tcp/0";
    let mut couple =
        Couple::of(|name| Node::start_with(name, &[("BRAIN_NETWORK__LISTEN", listen)]));
    let mut mallory = Node::start("mallory");
    introduce(&couple.ana, &mallory, "mallory");
    couple.share("shared");
    arrival(&couple, "it arrives");
    couple.bob.restart();
    let quiet = arrival(&couple, "to a friend who comes back before the flood");
    let max = ARRIVES_MAX.max(2 * quiet);
    eventually("mallory is known", || {
        let peers = couple.ana.json(["peer", "ls"]).to_string();
        peers.contains("mallory").then_some(())
    });
    // From here on, mallory's key is in the hands of this test.
    mallory.stop();
    couple.bob.stop();
    std::fs::remove_file(couple.bob.home().join("network.ports")).expect("ports were noted");
    let ana = addresses(&couple.ana);
    let (quic, tcp) = (socket_of(&ana, "udp"), socket_of(&ana, "tcp"));
    let pid = couple.ana.pid().expect("ana runs");
    let before = resident(pid);
    let (peak, is_over) = (AtomicU64::new(before), AtomicBool::new(false));
    std::thread::scope(|scope| {
        scope.spawn(|| watch(pid, &peak, &is_over));
        let ended = Ended(&is_over);
        let silent = Silent::open(quic, tcp, HALF_OPEN);
        let hostile = Hostile::start(Plan {
            home: &mallory.home(),
            victim: key(&couple.ana).id(),
            addresses: &ana,
            faults_max: u64::MAX,
            knowledge: None,
        });
        // Bob comes while the flood is at its height, and a second wave comes with him.
        let wave = Silent::open(quic, tcp, HALF_OPEN / 4);
        couple.bob.start_again();
        let came_back = arrives(&couple, "to a friend who comes back", max);
        let edits = (0..5).map(|number| arrives(&couple, &format!("edit {number}"), max));
        let slowest = edits.max().expect("there are five");
        eventually("ana says what mallory did", || {
            last_error(&couple.ana, "mallory").filter(|error| error.contains("broke the protocol"))
        });
        let tally = hostile.tally();
        println!(
            "a friend was up to date after {came_back:?} ({quiet:?} without a flood), edits took {slowest:?} at most; \
             {} and {} connections were opened; the stranger tried {} times, mallory was let \
             in {} times and turned away {} times",
            silent.count(),
            wave.count(),
            tally.stranger_tries,
            tally.let_in,
            tally.turned_away,
        );
        assert_eq!(tally.stranger_heard_bytes, 0, "a stranger is told nothing");
        assert!(tally.turned_away > 0, "a fault has consequences");
        drop(ended);
    });
    let growth = peak.load(Ordering::Relaxed).saturating_sub(before);
    println!("resident memory: {before} KiB before, {growth} KiB more at most");
    assert!(growth < GROWTH_KIB_MAX, "it grew by {growth} KiB");
    let log = couple.ana.log();
    assert!(!log.contains("panicked"), "{log}");
    assert_eq!(text(&couple.ana.json(["status"]), "store"), "ok");
}

/// Ends the watch, also when an assertion fails.
struct Ended<'a>(&'a AtomicBool);

impl Drop for Ended<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
