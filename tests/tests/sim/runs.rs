//! Runs of the simulator, each from a seed.

use crate::oracle::Oracle;
use crate::world::World;

const RUNS: u64 = 300;
const STEPS: usize = 90;

#[expect(
    clippy::disallowed_methods,
    reason = "the seed to replay is given to the test, not to a program of ours"
)]
pub(crate) fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

fn run(seed: u64) -> usize {
    let mut world = World::new(seed);
    for _ in 0..STEPS {
        world.step();
    }
    world.heal();
    Oracle::check_end(&world);
    world.oracle.frames
}

/// Runs every `of`-th seed, so that several tests share the processors.
fn run_share(share: u64, of: u64) {
    if let Some(seed) = number("SEED") {
        if share == 0 {
            run(seed);
        }
        return;
    }
    let runs = RUNS * number("SCALE").unwrap_or(1);
    let mut frames = 0;
    for seed in (share..runs).step_by(usize::try_from(of).expect("small")) {
        let outcome = std::panic::catch_unwind(|| run(seed));
        let Ok(sent) = outcome else {
            panic!("SEED={seed} replays the run that failed");
        };
        frames += sent;
    }
    assert!(frames > 0, "nothing was ever shared: the runs test nothing");
}

#[test]
fn any_interleaving_keeps_the_promises_even_seeds() {
    run_share(0, 2);
}

#[test]
fn any_interleaving_keeps_the_promises_odd_seeds() {
    run_share(1, 2);
}
