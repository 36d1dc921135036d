//! Two machines that speak to each other, a liar on either side, and the bytes of a refusal.

use super::fetching::{Effect as Wish, Input as Said};
use super::serving::{Effect as Deed, Input as Heard};
use super::*;
use crate::limits::BLOB_PART_CHUNKS;
use crate::wire::frame_length;
use crdt::blob::seal::{BlobKey, SEALED_OVERHEAD_BYTES};
use crdt::blob::{CHUNK_BYTES, Outline, outline_of};
use crdt::envelope::ContentKey;
use proptest::prelude::*;

const MEMORY: MemoryId = MemoryId([3; 32]);

/// The content key that both sides have.
fn shared() -> ContentKey {
    ContentKey::from_bytes([5; 32])
}

/// A fetch with an older key beside the shared one.
fn fetch(blob: Hash, bytes: u64) -> Fetching {
    let older = ContentKey::from_bytes([4; 32]);
    Fetching::new(MEMORY, blob, bytes, &[shared(), older])
}

fn answer(outline: &Outline, index: u32, bytes: &[u8]) -> Answer {
    let sealed = BlobKey::of(&shared(), outline.root()).seal_chunk(index, bytes);
    Answer::Chunk { index, sealed }
}

fn show(outline: &Outline, of: Hash) -> Answer {
    Answer::Outline {
        key: shared().commitment(),
        sealed: BlobKey::of(&shared(), of).seal_outline(outline),
    }
}

fn data(chunks: usize) -> Vec<u8> {
    (0..chunks * CHUNK_BYTES - 9)
        .map(|n| u8::try_from(n / 7 % 251).unwrap())
        .collect()
}

fn chunk(data: &[u8], index: u32) -> Vec<u8> {
    data.chunks(CHUNK_BYTES)
        .nth(index as usize)
        .unwrap()
        .to_vec()
}

/// Runs a fetch from a sender that lets `parts_max` parts out; returns the parts, the chunks that
/// were kept, and how it ended.
fn run(data: &[u8], have: u32, parts_max: usize) -> (Vec<Part>, Vec<u32>, Wish) {
    let outline = outline_of(data);
    let mut fetching = fetch(outline.root(), data.len() as u64);
    let mut serving = Serving::default();
    let (mut parts, mut kept) = (Vec::new(), Vec::new());
    let mut wishes = fetching.handle(Said::Started);
    loop {
        assert!(!wishes.is_empty(), "nobody has anything to say");
        let wish = wishes.remove(0);
        let mut deeds = match wish {
            Wish::Send(request) => serving.handle(Heard::Request(request)),
            Wish::Prepare(found) => {
                assert_eq!(found, outline);
                wishes.extend(
                    fetching.handle(Said::Prepared((have < outline.chunks()).then_some(have))),
                );
                continue;
            }
            Wish::Keep { index, bytes } => {
                assert_eq!(bytes, chunk(data, index));
                kept.push(index);
                continue;
            }
            over => return (parts, kept, over),
        };
        while !deeds.is_empty() {
            match deeds.remove(0) {
                Deed::Look { memory, blob, keys } => {
                    assert_eq!((memory, blob), (MEMORY, outline.root()));
                    assert!(keys.len() == 2 && keys.contains(&shared().commitment()));
                    let found = Some((outline.clone(), shared()));
                    deeds.extend(serving.handle(Heard::Found(found)));
                }
                Deed::Send(answer) => wishes.extend(fetching.handle(Said::Answer(answer))),
                Deed::Clear(part) => {
                    let is_sent = parts.len() < parts_max;
                    if is_sent {
                        for index in part.first..part.first + part.chunks {
                            let answer = answer(&outline, index, &chunk(data, index));
                            wishes.extend(fetching.handle(Said::Answer(answer)));
                        }
                        parts.push(part);
                    }
                    deeds.extend(serving.handle(Heard::Sent(is_sent)));
                }
                Deed::Over => assert!(serving.is_over()),
            }
        }
    }
}

#[test]
fn all_chunks_arrive_in_parts_that_add_up() {
    let chunks = BLOB_PART_CHUNKS as usize + 3;
    let data = data(chunks);
    let (parts, kept, end) = run(&data, 0, usize::MAX);
    assert_eq!(end, Wish::Done);
    assert_eq!(kept.len(), chunks);
    assert_eq!(parts.len(), 2);
    let bytes: u64 = parts.iter().map(|part| part.bytes).sum();
    assert_eq!(bytes, data.len() as u64);
    let [first, second] = parts.as_slice() else {
        unreachable!("two")
    };
    assert_eq!((first.from, second.from), (0, first.bytes));
}

#[test]
fn a_fetch_goes_on_where_it_was_and_needs_nothing_that_is_here() {
    let data = data(5);
    let (parts, kept, end) = run(&data, 3, usize::MAX);
    assert_eq!((kept, end), (vec![3, 4], Wish::Done));
    assert_eq!(parts[0].from, 3 * CHUNK_BYTES as u64);
    let (parts, kept, end) = run(&data, 5, usize::MAX);
    assert_eq!((parts, kept, end), (vec![], vec![], Wish::Done));
}

