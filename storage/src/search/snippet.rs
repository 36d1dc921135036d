//! Snippets: the part of a text that shows best why it was found.
//!
//! The terms are those of a hit's reasons: a plain word stands for all its forms in the languages of
//! the text, `word*` for longer words that begin with it, `word~` for words that differ by a letter or
//! two, several words for these words one after the other.
//!
//! Invariant: ranges are bytes of the snippet's text and lie on character boundaries.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use std::rc::Rc;

use crate::projection::text::language::{Languages, Stems};
use crate::projection::text::{QUERY_TERMS_MAX, Word, words};

/// Words of a text that are looked at; what stands later is not shown.
const WORDS_MAX: usize = 50_000;
/// Letters a guessed word may differ by; the most the text index forgives.
const DISTANCE_MAX: usize = 2;
/// Longer words are not compared letter by letter.
const COMPARED_CHARS_MAX: usize = 64;

/// A part of a text with the found words marked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Snippet {
    /// The part, line breaks and tabs turned into spaces.
    pub text: String,
    /// The found words, as byte ranges of `text`, ascending, not touching each other's insides.
    pub highlights: Vec<Range<usize>>,
    /// Whether the text has more before the part.
    pub cut_before: bool,
    /// Whether the text has more after the part.
    pub cut_after: bool,
}

/// The terms of a search, read once for all its hits: a word has its forms in fifteen languages.
#[derive(Debug, Default)]
pub struct Snippets {
    terms: HashMap<String, Option<Rc<Term>>>,
}

impl Snippets {
    /// Returns the snippet of a text; see [`snippet`].
    pub fn of(&mut self, body: &str, terms: &[String], chars_max: usize) -> Snippet {
        let terms = terms.iter().filter_map(|term| {
            if let Some(known) = self.terms.get(term) {
                return known.clone();
            }
            let read = Term::read(term).map(Rc::new);
            self.terms.insert(term.clone(), read.clone());
            read
        });
        let terms: Vec<Rc<Term>> = terms.collect();
        cut(body, &terms, chars_max)
    }
}

/// Returns the window of at most `chars_max` characters with most of the terms, the earliest of
/// equals; without any term, the beginning.
pub fn snippet(body: &str, terms: &[String], chars_max: usize) -> Snippet {
    Snippets::default().of(body, terms, chars_max)
}

fn cut(body: &str, terms: &[Rc<Term>], chars_max: usize) -> Snippet {
    let text = words(body);
    let text = text.get(..WORDS_MAX).unwrap_or(&text);
    let marks = marks(text, terms, Languages::of(body));
    let bounds: Vec<usize> = body
        .char_indices()
        .map(|(at, _)| at)
        .chain([body.len()])
        .collect();
    let window = window(&bounds, text, &marks, chars_max);
    let text: String = body
        .get(window.clone())
        .unwrap_or_default()
        .chars()
        .map(plain)
        .collect();
    let inside = marks
        .iter()
        .filter(|(_, r)| r.start >= window.start && r.end <= window.end);
    let mut highlights: Vec<Range<usize>> = Vec::new();
    for (_, found) in inside {
        let found = found.start - window.start..found.end - window.start;
        match highlights.last_mut() {
            // Characters of one word, in a script without spaces.
            Some(last) if last.end == found.start => last.end = found.end,
            _ => highlights.push(found),
        }
    }
    Snippet {
        highlights,
        cut_before: window.start > 0,
        cut_after: window.end < body.len(),
        text,
    }
}

/// Returns the words that a term is found in, each with the first such term.
fn marks(text: &[Word], terms: &[Rc<Term>], languages: Languages) -> Vec<(usize, Range<usize>)> {
    // A text has far fewer words than places, and a word is stemmed to be compared.
    let mut known: HashMap<&str, Option<usize>> = HashMap::new();
    let first_term = |word: &Word| terms.iter().position(|term| term.matches(word, languages));
    let terms_of = text.iter().map(|word| {
        let known = known.entry(&word.exact);
        *known.or_insert_with(|| first_term(word))
    });
    let mut found: Vec<Option<usize>> = terms_of.collect();
    for (number, term) in terms.iter().enumerate() {
        let Term::Row(row) = &**term else { continue };
        let follow = text.windows(row.len()).enumerate().filter(|(_, words)| {
            let words = words.iter().map(|word| &word.exact);
            words.eq(row)
        });
        for (at, words) in follow {
            for place in &mut found[at..at + words.len()] {
                *place = Some(place.map_or(number, |first| first.min(number)));
            }
        }
    }
    let marks = found.iter().zip(text);
    marks
        .filter_map(|(term, word)| Some(((*term)?, word.range.clone())))
        .collect()
}

