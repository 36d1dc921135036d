//! Edits: what they change, what they refuse, and edits against an older state.

use super::*;
use crate::memory::limits::{BODY_BYTES_MAX, DEPENDENCIES_MAX};

#[test]
fn every_field_can_be_edited_and_repeating_changes_nothing() {
    let mut document = document();
    let link = Link {
        to: MemoryId([4; 32]),
        relation: "answers".to_owned(),
    };
    let all = Edit {
        title: Some("A walk in the snow".to_owned()),
        body: Some(BodyEdit::Replace("It snowed.".to_owned())),
        add_tags: ["snow".to_owned()].into(),
        remove_tags: ["rain".to_owned()].into(),
        add_links: [link.clone()].into(),
        remove_links: sample().links,
        add_attachments: vec![attachment(2), attachment(3)],
        remove_attachments: [attachment(1).hash].into(),
        status: Some(Status::Forgotten),
        kind: Some(MemoryKind::Task),
        source: Some(SourceEdit::Clear),
    };
    let change = edit(&mut document, 1, &all);
    assert_eq!((change.seq, document.heads()), (1, vec![change.hash]));
    let expect = Content {
        kind: MemoryKind::Task,
        title: "A walk in the snow".to_owned(),
        body: "It snowed.".to_owned(),
        tags: ["outdoors", "snow"].map(str::to_owned).into(),
        links: [link].into(),
        source: None,
        attachments: vec![attachment(2), attachment(3)],
        status: Status::Forgotten,
        created: sample().created,
    };
    assert_eq!(document.content(), expect);
    let writer = writer(&document, 1);
    assert_eq!(document.edit(&writer, None, &all).unwrap(), None);
    assert_eq!(
        document.edit(&writer, None, &Edit::default()).unwrap(),
        None
    );
    assert_eq!(document.heads(), [change.hash]);
}

#[test]
fn concurrent_edits_of_one_text_both_stay() {
    let (mut one, mut two) = (document(), document());
    let first = edit(&mut one, 1, &body(&sample().body.replace("noon", "dawn")));
    let second = edit(
        &mut two,
        2,
        &body(&sample().body.replace("nobody", "no one")),
    );
    admit(&mut one, 2, &second).unwrap();
    admit(&mut two, 1, &first).unwrap();
    let expect = sample()
        .body
        .replace("noon", "dawn")
        .replace("nobody", "no one");
    assert_eq!(one.content().body, expect);
    assert_eq!(two.content(), one.content());
    assert_eq!(two.heads(), one.heads());
}

#[test]
fn an_edit_against_an_older_state_overwrites_nothing() {
    let mut document = document();
    let base = document.heads();
    edit(
        &mut document,
        2,
        &body(&sample().body.replace("noon", "dawn")),
    );
    let text = sample().body.replace("nobody", "no one");
    let late = document
        .edit(&writer(&document, 1), Some(&base), &body(&text))
        .unwrap()
        .unwrap();
    assert_eq!(late.deps, base);
    // Again on the same base, by the same writer: it now stands on its own first edit as well.
    let text = sample().body.replace("We", "They").replace("went", "ran");
    let later = document
        .edit(&writer(&document, 1), Some(&base), &body(&text))
        .unwrap()
        .unwrap();
    assert!(later.deps.contains(&late.hash));
    assert_eq!((late.seq, later.seq), (1, 2));
    let expect = sample()
        .body
        .replace("noon", "dawn")
        .replace("nobody", "no one")
        .replace("We went", "They ran");
    assert_eq!(document.content().body, expect);
}

#[test]
fn two_windows_that_delete_the_same_words_delete_them_once() {
    let mut document = document();
    let base = document.heads();
    edit(&mut document, 1, &splice(0, 3, ""));
    let writer = writer(&document, 1);
    document
        .edit(&writer, Some(&base), &splice(0, 8, "Out"))
        .unwrap();
    assert!(
        document.content().body.starts_with("Outout at noon"),
        "{}",
        document.content().body
    );
}

#[test]
fn edits_that_cannot_be_made_say_why() {
    let mut document = document();
    let check = |document: &mut Document, edit: &Edit, expect: &str| {
        let (writer, before) = (writer(document, 1), document.save());
        let error = document.edit(&writer, None, edit).unwrap_err();
        assert!(error.to_string().contains(expect), "{error}");
        assert_eq!(document.save(), before);
    };
    check(
        &mut document,
        &splice(1_000, 0, "x"),
        "are not in the text of",
    );
    check(
        &mut document,
        &splice(usize::MAX, usize::MAX, "x"),
        "are not in the text of",
    );
    check(
        &mut document,
        &body(&"x".repeat(BODY_BYTES_MAX + 1)),
        "the limit is 262144",
    );
    let empty = Edit {
        add_tags: [String::new()].into(),
        ..Edit::default()
    };
    check(&mut document, &empty, "a tag is empty");
    let mut behind = writer(&document, 1);
    behind.last_seq = 1;
    let error = document.edit(&behind, None, &body("x")).unwrap_err();
    assert!(matches!(
        error,
        EditError::OutOfStep {
            known: 0,
            claimed: 1
        }
    ));
    let writer = writer(&document, 1);
    let unknown = [ChangeHash([1; 32])];
    let error = document
        .edit(&writer, Some(&unknown), &body("x"))
        .unwrap_err();
    assert!(matches!(error, EditError::UnknownBase(_)));
    let error = document.edit(&writer, Some(&[]), &body("x")).unwrap_err();
    assert!(matches!(error, EditError::NoBase));
}

#[test]
fn a_full_body_can_be_written_and_a_long_one_rewritten() {
    let mut document = document();
    let mut reader = document.clone();
    for text in ["word ".repeat(4_000), "else,".repeat(BODY_BYTES_MAX / 5)] {
        let change = edit(&mut document, 1, &body(&text));
        admit(&mut reader, 1, &change).unwrap();
        assert_eq!(reader.content().body, text);
        assert_eq!(reader.content(), document.content());
    }
}

#[test]
fn a_restored_device_starts_a_new_chain() {
    let mut document = document();
    edit(&mut document, 1, &splice(0, 0, "a"));
    let fresh = Writer {
        device: device(1),
        incarnation: [1; 16],
        last_seq: 0,
    };
    let change = document
        .edit(&fresh, None, &splice(0, 0, "b"))
        .unwrap()
        .unwrap();
    assert_eq!((change.seq, change.incarnation), (1, [1; 16]));
    assert!(document.content().body.starts_with("ba"));
}

#[test]
fn more_heads_than_a_change_may_name_are_joined_step_by_step() {
    let mut all = document();
    for number in 0..30 {
        let mut one = document();
        let change = edit(&mut one, number, &splice(0, 0, &format!("{number} ")));
        admit(&mut all, number, &change).unwrap();
    }
    assert_eq!(all.heads().len(), 30);
    for _ in 0..4 {
        let change = edit(&mut all, 29, &splice(0, 0, "x"));
        assert!(change.deps.len() <= DEPENDENCIES_MAX);
    }
    assert_eq!(all.heads().len(), 1);
}
