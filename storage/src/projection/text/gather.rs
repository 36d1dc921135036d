//! Gathering: which visible documents have a word, how surely and how often.
//!
//! A word is looked up in every field, first as it is, then in its other forms, which are read off
//! the dictionary (or both are recalled, see `known`), then, if few documents have it, as the beginning of longer words, and last, if
//! none has, as a word that was mistyped. What the dictionaries hold beyond the visible documents
//! has no influence: a term counts where a visible document has it.
//!
//! Flow: [`Gather::new`] -> [`Gather::word`] or [`Gather::phrase`], once for every part of a query.

use std::cell::LazyCell;
use std::collections::HashMap;
use std::sync::Arc;

use tantivy::postings::TermInfo;
use tantivy::query::{EnableScoring, FuzzyTermQuery, PhraseQuery, Query as _};
use tantivy::schema::IndexRecordOption;
use tantivy::{InvertedIndexReader, Term};
use tantivy_fst::Automaton;

use super::MatchKind;
use super::analysis::begins_alone;
use super::forms::Form;
use super::language::{Languages, Stems};
use super::schema::Fields;
use super::sheet::{List, Lists, Sheet};
use super::small::SmallIndex;
use super::view::{Part, Segment, Source, View};

/// How often a word as asked for counts beside another form of it.
const EXACT_WEIGHT: f32 = 1.5;
const STEM_WEIGHT: f32 = 0.7;
/// What longer words that begin with it count, however many there are.
const PREFIX_WEIGHT: f32 = 0.2;
/// What mistyped words count.
const FUZZY_WEIGHT: f32 = 0.2;
/// Words shorter than this have too many neighbours at distance one to guess at.
const FUZZY_CHARS_MIN: usize = 3;
/// From this length on two typing errors are forgiven.
const FUZZY_CHARS_TWICE: usize = 8;
/// Longer words are not guessed at: the automaton grows with the word.
const FUZZY_CHARS_MAX: usize = 64;

/// The documents of a term that are read at once, in one block of the index.
const LOOKED_AT_MAX: u32 = 128;

/// Looks words up.
pub(super) struct Gather<'a> {
    view: &'a View<'a>,
    fields: &'a Fields,
    sheets: &'a mut [Sheet],
}

impl<'a> Gather<'a> {
    /// Looks up in a view, with a clear sheet for each of its segments.
    pub(super) fn new(view: &'a View<'a>, fields: &'a Fields, sheets: &'a mut [Sheet]) -> Self {
        Self {
            view,
            fields,
            sheets,
        }
    }

    /// Looks a word up. Longer words count only where fewer documents than `enough` have the word.
    pub(super) fn word(
        &mut self,
        word: &str,
        prefix: bool,
        enough: usize,
    ) -> tantivy::Result<Lists> {
        let lists = self.with_forms(word)?;
        let count: usize = lists.iter().map(|list| list.found.len()).sum();
        let is_guessable = !begins_alone(word) && word.chars().count() <= FUZZY_CHARS_MAX;
        let is_enough = count > 0 && (!prefix || count >= enough);
        if is_enough || !is_guessable {
            return Ok(lists);
        }
        for (sheet, list) in self.sheets.iter_mut().zip(&lists) {
            sheet.put(list);
        }
        if prefix {
            self.longer(word)?;
        }
        if self.count() == 0
            && let Some(distance) = fuzzy_distance(word)
        {
            self.mistyped(word, distance)?;
        }
        Ok(self.take())
    }

