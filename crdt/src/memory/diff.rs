//! A small text diff: which stretches to replace so that one text becomes another.
//!
//! Words are kept whole and everything else goes by character, so that two people who change
//! different words of a sentence both keep their change. Positions count characters.
//!
//! Method: common ends are trimmed, the middle goes through the greedy algorithm of E. Myers,
//! "An O(ND) Difference Algorithm and Its Variations", 1986. Invariant: applying the stretches to
//! the old text gives the new one; the cost is bounded by [`DISTANCE_MAX`] squared.

use std::collections::BTreeMap;

/// Differing words beyond which the middle is replaced as one stretch: a rewrite, not an edit.
const DISTANCE_MAX: usize = 400;

/// Replaces `delete` characters at `at` of the old text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Splice {
    pub(super) at: usize,
    pub(super) delete: usize,
    pub(super) insert: String,
}

/// Returns the stretches, ascending and apart.
pub(super) fn diff(old: &str, new: &str) -> Vec<Splice> {
    let (old, new) = (tokens(old), tokens(new));
    let start = common(old.iter(), new.iter());
    let (old_rest, new_rest) = (rest(&old, start), rest(&new, start));
    let end = common(old_rest.iter().rev(), new_rest.iter().rev());
    let old_middle = middle(old_rest, end);
    let new_middle = middle(new_rest, end);
    let at = old.iter().take(start).map(|token| width(token)).sum();
    let matches = matches(old_middle, new_middle).unwrap_or_default();
    splices(at, old_middle, new_middle, &matches)
}

fn tokens(text: &str) -> Vec<&str> {
    let mut tokens = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let end = if first.is_alphanumeric() {
            rest.find(|c: char| !c.is_alphanumeric())
                .unwrap_or(rest.len())
        } else {
            first.len_utf8()
        };
        let (token, after) = rest.split_at(end);
        tokens.push(token);
        rest = after;
    }
    tokens
}

fn width(token: &str) -> usize {
    token.chars().count()
}

fn common<'a>(
    one: impl Iterator<Item = &'a &'a str>,
    other: impl Iterator<Item = &'a &'a str>,
) -> usize {
    one.zip(other).take_while(|(a, b)| a == b).count()
}

fn rest<'a, 'b>(tokens: &'b [&'a str], start: usize) -> &'b [&'a str] {
    tokens.get(start..).unwrap_or(&[])
}

fn middle<'a, 'b>(tokens: &'b [&'a str], end: usize) -> &'b [&'a str] {
    tokens
        .get(..tokens.len().saturating_sub(end))
        .unwrap_or(&[])
}

/// Returns the pairs of equal tokens on a shortest path, ascending; `None` if it is too long.
fn matches(old: &[&str], new: &[&str]) -> Option<Vec<(usize, usize)>> {
    let equal = |x: usize, y: usize| old.get(x).is_some_and(|a| Some(a) == new.get(y));
    let mut furthest: BTreeMap<isize, usize> = BTreeMap::from([(1, 0)]);
    let mut trace = Vec::new();
    for distance in 0..=isize::try_from(DISTANCE_MAX).ok()? {
        trace.push(furthest.clone());
        for k in (-distance..=distance).step_by(2) {
            let mut x = step(&furthest, k, distance).1;
            let Some(mut y) = x.checked_add_signed(-k) else {
                continue;
            };
            while equal(x, y) {
                (x, y) = (x + 1, y + 1);
            }
            furthest.insert(k, x);
            if x >= old.len() && y >= new.len() {
                return backtrack(&trace, old.len(), new.len());
            }
        }
    }
    None
}

/// Returns the diagonal that a path comes from, and how far it has then reached on diagonal `k`.
fn step(furthest: &BTreeMap<isize, usize>, k: isize, distance: isize) -> (isize, usize) {
    let (down, right) = (furthest.get(&(k + 1)), furthest.get(&(k - 1)));
    match (down, right) {
        (Some(&down), Some(&right)) if k == -distance || (k != distance && right < down) => {
            (k + 1, down)
        }
        (_, Some(&right)) if k != -distance => (k - 1, right + 1),
        (Some(&down), _) => (k + 1, down),
        _ => (k + 1, 0),
    }
}

fn backtrack(
    trace: &[BTreeMap<isize, usize>],
    mut x: usize,
    mut y: usize,
) -> Option<Vec<(usize, usize)>> {
    let mut pairs = Vec::new();
    for (distance, furthest) in trace.iter().enumerate().rev() {
        let k = isize::try_from(x).ok()? - isize::try_from(y).ok()?;
        let distance = isize::try_from(distance).ok()?;
        let (from, reached) = step(furthest, k, distance);
        let snake_start = reached;
        while x > snake_start && y > 0 {
            (x, y) = (x - 1, y - 1);
            pairs.push((x, y));
        }
        if distance > 0 {
            x = *furthest.get(&from)?;
            y = x.checked_add_signed(-from)?;
        }
    }
    pairs.reverse();
    Some(pairs)
}

fn splices(start: usize, old: &[&str], new: &[&str], matches: &[(usize, usize)]) -> Vec<Splice> {
    let mut found = Vec::new();
    let (mut at, mut x, mut y) = (start, 0, 0);
    let ends = (old.len(), new.len());
    for &(match_x, match_y) in matches.iter().chain([&ends]) {
        let deleted: usize = old
            .get(x..match_x)
            .unwrap_or(&[])
            .iter()
            .map(|token| width(token))
            .sum();
        let insert = new.get(y..match_y).unwrap_or(&[]).concat();
        if deleted > 0 || !insert.is_empty() {
            found.push(Splice {
                at,
                delete: deleted,
                insert,
            });
        }
        let kept = old.get(match_x).map_or(0, |token| width(token));
        at += deleted + kept;
        (x, y) = (match_x + 1, match_y + 1);
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn apply(old: &str, splices: &[Splice]) -> String {
        let mut text: Vec<char> = old.chars().collect();
        for splice in splices.iter().rev() {
            text.splice(splice.at..splice.at + splice.delete, splice.insert.chars());
        }
        text.into_iter().collect()
    }

    #[test]
    fn only_the_changed_words_are_touched() {
        let found = diff("the quick brown fox", "the slow brown cat");
        let touched: Vec<_> = found
            .iter()
            .map(|s| (s.at, s.delete, s.insert.as_str()))
            .collect();
        assert_eq!(touched, [(4, 5, "slow"), (16, 3, "cat")]);
        assert_eq!(diff("same", "same"), []);
    }

    #[test]
    fn a_rewrite_of_a_full_body_is_one_stretch() {
        let old = "a b ".repeat(65_536);
        let new = "c;d;".repeat(65_536);
        let found = diff(&old, &new);
        assert_eq!(found.len(), 1);
        assert_eq!(apply(&old, &found), new);
    }

    proptest! {
        #[test]
        fn applying_the_stretches_gives_the_new_text(
            old in "[ab .é\u{1F600}]{0,60}",
            new in "[ab .é\u{1F600}]{0,60}",
        ) {
            prop_assert_eq!(apply(&old, &diff(&old, &new)), new);
        }
    }
}
