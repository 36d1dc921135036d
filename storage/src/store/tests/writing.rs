//! Writing, failing, restarting, rebuilding.

use super::*;
use crate::kv::Scan;
use crdt::memory::{BodyEdit, SourceEdit, Status};
use std::collections::BTreeSet;

fn body(text: &str) -> Edit {
    Edit {
        body: Some(BodyEdit::Replace(text.to_owned())),
        ..Edit::default()
    }
}

fn status(status: Status) -> Edit {
    Edit {
        status: Some(status),
        ..Edit::default()
    }
}

#[test]
fn a_memory_is_found_as_soon_as_it_is_kept_and_as_it_changes() {
    let bench = Bench::new(1);
    let memory = bench.create("a walk along the harbour");
    assert_eq!(bench.find("harbour"), [memory]);
    bench.change(memory, body("a walk along the canal"));
    assert!(bench.find("harbour").is_empty());
    assert_eq!(bench.find("canal"), [memory]);
}

#[test]
fn a_memory_without_edits_is_kept_in_the_log_alone() {
    let bench = Bench::new(1);
    let memory = bench.create("text");
    let rows = || [layout::DOCUMENT, layout::CONTENT].map(|keyspace| bench.rows(keyspace));
    let text = || bench.store().content(memory).unwrap().unwrap().body;
    assert_eq!((rows(), text().as_str()), ([0, 0], "text"));
    assert!(bench.change(memory, body("other text")).changed);
    assert_eq!((rows(), text().as_str()), ([1, 1], "other text"));
}

#[test]
fn several_contents_are_those_of_each_in_the_order_asked() {
    let bench = Bench::new(1);
    let [first, changed, purged, last] = ["a", "b", "c", "d"].map(|text| bench.create(text));
    bench.change(changed, body("other text"));
    bench.purge(purged);
    let asked = [last, MemoryId([9; 32]), changed, purged, first, last];
    let found = bench.store().contents(&asked).unwrap().into_iter();
    let texts: Vec<_> = found
        .map(|content| content.map(|one| one.body.clone()))
        .collect();
    let expect = [
        Some("d"),
        None,
        Some("other text"),
        None,
        Some("a"),
        Some("d"),
    ];
    assert_eq!(texts, expect.map(|text| text.map(str::to_owned)));
}

#[test]
fn a_text_that_was_read_before_is_not_given_out_once_it_changed_or_is_gone() {
    let bench = Bench::new(1);
    let memories = ["a", "b", "c"].map(|text| bench.create(text));
    let texts = || {
        let found = bench.store().contents(&memories).unwrap().into_iter();
        let texts = found.map(|content| content.map(|one| one.body.clone()));
        texts.map(Option::unwrap_or_default).collect::<Vec<_>>()
    };
    let kept = || memories.map(|memory| bench.store().opened.of(memory).is_some());
    assert_eq!(
        (texts(), kept()),
        (vec!["a".into(), "b".into(), "c".into()], [true; 3])
    );
    bench.change(memories[0], body("other text"));
    bench.purge(memories[1]);
    assert_eq!(kept(), [false, false, true]);
    assert_eq!(texts(), ["other text", "", "c"]);
    assert_eq!(kept(), [false, false, true]);
}

#[test]
fn an_edited_memory_whose_text_is_lost_does_not_say_what_it_said_before() {
    let bench = Bench::new(1);
    let memory = bench.create("text");
    bench.change(memory, body("other text"));
    let mut batch = Batch::new();
    batch.delete_all(layout::CONTENT);
    bench.store().kv.commit(batch, Durability::Durable).unwrap();
    assert_eq!(bench.store().content(memory).unwrap(), None);
    bench.store().rebuild(Timestamp(0)).unwrap();
    let content = bench.store().content(memory).unwrap().unwrap();
    assert_eq!(content.body, "other text");
}

#[test]
fn an_edit_on_an_older_base_merges() {
    let bench = Bench::new(1);
    let memory = bench.create("one two three");
    let heads = |state: &State| state.memories[&memory].heads();
    let base = bench.store().read(heads);
    assert!(!bench.change(memory, body("zero one two three")).merged);
    let mut edit = MemoryEdit {
        content: body("one two three four"),
        base: Some(base),
        ..MemoryEdit::default()
    };
    assert!(bench.edit(memory, &edit).unwrap().merged);
    let content = bench.store().content(memory).unwrap().unwrap();
    assert_eq!(content.body, "zero one two three four");
    edit.base = Some(vec![EventId([1; 32])]);
    let unknown = bench.edit(memory, &edit);
    assert!(matches!(unknown, Err(WriteError::UnknownBase(_))));
}