    /// Finds a word and its other forms, or recalls where they are in segments in which it was asked
    /// for before.
    fn with_forms(&mut self, word: &str) -> tantivy::Result<Lists> {
        let mut others = Others {
            stems: LazyCell::new(|| Stems::known(word)),
            known: HashMap::new(),
        };
        let mut lists = Vec::with_capacity(self.sheets.len());
        for (segment, sheet) in self.view.segments.iter().zip(&mut *self.sheets) {
            if let Some(list) = recalled(segment, word) {
                lists.push(list);
                continue;
            }
            count_exact(self.fields, segment, sheet, word)?;
            others.count(self.fields, segment, sheet, word)?;
            let list = Arc::new(sheet.take(segment));
            if let Source::Engine(part) = &segment.source
                && segment.is_whole()
            {
                part.known().put(word, part.deleted(), &list);
            }
            lists.push(list);
        }
        Ok(lists)
    }

    /// Looks up words that follow each other.
    pub(super) fn phrase(&mut self, words: &[String]) -> tantivy::Result<Lists> {
        if let [word] = words {
            for (segment, sheet) in self.view.segments.iter().zip(&mut *self.sheets) {
                count_exact(self.fields, segment, sheet, word)?;
            }
            return Ok(self.take());
        }
        let kind = MatchKind::Phrase;
        for (number, (field, _)) in (0..).zip(self.fields.weighted()) {
            let terms = words.iter().map(|word| Term::from_field_text(field, word));
            let searching = EnableScoring::disabled_from_searcher(self.view.searcher);
            let matches = PhraseQuery::new(terms.collect()).weight(searching)?;
            for (segment, sheet) in self.view.segments.iter().zip(&mut *self.sheets) {
                match &segment.source {
                    Source::Engine(part) => {
                        sheet.mark(segment, matches.scorer(part.reader, 1.0)?, 1.0, kind);
                    }
                    Source::Small(small) => {
                        for doc in small.with_row(number, words) {
                            sheet.mark_in(segment, doc, 1.0, kind);
                        }
                    }
                }
            }
        }
        Ok(self.take())
    }

    fn count(&self) -> usize {
        self.sheets.iter().map(Sheet::len).sum()
    }

    fn take(&mut self) -> Lists {
        let sheets = self.sheets.iter_mut().zip(&self.view.segments);
        let lists = sheets.map(|(sheet, segment)| Arc::new(sheet.take(segment)));
        lists.collect()
    }

    /// Finds longer words that begin with it.
    fn longer(&mut self, word: &str) -> tantivy::Result<()> {
        for (segment, sheet) in self.view.segments.iter().zip(&mut *self.sheets) {
            for (number, (field, weight)) in (0..).zip(self.fields.weighted()) {
                let weight = weight * PREFIX_WEIGHT;
                match &segment.source {
                    Source::Engine(part) => {
                        let index = part.reader.inverted_index(field)?;
                        let mut terms = beginning_with(&index, word)?;
                        while let Some((term, info)) = terms.next() {
                            if term != word.as_bytes() {
                                let basic = IndexRecordOption::Basic;
                                let postings = index.read_postings_from_terminfo(info, basic)?;
                                sheet.mark(segment, postings, weight, MatchKind::Prefix);
                            }
                        }
                    }
                    Source::Small(small) => {
                        let longer = small.beginning_with(number, word);
                        let longer = longer.filter(|(term, _)| *term != word);
                        for posting in longer.flat_map(|(_, postings)| postings) {
                            sheet.mark_in(segment, posting.doc, weight, MatchKind::Prefix);
                        }
                    }
                }
            }
        }
        Ok(())
    }

    /// Finds words that differ by some letters.
    fn mistyped(&mut self, word: &str, distance: u8) -> tantivy::Result<()> {
        // Whatever the field, the words are the same.
        let term = Term::from_field_text(self.fields.body, word);
        let automaton = FuzzyTermQuery::new(term, distance, true).automaton()?;
        for (segment, sheet) in self.view.segments.iter().zip(&mut *self.sheets) {
            for (number, (field, weight)) in (0..).zip(self.fields.weighted()) {
                let weight = weight * FUZZY_WEIGHT;
                match &segment.source {
                    Source::Engine(part) => {
                        let index = part.reader.inverted_index(field)?;
                        let alike = index.terms().search(&automaton).without_keys();
                        let mut alike = alike.into_stream()?;
                        while alike.advance() {
                            let basic = IndexRecordOption::Basic;
                            let term = alike.value();
                            let postings = index.read_postings_from_terminfo(term, basic)?;
                            sheet.mark(segment, postings, weight, MatchKind::Fuzzy);
                        }
                    }
                    Source::Small(small) => {
                        let alike = small.words(number);
                        let alike = alike.filter(|(term, _)| takes(&automaton, term));
                        for posting in alike.flat_map(|(_, postings)| postings) {
                            sheet.mark_in(segment, posting.doc, weight, MatchKind::Fuzzy);
                        }
                    }
                }
            }
        }
        Ok(())
    }
}

