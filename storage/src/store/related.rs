//! Related memories: the nearest in meaning to one that is there.

use super::Store;
use super::generations::Generation;
use crate::projection::vectors::VectorError;
use crate::slots::{Slot, SlotSet};

impl Store {
    /// Returns the memories nearest to one, by the cosine of their best chunk with the mean of its
    /// chunks, nearest first; without itself. None if it has no vectors, or none yet.
    pub fn related(
        &self,
        slot: Slot,
        allowed: &SlotSet,
        limit: usize,
    ) -> Result<Vec<(Slot, f32)>, VectorError> {
        // Those of the built-in model are always kept up.
        let near = self.generations.read(Generation::BuiltIn, |vectors| {
            let mean = vectors.mean(slot);
            // One more, as the nearest is itself.
            mean.map(|mean| vectors.search(&mean, Some(allowed), limit.saturating_add(1)))
        });
        let mut near = near.transpose()?.unwrap_or_default();
        near.retain(|(found, _)| *found != slot);
        near.truncate(limit);
        Ok(near)
    }
}
