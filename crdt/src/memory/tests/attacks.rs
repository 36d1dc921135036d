//! Each attack on Automerge that was seen to work, and what the gate says to it.

use super::*;
use crate::memory::limits::{BATCH_BYTES_MAX, CHANGE_BYTES_MAX};
use automerge::legacy::Change as Expanded;
use automerge::marks::{ExpandMark, Mark};
use automerge::transaction::Transactable as _;
use automerge::{ObjType, ROOT, ReadDoc as _, ScalarValue};
use sha2::{Digest as _, Sha256};
use std::num::NonZeroU64;

/// Packs the data of a chunk with a right length and checksum.
pub(super) fn chunk(kind: u8, data: &[u8]) -> Vec<u8> {
    let mut hashed = vec![kind];
    let mut length = data.len();
    while length >= 0x80 {
        hashed.push(u8::try_from(length & 0x7f).unwrap() | 0x80);
        length >>= 7;
    }
    hashed.push(u8::try_from(length).unwrap());
    hashed.extend_from_slice(data);
    let mut bytes = vec![0x85, 0x6f, 0x4a, 0x83];
    bytes.extend_from_slice(&Sha256::digest(&hashed)[..4]);
    bytes.extend(hashed);
    bytes
}

/// Returns the data inside a chunk.
pub(super) fn data(bytes: &[u8]) -> &[u8] {
    let length = bytes[9..]
        .iter()
        .take_while(|byte| *byte & 0x80 != 0)
        .count()
        + 1;
    &bytes[9 + length..]
}

fn tampered(bytes: &[u8], tamper: impl FnOnce(&mut Expanded)) -> Vec<u8> {
    let mut expanded = automerge::Change::from_bytes(bytes.to_vec())
        .unwrap()
        .decode();
    tamper(&mut expanded);
    automerge::Change::from(expanded).raw_bytes().to_vec()
}

/// A document, and a change of device 1 that it would admit.
fn scene() -> (Document, Vec<u8>) {
    let document = document();
    let change = edit(&mut document.clone(), 1, &body("We stayed in."));
    (document, change.bytes)
}

/// Checks that bytes are refused by name and leave the document as it was.
fn check(document: &mut Document, bytes: &[u8], code: &str) {
    let before = (document.save(), document.content(), document.heads());
    let refusal = document.admit(device(1), INCARNATION, bytes).unwrap_err();
    assert_eq!(refusal.code(), code, "{refusal}");
    assert_eq!(
        (document.save(), document.content(), document.heads()),
        before
    );
}

fn check_tampered(code: &str, tamper: impl FnOnce(&mut Expanded)) {
    let (mut document, bytes) = scene();
    check(&mut document, &tampered(&bytes, tamper), code);
    document.admit(device(1), INCARNATION, &bytes).unwrap();
}

