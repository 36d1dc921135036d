//! A disk that fails on purpose, by seed: power cuts, fsyncs that fail, no space left.
//!
//! It is a [`Medium`] for the real engine, not a model of one. Writes reach the disk's cache at
//! once and its platter only by an fsync; a power cut decides by the seed whether the unsynced
//! writes are all lost, all kept, or torn into 512-byte sectors of which some stay.
//!
//! Flow: [`FaultyDisk::new`], open a `DiskStore` on a clone, arm a fault, work until it strikes,
//! [`FaultyDisk::restore_power`], open again, compare.
//!
//! Invariant: the same seed and the same calls give the same platter.

mod random;

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use redb::StorageBackend;

pub use random::SplitMix;

use super::KvError;
use super::disk::Medium;

/// Bytes that a disk writes whole or not at all.
const SECTOR_BYTES: usize = 512;

/// Is a disk in memory with faults to be armed. Clones are the same disk.
#[derive(Clone, Debug)]
pub struct FaultyDisk {
    platter: Arc<Mutex<Platter>>,
}

/// Is what the engine writes through; it dies with the power.
#[derive(Debug)]
pub struct FaultyBackend {
    disk: FaultyDisk,
    power: u64,
}

#[derive(Debug)]
struct Platter {
    /// What a reader sees: the platter with the cache over it.
    live: Vec<u8>,
    /// What survives a power cut for certain.
    durable: Vec<u8>,
    pending: Vec<Pending>,
    random: SplitMix,
    /// Counts the times power came back; backends of an earlier power are dead.
    power: u64,
    on: bool,
    /// Writes, resizes and fsyncs left until the power is cut.
    cut_in: Option<u64>,
    /// Fsyncs left until one fails.
    sync_fails_in: Option<u64>,
    capacity: Option<usize>,
    lies: bool,
}

#[derive(Debug)]
enum Pending {
    Write { offset: usize, data: Vec<u8> },
    Resize(usize),
}

impl FaultyDisk {
    /// Returns an empty disk without faults.
    pub fn new(seed: u64) -> Self {
        Self {
            platter: Arc::new(Mutex::new(Platter {
                live: Vec::new(),
                durable: Vec::new(),
                pending: Vec::new(),
                random: SplitMix(seed),
                power: 0,
                on: true,
                cut_in: None,
                sync_fails_in: None,
                capacity: None,
                lies: false,
            })),
        }
    }

    /// Cuts the power after this many further writes, resizes and fsyncs.
    pub fn cut_power_in(&self, operations: u64) {
        self.lock().cut_in = Some(operations);
    }

    /// Lets one fsync fail after this many that succeed. As on Linux, what it should have
    /// written may be lost although readers still see it.
    pub fn fail_sync_in(&self, syncs: u64) {
        self.lock().sync_fails_in = Some(syncs);
    }

    /// Limits the bytes the disk holds, or lifts the limit.
    pub fn set_capacity(&self, bytes: Option<usize>) {
        self.lock().capacity = bytes;
    }

    /// Makes the disk acknowledge fsyncs without doing them, to show that the harness notices.
    pub fn lie_about_sync(&self) {
        self.lock().lies = true;
    }

    /// Returns another disk with the same content, no fault armed, and the power just restored.
    #[must_use]
    pub fn copy(&self) -> Self {
        let copy = Self::new(0);
        {
            let from = self.lock();
            let mut to = copy.lock();
            to.live.clone_from(&from.live);
            to.durable.clone_from(&from.live);
        }
        copy
    }

    /// Draws what happens to unsynced writes from another seed, as a copy has to.
    pub fn reseed(&self, seed: u64) {
        self.lock().random = SplitMix(seed);
    }

    /// Flips one bit of what readers see and of what survives.
    pub fn flip_bit(&self, byte: usize, bit: u8) {
        let mut guard = self.lock();
        let platter = &mut *guard;
        for image in [&mut platter.live, &mut platter.durable] {
            if let Some(byte) = image.get_mut(byte) {
                *byte ^= 1 << (bit % 8);
            }
        }
    }

    /// Returns what readers see.
    pub fn bytes_read(&self) -> Vec<u8> {
        self.lock().live.clone()
    }

    /// Returns the length of the disk's content in bytes.
    pub fn len(&self) -> usize {
        self.lock().live.len()
    }

    /// Says whether nothing was ever written.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Cuts the power if it is still on, settles what became of the unsynced writes, and turns
    /// the power on again with no fault armed.
    pub fn restore_power(&self) {
        let mut platter = self.lock();
        platter.settle();
        platter.power += 1;
        platter.on = true;
        platter.cut_in = None;
        platter.sync_fails_in = None;
        platter.capacity = None;
    }

    /// Lets no fault strike that was armed and has not struck.
    pub fn be_well(&self) {
        let mut platter = self.lock();
        platter.cut_in = None;
        platter.sync_fails_in = None;
        platter.capacity = None;
    }

