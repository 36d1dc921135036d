//! What the state knows of grants that ended: late work, and memories that are hidden since.

use super::{State, is_listed};
use crate::late::LateWork;
use crate::records::Facts;
use crate::screen::OnRevoke;
use crdt::event::body::Outcome;
use crdt::grant::authority::{Grant, Permit};
use crdt::id::{DeviceId, EventId, GrantId, MemoryId, PersonId};
use crdt::time::Timestamp;
use std::collections::{BTreeMap, BTreeSet};

impl State {
    /// Returns the facts without own changes that the owner does not accept; none if all count.
    pub(super) fn without_late(&self, facts: &Facts) -> Option<Facts> {
        if facts.owner == self.me || self.late.mine.is_empty() {
            return None;
        }
        let is_late = |event: &EventId| self.is_late(*event);
        if !facts.events().any(|(_, event)| is_late(&event)) {
            return None;
        }
        let mut facts = facts.clone();
        facts.rewrite(|parts| parts.events.retain(|(_, event)| !is_late(event)));
        Some(facts)
    }
    /// Tells whether a change of mine is beyond the cut of a revocation, as things stand.
    pub(crate) fn is_late(&self, event: EventId) -> bool {
        let Some(mine) = self.late.mine.get(&event) else {
            return false;
        };
        let delivered = self.delivered(mine.memory);
        let writer = (self.me, mine.device, mine.incarnation);
        let permit = self
            .authority
            .permit(mine.owner, writer, mine.memory, &delivered);
        match permit {
            Permit::Open => false,
            Permit::UpTo(number, _) => mine.number > number,
            Permit::Closed => true,
        }
    }
    /// Returns the grants under which a memory was given.
    pub(crate) fn delivered(&self, memory: MemoryId) -> BTreeSet<GrantId> {
        let grants = self.members.get(&memory);
        let grants = grants.into_iter().flat_map(BTreeMap::keys);
        grants.copied().collect()
    }
    /// Counts my revocations towards a person: what was cleared under fewer is not sent.
    pub fn revocations(&self, person: PersonId) -> usize {
        let mine = |grant: &&Grant| grant.owner == self.me && grant.grantee == person;
        let grants = self.authority.grants().filter(mine);
        grants.filter(|grant| grant.revoked.is_some()).count()
    }
    /// Returns the late work in the tray, oldest first.
    pub fn late_work(&self, now: Timestamp) -> Vec<LateWork> {
        self.late.work(now)
    }
    /// Returns the grant that brought a memory of someone else and when it was revoked, if no
    /// other covers the memory.
    pub fn withdrawn<'a>(&'a self, facts: &Facts) -> Option<&'a Grant> {
        if facts.owner == self.me {
            return None;
        }
        let grants = self.members.get(&facts.id)?.keys();
        let mut last: Option<&Grant> = None;
        for grant in grants.filter_map(|grant| self.authority.grant(*grant)) {
            grant.revoked.as_ref()?;
            if last.is_none_or(|last| last.aftermath.ended() < grant.aftermath.ended()) {
                last = Some(grant);
            }
        }
        last
    }
    /// Tells whether a memory is listed and found here.
    pub fn is_shown(&self, facts: &Facts) -> bool {
        is_listed(facts) && !self.is_hidden(facts)
    }
    /// Tells whether a memory is hidden because it is not shared any more.
    pub fn is_hidden(&self, facts: &Facts) -> bool {
        self.withdrawn(facts).is_some() && self.peer_rules(facts.owner).on_revoke == OnRevoke::Hide
    }
    /// Tells whether the owner of a grant waits for a device of mine to say whether it purges.
    pub fn purge_waits(&self, grant: &Grant, device: &DeviceId) -> bool {
        let asked = grant.revoked.as_ref().is_some_and(|(_, body)| body.purge);
        let said = grant.aftermath.receipt(device);
        grant.grantee == self.me
            && asked
            && said.is_some_and(|(_, receipt)| receipt.outcome == Outcome::Waiting)
    }
}
