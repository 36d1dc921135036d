//! Languages: which a text is likely in, and which words are forms of one word in them.
//!
//! Not a dictionary: endings are cut by the Snowball rules of each language, at the time of the
//! search, so that the index holds every word once, as it is written. A text is told by its function
//! words, the `the` and `und` that no sentence does without, which costs microseconds and needs no
//! model; a text without any may be in every language, and then the rules of all are tried.
//!
//! Invariant: what is told of one text depends on nothing but that text.

use std::num::NonZeroUsize;
use std::sync::{Arc, LazyLock, Mutex, OnceLock, PoisonError};

use frostem::{Algorithm, Stemmer};
use lru::LruCache;
use rustc_hash::FxHashMap;

/// The words at the beginning of a text that are looked at.
const WORDS_LOOKED_AT: usize = 200;
/// Longer words are no function words.
const FUNCTION_BYTES_MAX: usize = 6;
/// What a function word says, dealt among the languages that have it.
const VOTE: u32 = 24;
/// Letters a form may be longer or shorter than another.
const FORM_BYTES_MORE: usize = 9;
/// The words of a language other than English a query needs before they are left out of it.
const QUERY_WORDS_MIN: usize = 2;

/// The longest word whose stems are kept, in bytes: what people search for is shorter.
const KNOWN_BYTES_MAX: usize = 64;
/// Words whose stems are kept, those asked for last; each takes a kilobyte at most, about.
const KNOWN_MAX: NonZeroUsize = NonZeroUsize::new(512).expect("is not zero");

/// The language whose place is 0.
const ENGLISH: u64 = 1;

/// The languages with how many of the last letters of a stem a word need not have, as `happy` lacks
/// one of `happi`, and with their function words; a place in this list is a bit in the index. These
/// letters were counted in the words of the translations of Debian's packages, with accents folded; German,
/// Dutch, Finnish and Turkish change more, and inside, and what they change beyond is not found.
const LANGUAGES: [(Algorithm, usize, &str); 15] = [
    (
        Algorithm::English,
        1,
        "a about an and are as at be been but by did do does for from had has have he her his how i \
         if in into is it its me my of on or our she so that the their them then there these they \
         this to us was we were what when where which who why will with you your",
    ),
    (
        Algorithm::German,
        2,
        "aber als am an auch auf aus bei bin bis das dass dem den der des die ein eine einem einen \
         einer er es fur für hat ich ihr im in ist mein mit nach nicht noch oder sich sie sind so \
         uber über um und uns vom von vor war was wenn wer wie wir wird wo zu zum zur",
    ),
    (
        Algorithm::French,
        2,
        "au aux avec ce ces cette dans de des du elle en est et etait était il ils je la le les leur \
         mais mon ne nous on ou où par pas pour que qui sa se ses son sont sur un une vous",
    ),
    (
        Algorithm::Spanish,
        1,
        "al como con cuando de del donde el ella en es esta está este fue ha la las lo los mas más mi \
         muy no nos para pero por que qué se si sin son su sus un una y ya yo",
    ),
    (
        Algorithm::Italian,
        1,
        "al alla anche che chi come con da dal dei del della delle di e è gli ha ho i il in io la le \
         lo ma mi nel nella non per piu più quando se si sono su un una",
    ),
    (
        Algorithm::Portuguese,
        0,
        "a ao as com como da das de do dos e é ela ele em essa foi isso mais mas meu na nao não nas \
         no nos o onde os ou para pela pelo por que se sem ser seu sua um uma",
    ),
    (
        Algorithm::Dutch,
        2,
        "aan als bij dat de deze die dit door een en er haar het hij ik in is je maar met mijn naar \
         niet nog of om ook op te uit van voor was wat we wij ze zijn",
    ),
    (
        Algorithm::Swedish,
        0,
        "att av bara de den det dig ett efter en fran från för har hon i inte jag kan med men min \
         mitt när och om på sig sin som så till upp var vi är",
    ),
    (
        Algorithm::Danish,
        0,
        "af alle at da de den der det dig efter en er et for fra han har hun i ikke jeg kan med men \
         mit min nar når og om op på sig skal som så til ud var ved vi",
    ),
    (
        Algorithm::Norwegian,
        0,
        "at av da de den det du eller en er et etter for fra han har hun i ikke jeg kan med men min \
         nar når og om opp på seg skal som så til ut var ved vi",
    ),
    (
        Algorithm::Finnish,
        2,
        "että han hän ja joka jos kanssa kuin kun me mina minä mutta myös niin nyt oli olla on ovat \
         sen se siitä sinä sitten tai tämä vain",
    ),
    (
        Algorithm::Hungarian,
        1,
        "a az azt csak de egy és ez ezt hogy ha is kell meg mert mint minden nagy nem nincs van volt",
    ),
    (
        Algorithm::Polish,
        0,
        "a ale bo by byl był co dla do i ich jak jako jest juz już ma mi na nie o od po przez sie się \
         są ta tak to tym w z za ze że",
    ),
    (
        Algorithm::Turkish,
        2,
        "ama bir bu çok da daha de degil değil en gibi için ile kadar ki ne o olarak sonra ve var ya",
    ),
    // Its letters tell it.
    (Algorithm::Russian, 0, ""),
];