fn check_forged(code: &str, work: impl FnOnce(&mut Transaction<'_>)) {
    let mut document = document();
    let bytes = forge(&document, 1, work);
    check(&mut document, &bytes, code);
}

#[test]
fn a_second_change_with_one_number_is_refused() {
    let (mut document, bytes) = scene();
    let other = edit(&mut document.clone(), 1, &body("We went away."));
    document.admit(device(1), INCARNATION, &bytes).unwrap();
    check(&mut document, &other.bytes, "equivocation");
    check(&mut document, &bytes, "duplicate");
}

#[test]
fn a_forged_operation_counter_is_refused() {
    for start in [
        1,
        2,
        1_000_000,
        0xffff_fff0,
        0xffff_ffff,
        1 << 32,
        1 << 53,
        u64::MAX,
    ] {
        check_tampered("wrong_start_op", |change| {
            change.start_op = NonZeroU64::new(start).unwrap();
        });
    }
}

#[test]
fn the_place_in_the_chain_is_checked() {
    check_tampered("equivocation", |change| change.seq = 0);
    check_tampered("sequence_gap", |change| change.seq = 2);
    check_tampered("sequence_gap", |change| change.seq = u64::MAX);
    check_tampered("wrong_actor", |change| {
        change.actor_id = automerge::ActorId::from([1; 16]);
    });
    check_tampered("actor_length", |change| {
        change.actor_id = automerge::ActorId::from([1; 32]);
    });
    check_tampered("no_dependencies", |change| change.deps.clear());
    check_tampered("unknown_dependency", |change| {
        change.deps.push(automerge::ChangeHash([255; 32]));
    });
    check_tampered("too_many_dependencies", |change| {
        change
            .deps
            .extend((0..16).map(|n| automerge::ChangeHash([n; 32])));
    });
    check_tampered("unsorted_dependencies", |change| {
        change.deps.extend_from_within(..);
    });
}

#[test]
fn a_change_beside_the_writers_last_one_is_refused() {
    let (mut document, bytes) = scene();
    let second = edit(&mut document.clone(), 1, &body("We went away."));
    document.admit(device(1), INCARNATION, &bytes).unwrap();
    let beside = tampered(&second.bytes, |change| change.seq = 2);
    check(&mut document, &beside, "broken_chain");
}

#[test]
fn the_signing_device_and_incarnation_are_the_actors() {
    let (mut document, bytes) = scene();
    let refused = document.admit(device(2), INCARNATION, &bytes);
    assert_eq!(refused, Err(Refusal::WrongActor));
    let refused = document.admit(device(1), [1; 16], &bytes);
    assert_eq!(refused, Err(Refusal::WrongActor));
}

#[test]
fn only_whole_uncompressed_change_chunks_are_taken() {
    let (mut document, bytes) = scene();
    let inside = data(&bytes).to_vec();
    let whole = document.automerge.save_nocompress();
    check(&mut document, &whole, "document_chunk");
    check(&mut document, &chunk(0, &inside), "document_chunk");
    // What a deflate bomb unpacks to does not matter: it is not looked at.
    check(
        &mut document,
        &chunk(2, &vec![0; 261_000]),
        "compressed_chunk",
    );
    check(&mut document, &chunk(9, &inside), "unknown_chunk");
    check(&mut document, b"", "truncated");
    check(&mut document, b"not a chunk", "not_a_chunk");
    check(&mut document, &bytes[..bytes.len() - 1], "truncated");
    check(
        &mut document,
        &[&bytes[..], &bytes[..]].concat(),
        "trailing_bytes",
    );
    check(
        &mut document,
        &chunk(1, &vec![0; CHANGE_BYTES_MAX]),
        "too_many_bytes",
    );
    check(
        &mut document,
        &chunk(1, &[&inside[..], &[0]].concat()),
        "extra_bytes",
    );
    let mut wrong = bytes.clone();
    wrong[4] ^= 1;
    check(&mut document, &wrong, "wrong_checksum");
}

#[test]
fn the_encoding_must_be_the_canonical_one() {
    check_tampered("extra_bytes", |change| change.extra_bytes = vec![1, 2, 3]);
    check_tampered("metadata", |change| change.time = i64::MIN);
    check_tampered("metadata", |change| {
        change.message = Some("hello".to_owned());
    });
    let mut document = document();
    let change = edit(&mut document.clone(), 1, &splice(0, 0, "abc"));
    // One dependency, written as a number of two bytes.
    let mut long = data(&change.bytes).to_vec();
    assert_eq!(long[0], 1);
    long.splice(..1, [0x81, 0]);
    check(&mut document, &chunk(1, &long), "malformed");
    // The bit of the first column that says "deflated".
    let mut deflated = data(&change.bytes).to_vec();
    let columns = 1 + 32 + 1 + 16 + 1 + 1 + 1 + 1 + 1 + 1 + 16;
    deflated[columns + 1] |= 8;
    check(&mut document, &chunk(1, &deflated), "deflated_column");
    // Three equal actions written out, where a run of three says the same.
    let mut written_out = data(&change.bytes).to_vec();
    let mut at = columns + 1 + 2 * usize::from(written_out[columns]);
    for column in 0..usize::from(written_out[columns]) {
        let length = columns + 2 + 2 * column;
        let end = at + usize::from(written_out[length]);
        if written_out[length - 1] == 0x42 {
            assert_eq!(written_out[at..end], [3, 1]);
            written_out.splice(at..end, [0x7d, 1, 1, 1]);
            written_out[length] = 4;
            break;
        }
        at = end;
    }
    let refused = document.admit(device(1), INCARNATION, &chunk(1, &written_out));
    assert!(
        matches!(refused, Err(Refusal::NotCanonical | Refusal::Unreadable(_))),
        "{refused:?}"
    );
}

#[test]
fn a_run_length_bomb_is_counted_and_refused() {
    let nulls = |count: usize| {
        move |to: &mut Transaction<'_>| {
            let list = to.put_object(ROOT, "l", ObjType::List).unwrap();
            let values = std::iter::repeat_n(ScalarValue::Null, count);
            to.splice(&list, 0, 0, values).unwrap();
        }
    };
    let document = document();
    let small = forge(&document, 1, nulls(5_000));
    assert!(small.len() < 200, "{} bytes are no bomb", small.len());
    check_forged("operations_exceed_bytes", nulls(5_000));
}

