//! A library of attacks: what a paired person with write access and real keys can craft.
//!
//! ```text
//! Forger (keys of a node) -> event or chunk with a false claim -> Attack { name, code, content }
//! ```
//!
//! [`all`] gives every attack on one memory, each under an incarnation of its own, so that they
//! can come in any order and mixture. `code` is the name under which the owner refuses it.
//!
//! Invariant: everything is validly signed unless the signature is the attack.

mod chunk;
mod forger;
mod taken;

pub(crate) use forger::Forger;

use crate::node::Node;
use chunk::{Chunk, wrap};
use crdt::envelope::pack::pack;
use crdt::event::{Event, Feed, Header, Kind, Signed};
use crdt::hash::Hash;
use crdt::id::{EventId, MemoryId};
use crdt::memory::Edit;
use crdt::time::Hybrid;
use protocol::wire::content::Content;

/// Bytes of zeros: what 261 kB of deflate once blew up to 772 MiB.
const BOMB_BYTES: usize = 261_000;

/// One attack, as a frame with content.
pub(crate) struct Attack {
    pub(crate) name: &'static str,
    /// The name under which its last event is refused; for `fork`, what freezes its author.
    pub(crate) code: &'static str,
    pub(crate) content: Content,
}

/// Returns every attack of a writer on a memory that they were given.
pub(crate) fn all(node: &Node, memory: MemoryId) -> Vec<Attack> {
    let mut attacks = Vec::new();
    let mut incarnation = 100;
    let crafts = [on_places(), on_bytes(), on_changes()]
        .into_iter()
        .flatten();
    for (name, code, craft) in crafts {
        incarnation += 1;
        let forger = Forger::new(node, memory, incarnation);
        let content = Content {
            events: craft(forger),
            keys: Vec::new(),
        };
        attacks.push(Attack {
            name,
            code,
            content,
        });
    }
    attacks
}