/// A set of languages, a bit each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Languages(pub(crate) u64);

impl Languages {
    /// Every language.
    pub(crate) const ALL: Self = Self((1 << LANGUAGES.len()) - 1);
    const BY_LETTERS: u64 = 1 << (LANGUAGES.len() - 1);

    /// Returns the languages a text may be in.
    pub(crate) fn of(text: &str) -> Self {
        let mut votes = [0; LANGUAGES.len()];
        let mut lower = String::new();
        let words = text.split(|letter: char| !letter.is_alphanumeric());
        let words = words.filter(|word| !word.is_empty());
        for word in words.take(WORDS_LOOKED_AT) {
            if word.len() <= FUNCTION_BYTES_MAX {
                lower.clear();
                if word.is_ascii() {
                    lower.push_str(word);
                    lower.make_ascii_lowercase();
                } else {
                    lower.extend(word.chars().flat_map(char::to_lowercase));
                }
                vote(&mut votes, &lower);
            }
        }
        Self::winners(&votes)
    }

    /// Returns those with the most votes and those close to them.
    fn winners(votes: &[u32]) -> Self {
        let most = votes.iter().copied().max().unwrap_or_default();
        if most == 0 {
            return Self::ALL;
        }
        let bits = votes
            .iter()
            .enumerate()
            .filter(|(_, vote)| **vote * 2 >= most);
        Self(bits.fold(Self::BY_LETTERS, |set, (place, _)| set | (1 << place)))
    }
}

fn vote(votes: &mut [u32], word: &str) {
    let Some(has) = functions().get(word) else {
        return;
    };
    for (place, votes) in votes.iter_mut().enumerate() {
        if (has >> place) & 1 == 1 {
            *votes += VOTE / has.count_ones();
        }
    }
}

/// Returns for each word of a query whether it is one that says nothing by itself.
pub(super) fn say_nothing(words: &[&str]) -> Vec<bool> {
    let has: Vec<u64> = words
        .iter()
        .map(|word| functions().get(*word).copied().unwrap_or_default())
        .collect();
    let mut votes = [0; LANGUAGES.len()];
    for word in words {
        vote(&mut votes, word);
    }
    let likely = Languages::winners(&votes).0;
    let count = |place: usize| has.iter().filter(|has| (*has >> place) & 1 == 1).count();
    let spoken = (0..LANGUAGES.len()).filter(|place| count(*place) >= QUERY_WORDS_MIN);
    let spoken = spoken.fold(0_u64, |set, place| set | (1 << place));
    let spoken = (spoken & likely) | ENGLISH;
    has.iter().map(|has| has & spoken != 0).collect()
}

/// Returns the languages that have a function word.
fn functions() -> &'static FxHashMap<&'static str, u64> {
    // Asked for every word of every text; what is in it is known, so nobody can make its keys collide.
    static FUNCTIONS: OnceLock<FxHashMap<&str, u64>> = OnceLock::new();
    FUNCTIONS.get_or_init(|| {
        let mut all: FxHashMap<&str, u64> = FxHashMap::default();
        for (place, (.., words)) in LANGUAGES.iter().enumerate() {
            for word in words.split_whitespace() {
                *all.entry(word).or_default() |= 1 << place;
            }
        }
        all
    })
}

