//! What lies in memory beside the index is found as the engine finds it once it is committed: the same
//! documents, in the same order, with the same scores and reasons.

use crdt::testing::Entropy;

use super::*;

const ROUNDS: usize = 60;
/// Words that are forms of each other, in several languages and scripts, with accents, and some that
/// belong together; function words, so that texts have a language.
const WORDS: [&str; 36] = [
    "run",
    "running",
    "runs",
    "runner",
    "baker",
    "bakers",
    "bakery",
    "laufen",
    "läuft",
    "Häuser",
    "Haus",
    "naïve",
    "naive",
    "cafés",
    "café",
    "foo-bar",
    "foo",
    "bar",
    "ERR_42",
    "東京都",
    "京都へ",
    "東京",
    "한국어",
    "한국",
    "ภาษาไทย",
    "e\u{301}tude",
    "étude",
    "ﬁnd",
    "find",
    "the",
    "and",
    "of",
    "der",
    "und",
    "nicht",
    "4711",
];

fn word(random: &mut Entropy) -> &'static str {
    let at = random.below(WORDS.len() as u64);
    WORDS[usize::try_from(at).unwrap()]
}

fn text(random: &mut Entropy, most: u64) -> String {
    let words = (0..random.below(most + 1)).map(|_| word(random));
    words.collect::<Vec<_>>().join(" ")
}

/// A word, the beginning of one, a mistyped one, some together, or a phrase.
fn query(random: &mut Entropy) -> String {
    let (first, second) = (word(random), word(random));
    match random.below(7) {
        0 => first.chars().take(3).collect(),
        1 => format!("{first}x {second} "),
        2 => first.chars().rev().collect(),
        3 => format!("\"{first} {second}\""),
        4 => format!("{first}-{second}"),
        5 => format!("{first} {second}* "),
        _ => format!("{} ", text(random, 6)),
    }
}

/// Phrases of words that follow each other in a document: inside its text, and from one tag to the next,
/// which is none.
fn rows(doc: &TextDoc) -> [String; 2] {
    let tags = doc.tags.join(" ");
    [&doc.body, &tags].map(|text| {
        let words: Vec<&str> = text.split(' ').collect();
        let first = words.len().saturating_sub(2);
        format!("\"{}\"", words[first..].join(" "))
    })
}

#[test]
fn what_lies_beside_is_found_as_the_engine_finds_it() {
    let mut random = Entropy::new(11);
    let (mut found, mut guessed) = (0, 0);
    for _ in 0..ROUNDS {
        let docs = (0..10 + random.below(20)).map(|slot| {
            let tags = [text(&mut random, 2), text(&mut random, 1)];
            let tags = tags.each_ref().map(String::as_str);
            doc(slot, &text(&mut random, 4), &text(&mut random, 12), &tags)
        });
        let docs: Vec<TextDoc> = docs.collect();
        let (before, after) = docs.split_at(docs.len() / 2);
        let (_folder, text) = index(before);
        text.flush().unwrap();
        text.apply(after, &[], 2).unwrap();
        let some = docs.iter().map(|doc| doc.slot);
        let some: SlotSet = some.filter(|_| random.below(3) > 0).collect();
        let asked = (0..12).map(|_| query(&mut random));
        let asked = asked.chain(after.iter().flat_map(rows));
        let queries: Vec<TextQuery> = asked.map(|query| TextQuery::parse(&query)).collect();
        let answers = || {
            let each = queries
                .iter()
                .map(|query| [None, Some(&some)].map(|allowed| hits(&text, query, allowed, 50)));
            each.collect::<Vec<_>>()
        };
        let beside = answers();
        assert_eq!(text.reader.searcher().num_docs(), before.len() as u64);
        text.flush().unwrap();
        assert_eq!(text.reader.searcher().num_docs(), docs.len() as u64);
        assert_eq!(beside, answers());
        let hits = beside.iter().flatten().flatten();
        let kinds = hits.map(|hit| hit.kind);
        found += kinds.clone().count();
        guessed += kinds.filter(|kind| *kind >= MatchKind::Prefix).count();
    }
    assert!(
        found > 5_000 && guessed > 500,
        "{found} hits, {guessed} guessed"
    );
}
