//! The oracle: what must hold, worked out from the rules and the actions, not from the code.
//!
//! Who may know what: a memory goes from its owner to another person only while one of the owner's
//! grants to that person was accepted, has not been revoked, has not expired and names a tag that
//! the memory has, and while the owner did not label it secret. To its owner it may go always.

use crate::driver::Sent;
use crate::node::Node;
use crate::world::World;
use crdt::event::{Kind, Signed};
use crdt::id::{EventId, GrantId, MemoryId};
use crdt::sidecar::Sensitivity;
use crdt::time::Timestamp;
use protocol::wire::content::Content;

/// A grant as the actions made it.
#[derive(Debug, Clone)]
pub(crate) struct Grant {
    pub(crate) id: GrantId,
    pub(crate) owner: usize,
    pub(crate) grantee: usize,
    pub(crate) tag: &'static str,
    pub(crate) expires: Option<Timestamp>,
    pub(crate) is_accepted: bool,
    pub(crate) is_revoked: bool,
}

pub(crate) struct Oracle {
    pub(crate) grants: Vec<Grant>,
    /// What each node put on the wire.
    pub(crate) disclosed: Vec<Vec<Sent>>,
    pub(crate) frames: usize,
    /// Events that nobody made who may.
    pub(crate) forged: Vec<EventId>,
}

impl Oracle {
    pub(crate) fn new(nodes: usize) -> Self {
        Self {
            grants: Vec::new(),
            disclosed: vec![Vec::new(); nodes],
            frames: 0,
            forged: Vec::new(),
        }
    }

    /// Looks at a content frame as it leaves.
    pub(crate) fn check_frame(
        &mut self,
        nodes: &[Node],
        (from, to): (usize, usize),
        content: &Content,
        now: Timestamp,
    ) {
        self.frames += 1;
        let receiver = nodes[to].person();
        for bytes in &content.events {
            let event = Signed::from_bytes(bytes).expect("an event");
            let header = event.header();
            assert_ne!(header.kind, Kind::Sidecar, "private labels left");
            let memory = event.memory().expect("an event of a memory");
            if header.owner != receiver {
                assert_eq!(header.owner, nodes[from].person(), "passed on by a grantee");
                self.check_memory(nodes, (from, to), memory, now);
            }
        }
        for key in &content.keys {
            let owner = nodes[from].facts(key.memory).expect("a known memory").owner;
            let grant = self.grants.iter().find(|grant| grant.id == key.grant);
            let grant = grant.expect("a grant that was made");
            if owner == receiver {
                // An owner who asks for keys of their own is handed them back.
                assert!(is_open(grant, (to, from), now), "a key that was not given");
                continue;
            }
            assert_eq!(owner, nodes[from].person(), "only an owner gives keys");
            self.check_memory(nodes, (from, to), key.memory, now);
            assert!(
                is_open(grant, (from, to), now),
                "a key under a closed grant"
            );
        }
    }

    fn check_memory(&self, nodes: &[Node], way: (usize, usize), memory: MemoryId, now: Timestamp) {
        let (node, receiver) = (&nodes[way.0], nodes[way.1].person());
        let facts = node.facts(memory).expect("the owner has its facts");
        let is_secret = facts.sidecar.sensitivity() == Sensitivity::Secret;
        assert!(!is_secret, "a secret memory left");
        if facts.purged {
            // Nobody can read it any more; the news goes where the memory went.
            let was_given = self.disclosed[way.0]
                .iter()
                .any(|sent| sent.memory == memory && sent.person == receiver);
            let is_open = |grant| is_open(grant, way, now);
            assert!(
                was_given && self.grants.iter().any(is_open),
                "news of a purge leaked"
            );
            return;
        }
        let content = node.content(memory).expect("the owner has its content");
        let open = self.grants.iter().any(|grant| {
            is_open(grant, way, now) && content.tags.iter().any(|tag| tag == grant.tag)
        });
        assert!(open, "a memory left that no grant selects");
    }

