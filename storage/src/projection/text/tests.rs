//! Tests of the text index as its callers use it.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use tantivy::directory::Directory as _;

use super::*;
use crate::cipher::{Context, tests::cipher};

mod beside;
mod best;
mod known;
mod languages;
mod views;

fn open(folder: &Path) -> Result<TextIndex, TextError> {
    TextIndex::open(folder, cipher(Context::TextIndex))
}

/// Copies a folder: what the disk of a killed node holds, lock files too.
fn copied(folder: &Path) -> tempfile::TempDir {
    let copy = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        match std::fs::copy(entry.path(), copy.path().join(entry.file_name())) {
            Ok(_) => {}
            // The live index clears away a file of its own between the listing and the copy.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => panic!("{error}"),
        }
    }
    copy
}

fn doc(slot: u64, title: &str, body: &str, tags: &[&str]) -> TextDoc {
    let tags = tags.iter().map(|tag| (*tag).to_owned()).collect();
    TextDoc {
        slot: Slot(slot),
        title: title.to_owned(),
        body: body.to_owned(),
        tags,
    }
}

fn index(docs: &[TextDoc]) -> (tempfile::TempDir, TextIndex) {
    let folder = tempfile::tempdir().unwrap();
    let index = open(folder.path()).unwrap();
    index.apply(docs, &[], 1).unwrap();
    (folder, index)
}

fn hits(
    index: &TextIndex,
    query: &TextQuery,
    allowed: Option<&SlotSet>,
    limit: usize,
) -> Vec<TextHit> {
    let found = index.search(query, allowed, None, limit).unwrap();
    let slots = found.scores().map(|(slot, _)| slot);
    slots.filter_map(|slot| found.hit(slot)).collect()
}

fn find(index: &TextIndex, query: &str) -> Vec<u64> {
    let hits = hits(index, &TextQuery::parse(query), None, 100);
    hits.iter().map(|hit| hit.slot.0).collect()
}

fn library() -> (tempfile::TempDir, TextIndex) {
    index(&[
        doc(
            1,
            "Sourdough",
            "Hydration of the dough decides the crumb.",
            &["baking"],
        ),
        doc(
            2,
            "Bread notes",
            "My sourdough rested; hydration came later in the bakery.",
            &[],
        ),
        doc(
            3,
            "Garden",
            "Water the tomatoes. They are running wild.",
            &["outdoors"],
        ),
        doc(
            4,
            "Jogging",
            "A run through the café quarter, run by night.",
            &[],
        ),
        doc(
            5,
            "",
            "token 7f3a9c_XK-very-long-identifier and the database schema",
            &[],
        ),
        doc(6, "日記", "東京都に行った", &[]),
        doc(7, "Mixed", "crumb decides", &[]),
    ])
}

#[test]
fn queries_find_what_they_should_in_order() {
    let (_folder, index) = library();
    let check = |query: &str, expect: &[u64]| {
        assert_eq!(find(&index, query), expect, "{query:?}");
    };
    check("sourdough hydration", &[1, 2]);
    check("baking tomatoes ", &[1, 3]);
    check("\"decides the crumb\"", &[1]);
    check("\"crumb decides\"", &[7]);
    check("\"no such phrase\" crumb", &[]);
    check("run ", &[4, 3]);
    check("running ", &[3, 4]);
    check("CAFE ", &[4]);
    check("cafe\u{301} ", &[4]);
    check("datab", &[5]);
    check("datab ", &[]);
    check("datab* x", &[5]);
    check("7f3a9c_XK-very", &[5]);
    check("東京", &[6]);
    check("京東 ", &[]);
    check("京", &[6]);
    check("京都大学", &[6]);
    check("tomatos ", &[3]);
    check("tomatose ", &[3]);
    check("the ", &[1, 3, 2, 4, 5]);
    check("(((", &[]);
    check("", &[]);
}

#[test]
fn a_hit_says_how_it_was_found() {
    let (_folder, index) = library();
    let check = |query: &str, slot: u64, kind: MatchKind, matched: &[&str]| {
        let hits = hits(&index, &TextQuery::parse(query), None, 10);
        let hit = hits.iter().find(|hit| hit.slot == Slot(slot)).unwrap();
        assert_eq!(
            (hit.kind, hit.matched.clone()),
            (kind, matched.iter().map(|m| (*m).into()).collect()),
            "{query:?}"
        );
    };
    check("sourdough ", 1, MatchKind::Exact, &["sourdough"]);
    check("run ", 3, MatchKind::Stem, &["run"]);
    check(
        "\"decides the crumb\"",
        1,
        MatchKind::Phrase,
        &["decides the crumb"],
    );
    check("schema datab", 5, MatchKind::Prefix, &["schema", "datab*"]);
    check(
        "schema databsae ",
        5,
        MatchKind::Fuzzy,
        &["schema", "databsae~"],
    );
    check("hydration tomatoes ", 1, MatchKind::Exact, &["hydration"]);
}

