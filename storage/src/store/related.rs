//! Related memories: the nearest in meaning to one that is there.

use super::Store;
use crate::projection::vectors::VectorError;
use crate::slots::{Slot, SlotSet};
use std::sync::PoisonError;

impl Store {
    /// Returns the memories nearest to one, by the cosine of their best chunk with the mean of its
    /// chunks, nearest first; without itself. None if it has no vectors, or none yet.
    pub fn related(
        &self,
        slot: Slot,
        allowed: &SlotSet,
        limit: usize,
    ) -> Result<Vec<(Slot, f32)>, VectorError> {
        let vectors = self.vectors.read().unwrap_or_else(PoisonError::into_inner);
        let Some(mean) = vectors.mean(slot) else {
            return Ok(Vec::new());
        };
        // One more, as the nearest is itself.
        let mut near = vectors.search(&mean, Some(allowed), limit.saturating_add(1))?;
        near.retain(|(found, _)| *found != slot);
        near.truncate(limit);
        Ok(near)
    }
}
