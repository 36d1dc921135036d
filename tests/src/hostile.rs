//! Hostile devices: they shake hands over the real network, once with the key of a paired device and
//! once with a key nobody knows, and then break the rules or ask for what is not theirs.
//!
//! Not a fuzzer: the bytes of a decoder are [`crate::fuzz`]'s business. What is tried here is whether
//! a node that runs tells a hostile device anything, and goes on for everyone else meanwhile.
//!
//! ```text
//! Hostile::start --key of a paired device--> curious (first alone, then beside the others)
//!                |                       '-> slow, deaf, garbage, oversized
//!                '--key of a stranger------> slow, deaf, garbage, oversized
//! ```
//!
//! The curious device breaks no rule, so nothing but a missing grant keeps it from getting what it
//! asks for ([`curious`]). `brain-hostile` runs all of it as a program; the suite `flood` runs the
//! others.
//!
//! Invariant: all of it ends when the value is dropped, and [`Tally`] says what it achieved.

mod curious;
mod knowledge;
mod rules;
mod tally;
mod way;

pub use knowledge::Knowledge;
pub use tally::Tally;

use crdt::id::DeviceId;
use crdt::identity::DeviceKey;
use curious::Curious;
use node::config::Unlock;
use node::net::Network;
use node::net::door::Door;
use protocol::wire::control::Hello;
use protocol::wire::{VERSION_MAX, VERSION_MIN};
use rules::{Attacker, Rule};
use std::path::Path;
use std::time::Duration;
use storage::store::Owner;
use tally::Counts;
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;
use way::Way;

/// How long those who break rules wait at most until the curious device has had a first look.
const FIRST_LOOK_MAX: Duration = Duration::from_secs(10);

/// Who attacks whom, and how.
#[derive(Debug)]
pub struct Plan<'a> {
    /// The data folder of a paired node that does not run, or a copy of it.
    pub home: &'a Path,
    /// The device that is attacked.
    pub victim: DeviceId,
    /// Where it is.
    pub addresses: &'a [String],
    /// How often the paired device does what is a fault at once; each doubles its pause.
    pub faults_max: u64,
    /// What the curious device asks for; none if there is to be no such device.
    pub knowledge: Option<Knowledge>,
}

/// Devices that shake hands and are hostile from then on.
#[derive(Debug)]
pub struct Hostile {
    counts: Counts,
    stop: CancellationToken,
    runtime: Runtime,
}

impl Hostile {
    /// Takes the place of a node that is paired, and that of a stranger beside it.
    pub fn start(plan: Plan<'_>) -> Self {
        let hostile = Self {
            counts: Counts::default(),
            stop: CancellationToken::new(),
            runtime: Runtime::new().expect("threads"),
        };
        let opened = node::identity::open(plan.home, &Unlock::default());
        let owner = opened.expect("the folder is the test's own").owner;
        let first_look = CancellationToken::new();
        let paired = hostile.way(&plan, &owner.device, false);
        let stranger = hostile.way(&plan, &DeviceKey::from_seed(&[99; 32]), true);
        let counts = &hostile.counts;
        counts.note(|tally| tally.faults_left = plan.faults_max);
        for way in [paired.clone(), stranger] {
            let begin = if way.is_stranger || plan.knowledge.is_none() {
                None
            } else {
                Some(first_look.clone())
            };
            for rule in Rule::ALL {
                let attacker = Attacker {
                    way: way.clone(),
                    hello: hello(&owner, [7; 16]),
                };
                let begin = begin.clone();
                hostile.run(async move {
                    if let Some(begin) = begin {
                        let look = tokio::time::timeout(FIRST_LOOK_MAX, begin.cancelled());
                        // Either will do.
                        look.await.ok();
                    }
                    attacker.attack(rule).await;
                });
            }
        }
        if let Some(knowledge) = plan.knowledge {
            let curious = Curious::new(paired, owner, knowledge);
            hostile.run(async move { curious.attack(&first_look).await });
        }
        hostile
    }

    /// Returns what was achieved so far.
    pub fn tally(&self) -> Tally {
        self.counts.tally()
    }

    /// Prepares a network of its own for a key.
    fn way(&self, plan: &Plan<'_>, key: &DeviceKey, is_stranger: bool) -> Way {
        let ports = plan.home.join("hostile.ports");
        // Nobody is let in here: it only calls.
        let started = Network::start(key, &[], &ports, Door::default(), self.stop.clone());
        let (network, _, run) = self.runtime.block_on(started).expect("it listens nowhere");
        self.runtime.spawn(run);
        Way {
            network,
            victim: plan.victim,
            addresses: plan.addresses.to_vec(),
            counts: self.counts.clone(),
            is_stranger,
        }
    }

    /// Runs something until this is dropped.
    fn run(&self, attack: impl Future<Output = ()> + Send + 'static) {
        let stop = self.stop.clone();
        self.runtime.spawn(async move {
            tokio::select! {
                () = stop.cancelled() => {}
                () = attack => {}
            }
        });
    }
}

impl Drop for Hostile {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// Returns how a device of this person greets.
fn hello(owner: &Owner, nonce: [u8; 16]) -> Hello {
    Hello {
        version_min: VERSION_MIN,
        version_max: VERSION_MAX,
        certificate: owner.certificate.clone(),
        nonce,
        alias: "mallory".to_owned(),
        addresses: Vec::new(),
        ticket: None,
    }
}