#[test]
fn all_words_come_before_a_better_single_word() {
    let many = "apple ".repeat(40);
    let long = format!("apple pear {}", "filler words here ".repeat(60));
    let (_folder, index) = index(&[
        doc(1, "apple apple", &many, &["apple"]),
        doc(2, "", &long, &[]),
    ]);
    assert_eq!(find(&index, "apple pear "), [2, 1]);
}

#[test]
fn a_word_counts_more_in_tags_and_title_than_in_the_body() {
    let (_folder, index) = index(&[
        doc(1, "other", "plum cake recipe", &["other"]),
        doc(2, "plum", "cake recipe other", &["other"]),
        doc(3, "nothing", "at all", &[]),
    ]);
    assert_eq!(find(&index, "plum "), [2, 1]);
}

#[test]
fn a_write_is_found_at_once_and_a_delete_gone_at_once() {
    let (_folder, index) = index(&[doc(1, "", "first", &[])]);
    assert_eq!(find(&index, "first "), [1]);
    index.apply(&[doc(1, "", "second", &[])], &[], 2).unwrap();
    assert_eq!(
        (find(&index, "first "), find(&index, "second ")),
        (vec![], vec![1])
    );
    index.apply(&[], &[Slot(1)], 3).unwrap();
    assert_eq!(find(&index, "second "), [] as [u64; 0]);
    assert_eq!(index.cursor(), 0, "nothing is saved");
    index.flush().unwrap();
    assert_eq!(index.cursor(), 3);
    index.apply(&[doc(2, "", "third", &[])], &[], 4).unwrap();
    index.clear().unwrap();
    assert_eq!(
        (find(&index, "third "), index.cursor(), index.len()),
        (vec![], 0, 0)
    );
}

#[test]
fn what_was_not_committed_is_missing_after_a_kill_and_the_cursor_says_so() {
    let (folder, index) = index(&[doc(1, "", "kept", &[])]);
    index.flush().unwrap();
    index.apply(&[doc(2, "", "lost", &[])], &[], 2).unwrap();
    let copy = copied(folder.path());
    assert!(copy.path().join(".tantivy-writer.lock").exists());
    let after = open(copy.path()).unwrap();
    assert_eq!(
        (after.cursor(), after.was_reset(), after.len()),
        (1, false, 1)
    );
    after.apply(&[doc(2, "", "lost", &[])], &[], 2).unwrap();
    assert_eq!(
        (find(&after, "kept "), find(&after, "lost ")),
        (vec![1], vec![2])
    );
}

#[test]
fn what_was_found_but_not_saved_is_missing_after_a_kill_and_nothing_else_is() {
    let (folder, index) = index(&[doc(0, "", "word", &[])]);
    let (mut saved, mut slots) = (None, vec![0]);
    for cursor in 2..40 {
        // Each search after a change commits, so there are merges and deleted files between two flushes.
        let slot = cursor * 7 % 11;
        index
            .apply(&[doc(slot, "", "word", &[])], &[], cursor)
            .unwrap();
        slots.push(slot);
        let now: BTreeSet<u64> = slots.iter().copied().collect();
        assert_eq!(find(&index, "word ").len(), now.len());
        if cursor % 5 == 0 {
            index.flush().unwrap();
            saved = Some((cursor, now));
        }
        let Some((cursor, saved)) = &saved else {
            continue;
        };
        let copy = copied(folder.path());
        let after = open(copy.path()).unwrap();
        let found: BTreeSet<u64> = find(&after, "word ").into_iter().collect();
        assert_eq!((after.cursor(), after.was_reset()), (*cursor, false));
        assert_eq!(&found, saved);
    }
}

