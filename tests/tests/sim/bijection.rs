//! The ledger and the wire agree both ways: three nodes, random operations, every frame recorded.
//!
//! Each frame is recorded as bytes when a node hands it to the network and again when it arrives,
//! and is taken apart by `brain_tests::sniffer`, which shares no code with what made it.
//!
//! - What was handed on is what the sender's ledger says, as often and byte for byte.
//! - What arrived is in the ledger; what the ledger has more is what was lost with a connection.

use crate::node::Node;
use crate::oracle::Oracle;
use crate::world::World;
use brain_tests::sniffer::{Traffic, assert_bijection};
use crdt::identity::did::to_did;
use protocol::api::ledger::export;

const SEEDS: u64 = 40;
const STEPS: usize = 90;

/// What one node sent to one other.
#[derive(Debug, Clone, Default)]
pub(crate) struct Recorded {
    pub(crate) handed: Vec<Vec<u8>>,
    pub(crate) arrived: Vec<Vec<u8>>,
}

/// Returns what a node's ledger says.
fn said(node: &Node) -> Traffic {
    let entries = node.store().ledger(0, usize::MAX);
    let mut traffic = Traffic::default();
    for entry in entries.expect("the ledger reads") {
        traffic.add_entry(&export::entry(&entry, String::new()));
    }
    traffic
}

/// Returns how much content was lost on its way.
fn compare(world: &World) -> (u64, u64) {
    let (mut sent, mut lost) = (0, 0);
    for (from, node) in world.nodes.iter().enumerate() {
        let (mut handed, mut arrived) = (Traffic::default(), Traffic::default());
        for (to, other) in world.nodes.iter().enumerate() {
            let Some(recorded) = world.recorded.get(&(from, to)) else {
                continue;
            };
            let to = to_did(&other.person());
            for frame in &recorded.handed {
                sent += u64::from(handed.add_frame(&to, frame));
            }
            for frame in &recorded.arrived {
                arrived.add_frame(&to, frame);
            }
        }
        let ledger = said(node);
        assert_bijection(&ledger, &handed);
        assert!(arrived.beyond(&ledger).is_empty());
        let missing = ledger.beyond(&arrived);
        assert_eq!(
            missing,
            handed.beyond(&arrived),
            "lost on the way, and only that"
        );
        lost += missing.values().sum::<u64>();
    }
    (sent, lost)
}

#[test]
fn the_ledgers_of_three_nodes_say_what_a_sniffer_saw() {
    let (mut sent, mut lost) = (0, 0);
    for seed in 0..SEEDS {
        let outcome = std::panic::catch_unwind(|| {
            let mut world = World::of(seed, 3);
            for _ in 0..STEPS {
                world.step();
            }
            world.heal();
            let counts = compare(&world);
            Oracle::check_end(&world);
            for link in world.links.values() {
                for end in &link.ends {
                    assert_eq!(end.faults, [], "an honest ledger was doubted");
                    let kept = storage::ledger::Witnessed::Kept;
                    assert!(end.witnessed.iter().all(|taken| *taken == kept));
                }
            }
            for (one, other) in world.links.keys() {
                for (node, peer) in [(one, other), (other, one)] {
                    let device = world.nodes[*peer].device().id();
                    let held = world.nodes[*node].store().held(device);
                    let held = held.expect("rows read");
                    assert!(held.is_some(), "nobody witnessed anything");
                }
            }
            counts
        });
        let Ok((frames, missing)) = outcome else {
            panic!("seed {seed} failed");
        };
        sent += frames;
        lost += missing;
    }
    println!("{sent} content frames, {lost} events and keys lost on the way");
    assert!(sent > 100, "too little was shared to say anything");
    assert!(
        lost > 0,
        "no connection ever broke in the middle of something"
    );
}