type Craft = fn(Forger<'_>) -> Vec<Vec<u8>>;

/// Attacks on what an event says of its author and its place.
fn on_places() -> Vec<(&'static str, &'static str, Craft)> {
    vec![
        ("equivocation", "fork", |forger| {
            let both = ["one", "other"].map(|text| forger.honest(text));
            both.map(|event| event.bytes().to_vec()).to_vec()
        }),
        ("a header of another person", "unknown_device", |forger| {
            retold(&forger, |header| header.person = header.owner)
        }),
        ("someone else's device", "bad_signature", |forger| {
            let device = forger.owner_device();
            retold(&forger, |header| {
                header.author = device;
                header.person = header.owner;
            })
        }),
        ("a changed byte", "bad_signature", |forger| {
            let bytes = forger.honest("x").bytes().to_vec();
            let last = bytes.len() - 1;
            vec![replaced(&bytes, last, bytes[last] ^ 1)]
        }),
        ("another owner", "wrong_owner", |forger| {
            retold(&forger, |header| header.owner = header.person)
        }),
        ("a gap in the numbers", "missing_previous", |forger| {
            retold(&forger, |header| {
                header.number = 5;
                header.previous = Some(EventId([7; 32]));
            })
        }),
        ("a beginning that follows", "not_permitted", |forger| {
            retold(&forger, |header| header.previous = Some(EventId([7; 32])))
        }),
        ("an orphan", "missing_parent", |forger| {
            retold(&forger, |header| header.parents = vec![EventId([7; 32])])
        }),
        ("an unknown memory", "unknown_memory", |forger| {
            retold(&forger, |header| {
                header.feed = Feed::Memory(MemoryId([7; 32]));
            })
        }),
        ("false parents", "wrong_parents", |mut forger| {
            let first = forger.write("x");
            let body = forger.change("y").bytes;
            let mut header = forger.header();
            header.parents = vec![EventId(forger.memory.0)];
            let second = forger.sealed(header, &body);
            [first, second].map(|event| event.bytes().to_vec()).to_vec()
        }),
    ]
}

/// Attacks on the event itself: its bytes, its kind, its sealed body.
fn on_bytes() -> Vec<(&'static str, &'static str, Craft)> {
    vec![
        ("an unknown version", "malformed", |forger| {
            vec![replaced(forger.honest("x").bytes(), 0, 9)]
        }),
        ("an unknown kind", "malformed", |forger| {
            vec![replaced(forger.honest("x").bytes(), 1, 200)]
        }),
        ("half an event", "malformed", |forger| {
            let bytes = forger.honest("x").bytes().to_vec();
            vec![bytes[..bytes.len() / 2].to_vec()]
        }),
        ("the end of time", "from_the_future", |forger| {
            retold(&forger, |header| header.time = Hybrid(u64::MAX))
        }),
        ("a purge by a writer", "not_permitted", |forger| {
            let mut header = forger.header();
            header.kind = Kind::Purge;
            bytes_of(&forger.plain(header, Vec::new()))
        }),
        ("labels as content", "not_content", |forger| {
            let memory = forger.memory;
            retold(&forger, |header| {
                header.kind = Kind::Sidecar;
                header.feed = Feed::Sidecar(memory);
            })
        }),
        ("consent as content", "not_content", |forger| {
            let mut header = forger.header();
            header.kind = Kind::Revocation;
            header.feed = Feed::Pair(header.owner);
            bytes_of(&forger.plain(header, Vec::new()))
        }),
        ("a key nobody has", "no_key", |forger| {
            let mut header = forger.header();
            header.commitment = Some(Hash([7; 32]));
            bytes_of(&forger.plain(header, vec![0; 64]))
        }),
        ("a body that does not open", "unreadable", |forger| {
            let event = forger.honest("x");
            let (header, mut body) = (event.header().clone(), event.event().body.clone());
            body[30] ^= 1;
            bytes_of(&forger.plain(header, body))
        }),
        ("a packed bomb", "unreadable", |forger| {
            let bomb = pack(&vec![0; 64 << 20]).expect("zeros get smaller");
            bytes_of(&forger.packed(forger.header(), &bomb))
        }),
        ("half a packed body", "unreadable", |forger| {
            let packed = pack(&[b'a'; 500]).expect("it gets smaller");
            bytes_of(&forger.packed(forger.header(), &packed[..packed.len() / 2]))
        }),
    ]
}

/// Attacks on Automerge, inside a sealed body that opens.
fn on_changes() -> Vec<(&'static str, &'static str, Craft)> {
    vec![
        ("a forged operation counter", "wrong_start_op", |forger| {
            tampered(&forger, |chunk| chunk.start_op = 0xffff_fff0)
        }),
        ("a counter near the end", "wrong_start_op", |forger| {
            tampered(&forger, |chunk| chunk.start_op = u64::from(u32::MAX))
        }),
        ("a gap in the sequence", "sequence_gap", |forger| {
            tampered(&forger, |chunk| chunk.seq = 7)
        }),
        ("an old sequence number", "equivocation", |forger| {
            tampered(&forger, |chunk| chunk.seq = 0)
        }),
        ("another actor", "wrong_actor", |forger| {
            tampered(&forger, |chunk| chunk.actor = vec![1; 16])
        }),
        ("no dependencies", "no_dependencies", |forger| {
            tampered(&forger, |chunk| chunk.deps.clear())
        }),
        ("an unknown dependency", "unknown_dependency", |forger| {
            tampered(&forger, |chunk| chunk.deps = vec![[255; 32]])
        }),
        ("an inflated run length", "too_many_operations", |forger| {
            tampered(&forger, |chunk| {
                // A run of 1,000,001 insertions.
                *chunk.actions() = vec![0xc1, 0x84, 0x3d, 1];
            })
        }),
        (
            "more than the bytes hold",
            "operations_exceed_bytes",
            |forger| {
                // A run of 5,000 insertions.
                tampered(&forger, |chunk| *chunk.actions() = vec![0x88, 0x27, 1])
            },
        ),
        ("a deflate bomb", "compressed_chunk", |forger| {
            let body = wrap(2, &vec![0; BOMB_BYTES]);
            bytes_of(&forger.sealed(forger.header(), &body))
        }),
        ("a deflated column", "deflated_column", |forger| {
            tampered(&forger, |chunk| chunk.columns[0].0 |= 8)
        }),
        ("a whole document", "document_chunk", |forger| {
            let chunk = Chunk::read(&forger.change("x").bytes);
            bytes_of(&forger.sealed(forger.header(), &chunk.wrapped(0)))
        }),
        ("a deep document", "too_deep", |forger| {
            let edit = Edit {
                add_tags: ["deep".to_owned()].into(),
                ..Edit::default()
            };
            // The tag becomes a map: an object inside an object.
            let mut chunk = Chunk::read(&forger.edited(&edit).bytes);
            *chunk.actions() = vec![0x7f, 0];
            bytes_of(&forger.sealed(forger.header(), &chunk.write()))
        }),
        ("no chunk at all", "not_a_chunk", |forger| {
            bytes_of(&forger.sealed(forger.header(), b"no chunk at all"))
        }),
    ]
}

/// Returns events that wait for one that never comes, each under a header of its own.
pub(crate) fn orphans(node: &Node, memory: MemoryId, count: u32) -> Content {
    let forger = Forger::new(node, memory, 99);
    let body = forger.change("x").bytes;
    let orphan = |number: u32| {
        let mut header = forger.header();
        let mut parent = [7; 32];
        parent[..4].copy_from_slice(&number.to_be_bytes());
        header.parents = vec![EventId(parent)];
        forger.sealed(header, &body).bytes().to_vec()
    };
    Content {
        events: (0..count).map(orphan).collect(),
        keys: Vec::new(),
    }
}

/// Returns a change that claims to be old and follows the last one that its writer sent: what a
/// revoked writer would like to slip in.
pub(crate) fn back_dated(node: &Node, memory: MemoryId) -> Content {
    let forger = Forger::as_own(node, memory);
    let mut header = forger.header();
    header.time = Hybrid(1);
    let event = forger.sealed(header, &forger.change("long ago").bytes);
    Content {
        events: bytes_of(&event),
        keys: Vec::new(),
    }
}

fn bytes_of(event: &Signed<Event>) -> Vec<Vec<u8>> {
    vec![event.bytes().to_vec()]
}

/// An honest change under a header that says something else.
fn retold(forger: &Forger<'_>, tell: impl FnOnce(&mut Header)) -> Vec<Vec<u8>> {
    let mut header = forger.header();
    tell(&mut header);
    bytes_of(&forger.sealed(header, &forger.change("x").bytes))
}

/// A change that says something else under an honest header.
fn tampered(forger: &Forger<'_>, tamper: impl FnOnce(&mut Chunk)) -> Vec<Vec<u8>> {
    let mut chunk = Chunk::read(&forger.change("some text").bytes);
    tamper(&mut chunk);
    bytes_of(&forger.sealed(forger.header(), &chunk.write()))
}

fn replaced(bytes: &[u8], at: usize, byte: u8) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    bytes[at] = byte;
    bytes
}
