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
use std::sync::Arc;

use super::Hit;
use crate::projection::text::language::{Languages, Stems};
use crate::projection::text::{QUERY_TERMS_MAX, word_ranges, words, write_exact};

/// Words of a text that are looked at; what stands later is not shown.
const WORDS_MAX: usize = 50_000;
/// The bytes that a word and what follows it take, about.
const WORD_BYTES: usize = 6;
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
    /// Returns the snippet of a hit's text; see [`snippet`].
    pub fn of(&mut self, body: &str, hit: &Hit, chars_max: usize) -> Snippet {
        let languages = hit.languages.map(Languages);
        self.cut(body, &hit.why.terms, languages, chars_max)
    }

    fn cut(
        &mut self,
        body: &str,
        terms: &[impl AsRef<str>],
        languages: Option<Languages>,
        chars_max: usize,
    ) -> Snippet {
        let terms = terms.iter().map(AsRef::as_ref).filter_map(|term: &str| {
            if let Some(known) = self.terms.get(term) {
                return known.clone();
            }
            let read = Term::read(term).map(Rc::new);
            self.terms.insert(term.to_owned(), read.clone());
            read
        });
        let terms: Vec<Rc<Term>> = terms.collect();
        cut(body, &terms, languages, chars_max)
    }
}

/// Returns the window of at most `chars_max` characters with most of the terms, the earliest of
/// equals; without any term, the beginning.
pub fn snippet(body: &str, terms: &[impl AsRef<str>], chars_max: usize) -> Snippet {
    Snippets::default().cut(body, terms, None, chars_max)
}

fn cut(body: &str, terms: &[Rc<Term>], languages: Option<Languages>, chars_max: usize) -> Snippet {
    let places = Places::of(body);
    // Without terms the beginning is shown, and the rest need not be read.
    let end = if terms.is_empty() {
        places.byte(chars_max)
    } else {
        body.len()
    };
    let (words, marks) = marks(body, terms, languages, end);
    let window = window(&places, &words, &marks, chars_max);
    let text = body.get(window.clone()).unwrap_or_default();
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
        // Each of these takes one byte, as a space does.
        text: text.replace(['\n', '\r', '\t'], " "),
    }
}

/// A word that a term is found in: which term, and where.
type Mark = (usize, Range<usize>);

/// Returns where the words of a text begin and end, up to a byte, and those that a term is found
/// in, each with the first such term.
fn marks(
    body: &str,
    terms: &[Rc<Term>],
    languages: Option<Languages>,
    end: usize,
) -> (Vec<Range<usize>>, Vec<Mark>) {
    let mut words: Vec<Range<usize>> = Vec::with_capacity(end / WORD_BYTES);
    let mut found: Vec<Found> = Vec::new();
    let mut compare = Compare::new(body, terms, languages);
    let mut rows: Vec<Row<'_>> = (0..).zip(terms).filter_map(Row::of).collect();
    let beginnings = Beginnings::of(terms);
    let mut word = String::new();
    for range in word_ranges(body) {
        let at = words.len();
        if at == WORDS_MAX || range.start >= end {
            break;
        }
        let written = body.get(range.clone()).unwrap_or_default();
        words.push(range);
        if !beginnings.may_begin(written) {
            rows.iter_mut().for_each(Row::interrupt);
            continue;
        }
        write_exact(written, &mut word);
        found.extend(compare.first_in(&word).map(|term| Found { at, term }));
        for row in &mut rows {
            if row.ends_with(&word) {
                let (first, term) = (at + 1 - row.words.len(), row.number);
                found.extend((first..=at).map(|at| Found { at, term }));
            }
        }
    }
    found.sort_unstable();
    found.dedup_by_key(|found| found.at);
    let marks = found.into_iter();
    let marks = marks.map(|found| (found.term, words[found.at].clone()));
    let marks = marks.collect();
    (words, marks)
}

/// A word of a text that is, or is part of, a term; of equal words the first term comes first.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Found {
    at: usize,
    term: usize,
}

/// The first letters of all terms: most words of a text need no other look.
struct Beginnings {
    /// By the byte of a letter.
    has: [bool; 256],
}

impl Beginnings {
    fn of(terms: &[Rc<Term>]) -> Self {
        let mut has = [false; 256];
        for term in terms {
            match &**term {
                Term::Forms(_, word) | Term::Prefix(word) => Self::take(&mut has, word),
                Term::Row(words) => words.iter().for_each(|word| Self::take(&mut has, word)),
                Term::Fuzzy(_) => has = [true; 256],
            }
        }
        Self { has }
    }

    fn take(has: &mut [bool; 256], word: &str) {
        if let Some(first) = word.bytes().next() {
            has[usize::from(first)] = true;
        }
    }

    /// Tells whether a word, as it is written, may be one of the terms.
    fn may_begin(&self, written: &str) -> bool {
        // Another letter may be written for one of these.
        let first = written.bytes().next();
        first.is_none_or(|first| {
            !first.is_ascii() || self.has[usize::from(first.to_ascii_lowercase())]
        })
    }
}

/// Compares the words of a text with terms of one word.
struct Compare<'a> {
    body: &'a str,
    terms: &'a [Rc<Term>],
    /// Those of the text: if they are not known, asked for only where a word may be a form of another.
    languages: Option<Languages>,
    /// What came of words that may be one of the terms: a text has the same words again and again.
    known: HashMap<String, Option<usize>>,
}

impl<'a> Compare<'a> {
    fn new(body: &'a str, terms: &'a [Rc<Term>], languages: Option<Languages>) -> Self {
        Self {
            body,
            terms,
            languages,
            known: HashMap::new(),
        }
    }

