//! Near-duplicates: texts that have most of their runs of three words in common.
//!
//! ```text
//! text -> hashes of its runs of words -> the smallest: its sketch
//! sketches, in order -> the first groups one of whose smallest hashes is also theirs -> compared
//! ```
//!
//! How alike two texts are is the part of their runs that both have (Jaccard), told from the smallest
//! hashes of both (Broder, "On the resemblance and containment of documents", 1997): exact for texts of
//! up to [`SKETCH_RUNS`] runs, within some 4 % beyond.
//!
//! A group is what is like its first member; so it does not drift from one text to another.

use crate::projection::text::words;
use std::collections::{BTreeSet, HashMap};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

/// The part of their runs that two near-duplicates have in common, at least.
pub const LIKENESS_MIN: f32 = 0.8;
/// Hashes that a sketch keeps.
pub const SKETCH_RUNS: usize = 128;

/// Words of a run.
const RUN_WORDS: usize = 3;
/// Hashes under which a group is found. Of two texts that are alike, all of these are foreign to the
/// other in one of 0.2^8 cases.
const KEYS: usize = 8;
/// Groups that are looked at under one hash: a run that everybody has, such as a licence, is no sign.
const GROUPS_PER_KEY_MAX: usize = 64;

/// The smallest hashes of a text's runs of words, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sketch(Vec<u64>);

impl Sketch {
    /// Reads a text. Case, accents and marks between words make no difference.
    pub fn of(text: &str) -> Self {
        let words: Vec<String> = words(text).into_iter().map(|word| word.exact).collect();
        let mut hashes = BTreeSet::new();
        let runs = words.windows(RUN_WORDS.min(words.len()).max(1));
        for run in runs {
            let mut hasher = DefaultHasher::new();
            run.hash(&mut hasher);
            hashes.insert(hasher.finish());
            if hashes.len() > SKETCH_RUNS {
                hashes.pop_last();
            }
        }
        Self(hashes.into_iter().collect())
    }

    /// Returns the part of the runs of both that both have, 0 to 1. A text without words is like none.
    pub fn likeness(&self, other: &Self) -> f32 {
        let all: BTreeSet<u64> = self.0.iter().chain(&other.0).copied().collect();
        let (mut seen, mut common) = (0_u16, 0_u16);
        for hash in all.into_iter().take(SKETCH_RUNS) {
            let is_common = [self, other]
                .iter()
                .all(|sketch| sketch.0.binary_search(&hash).is_ok());
            seen += 1;
            common += u16::from(is_common);
        }
        if seen == 0 {
            0.0
        } else {
            f32::from(common) / f32::from(seen)
        }
    }
}

/// Texts by what they are like. `T` names a text.
#[derive(Debug)]
pub struct Groups<T> {
    groups: Vec<Group<T>>,
    by_key: HashMap<u64, Vec<usize>>,
}

#[derive(Debug)]
struct Group<T> {
    sketch: Sketch,
    /// Each with how much it is like the first.
    members: Vec<(T, f32)>,
}

impl<T> Default for Groups<T> {
    fn default() -> Self {
        Self {
            groups: Vec::new(),
            by_key: HashMap::new(),
        }
    }
}

impl<T> Groups<T> {
    /// Puts a text into the group that it is most like, or begins one with it.
    pub fn add(&mut self, name: T, sketch: Sketch) {
        if sketch.0.is_empty() {
            return;
        }
        let keys = sketch.0.iter().take(KEYS);
        let candidates: BTreeSet<usize> = keys
            .clone()
            .filter_map(|key| self.by_key.get(key))
            .flatten()
            .copied()
            .collect();
        let compared = candidates.into_iter().filter_map(|place| {
            let group = self.groups.get(place)?;
            Some((place, group.sketch.likeness(&sketch)))
        });
        // Of equals the first, which is the older one.
        let best = compared.fold(None, |best: Option<(usize, f32)>, found| match best {
            Some(best) if best.1 >= found.1 => Some(best),
            _ => Some(found),
        });
        if let Some((place, likeness)) = best.filter(|best| best.1 >= LIKENESS_MIN) {
            if let Some(group) = self.groups.get_mut(place) {
                group.members.push((name, likeness));
            }
            return;
        }
        for key in keys {
            let groups = self.by_key.entry(*key).or_default();
            if groups.len() < GROUPS_PER_KEY_MAX {
                groups.push(self.groups.len());
            }
        }
        self.groups.push(Group {
            sketch,
            members: vec![(name, 1.0)],
        });
    }

    /// Returns the groups with more than one member, the largest first.
    pub fn into_groups(self) -> Vec<Vec<(T, f32)>> {
        let all = self.groups.into_iter().map(|group| group.members);
        let mut several: Vec<_> = all.filter(|members| members.len() > 1).collect();
        several.sort_by_key(|members| std::cmp::Reverse(members.len()));
        several
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(from: usize, words: usize) -> String {
        let words: Vec<String> = (from..from + words)
            .map(|word| format!("w{word}"))
            .collect();
        words.join(" ")
    }

    fn groups(texts: &[String]) -> Vec<Vec<usize>> {
        let mut groups = Groups::default();
        for (name, text) in texts.iter().enumerate() {
            groups.add(name, Sketch::of(text));
        }
        let groups = groups.into_groups().into_iter();
        let names = |group: Vec<(usize, f32)>| group.into_iter().map(|(name, _)| name).collect();
        groups.map(names).collect()
    }

    #[test]
    fn likeness_is_the_part_of_runs_that_both_have() {
        // 100 and 100 runs, of which 90 are in both, and 110 in all.
        let (a, b) = (Sketch::of(&text(0, 102)), Sketch::of(&text(10, 102)));
        assert!((a.likeness(&b) - 90.0 / 110.0).abs() < 0.02);
        assert!((a.likeness(&a) - 1.0).abs() < f32::EPSILON);
        assert!(a.likeness(&Sketch::of(&text(500, 102))) == 0.0);
        let empty = Sketch::of("");
        assert!(empty.likeness(&empty) == 0.0);
    }

    #[test]
    fn long_texts_are_told_within_some_percent() {
        // 5,000 runs each; the rest follows from how far the second begins behind the first.
        for (shift, expected) in [(250, 0.905), (1_000, 0.667), (4_000, 0.111)] {
            let (a, b) = (Sketch::of(&text(0, 5_002)), Sketch::of(&text(shift, 5_002)));
            let found = a.likeness(&b);
            assert!((found - expected).abs() < 0.12, "{found} for {expected}");
        }
    }

    #[test]
    fn what_is_like_the_first_is_grouped_and_nothing_else() {
        let mut changed = text(0, 100);
        changed = changed.replace("w50 ", "another ");
        let texts = [
            text(0, 100),
            text(1_000, 100),
            changed,
            text(0, 100).to_uppercase().replace(' ', ", "),
            String::new(),
            String::new(),
            "two words".to_owned(),
            "two words!".to_owned(),
        ];
        assert_eq!(groups(&texts), [vec![0, 2, 3], vec![6, 7]]);
    }

    #[test]
    fn every_pair_of_many_is_found_although_all_share_a_preamble() {
        let preamble = text(100_000, 20);
        let mut texts: Vec<String> = (0..300)
            .map(|number| format!("{preamble} {}", text(number * 200, 150)))
            .collect();
        let copies: Vec<String> = texts.iter().map(|text| format!("{text} end")).collect();
        texts.extend(copies);
        let found = groups(&texts);
        assert_eq!(found.len(), 300);
        for group in found {
            assert!(matches!(group.as_slice(), [first, second] if second - first == 300));
        }
    }
}
