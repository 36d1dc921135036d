//! Tests of the whole module: what is common to them.

mod attacks;
mod contents;
mod editing;
mod merging;
mod mutants;

use super::document::actor;
use super::*;
use crate::hash::Hash;
use crate::id::{DeviceId, MemoryId};
use crate::time::Timestamp;
use automerge::transaction::{CommitOptions, Transaction};

const MEMORY: MemoryId = MemoryId([7; 32]);
const INCARNATION: [u8; 16] = [9; 16];

fn device(number: u8) -> DeviceId {
    DeviceId([number; 32])
}

fn sample() -> Content {
    Content {
        title: "A walk in the rain".to_owned(),
        body: "We went out at noon. It rained; nobody minded. \u{1F327}".to_owned(),
        tags: ["outdoors", "rain"].map(str::to_owned).into(),
        links: [Link {
            to: MemoryId([3; 32]),
            relation: "follows".to_owned(),
        }]
        .into(),
        source: Some("https://example.org/rain".to_owned()),
        attachments: vec![attachment(1)],
        ..Content::new(MemoryKind::Note, Timestamp(1_700_000_000_000))
    }
}

fn attachment(number: u8) -> Attachment {
    Attachment {
        hash: Hash([number; 32]),
        name: format!("{number}.png"),
        media_type: "image/png".to_owned(),
        bytes: 1_000,
    }
}

fn document() -> Document {
    Document::materialise(MEMORY, &sample()).unwrap()
}

fn writer(document: &Document, number: u8) -> Writer {
    Writer {
        device: device(number),
        incarnation: INCARNATION,
        last_seq: document.last_seq(device(number), &INCARNATION),
    }
}

/// Makes an edit against the present, which must change something.
fn edit(document: &mut Document, number: u8, edit: &Edit) -> Change {
    let writer = writer(document, number);
    document.edit(&writer, None, edit).unwrap().unwrap()
}

fn body(text: &str) -> Edit {
    Edit {
        body: Some(BodyEdit::Replace(text.to_owned())),
        ..Edit::default()
    }
}

fn splice(at: usize, delete: usize, insert: &str) -> Edit {
    let insert = insert.to_owned();
    Edit {
        body: Some(BodyEdit::Splice { at, delete, insert }),
        ..Edit::default()
    }
}

fn admit(document: &mut Document, number: u8, change: &Change) -> Result<Change, Refusal> {
    document.admit(device(number), change.incarnation, &change.bytes)
}

/// Writes a change past every check, as a hostile device would.
fn forge(document: &Document, number: u8, work: impl FnOnce(&mut Transaction<'_>)) -> Vec<u8> {
    let mut copy = document.automerge.clone();
    let actor = actor(device(number), document.memory, &INCARNATION);
    copy.set_actor(automerge::ActorId::from(actor));
    let mut transaction = copy.transaction();
    work(&mut transaction);
    transaction.commit_with(CommitOptions::default().with_time(0));
    copy.get_last_local_change().unwrap().raw_bytes().to_vec()
}

/// A small seeded generator (`SplitMix64`), so that every failure can be repeated.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % bound.max(1) as u64).unwrap()
    }
}
