//! Leases: moving the end of a grant, and putting another grant in its place.
//!
//! Moving the end needs no new yes: the owner may always stop, and going on is what the grantee
//! accepted. A narrower grant takes the place of the wider one at once; a wider one is an offer
//! that the grantee answers, and until then the old one goes on.

use super::Tx;
use super::share::ShareError;
use crdt::codec::Canonical as _;
use crdt::event::Kind;
use crdt::event::body::Renewal;
use crdt::grant::Terms;
use crdt::grant::authority::{Grant, State as GrantState};
use crdt::id::{GrantId, PersonId};
use crdt::time::Timestamp;

/// A lease is renewed when less than one part in so many of it is left.
const RENEWED_AT_PART: u64 = 3;

impl Tx<'_> {
    fn own_live_grant(&self, grant: GrantId) -> Result<Grant, ShareError> {
        let found = self.grant(grant)?;
        if found.owner != self.state.me {
            return Err(ShareError::Party("the owner"));
        }
        match found.state(self.now) {
            GrantState::Offered | GrantState::Active => Ok(found),
            state => Err(ShareError::State(state.as_str())),
        }
    }

    /// Moves the end of a grant that goes on; one that ended does not come back.
    pub fn renew(&mut self, grant: GrantId, expires: Timestamp) -> Result<(), ShareError> {
        let found = self.own_live_grant(grant)?;
        let body = Renewal { grant, expires }.to_bytes();
        self.write_consent(Kind::Renewal, found.grantee, found.owner, body)?;
        Ok(())
    }

    /// Renews the leases to a person that come to their end; returns them.
    pub fn renew_due(&mut self, grantee: PersonId) -> Result<Vec<GrantId>, ShareError> {
        let now = self.now;
        let due = |grant: &&Grant| {
            let lease = grant.terms.lease_ms.unwrap_or_default();
            let left = grant.expires().map(|end| end.0.saturating_sub(now.0));
            left.is_some_and(|left| lease > 0 && left < lease / RENEWED_AT_PART)
        };
        let grants = self
            .state
            .authority
            .grants_to(self.state.me, grantee, now)
            .filter(due)
            .map(|grant| (grant.id, grant.terms.lease_ms.unwrap_or_default()));
        let grants: Vec<(GrantId, u64)> = grants.collect();
        for (grant, lease) in &grants {
            self.renew(*grant, now.plus_ms(*lease))?;
        }
        Ok(grants.into_iter().map(|(grant, _)| grant).collect())
    }

    /// Offers another grant in the place of one; returns the new one.
    ///
    /// If the new one is narrower, or the old one was not answered yet, the old one ends here.
    pub fn replace(
        &mut self,
        grant: GrantId,
        selector: String,
        terms: Terms,
        live: bool,
    ) -> Result<GrantId, ShareError> {
        let found = self.own_live_grant(grant)?;
        let next = self.offer_instead(found.grantee, selector, terms, Some(grant), live)?;
        let is_narrower = self.grant(next)?.state(self.now) == GrantState::Active;
        if is_narrower || found.state(self.now) == GrantState::Offered {
            self.end(&found, String::new(), false)?;
        }
        Ok(next)
    }
}
