//! Bytes of the store's file, altered one at a time while it is closed: an error that says so, or
//! exactly the same answers; never other answers, never a crash.
//!
//! ```text
//! image -> alter a byte -> open, check, read every row -> error: detected
//!                                                      -> same rows: harmless (slack, old headers)
//! ```
//!
//! All answers are made from rows, so equal rows give equal answers. A byte that opening, checking and
//! reading everything never looks at cannot change what they see: it is counted as unread and not
//! tried. `SCALE=n` tries n times as many in the large store.

use super::*;
use crate::kv::disk::DiskStore;
use crate::kv::faulty::{FaultyDisk, SplitMix};
use crate::kv::image::Image;
use std::panic::{AssertUnwindSafe, catch_unwind};

const LARGE_MEMORIES: u64 = 3_000;
const LARGE_FLIPS: u64 = 10_000;

type Rows = BTreeMap<(Keyspace, Vec<u8>), Vec<u8>>;

/// Opens the file and reads every row, as it lies there: sealed.
fn rows(image: &Image) -> Result<Rows, KvError> {
    let store = DiskStore::with_medium(image.clone())?;
    let mut rows = Rows::new();
    crate::kv::walk(&store, &layout::ALL, &mut |keyspace, item| {
        rows.insert((keyspace, item.key.clone()), item.value.clone());
    })?;
    for ((keyspace, key), value) in &rows {
        // The way through the branches, which walking does not take.
        if store.get(*keyspace, key)?.as_deref() != Some(value.as_slice()) {
            let reason = "walked to and not found".to_owned();
            return Err(KvError::Damaged { reason });
        }
    }
    store.close()?;
    Ok(rows)
}

/// A closed store, and what reading all of it gives and looks at.
struct Closed {
    bytes: Arc<Vec<u8>>,
    rows: Rows,
    read: Vec<bool>,
}

#[derive(Debug, Default)]
struct Tally {
    detected: u64,
    harmless: u64,
    unread: u64,
}

impl Closed {
    fn with(memories: u64) -> Self {
        let (bench, other) = (Bench::new(1), Bench::new(2));
        let (disk, folder) = (FaultyDisk::new(1), tempfile::tempdir().unwrap());
        let inner = DiskStore::with_medium(disk.clone()).unwrap();
        let kv: Arc<dyn Kv> = Arc::new(Sealed::new(Arc::new(inner), &bench.master));
        let parts = bench.parts(Arc::clone(&kv), &bench.master, folder.path());
        let store = Store::open(parts, NOW).unwrap();
        let mut bench = bench;
        bench.store = Some(store);
        bench.kv = kv;
        bench.pair(&other);
        other.pair(&bench);
        let grant = bench.share(&other);
        let mut last = None;
        for first in (0..memories).step_by(100) {
            let made = bench.store().transact::<_, WriteError>(NOW, |tx| {
                for number in first..memories.min(first + 100) {
                    let mut content = Content::new(MemoryKind::Note, NOW);
                    content.body = format!("a walk along the harbour, number {number}");
                    content.tags = ["t".to_owned()].into();
                    last = Some(tx.create(&content, &SidecarPatch::default())?);
                }
                Ok(())
            });
            made.unwrap();
        }
        let memory = last.unwrap();
        bench.disclose(&other, grant, memory);
        let edit = Edit {
            title: Some("edited".to_owned()),
            ..Edit::default()
        };
        bench.change(memory, edit);
        bench.store().close().unwrap();
        let bytes = Arc::new(disk.bytes_read());
        let image = Image::new(&bytes);
        image.note_reads();
        let rows = rows(&image).unwrap();
        let read = image.reads();
        assert!(rows.len() > 20);
        Self { bytes, rows, read }
    }

    /// Alters one byte and says what came of it.
    fn alter(&self, at: usize, mask: u8, tally: &mut Tally) {
        if !self.read[at] {
            tally.unread += 1;
            return;
        }
        let image = Image::new(&self.bytes);
        image.alter(at, mask);
        let Ok(read) = catch_unwind(AssertUnwindSafe(|| rows(&image))) else {
            panic!("byte {at} ^ {mask}: a crash");
        };
        match read {
            Err(KvError::Damaged { .. } | KvError::Io(_)) => tally.detected += 1,
            Err(error) => panic!("byte {at} ^ {mask}: another error: {error:?}"),
            Ok(found) => {
                assert!(
                    found == self.rows,
                    "byte {at} ^ {mask}: other rows, and no error"
                );
                tally.harmless += 1;
            }
        }
    }
}

fn number(name: &str) -> u64 {
    cuts::number(name).unwrap_or(1)
}

/// Alters bytes on two threads.
fn on_two(flips: &[(usize, u8)], closed: &Closed) -> Tally {
    let halves = flips.split_at(flips.len() / 2);
    let work = |flips: &[(usize, u8)]| {
        let mut tally = Tally::default();
        for (at, mask) in flips {
            closed.alter(*at, *mask, &mut tally);
        }
        tally
    };
    std::thread::scope(|scope| {
        let other = scope.spawn(|| work(halves.1));
        let mut tally = work(halves.0);
        let other = other.join().expect("no flip is undetected");
        tally.detected += other.detected;
        tally.harmless += other.harmless;
        tally.unread += other.unread;
        tally
    })
}

#[test]
fn every_altered_byte_of_a_small_store_is_detected_or_harmless() {
    let closed = Closed::with(20);
    let mut random = SplitMix(5);
    let mask = |random: &mut SplitMix| 1 + u8::try_from(random.below(255)).unwrap();
    let flips: Vec<_> = (0..closed.bytes.len())
        .map(|at| (at, mask(&mut random)))
        .collect();
    let tally = on_two(&flips, &closed);
    println!(
        "small store: {} bytes, {} rows: {tally:?}",
        closed.bytes.len(),
        closed.rows.len()
    );
    assert!(tally.detected > 10_000, "{tally:?}");
}

#[test]
fn ten_thousand_altered_bytes_of_a_large_store_are_detected_or_harmless() {
    let closed = Closed::with(LARGE_MEMORIES);
    let began = std::time::Instant::now();
    let opened = DiskStore::with_medium(Image::new(&closed.bytes)).unwrap();
    println!(
        "opening checks {} bytes in {:?}",
        closed.bytes.len(),
        began.elapsed()
    );
    drop(opened);
    let mut random = SplitMix(number("SEED"));
    let len = u64::try_from(closed.bytes.len()).unwrap();
    let flips: Vec<_> = (0..LARGE_FLIPS * number("SCALE"))
        .map(|_| {
            let at = usize::try_from(random.below(len)).unwrap();
            (at, 1 << random.below(8))
        })
        .collect();
    let tally = on_two(&flips, &closed);
    println!(
        "large store: {} bytes, {} rows: {tally:?}",
        closed.bytes.len(),
        closed.rows.len()
    );
    assert!(tally.detected > LARGE_FLIPS / 10, "{tally:?}");
}
