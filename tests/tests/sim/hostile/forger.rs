//! A writer with real keys who does not keep to the rules.
//!
//! Knows what the person's node knows: the device's key, the content keys that came with grants,
//! the events of the memory. Signs and seals whatever it likes.

use crate::node::Node;
use crdt::codec::Canonical as _;
use crdt::envelope::pack::Packing;
use crdt::envelope::{ContentKey, Epoch};
use crdt::event::{Event, Feed, Header, Incarnation, Kind, Signed};
use crdt::id::{DeviceId, EventId, MemoryId, PersonId};
use crdt::memory::{BodyEdit, Change, ChangeHash, Content, Document, Edit, Writer};
use crdt::testing::Entropy;
use crdt::time::Hybrid;

/// One writer on a hostile device, with a feed of its own.
pub(crate) struct Forger<'a> {
    node: &'a Node,
    pub(crate) memory: MemoryId,
    owner: PersonId,
    pub(crate) incarnation: Incarnation,
    document: Document,
    changes: Vec<(EventId, ChangeHash)>,
    keys: Vec<ContentKey>,
    epoch: Epoch,
    time: Hybrid,
    last: Option<(u64, EventId)>,
}

impl<'a> Forger<'a> {
    /// Reads what a person's node holds of a memory, to write in it under a new incarnation.
    pub(crate) fn new(node: &'a Node, memory: MemoryId, incarnation: u8) -> Self {
        let facts = node.facts(memory).expect("the memory was given");
        let keys: Vec<ContentKey> = node
            .keys()
            .into_iter()
            .map(ContentKey::from_bytes)
            .collect();
        let mut forger: Option<Self> = None;
        for (_, id) in facts.events() {
            let event = node.store().event(id).expect("reads").expect("held");
            let header = event.header();
            let key = keys
                .iter()
                .find(|key| Some(key.commitment()) == header.commitment);
            let Some(body) = key.and_then(|key| event.event().open(key).ok()) else {
                continue;
            };
            match &mut forger {
                None => {
                    let content = Content::from_bytes(&body).expect("a root's content");
                    let document = Document::materialise(memory, &content).expect("within limits");
                    let changes = document
                        .heads()
                        .into_iter()
                        .map(|hash| (id, hash))
                        .collect();
                    forger = Some(Self {
                        node,
                        memory,
                        owner: facts.owner,
                        incarnation: Incarnation([incarnation; 16]),
                        document,
                        changes,
                        keys: keys.clone(),
                        epoch: facts.epoch,
                        time: Hybrid(facts.updated.0 + 1),
                        last: None,
                    });
                }
                Some(forger) => {
                    let author = (header.author, header.incarnation.0);
                    let admitted = forger.document.admit(author.0, author.1, &body);
                    forger
                        .changes
                        .extend(admitted.ok().map(|change| (id, change.hash)));
                }
            }
        }
        forger.expect("the root opens")
    }

    /// Goes on where the node's own writer in this memory stands.
    pub(crate) fn as_own(node: &'a Node, memory: MemoryId) -> Self {
        let mut forger = Self::new(node, memory, 0);
        let facts = node.facts(memory).expect("the memory was given");
        let device = node.certificate.device;
        let own = facts
            .writers()
            .iter()
            .find(|writer| writer.device == device);
        let own = own.expect("it wrote there before");
        forger.incarnation = own.incarnation;
        forger.last = Some((own.number, own.event));
        forger
    }

    /// Makes a change that every gate takes, without writing it.
    pub(crate) fn change(&self, text: &str) -> Change {
        let edit = Edit {
            body: Some(BodyEdit::Splice {
                at: 0,
                delete: 0,
                insert: text.to_owned(),
            }),
            ..Edit::default()
        };
        self.edited(&edit)
    }
    pub(crate) fn edited(&self, edit: &Edit) -> Change {
        let (device, incarnation) = (self.node.certificate.device, self.incarnation.0);
        let writer = Writer {
            device,
            incarnation,
            last_seq: self.document.last_seq(device, &incarnation),
        };
        let change = self.document.clone().edit(&writer, None, edit);
        change
            .expect("the edit is fine")
            .expect("it changes something")
    }

    /// Returns the header that an honest event would have here.
    pub(crate) fn header(&self) -> Header {
        let heads = self.document.heads();
        let parent = |hash: &ChangeHash| {
            let mut known = self.changes.iter().filter(|(_, change)| change == hash);
            known.next().expect("a change of the document").0
        };
        let mut parents: Vec<EventId> = heads.iter().map(parent).collect();
        parents.sort_unstable();
        Header {
            kind: Kind::Change,
            author: self.node.certificate.device,
            incarnation: self.incarnation,
            person: self.node.person(),
            owner: self.owner,
            feed: Feed::Memory(self.memory),
            number: self.last.map_or(0, |(number, _)| number + 1),
            previous: self.last.map(|(_, event)| event),
            time: self.time,
            parents,
            authority: Vec::new(),
            epoch: self.epoch,
            commitment: None,
            packing: Packing::Plain,
        }
    }

    /// Returns the device that the memory's owner made it on.
    pub(crate) fn owner_device(&self) -> DeviceId {
        let root = self.node.store().event(EventId(self.memory.0));
        root.expect("reads").expect("held").header().author
    }

    fn key(&self) -> &ContentKey {
        let facts = self.node.facts(self.memory).expect("the memory was given");
        let newest = facts.events().rev().find_map(|(_, id)| {
            let event = self.node.store().event(id).expect("reads")?;
            let commitment = event.header().commitment?;
            let fits = event.header().epoch == self.epoch;
            let mut keys = self.keys.iter();
            keys.find(|key| fits && key.commitment() == commitment)
        });
        newest.expect("the key of the epoch was given")
    }

    /// Seals a body under the memory's key and signs it under any header.
    pub(crate) fn sealed(&self, header: Header, body: &[u8]) -> Signed<Event> {
        let rng = &mut Entropy::new(u64::from(self.incarnation.0[0]));
        Event::sealed(header, body, self.key(), rng).sign(&self.node.device())
    }
    /// Seals what claims to be a packed body.
    pub(crate) fn packed(&self, mut header: Header, packed: &[u8]) -> Signed<Event> {
        let rng = &mut Entropy::new(u64::from(self.incarnation.0[0]));
        header.commitment = Some(self.key().commitment());
        header.packing = Packing::Deflate;
        let body = self.key().seal(&header.to_bytes(), packed, rng);
        self.plain(header, body)
    }
    /// Signs an event whose body is not sealed.
    pub(crate) fn plain(&self, header: Header, body: Vec<u8>) -> Signed<Event> {
        Event { header, body }.sign(&self.node.device())
    }

    /// Makes an event around a change that every gate takes, without going on from it.
    pub(crate) fn honest(&self, text: &str) -> Signed<Event> {
        self.sealed(self.header(), &self.change(text).bytes)
    }
    /// Writes an event that every gate takes, and goes on from it.
    pub(crate) fn write(&mut self, text: &str) -> Signed<Event> {
        let change = self.change(text);
        let event = self.sealed(self.header(), &change.bytes);
        let (device, incarnation) = (self.node.certificate.device, self.incarnation.0);
        let admitted = self.document.admit(device, incarnation, &change.bytes);
        self.changes
            .push((event.id(), admitted.expect("honest").hash));
        self.last = Some((event.header().number, event.id()));
        self.time = Hybrid(self.time.0 + 1);
        event
    }
}