#[test]
fn an_edit_that_changes_nothing_appends_nothing() {
    let bench = Bench::new(1);
    let memory = bench.create("text");
    let before = bench.rows_of_all();
    let outcome = bench.change(memory, body("text"));
    assert!(!outcome.changed && !outcome.merged);
    assert_eq!(bench.rows_of_all(), before);
}

#[test]
fn forgetting_and_hiding_take_a_memory_out_of_the_search_and_back() {
    let bench = Bench::new(1);
    let memory = bench.create("harbour");
    bench.change(memory, status(Status::Forgotten));
    assert!(bench.find("harbour").is_empty());
    bench.change(memory, status(Status::Active));
    assert_eq!(bench.find("harbour"), [memory]);
    for hidden in [true, false] {
        let patch = SidecarPatch {
            hidden: Some(hidden),
            ..SidecarPatch::default()
        };
        assert!(bench.label(memory, patch.clone()).changed);
        assert!(!bench.label(memory, patch).changed, "it was said already");
        assert_eq!(bench.find("harbour").is_empty(), hidden);
    }
}

#[test]
fn a_purge_leaves_no_key_and_no_text() {
    let bench = Bench::new(1);
    let memory = bench.keep(|content| {
        content.body = "harbour".to_owned();
        content.source = Some("file:harbour.md".to_owned());
    });
    bench.change(memory, body("harbour again"));
    bench.purge(memory);
    assert_eq!(bench.store().content(memory).unwrap(), None);
    assert!(bench.find("harbour").is_empty());
    for keyspace in [layout::KEY, layout::DOCUMENT] {
        assert_eq!(bench.rows(keyspace), 0, "{keyspace:?}");
    }
    let mark = bench
        .store()
        .kv
        .scan(layout::CONTENT, &Scan::all())
        .unwrap();
    let values: Vec<_> = mark
        .items
        .iter()
        .map(|item| item.value.as_slice())
        .collect();
    assert_eq!(values, [content::PURGED]);
    assert!(!bench.snapshot().contains("harbour"));
    let again = bench.edit(memory, &MemoryEdit::default());
    assert!(matches!(again, Err(WriteError::Unknown(_))));
}

#[test]
fn a_source_names_the_memory_that_has_it_now() {
    let bench = Bench::new(1);
    let memory = bench.keep(|content| content.source = Some("file:a#b3:1".to_owned()));
    let sources = || bench.store().read(|state| state.sources.clone());
    assert_eq!(sources().get("file:a"), Some(memory));
    bench.change(
        memory,
        Edit {
            source: Some(SourceEdit::Set("file:b".to_owned())),
            ..Edit::default()
        },
    );
    assert_eq!(sources().get("file:b"), Some(memory));
    assert_eq!(sources().len(), 1);
}

#[derive(Debug)]
struct Stop;

impl From<StoreError> for Stop {
    fn from(_: StoreError) -> Self {
        Self
    }
}

#[test]
fn a_transaction_that_fails_leaves_nothing() {
    let bench = Bench::new(1);
    let other = Bench::new(2);
    bench.pair(&other);
    other.pair(&bench);
    let memory = bench.keep(|content| content.source = Some("file:a".to_owned()));
    let purged = bench.keep(|content| content.source = Some("file:b".to_owned()));
    let grant = bench.share(&other);
    let (before, rows) = (bench.snapshot(), bench.rows_of_all());
    let outcome: Result<(), Stop> = bench.store().transact(NOW, |tx| {
        let mut content = Content::new(MemoryKind::Note, NOW);
        content.body = "harbour".to_owned();
        content.tags = BTreeSet::from(["t".to_owned()]);
        content.source = Some("file:a".to_owned());
        let made = tx.create(&content, &SidecarPatch::default()).unwrap();
        tx.disclose(other.me(), &[EventId(made.0)], &[(grant, made)])
            .unwrap();
        let edit = MemoryEdit {
            content: Edit {
                source: Some(SourceEdit::Set("file:c".to_owned())),
                ..body("harbour")
            },
            ..MemoryEdit::default()
        };
        tx.edit(memory, &edit).unwrap();
        tx.purge(purged).unwrap();
        tx.revoke(grant, String::new()).unwrap();
        tx.unpair(other.me());
        Err(Stop)
    });
    assert!(outcome.is_err());
    assert_eq!(bench.snapshot(), before);
    assert_eq!(bench.rows_of_all(), rows);
    assert!(bench.find("harbour").is_empty());
}

