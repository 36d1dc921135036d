//! What may happen next, drawn at random, done for real and told to the reference.

use super::Run;
use crate::reference_view::{Grant, Memory, Term};
use crdt::grant::Access;
use crdt::id::MemoryId;
use crdt::memory::Edit;
use crdt::selector::Selector;
use crdt::sidecar::{Sensitivity, SidecarPatch};
use std::collections::{BTreeMap, BTreeSet};

const TAGS: [&str; 4] = ["red", "red/dark", "green", "redder"];
const SPACES: [&str; 3] = ["default", "work", "home"];
/// How deep a random selector nests.
const DEPTH_MAX: u64 = 3;

impl Run {
    fn one<T: Copy>(&mut self, of: &[T]) -> T {
        let at = usize::try_from(self.rng.below(of.len() as u64)).expect("small");
        *of.get(at).expect("never of nothing")
    }
    fn grantee(&mut self) -> usize {
        usize::try_from(self.rng.below(self.grantees.len() as u64)).expect("small")
    }
    fn memory(&mut self) -> Option<MemoryId> {
        let at = usize::try_from(self.rng.below(self.memories.len() as u64)).expect("small");
        self.memories.get(at).copied()
    }

    /// Does one thing.
    pub(super) fn step(&mut self) {
        match self.rng.below(100) {
            0..16 => self.create(),
            16..31 => self.tag_privately(),
            31..37 => self.tag_openly(),
            37..43 => self.relabel(),
            43..47 => self.edit(),
            47..50 => self.write_as_grantee(),
            50..64 => self.share(),
            64..71 => self.share_and_deliver(),
            71..79 => self.answer(),
            79..84 => self.revoke(),
            84..88 => self.pass_time(),
            88..92 => {
                let grantee = self.grantee();
                self.give(grantee);
            }
            _ => {
                let grantee = self.grantee();
                self.sync(grantee);
            }
        }
    }

    fn create(&mut self) {
        for _ in 0..=self.rng.below(3) {
            let tags = if self.rng.below(2) == 0 {
                vec![self.one(&TAGS)]
            } else {
                Vec::new()
            };
            let id = self.owner.create(self.now, "text", &tags);
            let memory = Memory {
                shared_tags: tags.into_iter().collect(),
                private_tags: BTreeSet::new(),
                space: "default",
                is_secret: false,
            };
            self.reference.memories.insert(id, memory);
            self.memories.push(id);
        }
    }

    fn tag_privately(&mut self) {
        let (Some(id), tag, set) = (self.memory(), self.one(&TAGS), self.rng.below(3) > 0) else {
            return;
        };
        let patch = SidecarPatch {
            tags: BTreeMap::from([(tag.to_owned(), set)]),
            ..SidecarPatch::default()
        };
        self.owner.label(self.now, id, patch);
        let tags = &mut self
            .reference
            .memories
            .get_mut(&id)
            .expect("known")
            .private_tags;
        if set {
            tags.insert(tag);
        } else {
            tags.remove(tag);
        }
    }

    fn tag_openly(&mut self) {
        let (Some(id), tag, set) = (self.memory(), self.one(&TAGS), self.rng.below(2) == 0) else {
            return;
        };
        let tags = BTreeSet::from([tag.to_owned()]);
        let known = &mut self
            .reference
            .memories
            .get_mut(&id)
            .expect("known")
            .shared_tags;
        let mut edit = Edit::default();
        if set {
            edit.add_tags = tags;
            known.insert(tag);
        } else {
            edit.remove_tags = tags;
            known.remove(tag);
        }
        self.owner.edit(self.now, id, edit).expect("edited");
    }

    /// Moves a memory to another space, or makes it secret, or not any more.
    fn relabel(&mut self) {
        let Some(id) = self.memory() else { return };
        let mut patch = SidecarPatch::default();
        let space = self.one(&SPACES);
        let is_secret = self.rng.below(2) == 0;
        let memory = self.reference.memories.get_mut(&id).expect("known");
        if self.rng.below(2) == 0 {
            patch.space = Some(space.to_owned());
            memory.space = space;
        } else {
            let level = if is_secret {
                Sensitivity::Secret
            } else {
                Sensitivity::Normal
            };
            patch.sensitivity = Some(level);
            memory.is_secret = is_secret;
        }
        self.owner.label(self.now, id, patch);
    }

    fn title(&mut self) -> Edit {
        Edit {
            title: Some(format!("title {}", self.rng.below(1_000))),
            ..Edit::default()
        }
    }

    fn edit(&mut self) {
        if let Some(id) = self.memory() {
            let edit = self.title();
            self.owner.edit(self.now, id, edit).expect("edited");
        }
    }

    fn write_as_grantee(&mut self) {
        let (Some(id), at, edit) = (self.memory(), self.grantee(), self.title()) else {
            return;
        };
        // Whether it may is the writer's node's answer; whether it counts is the owner's.
        if self.grantees[at].edit(self.now, id, edit).is_ok() {
            self.wrote.insert((at, id));
        }
    }

