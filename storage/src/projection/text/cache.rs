//! Opened parts of sealed files, so that what is read often is opened once.
//!
//! Invariant: the parts kept here take at most the limit; the longest unused goes first.

use std::num::NonZeroUsize;
use std::sync::{Mutex, PoisonError};

use lru::LruCache;
use tantivy::directory::OwnedBytes;

/// A part of a file: which file, from where, to where.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Part {
    pub(super) file: u64,
    pub(super) start: usize,
    pub(super) end: usize,
}

/// A bounded cache of parts.
#[derive(Debug)]
pub(super) struct Cache {
    limit: NonZeroUsize,
    kept: Mutex<Kept>,
}

#[derive(Debug)]
struct Kept {
    parts: LruCache<Part, OwnedBytes>,
    bytes: usize,
}

impl Cache {
    /// Makes an empty cache that keeps at most so many bytes.
    pub(super) fn new(limit: NonZeroUsize) -> Self {
        let kept = Kept {
            parts: LruCache::unbounded(),
            bytes: 0,
        };
        Self {
            limit,
            kept: Mutex::new(kept),
        }
    }

    /// Returns a part that is kept.
    pub(super) fn get(&self, part: Part) -> Option<OwnedBytes> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.parts.get(&part).cloned()
    }

    /// Keeps a part. One that would push out most others is not kept.
    pub(super) fn keep(&self, part: Part, bytes: OwnedBytes) {
        if bytes.len() > self.limit.get() / 2 {
            return;
        }
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.bytes += bytes.len();
        if let Some((_, replaced)) = kept.parts.push(part, bytes) {
            kept.bytes -= replaced.len();
        }
        while kept.bytes > self.limit.get() {
            let Some((_, dropped)) = kept.parts.pop_lru() else {
                return;
            };
            kept.bytes -= dropped.len();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(start: usize) -> Part {
        Part {
            file: 1,
            start,
            end: start + 10,
        }
    }

    #[test]
    fn the_longest_unused_goes_first_and_the_limit_holds() {
        let cache = Cache::new(NonZeroUsize::new(30).unwrap());
        for start in [0, 10, 20] {
            cache.keep(part(start), OwnedBytes::new(vec![1; 10]));
        }
        assert!(cache.get(part(0)).is_some());
        cache.keep(part(30), OwnedBytes::new(vec![1; 10]));
        assert!(cache.get(part(10)).is_none());
        assert!(cache.get(part(0)).is_some());
        cache.keep(part(40), OwnedBytes::new(vec![1; 16]));
        assert!(cache.get(part(40)).is_none(), "more than half of it all");
        cache.keep(part(0), OwnedBytes::new(vec![2; 10]));
        assert_eq!(cache.kept.lock().unwrap().bytes, 30);
    }
}