/// Turns white space other than a space into one of the same length in bytes.
fn plain(character: char) -> char {
    if matches!(character, '\n' | '\r' | '\t') {
        ' '
    } else {
        character
    }
}

/// Returns the byte range to show; `bounds` are the starts of all characters and the end.
fn window(
    bounds: &[usize],
    words: &[Word],
    marks: &[(usize, Range<usize>)],
    chars_max: usize,
) -> Range<usize> {
    let index_of = |byte: usize| bounds.partition_point(|bound| *bound < byte);
    let end_of = |start: usize| start.saturating_add(chars_max).min(bounds.len() - 1);
    let mut best = (0, 0, 0, 0);
    // The marks inside slide along with the window: each comes in once and goes out once.
    let (mut inside, mut end) = (BTreeMap::<usize, usize>::new(), 0);
    for (index, (term, first)) in marks.iter().enumerate() {
        let start = index_of(first.start);
        let limit = bounds[end_of(start)];
        end = end.max(index);
        while let Some((term, _)) = marks.get(end).filter(|(_, range)| range.end <= limit) {
            *inside.entry(*term).or_default() += 1;
            end += 1;
        }
        let (distinct, count) = (inside.len(), end - index);
        if (distinct, count) > (best.0, best.1) {
            let last = index_of(marks[end - 1].1.end);
            best = (distinct, count, start, last);
        }
        if let Some(times) = inside.get_mut(term) {
            *times -= 1;
            if *times == 0 {
                inside.remove(term);
            }
        }
    }
    let (_, _, first, last) = best;
    // What room is left goes half before the first mark, half after the last.
    let spare = chars_max.saturating_sub(last - first);
    let start = first
        .saturating_sub(spare / 2)
        .min((bounds.len() - 1).saturating_sub(chars_max));
    let (start, end) = (bounds[start], bounds[end_of(start)]);
    whole_words(words, start..end, bounds[first])
}

/// Narrows a range so that it begins and ends between words, unless nothing would be left.
fn whole_words(words: &[Word], range: Range<usize>, keep: usize) -> Range<usize> {
    let cut = |at: usize| {
        words
            .iter()
            .find(|word| word.range.start < at && at < word.range.end)
    };
    let start = cut(range.start).map_or(range.start, |word| word.range.end);
    let start = if start <= keep { start } else { range.start };
    let end = cut(range.end).map_or(range.end, |word| word.range.start);
    let end = if end > keep.max(start) {
        end
    } else {
        range.end
    };
    start..end
}

/// What to look for.
#[derive(Debug)]
enum Term {
    Forms(Stems, String),
    Prefix(String),
    Fuzzy(String),
    /// Words that follow each other.
    Row(Vec<String>),
}

impl Term {
    /// Reads a reason of a hit.
    fn read(reason: &str) -> Option<Self> {
        let mut words: Vec<String> = words(reason).into_iter().map(|word| word.exact).collect();
        if words.len() > QUERY_TERMS_MAX {
            // No query has so many; comparing them at each place would take long.
            return None;
        }
        if words.len() > 1 {
            return Some(Self::Row(words));
        }
        let word = words.pop()?;
        Some(match reason.chars().last() {
            Some('*') => Self::Prefix(word),
            Some('~') => Self::Fuzzy(word),
            _ => Self::Forms(Stems::of(&word), word),
        })
    }

    fn matches(&self, word: &Word, languages: Languages) -> bool {
        match self {
            Self::Forms(stems, exact) => {
                word.exact == *exact || stems.conflate(&word.exact, languages) != 0
            }
            Self::Prefix(start) => word.exact.starts_with(start.as_str()),
            Self::Fuzzy(guess) => {
                let forgiven = if guess.chars().count() < 8 {
                    1
                } else {
                    DISTANCE_MAX
                };
                distance(guess, &word.exact).is_some_and(|distance| distance <= forgiven)
            }
            Self::Row(_) => false,
        }
    }
}

