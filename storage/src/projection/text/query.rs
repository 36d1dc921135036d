//! What a person asked for: free words, quoted phrases, prefixes.
//!
//! There are no syntax errors: what has no meaning as syntax (a lone quote, a star in the middle) is
//! separators between words. Nothing here knows the index; [`super::plan`] turns this into a query.
//!
//! Invariant: a query holds at most [`QUERY_TERMS_MAX`] words, phrases counted by their words.

use super::analysis::{Word, words};
use super::language;

/// The characters of a query that are read; the rest is ignored.
pub const QUERY_CHARS_MAX: usize = 4096;

/// The words of a query that are searched, the first ones; each costs several index lookups.
pub const QUERY_TERMS_MAX: usize = 32;

/// The characters the last word needs before it is also tried as the beginning of a longer word.
const PREFIX_CHARS_MIN: usize = 3;

/// A parsed query.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TextQuery {
    pub(super) units: Vec<Unit>,
}

/// One thing a document should contain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Unit {
    /// A word in any form; with `prefix` also longer words that begin with it.
    Word { word: String, prefix: bool },
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
            self.once(Unit::Quoted(phrase));
        }
    }

    fn free(&mut self, text: &str, open: bool) {
        let mut chunks = text.split_whitespace().peekable();
        while let Some(chunk) = chunks.next() {
            let open = open && chunks.peek().is_none();
            let mut parts = words(chunk);
            parts.truncate(self.room);
            self.room -= parts.len();
            let joins = |left: &Word, right: &Word| {
                let follow = left.range.end == right.range.start;
                match (left.is_character, right.is_character) {
                    (true, true) => follow,
                    (left, right) => !left && !right,
                }
            };
            let mut left = parts.len();
            for run in parts.chunk_by(joins) {
                left -= run.len();
                let may_be = |last: &Word| {
                    let long = last.exact.chars().count() >= PREFIX_CHARS_MIN;
                    chunk.ends_with('*') || (open && long)
                };
                match run {
                    [first, .., _] if first.is_character => self.characters(run),
                    _ => self.written(run, left == 0 && run.last().is_some_and(may_be)),
                }
            }
        }
    }

    /// Takes characters that follow each other: each two are a word.
    fn characters(&mut self, run: &[Word]) {
        if run.len() > 2 {
            self.join(run);
        }
        for pair in run.windows(2) {
            let pair = pair.iter().map(|word| word.exact.as_str());
            self.word(pair.collect(), false);
        }
    }

    /// Takes the parts of one written word; with `prefix` the last is a beginning.
    fn written(&mut self, run: &[Word], prefix: bool) {
        if run.len() > 1 {
            self.join(run);
        }
        for (index, word) in run.iter().enumerate() {
            self.word(word.exact.clone(), prefix && index + 1 == run.len());
        }
    }

    fn join(&mut self, run: &[Word]) {
        let exact = run.iter().map(|word| word.exact.clone());
        self.once(Unit::Joined(exact.collect()));
    }

    /// Takes a part of the query, unless it stands there already.
    fn once(&mut self, unit: Unit) {
        if !self.units.contains(&unit) {
            self.units.push(unit);
        }
    }

    fn word(&mut self, word: String, prefix: bool) {
        for unit in &mut self.units {
            if let Unit::Word {
                word: known,
                prefix: known_prefix,
            } = unit
                && *known == word
            {
                *known_prefix |= prefix;
                return;
            }
        }
        self.units.push(Unit::Word { word, prefix });
    }
}

/// Leaves out words too frequent to say anything, if there are others.
fn drop_stop_words(units: &mut Vec<Unit>) {
    let words: Vec<&str> = units
        .iter()
        .map(|unit| match unit {
            Unit::Word { word, .. } => word.as_str(),
            Unit::Quoted(_) | Unit::Joined(_) => "",
        })
        .collect();
    let stops = language::say_nothing(&words);
    if stops.contains(&false) {
        let mut stops = stops.into_iter();
        units.retain(|_| stops.next() == Some(false));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn show(query: &TextQuery) -> String {
        let units = query.units.iter().map(|unit| match unit {
            Unit::Word { word, prefix } => {
                format!("{word}{}", if *prefix { "*" } else { "" })
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
        check("東京都へ go", "東-京-都-へ 東京 京都 都へ go");
        check("水", "水");
        check("学校에서", "学-校-에-서 学校 校에 에서");
        check("iPhone手机", "iphone 手机");
        check("wo ist die Rechnung", "rechnung*");
        check("dog dog Dog", "dog*");
        check("a_b \"c d\" a_b \"c d\" ", "a-b b \"c d\"");
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