#[test]
fn many_commits_are_merged_while_nobody_writes_and_answer_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let text = open(folder.path()).unwrap();
    for slot in 1..=6 {
        text.apply(&[doc(slot, "Sourdough", "rests overnight", &[])], &[], slot)
            .unwrap();
        text.flush().unwrap();
        assert_eq!(find(&text, "sourdough").len() as u64, slot);
    }
    text.apply(&[], &[Slot(3)], 7).unwrap();
    let parts = |text: &TextIndex| text.reader.searcher().segment_readers().len();
    assert!(!text.condense(&|| false).unwrap(), "not durable yet");
    text.flush().unwrap();
    let before = (find(&text, "sourdough"), text.cursor());
    assert!(parts(&text) > 1);
    assert!(text.condense(&|| false).unwrap());
    assert_eq!(parts(&text), 1);
    assert_eq!((find(&text, "sourdough"), text.cursor()), before);
    assert!(
        !text.condense(&|| false).unwrap(),
        "there is nothing left to merge"
    );
    // What a power cut leaves now is the merged index.
    let copy = copied(folder.path());
    drop(text);
    let again = open(copy.path()).unwrap();
    assert_eq!((find(&again, "sourdough"), again.cursor()), before);
    assert_eq!((parts(&again), again.was_reset()), (1, false));
}

/// The engine loses it if its number is that of the last commit, in a part in which that commit
/// deleted something.
#[test]
fn the_first_change_after_opening_outlives_a_merge() {
    let (folder, index) = index(&[doc(1, "", "granite", &[]), doc(2, "", "violin", &[])]);
    index.flush().unwrap();
    let pair = [doc(3, "", "harbour", &[]), doc(4, "", "orchard", &[])];
    index.apply(&pair, &[], 2).unwrap();
    index.flush().unwrap();
    index.apply(&[], &[Slot(3)], 3).unwrap();
    index.flush().unwrap();
    drop(index);
    for is_turned in [false, true] {
        let folder = copied(folder.path());
        let index = open(folder.path()).unwrap();
        let searcher = index.reader.searcher();
        let parts = searcher.segment_readers().iter();
        let mut parts: Vec<_> = parts.map(tantivy::SegmentReader::segment_id).collect();
        if is_turned {
            parts.reverse();
        }
        index
            .apply(&[doc(4, "", "telescope", &[])], &[], 4)
            .unwrap();
        let merged = index.lock().engine.merge(&parts).wait().unwrap();
        assert_eq!(parts.len(), 2, "two parts");
        assert!(merged.is_some(), "became one");
        assert_eq!(find(&index, "orchard "), Vec::<u64>::new());
        assert_eq!(find(&index, "telescope "), [4]);
        assert_eq!(find(&index, "granite "), [1]);
    }
}

#[test]
fn a_position_without_changes_is_saved_when_it_is_far() {
    let (folder, index) = index(&[doc(1, "", "kept", &[])]);
    index.flush().unwrap();
    for (applied, saved) in [(500, 1), (1 + UNSAVED_MAX, 1 + UNSAVED_MAX)] {
        index.apply(&[], &[], applied).unwrap();
        index.flush().unwrap();
        assert_eq!(index.cursor(), applied, "nothing is missing");
        let copy = copied(folder.path());
        assert_eq!(open(copy.path()).unwrap().cursor(), saved);
    }
}

#[test]
fn words_lie_nowhere_in_plain() {
    let (folder, index) = index(&[doc(1, "Zanzibarese", "quixotically", &["xylophonic"])]);
    index.flush().unwrap();
    let mut files = 0;
    for entry in std::fs::read_dir(folder.path()).unwrap() {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap();
        for plain in ["zanzibar", "quixot", "xylophon", "segment", "brain-text"] {
            let plain = plain.as_bytes();
            let is_there = bytes.windows(plain.len()).any(|part| part == plain);
            assert!(!is_there, "{}", String::from_utf8_lossy(plain));
        }
        files += usize::from(!bytes.is_empty());
    }
    assert!(files > 5, "there is an index");
    assert_eq!(find(&index, "quixotically "), [1]);
}

#[test]
fn a_damaged_index_is_mended_by_starting_again() {
    let docs: Vec<TextDoc> = (0..200).map(|slot| doc(slot, "", "kept", &[])).collect();
    let (folder, index) = index(&docs);
    index.flush().unwrap();
    for entry in std::fs::read_dir(folder.path()).unwrap() {
        let path = entry.unwrap().path();
        let mut bytes = std::fs::read(&path).unwrap();
        for byte in bytes.iter_mut().skip(20) {
            *byte ^= 0x40;
        }
        std::fs::write(&path, bytes).unwrap();
    }
    // What is in memory answers; what is not is an error, not a wrong answer.
    if let Ok(found) = index.search(&TextQuery::parse("kept "), None, None, 10) {
        assert_eq!(found.scores().count(), 10);
    }
    index.clear().unwrap();
    index.apply(&docs, &[], 1).unwrap();
    assert_eq!(find(&index, "kept ").len(), 100);
    index.flush().unwrap();
    drop(index);
    assert_eq!(open(folder.path()).unwrap().len(), 200);
}

