//! Circles: one verb grants to all members, and grants follow who is in.

use super::Tx;
use super::append::Draft;
use super::share::ShareError;
use crdt::codec::Canonical as _;
use crdt::envelope::Epoch;
use crdt::event::body::circle::{CircleChange, CirclePart};
use crdt::event::{Feed, Kind};
use crdt::grant::Terms;
use crdt::grant::authority::State as GrantState;
use crdt::id::{GrantId, PersonId};

/// What following a circle came to.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Followed {
    /// Grants that were offered, and to whom.
    pub offered: Vec<(PersonId, GrantId)>,
    /// Grants that were revoked.
    pub revoked: Vec<GrantId>,
}

impl Tx<'_> {
    /// Changes a circle, then offers what its members are owed and revokes what they are not.
    pub fn change_circle(
        &mut self,
        name: &str,
        changes: Vec<CirclePart>,
    ) -> Result<Followed, ShareError> {
        for what in changes {
            self.write_circle(name, what)?;
        }
        self.follow_circle(name)
    }

    /// Shares with a circle; members whose grant of the same selector ended are offered it anew.
    pub fn share_with_circle(
        &mut self,
        name: &str,
        selector: String,
        terms: Terms,
    ) -> Result<Followed, ShareError> {
        let circle = self.state.authority.circle(name).cloned();
        let now = self.now;
        let is_over = |grant: &GrantId| {
            let found = self.state.authority.grant(*grant);
            !found.is_some_and(|grant| {
                matches!(grant.state(now), GrantState::Offered | GrantState::Active)
            })
        };
        let circle = circle.unwrap_or_default();
        let same = circle.gave().filter(|(_, shared, _)| *shared == selector);
        let over = same.map(|(_, _, grant)| *grant).filter(is_over);
        let mut changes: Vec<CirclePart> = over.map(CirclePart::Took).collect();
        changes.push(CirclePart::Share(selector, Some(terms)));
        self.change_circle(name, changes)
    }

    fn write_circle(&mut self, name: &str, what: CirclePart) -> Result<(), ShareError> {
        let owner = self.state.me;
        let draft = Draft {
            kind: Kind::Circle,
            owner,
            feed: Feed::Own,
            parents: Vec::new(),
            epoch: Epoch(0),
        };
        let name = name.to_owned();
        self.write_plain(draft, CircleChange { name, what }.to_bytes())?;
        Ok(())
    }

    /// Makes the grants of a circle what its members and shares call for.
    ///
    /// A member whose grant expired, was declined or was revoked by hand is not offered again
    /// by this: a no stays a no until the same is shared with the circle anew.
    pub fn follow_circle(&mut self, name: &str) -> Result<Followed, ShareError> {
        let mut followed = Followed::default();
        let Some(circle) = self.state.authority.circle(name).cloned() else {
            return Ok(followed);
        };
        let now = self.now;
        for grant in circle.surplus() {
            let state = self.grant(grant)?.state(now);
            if matches!(state, GrantState::Offered | GrantState::Active) {
                self.revoke(grant, String::new())?;
                followed.revoked.push(grant);
            }
            self.write_circle(name, CirclePart::Took(grant))?;
        }
        let circle = self.state.authority.circle(name).cloned();
        for (person, selector, mut terms) in circle.unwrap_or_default().owed() {
            if let Some(lease) = terms.lease_ms {
                terms.expires = Some(now.plus_ms(lease));
            }
            let grant = self.offer(person, selector.clone(), terms)?;
            self.write_circle(name, CirclePart::Gave(person, selector, grant))?;
            followed.offered.push((person, grant));
        }
        Ok(followed)
    }
}
