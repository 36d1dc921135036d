//! What the nodes of the world do by themselves, drawn at random.

use super::World;
use crate::node::Node;
use crate::oracle::Grant;
use crdt::event::{Event, Feed, Header, Kind, Signed};
use crdt::grant::Access;
use crdt::id::{EventId, MemoryId};
use crdt::memory::{BodyEdit, Edit, Status};
use crdt::sidecar::{Sensitivity, SidecarPatch};
use std::collections::BTreeSet;
use storage::records::Facts;

const TAGS: [&str; 3] = ["red", "green", "blue"];

impl World {
    pub(super) fn node(&mut self) -> usize {
        self.below(self.nodes.len())
    }
    pub(super) fn pair(&mut self) -> (usize, usize) {
        let a = self.node();
        let b = (a + 1 + self.below(self.nodes.len() - 1)) % self.nodes.len();
        (a, b)
    }
    fn tag(&mut self) -> &'static str {
        TAGS[self.below(TAGS.len())]
    }

    /// Does one thing, drawn at random.
    pub(crate) fn step(&mut self) {
        self.now = self.now.plus_ms(self.rng.below(40));
        match self.below(100) {
            0..12 => self.create(),
            12..30 => self.edit(),
            30..34 => self.label(),
            34..43 => self.share(),
            43..52 => self.answer(),
            52..55 => self.revoke(),
            55..65 => self.connect(),
            65..67 => self.disconnect(),
            67..69 => self.wait(),
            69 => self.restart(),
            70 | 71 => self.forge(),
            72 => self.purge(),
            _ => {
                for _ in 0..self.below(12) {
                    self.deliver_one();
                }
            }
        }
    }

    fn body(&mut self) -> String {
        self.bodies += 1;
        format!("canary {}", self.bodies)
    }

    fn create(&mut self) {
        // Now and then so many that a reconciliation takes several rounds.
        let count = if self.below(40) == 0 { 60 } else { 1 };
        let (node, tag) = (self.node(), self.tag());
        for _ in 0..count {
            let body = self.body();
            let memory = self.nodes[node].create(self.now, &body, &[tag]);
            self.memories.push(memory);
        }
        self.refresh(node);
    }

    fn memory_of(&mut self, node: usize) -> Option<MemoryId> {
        let held: Vec<MemoryId> = self
            .memories
            .iter()
            .copied()
            .filter(|memory| self.nodes[node].facts(*memory).is_some())
            .collect();
        let at = self.below(held.len());
        held.get(at).copied()
    }

    fn edit(&mut self) {
        let node = self.node();
        let Some(memory) = self.memory_of(node) else {
            return;
        };
        let mut edit = Edit::default();
        match self.below(7) {
            0 | 1 => edit.title = Some(self.body()),
            2 => edit.body = Some(BodyEdit::Replace(self.body())),
            3 => {
                let insert = self.body();
                let (at, delete) = (0, 0);
                edit.body = Some(BodyEdit::Splice { at, delete, insert });
            }
            4 => edit.add_tags = BTreeSet::from([self.tag().to_owned()]),
            5 => edit.remove_tags = BTreeSet::from([self.tag().to_owned()]),
            _ => {
                let is_forgotten = self.below(2) == 0;
                edit.status = Some(if is_forgotten {
                    Status::Forgotten
                } else {
                    Status::Active
                });
            }
        }
        if self.nodes[node].edit(self.now, memory, edit).is_ok() {
            self.refresh(node);
        }
    }

    fn label(&mut self) {
        let node = self.node();
        let memory = self.memory_of(node);
        let facts = memory.and_then(|memory| self.nodes[node].facts(memory));
        if let Some(memory) = facts.filter(|facts| !facts.purged).map(|facts| facts.id) {
            let is_secret = self.below(3) > 0;
            let level = if is_secret {
                Sensitivity::Secret
            } else {
                Sensitivity::Normal
            };
            let patch = SidecarPatch {
                sensitivity: Some(level),
                ..SidecarPatch::default()
            };
            self.nodes[node].label(self.now, memory, patch);
            self.refresh(node);
        }
    }

    fn share(&mut self) {
        let ((owner, grantee), tag) = (self.pair(), self.tag());
        let access = if self.below(3) == 0 {
            Access::Read
        } else {
            Access::Write
        };
        let in_seconds = 5 + self.rng.below(60);
        let is_short = self.below(6) == 0;
        let expires = is_short.then(|| self.now.plus_ms(1_000 * in_seconds));
        let person = self.nodes[grantee].person();
        let selector = format!("tag:{tag}");
        let id = self.nodes[owner].offer(self.now, person, &selector, access, expires);
        self.oracle.grants.push(Grant {
            id,
            owner,
            grantee,
            tag,
            expires,
            is_accepted: false,
            is_revoked: false,
        });
        self.refresh(owner);
    }

    fn answer(&mut self) {
        let accept = self.below(8) > 0;
        for at in 0..self.oracle.grants.len() {
            let (id, grantee) = (self.oracle.grants[at].id, self.oracle.grants[at].grantee);
            if self.nodes[grantee].answer(self.now, id, accept).is_ok() {
                self.oracle.grants[at].is_accepted = accept;
                self.refresh(grantee);
                return;
            }
        }
    }

    fn revoke(&mut self) {
        let at = self.below(self.oracle.grants.len());
        if let Some(grant) = self.oracle.grants.get(at).cloned()
            && self.nodes[grant.owner].revoke(self.now, grant.id).is_ok()
        {
            self.oracle.grants[at].is_revoked = true;
            self.refresh(grant.owner);
        }
    }

    fn purge(&mut self) {
        let node = self.node();
        if let Some(memory) = self.memory_of(node) {
            let purged = self.nodes[node]
                .store()
                .transact(self.now, |tx| tx.purge(memory));
            if purged.is_ok() {
                self.refresh(node);
            }
        }
    }

    /// A hostile peer signs the destruction of someone else's memory in the owner's name.
    fn forge(&mut self) {
        let (forger, victim) = self.pair();
        let Some(memory) = self.memory_of(forger) else {
            return;
        };
        let facts = self.nodes[forger].facts(memory).expect("facts");
        let Some(event) = forgery(&self.nodes[forger], &self.nodes[victim], &facts) else {
            return;
        };
        self.oracle.forged.push(event.id());
        let (person, bytes) = (self.nodes[forger].person(), event.bytes().to_vec());
        self.nodes[victim].transact(self.now, |tx| tx.take_content(person, &[bytes], &[]));
        self.refresh(victim);
    }
}

/// Makes a purge in the name of the memory's owner, right in all but the signature.
fn forgery(forger: &Node, owner: &Node, facts: &Facts) -> Option<Signed<Event>> {
    let logged = |(_, id): (_, EventId)| forger.store().event(id).expect("the log reads");
    let of_owner = facts.events().filter_map(logged);
    let last = of_owner
        .filter(|event| event.header().author == owner.certificate.device)
        .max_by_key(|event| event.header().number)?;
    let header = Header {
        kind: Kind::Purge,
        feed: Feed::Memory(facts.id),
        number: last.header().number + 1,
        previous: Some(last.id()),
        parents: vec![last.id()],
        commitment: None,
        packing: crdt::envelope::pack::Packing::Plain,
        ..last.header().clone()
    };
    let body = Vec::new();
    Some(Event { header, body }.sign(&forger.device()))
}
