//! What people do in a day: keep, change, label, share, answer, revoke, purge, give back.
//!
//! What they did is told to the rules before any other node can hear of it.

use super::net::other;
use super::plan::{SELECTORS, Step, What};
use super::run::{Day, START};
use crate::node::Node;
use crate::reference_view::Term;
use crdt::grant::authority::State as GrantState;
use crdt::grant::{Access, Terms};
use crdt::id::{EventId, MemoryId};
use crdt::memory::{BodyEdit, Content, Edit, MemoryKind, Status};
use crdt::sidecar::{Sensitivity, SidecarPatch};
use crdt::time::Timestamp;
use std::collections::BTreeSet;
use storage::records::Facts;
use storage::tx::{MemoryEdit, ShareError, WriteError};

pub(super) const TAGS: [&str; 3] = ["red", "green", "blue"];

fn tag(pick: u32) -> &'static str {
    TAGS[usize::try_from(pick).expect("few") % TAGS.len()]
}

/// Returns one of the selectors that people share with.
fn selector(which: u32) -> Term {
    match which {
        0..3 => Term::Tag(tag(which)),
        3 => Term::Any(vec![Term::Tag("red"), Term::Tag("green")]),
        4 => {
            let not = Term::Not(Box::new(Term::Tag("red")));
            Term::All(vec![Term::Tag("blue"), not])
        }
        _ => {
            let not = Term::Not(Box::new(Term::Tag("blue")));
            let both = vec![Term::Tag("green"), Term::Tag("red")];
            Term::All(vec![Term::Any(both), not])
        }
    }
}

impl Day {
    /// Does something on a node that is up; returns what came of it, if it was acknowledged.
    fn act<T, E>(
        &mut self,
        who: usize,
        f: impl FnOnce(&Node, Timestamp) -> Result<T, E>,
    ) -> Option<T> {
        let now = self.clock(who);
        let done = f(self.node(who), now).ok();
        self.note("act", &[&[u8::from(done.is_some())]]);
        if done.is_some() {
            self.note_acknowledged(who, Vec::new());
        }
        done
    }

    pub(super) fn person_does(&mut self, step: Step) {
        let who = step.who;
        if !self.is_up(who) {
            return;
        }
        match step.what {
            What::Create => self.create(who, step.a),
            What::Edit => self.edit(who, step.a, step.b, 0),
            What::Secret => self.label(who, step.a, step.b == 1),
            What::Share => self.share(step),
            What::Answer => self.answer(who, step.b != 0),
            What::Revoke => self.revoke(who, step.a),
            What::Purge => self.purge(who, step.a),
            What::Return => self.give_back(who, step.a),
            _ => unreachable!("nothing that people do"),
        }
        if self.check_power(who) {
            self.refresh(who);
        }
    }

    fn body(&mut self) -> String {
        self.bodies += 1;
        format!("canary {}x ", self.bodies)
    }

    fn create(&mut self, who: usize, pick: u32) {
        let body = self.body();
        let created = self.act(who, |node, now| {
            let mut content = Content::new(MemoryKind::Note, now);
            "title".clone_into(&mut content.title);
            content.body.clone_from(&body);
            content.tags = [tag(pick).to_owned()].into_iter().collect();
            let write =
                |tx: &mut storage::tx::Tx<'_>| tx.create(&content, &SidecarPatch::default());
            node.store().transact::<_, WriteError>(now, write)
        });
        let event = created.map(|memory| EventId(memory.0));
        self.rules.written(who, self.bodies, event);
        if let Some(memory) = created {
            self.rules.named(who, EventId(memory.0), memory);
            self.count("memories");
            self.memories.push(memory);
            self.machines[who].acknowledged.events.extend(event);
        }
    }

    /// Picks a memory that a node holds and that is not purged.
    pub(super) fn pick(
        &self,
        who: usize,
        pick: u32,
        is_fit: impl Fn(&Facts) -> bool,
    ) -> Option<MemoryId> {
        let node = self.node(who);
        let is_fit = |memory: &&MemoryId| {
            let facts = node.facts(**memory);
            facts.is_some_and(|facts| !facts.purged && is_fit(&facts))
        };
        let held: Vec<MemoryId> = self.memories.iter().filter(is_fit).copied().collect();
        let at = usize::try_from(pick)
            .expect("few")
            .checked_rem(held.len())?;
        held.get(at).copied()
    }

