//! The documents of words that were asked for: those with the word or another form of it, once more.
//!
//! People ask for the same words again: with every key they press, and the frequent ones in most
//! queries. To find a frequent word anew takes longer than all else that a search by words does.
//! A segment never changes but for documents that are deleted, so a list holds until there is another
//! deletion. Lists are of all documents; a narrower view takes those out that it shows.
//!
//! It is not about longer or mistyped words: whether those count depends on the view.

use std::sync::Arc;

use super::sheet::List;
use crate::bounded::Bounded;

/// How many documents of lists are kept for each document of a segment, at twelve bytes.
const SHARE_MAX: usize = 16;
/// The most for a segment: 24 MB.
const DOCUMENTS_MAX: usize = 1 << 21;
/// What a word takes beside its documents, in documents.
const WORD_SHARE: usize = 16;

/// Lists of a segment, the last ones asked for; weighed in documents.
#[derive(Debug)]
pub(super) struct Known(Bounded<Box<str>, Recalled>);

/// A list, and how many documents of the segment were deleted when it was made.
type Recalled = (u32, Arc<List>);

impl Known {
    /// Keeps lists of a segment of so many documents.
    pub(super) fn new(documents: usize) -> Self {
        Self(Bounded::new((SHARE_MAX * documents).min(DOCUMENTS_MAX)))
    }

    /// Returns the list of a word, and how many documents were deleted when it was made.
    pub(super) fn of(&self, word: &str) -> Option<Recalled> {
        self.0.get(word)
    }

    /// Keeps the list of a word, unless it alone would take most of the room.
    pub(super) fn put(&self, word: &str, deleted: u32, list: &Arc<List>) {
        let list_then = (deleted, Arc::clone(list));
        self.0.put(word.into(), list_then, share(list));
    }
}

fn share(list: &List) -> usize {
    list.found.len() + WORD_SHARE
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::projection::text::MatchKind;
    use crate::projection::text::sheet::Found;

    fn list(documents: u32) -> Arc<List> {
        let found = (0..documents).map(|doc| Found {
            doc,
            weight: 1.0,
            kind: MatchKind::Exact,
            length: 1,
        });
        Arc::new(List::of(found.collect()))
    }

    #[test]
    fn the_last_ones_are_kept_within_bounds() {
        let known = Known::new(50);
        for (word, documents) in [("a", 200), ("b", 200), ("a", 210), ("c", 300), ("d", 500)] {
            known.put(word, 0, &list(documents));
            assert!(known.0.weight() <= 800);
        }
        // A list that takes more than half of the room is not kept.
        let has = ["a", "b", "c", "d"].map(|word| known.of(word).is_some());
        assert_eq!(has, [true, true, true, false]);
        known.put("e", 3, &list(90));
        assert!(known.of("a").is_none(), "it was used before the others");
        assert_eq!(known.of("e").unwrap().0, 3);
    }
}