#[test]
fn an_index_whose_folder_was_deleted_is_mended_by_starting_again() {
    let docs = [doc(1, "", "kept", &[])];
    let (folder, index) = index(&docs);
    index.flush().unwrap();
    std::fs::remove_dir_all(folder.path()).unwrap();
    index.clear().unwrap();
    index.apply(&docs, &[], 1).unwrap();
    assert_eq!(find(&index, "kept "), [1]);
    index.flush().unwrap();
    drop(index);
    assert_eq!(open(folder.path()).unwrap().len(), 1);
}

#[test]
fn a_second_opening_is_told_that_the_folder_is_in_use() {
    let (folder, index) = index(&[doc(1, "", "kept", &[])]);
    assert!(matches!(open(folder.path()), Err(TextError::Locked)));
    assert_eq!(find(&index, "kept "), [1]);
    index.flush().unwrap();
    drop(index);
    assert_eq!(find(&open(folder.path()).unwrap(), "kept "), [1]);
}

#[test]
fn a_damaged_folder_is_emptied_and_says_so() {
    fn check(damage: impl Fn(&Path)) {
        let (folder, index) = index(&[doc(1, "", "kept", &[])]);
        index.flush().unwrap();
        drop(index);
        damage(folder.path());
        let after = open(folder.path()).unwrap();
        assert_eq!(
            (after.was_reset(), after.cursor(), after.len()),
            (true, 0, 0)
        );
        after.apply(&[doc(2, "", "new", &[])], &[], 9).unwrap();
        assert_eq!(find(&after, "new "), [2]);
    }
    let segment_files = |folder: &Path| -> Vec<_> {
        let paths = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().path());
        paths
            .filter(|path| path.extension().is_some_and(|e| e == "term" || e == "idx"))
            .collect()
    };
    check(|folder| std::fs::write(folder.join("meta.json"), "{").unwrap());
    check(|folder| std::fs::remove_file(folder.join("meta.json")).unwrap());
    check(|folder| {
        for path in segment_files(folder) {
            std::fs::remove_file(path).unwrap();
        }
    });
    check(|folder| {
        for path in segment_files(folder) {
            let mut bytes = std::fs::read(&path).unwrap();
            bytes[0] ^= 0x40;
            std::fs::remove_file(&path).unwrap();
            std::fs::write(&path, bytes).unwrap();
        }
    });
    check(|folder| {
        let sealed = SealedDirectory::new(folder, Arc::new(cipher(Context::TextIndex)));
        let meta = sealed.atomic_read(Path::new("meta.json")).unwrap();
        let old = String::from_utf8(meta).unwrap();
        let old = old.replace("brain-text-4", "brain-text-3");
        let written = sealed.atomic_write(Path::new("meta.json"), old.as_bytes());
        written.and_then(|()| sealed.save()).unwrap();
    });
}

#[test]
fn a_hidden_document_has_no_influence() {
    let seen = [
        doc(1, "", "pear apple apple", &[]),
        doc(2, "", "pear pear apple and more", &[]),
    ];
    let mut all = seen.to_vec();
    all.extend((3..40).map(|slot| doc(slot, "apple", "apple applesauce tomato", &["apple"])));
    let (_folder, full) = index(&all);
    let (_other, only) = index(&seen);
    let both: SlotSet = [Slot(1), Slot(2)].into_iter().collect();
    // "tomatoo" and "apples" would mean something else if hidden words counted as found.
    for query in [
        "apple pear ",
        "apple",
        "appl*",
        "\"pear apple\"",
        "tomato ",
        "pera ",
        "tomatoo ",
    ] {
        let query = TextQuery::parse(query);
        let alone: SlotSet = [Slot(1), Slot(2)].into_iter().collect();
        assert_eq!(
            hits(&full, &query, Some(&both), 10),
            hits(&only, &query, Some(&alone), 10),
        );
    }
}

