//! Contents: encoding, limits, and the bytes that a root materialises to.

use super::*;
use crate::codec::{Canonical as _, DecodeError};
use crate::memory::limits::{BODY_BYTES_MAX, TAG_BYTES_MAX, TAGS_MAX, TITLE_BYTES_MAX};

/// The change that [`sample`] materialises to. If an upgrade of Automerge changes it, nodes of
/// different versions no longer merge first edits: it must not change.
const GOLDEN: &str = include_str!("golden_root.hex");

fn root_bytes(document: &Document) -> Vec<u8> {
    let changes = document.automerge.get_changes(&[]);
    changes.first().unwrap().raw_bytes().to_vec()
}

#[test]
fn a_root_materialises_to_the_golden_bytes() {
    let hex = data_encoding::HEXLOWER.encode(&root_bytes(&document()));
    assert_eq!(hex, GOLDEN.trim());
    assert_eq!(document().heads(), document().heads());
}

#[test]
fn the_content_comes_back_from_the_document_and_its_snapshot() {
    let document = document();
    assert_eq!(document.content(), sample());
    let restored = Document::restore(MEMORY, &document.save()).unwrap();
    assert_eq!(restored.content(), sample());
    assert_eq!(restored.heads(), document.heads());
    let other = Document::restore(MemoryId([8; 32]), &document.save());
    assert!(matches!(other, Err(RestoreError::OtherMemory)));
    let mut damaged = document.save();
    let middle = damaged.len() / 2;
    damaged[middle] ^= 1;
    assert!(matches!(
        Document::restore(MEMORY, &damaged),
        Err(RestoreError::Unreadable(_))
    ));
}

#[test]
fn a_content_encodes_in_one_way() {
    let bytes = sample().to_bytes();
    assert_eq!(Content::from_bytes(&bytes), Ok(sample()));
    let mut newer = bytes.clone();
    newer[0] = 2;
    let unknown = DecodeError::Unknown {
        what: "content version",
        found: 2,
    };
    assert_eq!(Content::from_bytes(&newer), Err(unknown));
    // Two tags in the other order.
    let (one, two) = (b"outdoors".as_slice(), b"rain".as_slice());
    let at = bytes.windows(8).position(|window| window == one).unwrap() - 4;
    let swapped = [&[4, 0, 0, 0], two, &[8, 0, 0, 0], one].concat();
    let mut unordered = bytes.clone();
    unordered.splice(at..at + swapped.len(), swapped);
    assert_eq!(
        Content::from_bytes(&unordered),
        Err(DecodeError::NotCanonical("tags"))
    );
    // A cut at any place is an error, never a panic.
    for end in 0..bytes.len() {
        assert!(Content::from_bytes(&bytes[..end]).is_err());
    }
}

#[test]
fn limits_hold_for_contents() {
    let check = |change: fn(&mut Content), fits: bool| {
        let mut content = sample();
        change(&mut content);
        assert_eq!(content.check().is_ok(), fits);
        assert_eq!(Content::from_bytes(&content.to_bytes()).is_ok(), fits);
        assert_eq!(Document::materialise(MEMORY, &content).is_ok(), fits);
    };
    check(|content| content.title = "x".repeat(TITLE_BYTES_MAX), true);
    check(
        |content| content.title = "x".repeat(TITLE_BYTES_MAX + 1),
        false,
    );
    check(
        |content| content.body = "x".repeat(BODY_BYTES_MAX + 1),
        false,
    );
    check(
        |content| content.tags = (0..TAGS_MAX).map(|n| n.to_string()).collect(),
        true,
    );
    check(
        |content| content.tags = (0..=TAGS_MAX).map(|n| n.to_string()).collect(),
        false,
    );
    check(
        |content| content.tags = ["x".repeat(TAG_BYTES_MAX + 1)].into(),
        false,
    );
    check(|content| content.tags = [String::new()].into(), false);
    check(|content| content.attachments.push(attachment(1)), false);
    check(|content| content.created = Timestamp(u64::MAX), false);
}

#[test]
fn kinds_and_statuses_have_one_text_form() {
    for kind in MemoryKind::ALL {
        assert_eq!(kind.to_string().parse(), Ok(*kind));
        assert_eq!(MemoryKind::from_bytes(&kind.to_bytes()), Ok(*kind));
    }
    assert_eq!("forgotten".parse(), Ok(Status::Forgotten));
    assert!("Note".parse::<MemoryKind>().is_err());
}