#[test]
fn nesting_and_oversized_parts_are_refused() {
    check_forged("too_deep", |to| {
        let mut parent = ROOT;
        for _ in 0..500 {
            parent = to.put_object(&parent, "m", ObjType::Map).unwrap();
        }
    });
    check_forged("key_length", |to| to.put(ROOT, "k".repeat(200), 1).unwrap());
    check_forged("value_too_long", |to| {
        to.put(ROOT, "k", "v".repeat(5_000)).unwrap();
    });
    check_forged("unsupported_operation", |to| {
        to.put(ROOT, "k", ScalarValue::counter(1)).unwrap();
    });
    check_forged("unsupported_operation", |to| {
        let (_, text) = to.get(ROOT, "body").unwrap().unwrap();
        let mark = Mark::new("bold".to_owned(), true, 0, 3);
        to.mark(&text, mark, ExpandMark::Both).unwrap();
    });
}

#[test]
fn a_change_of_the_wrong_shape_is_projected_away() {
    let mut document = document();
    let bytes = forge(&document, 1, |to| {
        to.put(ROOT, "title", 5).unwrap();
        to.put(ROOT, "kind", "nonsense").unwrap();
        to.put(ROOT, "created", -1).unwrap();
        to.put_object(ROOT, "tags", ObjType::List).unwrap();
        let links = to.put_object(ROOT, "links", ObjType::Map).unwrap();
        to.put(&links, "no link", true).unwrap();
        let attachments = to.put_object(ROOT, "attachments", ObjType::List).unwrap();
        to.insert(&attachments, 0, vec![1, 2, 3]).unwrap();
    });
    document.admit(device(1), INCARNATION, &bytes).unwrap();
    let content = document.content();
    assert_eq!(content.check(), Ok(()));
    assert_eq!(content.body, sample().body);
    let expect = Content {
        body: sample().body,
        source: sample().source,
        ..Content::new(MemoryKind::Note, Timestamp(0))
    };
    assert_eq!(content, expect);
    // And it can still be edited.
    let repair = Edit {
        title: Some("Again".to_owned()),
        add_tags: ["rain".to_owned()].into(),
        add_attachments: vec![attachment(2)],
        ..Edit::default()
    };
    edit(&mut document, 2, &repair);
    assert_eq!(document.content().title, "Again");
    assert_eq!(document.content().attachments, [attachment(2)]);
}

#[test]
fn a_batch_is_admitted_whole_or_not_at_all() {
    let mut author = document();
    let changes: Vec<_> = (0..20)
        .map(|n| edit(&mut author, 1, &splice(n, 0, "x")))
        .collect();
    let mut bad = changes.clone();
    bad[13].bytes = tampered(&bad[13].bytes, |change| change.seq = 99);
    let incoming = |changes: &'static [Change]| -> Vec<Incoming<'static>> {
        let one = |change: &'static Change| Incoming {
            device: device(1),
            incarnation: INCARNATION,
            bytes: &change.bytes,
        };
        changes.iter().map(one).collect()
    };
    let mut reader = document();
    let before = reader.save();
    let refusal = reader.admit_batch(&incoming(bad.leak())).unwrap_err();
    assert_eq!(
        (refusal.index, refusal.refusal.code()),
        (13, "sequence_gap")
    );
    assert_eq!(reader.save(), before);
    assert_eq!(reader.changes(), 1);
    let good = incoming(changes.leak());
    assert_eq!(reader.admit_batch(&good).unwrap().len(), 20);
    assert_eq!(reader.content(), author.content());
    assert_eq!(reader.heads(), author.heads());
    assert!(good.iter().map(|item| item.bytes.len()).sum::<usize>() < BATCH_BYTES_MAX);
}