    /// What must hold once the network is whole and quiet.
    pub(crate) fn check_end(world: &World) {
        let count = world.nodes.len();
        assert_eq!(
            world.links.len(),
            count * (count - 1) / 2,
            "a session ended"
        );
        for key in world.links.keys() {
            check_pair(world, *key);
        }
        for (number, node) in world.nodes.iter().enumerate() {
            for forged in &world.oracle.forged {
                let found = node.store().event(*forged).expect("the log reads");
                assert_eq!(found, None, "a forged event was let in");
            }
            check_ledger(node, &world.oracle.disclosed[number]);
            let before = node.snapshot();
            node.store().rebuild(world.now).expect("the log replays");
            assert_eq!(before, node.snapshot(), "a rebuild gave another state");
        }
    }
}

fn is_open(grant: &Grant, way: (usize, usize), now: Timestamp) -> bool {
    (grant.owner, grant.grantee) == way
        && grant.is_accepted
        && !grant.is_revoked
        && grant.expires.is_none_or(|expires| now < expires)
}

fn check_pair(world: &World, key: (usize, usize)) {
    let link = world.links.get(&key).expect("a link");
    let nodes = [&world.nodes[key.0], &world.nodes[key.1]];
    let [one, other] = world.views(key);
    let statuses = [0, 1].map(|side| link.ends[side].session.status().clone());
    if one != other && is_late_work(world, key) {
        assert!(statuses.iter().all(|status| !status.in_sync));
        return;
    }
    assert_eq!(one, other, "{key:?} views differ: {statuses:#?}");
    for (status, summary) in statuses.iter().zip([one, other]) {
        assert!(status.in_sync, "{key:?} does not say in sync: {status:#?}");
        assert_eq!(status.mine, Some(summary));
        assert_eq!(status.theirs, Some(summary));
    }
    let person = nodes[1].person();
    let mut memories = Vec::new();
    nodes[0].store().read(|state| {
        state.pair_view(person, world.now, &mut |facts, _| memories.push(facts.id));
    });
    for memory in memories {
        let contents = nodes.map(|node| node.content(memory));
        assert_eq!(contents[0], contents[1], "equal events, unequal content");
        let is_purged = nodes.map(|node| node.facts(memory).expect("facts").purged);
        assert_eq!(
            is_purged,
            contents.map(|content| content.is_none()),
            "unreadable"
        );
        let heads = nodes.map(|node| node.facts(memory).expect("facts").heads());
        assert_eq!(heads[0], heads[1]);
    }
}

/// Tells whether all that differs are changes that a writer made before hearing that a grant was
/// revoked, and that the owner refuses for that: the one difference that stays.
fn is_late_work(world: &World, key: (usize, usize)) -> bool {
    let nodes = [&world.nodes[key.0], &world.nodes[key.1]];
    let views = [
        nodes[0].view(nodes[1].person(), world.now).0,
        nodes[1].view(nodes[0].person(), world.now).0,
    ];
    let is_late = |side: usize| {
        views[side].without(&views[1 - side]).all(|item| {
            let id = EventId(item.id);
            let event = nodes[side].store().event(id).expect("the log reads");
            event.is_some_and(|event| {
                let header = event.header();
                let is_own = header.person == nodes[side].person();
                let is_revoked = world.oracle.grants.iter().any(|grant| {
                    grant.is_revoked
                        && world.nodes[grant.owner].person() == header.owner
                        && world.nodes[grant.grantee].person() == header.person
                });
                is_own && is_revoked && header.owner == nodes[1 - side].person()
            })
        })
    };
    is_late(0) && is_late(1)
}

fn check_ledger(node: &Node, disclosed: &[Sent]) {
    let entries = node
        .store()
        .ledger(0, usize::MAX)
        .expect("the ledger reads");
    let mut recorded: Vec<Sent> = entries
        .into_iter()
        .map(|entry| Sent {
            person: entry.person,
            memory: entry.memory,
            events: entry.events,
        })
        .collect();
    let mut disclosed = disclosed.to_vec();
    recorded.sort();
    disclosed.sort();
    assert_eq!(recorded, disclosed, "ledger and wire differ");
    let verdict = node.store().verify_ledger().expect("the ledger reads");
    assert_eq!(verdict.fault, None);
}
