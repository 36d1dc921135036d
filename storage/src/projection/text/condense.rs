//! Merging what many commits left, while nobody writes.
//!
//! Every part of the index has a dictionary of its own, and a search walks all of them; the engine
//! itself merges only once there are eight of about a size. Merging costs as much as writing the
//! documents again, so a large part is left alone until what came after it is a fair part of it.

use std::pin::pin;
use std::task::{Context, Waker};
use std::time::Duration;

use tantivy::index::SegmentId;

use super::{TextError, TextIndex};

/// A part is merged with smaller ones once these have together one document for so many of its own.
const LEFT_ALONE: u64 = 5;
/// How often is looked whether a merge is done.
const LOOK: Duration = Duration::from_millis(20);

impl TextIndex {
    /// Merges parts of the index where that makes searches faster; returns whether it did. To be
    /// called while nobody writes: it does nothing if something is not durable yet. It may take a
    /// minute for a million documents; once `is_enough` says so, it is not waited for any more.
    pub fn condense(&self, is_enough: &dyn Fn() -> bool) -> Result<bool, TextError> {
        let mut writer = self.lock();
        if !self.is_kept() {
            return Ok(false);
        }
        let searcher = self.reader.searcher();
        let parts = searcher.segment_readers().iter();
        let parts = parts.map(|part| (part.segment_id(), u64::from(part.num_docs())));
        let merged = to_merge(parts.collect());
        if merged.is_empty() {
            return Ok(false);
        }
        let mut merging = pin!(writer.engine.merge(&merged));
        drop(writer);
        let mut looking = Context::from_waker(Waker::noop());
        while merging.as_mut().poll(&mut looking)?.is_pending() {
            if is_enough() {
                return Ok(false);
            }
            std::thread::sleep(LOOK);
        }
        // Nobody commits meanwhile: what came since the last commit is to be seen once.
        let writer = self.lock();
        self.reader.reload()?;
        self.shown().searcher = self.reader.searcher();
        drop(writer);
        self.directory.save()?;
        Ok(true)
    }
}

/// Returns which parts to merge, given how many documents each has.
fn to_merge(mut parts: Vec<(SegmentId, u64)>) -> Vec<SegmentId> {
    parts.sort_by_key(|(id, documents)| (std::cmp::Reverse(*documents), *id));
    let mut smaller: u64 = parts.iter().map(|(_, documents)| documents).sum();
    let alone = parts.iter().take_while(|(_, documents)| {
        smaller -= documents;
        smaller * LEFT_ALONE < *documents
    });
    let alone = alone.count();
    let merged: Vec<SegmentId> = parts.iter().skip(alone).map(|(id, _)| *id).collect();
    if merged.len() < 2 { Vec::new() } else { merged }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_large_part_is_left_alone_until_much_came_after_it() {
        let check = |documents: &[u64], expect: usize| {
            let parts = documents
                .iter()
                .map(|count| (SegmentId::generate_random(), *count));
            assert_eq!(to_merge(parts.collect()).len(), expect, "{documents:?}");
        };
        check(&[], 0);
        check(&[100], 0);
        check(&[100, 30], 2);
        check(&[100, 19], 0);
        check(&[1, 100, 18], 0);
        check(&[1, 100, 1, 1, 1], 4);
        check(&[25_000, 25_000, 22_000, 12_000, 700], 5);
        check(&[0, 0], 2);
    }
}
