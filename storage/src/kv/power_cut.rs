//! The power is cut a few hundred times, each time at another write, by seed.
//!
//! The promise: what was acknowledged as durable is there, no batch is there in part, and the
//! store opens again. `SEED=n` runs one seed; `SCALE=n` multiplies the number of seeds.

use super::disk::DiskStore;
use super::faulty::{FaultyDisk, SplitMix};
use super::{Batch, Durability, Keyspace, Kv as _, Scan};

const LEFT: Keyspace = Keyspace("left");
const RIGHT: Keyspace = Keyspace("right");
const SEEDS: u64 = 300;
const COMMITS: u64 = 40;

#[derive(Clone, Copy, Debug, PartialEq)]
enum Fault {
    PowerCut,
    FailedSync,
    LyingDisk,
}

/// What the rounds saw: commits acknowledged, and how often the fault struck in time.
#[derive(Default)]
struct Seen {
    rounds: u64,
    acknowledged: u64,
    struck: u64,
}

#[test]
fn acknowledged_commits_survive_power_cuts() {
    let seen = run(Fault::PowerCut).unwrap();
    assert!(
        seen.acknowledged >= seen.rounds,
        "cuts come too early to show anything"
    );
    assert!(
        seen.struck >= seen.rounds / 2,
        "cuts come too late to show anything"
    );
}

#[test]
fn acknowledged_commits_survive_failed_syncs() {
    let seen = run(Fault::FailedSync).unwrap();
    assert!(
        seen.struck >= seen.rounds / 2,
        "fsyncs fail too late to show anything"
    );
}

#[test]
fn the_harness_notices_a_disk_that_skips_fsync() {
    let lost = run(Fault::LyingDisk).err().unwrap_or_default();
    assert!(lost.contains("lost") || lost.contains("open"), "{lost:?}");
}

fn run(fault: Fault) -> Result<Seen, String> {
    let seeds = match number("SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..SEEDS * number("SCALE").unwrap_or(1),
    };
    let mut seen = Seen::default();
    for seed in seeds {
        let (acknowledged, struck) =
            round(seed, fault).map_err(|error| format!("SEED={seed} {fault:?}: {error}"))?;
        seen.rounds += 1;
        seen.acknowledged += acknowledged;
        seen.struck += u64::from(struck);
    }
    Ok(seen)
}

#[expect(
    clippy::disallowed_methods,
    reason = "a test's own knob, not configuration"
)]
fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// Commits until the fault strikes, restores the power, and compares. Batch `n` writes its
/// number to both keyspaces and takes an older one away from both.
fn round(seed: u64, fault: Fault) -> Result<(u64, bool), String> {
    let mut random = SplitMix(seed ^ 0x5EED);
    let disk = FaultyDisk::new(seed);
    let store = DiskStore::with_medium(disk.clone()).map_err(|e| format!("first open: {e}"))?;
    match fault {
        Fault::PowerCut => disk.cut_power_in(random.below(400)),
        Fault::FailedSync => disk.fail_sync_in(random.below(COMMITS)),
        Fault::LyingDisk => disk.lie_about_sync(),
    }
    let (mut acknowledged, mut attempted, mut struck) = (0, 0, false);
    for n in 1..=COMMITS {
        attempted = n;
        let relaxed = fault != Fault::FailedSync && random.below(5) == 0;
        let durability = if relaxed {
            Durability::Relaxed
        } else {
            Durability::Durable
        };
        match store.commit(batch(n, &mut random), durability) {
            Ok(()) if !relaxed => acknowledged = n,
            Ok(()) => {}
            Err(_) if fault == Fault::FailedSync => {
                // The store reopens itself; the batch is tried again like by any caller.
                struck = true;
                store
                    .commit(batch(n, &mut random), Durability::Durable)
                    .map_err(|error| format!("no reopening: {error:?}"))?;
                acknowledged = n;
            }
            Err(_) => {
                struck = true;
                break;
            }
        }
    }
    // A process that dies with the machine closes nothing: the power goes first.
    disk.restore_power();
    drop(store);
    let store = DiskStore::with_medium(disk).map_err(|e| format!("open after cut: {e:?}"))?;
    let last = last_whole(&store)?;
    if last < acknowledged {
        return Err(format!("lost commit {acknowledged}, found {last}"));
    }
    if last > attempted {
        return Err(format!("found commit {last}, tried only {attempted}"));
    }
    store
        .verify(&[LEFT, RIGHT])
        .map_err(|error| format!("verify: {error:?}"))?;
    store
        .commit(batch(last + 1, &mut random), Durability::Durable)
        .map_err(|error| format!("commit after cut: {error:?}"))?;
    Ok((acknowledged, struck))
}

const KEPT: u64 = 5;

fn batch(n: u64, random: &mut SplitMix) -> Batch {
    let mut batch = Batch::new();
    for keyspace in [LEFT, RIGHT] {
        let len = usize::try_from(8 + random.below(3000)).unwrap_or(8);
        batch.put(keyspace, n.to_be_bytes(), vec![n.to_le_bytes()[0]; len]);
        if n > KEPT {
            batch.delete(keyspace, (n - KEPT).to_be_bytes());
        }
    }
    batch
}

/// Returns the last commit, having checked that both keyspaces show exactly that moment.
fn last_whole(store: &DiskStore<FaultyDisk>) -> Result<u64, String> {
    let mut numbers = Vec::new();
    for keyspace in [LEFT, RIGHT] {
        let page = store
            .scan(keyspace, &Scan::all())
            .map_err(|error| format!("scan: {error:?}"))?;
        let mut found = Vec::new();
        for item in page.items {
            let n = u64::from_be_bytes(
                item.key
                    .try_into()
                    .map_err(|key| format!("odd key {key:?}"))?,
            );
            if item.value.iter().any(|byte| *byte != n.to_le_bytes()[0]) {
                return Err(format!("value of {n} is not what was written"));
            }
            found.push(n);
        }
        numbers.push(found);
    }
    let last = numbers[0].last().copied().unwrap_or(0);
    let expect: Vec<_> = (last.saturating_sub(KEPT) + 1..=last).collect();
    if numbers.iter().any(|found| *found != expect) {
        return Err(format!("half a batch: {numbers:?}"));
    }
    Ok(last)
}