    /// Changes a memory, with a clock that is behind by so much.
    pub(super) fn edit(&mut self, who: usize, pick: u32, way: u32, behind_ms: u64) {
        let Some(memory) = self.pick(who, pick, |_| true) else {
            return;
        };
        let text = self.body();
        let mut edit = Edit::default();
        match way % 10 {
            0..3 => edit.title = Some(text),
            3 => edit.body = Some(BodyEdit::Replace(text)),
            4..6 => {
                let (at, delete, insert) = (0, 0, text);
                edit.body = Some(BodyEdit::Splice { at, delete, insert });
            }
            6 => edit.add_tags = BTreeSet::from([tag(way / 10).to_owned()]),
            7 => edit.remove_tags = BTreeSet::from([tag(way / 10).to_owned()]),
            8 => edit.status = Some(Status::Forgotten),
            _ => edit.status = Some(Status::Active),
        }
        let before = self.node(who).facts(memory).expect("it was picked").heads();
        let edit = MemoryEdit {
            content: edit,
            ..MemoryEdit::default()
        };
        let edited = self.act(who, |node, now| {
            let now = Timestamp(now.0.saturating_sub(behind_ms).max(START.0));
            let write = |tx: &mut storage::tx::Tx<'_>| tx.edit(memory, &edit);
            node.store().transact::<_, WriteError>(now, write)
        });
        let new = edited.and_then(|outcome| {
            let mut heads = outcome.heads.into_iter();
            heads.find(|head| outcome.changed && !before.contains(head))
        });
        self.rules.written(who, self.bodies, new);
        if let Some(event) = new {
            self.rules.named(who, event, memory);
            self.count("edits");
            self.machines[who].acknowledged.events.push(event);
            let owner = self.node(who).facts(memory).expect("it was picked").owner;
            let owner = self.persons().iter().position(|person| *person == owner);
            self.rules.changed(who, owner.expect("one of us"), event);
        }
    }

    fn label(&mut self, who: usize, pick: u32, is_secret: bool) {
        let me = self.node(who).person();
        let Some(memory) = self.pick(who, pick, |facts| facts.owner == me) else {
            return;
        };
        let level = if is_secret {
            Sensitivity::Secret
        } else {
            Sensitivity::Normal
        };
        let edit = MemoryEdit {
            sidecar: SidecarPatch {
                sensitivity: Some(level),
                ..SidecarPatch::default()
            },
            ..MemoryEdit::default()
        };
        let labelled = self.act(who, |node, now| {
            let write = |tx: &mut storage::tx::Tx<'_>| tx.edit(memory, &edit);
            node.store().transact::<_, WriteError>(now, write)
        });
        if labelled.is_some() {
            self.rules.labelled(memory, is_secret);
        } else {
            self.rules.labelled(memory, false);
        }
    }

    fn share(&mut self, step: Step) {
        let (who, grantee) = (step.who, other(step));
        let (which, rest) = (step.b % SELECTORS, step.b / SELECTORS);
        let (is_write, minutes) = (rest % 2 == 1, u64::from(rest / 2));
        let access = if is_write {
            Access::Write
        } else {
            Access::Read
        };
        let now = self.clock(who);
        let expires = (minutes > 0).then(|| now.plus_ms(minutes * 60_000));
        let selector = selector(which);
        let terms = Terms {
            expires,
            purpose: self.rules.next_purpose(),
            ..Terms::of(access)
        };
        let text = selector.to_string();
        let person = self.node(grantee).person();
        self.rules
            .offered(who, grantee, selector, is_write, expires);
        let offered = self.act(who, |node, now| {
            let write = |tx: &mut storage::tx::Tx<'_>| tx.offer(person, text, terms);
            node.store().transact::<_, ShareError>(now, write)
        });
        if offered.is_some() {
            self.count("offers");
            self.rules.learn_grants(who, &self.machines[who].node);
        }
        for who in [who, grantee] {
            if let Some(end) = expires {
                self.look_at_end(who, end);
            }
        }
    }

    fn answer(&mut self, who: usize, accept: bool) {
        let now = self.clock(who);
        for (number, id) in self.rules.open_offers_to(who) {
            let is_offered = self.node(who).store().read(|state| {
                let grant = state.authority.grant(id);
                grant.is_some_and(|grant| grant.state(now) == GrantState::Offered)
            });
            if !is_offered {
                continue;
            }
            if accept {
                // Also where it is not acknowledged: it may have been kept all the same.
                self.rules.accepted(number);
            }
            let answered = self.act(who, |node, now| node.answer(now, id, accept));
            if answered.is_some() {
                self.count("answers");
                self.rules.answered(number);
            }
            return;
        }
    }

    fn revoke(&mut self, who: usize, pick: u32) {
        let open = self.rules.open_grants_of(who);
        let at = usize::try_from(pick).expect("few").checked_rem(open.len());
        let Some((number, id)) = at.and_then(|at| open.get(at).copied()) else {
            return;
        };
        if self.act(who, |node, now| node.revoke(now, id)).is_some() {
            self.count("revocations");
            self.rules.revoked(number);
        }
    }

    fn purge(&mut self, who: usize, pick: u32) {
        let me = self.node(who).person();
        let Some(memory) = self.pick(who, pick, |facts| facts.owner == me) else {
            return;
        };
        let purged = self.act(who, |node, now| {
            let write = |tx: &mut storage::tx::Tx<'_>| tx.purge(memory);
            node.store().transact::<_, WriteError>(now, write)
        });
        if purged.is_some() {
            self.count("purges");
        }
    }

    fn give_back(&mut self, who: usize, pick: u32) {
        let me = self.node(who).person();
        let Some(memory) = self.pick(who, pick, |facts| facts.owner != me) else {
            return;
        };
        let returned = self.act(who, |node, now| {
            let write = |tx: &mut storage::tx::Tx<'_>| tx.give_back(memory);
            node.store().transact::<_, WriteError>(now, write)
        });
        if returned.is_some() {
            self.count("returns");
        }
    }
}
