//! How a grant goes on and how it changes: its end moves, or another takes its place.

use super::super::{Failure, Services};
use super::{GRANT_SECONDS_DEFAULT, GRANT_SECONDS_MAX, Set};
use crate::clock;
use protocol::api::problem::ErrorCode;
use protocol::api::sharing::{Grant, GrantSpec, Offered, RenewRequest, ReplaceRequest};
use storage::tx::ShareError;

impl Services {
    /// Moves the end of a grant, nearer or further away.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "the edge hands over what it decoded"
    )]
    pub fn renew(&self, id: &str, request: RenewRequest) -> Result<Grant, Failure> {
        let grant = self.find_grant(id)?;
        let seconds = request.expires_in_s.unwrap_or(GRANT_SECONDS_DEFAULT);
        if seconds == 0 || seconds > GRANT_SECONDS_MAX {
            let title = "a grant holds between a second and 400 days";
            return Err(Failure::new(ErrorCode::BadRequest, title)
                .hint("brainctl revoke ends a grant at once"));
        }
        let now = clock::now();
        let expires = now.plus_ms(seconds.saturating_mul(1_000));
        self.store()
            .transact::<_, ShareError>(now, |tx| tx.renew(grant, expires))?;
        self.wrote("grant.renewed", grant.to_string());
        self.grant(id)
    }

    /// Puts another grant to the same person in the place of one.
    pub fn replace(&self, id: &str, request: ReplaceRequest) -> Result<Offered, Failure> {
        let grant = self.find_grant(id)?;
        let now = clock::now();
        let before = self
            .store()
            .read(|state| state.authority.grant(grant).cloned());
        let before = before.ok_or_else(|| Failure::not_found("grant", id))?;
        let left = before
            .expires()
            .map(|end| end.0.saturating_sub(now.0) / 1_000);
        let is_lease = before.terms.lease_ms.is_some();
        let spec = GrantSpec {
            selector: request.selector.unwrap_or_else(|| before.selector.clone()),
            access: request
                .access
                .or_else(|| Some(before.terms.access.as_str().to_owned())),
            expires_in_s: request.expires_in_s.or_else(|| left.filter(|_| !is_lease)),
            purpose: request
                .purpose
                .or_else(|| Some(before.terms.purpose.clone())),
            live: None,
        };
        let (selector, terms) = Self::read_spec(&spec)?;
        let text = selector.to_string();
        let offered = self.store().transact::<_, Failure>(now, |tx| {
            let set = Set(tx.preview(&selector)?);
            let audience = [before.grantee];
            let digest = set.check(&audience, &text, &terms, request.digest, None)?;
            let next = tx.replace(
                grant,
                text.clone(),
                terms.clone(),
                spec.live.unwrap_or(before.live),
            )?;
            let found = tx.state().authority.grant(next);
            let state = found.map_or("offered", |grant| grant.state(now).as_str());
            Ok(Offered {
                grant: next.to_string(),
                state: state.to_owned(),
                count: set.0.memories.len(),
                held: set.held(),
                digest,
            })
        })?;
        self.wrote("grant.offered", offered.grant.clone());
        Ok(offered)
    }
}