#[test]
fn a_few_new_documents_are_found_without_a_commit_and_count_as_with_one() {
    let (_folder, index) = index(&[doc(1, "", "pear", &[]), doc(2, "", "pear apple", &[])]);
    index.flush().unwrap();
    let even: SlotSet = (0..20).map(|half| Slot(2 * half)).collect();
    for slot in 3..20 {
        let times = usize::try_from(slot).unwrap();
        let put = doc(slot, "", &"apple ".repeat(times), &["fruit"]);
        index.apply(&[put], &[], slot).unwrap();
        if slot == 12 {
            // Not shown by a commit yet either.
            index
                .apply(&[doc(11, "", "pear", &[])], &[Slot(10)], slot)
                .unwrap();
        }
        let query = TextQuery::parse("appel fruit ");
        let found = hits(&index, &query, None, 50).len() as u64;
        assert_eq!(found, index.len() - if slot < 12 { 1 } else { 2 });
    }
    let found = || {
        let queries = [
            "apple",
            "pear ",
            "appl",
            "aple ",
            "\"apple apple\"",
            "fruit pear ",
        ];
        let both = queries.map(|query| {
            let query = TextQuery::parse(query);
            let all = hits(&index, &query, None, 50);
            (all, hits(&index, &query, Some(&even), 50))
        });
        (both, index.len())
    };
    let (before, commits) = (found(), || index.reader.searcher().num_docs());
    assert_eq!((commits(), before.1), (2, 18));
    index.flush().unwrap();
    assert_eq!((commits(), found()), (18, before));
}

#[test]
fn concurrent_searches_see_the_write_and_share_its_commit() {
    let (_folder, index) = index(&[]);
    for slot in 1..6 {
        index
            .apply(&[doc(slot, "", "shared", &[])], &[], slot)
            .unwrap();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    assert!((1..=slot).all(|slot| find(&index, "shared ").contains(&slot)));
                });
            }
        });
    }
}

#[derive(Debug, Clone)]
enum Step {
    Put(u64, Vec<usize>),
    Delete(u64),
    Search,
    Flush,
}

const VOCABULARY: [&str; 8] = [
    "amber", "birch", "cedar", "dahlia", "elder", "fern", "gorse", "hazel",
];

fn step() -> impl Strategy<Value = Step> {
    let words = prop::collection::vec(0..VOCABULARY.len(), 0..6);
    prop_oneof![
        5 => (0u64..12, words).prop_map(|(slot, words)| Step::Put(slot, words)),
        2 => (0u64..12).prop_map(Step::Delete),
        2 => Just(Step::Search),
        1 => Just(Step::Flush),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn a_filtered_search_equals_brute_force_and_a_rebuild_equals_the_increments(
        steps in prop::collection::vec(step(), 1..25),
        allowed in prop::collection::btree_set(0u64..12, 0..12),
    ) {
        let (_folder, incremental) = index(&[]);
        let mut truth: BTreeMap<u64, BTreeSet<usize>> = BTreeMap::new();
        let mut docs = BTreeMap::new();
        for (cursor, step) in (2..).zip(steps) {
            match step {
                Step::Put(slot, words) => {
                    let body: Vec<_> = words.iter().map(|word| VOCABULARY[*word]).collect();
                    let put = doc(slot, "", &body.join(" "), &[]);
                    incremental.apply(std::slice::from_ref(&put), &[], cursor).unwrap();
                    truth.insert(slot, words.into_iter().collect());
                    docs.insert(slot, put);
                }
                Step::Delete(slot) => {
                    incremental.apply(&[], &[Slot(slot)], cursor).unwrap();
                    truth.remove(&slot);
                    docs.remove(&slot);
                }
                Step::Search => {
                    let found: BTreeSet<u64> = find(&incremental, "birch ").into_iter().collect();
                    let has = truth.iter().filter(|(_, words)| words.contains(&1));
                    prop_assert_eq!(found, has.map(|(slot, _)| *slot).collect());
                }
                Step::Flush => incremental.flush().unwrap(),
            }
        }
        let (_other, rebuilt) = index(&docs.into_values().collect::<Vec<_>>());
        rebuilt.flush().unwrap();
        let set: SlotSet = allowed.iter().copied().map(Slot).collect();
        for (number, word) in VOCABULARY.iter().enumerate() {
            let query = TextQuery::parse_whole_words(word);
            let made = hits(&incremental, &query, Some(&set), 100);
            let found: BTreeSet<u64> = made.iter().map(|hit| hit.slot.0).collect();
            let expect: BTreeSet<u64> = truth.iter()
                .filter(|(slot, words)| allowed.contains(slot) && words.contains(&number))
                .map(|(slot, _)| *slot).collect();
            prop_assert_eq!(&found, &expect);
            prop_assert_eq!(made, hits(&rebuilt, &query, Some(&set), 100));
        }
    }
}
