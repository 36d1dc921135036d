//! Where random bytes come from: the system, or a source that a simulator controls.
//!
//! Start at [`Entropy`]. A node draws from [`Entropy::system`]; a simulator gives each node a
//! source of its own, so that a run can be repeated byte for byte. There is no global source.

use rand_core::{TryCryptoRng, TryRng, UnwrapErr};
use std::fmt;
use std::io;
use std::sync::Arc;

/// Is where random bytes come from.
pub trait Source: Send + Sync + fmt::Debug {
    /// Fills bytes; an error means that there is no randomness now.
    fn fill(&self, bytes: &mut [u8]) -> io::Result<()>;
}

/// Draws from a source. Clones draw from the same one.
#[derive(Clone, Debug)]
pub struct Entropy(Arc<dyn Source>);

/// The operating system.
#[derive(Debug)]
struct System;

impl Source for System {
    fn fill(&self, bytes: &mut [u8]) -> io::Result<()> {
        getrandom::fill(bytes).map_err(io::Error::other)
    }
}

impl Entropy {
    /// Draws from the operating system.
    pub fn system() -> Self {
        Self(Arc::new(System))
    }
    /// Draws from a given source.
    pub fn from_source(source: Arc<dyn Source>) -> Self {
        Self(source)
    }
    /// Fills bytes.
    pub fn fill(&self, bytes: &mut [u8]) -> io::Result<()> {
        self.0.fill(bytes)
    }
    /// Returns a generator for keys; it panics when there is no randomness, for then no key may
    /// be made.
    pub(crate) fn rng(&self) -> UnwrapErr<Self> {
        UnwrapErr(self.clone())
    }
}

impl TryRng for Entropy {
    type Error = io::Error;
    fn try_next_u32(&mut self) -> io::Result<u32> {
        let mut bytes = [0; 4];
        self.fill(&mut bytes)?;
        Ok(u32::from_le_bytes(bytes))
    }
    fn try_next_u64(&mut self) -> io::Result<u64> {
        let mut bytes = [0; 8];
        self.fill(&mut bytes)?;
        Ok(u64::from_le_bytes(bytes))
    }
    fn try_fill_bytes(&mut self, dst: &mut [u8]) -> io::Result<()> {
        self.fill(dst)
    }
}

impl TryCryptoRng for Entropy {}
