//! Circles: one verb grants to all members, and grants follow who is in.

use super::sharing::Set;
use super::{Failure, Services};
use crate::clock;
use crdt::event::body::circle::{CIRCLE_BYTES_MAX, CirclePart};
use crdt::grant::circle::Circle as Held;
use crdt::id::{GrantId, PersonId};
use protocol::api::Page;
use protocol::api::circles::{
    Circle, CircleChanged, CircleGrant, CirclePatch, CircleShare, NewCircle, ShareWithCircle,
    UnshareRequest,
};
use protocol::api::problem::ErrorCode;
use storage::store::state::State;
use storage::tx::{Followed, Tx};

/// What a circle is called where a person is expected.
pub(super) const CIRCLE_PREFIX: &str = "circle:";

fn check_name(name: &str) -> Result<(), Failure> {
    let fits = !name.is_empty()
        && name.len() <= CIRCLE_BYTES_MAX
        && name
            .chars()
            .all(|c| c.is_alphanumeric() || matches!(c, '-' | '_' | '.'));
    if fits {
        Ok(())
    } else {
        Err(Failure::new(
            ErrorCode::BadRequest,
            format!("{name:?} is no name for a circle"),
        )
        .hint("use letters, digits, dots, dashes and underscores"))
    }
}

fn unknown(name: &str) -> Failure {
    Failure::not_found("circle", name).hint("brainctl circle ls        list your circles")
}

fn show_grant(state: &State, person: PersonId, grant: GrantId) -> CircleGrant {
    let found = state.authority.grant(grant);
    let standing = found.map_or("unknown", |grant| grant.state(clock::now()).as_str());
    CircleGrant {
        with: state.petname(person),
        grant: grant.to_string(),
        state: standing.to_owned(),
    }
}

fn show(state: &State, name: &str, circle: &Held) -> Circle {
    let share = |(selector, terms): (&str, &crdt::grant::Terms)| CircleShare {
        selector: selector.to_owned(),
        access: terms.access.as_str().to_owned(),
        purpose: terms.purpose.clone(),
    };
    let gave = circle.gave();
    Circle {
        name: name.to_owned(),
        members: circle
            .members()
            .map(|person| state.petname(person))
            .collect(),
        shares: circle.shares().map(share).collect(),
        grants: gave
            .map(|(person, _, grant)| show_grant(state, *person, *grant))
            .collect(),
    }
}

impl Services {
    /// Lists my circles.
    #[expect(clippy::unnecessary_wraps, reason = "every use case answers alike")]
    pub fn circles(&self) -> Result<Page<Circle>, Failure> {
        let items = self.store().read(|state| {
            let circles = state.authority.circles();
            circles
                .map(|(name, circle)| show(state, name, circle))
                .collect()
        });
        Ok(Page {
            items,
            next_cursor: None,
        })
    }

    /// Returns one circle.
    pub fn circle(&self, name: &str) -> Result<Circle, Failure> {
        let shown = self.store().read(|state| {
            let circle = state
                .authority
                .circle(name)
                .filter(|circle| circle.exists())?;
            Some(show(state, name, circle))
        });
        shown.ok_or_else(|| unknown(name))
    }

    /// Returns who is meant: the members of a circle, or the one person of that name.
    pub(super) fn find_audience(&self, with: &str) -> Result<Vec<PersonId>, Failure> {
        let Some(name) = with.strip_prefix(CIRCLE_PREFIX) else {
            return Ok(vec![self.find_person(with)?]);
        };
        let members = self.store().read(|state| {
            let circle = state
                .authority
                .circle(name)
                .filter(|circle| circle.exists());
            circle.map(|circle| circle.members().collect())
        });
        members.ok_or_else(|| unknown(name))
    }