    /// Says whether the power is on.
    pub fn has_power(&self) -> bool {
        self.lock().on
    }

    /// Names what readers see and what would survive, so that two disks can be compared.
    pub fn digest(&self) -> [u8; 32] {
        let platter = self.lock();
        let mut hasher = blake3::Hasher::new();
        hasher.update(blake3::hash(&platter.live).as_bytes());
        hasher.update(blake3::hash(&platter.durable).as_bytes());
        *hasher.finalize().as_bytes()
    }

    fn lock(&self) -> MutexGuard<'_, Platter> {
        self.platter.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Medium for FaultyDisk {
    type Backend = FaultyBackend;

    fn open(&self) -> Result<FaultyBackend, KvError> {
        let power = self.lock().power;
        Ok(FaultyBackend {
            disk: self.clone(),
            power,
        })
    }

    fn ready(&self) -> Result<(), KvError> {
        Ok(())
    }

    fn bytes(&self) -> Result<u64, KvError> {
        Ok(u64::try_from(self.len()).unwrap_or(u64::MAX))
    }
}

impl FaultyBackend {
    fn platter(&self) -> io::Result<MutexGuard<'_, Platter>> {
        let platter = self.disk.lock();
        if platter.on && platter.power == self.power {
            Ok(platter)
        } else {
            Err(io::Error::other("power is off"))
        }
    }

    /// Counts one change down to the power cut.
    fn changing(&self) -> io::Result<MutexGuard<'_, Platter>> {
        let mut platter = self.platter()?;
        if let Some(left) = platter.cut_in.as_mut() {
            if *left == 0 {
                platter.on = false;
                return Err(io::Error::other("power is off"));
            }
            *left -= 1;
        }
        Ok(platter)
    }
}

impl StorageBackend for FaultyBackend {
    fn len(&self) -> io::Result<u64> {
        u64::try_from(self.platter()?.live.len()).map_err(io::Error::other)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let platter = self.platter()?;
        let start = usize::try_from(offset).map_err(io::Error::other)?;
        let data = platter.live.get(start..start + out.len());
        out.copy_from_slice(data.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut platter = self.changing()?;
        let len = usize::try_from(len).map_err(io::Error::other)?;
        platter.fits(len)?;
        platter.live.resize(len, 0);
        platter.pending.push(Pending::Resize(len));
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut platter = self.changing()?;
        if platter.lies {
            return Ok(());
        }
        match platter.sync_fails_in {
            Some(0) => {
                platter.sync_fails_in = None;
                platter.sync_partly();
                Err(io::Error::other("fsync reported a failed write"))
            }
            Some(left) => {
                platter.sync_fails_in = Some(left - 1);
                platter.sync();
                Ok(())
            }
            None => {
                platter.sync();
                Ok(())
            }
        }
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut platter = self.changing()?;
        let offset = usize::try_from(offset).map_err(io::Error::other)?;
        platter.fits(offset + data.len())?;
        place(&mut platter.live, offset, data);
        platter.pending.push(Pending::Write {
            offset,
            data: data.to_vec(),
        });
        Ok(())
    }
}

impl Platter {
    fn fits(&self, end: usize) -> io::Result<()> {
        match self.capacity {
            Some(capacity) if end > capacity.max(self.live.len()) => {
                Err(io::ErrorKind::StorageFull.into())
            }
            _ => Ok(()),
        }
    }

    fn sync(&mut self) {
        for pending in std::mem::take(&mut self.pending) {
            match pending {
                Pending::Write { offset, data } => place(&mut self.durable, offset, &data),
                Pending::Resize(len) => self.durable.resize(len, 0),
            }
        }
    }

    /// Writes some sectors and forgets the others, as a failed fsync does.
    fn sync_partly(&mut self) {
        for pending in std::mem::take(&mut self.pending) {
            match pending {
                Pending::Write { offset, data } => {
                    for (i, sector) in data.chunks(SECTOR_BYTES).enumerate() {
                        if self.random.coin() {
                            place(&mut self.durable, offset + i * SECTOR_BYTES, sector);
                        }
                    }
                }
                Pending::Resize(len) => {
                    if self.random.coin() {
                        self.durable.resize(len, 0);
                    }
                }
            }
        }
    }

    fn settle(&mut self) {
        match self.random.below(4) {
            0 => self.pending.clear(),
            1 => self.sync(),
            // Torn is the hardest case and gets half of the cuts.
            _ => self.sync_partly(),
        }
        self.live = self.durable.clone();
    }
}

fn place(image: &mut Vec<u8>, offset: usize, data: &[u8]) {
    let end = offset + data.len();
    if image.len() < end {
        image.resize(end, 0);
    }
    if let Some(target) = image.get_mut(offset..end) {
        target.copy_from_slice(data);
    }
}