/// A store with a bit of everything.
fn lived_in() -> (Bench, Bench) {
    let (bench, other) = (Bench::new(1), Bench::new(2));
    bench.pair(&other);
    other.pair(&bench);
    let memory = bench.keep(|content| {
        content.body = "harbour".to_owned();
        content.tags = BTreeSet::from(["t".to_owned()]);
        content.source = Some("file:a".to_owned());
    });
    bench.change(memory, body("harbour and canal"));
    let gone = bench.create("gone");
    bench.change(gone, body("gone for good"));
    bench.purge(gone);
    let grant = bench.share(&other);
    bench.disclose(&other, grant, memory);
    bench.label(
        memory,
        SidecarPatch {
            space: Some("work".to_owned()),
            ..SidecarPatch::default()
        },
    );
    let second = bench.share(&other);
    let revoked = bench
        .store()
        .transact(NOW, |tx| tx.revoke(second, "enough".to_owned()));
    assert_eq!(revoked.unwrap(), 1);
    (bench, other)
}

#[test]
fn a_restart_gives_the_same_state() {
    let (mut bench, _other) = lived_in();
    let found = bench.find("canal");
    assert_eq!(found.len(), 1);
    // Not flushed by a search: the text index has to catch up.
    let late = bench.create("late harbour");
    let before = bench.snapshot();
    for _ in 0..2 {
        bench.reopen();
        assert_eq!(bench.snapshot(), before);
        assert_eq!(bench.find("canal"), found);
        assert_eq!(bench.find("late"), [late]);
    }
}

#[test]
fn the_latest_time_is_known_after_a_restart() {
    let mut bench = Bench::new(1);
    let memory = bench.create("a note");
    let later = NOW.plus_ms(10 * 86_400_000);
    let edit = MemoryEdit {
        content: Edit {
            title: Some("later".into()),
            ..Edit::default()
        },
        ..MemoryEdit::default()
    };
    let store = bench.store();
    store.transact(later, |tx| tx.edit(memory, &edit)).unwrap();
    bench.reopen();
    assert_eq!(bench.store().read(|state| state.wall), later);
    // The person can say that it was the later time which was wrong.
    let accepted = bench.store().transact::<_, StoreError>(NOW, |tx| {
        tx.accept_clock();
        Ok(())
    });
    accepted.unwrap();
    bench.reopen();
    assert_eq!(bench.store().read(|state| state.wall), NOW);
}

#[test]
fn a_rebuild_gives_the_same_state() {
    let (mut bench, _other) = lived_in();
    let (before, rows) = (bench.snapshot(), bench.rows_of_all());
    let found = bench.find("canal");
    bench.store().rebuild(NOW).unwrap();
    assert_eq!(bench.snapshot(), before);
    assert_eq!(bench.rows_of_all(), rows);
    assert_eq!(bench.find("canal"), found);
    bench.reopen();
    assert_eq!(bench.snapshot(), before);
}

#[test]
fn a_rebuild_that_was_cut_short_begins_again() {
    let (mut bench, _other) = lived_in();
    let (before, found) = (bench.snapshot(), bench.find("canal"));
    let mut batch = Batch::new();
    batch.delete_all(layout::FACTS);
    batch.put(
        layout::META,
        layout::meta::FORMAT,
        vec![layout::FORMAT_VERSION, 0],
    );
    bench.kv.commit(batch, Durability::Durable).unwrap();
    bench.reopen();
    assert_eq!(bench.snapshot(), before);
    assert_eq!(bench.find("canal"), found);
}

#[test]
fn writing_goes_on_after_a_restart() {
    let mut bench = Bench::new(1);
    let memory = bench.create("one");
    bench.change(memory, body("one two"));
    bench.reopen();
    bench.change(memory, body("one two three"));
    bench.store().rebuild(NOW).unwrap();
    let content = bench.store().content(memory).unwrap().unwrap();
    assert_eq!(content.body, "one two three");
}

#[test]
fn a_jotted_transaction_may_be_lost_but_not_what_it_appends() {
    let mut bench = Bench::new(1);
    let content = Content::new(MemoryKind::Note, NOW);
    let created = bench
        .store()
        .jot::<_, WriteError>(NOW, |tx| tx.create(&content, &SidecarPatch::default()));
    let later = Timestamp(NOW.0 + 7 * 24 * 3_600_000);
    bench
        .store()
        .jot::<_, StoreError>(later, |tx| {
            tx.accept_clock();
            Ok(())
        })
        .unwrap();
    assert_eq!(bench.store().read(|state| state.wall), later);
    bench.disk.power_cut(0);
    bench.reopen();
    let memory = created.unwrap();
    assert!(bench.store().content(memory).unwrap().is_some());
    assert!(
        bench.store().read(|state| state.wall) < later,
        "it was not synced"
    );
}