    /// Returns the first term that a word has.
    fn first_in(&mut self, word: &str) -> Option<usize> {
        if !self.terms.iter().any(|term| term.may_match(word)) {
            return None;
        }
        if let Some(known) = self.known.get(word) {
            return *known;
        }
        let languages = &mut self.languages;
        let mut languages = || *languages.get_or_insert_with(|| Languages::of(self.body));
        let mut terms = self.terms.iter();
        let first = terms.position(|term| term.matches(word, &mut languages));
        self.known.insert(word.to_owned(), first);
        first
    }
}

/// A row of words that is looked for, and how far the text came.
struct Row<'a> {
    number: usize,
    words: &'a [String],
    /// Bit `n` is set if the last `n` + 1 words are those the row begins with.
    begun: u64,
}

impl<'a> Row<'a> {
    fn of((number, term): (usize, &'a Rc<Term>)) -> Option<Self> {
        let Term::Row(words) = &**term else {
            return None;
        };
        Some(Self {
            number,
            words,
            begun: 0,
        })
    }

    /// Takes the next word of the text and returns whether the row ends with it.
    fn ends_with(&mut self, word: &str) -> bool {
        let equal = self.words.iter().map(|one| u64::from(one == word));
        let equal = (0..).zip(equal);
        let equal = equal.fold(0, |all, (place, is_equal)| all | (is_equal << place));
        self.begun = ((self.begun << 1) | 1) & equal;
        (self.begun >> (self.words.len() - 1)) & 1 == 1
    }

    /// Takes a word that is in no row.
    fn interrupt(&mut self) {
        self.begun = 0;
    }
}

/// Where the characters of a text begin, and its end.
enum Places {
    /// Each takes a byte, of so many.
    Bytes(usize),
    Listed(Vec<usize>),
}

impl Places {
    fn of(body: &str) -> Self {
        if body.is_ascii() {
            return Self::Bytes(body.len());
        }
        let starts = body.char_indices().map(|(at, _)| at);
        Self::Listed(starts.chain([body.len()]).collect())
    }

    /// Returns the number of characters.
    fn characters(&self) -> usize {
        match self {
            Self::Bytes(bytes) => *bytes,
            Self::Listed(starts) => starts.len() - 1,
        }
    }

    /// Returns how many characters begin before a byte.
    fn before(&self, byte: usize) -> usize {
        match self {
            Self::Bytes(bytes) => byte.min(*bytes),
            Self::Listed(starts) => starts.partition_point(|start| *start < byte),
        }
    }

    /// Returns the byte at which a character begins; the end, if there are fewer.
    fn byte(&self, character: usize) -> usize {
        match self {
            Self::Bytes(bytes) => character.min(*bytes),
            Self::Listed(starts) => starts[character.min(starts.len() - 1)],
        }
    }
}

/// Returns the byte range to show.
fn window(
    places: &Places,
    words: &[Range<usize>],
    marks: &[Mark],
    chars_max: usize,
) -> Range<usize> {
    let end_of = |start: usize| places.byte(start.saturating_add(chars_max));
    let mut best = (0, 0, 0, 0);
    // The marks inside slide along with the window: each comes in once and goes out once.
    let (mut inside, mut end) = (BTreeMap::<usize, usize>::new(), 0);
    for (index, (term, first)) in marks.iter().enumerate() {
        let start = places.before(first.start);
        let limit = end_of(start);
        end = end.max(index);
        while let Some((term, _)) = marks.get(end).filter(|(_, range)| range.end <= limit) {
            *inside.entry(*term).or_default() += 1;
            end += 1;
        }
        let (distinct, count) = (inside.len(), end - index);
        if (distinct, count) > (best.0, best.1) {
            let last = places.before(marks[end - 1].1.end);
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
        .min(places.characters().saturating_sub(chars_max));
    whole_words(words, places.byte(start)..end_of(start), places.byte(first))
}

/// Narrows a range so that it begins and ends between words, unless nothing would be left.
fn whole_words(words: &[Range<usize>], range: Range<usize>, keep: usize) -> Range<usize> {
    let cut = |at: usize| {
        let next = words.partition_point(|word| word.end <= at);
        words.get(next).filter(|word| word.start < at)
    };
    let start = cut(range.start).map_or(range.start, |word| word.end);
    let start = if start <= keep { start } else { range.start };
    let end = cut(range.end).map_or(range.end, |word| word.start);
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
    Forms(Arc<Stems>, String),
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
            _ => Self::Forms(Stems::known(&word), word),
        })
    }

    /// Tells words that may be it from most that are not, without a look at languages or letters
    /// that were swapped.
    fn may_match(&self, word: &str) -> bool {
        match self {
            Self::Forms(stems, exact) => word == exact || stems.is_near(word.as_bytes()),
            Self::Prefix(start) => word.starts_with(start.as_str()),
            Self::Fuzzy(_) => true,
            Self::Row(_) => false,
        }
    }

    fn matches(&self, word: &str, languages: impl FnOnce() -> Languages) -> bool {
        match self {
            Self::Forms(stems, exact) => {
                word == exact
                    || (stems.is_near(word.as_bytes()) && stems.conflate(word, languages()) != 0)
            }
            Self::Prefix(start) => word.starts_with(start.as_str()),
            Self::Fuzzy(guess) => {
                let forgiven = if guess.chars().count() < 8 {
                    1
                } else {
                    DISTANCE_MAX
                };
                distance(guess, word).is_some_and(|distance| distance <= forgiven)
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
        let snippet = snippet(body, terms, chars_max);
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
        check("the red big fox", &["red fox"], 80, "the red big fox");
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
        let found = snippet(&body, &["a", "b"], 9);
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
