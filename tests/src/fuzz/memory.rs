//! What is inside a memory: contents, labels, and the gate in front of Automerge.

use super::{Budget, Subject, Target, slow, target};
use crdt::codec::Canonical as _;
use crdt::hash::Hash;
use crdt::id::{DeviceId, EventId, MemoryId};
use crdt::memory::{
    Attachment, BodyEdit, Change, Content, Document, Edit, Link, MemoryKind, Refusal, SourceEdit,
    Writer,
};
use crdt::sidecar::{Sensitivity, Sidecar, SidecarPatch};
use crdt::time::{Hybrid, Timestamp};
use sha2::{Digest as _, Sha256};
use std::cell::RefCell;
use std::time::Duration;

/// The targets.
pub(super) const TARGETS: [Target; 5] = [
    Target {
        budget: TRIAL,
        ..slow("gate, whole trial", 20_000, gate)
    },
    target("gate, our own walk", gate_walk),
    target("content of a memory", content),
    target("change of a sidecar", sidecar_patch),
    target("sidecar", sidecar),
];

/// What one change may cost that is tried on a copy: no more than an honest one that replaces a
/// whole text, which is what the limits of a change allow.
const TRIAL: Budget = Budget {
    time: Duration::from_secs(2),
    memory: 512 << 20,
};
const MEMORY: MemoryId = MemoryId([7; 32]);
const INCARNATION: [u8; 16] = [9; 16];
const WRITER: DeviceId = DeviceId([1; 32]);

fn attachment(number: u8) -> Attachment {
    Attachment {
        hash: Hash([number; 32]),
        name: format!("{number}.png"),
        media_type: "image/png".to_owned(),
        bytes: 1_000,
    }
}

/// A content with something in every field.
pub(super) fn full() -> Content {
    let link = Link {
        to: MemoryId([3; 32]),
        relation: "follows".to_owned(),
    };
    Content {
        title: "A walk in the rain".to_owned(),
        body: "We went out at noon. It rained; nobody minded. \u{1F327}".to_owned(),
        tags: ["outdoors", "rain"].map(str::to_owned).into(),
        links: [link].into(),
        source: Some("https://example.org/rain".to_owned()),
        attachments: vec![attachment(1), attachment(2)],
        ..Content::new(MemoryKind::Note, Timestamp(1_700_000_000_000))
    }
}

fn content() -> Subject {
    let bare = Content::new(MemoryKind::Task, Timestamp(5));
    Subject::canonical(&[full(), bare], |content: Content| {
        assert_eq!(content.check(), Ok(()), "it reads, and is over a limit");
    })
}

fn patches() -> Vec<SidecarPatch> {
    let full = SidecarPatch {
        space: Some("home".to_owned()),
        sensitivity: Some(Sensitivity::Secret),
        hidden: Some(true),
        tags: [("later".to_owned(), true), ("read".to_owned(), false)].into(),
    };
    vec![SidecarPatch::default(), full]
}

fn sidecar_patch() -> Subject {
    Subject::canonical(&patches(), |patch: SidecarPatch| {
        let mut sidecar = Sidecar::default();
        sidecar.apply(Hybrid(5 << 16), EventId([1; 32]), &patch);
        let bytes = sidecar.to_bytes();
        assert_eq!(Sidecar::from_bytes(&bytes), Ok(sidecar), "it does not last");
    })
}

fn sidecar() -> Subject {
    let mut whole = Sidecar::default();
    for (number, patch) in (1..).zip(patches()) {
        whole.apply(Hybrid(number << 16), EventId([1; 32]), &patch);
    }
    Subject::canonical(&[Sidecar::default(), whole], |sidecar: Sidecar| {
        std::hint::black_box((sidecar.space(), sidecar.tags().count()));
    })
}

/// Packs the data of a change with a right length and checksum, as Automerge does.
fn chunk(data: &[u8]) -> Vec<u8> {
    let mut hashed = vec![1];
    let mut length = data.len();
    while length >= 0x80 {
        hashed.push(u8::try_from(length & 0x7f).unwrap_or(0) | 0x80);
        length >>= 7;
    }
    hashed.push(u8::try_from(length).unwrap_or(0));
    hashed.extend_from_slice(data);
    let digest = Sha256::digest(&hashed);
    let checksum = digest.first_chunk::<4>().copied().unwrap_or_default();
    [[0x85, 0x6f, 0x4a, 0x83], checksum]
        .concat()
        .into_iter()
        .chain(hashed)
        .collect()
}

/// Returns the data inside a chunk.
fn inside(bytes: &[u8]) -> Vec<u8> {
    let rest = bytes.get(9..).unwrap_or_default();
    let length = rest.iter().take_while(|byte| **byte & 0x80 != 0).count();
    rest.get(length + 1..).unwrap_or_default().to_vec()
}

fn edits() -> Vec<Edit> {
    let body = |edit| Edit {
        body: Some(edit),
        ..Edit::default()
    };
    let labels = Edit {
        title: Some("Rain".to_owned()),
        add_tags: ["a", "b"].map(str::to_owned).into(),
        remove_tags: ["rain".to_owned()].into(),
        source: Some(SourceEdit::Clear),
        add_attachments: vec![attachment(3)],
        remove_attachments: [Hash([1; 32])].into(),
        ..Edit::default()
    };
    let splice = |at, delete, insert: &str| BodyEdit::Splice {
        at,
        delete,
        insert: insert.to_owned(),
    };
    vec![
        body(BodyEdit::Replace("We stayed in. It rained.".to_owned())),
        labels,
        body(splice(3, 4, "zz")),
        body(splice(0, 10, "")),
    ]
}

/// A document, changes that each would be admitted into it, and its first writer.
fn scene() -> (Document, Vec<Vec<u8>>) {
    let document = Document::materialise(MEMORY, &full()).expect("the content fits");
    let change = |edit: Edit| -> Change {
        let writer = Writer {
            device: WRITER,
            incarnation: INCARNATION,
            last_seq: 0,
        };
        let change = document.clone().edit(&writer, None, &edit);
        change
            .expect("the edit fits")
            .expect("it changes something")
    };
    let changes = edits().into_iter().map(change);
    let insides = changes.map(|change| inside(&change.bytes)).collect();
    (document, insides)
}

/// The change is by another device, which shows only after our walk through all of it.
fn gate_walk() -> Subject {
    let (document, seeds) = scene();
    let document = RefCell::new(document);
    Subject::new(seeds, move |bytes| {
        let refused = document
            .borrow_mut()
            .admit(DeviceId([2; 32]), INCARNATION, bytes);
        matches!(refused, Err(Refusal::WrongActor))
    })
    .wrapped(chunk)
}

fn gate() -> Subject {
    let (document, seeds) = scene();
    let working = RefCell::new(document.clone());
    Subject::new(seeds, move |bytes| {
        let mut working = working.borrow_mut();
        let admitted = working.admit(WRITER, INCARNATION, bytes).is_ok();
        if admitted {
            let content = working.content();
            assert_eq!(content.check(), Ok(()), "beyond the limits of a content");
            let restored = Document::restore(MEMORY, &working.save()).expect("it loads again");
            assert_eq!(restored.content(), content, "it changes when it is loaded");
            *working = document.clone();
        }
        admitted
    })
    .wrapped(chunk)
}