/// Returns where a word was found before in a segment, if that still holds.
fn recalled(segment: &Segment<'_>, word: &str) -> Option<Arc<List>> {
    let Source::Engine(part) = &segment.source else {
        return None;
    };
    let (deleted, list) = part.known().of(word)?;
    if segment.is_whole() {
        return (deleted == part.deleted()).then_some(list);
    }
    // What was deleted since is not shown either.
    let shown = || list.found.iter().filter(|found| segment.shows(found.doc));
    (deleted <= part.deleted()).then(|| Arc::new(List::of(shown().copied().collect())))
}

/// Counts a word as it is.
fn count_exact(
    fields: &Fields,
    segment: &Segment<'_>,
    sheet: &mut Sheet,
    word: &str,
) -> tantivy::Result<()> {
    for (number, (field, weight)) in (0..).zip(fields.weighted()) {
        let counts = (weight * EXACT_WEIGHT, MatchKind::Exact);
        match &segment.source {
            Source::Engine(part) => {
                let index = part.reader.inverted_index(field)?;
                if let Some(term) = index.terms().get(word)? {
                    sheet.count(segment, &index, &term, Languages::ALL.0, counts)?;
                }
            }
            Source::Small(small) => {
                for posting in small.with(number, word) {
                    sheet.count_in(segment, posting.doc, posting.times(), counts);
                }
            }
        }
    }
    Ok(())
}

/// What a word is compared with: its stems, and what came of words it was compared with.
struct Others<F: FnOnce() -> Arc<Stems>> {
    stems: LazyCell<Arc<Stems>, F>,
    known: HashMap<Box<str>, Compared>,
}

/// In which languages a word was compared with another, and in which both are forms of one.
#[derive(Default)]
struct Compared {
    in_all: u64,
    alike_in: u64,
}

impl<F: FnOnce() -> Arc<Stems>> Others<F> {
    /// Counts the other forms of the word, each in texts of the languages it is a form in.
    fn count(
        &mut self,
        fields: &Fields,
        segment: &Segment<'_>,
        sheet: &mut Sheet,
        word: &str,
    ) -> tantivy::Result<()> {
        for (number, (field, weight)) in (0..).zip(fields.weighted()) {
            let counts = (weight * STEM_WEIGHT, MatchKind::Stem);
            match &segment.source {
                Source::Engine(part) => {
                    let index = part.reader.inverted_index(field)?;
                    let forms = part.forms();
                    let forms = forms.of(field, word, || self.forms_in(part, &index, word))?;
                    for form in &*forms {
                        sheet.count(segment, &index, &form.term, form.languages, counts)?;
                    }
                }
                Source::Small(small) => {
                    self.count_in_small((small, number), segment, sheet, counts);
                }
            }
        }
        Ok(())
    }

    /// Finds the other forms of the word in a dictionary of a segment.
    fn forms_in(
        &mut self,
        part: &Part<'_>,
        index: &InvertedIndexReader,
        word: &str,
    ) -> tantivy::Result<Vec<Form>> {
        let stems = &*self.stems;
        let Some(beginning) = stems.beginning() else {
            return Ok(Vec::new());
        };
        let mut forms = Vec::new();
        let mut terms = beginning_with(index, beginning)?;
        while let Some((term, info)) = terms.next() {
            if term == word.as_bytes() || !stems.is_near(term) {
                continue;
            }
            let spoken = spoken_with(part, index, info)?;
            let languages = std::str::from_utf8(term)
                .map_or(0, |term| alike_in(stems, &mut self.known, term, spoken));
            if languages != 0 {
                let term = info.clone();
                forms.push(Form { term, languages });
            }
        }
        Ok(forms)
    }

