//! Slots: small local numbers for memories, and compact sets of them.
//!
//! A slot is the local log sequence of a memory's root event. It means nothing to another node and
//! never leaves this one. [`SlotSet`] is a bitmap: filters, grants and views become one, so that a
//! search can test "may this asker see this memory" with one load and one mask.
//!
//! Invariant: the last word of a set is never zero, so equal sets are equal values.

/// The local number of a memory: the log sequence of its root event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Slot(pub u64);

const WORD_BITS: u64 = 64;

/// A set of slots as a bitmap: one bit for every slot up to the largest member.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SlotSet {
    words: Vec<u64>,
}

impl SlotSet {
    /// Returns an empty set.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a slot and returns whether it was new.
    pub fn insert(&mut self, slot: Slot) -> bool {
        let (index, mask) = place(slot);
        if index >= self.words.len() {
            self.words.resize(index + 1, 0);
        }
        let word = &mut self.words[index];
        let new = *word & mask == 0;
        *word |= mask;
        new
    }

    /// Removes a slot and returns whether it was there.
    pub fn remove(&mut self, slot: Slot) -> bool {
        let (index, mask) = place(slot);
        let Some(word) = self.words.get_mut(index) else {
            return false;
        };
        let there = *word & mask != 0;
        *word &= !mask;
        self.trim();
        there
    }

    /// Returns whether the slot is a member.
    #[inline]
    pub fn contains(&self, slot: Slot) -> bool {
        let (index, mask) = place(slot);
        self.words.get(index).is_some_and(|word| word & mask != 0)
    }

    /// Returns the number of members.
    pub fn len(&self) -> u64 {
        self.words
            .iter()
            .map(|word| u64::from(word.count_ones()))
            .sum()
    }

    /// Returns whether the set has no member.
    pub fn is_empty(&self) -> bool {
        self.words.is_empty()
    }

    /// Iterates over the members in ascending order.
    pub fn iter(&self) -> impl Iterator<Item = Slot> + '_ {
        let mut words = (0u64..).zip(&self.words);
        let (mut index, mut rest) = (0, 0);
        std::iter::from_fn(move || {
            while rest == 0 {
                let (next, word) = words.next()?;
                (index, rest) = (next, *word);
            }
            let bit = u64::from(rest.trailing_zeros());
            rest &= rest - 1;
            Some(Slot(index * WORD_BITS + bit))
        })
    }

    /// Returns the slots that are in both sets.
    #[must_use]
    pub fn intersection(&self, other: &Self) -> Self {
        let both = self
            .words
            .iter()
            .zip(&other.words)
            .map(|(left, right)| left & right);
        Self::from_words(both.collect())
    }

    /// Returns the slots that are in either set.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        let (long, short) = if self.words.len() < other.words.len() {
            (other, self)
        } else {
            (self, other)
        };
        let mut words = long.words.clone();
        for (word, extra) in words.iter_mut().zip(&short.words) {
            *word |= extra;
        }
        Self { words }
    }

    /// Returns the slots of this set that are not in the other.
    #[must_use]
    pub fn difference(&self, other: &Self) -> Self {
        let mut words = self.words.clone();
        for (word, taken) in words.iter_mut().zip(&other.words) {
            *word &= !taken;
        }
        Self::from_words(words)
    }

    fn from_words(words: Vec<u64>) -> Self {
        let mut set = Self { words };
        set.trim();
        set
    }

    /// Restores the invariant that the last word is never zero.
    fn trim(&mut self) {
        while self.words.last() == Some(&0) {
            self.words.pop();
        }
    }
}

impl FromIterator<Slot> for SlotSet {
    fn from_iter<I: IntoIterator<Item = Slot>>(iter: I) -> Self {
        let mut set = Self::new();
        set.extend(iter);
        set
    }
}

impl Extend<Slot> for SlotSet {
    fn extend<I: IntoIterator<Item = Slot>>(&mut self, iter: I) {
        for slot in iter {
            self.insert(slot);
        }
    }
}

/// Returns the index of the slot's word and its bit in that word.
#[inline]
fn place(slot: Slot) -> (usize, u64) {
    // A slot is a position in a log on this machine; one past the address space cannot exist, and
    // the saturated index is simply absent from every set.
    let index = usize::try_from(slot.0 / WORD_BITS).unwrap_or(usize::MAX);
    (index, 1 << (slot.0 % WORD_BITS))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn set(slots: &BTreeSet<u64>) -> SlotSet {
        slots.iter().copied().map(Slot).collect()
    }

    fn members(set: &SlotSet) -> Vec<u64> {
        set.iter().map(|slot| slot.0).collect()
    }

    proptest! {
        #[test]
        fn a_slot_set_behaves_as_a_sorted_set(
            left in prop::collection::btree_set(0u64..500, 0..60),
            right in prop::collection::btree_set(0u64..500, 0..60),
        ) {
            let (a, b) = (set(&left), set(&right));
            prop_assert_eq!(members(&a), left.iter().copied().collect::<Vec<_>>());
            prop_assert_eq!(a.len(), u64::try_from(left.len()).unwrap());
            prop_assert_eq!(a.is_empty(), left.is_empty());
            prop_assert_eq!(a.intersection(&b), set(&(&left & &right)));
            prop_assert_eq!(a.union(&b), set(&(&left | &right)));
            prop_assert_eq!(a.difference(&b), set(&(&left - &right)));
            for slot in 0..500 {
                prop_assert_eq!(a.contains(Slot(slot)), left.contains(&slot));
            }
            let mut rest = a;
            for slot in &right {
                prop_assert_eq!(rest.remove(Slot(*slot)), left.contains(slot));
            }
            prop_assert_eq!(rest, set(&(&left - &right)));
        }
    }

    #[test]
    fn inserting_twice_is_not_new() {
        let mut set = SlotSet::new();
        assert!(set.insert(Slot(70)));
        assert!(!set.insert(Slot(70)));
        assert!(!set.contains(Slot(6)) && !set.contains(Slot(u64::MAX)));
    }
}