#[test]
fn what_may_not_leave_any_more_ends_the_transfer() {
    let data = data(BLOB_PART_CHUNKS as usize + 3);
    let (parts, kept, end) = run(&data, 0, 1);
    assert_eq!((parts.len(), kept.len()), (1, BLOB_PART_CHUNKS as usize));
    assert_eq!(end, Wish::Refused);
    assert_eq!(run(&data, 0, 0).2, Wish::Refused);
}

#[test]
fn the_refusal_is_the_same_bytes_whatever_its_reason() {
    let outline = outline_of(&data(2));
    let ask = || {
        Heard::Request(Request::Ask {
            memory: MEMORY,
            blob: outline.root(),
            keys: BTreeSet::from([shared().commitment()]),
        })
    };
    let shown = || {
        let mut serving = Serving::default();
        serving.handle(ask());
        serving.handle(Heard::Found(Some((outline.clone(), shared()))));
        serving
    };
    let mut refusals = Vec::new();
    let mut refuse = |mut serving: Serving, input: Heard| {
        let effects = serving.handle(input);
        let [Deed::Send(answer), Deed::Over] = effects.as_slice() else {
            panic!("{effects:?}");
        };
        refusals.push(frame(answer));
        assert!(serving.is_over());
    };
    let mut looking = Serving::default();
    looking.handle(ask());
    refuse(looking, Heard::Found(None));
    refuse(Serving::default(), Heard::Request(Request::From(0)));
    refuse(shown(), Heard::Request(Request::From(2)));
    refuse(shown(), ask());
    let mut sending = shown();
    sending.handle(Heard::Request(Request::From(0)));
    refuse(sending, Heard::Sent(false));
    assert!(
        refusals.iter().all(|bytes| *bytes == [1, 0, 0, 0, 1]),
        "{refusals:?}"
    );
}

#[test]
fn a_liar_hands_nothing_in() {
    let data = data(3);
    let outline = outline_of(&data);
    let begun = || {
        let mut fetching = fetch(outline.root(), data.len() as u64);
        fetching.handle(Said::Started);
        fetching.handle(Said::Answer(show(&outline, outline.root())));
        fetching.handle(Said::Prepared(Some(1)));
        fetching
    };
    let good = chunk(&data, 1);
    let mut bent = good.clone();
    bent[100] ^= 1;
    let cases = [
        (1, bent),
        (1, good[1..].to_vec()),
        (2, chunk(&data, 2)),
        (0, chunk(&data, 0)),
        (1, chunk(&data, 0)),
        (9, Vec::new()),
    ];
    for (index, bytes) in cases {
        let mut fetching = begun();
        let effects = fetching.handle(Said::Answer(answer(&outline, index, &bytes)));
        assert!(
            matches!(effects.as_slice(), [Wish::Fault(_)]),
            "{index}: {effects:?}"
        );
        assert!(fetching.is_over());
    }
    let refused = |mut fetching: Fetching, answer: Answer| {
        let effects = fetching.handle(Said::Answer(answer));
        matches!(effects.as_slice(), [Wish::Fault(_)])
    };
    let effects = begun().handle(Said::Answer(answer(&outline, 1, &good)));
    assert!(matches!(effects.as_slice(), [Wish::Keep { index: 1, .. }]));
    // In plain, or sealed under a key that only others have.
    let sealed = good.clone();
    assert!(refused(begun(), Answer::Chunk { index: 1, sealed }));
    let other = ContentKey::from_bytes([9; 32]);
    let sealed = BlobKey::of(&other, outline.root()).seal_chunk(1, &good);
    assert!(refused(begun(), Answer::Chunk { index: 1, sealed }));
    let fresh = |bytes: usize| fetch(outline.root(), bytes as u64);
    let right = show(&outline, outline.root());
    assert!(!refused(fresh(data.len()), right.clone()));
    assert!(refused(fresh(data.len() + 1), right), "another size");
    let of_other = show(&outline_of(b"other"), outline.root());
    assert!(refused(fresh(data.len()), of_other), "another outline");
    let unnamed = Answer::Outline {
        key: other.commitment(),
        sealed: BlobKey::of(&other, outline.root()).seal_outline(&outline),
    };
    assert!(
        refused(fresh(data.len()), unnamed),
        "a key that was not named"
    );
}

#[test]
fn the_largest_outline_and_the_largest_chunk_fit_into_a_frame() {
    let chunk = answer(&outline_of(b""), 0, &vec![0; CHUNK_BYTES]);
    let outline = 8 + 32 * crdt::blob::chunks_of(crdt::blob::BLOB_BYTES_MAX);
    let outline = 1 + 32 + 4 + SEALED_OVERHEAD_BYTES as u64 + outline;
    for length in [chunk.to_bytes().len(), usize::try_from(outline).unwrap()] {
        let header = u32::try_from(length).unwrap().to_le_bytes();
        assert_eq!(frame_length(header), Some(length));
    }
}

proptest! {
    #[test]
    fn messages_have_one_encoding_and_no_bytes_panic(
        tail in proptest::collection::vec(any::<u8>(), 0..200), tag in 0_u8..5
    ) {
        let bytes = [[tag].as_slice(), &tail].concat();
        if let Ok(request) = Request::from_bytes(&bytes) {
            prop_assert_eq!(request.to_bytes(), bytes.clone());
        }
        if let Ok(answer) = Answer::from_bytes(&bytes) {
            prop_assert_eq!(answer.to_bytes(), bytes);
        }
    }
}