    /// Counts the other forms of the word in a field of a small index.
    fn count_in_small(
        &mut self,
        (small, field): (&SmallIndex, usize),
        segment: &Segment<'_>,
        sheet: &mut Sheet,
        counts: (f32, MatchKind),
    ) {
        let stems = &*self.stems;
        let near = stems
            .beginning()
            .map(|beginning| small.beginning_with(field, beginning));
        for (term, postings) in near.into_iter().flatten() {
            if stems.is_same(term) || !stems.is_near(term.as_bytes()) {
                continue;
            }
            let spoken = postings.iter().map(|posting| small.languages(posting.doc));
            let spoken = spoken.fold(0, |all, languages| all | languages);
            let languages = alike_in(stems, &mut self.known, term, spoken);
            for posting in postings {
                if small.languages(posting.doc) & languages != 0 {
                    sheet.count_in(segment, posting.doc, posting.times(), counts);
                }
            }
        }
    }
}

/// Tells whether an automaton takes a word.
fn takes(automaton: &impl Automaton<State = u32>, word: &str) -> bool {
    let mut state = automaton.start();
    for byte in word.bytes() {
        if !automaton.can_match(&state) {
            return false;
        }
        state = automaton.accept(&state, byte);
    }
    automaton.is_match(&state)
}

/// Returns in which of these languages a word is a form of the one with the stems.
fn alike_in(
    stems: &Stems,
    known: &mut HashMap<Box<str>, Compared>,
    word: &str,
    spoken: u64,
) -> u64 {
    if !known.contains_key(word) {
        known.insert(word.into(), Compared::default());
    }
    let Some(compared) = known.get_mut(word) else {
        return 0;
    };
    let new = spoken & !compared.in_all;
    compared.alike_in |= stems.conflate(word, Languages(new));
    compared.in_all |= new;
    compared.alike_in & spoken
}

/// Returns the languages of the documents that have a term: of most words near another there are few,
/// and to compare words in every language takes longer than to look. All, if there are many.
fn spoken_with(
    part: &Part<'_>,
    index: &InvertedIndexReader,
    term: &TermInfo,
) -> tantivy::Result<u64> {
    if term.doc_freq > LOOKED_AT_MAX {
        return Ok(Languages::ALL.0);
    }
    let postings = index.read_block_postings_from_terminfo(term, IndexRecordOption::Basic)?;
    let mut spoken = 0;
    for doc in postings.docs() {
        spoken |= part.languages(*doc);
    }
    Ok(spoken)
}

/// Returns the terms of a dictionary with a beginning, in order.
fn beginning_with<'a>(
    index: &'a InvertedIndexReader,
    beginning: &str,
) -> std::io::Result<tantivy::termdict::TermStreamer<'a>> {
    // The byte is in no text: the least that is greater than all that begins so.
    let mut end = beginning.as_bytes().to_vec();
    end.push(u8::MAX);
    let range = index.terms().range().ge(beginning).lt(end);
    range.into_stream()
}

/// Returns how many typing errors are forgiven in a word, or none if it is not to be guessed at.
fn fuzzy_distance(word: &str) -> Option<u8> {
    let length = word.chars().count();
    let number = word.chars().all(char::is_numeric);
    match length {
        _ if number => None,
        FUZZY_CHARS_TWICE..=FUZZY_CHARS_MAX => Some(2),
        FUZZY_CHARS_MIN..FUZZY_CHARS_TWICE => Some(1),
        _ => None,
    }
}