    /// Makes a circle.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "the edge hands over what it decoded"
    )]
    pub fn create_circle(&self, new: NewCircle) -> Result<CircleChanged, Failure> {
        check_name(&new.name)?;
        if self.circle(&new.name).is_ok() {
            let title = format!("there is a circle {:?} already", new.name);
            return Err(Failure::new(ErrorCode::Conflict, title)
                .hint(format!("brainctl circle add {} PERSON", new.name)));
        }
        let mut changes = vec![CirclePart::Exists(true)];
        for member in &new.members {
            changes.push(CirclePart::Member(self.find_person(member)?, true));
        }
        self.change(&new.name, |tx| tx.change_circle(&new.name, changes))
    }

    /// Changes who is in a circle.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "the edge hands over what it decoded"
    )]
    pub fn change_circle(&self, name: &str, patch: CirclePatch) -> Result<CircleChanged, Failure> {
        self.circle(name)?;
        let mut changes = Vec::new();
        for (people, is_in) in [(&patch.add_members, true), (&patch.remove_members, false)] {
            for person in people {
                changes.push(CirclePart::Member(self.find_person(person)?, is_in));
            }
        }
        self.change(name, |tx| tx.change_circle(name, changes))
    }

    /// Removes a circle; what its members were given because of it is revoked.
    pub fn remove_circle(&self, name: &str) -> Result<CircleChanged, Failure> {
        self.circle(name)?;
        let changes = vec![CirclePart::Exists(false)];
        self.change(name, |tx| tx.change_circle(name, changes))
    }

    /// Gives the same to all members, if the set is still the one that was confirmed.
    pub fn share_with_circle(
        &self,
        name: &str,
        share: ShareWithCircle,
    ) -> Result<CircleChanged, Failure> {
        self.circle(name)?;
        let (selector, terms) = Self::read_spec(&share.grant)?;
        let text = selector.to_string();
        let audience = self.find_audience(&format!("{CIRCLE_PREFIX}{name}"))?;
        self.change(name, |tx| {
            let set = Set(tx.preview(&selector)?);
            set.check(&audience, &text, &terms, share.digest, share.expect)?;
            Ok::<_, Failure>(tx.share_with_circle(name, text.clone(), terms.clone())?)
        })
    }

    /// Takes back what a circle is given.
    pub fn unshare(&self, name: &str, request: UnshareRequest) -> Result<CircleChanged, Failure> {
        let circle = self.circle(name)?;
        let is_meant = |share: &&CircleShare| {
            let selector = request.selector.as_ref();
            selector.is_none_or(|selector| *selector == share.selector)
        };
        let meant = circle.shares.iter().filter(is_meant);
        let changes: Vec<CirclePart> = meant
            .map(|share| CirclePart::Share(share.selector.clone(), None))
            .collect();
        if let Some(selector) = request.selector.filter(|_| changes.is_empty()) {
            let title = format!("the circle {name:?} is not given {selector:?}");
            return Err(Failure::new(ErrorCode::NotFound, title)
                .hint(format!("brainctl circle show {name}")));
        }
        self.change(name, |tx| tx.change_circle(name, changes))
    }

    fn change<E: Into<Failure> + From<storage::store::StoreError>>(
        &self,
        name: &str,
        change: impl FnOnce(&mut Tx<'_>) -> Result<Followed, E>,
    ) -> Result<CircleChanged, Failure> {
        let followed = self
            .store()
            .transact::<_, E>(clock::now(), change)
            .map_err(Into::into)?;
        for (_, grant) in &followed.offered {
            self.wrote("grant.offered", grant.to_string());
        }
        for grant in &followed.revoked {
            self.wrote("grant.revoked", grant.to_string());
        }
        Ok(self.store().read(|state| {
            let circle = state.authority.circle(name).cloned().unwrap_or_default();
            let offered = followed.offered.iter();
            let revoked = followed.revoked.iter().filter_map(|grant| {
                let found = state.authority.grant(*grant)?;
                Some(show_grant(state, found.grantee, *grant))
            });
            CircleChanged {
                circle: show(state, name, &circle),
                offered: offered
                    .map(|(person, grant)| show_grant(state, *person, *grant))
                    .collect(),
                revoked: revoked.collect(),
            }
        }))
    }
}
