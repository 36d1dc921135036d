//! What follows a revocation on the receiver's side, and giving back without one.
//!
//! ```text
//! revocation -> note late work -> purge what only it brought, if asked and willing -> receipt
//! give back  -> return -> purge
//! ```
//!
//! All of it is one transaction with the event that causes it. A *copy* is purged by destroying
//! its keys, content and document; the sealed events stay in the log, as after any purge, so a
//! replay gives the same. If the memory is shared again, the keys come again and [`Tx::revive`]
//! reads it anew from the log.

use super::Tx;
use super::append::AppendError;
use super::edit::WriteError;
use super::project::Projected;
use super::share::ShareError;
use crate::kv::Scan;
use crate::layout;
use crate::ledger::Entry;
use crate::records::Facts;
use crate::screen::OnPurge;
use crate::store::{StoreError, decode};
use crdt::codec::Canonical as _;
use crdt::event::Kind;
use crdt::event::admit::Verified;
use crdt::event::body::{Outcome, Receipt, Return, Revocation};
use crdt::grant::authority::{Grant, State as GrantState};
use crdt::id::{GrantId, MemoryId};
use crdt::sidecar::SidecarPatch;
use std::collections::BTreeSet;
use std::sync::Arc;

/// What giving a grant back did here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GivenBack {
    /// Memories whose copies were purged here.
    pub memories: u32,
    /// Memories that stay because another grant covers them.
    pub kept: u32,
}