    fn term(&mut self, depth: u64) -> Term {
        let many = |run: &mut Self| {
            let count = 2 + run.rng.below(2);
            (0..count).map(|_| run.term(depth + 1)).collect()
        };
        match self.rng.below(if depth < DEPTH_MAX { 12 } else { 7 }) {
            0..4 => Term::Tag(self.one(&TAGS)),
            4 | 5 => Term::Space(self.one(&SPACES)),
            6 => {
                let text = self
                    .memory()
                    .map_or_else(|| "zz".to_owned(), |id| id.to_string());
                let length = if self.rng.below(2) == 0 {
                    1
                } else {
                    text.len()
                };
                Term::Id(text.chars().take(length).collect())
            }
            7 | 8 => Term::Not(Box::new(self.term(depth + 1))),
            9 => Term::Any(many(self)),
            _ => Term::All(many(self)),
        }
    }

    /// Previews and offers a grant; the preview is what the reference selects.
    fn share(&mut self) {
        let (grantee, selector) = (self.grantee(), self.term(0));
        let text = selector.to_string();
        let parsed = Selector::parse(&text).expect("a selector");
        let preview = self
            .owner
            .store()
            .read(|state| state.preview(&parsed, self.now));
        let [open, held] = self.reference.selected(&selector);
        let shown = preview.memories.iter().map(|(id, _)| *id);
        assert_eq!(shown.collect::<BTreeSet<_>>(), open, "preview of {text}");
        let shown = preview.held.iter().map(|(id, _)| *id);
        assert_eq!(shown.collect::<BTreeSet<_>>(), held, "held of {text}");
        self.previews += 1;
        let is_write = self.rng.below(3) == 0;
        let access = if is_write {
            Access::Write
        } else {
            Access::Read
        };
        let in_ms = 1 + self.rng.below(5_000);
        let expires = (self.rng.below(3) == 0).then(|| self.now.plus_ms(in_ms));
        let to = self.grantees[grantee].person();
        // What the node stores is the canonical text.
        let canonical = parsed.to_string();
        let id = self.owner.offer(self.now, to, &canonical, access, expires);
        self.reference.grants.push(Grant {
            id,
            grantee,
            selector,
            is_write,
            expires,
            answer: None,
            heard: None,
            is_revoked: false,
        });
    }

    /// Offers, accepts and delivers with nothing between: what was shown is what arrives.
    fn share_and_deliver(&mut self) {
        self.share();
        let grant = self.reference.grants.last().expect("just offered").clone();
        let [shown, _] = self.reference.selected(&grant.selector);
        self.tell(&self.owner, &self.grantees[grant.grantee]);
        self.say(self.reference.grants.len() - 1, true);
        self.sync(grant.grantee);
        let peer = &self.grantees[grant.grantee];
        let arrived = self.members(peer, &self.owner, grant.id);
        assert_eq!(
            arrived, shown,
            "shown and delivered under {}",
            grant.selector
        );
    }

    fn answer(&mut self) {
        let accept = self.rng.below(6) > 0;
        for at in 0..self.reference.grants.len() {
            if self.reference.grants[at].answer.is_none() && self.say(at, accept) {
                return;
            }
        }
    }

    /// Answers a grant, if the grantee's node knows of it and lets it; a decline is final.
    fn say(&mut self, at: usize, accept: bool) -> bool {
        let grant = &mut self.reference.grants[at];
        let peer = &self.grantees[grant.grantee];
        let is_done = peer.answer(self.now, grant.id, accept).is_ok();
        if is_done {
            grant.answer = Some(accept);
            let again = peer.answer(self.now, grant.id, !accept);
            assert!(again.is_err(), "an answer is final");
        }
        is_done
    }

    fn revoke(&mut self) {
        let count = self.reference.grants.len();
        let at = usize::try_from(self.rng.below(count as u64)).expect("small");
        let Some(grant) = self.reference.grants.get_mut(at) else {
            return;
        };
        let done = self.owner.revoke(self.now, grant.id).is_ok();
        assert_eq!(done, !grant.is_revoked, "a revocation is final");
        grant.is_revoked = true;
    }

    /// Takes every grant back and tells everyone, so that nothing is shared any more.
    pub(super) fn revoke_all(&mut self) {
        let grants = self.reference.grants.iter_mut();
        for grant in grants.filter(|grant| !grant.is_revoked) {
            grant.is_revoked = true;
            self.owner.revoke(self.now, grant.id).expect("revoked");
        }
        for grantee in 0..self.grantees.len() {
            self.sync(grantee);
        }
    }

    /// Time passes; now and then a clock is set back a little.
    fn pass_time(&mut self) {
        let ms = self.rng.below(4_000);
        self.now = if self.rng.below(4) == 0 {
            crdt::time::Timestamp(self.now.0.saturating_sub(ms / 4))
        } else {
            self.now.plus_ms(ms)
        };
    }
}