/// Returns the edits between two words, a swap of neighbours being one, or nothing when they differ
/// in length by more than is ever forgiven.
fn distance(left: &str, right: &str) -> Option<usize> {
    let left: Vec<char> = left.chars().take(COMPARED_CHARS_MAX + 1).collect();
    let right: Vec<char> = right.chars().take(COMPARED_CHARS_MAX + 1).collect();
    if left.len().abs_diff(right.len()) > DISTANCE_MAX
        || left.len().max(right.len()) > COMPARED_CHARS_MAX
    {
        return None;
    }
    let mut rows = vec![(0..=right.len()).collect::<Vec<usize>>()];
    for i in 1..=left.len() {
        let mut row = vec![i];
        for j in 1..=right.len() {
            let change = usize::from(left[i - 1] != right[j - 1]);
            let mut least = (rows[i - 1][j] + 1)
                .min(row[j - 1] + 1)
                .min(rows[i - 1][j - 1] + change);
            if i > 1 && j > 1 && left[i - 1] == right[j - 2] && left[i - 2] == right[j - 1] {
                least = least.min(rows[i - 2][j - 2] + 1);
            }
            row.push(least);
        }
        rows.push(row);
    }
    rows.last().and_then(|row| row.last()).copied()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(body: &str, terms: &[&str], chars_max: usize, expect: &str) {
        let terms: Vec<String> = terms.iter().map(|term| (*term).to_owned()).collect();
        let snippet = snippet(body, &terms, chars_max);
        let mut shown = String::new();
        let mut at = 0;
        for range in &snippet.highlights {
            shown += snippet.text.get(at..range.start).unwrap();
            shown.extend(["[", snippet.text.get(range.clone()).unwrap(), "]"]);
            at = range.end;
        }
        shown += snippet.text.get(at..).unwrap();
        let dots = |cut: bool| if cut { "…" } else { "" };
        let shown = format!(
            "{}{shown}{}",
            dots(snippet.cut_before),
            dots(snippet.cut_after)
        );
        assert_eq!(shown, expect);
    }

    #[test]
    fn the_best_window_is_shown_with_its_words_marked() {
        check(
            "The dogs were running.",
            &["dog", "run"],
            80,
            "The [dogs] were [running].",
        );
        check("a database", &["data*"], 80, "a [database]");
        check("a database", &["databsae~"], 80, "a [database]");
        check("Un café\nnoir", &["cafe"], 80, "Un [café] noir");
        check("one two three four", &["none"], 9, "one two …");
        check(
            "cat x x x x x x x x x cat dog x",
            &["cat", "dog"],
            9,
            "… [cat] [dog] …",
        );
        check("", &["x"], 10, "");
        check("some text", &[], 0, "…");
        check(
            "the red fox ran, red",
            &["red fox"],
            80,
            "the [red] [fox] ran, red",
        );
        check(
            "Ich habe die Rechnungen bezahlt und das Haus geputzt",
            &["rechnung"],
            80,
            "Ich habe die [Rechnungen] bezahlt und das Haus geputzt",
        );
        check(
            "昨日東京都庁に行った",
            &["東京", "京都"],
            80,
            "昨日[東京都]庁に行った",
        );
        check("京の東、東京タワー", &["東京"], 80, "京の東、[東京]タワー");
    }

    #[test]
    fn the_first_of_the_best_windows_is_found_among_many_marks() {
        let body = "a ".repeat(500) + "a b a " + &"a ".repeat(500);
        let terms = ["a", "b"].map(str::to_owned);
        let found = snippet(&body, &terms, 9);
        assert_eq!(
            (found.text.as_str(), found.highlights.len()),
            ("a a a a b", 5)
        );
    }

    proptest! {
        #[test]
        fn any_text_and_window_is_safe(
            body in "[a-cé東 \\n]{0,80}",
            terms in prop::collection::vec("[a-cé東]{1,3}[*~]?", 0..4),
            chars_max in 0usize..40,
        ) {
            let snippet = snippet(&body, &terms, chars_max);
            prop_assert!(snippet.text.chars().count() <= chars_max);
            for range in snippet.highlights {
                prop_assert!(snippet.text.get(range).is_some_and(|word| !word.is_empty()));
            }
        }
    }
}