impl Tx<'_> {
    /// Does what follows a revocation of a grant that was given to me.
    pub(super) fn follow_revocation(&mut self, body: &Revocation) -> Result<(), AppendError> {
        let me = self.state.me;
        let grant = self.state.authority.grant(body.grant);
        let Some(grant) = grant.filter(|grant| grant.grantee == me).cloned() else {
            return Ok(());
        };
        self.note_late(&grant)?;
        if !body.purge {
            return Ok(());
        }
        if self.only_under(grant.id).is_empty() {
            // Nothing to decide: there is nothing here.
            return self.comply(&grant);
        }
        match self.state.peer_rules(grant.owner).on_purge {
            OnPurge::Comply => self.comply(&grant),
            OnPurge::Ask => self.give_receipt(&grant, Outcome::Waiting),
            OnPurge::Refuse => self.give_receipt(&grant, Outcome::Refused),
        }
    }

    /// Answers the owner who asked for a purge and was told to wait.
    pub fn answer_purge(&mut self, grant: GrantId, comply: bool) -> Result<(), ShareError> {
        let found = self.state.authority.grant(grant).cloned();
        let found = found.ok_or(ShareError::Unknown(grant))?;
        if !self.state.purge_waits(&found, &self.owner.device.id()) {
            return Err(ShareError::State(found.state(self.now).as_str()));
        }
        if comply {
            self.comply(&found)?;
        } else {
            self.give_receipt(&found, Outcome::Refused)?;
        }
        Ok(())
    }

    /// Gives a memory of someone else back: purges the copy here and tells the sender, who may
    /// be gone for long. It comes again only under a new grant.
    pub fn give_back(&mut self, memory: MemoryId) -> Result<(), WriteError> {
        let facts = self.live_facts(memory)?;
        if facts.owner == self.state.me {
            return Err(WriteError::IsMine(memory));
        }
        let grants = self.state.delivered(memory);
        for grant in grants {
            let found = self.state.authority.grant(grant).cloned();
            let is_over = |grant: &Grant| {
                matches!(
                    grant.state(self.now),
                    GrantState::Revoked | GrantState::Returned
                )
            };
            if let Some(found) = found.filter(|found| !is_over(found)) {
                self.write_return(&found, Some(vec![memory]))?;
            }
        }
        self.purge_copy(&facts)?;
        Ok(())
    }

    /// Gives a whole grant back: purges what only it covers and tells the sender.
    pub fn return_grant(&mut self, grant: GrantId) -> Result<GivenBack, ShareError> {
        let found = self.state.authority.grant(grant).cloned();
        let found = found.ok_or(ShareError::Unknown(grant))?;
        if found.grantee != self.state.me {
            return Err(ShareError::Party("the person it was given to"));
        }
        match found.state(self.now) {
            GrantState::Active | GrantState::Expired | GrantState::Revoked => {}
            state => return Err(ShareError::State(state.as_str())),
        }
        self.write_return(&found, None)?;
        let given = self.held_under_grant(grant).len();
        let only = self.only_under(grant);
        self.purge_copies(&found, &only)?;
        let asked = found.revoked.as_ref().is_some_and(|(_, body)| body.purge);
        if asked {
            self.write_receipt(&found, Outcome::Complied, &only)?;
        }
        let memories = number(only.len());
        Ok(GivenBack {
            memories,
            kept: number(given).saturating_sub(memories),
        })
    }

    /// Purges what only a revoked grant brought, and says so.
    fn comply(&mut self, grant: &Grant) -> Result<(), AppendError> {
        let only = self.only_under(grant.id);
        self.write_receipt(grant, Outcome::Complied, &only)?;
        self.purge_copies(grant, &only)
    }

    fn give_receipt(&mut self, grant: &Grant, outcome: Outcome) -> Result<(), AppendError> {
        let only = self.only_under(grant.id);
        self.write_receipt(grant, outcome, &only)
    }

    fn write_receipt(
        &mut self,
        grant: &Grant,
        outcome: Outcome,
        memories: &[Arc<Facts>],
    ) -> Result<(), AppendError> {
        let body = Receipt {
            grant: grant.id,
            outcome,
            memories: number(memories.len()),
            passed_on: self.passed_on(memories)?,
        };
        self.write_consent(Kind::Receipt, grant.owner, grant.owner, body.to_bytes())?;
        Ok(())
    }

    fn write_return(
        &mut self,
        grant: &Grant,
        memories: Option<Vec<MemoryId>>,
    ) -> Result<(), AppendError> {
        let body = Return {
            grant: grant.id,
            memories,
        };
        self.write_consent(Kind::Return, grant.owner, grant.owner, body.to_bytes())?;
        Ok(())
    }

    fn held_under_grant(&self, grant: GrantId) -> Vec<Arc<Facts>> {
        let members = self.state.members.iter();
        let held = members.filter(|(_, grants)| grants.contains_key(&grant));
        held.filter_map(|(memory, _)| self.state.memories.get(memory))
            .filter(|facts| !facts.purged && facts.owner != self.state.me)
            .cloned()
            .collect()
    }

    /// Returns the memories here that no other active grant covers.
    fn only_under(&self, grant: GrantId) -> Vec<Arc<Facts>> {
        let mut held = self.held_under_grant(grant);
        held.retain(|facts| {
            let mut others = self.state.held_under(facts, self.now);
            !others.any(|other| other.id != grant)
        });
        held
    }

    /// Counts the memories of someone else that left for a third person, as the ledger knows.
    fn passed_on(&self, memories: &[Arc<Facts>]) -> Result<u32, StoreError> {
        if memories.is_empty() {
            return Ok(0);
        }
        let mut passed = BTreeSet::new();
        let mut scan = Scan::all();
        loop {
            let page = self.kv.scan(layout::LEDGER, &scan)?;
            for item in &page.items {
                let entry: Entry = decode(layout::LEDGER.0, &item.value)?;
                let is_theirs =
                    |facts: &&Arc<Facts>| facts.id == entry.memory && facts.owner != entry.person;
                passed.extend(memories.iter().find(is_theirs).map(|facts| facts.id));
            }
            match page.items.last() {
                Some(last) if page.more => scan.after = Some(last.key.clone()),
                _ => return Ok(number(passed.len())),
            }
        }
    }

    fn purge_copies(&mut self, grant: &Grant, memories: &[Arc<Facts>]) -> Result<(), AppendError> {
        for facts in memories {
            self.purge_copy(facts)?;
        }
        self.drop_scope_keys(grant.id)?;
        Ok(())
    }

    /// Destroys keys, content and document of a copy, and forgets under which grants it came.
    fn purge_copy(&mut self, facts: &Facts) -> Result<(), AppendError> {
        let memory = facts.id;
        // An own event about the memory, so that the indices that lag behind the log see it.
        self.hide(memory, true)?;
        if let Ok(facts) = self.facts(memory) {
            let facts = Box::new(facts.emptied());
            self.stage_projection(Projected::Purged(facts))?;
        }
        for grant in self.state.delivered(memory) {
            self.remove_member(grant, memory);
        }
        Ok(())
    }

    fn hide(&mut self, memory: MemoryId, hidden: bool) -> Result<(), AppendError> {
        let patch = SidecarPatch {
            hidden: Some(hidden),
            ..SidecarPatch::default()
        };
        match self.label(memory, &patch) {
            Ok(_) => Ok(()),
            Err(WriteError::Append(error)) => Err(error),
            Err(other) => Err(AppendError::Unreadable(other.to_string())),
        }
    }

    fn remove_member(&mut self, grant: GrantId, memory: MemoryId) {
        self.save_members(memory);
        let row = self.opaque.opaque(grant.as_bytes());
        let row = [row.as_slice(), &self.memory_key(memory)].concat();
        self.delete(layout::MEMBER, row);
        if let Some(grants) = self.state.members.get_mut(&memory) {
            grants.remove(&grant);
            if grants.is_empty() {
                self.state.members.remove(&memory);
            }
        }
    }

    /// Tells whether its owner purged a memory; a copy that was only given back here may come again.
    pub(super) fn is_purged_by_owner(&self, facts: &Facts) -> Result<bool, StoreError> {
        for head in facts.heads() {
            let event = self.logged(head)?;
            if event.is_some_and(|event| event.header().kind == Kind::Purge) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Reads a copy that was purged here anew from the log, now that its keys came again.
    ///
    /// What its owner purged stays purged; what does not open stays as it was.
    pub(super) fn revive(&mut self, memory: MemoryId) -> Result<(), StoreError> {
        let facts = self.state.memories.get(&memory).cloned();
        let is_copy = |facts: &Arc<Facts>| facts.purged && facts.owner != self.state.me;
        let Some(facts) = facts.filter(is_copy) else {
            return Ok(());
        };
        let mut events = Vec::new();
        for (_, id) in facts.events() {
            let Some(event) = self.logged(id)? else {
                return Ok(());
            };
            if event.header().kind == Kind::Purge {
                return Ok(());
            }
            events.push(Verified::from_own_log(event));
        }
        for event in &events {
            let projected = match self.prepare_projection(facts.slot, event, None) {
                Ok(projected) => projected,
                Err(AppendError::Store(error)) => return Err(error),
                Err(error) => {
                    tracing::info!(%error, "a memory that came again does not open");
                    return self
                        .stage_projection(Projected::Purged(Box::new(Facts::clone(&facts))));
                }
            };
            self.stage_projection(with_labels(projected, &facts))?;
        }
        self.hide(memory, false).map_err(|error| match error {
            AppendError::Store(error) => error,
            other => StoreError::Replay(self.state.head, other.to_string()),
        })
    }
}

/// Keeps the holder's own labels, which are not in the owner's events.
fn with_labels(mut projected: Projected, before: &Facts) -> Projected {
    if let Projected::Memory { facts, .. } = &mut projected {
        facts.sidecar = before.sidecar.clone();
        facts.rewrite(|parts| parts.sidecar_events = before.sidecar_events().to_vec());
    }
    projected
}

fn number(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}
