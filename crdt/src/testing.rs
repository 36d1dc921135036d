//! Entropy for tests and simulations: a seed in, the same bytes out every time.
//!
//! Not for keys that matter.

use rand_core::{TryCryptoRng, TryRng};

/// A reproducible stream of bytes: BLAKE3 in counter mode over a seed.
#[derive(Debug)]
pub struct Entropy(blake3::OutputReader);

impl Entropy {
    /// Starts the stream of a seed.
    pub fn new(seed: u64) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key("second-brain 2026 v1 test entropy");
        hasher.update(&seed.to_le_bytes());
        Self(hasher.finalize_xof())
    }
    /// Fills bytes.
    pub fn fill(&mut self, bytes: &mut [u8]) {
        self.0.fill(bytes);
    }
    /// Returns a number below `end`, or 0 if `end` is 0.
    pub fn below(&mut self, end: u64) -> u64 {
        let mut bytes = [0; 8];
        self.0.fill(&mut bytes);
        u64::from_le_bytes(bytes).checked_rem(end).unwrap_or(0)
    }
}

impl TryRng for Entropy {
    type Error = std::convert::Infallible;
    fn try_next_u32(&mut self) -> Result<u32, Self::Error> {
        let mut bytes = [0; 4];
        self.0.fill(&mut bytes);
        Ok(u32::from_le_bytes(bytes))
    }
    fn try_next_u64(&mut self) -> Result<u64, Self::Error> {
        let mut bytes = [0; 8];
        self.0.fill(&mut bytes);
        Ok(u64::from_le_bytes(bytes))
    }
    fn try_fill_bytes(&mut self, dst: &mut [u8]) -> Result<(), Self::Error> {
        self.0.fill(dst);
        Ok(())
    }
}

impl TryCryptoRng for Entropy {}
