//! A cache that is bounded by what its values weigh, in whatever unit its owner counts; those that were
//! not asked for longest go first.
//!
//! Invariant: the values kept weigh no more than the most.

use std::borrow::Borrow;
use std::hash::Hash;
use std::sync::{Mutex, MutexGuard, PoisonError};

use lru::LruCache;

/// Values by their keys.
#[derive(Debug)]
pub(crate) struct Bounded<K: Hash + Eq, V> {
    most: usize,
    kept: Mutex<Kept<K, V>>,
}

#[derive(Debug)]
struct Kept<K: Hash + Eq, V> {
    values: LruCache<K, Weighed<V>>,
    weight: usize,
}

#[derive(Debug)]
struct Weighed<V> {
    value: V,
    weight: usize,
}

impl<K: Hash + Eq, V: Clone> Bounded<K, V> {
    /// Keeps nothing yet, and values that weigh so much at most.
    pub(crate) fn new(most: usize) -> Self {
        Self {
            most,
            kept: Mutex::new(Kept {
                values: LruCache::unbounded(),
                weight: 0,
            }),
        }
    }

    /// Returns a value that is kept.
    pub(crate) fn get<Q: Hash + Eq + ?Sized>(&self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
    {
        let mut kept = self.lock();
        kept.values.get(key).map(|kept| kept.value.clone())
    }

    /// Keeps a value. One that would push out most others is not kept.
    pub(crate) fn put(&self, key: K, value: V, weight: usize) {
        if weight > self.most / 2 {
            return;
        }
        let mut kept = self.lock();
        kept.weight += weight;
        let before = kept.values.put(key, Weighed { value, weight });
        kept.weight -= before.map_or(0, |before| before.weight);
        while kept.weight > self.most {
            let Some((_, least)) = kept.values.pop_lru() else {
                break;
            };
            kept.weight -= least.weight;
        }
    }

    /// Lets go of a value.
    pub(crate) fn forget<Q: Hash + Eq + ?Sized>(&self, key: &Q)
    where
        K: Borrow<Q>,
    {
        let mut kept = self.lock();
        let gone = kept.values.pop(key);
        kept.weight -= gone.map_or(0, |gone| gone.weight);
    }

    /// Returns what all of them weigh.
    #[cfg(test)]
    pub(crate) fn weight(&self) -> usize {
        self.lock().weight
    }

    fn lock(&self) -> MutexGuard<'_, Kept<K, V>> {
        // Nothing between two changes of these can panic.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_unused_goes_first_and_the_most_holds() {
        let cache: Bounded<u8, char> = Bounded::new(30);
        for key in [0, 1, 2] {
            cache.put(key, 'a', 10);
        }
        assert!(cache.get(&0).is_some());
        cache.put(3, 'a', 10);
        assert!(cache.get(&1).is_none());
        assert!(cache.get(&0).is_some());
        cache.put(4, 'a', 16);
        assert!(cache.get(&4).is_none(), "more than half of it all");
        cache.put(0, 'b', 10);
        assert_eq!((cache.weight(), cache.get(&0)), (30, Some('b')));
        cache.put(5, 'a', 15);
        assert_eq!(cache.weight(), 25, "two had to go");
        for key in 0..6 {
            cache.forget(&key);
        }
        assert_eq!(cache.weight(), 0);
    }
}