/// A word with its stem in every language.
#[derive(Debug, Clone)]
pub(crate) struct Stems {
    word: String,
    /// How many bytes of it every form begins with; none if it has no other form.
    beginning: Option<usize>,
    /// Each stem once, with the languages that have it.
    each: Vec<Stem>,
}

/// A stem, with the languages in which the word has it.
#[derive(Debug, Clone)]
struct Stem {
    text: String,
    languages: Vec<Rules>,
}

impl Stems {
    /// Takes a word in its exact form.
    fn of(word: &str) -> Self {
        // A number and a character that is a word have one form.
        let has_forms = word.chars().count() > 2 && word.chars().any(char::is_alphabetic);
        let is_latin = word.bytes().any(|byte| byte.is_ascii_alphabetic());
        let in_its_letters = |place: usize| match 1 << place {
            Languages::BY_LETTERS => !word.is_ascii(),
            _ => is_latin,
        };
        let mut stems: Vec<Stem> = Vec::new();
        for (place, (algorithm, changed, _)) in LANGUAGES.iter().enumerate() {
            if !has_forms || !in_its_letters(place) {
                continue;
            }
            let rules = Rules {
                language: 1 << place,
                changed: *changed,
                stemmer: Stemmer::new(*algorithm),
            };
            let stem = rules.stemmer.stem(word);
            match stems.iter_mut().find(|known| known.text == stem) {
                Some(known) => known.languages.push(rules),
                None => stems.push(Stem {
                    text: stem.into_owned(),
                    languages: vec![rules],
                }),
            }
        }
        Self {
            beginning: beginning(word, &stems),
            word: word.to_owned(),
            each: stems,
        }
    }

    /// Returns the stems of a word as [`Stems::of`] does. Who searches asks for them twice, to find texts
    /// and to show them, and again with every key that is pressed.
    pub(crate) fn known(word: &str) -> Arc<Self> {
        static KNOWN: LazyLock<Mutex<LruCache<Box<str>, Arc<Stems>>>> =
            LazyLock::new(|| Mutex::new(LruCache::new(KNOWN_MAX)));
        let known = || KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(stems) = known().get(word) {
            return Arc::clone(stems);
        }
        let stems = Arc::new(Self::of(word));
        if word.len() <= KNOWN_BYTES_MAX {
            known().put(word.into(), Arc::clone(&stems));
        }
        stems
    }

    /// Returns what every form of the word begins with; none if it has no other form.
    pub(crate) fn beginning(&self) -> Option<&str> {
        self.word.get(..self.beginning?)
    }

    /// Tells whether another word is this one.
    pub(crate) fn is_same(&self, other: &str) -> bool {
        self.word == other
    }

    /// Tells words that may be forms of this one from most that are not, much faster than
    /// [`Stems::conflate`].
    pub(crate) fn is_near(&self, other: &[u8]) -> bool {
        self.near(other).next().is_some()
    }

    /// Returns those of the languages in which another word is a form of this one.
    pub(crate) fn conflate(&self, other: &str, among: Languages) -> u64 {
        let near = self.near(other.as_bytes());
        let asked = near.filter(|(_, rules)| rules.language & among.0 != 0);
        let have = asked.filter(|(stem, rules)| rules.stemmer.stem(other) == stem.text);
        have.fold(0, |all, (_, rules)| all | rules.language)
    }

    /// Returns the stems that a word of these letters may have, in each language.
    fn near(&self, other: &[u8]) -> impl Iterator<Item = (&Stem, &Rules)> {
        let is_as_long = other.len().abs_diff(self.word.len()) <= FORM_BYTES_MORE;
        let begins = self.beginning().map(str::as_bytes);
        let may_be = is_as_long && begins.is_some_and(|begins| other.starts_with(begins));
        let stems = self.each.iter().filter(move |_| may_be);
        stems.flat_map(move |stem| {
            let lacks = stem.text.len() - shared(stem.text.as_bytes(), other);
            let languages = stem.languages.iter();
            let near = languages.filter(move |rules| lacks <= rules.changed);
            near.map(move |rules| (stem, rules))
        })
    }
}

