//! What a person asked for: free words, quoted phrases, prefixes.
//!
//! There are no syntax errors: what has no meaning as syntax (a lone quote, a star in the middle) is
//! separators between words. Nothing here knows the index; [`super::plan`] turns this into a query.
//!
//! Invariant: a query holds at most [`QUERY_TERMS_MAX`] words, phrases counted by their words.

use super::analysis::{Word, words};

/// The characters of a query that are read; the rest is ignored.
pub const QUERY_CHARS_MAX: usize = 4096;

/// The words of a query that are searched, the first ones; each costs several index lookups.
pub const QUERY_TERMS_MAX: usize = 32;

/// The characters the last word needs before it is also tried as the beginning of a longer word.
const PREFIX_CHARS_MIN: usize = 3;

/// Words too frequent to say anything, left out when a query has others.
const STOP_WORDS: [&str; 52] = [
    "a", "about", "an", "and", "are", "as", "at", "be", "been", "but", "by", "did", "do", "does",
    "for", "from", "had", "has", "have", "how", "i", "if", "in", "into", "is", "it", "its", "me",
    "my", "of", "on", "or", "so", "that", "the", "their", "then", "there", "these", "they", "this",
    "to", "was", "were", "what", "when", "where", "which", "who", "why", "will", "with",
];

/// A parsed query.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TextQuery {
    pub(super) units: Vec<Unit>,
}

/// One thing a document should contain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Unit {
    /// A word in any form; with `prefix` also longer words that begin with it.
    Word { word: Word, prefix: bool },
    /// Words that must follow each other, in exact form.
    Quoted(Vec<String>),
    /// The parts of one written word (`foo-bar`): better together, searched as words as well.
    Joined(Vec<String>),
}

impl TextQuery {
    /// Reads any text as a query; the last word may be one that is still being typed.
    pub fn parse(text: &str) -> Self {
        Self::read(text, true)
    }

    /// Reads any text as a query of whole words, as for a finished question.
    pub fn parse_whole_words(text: &str) -> Self {
        Self::read(text, false)
    }

    /// Returns whether there is nothing to search for.
    pub fn is_empty(&self) -> bool {
        self.units.is_empty()
    }

    fn read(text: &str, typing: bool) -> Self {
        let text: String = text.chars().take(QUERY_CHARS_MAX).collect();
        let mut reader = Reader {
            units: Vec::new(),
            room: QUERY_TERMS_MAX,
        };
        let parts: Vec<&str> = text
            .split(['"', '\u{201c}', '\u{201d}', '\u{201e}'])
            .collect();
        let last = parts.len() - 1;
        for (index, part) in parts.into_iter().enumerate() {
            // Every second part stands between two quotes, except after a quote never closed.
            if index % 2 == 1 && index != last {
                reader.phrase(part);
            } else {
                let open = typing && index == last && part.ends_with(char::is_alphanumeric);
                reader.free(part, open);
            }
        }
        let mut units = reader.units;
        drop_stop_words(&mut units);
        Self { units }
    }
}

struct Reader {
    units: Vec<Unit>,
    room: usize,
}

impl Reader {
    fn phrase(&mut self, text: &str) {
        let mut phrase: Vec<String> = words(text).into_iter().map(|word| word.exact).collect();
        phrase.truncate(self.room);
        self.room -= phrase.len();
        if !phrase.is_empty() {
            self.units.push(Unit::Quoted(phrase));
        }
    }

    fn free(&mut self, text: &str, open: bool) {
        let mut chunks = text.split_whitespace().peekable();
        while let Some(chunk) = chunks.next() {
            let open = open && chunks.peek().is_none();
            let mut parts = words(chunk);
            parts.truncate(self.room);
            self.room -= parts.len();
            if parts.len() > 1 {
                let exact = parts.iter().map(|word| word.exact.clone()).collect();
                self.units.push(Unit::Joined(exact));
            }
            let count = parts.len();
            for (index, word) in parts.into_iter().enumerate() {
                let long = word.exact.chars().count() >= PREFIX_CHARS_MIN;
                let prefix = index + 1 == count && (chunk.ends_with('*') || (open && long));
                self.word(word, prefix);
            }
        }
    }

    fn word(&mut self, word: Word, prefix: bool) {
        for unit in &mut self.units {
            if let Unit::Word {
                word: known,
                prefix: known_prefix,
            } = unit
                && known.exact == word.exact
            {
                *known_prefix |= prefix;
                return;
            }
        }
        self.units.push(Unit::Word { word, prefix });
    }
}

fn drop_stop_words(units: &mut Vec<Unit>) {
    let is_stop = |unit: &Unit| matches!(unit, Unit::Word { word, .. } if STOP_WORDS.contains(&word.exact.as_str()));
    if units.iter().any(|unit| !is_stop(unit)) {
        units.retain(|unit| !is_stop(unit));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn show(query: &TextQuery) -> String {
        let units = query.units.iter().map(|unit| match unit {
            Unit::Word { word, prefix } => {
                format!("{}{}", word.exact, if *prefix { "*" } else { "" })
            }
            Unit::Quoted(words) => format!("\"{}\"", words.join(" ")),
            Unit::Joined(words) => words.join("-"),
        });
        units.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn any_text_is_a_query() {
        fn check(text: &str, expect: &str) {
            assert_eq!(show(&TextQuery::parse(text)), expect, "{text:?}");
        }
        check("Sourdough hydration", "sourdough hydration*");
        check("sourdough hydration ", "sourdough hydration");
        check("sour* \"a quoted Phrase\" x", "sour* \"a quoted phrase\" x");
        check("never \"closed here", "never closed here*");
        check("what is the recipe?", "recipe");
        check("what is the", "what is the*");
        check("ERR_42", "err-42 err 42");
        check("dog dog Dog", "dog*");
        check("\"\" * ( ) AND: ^~ \\", "and");
        check("\"\" * ( ) : ^~ \\", "");
        check("", "");
    }

    proptest! {
        #[test]
        fn a_query_is_bounded(text in ".{0,600}") {
            let query = TextQuery::parse(&text);
            let count = |unit: &Unit| match unit {
                Unit::Word { .. } => 1,
                Unit::Quoted(words) => words.len(),
                Unit::Joined(_) => 0,
            };
            prop_assert!(query.units.iter().map(count).sum::<usize>() <= QUERY_TERMS_MAX);
        }
    }
}
