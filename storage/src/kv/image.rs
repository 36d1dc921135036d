//! A file in memory whose bytes can be altered, cheaply again and again: what is written since lies
//! over what it began with, and reads can be noted.

use std::collections::BTreeMap;
use std::io;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use redb::StorageBackend;

use super::KvError;
use super::disk::Medium;

const BLOCK_BYTES: usize = 4_096;

/// What a file holds, with what was altered and written since laid over it.
#[derive(Clone, Debug)]
pub(crate) struct Image {
    base: Arc<Vec<u8>>,
    over: Arc<Mutex<Over>>,
}

#[derive(Debug, Default)]
struct Over {
    blocks: BTreeMap<usize, Vec<u8>>,
    len: usize,
    /// Which bytes of the base were read, if anybody wants to know.
    read: Option<Vec<bool>>,
}

impl Image {
    /// Returns it with nothing laid over it.
    pub(crate) fn new(base: &Arc<Vec<u8>>) -> Self {
        let over = Over {
            len: base.len(),
            ..Over::default()
        };
        Self {
            base: Arc::clone(base),
            over: Arc::new(Mutex::new(over)),
        }
    }
    /// Begins to note which bytes are read.
    pub(crate) fn note_reads(&self) {
        self.over().read = Some(vec![false; self.base.len()]);
    }
    /// Returns which bytes were read since.
    pub(crate) fn reads(&self) -> Vec<bool> {
        self.over().read.take().unwrap_or_default()
    }
    fn over(&self) -> MutexGuard<'_, Over> {
        self.over.lock().unwrap_or_else(PoisonError::into_inner)
    }
    /// Alters one byte.
    pub(crate) fn alter(&self, at: usize, mask: u8) {
        let byte = self.base[at] ^ mask;
        self.write(u64::try_from(at).unwrap(), &[byte]).unwrap();
    }
    /// Calls `visit` with each block that a range touches, and which part of it and of the range.
    fn blocks(from: usize, len: usize, mut visit: impl FnMut(usize, usize, Range<usize>)) {
        let mut at = 0;
        while at < len {
            let (block, start) = ((from + at) / BLOCK_BYTES, (from + at) % BLOCK_BYTES);
            let end = len.min(at + BLOCK_BYTES - start);
            visit(block, start, at..end);
            at = end;
        }
    }
    /// The bytes of a block as they are below what was laid over them.
    fn below(&self, block: usize) -> Vec<u8> {
        let from = (block * BLOCK_BYTES).min(self.base.len());
        let to = (from + BLOCK_BYTES).min(self.base.len());
        let mut bytes = self.base[from..to].to_vec();
        bytes.resize(BLOCK_BYTES, 0);
        bytes
    }
}

impl Medium for Image {
    type Backend = Self;
    fn open(&self) -> Result<Self, KvError> {
        Ok(self.clone())
    }
    fn ready(&self) -> Result<(), KvError> {
        Ok(())
    }
    fn bytes(&self) -> Result<u64, KvError> {
        Ok(u64::try_from(self.over().len).unwrap())
    }
}

impl StorageBackend for Image {
    fn len(&self) -> io::Result<u64> {
        u64::try_from(self.over().len).map_err(io::Error::other)
    }
    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let from = usize::try_from(offset).map_err(io::Error::other)?;
        let mut over = self.over();
        if from.checked_add(out.len()).is_none_or(|end| end > over.len) {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if let Some(read) = &mut over.read {
            let to = (from + out.len()).min(read.len());
            read[from.min(to)..to].fill(true);
        }
        Self::blocks(from, out.len(), |block, start, part| {
            let end = start + part.len();
            if let Some(bytes) = over.blocks.get(&block) {
                out[part].copy_from_slice(&bytes[start..end]);
                return;
            }
            let at = block * BLOCK_BYTES + start;
            let known = self.base.get(at..(at + part.len()).min(self.base.len()));
            let known = known.unwrap_or_default();
            let out = &mut out[part];
            out.fill(0);
            out[..known.len()].copy_from_slice(known);
        });
        Ok(())
    }
    fn set_len(&self, len: u64) -> io::Result<()> {
        self.over().len = usize::try_from(len).map_err(io::Error::other)?;
        Ok(())
    }
    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }
    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let from = usize::try_from(offset).map_err(io::Error::other)?;
        let mut over = self.over();
        over.len = over.len.max(from + data.len());
        Self::blocks(from, data.len(), |block, start, part| {
            let bytes = over
                .blocks
                .entry(block)
                .or_insert_with(|| self.below(block));
            bytes[start..start + part.len()].copy_from_slice(&data[part]);
        });
        Ok(())
    }
}