/// Returns how many bytes of a word all its forms begin with.
fn beginning(word: &str, stems: &[Stem]) -> Option<usize> {
    let stems = stems.iter();
    let shortest = stems.map(|stem| shared(word.as_bytes(), stem.text.as_bytes()));
    let least = word.char_indices().nth(2);
    let least = least.map(|(at, letter)| at + letter.len_utf8());
    // The last letter of a stem may be an ending's own: `happi` is the stem of `happy`.
    let bytes = shortest.min()?.saturating_sub(1).max(least?);
    Some(word.floor_char_boundary(bytes))
}

/// Returns with how many equal bytes two words begin.
fn shared(one: &[u8], other: &[u8]) -> usize {
    let pairs = one.iter().zip(other);
    pairs.take_while(|(one, other)| one == other).count()
}

/// How a language makes stems.
#[derive(Clone, Copy)]
struct Rules {
    /// Its bit.
    language: u64,
    /// How many of the last letters of a stem a word need not have.
    changed: usize,
    stemmer: Stemmer,
}

impl std::fmt::Debug for Rules {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.stemmer.algorithm().name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(languages: u64) -> Vec<&'static str> {
        let all = LANGUAGES.iter().enumerate();
        let inside = all.filter(|(place, _)| (languages >> place) & 1 == 1);
        inside
            .map(|(_, (algorithm, ..))| algorithm.name())
            .collect()
    }

    #[test]
    fn no_function_word_is_too_long_to_be_looked_at() {
        let longest = functions().keys().map(|word| word.len()).max();
        assert_eq!(longest, Some(FUNCTION_BYTES_MAX));
    }

    #[test]
    fn a_text_is_told_by_its_function_words() {
        let check = |text: &str, expect: &[&str]| {
            let mut expect = expect.to_vec();
            expect.push("russian");
            assert_eq!(names(Languages::of(text).0), expect, "{text:?}");
        };
        check(
            "The boiler was serviced in May and it is fine",
            &["english"],
        );
        check(
            "Die Rechnungen sind noch nicht bezahlt und der Vertrag läuft aus",
            &["german"],
        );
        check(
            "Les factures sont payées et le contrat est dans le tiroir",
            &["french"],
        );
        check(
            "Las facturas están en el cajón y el contrato es para mi hermana",
            &["spanish"],
        );
        assert_eq!(Languages::of("Rechnungen bezahlen"), Languages::ALL);
        assert_eq!(Languages::of(""), Languages::ALL);
    }

    #[test]
    fn forms_of_a_word_are_told_from_other_words() {
        let check = |word: &str, other: &str, language: &str, expect: bool| {
            let found = names(Stems::of(word).conflate(other, Languages::ALL));
            assert_eq!(
                found.contains(&language),
                expect,
                "{word} {other}: {found:?}"
            );
        };
        check("running", "run", "english", true);
        check("run", "running", "english", true);
        check("happy", "happiness", "english", true);
        check("happiness", "happy", "english", true);
        check("dates", "data", "english", false);
        check("conveniencia", "conveniente", "spanish", true);
        check("conseguenza", "conseguenze", "italian", true);
        check("application", "appliquer", "french", true);
        check("rechnung", "rechnungen", "german", true);
        check("hauser", "haus", "german", true);
        check("facture", "factures", "french", true);
        check("cancion", "canciones", "spanish", true);
        check("книга", "книги", "russian", true);
        check("2026", "20261", "english", false);
    }

    #[test]
    fn every_form_begins_with_the_beginning() {
        for (word, other) in [
            ("running", "run"),
            ("happiness", "happy"),
            ("книга", "книги"),
        ] {
            let stems = Stems::of(word);
            let beginning = stems.beginning().unwrap();
            assert!(other.starts_with(beginning), "{other} {beginning}");
        }
        assert_eq!(Stems::of("東京").beginning(), None);
    }

    #[test]
    fn words_that_say_nothing_are_known_by_their_company() {
        let check = |query: &str, expect: &str| {
            let words: Vec<&str> = query.split(' ').collect();
            let nothing = say_nothing(&words);
            let left = words.iter().zip(nothing).filter(|(_, nothing)| !nothing);
            let left: Vec<&str> = left.map(|(word, _)| *word).collect();
            assert_eq!(left.join(" "), expect, "{query:?}");
        };
        check("what is the recipe", "recipe");
        check("die hard", "die hard");
        check("wo ist die rechnung", "rechnung");
        check("où est la facture", "facture");
    }
}
